"""Accuracy of each class by itself, and what its images are mistaken for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Unit
from torch import Tensor

from sslkit import Classifier, Data, Progress, hookimpl

from .splits import confusion_matrix, distinct, held_out


def class_accuracy(matrix: Tensor) -> list[float | None]:
    """Share of each class's images that are recognised (recall); None for a class without images. (K, K) -> (K,)."""
    right, images = matrix.diagonal().tolist(), matrix.sum(1).tolist()
    return [r / n if n else None for r, n in zip(right, images, strict=True)]


def mistakes(matrix: Tensor, most: int) -> list[list[tuple[int, int]]]:
    """For each class (row), the classes it is taken for and how often: the most frequent first, at most `most`."""
    wrong = matrix.clone()
    wrong.fill_diagonal_(0)
    order = wrong.argsort(dim=1, descending=True, stable=True)[:, :most].tolist()
    rows = wrong.tolist()
    return [[(j, row[j]) for j in columns if row[j]] for row, columns in zip(rows, order, strict=True)]


def class_table(matrix: Tensor, classes: Sequence[str], most: int) -> dict[str, dict[str, Any]]:
    """Class name -> its accuracy, number of images, and most frequent mistakes."""
    names = distinct(classes)
    rows = zip(names, class_accuracy(matrix), matrix.sum(1).tolist(), mistakes(matrix, most), strict=True)
    return {
        name: {"accuracy": share, "images": images, "mistaken_for": {names[j]: count for j, count in wrong}}
        for name, share, images, wrong in rows
    }


@dataclass(eq=False, kw_only=True)
class PerClass:
    """Accuracy of each class (recall): `test_per_class` and `validation_per_class`, tables by class name.

    Of each class: `accuracy` (null where the split has no image of it), `images`, and `mistaken_for`, the classes that
    its images are most often taken for with their counts. Where truth is known; at a generation's end only.
    """

    mistakes: Annotated[int, Ge(0), Unit("classes")] = 3
    "Classes that are named in `mistaken_for`, at most."

    @hookimpl
    def measure(self, model: Classifier, data: Data, progress: Progress) -> dict[str, Any]:
        """A table for each split that is there to measure."""
        if progress.step < progress.steps:
            return {}
        count = len(data.classes)
        return {
            f"{split}_per_class": class_table(
                confusion_matrix(probs.argmax(1), truth, count), data.classes, self.mistakes
            )
            for split, probs, truth in held_out(model, data)
        }
