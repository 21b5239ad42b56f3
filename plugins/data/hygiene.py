"""Images that a recipe wants to be left out: those that cannot be read, and copies of what measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Sources without what is left out of them."""

    sources: Sources
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


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
    notes = (*_told(out), *_contradictions(library, kept["train"], looks))
    return Cleaned(replace(sources, **kept, gone=gone), tuple(left), notes)


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


def _told(out: Mapping[str, Mapping[int, str]]) -> Iterator[str]:
    """How many images were left out."""
    said = []
    for key, rows in out.items():
        copies = sum(why.startswith("the same") for why in rows.values())
        broken = len(rows) - copies
        said += [f"{counted(broken, 'image')} of {KEYS[key]} that cannot be read"] if broken else []
        said += [f"{counted(copies, 'image')} of {KEYS[key]} that validation or test has as well"] if copies else []
    yield f"left out: {', '.join(said)}; left_out.json in the run's folder lists them" if said else "left out: no image"


def _contradictions(library: Library, train: Rows, looks: Mapping[int, Look]) -> Iterator[str]:
    """That the same image is there with labels that differ."""
    if rows := contradictory([looks[row] for row in train.tolist()], library.truth[train]):
        names = listed(library.ids[train[row]] for row in rows)
        yield f"the same image has labels that differ: {names}"
