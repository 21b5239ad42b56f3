"""Temporal Ensembling: each image's targets are the average of what the student said of it before."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor, nn

from sslkit import Batch, Facts, Forward, Step, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import last_of_each, moved


def unbiased(memory: Tensor, count: Tensor, decay: float) -> Tensor:
    """The averages Z / (1 - a^t) of t probabilities each: (N, K), (N,), a -> (N, K).

    Laine & Aila 2017, Algorithm 2: averages begin at zeros, and what is missing from their sum is 1 - a^t, as in Adam
    (Kingma & Ba 2015, sec. 3). Rows that hold nothing yet (t = 0) answer the uniform distribution.
    """
    mass = 1 - decay ** count.clamp(min=1).double()  # of a decay near 1, float32 would leave few digits
    probs = (memory / mass[:, None]).to(memory.dtype)
    return torch.where(count[:, None] > 0, probs, 1 / memory.shape[1])


@dataclass(eq=False, kw_only=True)
class TemporalEnsemble:
    """Teach each unlabeled image the moving average of the student's earlier answers to it.

    Laine & Aila 2017, sec. 2.2: Z <- a Z + (1 - a) p whenever an image was trained on, targets Z / (1 - a^t). It makes
    labels at each step without any forward pass: what the student answered to the view of `on` (the mean, of several),
    for which a loss asks anyway, is remembered after the step. An image that was never seen has weight 0. The paper
    moves all averages at an epoch's end; here each has a count of its own, so that nothing waits. It holds 4 bytes for
    each image and class, and 4 for each image.

    Raises `RecipeError` where there is no unlabeled split, where the labeled stream is to be labeled, or where the view
    is mixed with others before the student sees it.
    """

    timing: ClassVar = "step"
    "A trait: it learns of an image when it is trained on."
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.6
    "The paper's alpha: share of the old average in the new one; 0 takes the last answer alone."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """A row of zeros for each unlabeled image."""
        if "unlabeled" not in facts.sizes:
            raise RecipeError(
                "[[labeler]] temporal_ensemble: keeps a row for each unlabeled image, but the data has no unlabeled "
                "split whose size is known. Give [data] unlabeled images, or take another labeler (`soft_labels`)"
            )
        rows, device = facts.sizes["unlabeled"], facts.device
        self.memory_ = torch.zeros(rows, len(facts.classes), device=device)
        self.count_ = torch.zeros(rows, dtype=torch.int32, device=device)
        self._views: tuple[str, ...] = ()

    @hookimpl
    def make_teacher(self, student: nn.Module) -> nn.Module:
        """The student, by what it said before."""
        return student

    @hookimpl
    def label(self, batch: Batch, on: tuple[str, ...]) -> Targets:
        """The averages of the batch's images; weight 0 for images that were never seen."""
        if batch.stream != "unlabeled":
            raise RecipeError(
                f"[[labeler]] temporal_ensemble: remembers unlabeled images, but the {batch.stream} stream is to be "
                'labeled. Set `label_streams = ["unlabeled"]`'
            )
        self._views = on
        index = batch.index.to(self.memory_.device)
        count = self.count_[index]
        targets = Targets.of(batch.index, unbiased(self.memory_[index], count, self.decay))
        return replace(targets, weight=(count > 0).to(targets.weight.dtype))

    @hookimpl
    def after_step(self, step: Step, forward: Forward) -> None:
        """Remember the student's answers of this step; of an image that was drawn twice, the last."""
        batch = step.unlabeled
        views = [] if batch is None else [batch.views[name] for name in self._views if name in batch.views]
        if batch is None or not views:
            return
        if mixed := [view.name for view in views if view.targets is not None]:
            raise RecipeError(
                f"[[labeler]] temporal_ensemble: the view `{mixed[0]}` is mixed with other images before the student "
                "sees it, so its answers are of no image alone. Leave it out of the mixing plugin's `on`"
            )
        probs = torch.stack([forward(view).logits.detach().softmax(1) for view in views]).mean(0)
        index = batch.index.to(self.memory_.device)
        last = last_of_each(index, len(self.memory_))
        rows = index[last]
        self.memory_[rows] = moved(self.memory_[rows], probs[last], self.decay)
        self.count_[rows] += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Averages and counts."""
        return {"memory": self.memory_, "count": self.count_}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """What `state_dict` answered."""
        self.memory_.copy_(state["memory"])
        self.count_.copy_(state["count"])
