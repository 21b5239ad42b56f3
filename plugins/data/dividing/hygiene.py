"""Images that a recipe wants to be left out: those that cannot be read, and copies of what measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sslkit import LeftOut, Look
from sslkit.errors import DataError
from sslkit.images.copies import contradictory
from sslkit.images.words import counted, listed

from .library import NONE, Library, Rows
from .sources import Sources

Reason = Literal["unreadable", "duplicates"]
KEYS = {"train": "labeled", "extra": "unlabeled", "validation": "validation", "test": "test"}
"What a split is called whose images come from a source."
WHY = {
    "it cannot be read": "that cannot be read",
    "the same image is in": "that validation or test has as well",
    "the same image trains": "that training has as well",
}
"How reasons begin, and what is said of all images that are left out for one."


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Sources without what is left out of them."""

    sources: Sources
    left_out: tuple[LeftOut, ...] = ()
    odd: tuple[str, ...] | None = None
    "What else was noticed; None: nothing was looked at."
    digests: Mapping[int, bytes] = field(default_factory=dict)
    "Of the rows that can be read, where copies are to be left out."

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said in the run's output."""
        return () if self.odd is None else (_told(self.left_out), *self.odd)

    def apart(self, library: Library, train: Rows, aside: Rows) -> Cleaned:
        """What is left once images are set aside to validate, which no folder is for: no copy of one trains.

        Those go of which `train` has a copy, so that there are as many labels as the recipe says; and from the unlabeled
        images the copies of the others.
        """
        twice = self._copies(aside, train)
        pool = self._copies(self.sources.extra, aside[~np.isin(aside, twice)])
        left = [LeftOut(library.ids[row], "validation", "the same image trains, too") for row in twice.tolist()]
        left += [LeftOut(library.ids[row], "unlabeled", "the same image is in validation") for row in pool.tolist()]
        train, extra = _without(self.sources.train, twice), _without(self.sources.extra, pool)
        return replace(self, sources=replace(self.sources, train=train, extra=extra), left_out=(*self.left_out, *left))

    def _copies(self, rows: Rows, of: Rows) -> Rows:
        """Which of the rows show what others do."""
        there = {self.digests[row] for row in of.tolist() if row in self.digests}
        return np.array([row for row in rows.tolist() if self.digests.get(row) in there], np.int64)


def cleaned(library: Library, classes: tuple[str, ...], sources: Sources, reasons: Sequence[Reason]) -> Cleaned:
    """Look at every image, and leave out what the recipe wants to be. Raises `DataError` where a class has none left."""
    given = {key: rows for key in KEYS if (rows := getattr(sources, key)) is not None}
    every = np.unique(np.concatenate(list(given.values())))
    looks = dict(zip(every.tolist(), library.looks(every), strict=True))
    out = {key: dict(_unwanted(key, given, looks, reasons)) for key in given}
    kept = {key: rows[~np.isin(rows, list(out[key]))] for key, rows in given.items()}
    _still_there(library, classes, given["train"], kept["train"], sources.name("labeled"))
    left = [LeftOut(library.ids[row], KEYS[key], why) for key, rows in out.items() for row, why in rows.items()]
    gone = np.array(sorted(set(out["train"])), np.int64)
    odd = tuple(_contradictions(library, kept["train"], looks))
    sound = {row: look.digest for row, look in looks.items() if not look.problem}
    return Cleaned(replace(sources, **kept, gone=gone), tuple(left), odd, sound if "duplicates" in reasons else {})


def _without(rows: Rows, gone: Rows) -> Rows:
    return rows[~np.isin(rows, gone)]


def _unwanted(
    key: str, given: Mapping[str, Rows], looks: Mapping[int, Look], reasons: Sequence[Reason]
) -> Iterator[tuple[int, str]]:
    """Rows of a source that are left out, and why. What measures stays whole: its copies go."""
    measures: dict[bytes, str] = {}
    for other in ("validation", "test") if "duplicates" in reasons and key != "test" else ():
        rows = given.get(other, NONE)
        if other != key and not np.array_equal(rows, given[key]):  # the same images may be meant for both
            measures |= {looks[row].digest: other for row in rows.tolist() if not looks[row].problem}
    for row in given[key].tolist():
        look = looks[row]
        if look.problem and "unreadable" in reasons:
            yield row, f"it cannot be read: {look.problem}"
        elif not look.problem and look.digest in measures:
            yield row, f"the same image is in {measures[look.digest]}"


def _still_there(library: Library, classes: tuple[str, ...], before: Rows, after: Rows, source: str) -> None:
    """Raise `DataError` for classes that nothing is left of."""
    had, has = (library.counts(rows, len(classes)) for rows in (before, after))
    if lost := [classes[k] for k in np.flatnonzero((had > 0) & (has == 0))]:
        raise DataError(
            f"{library.where}: leave_out leaves no image of {listed(lost)} in {source}: all of them cannot be read or "
            "are in test or validation as well. Put other images there, or leave the class out"
        )


def _told(left: Sequence[LeftOut]) -> str:
    """How many images were left out."""
    counts = Counter((one.split, words) for one in left for begin, words in WHY.items() if one.reason.startswith(begin))
    said = [
        f"{counted(number, 'image')} of {split} {words}"
        for split in KEYS.values()
        for words in WHY.values()
        if (number := counts[split, words])
    ]
    return (
        f"left out: {', '.join(said)}; left_out.json in the run's folder lists them" if said else "left out: no image"
    )


def _contradictions(library: Library, train: Rows, looks: Mapping[int, Look]) -> Iterator[str]:
    """That the same image is there with labels that differ."""
    if rows := contradictory([looks[row] for row in train.tolist()], library.truth[train]):
        names = listed(library.ids[train[row]] for row in rows)
        yield f"the same image has labels that differ: {names}"
