"""Cosine decay, with an optional linear warm-up."""

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval, Unit

from sslkit import Progress, hookimpl


def cosine(step: int, steps: int, cycles: float, power: float, warmup_steps: int) -> float:
    """cos(pi * cycles * f)^power, f running from 0 to 1 after a warm-up of 1/W, 2/W, ..., 1."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps  # from 1/W, not 0: a first step at rate 0 would be wasted
    fraction = (step - warmup_steps) / max(1, steps - warmup_steps)
    return float(max(0.0, math.cos(math.pi * cycles * min(1.0, fraction))) ** power)


@dataclass(eq=False, kw_only=True)
class Cosine:
    """Fall along a cosine over a generation.

    | `cycles` | `power` | factor at fraction f | ends at | source |
    |---|---|---|---|---|
    | 0.5 | 1 | cos(pi f / 2) | 0 | |
    | 0.4375 | 1 | cos(7 pi f / 16) | 0.195 | Sohn et al. 2020 (FixMatch), sec. 2.4 |
    | 0.5 | 2 | (1 + cos(pi f)) / 2 | 0 | Loshchilov & Hutter 2017, eq. 5 |
    """

    cycles: Annotated[float, Interval(gt=0, le=0.5)] = 0.5
    "How far along the cosine a generation goes, in half turns: 0.5 ends at zero, 0.4375 is FixMatch's 7/16."
    power: Annotated[float, Interval(gt=0)] = 1.0
    "Power of the cosine; 2 with `cycles = 0.5` is the usual annealing, which leaves zero level."
    warmup_steps: Annotated[int, Ge(0), Unit("steps")] = 0
    "Steps of a linear warm-up; the cosine begins after them."

    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        """The cosine at this step."""
        return cosine(progress.step, progress.steps, self.cycles, self.power, self.warmup_steps)
