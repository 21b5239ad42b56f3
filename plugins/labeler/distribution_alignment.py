"""Distribution alignment: pseudo-labels whose classes come, on average, as often as they ought to."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval, Unit
from torch import Tensor

from sslkit import Batch, Facts, Forward, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import Queue, moved

LEAST = 1e-30
"A class that was never predicted has no ratio; this one keeps it finite, whatever it is multiplied with."


def aligned(probs: Tensor, target: Tensor, model: Tensor) -> Tensor:
    """Rows p * target / model, normalised: (N, K), (K,), (K,) -> (N, K), without a gradient.

    Berthelot et al. 2020 (ReMixMatch), sec. 3.1. `target` and `model` need not sum to 1. A row all of whose classes
    have target 0 stays as it is.
    """
    ratio = target.detach() / model.detach().clamp(min=LEAST)
    scaled = probs.detach() * ratio
    total = scaled.sum(1, keepdim=True)
    return torch.where(total > 0, scaled / total.clamp(min=LEAST), probs.detach())


def labeled_marginal(class_counts: tuple[int, ...]) -> Tensor:
    """Each class's share of the labeled images, (K,); even where none is counted (data that is not there)."""
    counts = torch.tensor(class_counts, dtype=torch.float32)
    return counts / counts.sum() if counts.sum() > 0 else torch.full_like(counts, 1 / len(counts))


@dataclass(eq=False, kw_only=True)
class DistributionAlignment:
    """Align pseudo-labels with the distribution that their classes ought to have: p * target / model, normalised.

    `model` is the mean of the teacher's predictions on unlabeled images, as they come here, over many steps: a moving
    average that starts at 1 / K, or the mean of the last batches. Both take in a step's own batch before it is aligned.

    | method | `target` | `memory` | source |
    |---|---|---|---|
    | ReMixMatch | `labeled` | `queue`, 128 | Berthelot et al. 2020, sec. 3.1 |
    | CoMatch | `uniform` | `queue`, 32 | Li et al. 2021, official code |
    | SimMatch | `uniform` | `queue`, 256 | Zheng et al. 2022, official code |
    | SoftMatch | `uniform` | `average`, 0.999 | Chen et al. 2023, sec. 3.2 |
    | AdaMatch | `predictions` | `queue`, 128 | Berthelot et al. 2022, google-research/adamatch |
    | CReST+ | `labeled`, `power` t | `average`, 0.999 | Wei et al. 2021, sec. 3.3 |

    The papers differ in how the mean begins. The official code of ReMixMatch and AdaMatch fills its queue with 1 / K
    beforehand (here empty places are left out, as in CoMatch), and ReMixMatch's takes a batch in after it is aligned;
    USB's moving average starts at the first batch's mean. AdaMatch's code has a moving average for labeled images only;
    here both have the same memory. A whole pool is aligned with its own mean, and `predictions` cannot work there.
    Labels of labeled images are aligned, but not remembered.

    Raises `RecipeError` where `predictions` has no view, or no step's labels to look at.
    """

    about: ClassVar = ("student",)
    "A trait: the mean is of this student's predictions."
    target: Literal["uniform", "labeled", "predictions"] = "uniform"
    """All classes alike, as the labels' classes are, or as the teacher predicts labeled images: the views of `on`,
    averaged as unlabeled ones are."""
    memory: Literal["average", "queue"] = "average"
    "An exponential moving average of the batches' means, or the mean of the last of them."
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.999
    "With `memory = 'average'`: share of the old average in the new one."
    batches: Annotated[int, Ge(1), Unit("batches")] = 128
    "With `memory = 'queue'`: how many batches are remembered."
    power: Annotated[float, Ge(0)] = 1.0
    "Power of the target, CReST+'s temperature t: below 1 it comes nearer to even, so that rare classes gain."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Nothing was predicted yet."""
        classes, device = len(facts.classes), facts.device
        even = torch.full((classes,), 1 / classes, device=device)
        self._fixed = labeled_marginal(facts.class_counts).to(device) if self.target == "labeled" else even
        names = ("unlabeled", "labeled") if self.target == "predictions" else ("unlabeled",)
        self.average_ = {name: even.clone() for name in names} if self.memory == "average" else {}
        self.queue_ = (
            Queue(self.batches, device, **dict.fromkeys(names, (classes,))) if self.memory == "queue" else None
        )

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, forward: Forward | None, on: tuple[str, ...]) -> Targets:
        """Aligned `probs`."""
        means = {"unlabeled": targets.probs.mean(0)}
        if self.target == "predictions":
            means["labeled"] = self._predicted(forward, on)
        if batch is not None:
            means = self._remembered(means, batch.stream == "unlabeled")
        target, model = means.get("labeled", self._fixed), means["unlabeled"]
        return targets.mapped(lambda probs: aligned(probs, target.to(probs) ** self.power, model.to(probs)))

    def _predicted(self, forward: Forward | None, on: tuple[str, ...]) -> Tensor:
        """The mean of the teacher's predictions on labeled views: (K,)."""
        if forward is None:
            raise RecipeError(
                '[[labeler]] distribution_alignment: `target = "predictions"` compares with labeled images at each '
                'step, but labels are made for the whole pool. Set `labels = "step"`, or take "labeled" or "uniform"'
            )
        if not on:
            raise RecipeError(
                '[[labeler]] distribution_alignment: `target = "predictions"` names no view. Say the labeled ones in '
                '`on`, such as on = "labeled"'
            )
        return torch.cat([forward(view).logits.softmax(1) for view in on]).mean(0).detach()

    def _remembered(self, means: dict[str, Tensor], moves: bool) -> dict[str, Tensor]:
        """A batch's means, averaged with those of earlier steps. `moves`: it is remembered itself."""
        if self.queue_ is not None:
            if moves:
                self.queue_.push(**{name: mean[None] for name, mean in means.items()})
            return {name: self.queue_[name].mean(0) for name in means} if len(self.queue_) else means
        if moves:
            self.average_ = {name: moved(old, means[name], self.decay) for name, old in self.average_.items()}
        return self.average_

    def state_dict(self) -> dict[str, Any]:
        """The means that are remembered."""
        return dict(self.average_) if self.queue_ is None else dict(self.queue_.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        if self.queue_ is not None:
            self.queue_.load_state_dict(state)
        self.average_ = {name: torch.as_tensor(state[name]).to(old) for name, old in self.average_.items()}
