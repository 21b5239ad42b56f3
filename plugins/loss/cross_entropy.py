"""Cross-entropy with soft or hard targets: supervised learning, and distillation."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional

from sslkit import Forward, LossTerm, Step, global_mean, hookimpl


def smooth_hard(probs: Tensor, smoothing: float) -> Tensor:
    """Label smoothing, (1 - e) q + e / K, of the rows that are one-hot; soft rows stay. (N, K) -> (N, K).

    A soft label says already how unsure its teacher is: smoothing it would say so twice.
    """
    hard = ((probs == 1).any(1) & ((probs != 0).sum(1) == 1))[:, None]
    return torch.where(hard, probs * (1 - smoothing) + smoothing / probs.shape[1], probs)


def cross_entropy(logits: Tensor, probs: Tensor, weight: Tensor) -> Tensor:
    """- weight * sum over classes of q log softmax(logits), for each row: (N, K), (N, K), (N,) -> (N,).

    Neither targets nor weights receive a gradient.
    """
    return functional.cross_entropy(logits, probs.detach(), reduction="none") * weight.detach()


def joined(parts: list[Tensor]) -> Tensor:
    """All rows; one part stays as it is, as `cat` would copy it."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(eq=False, kw_only=True)
class CrossEntropy:
    """Cross-entropy between a stream's targets and the student, over all rows of the views of `on`.

    Xie et al. 2020, eq. 1 and 2; Sohn et al. 2020, eq. 3 and 4. Filtered rows count as zeros in the mean.
    """

    acts_on_hard: ClassVar = ("label_smoothing",)
    "A trait: soft targets are never smoothed."
    weight: float = 1.0
    "Weight of the term in the objective; may be negative."
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    "Share of the uniform distribution mixed into one-hot targets (truth or hard pseudo-labels), never into soft ones."
    weighting: Literal["plain", "batch_ratio"] = "plain"
    """The mean over rows as it is, or multiplied by the rows of this stream for each labeled row: `batch_ratio` on the
    unlabeled stream gives CE_L + mu * CE_U, as Noisy Student's official code has it."""
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 1.0
    """T of the student's answer, T^2 * H(q, softmax(logits / T)); the targets' own is `sharpen`'s, with the same T for
    distillation (Hinton et al. 2015, sec. 2: gradients shrink as 1 / T^2, and the factor keeps their size)."""
    to: Literal["targets", "truth"] = "targets"
    "Learn a labeled stream by its truth even where a teacher labels it too."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views of `on`."""
        targets = [step.batch_of(view).targets_of(view, truth=self.to == "truth") for view in on]
        probs = joined([target.probs for target in targets])
        probs = smooth_hard(probs, self.label_smoothing) if self.label_smoothing else probs
        logits = joined([forward(view).logits for view in on])
        weight = joined([target.weight for target in targets])
        if self.temperature != 1:
            logits, weight = logits / self.temperature, weight * self.temperature**2
        return LossTerm(global_mean(cross_entropy(logits, probs, weight)) * self._ratio(step, on), self.weight)

    def _ratio(self, step: Step, on: tuple[str, ...]) -> float:
        if self.weighting == "plain":
            return 1.0
        streams = {batch.stream: len(batch.index) for batch in map(step.batch_of, on)}
        return sum(streams.values()) / len(step.labeled.index)
