"""What is known of a person's images before a recipe is written: counts of all, sizes of a sample."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from ..dataset import Data, Images
from ..errors import SslkitError
from ..waiting import waited

SAMPLE = 256
"Images of a split that are opened, spread evenly over it; their sizes stand for all."
FEW = 5
"Fewer labeled images of a class than this are said."
SKEWED = 3.0
"Times that the largest class is larger than the smallest, from which on the classes are out of balance."


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images of one split: N in all, some of them opened."""

    name: str
    images: int
    counts: tuple[int, ...] = ()
    "Images of each class, where the truth of all is known."
    heights: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    "Pixels of those that were opened and could be read."
    unreadable: tuple[str, ...] = ()
    "Of those that were opened: what was said of each that could not be read."

    @property
    def sides(self) -> list[int]:
        """The shorter side of each that was opened, ascending."""
        return sorted(map(min, zip(self.heights, self.widths, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rules go by."""

    classes: tuple[str, ...]
    splits: tuple[Split, ...]
    notes: tuple[str, ...] = ()
    "What the data plugin says of its images."

    def split(self, name: str) -> Split:
        """A split; an empty one where there is none of that name."""
        return next((one for one in self.splits if one.name == name), Split(name=name, images=0))

    @property
    def side(self) -> int:
        """The median of the shorter sides of all images that were opened."""
        sides = [side for split in self.splits for side in split.sides]
        return round(median(sides)) if sides else 0

    @property
    def skew(self) -> float:
        """How many times the largest class of labeled images is larger than the smallest."""
        counts = self.split("labeled").counts
        return max(counts) / max(1, min(counts)) if counts else 1.0


def facts_of(data: Data) -> Facts:
    """Count the images, and open some. Raises `SslkitError` where none of them can be read."""
    jobs = [(name, images, sample(len(images))) for name, images in data.splits.items()]
    looks = iter(waited(looked(jobs), "opening images", sum(len(rows) for _, _, rows in jobs)))
    splits = tuple(
        split_of(name, images, len(data.classes), [next(looks) for _ in rows]) for name, images, rows in jobs
    )
    found = Facts(classes=data.classes, splits=splits, notes=data.notes)
    if not found.side:
        said = next((text for split in splits for text in split.unreadable), "there are none")
        raise SslkitError(f"none of the images that were opened can be read: {said}")
    return found


def sample(images: int) -> list[int]:
    """Positions of at most `SAMPLE` images, spread evenly over all."""
    rows: list[int] = np.unique(np.linspace(0, images - 1, min(images, SAMPLE)).round().astype(int)).tolist()
    return rows


def looked(jobs: list[tuple[str, Images, list[int]]]) -> Iterator[tuple[int, int] | str]:
    """Height and width of each image, or why it cannot be read, in order; decoders leave Python's lock to others."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _, images, rows in jobs:
            yield from pool.map(partial(look, images), rows)


def look(images: Images, row: int) -> tuple[int, int] | str:
    """Height and width of one image, or why it cannot be read."""
    try:
        (image,) = images.read(np.array([row]))
    except (SslkitError, OSError) as error:
        return str(error)
    return image.shape[0], image.shape[1]


def split_of(name: str, images: Images, classes: int, looks: list[tuple[int, int] | str]) -> Split:
    """A split by its truth and what was opened."""
    sizes = [one for one in looks if not isinstance(one, str)]
    known = bool((images.truth >= 0).all())
    counts = np.bincount(images.truth, minlength=classes).tolist() if known else ()
    return Split(
        name=name,
        images=len(images),
        counts=tuple(counts),
        heights=tuple(height for height, _ in sizes),
        widths=tuple(width for _, width in sizes),
        unreadable=tuple(one for one in looks if isinstance(one, str)),
    )
