"""Confidence filtering: teach only what the teacher is sure of."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval

from sslkit import Targets, hookimpl

from ..probabilities import kept_only


@dataclass(eq=False, kw_only=True)
class Confidence:
    """Filter out pseudo-labels whose top probability is below a threshold.

    Xie et al. 2020 keep images above 0.3 (sec. 3.1); Sohn et al. 2020 above 0.95 (FixMatch, eq. 4).
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets pass every threshold."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.95
    "Smallest top probability that is kept."

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        """Weight 0 for rows below the threshold."""
        return kept_only(targets, targets.confidence >= self.threshold)
