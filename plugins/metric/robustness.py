"""What metrics of robustness share: which images, under which name, as floats, and the baseline measured once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslkit import Classifier, Data, Images, Progress

Rows = NDArray[np.int64]
Figures = TypeVar("Figures")


def chosen(rows: Rows, number: int) -> Rows:
    """Of positions all, or (`number` above 0) so many, at equal distances."""
    return rows if not 0 < number < len(rows) else rows[np.arange(number) * len(rows) // number]


def of_known_class(images: Images) -> Rows:
    """Positions of images whose class is known."""
    return np.flatnonzero(images.truth >= 0)


def own_name(progress: Progress, default: str) -> str:
    """The `name` that a recipe gives a metric, by which two of a kind are told apart; empty: it has the plugin's."""
    return "" if progress.plugin == default else progress.plugin


def as_floats(images: Tensor, device: torch.device) -> Tensor:
    """Images as a model's `batches` has them, (M, H, W, C) uint8, as its `logits` takes them: (M, C, H, W) in 0-1."""
    return images.to(device).permute(0, 3, 1, 2).float().div(255)


class BesideBaseline(Generic[Figures]):
    """Measures a model and its baseline on the same images; the baseline does not change in a run, and is measured once."""

    def __init__(self) -> None:
        self._kept: tuple[Classifier, Data, Figures] | None = None  # whose figures, on what

    def measured(
        self, model: Classifier, baseline: Classifier | None, data: Data,
        measure: Callable[[list[Classifier]], list[Figures]],
    ) -> tuple[Figures, Figures | None]:  # fmt: skip
        """The model's figures, and the baseline's, where there is one."""
        if baseline is None:
            return measure([model])[0], None
        if self._kept and self._kept[0] is baseline and self._kept[1] is data:
            return measure([model])[0], self._kept[2]
        own, figures = measure([model, baseline])
        self._kept = baseline, data, figures
        return own, figures
