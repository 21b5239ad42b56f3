"""Sharpening: targets by a temperature."""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Interval
from torch import Tensor

from sslkit import Targets, hookimpl


def sharpen(probs: Tensor, temperature: float) -> Tensor:
    """p^(1/T) / sum of p^(1/T), computed from logarithms, so that small powers do not vanish all together.

    (N, K) -> (N, K). Of probabilities it is the softmax of their logits / T, whatever the logits were.
    """
    log = probs.log()
    return ((log - log.amax(1, keepdim=True)) / temperature).softmax(1)


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
        return replace(targets, probs=sharpen(targets.probs, self.temperature))
