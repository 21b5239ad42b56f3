"""Which images a page shows of a pool that may have millions: of each class the surest, the most doubtful, the flipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dataset import Rows
from .stored import Stored

TOTAL = 2000
"Images of a page at most, whatever is asked for of each class: a browser must hold them."


@dataclass(frozen=True)
class Chosen:
    """The images of one class that are shown."""

    number: int
    images: int
    "How many the class has in all."
    rows: Rows
    "(M,) those that are shown, the surest first."
    confident: frozenset[int]
    doubtful: frozenset[int]
    "Rows among them."


def chosen(stored: Stored, flipped: Rows, most: int) -> list[Chosen]:
    """For each class that has images at most `most`. `flipped`: rows that changed class since the generation before.

    A third of them are the surest, a third the most doubtful, a third flipped; what is left is spread over the others.
    Of more than `TOTAL` classes, those with the most images.
    """
    order = np.lexsort((-stored.confidence, stored.label))
    starts = np.searchsorted(stored.label[order], np.arange(len(stored.classes) + 1))
    counts = np.diff(starts)
    present = np.flatnonzero(counts)
    shown = np.sort(present[np.argsort(-counts[present], kind="stable")][:TOTAL])
    most = max(1, min(most, TOTAL // max(1, len(shown))))
    turned = np.zeros(len(stored), dtype=bool)
    turned[flipped] = True
    return [_of_class(number, order[starts[number] : starts[number + 1]], turned, most) for number in shown.tolist()]


def _of_class(number: int, rows: Rows, turned: np.ndarray[tuple[int], np.dtype[np.bool_]], most: int) -> Chosen:
    """`rows`: all of the class, the surest first."""
    third = -(-most // 3)
    confident, doubtful = rows[:third], rows[::-1][:third]
    wanted = dict.fromkeys([*_woven(confident, doubtful, rows[turned[rows]][:third])])
    for row in rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)].tolist():
        wanted.setdefault(row)
    picked = set(list(wanted)[:most])
    found = np.array([row for row in rows.tolist() if row in picked], np.int64)
    return Chosen(number, len(rows), found, frozenset(confident.tolist()), frozenset(doubtful.tolist()))


def _woven(*lists: Rows) -> list[int]:
    """One of each, again and again."""
    longest = max(map(len, lists))
    return [int(one[place]) for place in range(longest) for one in lists if place < len(one)]
