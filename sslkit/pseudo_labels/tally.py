"""Pseudo-labels counted: how many images each class has, how sure the teacher is, how many are kept, how many are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import OUTSIDE
from ..errors import SslkitError
from .stored import Stored


@dataclass(frozen=True)
class Line:
    """What is said of some rows."""

    images: int
    confidence: float | None
    "The teacher's mean probability of the label; None without images."
    kept_share: float | None
    accuracy: float | None
    "Share of right labels among the images whose class is known; None where none is."
    kept_accuracy: float | None
    "The same of those that are kept."


@dataclass(frozen=True)
class Tally:
    """A generation's labels, counted."""

    classes: dict[str, Line]
    total: Line
    outside: Line | None
    "Images that are known to be of none of the classes; None where none is."
    note: str = ""
    "Why no class is known, where it could have been."


def tally(stored: Stored) -> Tally:
    """Count a generation's labels. (Where the images' list is gone, too, it is done without.)"""
    truth, note = _truth(stored)
    label, known = stored.label, truth >= 0
    per_class = _lines(stored, label, len(stored.classes), known, label == truth)
    everything = _lines(stored, np.zeros_like(label), 1, known, label == truth)[0]
    outside = truth == OUTSIDE
    apart = _lines(stored, outside.astype(np.int64), 2, known, label == truth)[1] if outside.any() else None
    return Tally(dict(zip(stored.classes, per_class, strict=True)), everything, apart, note)


def _truth(stored: Stored) -> tuple[NDArray[np.int64], str]:
    try:
        return stored.truth, ""
    except SslkitError as error:
        return np.full(len(stored), -1, np.int64), str(error)


def _lines(
    stored: Stored, group: NDArray[np.int64], groups: int, known: NDArray[np.bool_], right: NDArray[np.bool_]
) -> list[Line]:
    """A line for each group, by the group (N,) that rows belong to."""
    kept = stored.kept
    images = np.bincount(group, minlength=groups)
    sums = np.bincount(group, stored.confidence, groups)
    shares = (
        (np.bincount(group[rows], of[rows], groups), np.bincount(group[rows], minlength=groups))
        for rows, of in ((slice(None), kept), (known, right), (known & kept, right))
    )
    columns = [_divided(sums, images), *(_divided(*share) for share in shares)]
    return [Line(*line) for line in zip(images.tolist(), *columns, strict=True)]


def _divided(sums: NDArray[Any], counts: NDArray[Any]) -> list[float | None]:
    return [total / count if count else None for total, count in zip(sums.tolist(), counts.tolist(), strict=True)]
