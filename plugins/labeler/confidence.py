"""Confidence filtering: teach only what the teacher is sure of."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval

from sslkit import Targets, hookimpl

from ..probabilities import kept_only


@dataclass(eq=False, kw_only=True)
class Confidence:
    """Filter out pseudo-labels whose top probability is below a threshold.

    Xie et al. 2020 keep images above 0.3 (sec. 3.1); Sohn et al. 2020 above 0.95 (FixMatch, eq. 4). With `below` an
    interval of confidence is kept, as where Xie et al. compare soft and hard labels by the teacher's confidence.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets pass every threshold."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.95
    "Smallest top probability that is kept."
    below: Annotated[float, Interval(gt=0, le=1)] | None = None
    "Smallest top probability that is too large; left out: none is."

    def __post_init__(self) -> None:
        """Refuse an interval that holds nothing. Raises `ValueError`."""
        if self.below is not None and self.threshold >= self.below:
            raise ValueError(f"`below = {self.below:g}` keeps nothing from `threshold = {self.threshold:g}` on")

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        """Weight 0 for rows outside of the interval."""
        kept = targets.confidence >= self.threshold
        return kept_only(targets, kept if self.below is None else kept & (targets.confidence < self.below))
