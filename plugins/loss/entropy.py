"""Entropy minimisation: be sure of unlabeled images, whatever they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import Forward, LossTerm, global_mean, hookimpl


def entropy(logits: Tensor) -> Tensor:
    """- sum over classes of p log p, p = softmax(logits), for each row: (N, K) -> (N,), between 0 and log K."""
    log = logits.log_softmax(1)
    return -(log.exp() * log).sum(1)


@dataclass(eq=False, kw_only=True)
class Entropy:
    """The entropy (in nats) of the student's own answers, over all rows of the views of `on`; it needs no targets.

    Grandvalet & Bengio 2005; beside virtual adversarial training, Miyato et al. 2018 (VAT + EntMin). By itself it makes
    a student sure of its first guesses, so its weight is small.
    """

    weight: float = 1.0
    "Weight of the term in the objective; 0.06 beside virtual adversarial training in Oliver et al. 2018."

    @hookimpl
    def loss(self, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views of `on`."""
        return LossTerm(global_mean(entropy(torch.cat([forward(view).logits for view in on]))), self.weight)
