"""Confidence filtering: teach only what the teacher is sure of."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from annotated_types import Interval
from torch import Tensor

from sslkit import Targets, hookimpl


def confident(confidence: Tensor, threshold: float) -> Tensor:
    """1 where a row's confidence reaches the threshold, else 0. (N,) -> (N,)."""
    return (confidence >= threshold).to(confidence.dtype)


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
        return replace(targets, weight=targets.weight * confident(targets.confidence, self.threshold))
