"""Calibration: whether a model is right as often as it says."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Unit
from torch import Tensor

from sslkit import Classifier, Data, Progress, hookimpl

from .scoring import bin_of, bin_sums, brier_score, negative_log_likelihood, upper_edges
from .splits import held_out


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int) -> float:
    """Sum over bins of |B| / N * |accuracy(B) - confidence(B)|. (N,) in 0-1, (N,) bool -> a number from 0 to 1.

    Guo et al. 2017 (arXiv 1706.04599), eq. 3: equal-width bins of the top class's probability.
    """
    # |B| / N * |accuracy - confidence| is |sum of (right - confidence) over B| / N: empty bins need no exception.
    gaps = bin_sums(right.double() - confidence.double(), bin_of(confidence, bins), bins)
    return float(gaps.abs().sum() / len(confidence))


def reliability(confidence: Tensor, right: Tensor, bins: int) -> dict[str, dict[str, Any]]:
    """The reliability curve: each bin's images, mean confidence and accuracy (null without images), by its upper edge.

    DeGroot and Fienberg 1983; Guo et al. 2017, eqs. 1 and 2. (N,) in 0-1, (N,) bool.
    """
    place = bin_of(confidence, bins)
    images = torch.bincount(place, minlength=bins).tolist()
    sums = [bin_sums(values, place, bins).tolist() for values in (confidence, right)]
    rows = zip(upper_edges(bins), images, *sums, strict=True)
    return {
        edge: {"images": n, "confidence": sure / n if n else None, "accuracy": hits / n if n else None}
        for edge, n, sure, hits in rows
    }


@dataclass(eq=False, kw_only=True)
class Calibration:
    """Whether a model is right as often as it says: `test_ece`, `test_brier`, and the curve `test_reliability`.

    `ece`, the expected calibration error, is the mean gap between how sure the model is of its top class and how often
    it is right (Guo et al. 2017, eq. 3); 0 is best. With few images it is biased upwards: each bin's accuracy is a noisy
    estimate. `brier`, the Brier score, is the squared distance of the probabilities from the truth, summed over all
    classes (Brier 1950): from 0, the best, to 2, and (K - 1) / K for a model that knows nothing of K classes. It falls
    where a model is right more often, and where it is better calibrated. `reliability` has each bin's images, mean
    confidence and accuracy by the bin's upper edge, at a generation's end only.

    All over images whose class is known, and of validation images too: `validation_ece`, ...
    """

    bins: Annotated[int, Ge(1), Unit("bins")] = 15
    "Bins of equal width into which confidences fall."
    nll: bool = False
    "Also measure the negative log-likelihood, `test_nll`, where the plugin `likelihood`, which does, is left out."

    @hookimpl
    def measure(self, model: Classifier, data: Data, progress: Progress) -> dict[str, Any]:
        """The scores of what is there to measure; at the end their curves."""
        made: dict[str, Any] = {}
        for split, probs, truth in held_out(model, data):
            sure, right = probs.amax(1), probs.argmax(1) == truth
            made[f"{split}_ece"] = expected_calibration_error(sure, right, self.bins)
            made[f"{split}_brier"] = brier_score(probs, truth)
            if self.nll:
                made[f"{split}_nll"] = negative_log_likelihood(probs, truth)
            if progress.step >= progress.steps:
                made[f"{split}_reliability"] = reliability(sure, right, self.bins)
        return made
