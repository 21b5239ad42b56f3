"""Hard pseudo-labels: only the most probable class."""

from dataclasses import dataclass, replace
from typing import ClassVar

from sslkit import Targets, hookimpl

from ..probabilities import harden


@dataclass(eq=False, kw_only=True)
class HardLabels:
    """Make targets one-hot; `raw` keeps the teacher's probabilities.

    Belongs after the filters: a one-hot target passes every threshold (Lee 2013, eq. 14; Sohn et al. 2020, eq. 4).
    """

    loses: ClassVar = ("confidence",)
    "A trait: every target is as sure as can be."

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        """One-hot `probs`."""
        return replace(targets, probs=harden(targets.probs))
