"""Stochastic depth: images skip residual blocks at random, late blocks more often than early ones."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from sslkit import hookimpl


def drop_path_rate(survival: float) -> float:
    """What timm calls a survival probability of 0.8: 0.2, without the noise of binary fractions."""
    return round(1 - survival, 12)


@dataclass(eq=False, kw_only=True)
class StochasticDepth:
    """Skip residual blocks while training (Huang et al. 2016): timm's `drop_path_rate`.

    Papers and code name opposite numbers. Noisy Student (Xie et al. 2020, sec. 3.1) says 0.8: the probability that the
    last block *survives*. timm's `drop_path_rate` and torchvision's `stochastic_depth_prob` are the probability that it
    is *dropped*, 0.2; giving them the paper's 0.8 drops four blocks of five. This field is the paper's.

    The first of L blocks is never dropped, later ones more often, linearly. timm's EfficientNets drop block
    i = 0 ... L-1 with probability (1 - survival) * i / L, as the official code does: the last a little less often than
    the number says. Its other families divide by L - 1: their last block survives with exactly this probability. It is
    drawn for each image; what survives is scaled up. A model that takes no `drop_path_rate` (vgg, densenet, ...) is
    refused when it is built.
    """

    survival: Annotated[float, Interval(gt=0, le=1)] = 0.8
    "Probability with which the last block is kept; earlier blocks are kept more often, linearly."

    @hookimpl
    def model_kwargs(self) -> dict[str, Any]:
        """`drop_path_rate` for the student's builder."""
        return {"drop_path_rate": drop_path_rate(self.survival)}
