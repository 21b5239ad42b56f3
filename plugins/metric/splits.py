"""What held-out images metrics look at, and whom a model takes for whom: shared by several metrics."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sslkit import Classifier, Data


def held_out(model: Classifier, data: Data) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The test and validation images whose class is known, where there are any.

    Yields a split's name, (N, K) probabilities in float64, and (N,) classes; N is at least 1.
    """
    for name in ("test", "validation"):
        images = data.splits.get(name)
        if images is not None and images.known:
            truth = torch.as_tensor(images.truth)
            rows = truth >= 0
            yield name, model(images)[rows].double(), truth[rows]


def confusion_matrix(label: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How often class i (row) is taken for class j (column). (N,) predicted, (N,) true in 0..K-1 -> (K, K) int64."""
    return torch.bincount(truth * classes + label, minlength=classes * classes).view(classes, classes)


def distinct(classes: Sequence[str]) -> list[str]:
    """Class names as the keys of a table: numbered where two classes share one."""
    return list(classes) if len(set(classes)) == len(classes) else [f"{i} {name}" for i, name in enumerate(classes)]
