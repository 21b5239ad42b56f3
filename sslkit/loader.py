"""Makes views: which rows a step draws, and what noise does to their images. A pure function of the step's number.

So results depend neither on how many workers make them nor on where a run was stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .dataset import Image, Images
from .errors import PluginError, SslkitError, told
from .images.fitting import fitted
from .randomness import key, numpy_generator, row_keys, uniform
from .types import Transform, ViewSpec

Rows = NDArray[np.int64]


class Sampler:
    """The endless order in which a stream draws its rows: one permutation after another.

    A row with 2.3 copies comes 2 or 3 times in a pass: points at unit distance, from a random start, are laid over the
    cumulated copies (systematic resampling), so its long-run share is exact and nothing is copied. Tiny labeled sets
    need no filling up: with 40 labels and 64 rows a batch simply crosses into the next permutation.
    """

    def __init__(self, base: int, copies: NDArray[np.float64]) -> None:
        self.base = base
        self.uniform_copies = bool((copies == 1).all())
        self.ends = np.cumsum(copies)
        if not len(copies) or self.ends[-1] < 1:
            raise SslkitError("no row is left to draw: every pseudo-label was filtered out")
        self._starts = [0]
        self._orders: dict[int, Rows] = {}

    def _offset(self, epoch: int) -> float:
        return float(uniform(row_keys(self.base, np.array([epoch])), 1)[0, 0])

    def _length(self, epoch: int) -> int:
        return len(self.ends) if self.uniform_copies else int(np.ceil(self.ends[-1] - self._offset(epoch)))

    def _order(self, epoch: int) -> Rows:
        """Row numbers of one pass, shuffled; the last two passes are kept, as batches cross from one to the next."""
        if epoch not in self._orders:
            points = self._offset(epoch) + np.arange(self._length(epoch))
            rows = np.arange(len(self.ends))
            if not self.uniform_copies:
                rows = np.minimum(np.searchsorted(self.ends, points, side="right"), len(self.ends) - 1)
            numpy_generator(key(self.base, epoch)).shuffle(rows)
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1} | {epoch: rows}
        return self._orders[epoch]

    def rows(self, position: Rows) -> Rows:
        """Row numbers at global draw positions (N,)."""
        while self._starts[-1] <= position[-1]:
            self._starts.append(self._starts[-1] + self._length(len(self._starts) - 1))
        epochs = np.searchsorted(self._starts, position, side="right") - 1
        return np.concatenate(
            [self._order(int(e))[position[epochs == e] - self._starts[e]] for e in np.unique(epochs)]
        )  # positions ascend, so epochs do


@dataclass(eq=False)
class ViewMaker:
    """One view of one stream: resizing, then every plugin's transforms with their keys."""

    spec: ViewSpec
    seed: int
    generation: int
    transforms: list[tuple[str, Transform]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bases = [
            key(self.seed, self.generation, name, self.spec.stream, self.spec.name) for name, _ in self.transforms
        ]
        resizing = [name for name, transform in self.transforms if getattr(transform, "resizes", False)]
        if len(resizing) > 1:
            raise PluginError(f"view `{self.spec.name}`: both {resizing[0]} and {resizing[1]} resize; one may")
        self.resized = bool(resizing)

    def __call__(self, images: list[Image], position: Rows) -> Image:
        """(N,) images of any size -> (N, size, size, C)."""
        return self.noised(self.fit(images), position)

    def fit(self, images: list[Image]) -> Any:
        """Images of any size -> (N, size, size, C), or as they are where a transform resizes them."""
        return images if self.resized else fitted(images, self.spec)

    def noised(self, made: Any, position: Rows) -> Image:
        """What `fit` made (N,) -> (N, size, size, C), with the noise of draw positions (N,)."""
        for base, (name, transform) in zip(self.bases, self.transforms, strict=True):
            made = self._transformed(name, transform, made, row_keys(base, position))
        return np.ascontiguousarray(made)

    def _transformed(self, name: str, transform: Transform, images: Any, keys: NDArray[np.uint64]) -> Any:
        where = f"[noise] {name.rpartition('.')[0]}: its transform on view `{self.spec.name}`"
        try:
            made = transform(images, keys)
        except SslkitError:
            raise
        except Exception as error:
            raise PluginError(f"{where} raised {told(error)}") from error
        expected = (len(keys), self.spec.size, self.spec.size, self.spec.channels)
        got_list = isinstance(made, list)  # only before the one that resizes
        if not got_list and (getattr(made, "shape", None) != expected or made.dtype != np.uint8):
            got = f"{getattr(made, 'dtype', type(made).__name__)} {getattr(made, 'shape', '')}"
            raise PluginError(f"{where} answered {got}; uint8 {expected} was expected")
        return made


@dataclass(eq=False)
class StreamLoader:
    """One stream's part of a step."""

    name: str
    sources: list[Images]  # where rows come from: `origin` chooses
    origin: Rows
    index: Rows
    batch: int
    sampler: Sampler
    views: list[ViewMaker]

    def load(self, step: int) -> dict[str, Any]:
        """Rows, draw positions and views of one step."""
        position = np.arange(step * self.batch, (step + 1) * self.batch)
        rows = self.sampler.rows(position)
        images = self.read(rows)
        views = {view.spec.name: view(images, position) for view in self.views}
        return {
            "index": torch.from_numpy(rows),
            "position": torch.from_numpy(position),
            "views": {name: torch.from_numpy(images) for name, images in views.items()},
        }

    def read(self, rows: Rows) -> list[Image]:
        """Images of row numbers, from whichever split each lies in."""
        origin, index = self.origin[rows], self.index[rows]
        if not origin.any():
            return self.sources[0].read(index)
        images: list[Image] = [np.empty(0, np.uint8)] * len(rows)
        for number, source in enumerate(self.sources):
            places = np.flatnonzero(origin == number)
            for place, image in zip(places, source.read(index[places]), strict=True):
                images[place] = image
        return images
