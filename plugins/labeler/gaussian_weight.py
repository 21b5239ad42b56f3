"""Gaussian weights: the less sure a pseudo-label is than usual, the less it teaches."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Gt, Interval, Unit
from torch import Tensor

from sslkit import Batch, Facts, Targets, hookimpl

from ..memory import moved

LEAST = 1e-8
"Variances below it are a rounding error's: of equal confidences none may fall out."


def truncated_gaussian(confidence: Tensor, mean: Tensor, variance: Tensor, deviations: float) -> Tensor:
    """exp(- min(c - mean, 0)^2 * n^2 / (2 variance)): 1 from the mean on, a Gaussian below. (N,), (), () -> (N,).

    Chen et al. 2023 (SoftMatch), sec. 3.1; n is `n_sigma` of the official code, which divides the variance by n^2.
    """
    below = (confidence.detach() - mean).clamp(max=0) * deviations
    return (-below.square() / (2 * variance.clamp(min=LEAST))).exp()


def spread(confidence: Tensor) -> Tensor:
    """Mean and unbiased variance (N - 1 below it; 0 of a single row): (N,) -> (2,)."""
    return torch.stack([confidence.mean(), confidence.var(correction=min(1, len(confidence) - 1))])


@dataclass(eq=False, kw_only=True)
class GaussianWeight:
    """Weigh pseudo-labels by a truncated Gaussian of their confidence, whose mean and variance are learned.

    SoftMatch (Chen et al. 2023, arXiv 2301.10921, sec. 3.1): averages of the batches' mean confidence and of its
    unbiased variance, which start at 1 / K and 1 and take in a step's own batch first. Nothing is thrown away. The
    paper weighs by aligned probabilities (`distribution_alignment` before it) and teaches the label of raw ones
    (`hard_labels` after it, `source = "raw"`). A whole pool is weighed by its own mean and variance. Labels of labeled
    images are weighed, but not counted.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets are all as sure."
    about: ClassVar = ("student",)
    "A trait: mean and variance are of this student's confidence."
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.999
    "Share of the old mean and variance in the new ones."
    deviations: Annotated[float, Gt(0), Unit("standard deviations")] = 2.0
    "n: the larger, the narrower the Gaussian. At one standard deviation below the mean a weight is exp(-n^2 / 2)."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Mean 1 / K, variance 1."""
        self.spread_ = torch.tensor([1 / len(facts.classes), 1.0], device=facts.device)

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """Weights multiplied by the Gaussian's."""
        confidence = targets.confidence
        now = spread(confidence)
        if batch is not None and batch.stream == "unlabeled":
            self.spread_ = moved(self.spread_, now, self.decay)
        mean, variance = now if batch is None else self.spread_.to(confidence)
        weight = truncated_gaussian(confidence, mean, variance, self.deviations)
        return replace(targets, weight=targets.weight * weight)

    def state_dict(self) -> dict[str, Any]:
        """Mean and variance."""
        return {"spread": self.spread_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.spread_ = torch.as_tensor(state["spread"]).to(self.spread_)
