"""Training-signal annealing: labels of which the student is surer than it should be by now wait."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed
from torch.nn import functional

from sslkit import Forward, LossTerm, Progress, Step, global_mean, hookimpl

Growth = Literal["linear", "exp", "log"]


def annealed_threshold(fraction: float, growth: Growth, classes: int) -> float:
    """The threshold a (1 - 1/K) + 1/K at a fraction f of training: from 1/K at the start to 1 at the end.

    Xie et al. 2019 (UDA, training signal annealing): a = f, exp(5 (f - 1)) or 1 - exp(-5 f), which begin and end within
    0.007 of 0 and 1.
    """
    share = {"linear": fraction, "exp": math.exp(5 * (fraction - 1)), "log": 1 - math.exp(-5 * fraction)}[growth]
    return share * (1 - 1 / classes) + 1 / classes


def waiting_rows(logits: Tensor, probs: Tensor, threshold: float) -> Tensor:
    """1 where the student's probability of the right answer is at most the threshold, else 0: (N, K), (N, K) -> (N,).

    Of soft targets it is the expected probability, sum of q p. No gradient.
    """
    return ((logits.detach().softmax(1) * probs.detach()).sum(1) <= threshold).to(logits.dtype)


def global_share(kept: Tensor) -> Tensor:
    """The share of rows that are kept, over all processes: (N,) of 0 and 1 -> a scalar without a gradient."""
    share = global_mean(kept.detach())
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(share)  # each process has its own part, times their number
        share = share / distributed.get_world_size()
    return share


@dataclass(eq=False, kw_only=True)
class AnnealedCrossEntropy:
    """Cross-entropy of labeled images, without those whose class the student gives more than a rising threshold.

    Xie et al. 2019 (UDA, arXiv 1904.12848), training signal annealing: with few labels and many unlabeled images, the
    labels are learned by heart long before the rest; so each counts only while p(y) <= a (1 - 1/K) + 1/K. As in the
    paper the mean is over the rows that count. This is the one loss here that divides by the rows kept: what it takes
    away are rows that are learned already, where filters of pseudo-labels take away what cannot be trusted. Where no
    row counts it is 0.
    """

    weight: float = 1.0
    "Weight of the term in the objective."
    growth: Growth = "linear"
    "How a grows: `log` lets go early (many labels), `exp` late (few labels, quickly learned by heart)."
    average: Literal["kept", "all"] = "kept"
    "The mean is over the rows that count, as in the paper, or over all rows, as in all other losses here."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...], progress: Progress) -> LossTerm:
        """One term over all views of `on`."""
        batches = [step.batch_of(view) for view in on]
        targets = [rows.targets_of(view, truth=rows.truth is not None) for rows, view in zip(batches, on, strict=True)]
        probs, weight = (torch.cat([getattr(one, name).detach() for one in targets]) for name in ("probs", "weight"))
        logits = torch.cat([forward(view).logits for view in on])
        threshold = annealed_threshold(progress.fraction, self.growth, logits.shape[1])
        kept = waiting_rows(logits, probs, threshold) * (weight > 0)
        value = global_mean(functional.cross_entropy(logits, probs, reduction="none") * weight * kept)
        if self.average == "kept":
            share = global_share(kept)
            value = value / torch.where(share > 0, share, 1.0)  # of no row, 0 / 1
        return LossTerm(value, self.weight)
