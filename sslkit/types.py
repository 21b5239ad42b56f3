"""What flows through the hooks. Shapes: N rows, K classes, H x W pixels, C channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .dataset import Image, Images, Rows
from .pool import TopK
from .randomness import key, numpy_generator, torch_generator

Keys = NDArray[np.uint64]  # (N,)


Purpose = Literal["evaluation", "pool", "step"]
"What an answer is for: to be measured, or to label the pool or a step's images."


class Transform(Protocol):
    """What `image_transforms` returns: perturbs a batch, row i by `keys[i]` alone (see `sslkit.randomness.uniform`).

    Takes and returns (N, H, W, C) uint8. A transform whose attribute `resizes` is true takes a list of (H, W, C) images
    of any size instead and replaces the view's resize and centre crop; a view has one of them at most.
    """

    def __call__(self, images: Any, keys: Keys) -> Image:
        """(N, H, W, C) uint8 -> (N, H, W, C) uint8."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a run stands, and the only randomness a plugin may use."""

    seed: int
    generation: int = 0
    step: int = 0
    steps: int = 1
    plugin: str = ""
    scope: str = ""  # what the draws are for, where a step has several: a view, the pool's labels

    @property
    def fraction(self) -> float:
        """The share of this generation's steps that is done: 0 before the first step, 1 at the end."""
        return self.step / self.steps

    def key(self, stream: str = "") -> int:
        """The 64-bit key of this plugin's draws at this step; name a `stream` to draw several times."""
        return key(self.seed, self.generation, self.step, self.plugin, stream, *([self.scope] if self.scope else []))

    def torch(self, stream: str = "", device: torch.device | str = "cpu") -> torch.Generator:
        """A torch generator for this plugin at this step."""
        return torch_generator(self.key(stream), device)

    def numpy(self, stream: str = "") -> np.random.Generator:
        """A numpy generator for this plugin at this step (torch's Beta takes none)."""
        return numpy_generator(self.key(stream))


@dataclass(frozen=True)
class Facts:
    """What a plugin may know when a generation begins."""

    classes: tuple[str, ...]
    class_counts: tuple[int, ...]  # labeled images of each class
    sizes: dict[str, int]  # images of each split: labeled, unlabeled, validation, test
    batch: dict[str, int]  # rows of each stream in a step
    image_size: int  # pixels on a side, as the model sees them
    channels: int
    device: torch.device


@dataclass(eq=False)
class Targets:
    """Pseudo-labels of N rows: a batch, or the whole pool ("a pool is a big batch"). They carry no gradient."""

    index: Tensor  # (N,) position in the stream's data set
    raw: Tensor  # (N, K) the teacher's probabilities, untouched; of a pool with many classes a `sslkit.pool.TopK`
    probs: Tensor  # (N, K) what the student is asked to predict; a hard label is one-hot; may be a `TopK`, as `raw`
    weight: Tensor  # (N,) in the loss; 0 = filtered out
    copies: Tensor  # (N,) pool only: how often an epoch draws a row (2.3 = 2 or 3); losses never see it

    @classmethod
    def of(cls, index: Tensor, probs: Tensor) -> Targets:
        """Fresh targets, nothing filtered: `index` (N,), `probs` (N, K)."""
        probs = probs.detach()
        ones = torch.ones(len(probs), device=probs.device)
        return cls(index.to(probs.device, non_blocking=probs.is_cuda), probs, probs, ones, ones.clone())

    @property
    def label(self) -> Tensor:
        """(N,) the most probable class."""
        return self.probs.argmax(1)

    @property
    def confidence(self) -> Tensor:
        """(N,) the probability of `label`."""
        return self.probs.amax(1)

    @property
    def kept(self) -> Tensor:
        """(N,) bool: rows that teach anything."""
        return (self.copies > 0) & (self.weight > 0)

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Targets:
        """The same rows, `probs` changed each by itself: `function` takes and returns (M, K), not always all at once."""
        probs = cast("Tensor | TopK", self.probs)
        return replace(self, probs=cast(Tensor, probs.map(function) if isinstance(probs, TopK) else function(probs)))

    def pieces(self, rows: int = 1 << 18) -> Iterator[Targets]:
        """So many rows after another, a `TopK` as one: a pool that is mapped into memory is read piece by piece."""
        for start in range(0, len(self.index), rows):
            place = slice(start, start + rows)
            columns = (cast("Tensor | TopK", getattr(self, name)) for name in self.columns)
            yield Targets(*(cast(Tensor, c.part(place) if isinstance(c, TopK) else c[place]) for c in columns))

    def rows(self, index: Tensor | slice) -> Targets:
        """The rows at `index` (M,), or of a slice, with all their classes."""
        return Targets(*(getattr(self, name)[index] for name in self.columns))

    def to(self, device: torch.device) -> Targets:
        """The same rows on `device`."""
        return Targets(*(getattr(self, name).to(device) for name in self.columns))

    columns = ("index", "raw", "probs", "weight", "copies")


@dataclass(eq=False)
class View:
    """Images of one batch, perturbed one way. Replaced, never changed in place: answers are cached per object."""

    name: str
    images: Tensor  # (N, C, H, W) floats in 0-1, before normalisation
    targets: Targets | None = None  # None: the batch's own


@dataclass(eq=False)
class Batch:
    """One stream's rows of a step."""

    stream: str  # "labeled" or "unlabeled"
    index: Tensor  # (N,) position in the data set
    position: Tensor  # (N,) global draw number: the key of this row's randomness
    views: dict[str, View]
    truth: Tensor | None = None  # (N,) labels, on the labeled stream
    targets: Targets | None = None
    classes: int = 0  # K
    weight: Tensor | None = None  # (N,) of the truth, where the data says it

    def targets_of(self, view: str, truth: bool = False) -> Targets:
        """What to predict on a view: its own targets, else the batch's pseudo-labels (skipped for `truth`), else truth."""
        targets = self.views[view].targets or (None if truth else self.targets)
        if targets is not None:
            return targets
        if self.truth is None:
            raise LookupError(f"the {self.stream} stream has no targets: nothing labels it")
        empty = torch.zeros(len(self.truth), self.classes, device=self.truth.device)
        sure = Targets.of(self.index, empty.scatter_(1, self.truth[:, None], 1.0))  # `one_hot` would search a maximum
        return sure if self.weight is None else replace(sure, weight=self.weight)


@dataclass(eq=False)
class Step:
    """What one training step sees."""

    labeled: Batch
    unlabeled: Batch | None
    progress: Progress

    @property
    def batches(self) -> list[Batch]:
        """The streams that are present."""
        return [self.labeled] if self.unlabeled is None else [self.labeled, self.unlabeled]

    @property
    def views(self) -> dict[str, View]:
        """Every view, whichever stream it is of."""
        return {name: view for batch in self.batches for name, view in batch.views.items()}

    def batch_of(self, view: str) -> Batch:
        """The batch that holds a view."""
        for batch in self.batches:
            if view in batch.views:
                return batch
        raise KeyError(view)

    def with_views(self, *views: View) -> Step:
        """The same step with some views replaced (the name says which); nothing is changed in place."""
        fresh = {view.name: view for view in views}
        batches = [
            replace(batch, views={name: fresh.get(name, view) for name, view in batch.views.items()})
            for batch in self.batches
        ]
        return replace(self, labeled=batches[0], unlabeled=batches[1] if len(batches) > 1 else None)


@dataclass(eq=False)
class Outputs:
    """One model's answer to one view."""

    logits: Tensor  # (N, K)
    features: Tensor | None = None  # (N, D) what the classifier saw
    heads: dict[str, Tensor] = field(default_factory=dict)


class Forward(Protocol):
    """Runs the recipe's passes: `forward("strong")`, `forward(View(...), "teacher")` -> `Outputs`, cached.

    Without a model's name it answers with the teacher inside `label`, with the student elsewhere.
    """

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        """One model's answer to one view."""
        ...


@dataclass(eq=False)
class LossTerm:
    """One term of the objective: `weight * value`. The engine names it after its plugin."""

    value: Tensor  # scalar
    weight: float = 1.0  # may be negative
    name: str = ""  # only where a plugin has several terms


@dataclass(frozen=True)
class ViewSpec:
    """A view as the recipe declares it."""

    name: str
    stream: str
    size: int  # pixels on a side
    channels: int
    crop: float = 1.0  # share of an image that is shown, where no noise crops it
    fit: str = "crop"  # how an image of another shape becomes a square: see `sslkit.images.fitting`
    border: tuple[int, ...] = ()  # (C,) value of pixels that an image does not reach; empty: black


class Classifier(Protocol):
    """A trained model as metrics see it: un-noised, on running statistics.

    A metric of images that it changes itself goes through a split by `batches`, and asks by `answer` or `logits`: its
    memory does not depend on the split's size.
    """

    @property
    def network(self) -> nn.Module:
        """(N, C, H, W) floats in 0-1 -> `Outputs`, differentiable."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        ...

    def __call__(self, images: Images) -> Tensor:
        """(N, K) probabilities of a whole split, on the CPU; made once per evaluation, however many ask."""
        ...

    def batches(self, images: Images, positions: Rows | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """A split piece by piece, in order: positions (M,) and images (M, H, W, C) uint8 as the model sees them.

        `positions` (N,): of which images, and in which order; None: of all. The pieces are those of `__call__`.
        """
        ...

    def answer(self, images: Tensor) -> Tensor:
        """(M, H, W, C) uint8 of the size that `batches` has -> (M, K) probabilities, on the CPU."""
        ...

    def logits(self, images: Tensor) -> Tensor:
        """(M, C, H, W) floats in 0-1 on `device` -> the (M, K) logits that are gone by, differentiable by the images."""
        ...


@dataclass(frozen=True)
class Event:
    """What a tracker is told. `kind`: rehearsal, start, labels, step, evaluation, generation, baseline, warning, end, failure."""

    kind: str
    progress: Progress
    values: dict[str, Any]
