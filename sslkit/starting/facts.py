"""What is known of a person's images before a recipe is written: counts of all, sizes of a sample."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import numpy as np

from ..dataset import Data, Images, Look
from ..errors import DataError
from ..images.scan import looking, of_array

TRAINED, HELD_OUT = ("labeled", "unlabeled"), ("validation", "test")
SAMPLE = 400
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
    copies: tuple[tuple[str, str, int], ...] = ()
    "A split that trains, one that measures, how many of the images that were opened are in both."
    each: float = 0.0
    "Seconds that opening an image took."
    notes: tuple[str, ...] = ()
    "What the data plugin says of its images."

    def split(self, name: str) -> Split:
        """A split; an empty one where there is none of that name."""
        return next((one for one in self.splits if one.name == name), Split(name=name, images=0))

    @property
    def images(self) -> int:
        """All of them."""
        return sum(split.images for split in self.splits)

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
    """Count the images, and open some. Raises `DataError` where none of them can be read."""
    jobs = [(images, row) for images in data.splits.values() for row in sample(len(images))]
    began = time.perf_counter()
    looks = list(looking(np.arange(len(jobs)), lambda at: of_array(*jobs[at]), "opening images"))
    each = (time.perf_counter() - began) / max(1, len(jobs))
    seen = iter(looks)
    splits = [(name, images, [next(seen) for _ in sample(len(images))]) for name, images in data.splits.items()]
    if all(look.problem for look in looks):
        raise DataError(f"none of the images that were opened can be read, e.g. {looks[0].problem}")
    return Facts(
        classes=data.classes,
        splits=tuple(split_of(name, images, len(data.classes), found) for name, images, found in splits),
        copies=copies({name: found for name, _, found in splits}),
        each=each,
        notes=data.notes,
    )


def sample(images: int) -> list[int]:
    """Positions of at most `SAMPLE` images, spread evenly over all."""
    rows: list[int] = np.unique(np.linspace(0, images - 1, min(images, SAMPLE)).round().astype(int)).tolist()
    return rows


def split_of(name: str, images: Images, classes: int, looks: list[Look]) -> Split:
    """A split by its truth and what was opened."""
    good = [look for look in looks if not look.problem]
    known = bool((images.truth >= 0).all())
    return Split(
        name=name,
        images=len(images),
        counts=tuple(np.bincount(images.truth, minlength=classes).tolist()) if known else (),
        heights=tuple(look.height for look in good),
        widths=tuple(look.width for look in good),
        unreadable=tuple(look.problem.partition(". ")[0] for look in looks if look.problem),  # without the advice
    )


def copies(looks: dict[str, list[Look]]) -> tuple[tuple[str, str, int], ...]:
    """Splits that share images, as far as they were opened: whoever is measured on them must not be trained on them."""
    digests = {name: {look.digest for look in found if look.digest} for name, found in looks.items()}
    pairs = [(one, other) for one in TRAINED for other in HELD_OUT if one in digests and other in digests]
    shared = [(one, other, len(digests[one] & digests[other])) for one, other in pairs]
    return tuple(found for found in shared if found[2])
