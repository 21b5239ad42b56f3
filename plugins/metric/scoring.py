"""Scores of probabilities against the true class, and bins of confidence: shared by several metrics. All in float64."""

from collections.abc import Sequence

import torch
from torch import Tensor

SMALLEST = torch.finfo(torch.float32).tiny
"1.2e-38: models answer in float32, in which anything smaller is soon 0."


def negative_log_likelihood(probs: Tensor, truth: Tensor) -> float:
    """Mean of -ln p(true class), in nats. (N, K), (N,) -> a number of at least 0.

    A probability below 1.2e-38, zero included, counts as that much: 87.3 nats, so that one sure mistake of thousands
    does not make the mean infinite.
    """
    return float(probs.gather(1, truth[:, None]).clamp(min=SMALLEST).log().mean().abs())


def brier_score(probs: Tensor, truth: Tensor) -> float:
    """Mean over rows of the sum over classes of (p - [class is true])^2. (N, K), (N,) -> a number from 0 to 2.

    Brier 1950: the sum over all classes, neither halved nor divided by their number.
    """
    # sum of p^2 - 2 p(true) + 1, but for its cancellation: the true class's own square is taken by itself.
    right = probs.double().gather(1, truth[:, None]).squeeze(1)
    others = probs.double().scatter(1, truth[:, None], 0.0).square().sum(1)
    return float(((1 - right).square() + others).mean())


def bin_of(confidence: Tensor, bins: int) -> Tensor:
    """The bin of each confidence, of `bins` equal ones: ((m - 1) / M, m / M], the first with its 0. (N,) -> (N,)."""
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    return torch.bucketize(confidence.double(), edges)


def upper_edges(bins: int) -> Sequence[str]:
    """The upper edge of each bin as the key of a table: two digits, or as many as tell them apart ("0.07" ... "1.00")."""
    digits = max(2, len(str(bins - 1)))
    return [f"{(m + 1) / bins:.{digits}f}" for m in range(bins)]


def bin_sums(values: Tensor, place: Tensor, bins: int) -> Tensor:
    """The sum of the values in each bin. (N,), (N,) -> (M,) float64."""
    return torch.zeros(bins, dtype=torch.float64).index_add_(0, place, values.double())
