"""A linear ramp: from nothing to the full value, then level."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from sslkit import Progress, hookimpl


def linear_ramp(done: float, fraction: float) -> float:
    """min(1, done / fraction): 0 at the start, 1 from `fraction` on."""
    return min(1.0, done / fraction)


@dataclass(eq=False, kw_only=True)
class LinearRamp:
    """Grow from 0 to the full value over the first part of a generation: lets a student learn before it is consulted.

    The weight of consistency losses in Berthelot et al. 2019 and in the Pi-model, Mean Teacher and Pseudo-Label as
    FixMatch's authors run them (0.4).
    """

    fraction: Annotated[float, Interval(gt=0, le=1)] = 0.4
    "Share of the generation's steps over which the value grows."

    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        """The ramp's height at this step."""
        return linear_ramp(progress.fraction, self.fraction)
