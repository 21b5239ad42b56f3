"""Negative log-likelihood: how much probability a model gives to the true class."""

from dataclasses import dataclass

from sslkit import Classifier, Data, hookimpl

from .scoring import negative_log_likelihood
from .splits import held_out


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
