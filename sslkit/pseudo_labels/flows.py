"""What changed between the pseudo-labels of two generations: which images changed class, and which way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import Rows
from .stored import Stored, chunks_of

FEW = 10_000
"Images that are described at once."


@dataclass(frozen=True)
class Flow:
    """Images that went from one class to another."""

    source: str
    target: str
    images: int
    known: int
    "Those whose class is known."
    right_before: int
    right_after: int


@dataclass(eq=False)
class Change:
    """The labels of two generations, side by side."""

    before: Stored
    after: Stored

    @cached_property
    def rows(self) -> Rows:
        """The images that changed class; those first of whose new class the teacher is most sure."""
        rows = np.flatnonzero(self.before.label != self.after.label)
        return rows[np.argsort(-self.after.confidence[rows], kind="stable")]

    @cached_property
    def flows(self) -> list[Flow]:
        """Ways from a class to another, the most used first."""
        rows, classes = self.rows, self.after.classes
        old, new, truth = self.before.label[rows], self.after.label[rows], self.after.truth[rows]
        ways, way = np.unique(old * len(classes) + new, return_inverse=True)
        counts = [
            np.bincount(way, of, len(ways)).astype(int).tolist()
            for of in (np.ones(len(rows)), truth >= 0, old == truth, new == truth)
        ]
        made = [
            Flow(classes[number // len(classes)], classes[number % len(classes)], *numbers)
            for number, *numbers in zip(ways.tolist(), *counts, strict=True)
        ]
        return sorted(made, key=lambda flow: -flow.images)

    @property
    def newly_kept(self) -> int:
        """Images that teach now, and did not before."""
        return int((self.after.kept & ~self.before.kept).sum())

    @property
    def newly_dropped(self) -> int:
        """Images that taught before, and do not now."""
        return int((self.before.kept & ~self.after.kept).sum())

    def accuracy(self, of: Stored) -> float | None:
        """Share of right labels, of all images whose class is known."""
        known: NDArray[np.bool_] = self.after.truth >= 0
        return float((of.label == self.after.truth)[known].mean()) if known.any() else None

    def samples(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """The images that changed class, one after another."""
        rows = self.rows[:most]
        for part in chunks_of(len(rows), FEW):
            yield from self._described(rows[part])

    def _described(self, rows: Rows) -> Iterator[dict[str, Any]]:
        names = np.array([*self.after.classes, None], dtype=object)  # the last: not known, or none of them
        before, after = self.before, self.after
        columns = {
            "id": after.samples.ids(rows),
            "before": names[before.label[rows]].tolist(),
            "after": names[after.label[rows]].tolist(),
            "confidence_before": before.confidence[rows].tolist(),
            "confidence_after": after.confidence[rows].tolist(),
            "kept_before": before.kept[rows].tolist(),
            "kept_after": after.kept[rows].tolist(),
            "truth": names[np.where(after.truth[rows] >= 0, after.truth[rows], -1)].tolist(),
        }
        return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
