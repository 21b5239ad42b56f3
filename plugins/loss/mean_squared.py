"""Mean squared error between probabilities: the consistency loss of the Pi-model and Mean Teacher."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import Forward, LossTerm, Step, global_mean, hookimpl


def squared_error(logits: Tensor, probs: Tensor, weight: Tensor) -> Tensor:
    """The error, weight * mean over classes of (softmax(logits) - q)^2, for each row: (N, K), (N, K), (N,) -> (N,).

    Neither targets nor weights receive a gradient.
    """
    return (logits.softmax(1) - probs.detach()).square().mean(1) * weight.detach()


@dataclass(eq=False, kw_only=True)
class MeanSquared:
    """Squared distance between a stream's targets and the student's probabilities, over all rows of the views of `on`.

    Laine & Aila 2017 (Pi-model, Algorithm 1), Tarvainen & Valpola 2017, Berthelot et al. 2019 (MixMatch, eq. 4); the
    mean is over classes too. Bounded, so unlike cross-entropy it forgives a wrong target.
    """

    weight: float = 1.0
    "Weight of the term in the objective; may be negative. Papers take 10 to 100, and ramp it up."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views of `on`."""
        logits = torch.cat([forward(view).logits for view in on])
        targets = [step.batch_of(view).targets_of(view) for view in on]
        probs, weight = (torch.cat([getattr(target, name) for target in targets]) for name in ("probs", "weight"))
        return LossTerm(global_mean(squared_error(logits, probs, weight)), self.weight)
