"""Negative log-likelihood: how much probability a model gives to the true class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import Classifier, Data, hookimpl

from .splits import held_out

SMALLEST = torch.finfo(torch.float32).tiny
"1.2e-38: models answer in float32, in which anything smaller is soon 0."


def negative_log_likelihood(probs: Tensor, truth: Tensor) -> float:
    """Mean of -ln p(true class), in nats. (N, K), (N,) -> a number of at least 0.

    A probability below 1.2e-38, zero included, counts as that much: 87.3 nats, so that one sure mistake of thousands
    does not make the mean infinite.
    """
    return float(probs.gather(1, truth[:, None]).clamp(min=SMALLEST).log().mean().abs())


@dataclass(eq=False, kw_only=True)
class Likelihood:
    """Negative log-likelihood (the cross-entropy with the true class): `test_nll` and `validation_nll`.

    In nats, the mean over images whose class is known; the smaller the better, ln K for a model that knows nothing of
    K classes. It punishes sure mistakes: see `calibration`.
    """

    @hookimpl
    def measure(self, model: Classifier, data: Data) -> dict[str, float]:
        """The likelihoods of what is there to measure."""
        return {f"{split}_nll": negative_log_likelihood(probs, truth) for split, probs, truth in held_out(model, data)}
