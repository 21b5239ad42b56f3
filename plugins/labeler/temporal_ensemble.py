"""Temporal Ensembling: each image's targets are the average of what the student said of it before."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor, nn

from sslkit import Batch, Facts, Forward, Step, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import Rows, moved
from ..room import require_room

NAME = "[[labeler]] temporal_ensemble"


def unbiased(memory: Tensor) -> Tensor:
    """The averages Z / (1 - a^t) of t probabilities each, (N, K) -> (N, K); of none, the uniform distribution.

    Laine & Aila 2017, Algorithm 2: averages begin at zeros, and 1 - a^t is what they hold after t of them. It is their
    own sum, as each probability's is 1; so nobody need count, and no digits are lost in the power of an a near 1.
    """
    mass = memory.sum(1, keepdim=True)
    return torch.where(mass > 0, memory / mass, 1 / memory.shape[1])


@dataclass(eq=False, kw_only=True)
class TemporalEnsemble:
    """Teach each unlabeled image the moving average of the student's earlier answers to it.

    Laine & Aila 2017 (arXiv 1610.02242), sec. 2.2: Z <- a Z + (1 - a) p whenever an image was trained on, targets Z /
    (1 - a^t). It makes labels at each step without any forward pass: what the student answered to the view of `on` (the
    mean, of several), for which a loss asks anyway, is remembered after the step. An image that was never seen has
    weight 0. The paper moves all averages at an epoch's end; here each moves when its image was seen, so that nothing
    waits. It holds 4 bytes for each image and class.

    Raises `RecipeError` where there is no unlabeled split, where the labeled stream is to be labeled, or where the view
    is mixed with others before the student sees it.
    """

    timing: ClassVar = "step"
    "A trait: it learns of an image when it is trained on."
    remembers: ClassVar = ("answers",)
    "A trait: rows of its views may not be mixed."
    about: ClassVar = ("student",)
    "A trait: the averages are of this student's answers."
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.6
    "The paper's alpha: share of the old average in the new one; 0 takes the last answer alone."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """A row of zeros for each unlabeled image."""
        if "unlabeled" not in facts.sizes:
            raise RecipeError(
                f"{NAME}: keeps a row for each unlabeled image, but the data has no unlabeled "
                "split whose size is known. Give [data] unlabeled images, or take another labeler (`soft_labels`)"
            )
        images, classes = facts.sizes["unlabeled"], len(facts.classes)
        require_room(NAME, "the averages", images, classes, facts.device, "take fewer unlabeled images", copies=1)
        self.memory_ = Rows(images, classes, device=facts.device)

    @hookimpl
    def make_teacher(self, student: nn.Module) -> nn.Module:
        """The student, by what it said before."""
        return student

    @hookimpl
    def label(self, batch: Batch, on: tuple[str, ...]) -> Targets:
        """The averages of the batch's images; weight 0 for images that were never seen."""
        if batch.stream != "unlabeled":
            raise RecipeError(
                f"{NAME}: remembers unlabeled images, but the {batch.stream} stream is to be "
                'labeled. Set `label_streams = ["unlabeled"]`'
            )
        memory = self.memory_.read(batch.index)
        targets = Targets.of(batch.index, unbiased(memory))
        return replace(targets, weight=memory.any(1).to(targets.weight.dtype))

    @hookimpl
    def after_step(self, step: Step, forward: Forward, on: tuple[str, ...]) -> None:
        """Remember the student's answers of this step; of an image that was drawn twice, the last."""
        batch = step.unlabeled
        views = [] if batch is None else [batch.views[name] for name in on if name in batch.views]
        if batch is None or not views:
            return
        if mixed := [view.name for view in views if view.targets is not None]:
            raise RecipeError(
                f"{NAME}: the view `{mixed[0]}` is mixed with other images before the student "
                "sees it, so its answers are of no image alone. Leave it out of the mixing plugin's `on`"
            )
        probs = torch.stack([forward(view).logits.detach().softmax(1) for view in views]).mean(0)
        self.memory_.write(batch.index, moved(self.memory_.read(batch.index), probs, self.decay))

    def state_dict(self) -> dict[str, Tensor]:
        """The averages as they are held."""
        return {"memory": self.memory_.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """What `state_dict` answered."""
        self.memory_.load(state["memory"])
