"""What a data plugin opens: images by split, their classes, and what is known of them. N images, K classes, H x W x C pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]  # (H, W, C)
Rows = NDArray[np.int64]  # (M,) positions

UNKNOWN, OUTSIDE = -1, -2
"Instead of a class's number: its class is not known; it is known to be of none of the classes."


class Look(NamedTuple):
    """What was found when an image was looked at."""

    digest: bytes
    "Of its pixels: equal for images that are the same, however they are stored. Empty where it cannot be read."
    height: int
    width: int
    kind: str
    "How it is stored: `jpeg`, `png`, `array`."
    problem: str = ""
    "Why it cannot be read."


class LeftOut(NamedTuple):
    """An image that is in no split, though it lies where the recipe looks."""

    id: str
    split: str
    reason: str


@dataclass(eq=False)
class Images:
    """One split: images with stable ids. `read` takes (M,) positions and returns M (H, W, C) uint8 arrays."""

    ids: Sequence[str]
    read: Callable[[Rows], list[Image]]
    truth: Rows  # (N,) class numbers, or `UNKNOWN`, `OUTSIDE`; training sees them on the labeled split only
    weight: NDArray[np.float32] | None = None  # (N,) of labeled images, in the losses; None: 1 each
    inspect: Callable[[Rows], list[Look]] | None = None  # as `read`; None: the engine reads, and looks at the arrays
    sizes: Callable[[], Rows] | None = (
        None  # (N,) bytes of each image's file; once asked, one that changes them is not read
    )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def known(self) -> bool:
        """Whether any truth is there to measure against."""
        return bool((self.truth >= 0).any())


@dataclass(eq=False)
class Data:
    """What a data plugin opens."""

    classes: tuple[str, ...]
    labeled: Images
    unlabeled: Images | None = None
    validation: Images | None = None
    test: Images | None = None
    channels: int = 3
    notes: tuple[str, ...] = ()  # said in the run's output
    left_out: tuple[LeftOut, ...] = ()  # listed in the run's folder

    @property
    def splits(self) -> dict[str, Images]:
        """The splits that are there, by name."""
        names = ("labeled", "unlabeled", "validation", "test")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @cached_property
    def hidden_truth(self) -> Rows:
        """(N,) what pseudo-labels of the unlabeled images are judged by: `UNKNOWN` for those that are labeled, too.

        Of these a teacher was taught the label: that it says it again shows nothing.
        """
        if self.unlabeled is None:
            return np.zeros(0, np.int64)
        taught = set(self.labeled.ids)
        mask = np.fromiter((sample in taught for sample in self.unlabeled.ids), bool, len(self.unlabeled))
        return np.where(mask, UNKNOWN, self.unlabeled.truth)


@dataclass(eq=False)
class Labeled:
    """The rows of the labeled stream, which a labeler may revise: where each image lies, and its class."""

    origin: Tensor  # (N,) 0 = the labeled split, 1 = the unlabeled split
    index: Tensor  # (N,) position in that split
    truth: Tensor  # (N,) the class that training uses
    weight: Tensor | None = None  # (N,) in the losses; None: 1 each

    @classmethod
    def of(cls, images: Images) -> Labeled:
        """The labeled split as it is."""
        index = torch.arange(len(images))
        weight = None if images.weight is None else torch.as_tensor(images.weight)
        return cls(torch.zeros_like(index), index, torch.as_tensor(images.truth), weight)

    def with_rows(self, origin: Tensor, index: Tensor, truth: Tensor) -> Labeled:
        """The same rows with others behind them, (M,) each, whose weight is 1."""
        weight = self.weight
        return Labeled(
            torch.cat([self.origin, origin.to(self.origin)]),
            torch.cat([self.index, index.to(self.index)]),
            torch.cat([self.truth, truth.to(self.truth)]),
            weight if weight is None else torch.cat([weight, weight.new_ones(len(index))]),
        )
