"""Scikit-learn's handwritten digits: 1,797 real images that need no download."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated

import numpy as np
from annotated_types import Ge, Unit
from numpy.typing import NDArray

from sslkit import Data, Image, Images, Progress, hookimpl
from sslkit.errors import DataError, MissingData

TOTAL = 1797
"Images that scikit-learn ships: the test part of the UCI set (Alpaydin & Kaynak 1998)."


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


def first_of_each_class(truth: NDArray[np.int64], count: int, classes: int) -> NDArray[np.int64]:
    """Positions of the first `count` rows of each class, ascending: (N,) classes -> (count * classes,)."""
    return np.sort(np.concatenate([np.flatnonzero(truth == k)[:count] for k in range(classes)]))


@dataclass(eq=False, kw_only=True)
class Digits:
    """Scikit-learn's 1,797 handwritten digits, 8 x 8 grey pixels in three channels; the split follows the seed.

    A random test set and validation set are set aside first; the rest is the pool, of which a few images of each class
    are labeled. Raises `DataError` where a class has too few images, or where nothing is left for the pool.
    """

    labels_per_class: Annotated[int, Ge(1), Unit("images")] = 4
    "Labeled images of each of the ten classes."
    validation: Annotated[int, Ge(0), Unit("images")] = 200
    "Images for choosing settings and steps, drawn from the hidden pool; 0 for none."
    test: Annotated[int, Ge(0), Unit("images")] = 400
    "Images that nobody trains or chooses on; 0 for none."
    include_labeled: bool = True
    "Whether the unlabeled images include the labeled ones (without their labels), as is usual in the literature."

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`."""
        order = progress.numpy("split").permutation(TOTAL)
        test, validation, pool = np.split(order, [self.test, self.test + self.validation])
        chosen = self._choose(pixels_and_truth()[1][pool])
        unlabeled = pool if self.include_labeled else np.delete(pool, chosen)
        return Data(
            classes=tuple("0123456789"),
            labeled=self._images(pool[chosen]),
            unlabeled=self._images(unlabeled) if len(unlabeled) else None,
            validation=self._images(validation) if len(validation) else None,
            test=self._images(test) if len(test) else None,
            notes=self._notes(len(chosen), len(unlabeled)),
        )

    def _choose(self, truth: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the pool that are labeled."""
        counts = np.bincount(truth, minlength=10)
        scarce = int(counts.argmin())
        if counts[scarce] < self.labels_per_class:
            raise DataError(
                f'[data] digits: labels_per_class = {self.labels_per_class}, but class "{scarce}" has {counts[scarce]} '
                f"images in the pool of {len(truth)} (of {TOTAL}, {self.test} are for testing, {self.validation} for "
                "validation). Ask for fewer labels, or for a smaller test or validation set"
            )
        return first_of_each_class(truth, self.labels_per_class, 10)

    def _notes(self, labeled: int, unlabeled: int) -> tuple[str, ...]:
        notes = [
            f"{labeled} labels, {self.labels_per_class} of each class; the classes of {unlabeled:,} images are hidden"
        ]
        if self.validation:
            notes.append(
                f"{self.validation} validation images are drawn from the hidden pool: "
                "their labels choose settings and steps, and train nothing"
            )
        return tuple(notes)

    def _images(self, rows: NDArray[np.int64]) -> Images:
        truth = pixels_and_truth()[1]
        return Images([f"digits/{row:04}" for row in rows], partial(read, rows), truth[rows])
