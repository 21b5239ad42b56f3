"""Scikit-learn's handwritten digits: 1,797 real images that need no download."""

import math
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Interval, Unit
from numpy.typing import NDArray

from sslkit import OUTSIDE, Data, Image, Images, Progress, hookimpl
from sslkit.errors import DataError, MissingData

from .dividing.drawing import counts_of, long_tail, shares

TOTAL = 1797
"Images that scikit-learn ships: the test part of the UCI set (Alpaydin & Kaynak 1998)."
DIGITS = tuple("0123456789")


def to_uint8(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Ink from 0 to 16, (N, 8, 8), as grey images: (N, 8, 8, 3) from 0 to 255, rounded."""
    grey = np.rint(values * (255 / 16)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)


@cache
def pixels_and_truth() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Every image and its class, in scikit-learn's order. Raises `MissingData` where it is not installed."""
    # Imported late: naming the plugin in a recipe must not wait for scikit-learn.
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingData(
            f"[data] digits: the images come with scikit-learn, which is not installed ({error}): pip install scikit-learn"
        ) from error
    digits = load_digits()
    return to_uint8(digits.images), digits.target.astype(np.int64)


def read(rows: NDArray[np.int64], position: NDArray[np.int64]) -> list[Image]:
    """The images at `position` (M,) of a split whose images are `rows` (N,) of the whole set."""
    return list(pixels_and_truth()[0][rows[position]])


def first_of_each_class(truth: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the first `counts[k]` rows of each class, ascending: (N,) classes, (K,) -> (sum of counts,)."""
    return np.sort(np.concatenate([np.flatnonzero(truth == k)[:count] for k, count in enumerate(counts)]))


@dataclass(eq=False, kw_only=True)
class Digits:
    """Scikit-learn's 1,797 handwritten digits, 8 x 8 grey pixels in three channels; the split follows the seed.

    A random test set and validation set are set aside first; the rest is the pool, of which a few images of each class
    are labeled. The pool may be made smaller, long-tailed, or to hold images of no class. Raises `DataError` where a
    class has too few images, where nothing is left for the pool, or for classes that digits do not have.
    """

    labels_per_class: Annotated[int, Ge(1), Unit("images")] = 4
    "Labeled images of each class; with `gamma_l`, of the most frequent one."
    validation: Annotated[int, Ge(0), Unit("images")] = 200
    "Images for choosing settings and steps, drawn from the hidden pool; 0 for none."
    test: Annotated[int, Ge(0), Unit("images")] = 400
    "Images that nobody trains or chooses on; 0 for none."
    include_labeled: bool = True
    "Whether the unlabeled images include the labeled ones (without their labels), as is usual in the literature."
    classes: list[int | str] = field(default_factory=lambda: list(range(10)))
    """Digits that count, as numbers or names; all others are out-of-class images, which are in the pool alone. Their order
    is that of the classes, and so of `gamma_l` and `gamma_u`."""
    unlabeled_fraction: Annotated[float, Interval(gt=0, le=1)] = 1.0
    "Share of the pool that is kept, beside the labeled images; a smaller share is part of every larger one."
    gamma_l: Annotated[float, Gt(0)] = 1.0
    """Imbalance of the labels: the first class has so many times the labels of the last, between them they fall
    exponentially. 1 is balance; below 1 (1 / 50) the first class has the fewest."""
    gamma_u: Annotated[float, Gt(0)] = 1.0
    """Imbalance of the pool in the same way, with as many images as its classes allow; below 1 it is reversed. 1 leaves it
    as it is. Out-of-class images stay."""

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`."""
        order, known = progress.numpy("split").permutation(TOTAL), self._numbers()
        truth = known[pixels_and_truth()[1]]
        # Whatever the classes, images come in the seed's order; what is set aside is of these classes alone.
        inside = order[truth[order] >= 0]
        aside = inside[: self.test + self.validation]
        pool = order[~np.isin(order, aside)]
        chosen = self._choose(truth[pool])
        unlabeled = self._unlabeled(truth[pool], chosen)
        return Data(
            classes=tuple(map(str, self.classes)),
            labeled=self._images(pool[chosen], truth),
            unlabeled=self._images(pool[unlabeled], truth) if len(unlabeled) else None,
            validation=self._images(aside[self.test :], truth) if len(aside) > self.test else None,
            test=self._images(aside[: self.test], truth) if self.test else None,
            notes=self._notes(truth[pool][chosen], truth[pool][unlabeled]),
        )

    def _numbers(self) -> NDArray[np.int64]:
        """The number of each digit's class, `OUTSIDE` for those that do not count: (10,)."""
        names = [str(name) for name in self.classes]
        if strange := [name for name in names if name not in DIGITS]:
            raise DataError(f"[data] digits: classes: there is no digit {', '.join(strange)}; there are 0 to 9")
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise DataError(f"[data] digits: classes: {', '.join(twice)} twice; name each digit once")
        if len(names) < 2:
            raise DataError(f"[data] digits: classes: {', '.join(names) or 'none'}; a classifier needs two at least")
        numbers = np.full(len(DIGITS), OUTSIDE)
        numbers[[int(name) for name in names]] = np.arange(len(names))
        return numbers

    def _choose(self, truth: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the pool that are labeled."""
        counts = np.bincount(truth[truth >= 0], minlength=len(self.classes))
        wanted = counts_of(shares(self.gamma_l, len(self.classes)), self.labels_per_class)
        scarce = int((counts - wanted).argmin())
        if counts[scarce] < wanted[scarce]:
            total = int((self._numbers()[pixels_and_truth()[1]] >= 0).sum())
            raise DataError(
                f'[data] digits: labels_per_class = {self.labels_per_class}, but class "{self.classes[scarce]}" has '
                f"{counts[scarce]} images in the pool of {counts.sum()} (of {total}, {self.test} are for testing, "
                f"{self.validation} for validation). Ask for fewer labels, or for a smaller test or validation set"
            )
        return first_of_each_class(truth, wanted)

    def _unlabeled(self, truth: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the pool of the unlabeled images, ascending."""
        rows = np.arange(len(truth))
        rows = rows if self.include_labeled else np.delete(rows, chosen)
        rows = rows if self.gamma_u == 1 else rows[self._long_tailed(truth[rows])]
        if self.unlabeled_fraction < 1:
            hidden = rows[~np.isin(rows, chosen)]
            kept = hidden[: math.ceil(self.unlabeled_fraction * len(hidden) - 1e-9)]
            rows = rows[np.isin(rows, chosen) | np.isin(rows, kept)]
        return rows

    def _long_tailed(self, truth: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of a long-tailed part, the labeled images first of their classes; out-of-class images stay."""
        counts = np.bincount(truth[truth >= 0], minlength=len(self.classes))
        if not counts.all():
            raise DataError(
                f"[data] digits: gamma_u = {self.gamma_u:g}, but the pool has no image of class "
                f'"{self.classes[int(counts.argmin())]}". Ask for a smaller test or validation set'
            )
        long = first_of_each_class(truth, long_tail(counts, self.gamma_u))
        return np.sort(np.concatenate([long, np.flatnonzero(truth < 0)]))

    def _notes(self, labeled: NDArray[np.int64], unlabeled: NDArray[np.int64]) -> tuple[str, ...]:
        each = f"{self.labels_per_class} of each class"
        if self.gamma_l != 1:
            each = f"long-tailed with gamma {self.gamma_l:g}: {spread(labeled, len(self.classes))}"
        notes = [f"{len(labeled)} labels, {each}; the classes of {len(unlabeled):,} images are hidden"]
        if outside := int((unlabeled < 0).sum()):
            notes.append(f"{outside:,} of these are of none of the {len(self.classes)} classes")
        if self.gamma_u != 1:
            told = spread(unlabeled, len(self.classes))
            notes.append(f"the unlabeled images are long-tailed with gamma {self.gamma_u:g}: {told} of the classes")
        if self.unlabeled_fraction < 1:
            notes.append(f"{self.unlabeled_fraction:.3g} of the images that could be unlabeled are kept")
        if self.validation:
            notes.append(
                f"{self.validation} validation images are drawn from the hidden pool: "
                "their labels choose settings and steps, and train nothing"
            )
        return tuple(notes)

    def _images(self, rows: NDArray[np.int64], truth: NDArray[np.int64]) -> Images:
        return Images([f"digits/{row:04}" for row in rows], partial(read, rows), truth[rows])


def spread(truth: NDArray[np.int64], classes: int) -> str:
    """How many images each class has, as a note says it."""
    return ", ".join(map(str, np.bincount(truth[truth >= 0], minlength=classes)))
