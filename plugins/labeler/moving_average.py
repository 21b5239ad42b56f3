"""A moving average of the student's weights, which evaluates and teaches better than the student does."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sslkit import Progress, hookimpl


def warmed_up(decay: float, step: int) -> float:
    """The smaller of `decay` and (1 + t) / (10 + t): early on, the average forgets the initial weights quickly."""
    return min(decay, (1 + step) / (10 + step))


def frozen_copy(module: nn.Module) -> nn.Module:
    """A copy that evaluates and that no gradient reaches."""
    return deepcopy(module).eval().requires_grad_(False)


@torch.no_grad()
def move_average(average: nn.Module, student: nn.Module, decay: float, buffers: Literal["average", "copy"]) -> None:
    """The moving average, decay * average + (1 - decay) * student, in place, for parameters and, if asked for, buffers.

    Integers (batch-norm's `num_batches_tracked`) have no average: they are copied. All tensors move in one foreach
    call, which saves most of the time of a loop over them.
    """
    pairs = list(zip(average.parameters(), student.parameters(), strict=True))
    states = list(zip(average.buffers(), student.buffers(), strict=True))
    averaged = pairs + [pair for pair in states if buffers == "average" and pair[0].is_floating_point()]
    copied = [pair for pair in states if buffers == "copy" or not pair[0].is_floating_point()]
    apply = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    for old, new in _by_dtype(averaged):
        apply(old, new, 0)
    for old, new in _by_dtype(copied):
        torch._foreach_copy_(list(old), list(new))


def _by_dtype(pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
    """Foreach functions are fast on tensors of one type."""
    groups: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
    for old, new in pairs:
        groups.setdefault(old.dtype, []).append((old.detach(), new.detach()))
    return [tuple(zip(*group, strict=True)) for group in groups.values()]  # type: ignore[misc]


@dataclass(eq=False, kw_only=True)
class MovingAverage:
    """Keep an exponential moving average of the student; it is evaluated, exported, and teaches the next generation.

    Tarvainen & Valpola 2017, eq. 1; Xie et al. 2020 average with 0.9999, batch-norm's statistics included. The warm-up
    counts the generation's steps, so each generation's average starts afresh; set `warmup = false` in a generation that
    continues the last one's average.
    """

    decay: Annotated[float, Interval(ge=0, le=1)] = 0.999
    "Share of the old average in the new one."
    warmup: bool = True
    "Let the decay grow as (1 + t) / (10 + t), t counting steps from 0, until it reaches `decay`."
    buffers: Literal["average", "copy"] = "average"
    "What happens to batch-norm's running statistics: averaged as the weights are, or copied from the student."

    @hookimpl
    def average(self, student: nn.Module) -> nn.Module:
        """A copy of the student, where the average starts."""
        return frozen_copy(student)

    @hookimpl
    def after_step(self, student: nn.Module, average: nn.Module, progress: Progress) -> None:
        """The average follows the student."""
        decay = warmed_up(self.decay, progress.step) if self.warmup else self.decay
        move_average(average, student, decay, self.buffers)
