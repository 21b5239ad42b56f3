"""ABC: a second classifier that learns every class equally often, and answers when it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Facts, Forward, LossTerm, Outputs, Progress, Step, global_mean, hookimpl
from sslkit.errors import RecipeError

from ..heads import feature_width

NAME = "[[loss]] balanced_head"


def balancing_rates(class_counts: Sequence[int]) -> Tensor:
    """N_min / N_k, how often a row of each class is to be learned so that all are learned equally often: (K,) in 0-1.

    Lee, Shin & Kim 2021 (ABC), eq. 1. Of classes without a label nothing is known: they count as the rarest that has
    one.
    """
    counts = torch.tensor(class_counts, dtype=torch.float32)
    least = counts[counts > 0].min() if bool((counts > 0).any()) else torch.ones(())
    return least / counts.clamp(min=float(least))


def relaxed(rates: Tensor, fraction: float) -> Tensor:
    """1 - f (1 - r), from 1 at the start of training to the rates at its end (Lee et al. 2021, 3.3): (N,) -> (N,)."""
    return 1 - fraction * (1 - rates)


def drawn(rates: Tensor, generator: torch.Generator) -> Tensor:
    """Bernoulli draws, 1 with probability `rates`: (N,) -> (N,) of 0 and 1, without a gradient."""
    draws = torch.rand(rates.shape, generator=generator, device=rates.device)
    return (draws < rates.detach()).to(rates.dtype)


@dataclass(eq=False, kw_only=True)
class BalancedHead:
    """A second head, trained on class-balanced draws of the base method's rows, which is evaluated as the classifier.

    Lee, Shin & Kim 2021 (ABC, arXiv 2110.10368), eq. 1 to 4: on labeled views CE * Bernoulli(N_min / N_y); on unlabeled
    views CE to the head's own soft answer to the first of them, where its top probability reaches the threshold, times
    Bernoulli(1 - f (1 - N_min / N_c)), c the class it predicts and f the share of training that is done. Counts are
    those of the labels. Both are one term. The head reads what the classifier reads, in the same passes, and its
    gradient reaches the network; where labels are made at steps the classifier answers, so the base method stays as it
    is. The head answers in evaluation, and where the finished model labels a pool.

    Raises `RecipeError` where `on` names no labeled view, one after an unlabeled one, or a single unlabeled one.
    """

    weight: float = 1.0
    "Weight of the term in the objective."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.95
    "Smallest top probability of the head's answer that is learned from."
    head: str = "balanced"
    "Name of the head."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Rates of the labels' classes."""
        self._rates = balancing_rates(facts.class_counts).to(facts.device)

    @hookimpl
    def extend_model(self, student: Any) -> dict[str, nn.Module]:
        """A linear classifier."""
        return {self.head: nn.Linear(feature_width(student), student.classes)}

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...], progress: Progress) -> LossTerm:
        """One term: balanced labels, and balanced consistency where the unlabeled stream is on."""
        labeled = [view for view in on if step.batch_of(view) is step.labeled]
        unlabeled = [view for view in on if view not in labeled]
        if not labeled or len(unlabeled) == 1 or on != (*labeled, *unlabeled):
            raise RecipeError(
                f"{NAME}: `on` names {', '.join(on)}; it takes labeled views first, then two or more of the unlabeled "
                'stream, the first of which teaches the others: on = ["labeled", "weak", "strong"]'
            )
        value = self._labeled(step, forward, labeled, progress)
        if unlabeled:
            value = value + self._consistency(forward, unlabeled, progress)
        return LossTerm(value, self.weight)

    def _labeled(self, step: Step, forward: Forward, views: list[str], progress: Progress) -> Tensor:
        """The mean of CE * Bernoulli(N_min / N_y) over all labeled rows."""
        targets = [step.labeled.targets_of(view, truth=True) for view in views]
        probs, weight = (torch.cat([getattr(one, name) for one in targets]).detach() for name in ("probs", "weight"))
        logits = torch.cat([forward(view).heads[self.head] for view in views])
        chosen = drawn(self._rates[probs.argmax(1)], progress.torch("labeled", logits.device))
        return global_mean(functional.cross_entropy(logits, probs, reduction="none") * chosen * weight)

    def _consistency(self, forward: Forward, views: list[str], progress: Progress) -> Tensor:
        """The mean of CE(strong) * 1(max q >= threshold) * Bernoulli over all unlabeled rows."""
        first, *others = views
        target = forward(first).heads[self.head].detach().softmax(1)
        confidence, label = target.max(1)
        rates = relaxed(self._rates[label], progress.fraction)
        chosen = (confidence >= self.threshold) * drawn(rates, progress.torch("unlabeled", target.device))
        rows = [functional.cross_entropy(forward(o).heads[self.head], target, reduction="none") for o in others]
        return global_mean(torch.cat([row * chosen for row in rows]))

    @hookimpl
    def decide(self, outputs: Outputs, purpose: str) -> Tensor:
        """The head's logits, but for labels that are made at steps: these are the base method's."""
        return outputs.logits if purpose == "step" else outputs.heads[self.head]
