"""Memory smoothing: a pseudo-label leans towards those of similar images of the last steps."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Interval, Unit
from torch import Tensor

from sslkit import Batch, Facts, Forward, Step, Targets, hookimpl
from sslkit.errors import RecipeError

from ..heads import embeddings
from ..memory import Queue
from ..room import require_room
from ..views import is_labeled

NAME = "[[labeler]] memory_smoothing"


def smoothed(
    probs: Tensor, own: Tensor, remembered: Tensor, remembered_probs: Tensor, share: float, temperature: float
) -> Tensor:
    """Smoothed probabilities, a p + (1 - a) softmax(z Q^T / t) P.

    Li et al. 2021 (CoMatch), sec. 3, "memory-smoothed pseudo-labels". `probs` (N, K) with their rows' embeddings
    (N, D), those of the memory (M, D) with their probabilities (M, K), the share a of a row's own -> (N, K).
    """
    near = (own @ remembered.T / temperature).softmax(1)
    return share * probs + (1 - share) * near @ remembered_probs


@dataclass(eq=False, kw_only=True)
class MemorySmoothing:
    """Smooth pseudo-labels by those of similar images in a memory of the last steps, labeled images included.

    Li, Xiong & Hoi 2021 (CoMatch, arXiv 2011.11183), sec. 3. The first view of `on` is the one that was labeled; views
    of the labeled stream go into the memory with their truth: `on = ["weak", "labeled"]`. As in the official code, a
    row enters the memory with its probabilities before smoothing, once a step, after targets are made; nothing is
    smoothed before the memory is full; and embeddings are the teacher's, detached: the student's own with
    `current_student` (as for CIFAR-10), its average's with `averaged_student` (as for ImageNet).

    Raises `RecipeError` where `on` begins with a view of the labeled stream, where the model has no such head, and
    where the similarities of a batch to the memory do not fit in the device's memory.
    """

    timing: ClassVar = "step"
    "A trait: the memory is of steps."
    about: ClassVar = ("student",)
    "A trait: embeddings of another network say nothing to it."
    share: Annotated[float, Interval(ge=0, le=1)] = 0.9
    "a: how much of a row's own probabilities stays."
    batches: Annotated[int, Ge(1), Unit("steps")] = 5
    "Steps whose rows the memory holds."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.2
    "t: smaller listens to the nearest rows alone."
    head: str = "projection"
    'Head that makes embeddings, put on the model by another plugin; "" takes the features themselves.'

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """An empty memory, made when the first rows say how wide they are."""
        self.queue_: Queue | None = None
        self._device = facts.device
        self._waiting: tuple[list[Tensor], Tensor] | None = None
        rows = self.batches * sum(facts.batch.values())
        for what, columns in (("similarities of a batch and the memory", max(facts.batch.values())),
                              ("the memory's probabilities", len(facts.classes))):  # fmt: skip
            require_room(NAME, what, rows, columns, facts.device, "make `batches` or `batch.unlabeled` smaller")

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, forward: Forward | None, on: tuple[str, ...]) -> Targets:
        """Smoothed `probs` of the stream that the first view of `on` is of; the other's stay."""
        if batch is None or forward is None:
            raise RecipeError(
                f'{NAME}: remembers steps, but labels are made for the whole pool. Set labels = "step", or leave it out'
            )
        if not on:
            raise RecipeError(f'{NAME}: `on` names no view; say e.g. on = ["weak", "labeled"]')
        if is_labeled(on[0], batch):
            raise RecipeError(
                f"{NAME}: `on` names {', '.join(on)}, and {on[0]} is of the labeled stream; first comes the unlabeled "
                'view that is labeled, then those whose truth is remembered: on = ["weak", "labeled"]'
            )
        if on[0] not in batch.views:
            return targets
        others = [view for view in on[1:] if view not in batch.views]
        own, *labeled = (embeddings(forward(view), self.head, NAME).detach() for view in (on[0], *others))
        self._waiting = [own, *labeled], targets.probs
        if self.queue_ is None or len(self.queue_) < self.queue_.rows:
            return targets
        memory = self.queue_["embeddings"], self.queue_["probs"]
        return replace(targets, probs=smoothed(targets.probs, own, *memory, self.share, self.temperature))

    @hookimpl
    def after_step(self, step: Step) -> None:
        """What was labeled enters the memory, and labeled images with their truth."""
        if self._waiting is None:
            return
        (own, *labeled), probs = self._waiting
        truth = step.labeled.truth
        assert truth is not None
        hard = probs.new_zeros(len(truth), probs.shape[1]).scatter_(1, truth[:, None], 1.0)
        rows = {"embeddings": torch.cat([own, *labeled]), "probs": torch.cat([probs, *[hard] * len(labeled)])}
        if self.queue_ is None:
            self.queue_ = self._queue(self.batches * len(rows["probs"]), rows)
        self.queue_.push(**rows)
        self._waiting = None

    def _queue(self, rows: int, columns: dict[str, Tensor]) -> Queue:
        return Queue(rows, self._device, **{name: tuple(column.shape[1:]) for name, column in columns.items()})

    def state_dict(self) -> dict[str, Any]:
        """The memory, once there is one."""
        return dict(self.queue_.state_dict()) if self.queue_ else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        if "embeddings" in state:
            columns = {name: state[name] for name in ("embeddings", "probs")}
            self.queue_ = self._queue(len(state["probs"]), columns)
            self.queue_.load_state_dict(state)
