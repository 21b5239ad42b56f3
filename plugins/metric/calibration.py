"""Calibration: whether a model is right as often as it says."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Unit
from torch import Tensor

from sslkit import Classifier, Data, hookimpl

from .splits import held_out


def bin_of(confidence: Tensor, bins: int) -> Tensor:
    """The bin of each confidence, of `bins` equal ones: ((m - 1) / M, m / M], the first with its 0. (N,) -> (N,)."""
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    return torch.bucketize(confidence.double(), edges)


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int) -> float:
    """Sum over bins of |B| / N * |accuracy(B) - confidence(B)|. (N,) in 0-1, (N,) bool -> a number from 0 to 1.

    Guo et al. 2017 (arXiv 1706.04599), eq. 3: equal-width bins of the top class's probability.
    """
    # |B| / N * |accuracy - confidence| is |sum of (right - confidence) over B| / N: empty bins need no exception.
    gaps = torch.zeros(bins, dtype=torch.float64)
    gaps.index_add_(0, bin_of(confidence, bins), right.double() - confidence.double())
    return float(gaps.abs().sum() / len(confidence))


@dataclass(eq=False, kw_only=True)
class Calibration:
    """Expected calibration error of the top class's probability: `test_ece` and `validation_ece`.

    The mean gap between how sure the model is and how often it is right, over images whose class is known (Guo et al.
    2017, eq. 3); 0 is best. With few images it is biased upwards: each bin's accuracy is a noisy estimate.
    """

    bins: Annotated[int, Ge(1), Unit("bins")] = 15
    "Bins of equal width into which confidences fall."

    @hookimpl
    def measure(self, model: Classifier, data: Data) -> dict[str, float]:
        """The errors of what is there to measure."""
        return {
            f"{split}_ece": expected_calibration_error(probs.amax(1), probs.argmax(1) == truth, self.bins)
            for split, probs, truth in held_out(model, data)
        }
