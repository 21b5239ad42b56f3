"""Instance similarity: an image's labels and its likeness to each labeled image correct one another."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Interval, Unit
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Batch, Facts, Forward, LossTerm, Step, Targets, global_mean, hookimpl
from sslkit.errors import RecipeError

from ..heads import Projection, embeddings, feature_width
from ..memory import Rows, moved
from ..room import require_room
from ..views import is_labeled

NAME = "[[labeler]] instance_similarity"


def similarity(own: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """Likeness to labeled images, softmax(z B^T / t) (Zheng et al. 2022, sec. 3.2): (N, D), (M, D) -> (N, M)."""
    return (own @ bank.T / temperature).softmax(1)


def unfolded(likeness: Tensor, probs: Tensor, label: Tensor) -> Tensor:
    """Likeness to each labeled image times the probability of its class, renormalised: (N, M), (N, K), (M,) -> (N, M).

    Zheng et al. 2022, sec. 3.3, "unfolding". A row whose classes have no labeled image keeps its likeness as it is.
    """
    scaled = likeness * probs[:, label]
    total = scaled.sum(1, keepdim=True)
    return torch.where(total > 0, scaled / total.where(total > 0, 1), likeness)


def aggregated(likeness: Tensor, probs: Tensor, label: Tensor, share: float) -> Tensor:
    """Probabilities, and likenesses summed over each class, a to 1 - a: (N, M), (N, K), (M,) -> (N, K).

    Zheng et al. 2022, sec. 3.3, "aggregation". Both are probabilities, and so is what is between them.
    """
    members = label[:, None] == torch.arange(probs.shape[1], device=label.device)
    return share * probs + (1 - share) * likeness @ members.to(likeness)


def moved_rows(old: Tensor, new: Tensor, momentum: float) -> Tensor:
    """Embeddings that follow new ones, each row of length 1 (over its features): (M, D), (M, D) -> (M, D)."""
    return functional.normalize(moved(old, new, momentum), dim=1)


@dataclass(eq=False, kw_only=True)
class InstanceSimilarity:
    """Correct pseudo-labels by an image's likeness to each labeled image, and teach the likeness by the labels in turn.

    Zheng et al. 2022 (SimMatch, arXiv 2203.06915). A bank holds one embedding of every labeled image, by its position
    in the labeled stream. `on = ["weak", "strong", "labeled"]`: the first view is the one that was labeled, further
    ones of its stream learn its likenesses (this plugin's loss, over all rows), views of the labeled stream fill the
    bank once a step. Targets are to come already aligned. Until the bank has seen every labeled image (the paper's
    first epoch) labels stay as they are and the loss answers no term. Embeddings in the bank are the teacher's,
    detached.

    Raises `RecipeError` where `on` lacks one of these views, or begins with one of the labeled stream, where labels are
    made for the whole pool, and where the likenesses of a batch do not fit in memory.
    """

    timing: ClassVar = "step"
    "A trait: the bank follows the student's steps."
    about: ClassVar = ("student",)
    "A trait: embeddings of another network say nothing to it."
    weight: float = 1.0
    "Weight of the loss between likenesses."
    share: Annotated[float, Interval(ge=0, le=1)] = 0.9
    "a: how much of a row's own probabilities stays."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.1
    "t: smaller listens to the nearest labeled images alone."
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.7
    "Share of an image's old embedding in its new one; 0 where an averaged student teaches, which is slow by itself."
    head: str = "instance"
    "Name of the head that this plugin puts on the model."
    width: Annotated[int, Ge(1), Unit("dimensions")] = 128
    "Length of an embedding."

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """The head: a perceptron with one hidden layer, its answers of length 1."""
        return {self.head: Projection(feature_width(student), self.width)}

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """A bank as long as the labeled set, nothing in it."""
        if not (rows := facts.sizes.get("labeled", 0)):
            raise RecipeError(f"{NAME}: compares with labeled images, and it is not known how many there are")
        require_room(NAME, "likenesses to labeled images", max(facts.batch.values()), rows, facts.device,
                     "make `batch.unlabeled` smaller")  # fmt: skip
        require_room(NAME, "classes of the labeled images", rows, len(facts.classes), facts.device,
                     "compare with fewer images", copies=1)  # fmt: skip
        self.bank_ = Rows(rows, self.width, device=facts.device)
        self.label_ = Rows(rows, dtype=torch.long, device=facts.device)
        self.seen_ = Rows(rows, dtype=torch.bool)  # on the CPU: asked at each step, it must not wait for a GPU
        self._targets: Tensor | None = None
        self._labeled: list[Tensor] = []

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, forward: Forward | None, on: tuple[str, ...]) -> Targets:
        """Aggregated `probs`; the likenesses to learn are kept for the loss."""
        if batch is None or forward is None:
            raise RecipeError(
                f'{NAME}: follows steps, but labels are made for the whole pool. Set labels = "step", or leave it out'
            )
        if on and is_labeled(on[0], batch):
            raise RecipeError(
                f"{NAME}: `on` names {', '.join(on)}, and {on[0]} is of the labeled stream; first comes the unlabeled "
                'view that is labeled, then one that learns, then a labeled one: on = ["weak", "strong", "labeled"]'
            )
        if not on or on[0] not in batch.views:
            return targets
        others = [view for view in on if view not in batch.views]
        if len(on) - len(others) < 2 or not others:
            raise RecipeError(
                f"{NAME}: `on` names {', '.join(on)}; it takes the view that is labeled, one that learns, and one of "
                'the labeled stream: on = ["weak", "strong", "labeled"]'
            )
        own, *self._labeled = (embeddings(forward(view), self.head, NAME).detach() for view in (on[0], *others))
        if not self.seen_.values.all():
            return targets
        bank, label = self.bank_.values, self.label_.values
        likeness = similarity(own, bank, self.temperature)
        self._targets = unfolded(likeness, targets.probs, label)
        return replace(targets, probs=aggregated(likeness, targets.probs, label, self.share))

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> list[LossTerm]:
        """Cross-entropy between the likenesses of the first view, corrected, and those of the further ones."""
        if self._targets is None:
            return []
        batch = step.batch_of(on[0])
        learn = [embeddings(forward(view), self.head, NAME) for view in on[1:] if view in batch.views]
        logits = [own @ self.bank_.values.T / self.temperature for own in learn]
        rows = [functional.cross_entropy(one, self._targets, reduction="none") for one in logits]
        return [LossTerm(global_mean(torch.cat(rows)), self.weight)]

    @hookimpl
    def after_step(self, step: Step) -> None:
        """The step's labeled images move their embeddings."""
        batch, waiting = step.labeled, self._labeled
        self._targets, self._labeled = None, []
        assert batch.truth is not None
        for new in waiting:
            self._write(batch.index.cpu(), batch.truth, new)

    def _write(self, index: Tensor, label: Tensor, new: Tensor) -> None:
        """Rows by position in the labeled stream; of an image that came twice in a batch, the last."""
        for memory in (self.bank_, self.label_, self.seen_):
            memory.grow(int(index.max()) + 1)  # another plugin may have promoted images into the stream
        first = ~self.seen_.read(index)[:, None]
        own = moved_rows(self.bank_.read(index), new, self.momentum)
        self.bank_.write(index, torch.where(first.to(new.device, non_blocking=new.is_cuda), new, own))
        self.label_.write(index, label)
        self.seen_.write(index, torch.ones_like(index))

    def state_dict(self) -> dict[str, Any]:
        """The bank."""
        return {"bank": self.bank_.values, "label": self.label_.values, "seen": self.seen_.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        for name, memory in (("bank", self.bank_), ("label", self.label_), ("seen", self.seen_)):
            memory.grow(len(state[name]))
            memory.load(state[name])
