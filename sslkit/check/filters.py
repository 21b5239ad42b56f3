"""What filters do to labels of every confidence, tried on made-up ones: a threshold that decides nothing is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SslkitError
from ..hooks import Hooks
from ..hookspecs import hooks_of
from ..recipe.model import Entry
from ..recipe.traits import trait
from ..types import Facts, Progress, Targets

SUREST = 0.999
"A teacher is rarely surer; a filter that asks for more keeps next to nothing."
GRID = 32
"Confidences that are tried of each class."
CLASSES = 4
"Classes that labels are made up of."


@dataclass(frozen=True)
class Verdict:
    """What a filter does to labels of every confidence."""

    name: str
    keeps: str
    "`nothing` or `everything`."
    least: float
    "The smallest confidence that it was given."
    most: float
    "The largest."


def made_up(classes: int) -> Targets:
    """Labels of every confidence, from 1 / K to almost 1, of a few classes: one of them twice as often as another, so
    that what balances classes has something to do.
    """
    few = min(classes, CLASSES)
    label = torch.repeat_interleave(torch.arange(few), GRID * torch.arange(1, few + 1))
    top = torch.linspace(1 / classes, SUREST, GRID).repeat(len(label) // GRID)
    return Targets.of(torch.arange(len(label)), spread(label, top, classes))


def spread(label: Tensor, top: Tensor, classes: int) -> Tensor:
    """Probabilities with `top` on each row's label and the rest on all others alike: (N,), (N,) -> (N, K)."""
    rest = (1 - top) / max(classes - 1, 1)
    return rest[:, None].repeat(1, classes).scatter_(1, label[:, None], top[:, None])


def verdicts(chain: list[Entry], timing: str, facts: Facts, progress: Progress) -> Iterator[Verdict]:
    """Filters of a chain that decide nothing. Those that learn their thresholds, or look at the batch, are not judged.

    A filter is a labeler that goes by the targets' confidence and says so (`needs`, see `sslkit.recipe.traits`).
    """
    targets = made_up(len(facts.classes))
    filters = [number for number, entry in enumerate(chain) if is_filter(entry)]
    for entry in chain[: max(filters, default=-1) + 1]:  # nobody after the last of them need be asked
        if "refine" not in hooks_of(entry.plugin):
            continue
        try:
            after = refined(entry, timing, targets, facts, progress)
        except SslkitError:  # it wants a step's batch: what comes after it is not known
            return
        kept = targets.kept
        if is_filter(entry) and kept.any():
            sure = targets.confidence[kept]
            keeps = "nothing" if not after.kept.any() else "everything" if alike(targets, after) else ""
            if keeps:
                yield Verdict(entry.name, keeps, float(sure.min()), float(sure.max()))
        targets = after


def refined(entry: Entry, timing: str, targets: Targets, facts: Facts, progress: Progress) -> Targets:
    """What one labeler makes of targets, beginning afresh."""
    hooks = Hooks([entry])
    hooks.begin(facts, progress)
    return hooks.refine(timing, targets, None, None, progress)


def is_filter(entry: Entry) -> bool:
    """Whether a labeler goes by confidence, at a bar that does not move."""
    kind: type = type(entry.plugin)
    return "confidence" in trait(kind, "needs") and not hasattr(entry.plugin, "state_dict")


def alike(one: Targets, other: Targets) -> bool:
    """Whether targets are the same in every column."""
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in Targets.columns)
