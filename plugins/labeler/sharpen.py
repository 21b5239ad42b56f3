"""Sharpening: targets by a temperature."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from sslkit import Targets, hookimpl

from ..probabilities import sharpen


@dataclass(eq=False, kw_only=True)
class Sharpen:
    """Sharpen targets by a temperature below 1, or soften them by one above: the distillation temperature.

    Berthelot et al. 2019 (MixMatch, eq. 7); Xie et al. 2019 (UDA, sec. 3.2); Hinton et al. 2015, eq. 1.
    """

    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.5
    "T: 1 changes nothing, smaller is harder."

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        """Sharpened `probs`."""
        return targets.mapped(lambda probs: sharpen(probs, self.temperature))
