"""Hard pseudo-labels: only the most probable class."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sslkit import Targets, hookimpl

from ..probabilities import harden


@dataclass(eq=False, kw_only=True)
class HardLabels:
    """Make targets one-hot; `raw` keeps the teacher's probabilities.

    Belongs after the filters: a one-hot target passes every threshold (Lee 2013, eq. 14; Sohn et al. 2020, eq. 4).
    Where refinements were for the filters alone, the label is that of the raw probabilities (SoftMatch: Chen et al.
    2023, sec. 3.2, weighs by aligned ones and teaches the teacher's own label).
    """

    loses: ClassVar = ("confidence",)
    "A trait: every target is as sure as can be."

    source: Literal["targets", "raw"] = "targets"
    "What the label is the most probable class of: the targets as refined so far, or the teacher's own probabilities."

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        """One-hot `probs`."""
        source = targets.raw if self.source == "raw" else targets.probs
        return replace(targets, probs=source).mapped(harden)
