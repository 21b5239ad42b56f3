"""Kullback-Leibler divergence between soft targets and the student."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Forward, LossTerm, Step, Targets, global_mean, hookimpl

from ..probabilities import divergence, sharpen


@dataclass(eq=False, kw_only=True)
class Divergence:
    """KL divergence from a stream's targets to the student, KL(q || p), over all rows of the views of `on`.

    Xie et al. 2019 (UDA, arXiv 1904.12848, eq. 1 and sec. 3.2, with sharpened targets); with the rows that a filter
    rejected, ReFixMatch (Nguyen & Yang 2023, arXiv 2308.07509). It is the cross-entropy less the targets' entropy: same
    gradient, but zero where both agree.
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
        probs = torch.cat([target.raw if self.source == "raw" else target.probs for target in targets])
        probs = sharpen(probs, self.temperature) if self.temperature != 1 else probs
        logits = torch.cat([forward(view).logits for view in on])
        rows = divergence(logits, probs, torch.cat([self._weight(target) for target in targets]))
        return LossTerm(global_mean(rows), self.weight)

    def _weight(self, target: Targets) -> Tensor:
        kept = target.weight
        return {"kept": kept, "rejected": 1 - kept.clamp(max=1), "all": kept.new_ones(len(kept))}[self.rows]
