"""Self-adaptive fairness: no class is to be forgotten while the others get surer."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Facts, Forward, LossTerm, Step, hookimpl
from sslkit.errors import RecipeError

from ..memory import moved
from ..probabilities import harden

LEAST = 1e-30
"Where nothing is kept, zero is divided by it."


def per_prediction(mean: Tensor, histogram: Tensor) -> Tensor:
    """Ratios mean / histogram, normalised to sum 1; 0 where the histogram is: (K,), (K,) -> (K,).

    How much probability each class gets for each time it is predicted: 1 / K each where all classes are as sure.
    """
    there = histogram > 0
    ratio = torch.where(there, mean / torch.where(there, histogram, 1.0), 0.0)
    return ratio / ratio.sum().clamp(min=LEAST)


def fairness(logits: Tensor, weight: Tensor, marginal: Tensor, histogram: Tensor) -> Tensor:
    """- H(a, b), the sum of a_c log b_c: (N, K) logits, (N,) weights, (K,), (K,) -> (). Wang et al. 2023, eq. 9 and 11.

    a = norm(marginal / histogram) of earlier steps, without a gradient; b = norm(p / h), p the mean prediction and h
    the histogram of the labels that the student gives the weighted rows. Classes that none of these rows is given to
    are left out (the official code adds log 1e-12 for each, without a gradient). 0 where no row has weight. Means or
    sums over rows are the same here, as b is normalised.
    """
    probs, weight = logits.softmax(1), weight.detach()[:, None]
    counts = (weight * harden(probs.detach())).sum(0)
    share = per_prediction((weight * probs).sum(0), counts)
    log = torch.where(counts > 0, share, 1.0).log()
    return (per_prediction(marginal.detach(), histogram.detach()) * log).sum()


@dataclass(eq=False, kw_only=True)
class Fairness:
    """Encourage the student to predict every class: FreeMatch's self-adaptive fairness, a term for any method.

    Wang et al. 2023 (arXiv 2205.07246), eq. 9-12: L_f = - H(a, b), at most 0, added to the objective with a positive
    weight w_f. The sign is the printed one, and the official code's, so that results can be compared; what it does is
    not what the paper says. Its gradient takes probability from a class by a_c / b_c: b moves away from a, where the
    term is greatest. The paper wants b close to a, which a negative weight does: it is then a cross-entropy, least at b
    = a. (Asked, the authors call the term an entropy that is maximised: microsoft/Semi-supervised-learning, issue 182.)

    The averages (of the teacher's mean prediction, and of the histogram of its labels) are the loss's own, taken from
    the raw pseudo-labels of unlabeled images, so that it fits any labelers; they move once a step, after it.
    Pseudo-labels that were filtered out have no part in b. Raises `RecipeError` where the unlabeled stream has no
    pseudo-labels.
    """

    about: ClassVar = ("student",)
    "A trait: the averages are of this student's pseudo-labels."
    weight: float = 0.001
    "The paper's w_f, 0.01 or 0.05 there, 0.001 in USB. Negative: the batch is drawn to the average, as the paper says."
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.999
    "Share of the old averages in the new ones."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """No class is predicted more than another."""
        classes = len(facts.classes)
        self.marginal_ = torch.full((classes,), 1 / classes, device=facts.device)
        self.histogram_ = self.marginal_.clone()

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views of `on`."""
        if step.unlabeled is None or step.unlabeled.targets is None:
            raise RecipeError(
                "[[loss]] fairness: goes by pseudo-labels of unlabeled images, and nobody makes any. Set "
                '`labels = "step"` with labelers, or leave it out'
            )
        logits = torch.cat([forward(view).logits for view in on])
        weight = torch.cat([step.batch_of(view).targets_of(view).weight for view in on])
        # Asked twice in a step it answers twice the same: the averages move when the step is done.
        return LossTerm(fairness(logits, weight, *self._with(step.unlabeled.targets.raw)), self.weight)

    @hookimpl
    def after_step(self, step: Step) -> None:
        """The averages take in the step's pseudo-labels."""
        if step.unlabeled is not None and step.unlabeled.targets is not None:
            self.marginal_, self.histogram_ = self._with(step.unlabeled.targets.raw)

    def _with(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Both averages with one more batch of probabilities (N, K)."""
        new = (raw.mean(0), harden(raw).mean(0))
        return moved(self.marginal_, new[0], self.decay), moved(self.histogram_, new[1], self.decay)

    def state_dict(self) -> dict[str, Any]:
        """Both averages."""
        return {"marginal": self.marginal_, "histogram": self.histogram_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.marginal_ = torch.as_tensor(state["marginal"]).to(self.marginal_)
        self.histogram_ = torch.as_tensor(state["histogram"]).to(self.histogram_)
