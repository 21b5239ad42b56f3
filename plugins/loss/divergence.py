"""Kullback-Leibler divergence between soft targets and the student."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval
from torch import Tensor
from torch.nn import functional

from sslkit import Forward, LossTerm, Step, Targets, global_mean, hookimpl

from ..labeler.sharpen import sharpen
from .cross_entropy import joined


def divergence(logits: Tensor, probs: Tensor, weight: Tensor) -> Tensor:
    """KL(q || p) = weight * sum over classes of q (log q - log softmax(logits)), by row: (N, K), (N, K), (N,) -> (N,).

    0 log 0 is 0. Neither targets nor weights receive a gradient; the logits receive that of the cross-entropy.
    """
    rows = functional.kl_div(logits.log_softmax(1), probs.detach(), reduction="none").sum(1)
    return rows * weight.detach()


@dataclass(eq=False, kw_only=True)
class Divergence:
    """KL divergence from a stream's targets to the student, KL(q || p), over all rows of the views of `on`.

    Xie et al. 2019 (UDA, eq. 1 and sec. 3.2, with sharpened targets); with the rows that a filter rejected, ReFixMatch
    (Nguyen 2023, eq. 6). It is the cross-entropy less the targets' entropy: same gradient, but zero where both agree.
    """

    weight: float = 1.0
    "Weight of the term in the objective; may be negative."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 1.0
    "T that sharpens the targets, not the student's answer: 1 changes nothing, smaller is harder."
    source: Literal["targets", "raw"] = "targets"
    "What to predict: the targets as the labelers left them, or the teacher's probabilities before all refinement."
    rows: Literal["kept", "rejected", "all"] = "kept"
    "Rows by their targets' weight w: `kept` weighs by w, `rejected` by 1 - w (what the filters took away), `all` by 1."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views of `on`."""
        targets = [step.batch_of(view).targets_of(view) for view in on]
        probs = joined([target.raw if self.source == "raw" else target.probs for target in targets])
        probs = sharpen(probs, self.temperature) if self.temperature != 1 else probs
        logits = joined([forward(view).logits for view in on])
        rows = divergence(logits, probs, joined([self._weight(target) for target in targets]))
        return LossTerm(global_mean(rows), self.weight)

    def _weight(self, target: Targets) -> Tensor:
        kept = target.weight
        return {"kept": kept, "rejected": 1 - kept.clamp(max=1), "all": kept.new_ones(len(kept))}[self.rows]
