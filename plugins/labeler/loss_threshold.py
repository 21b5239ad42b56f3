"""A threshold on the pseudo-labels' loss: it starts at that of the labeled images, and shrinks."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval, Unit
from torch import Tensor
from torch.nn import functional

from sslkit import Batch, Facts, Forward, Progress, Step, Targets, hookimpl

from ..memory import Rows
from ..probabilities import harden, kept_only, sharpen


def largest_loss(initial: float, times: int, factor: float, gamma: float, floor: float) -> float:
    """The bar max(floor, C * gamma^-j * rho_hat) after j cuts (Xu et al. 2021, Algorithm 1, with a floor)."""
    return max(floor, factor * gamma**-times * initial)


@dataclass(eq=False, kw_only=True)
class LossThreshold:
    """Keep pseudo-labels whose own loss, -log of the top probability, is at most rho; rho is cut again and again.

    Dash (Xu et al. 2021, arXiv 2109.00650): rho starts at the mean loss of the labeled training images after a
    supervised warm-up. It is measured wherever this plugin stands in a generation in which nothing is labeled: each
    labeled image's last loss. Without such a generation rho starts at ln K, the loss of a student that knows nothing.
    Targets are sharpened until rho reaches its floor, hard from then on; neither `sharpen` nor `hard_labels` is needed.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets have no loss."
    loses: ClassVar = ("confidence",)
    "A trait: in the end every target is as sure as can be."
    about: ClassVar = ("student",)
    "A trait: the losses are those of a student that goes on from them."
    every: Annotated[int, Ge(1), Unit("steps")] = 10_240
    "Steps of a generation between cuts; the default is the paper's ten epochs, a hundredth of its training."
    gamma: Annotated[float, Gt(1)] = 1.27
    "What rho is divided by at each cut."
    factor: Annotated[float, Gt(0)] = 1.0001
    "C, the factor on the first rho."
    floor: Annotated[float, Gt(0)] = 0.05
    "Smallest rho, in nats: a loss of 0.05 is a confidence of 0.951."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.5
    "T that sharpens the targets until rho reaches its floor."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """No labeled image's loss is known."""
        self._untrained = math.log(len(facts.classes))
        self.loss_ = Rows(facts.sizes["labeled"], fill=-1.0, device=facts.device)
        self._initial: float | None = None  # not yet computed from these

    @hookimpl
    def refine(self, targets: Targets, progress: Progress) -> Targets:
        """Weight 0 for rows of too large a loss; sharpened `probs`, one-hot ones once rho is as small as it gets."""
        rho = self.rho(progress)
        kept = -targets.confidence.log() <= rho
        harder = harden if rho == self.floor else partial(sharpen, temperature=self.temperature)
        return kept_only(targets, kept).mapped(harder)

    def rho(self, progress: Progress) -> float:
        """The largest loss that is kept at a step."""
        return largest_loss(self.initial, progress.step // self.every, self.factor, self.gamma, self.floor)

    @property
    def initial(self) -> float:
        """rho_hat, the mean of the labeled images' last losses; computed once, as long as none is noted."""
        if self._initial is None:
            known = self.loss_.values[self.loss_.values >= 0]
            self._initial = known.double().mean().item() if len(known) else self._untrained
        return self._initial

    @hookimpl
    def after_step(self, step: Step, forward: Forward) -> None:
        """Note the labeled images' losses, as the student's training made them, while nothing is labeled."""
        if all(batch.targets is None for batch in step.batches):
            view = next(iter(step.labeled.views))
            probs = step.labeled.targets_of(view).probs
            loss = functional.cross_entropy(forward(view).logits.detach(), probs, reduction="none")
            self._note(step.labeled, loss)

    def _note(self, batch: Batch, loss: Tensor) -> None:
        inside = batch.index < len(self.loss_)  # rows of the labeled split, not such as were promoted into its stream
        self.loss_.write(batch.index.clamp(max=len(self.loss_) - 1), loss, inside)
        self._initial = None

    def state_dict(self) -> dict[str, Any]:
        """Each labeled image's last loss, -1 where none is known."""
        return {"loss": self.loss_.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.loss_.load(state["loss"])
        self._initial = None
