"""A person's corrections: classes that images have, whatever was said before. A file of them is part of a recipe."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from .dataset import Data, Images, LeftOut, Rows
from .errors import DataError
from .images.words import counted, listed, near, shown

COLUMNS = ("id", "label")
"What a file of corrections has at least; other columns say where a correction comes from."
LARGEST = 1 << 30  # bytes

Answer = TypeVar("Answer")
Asked: TypeAlias = Callable[[Rows], list[Answer]]


def read_corrections(path: str | Path) -> dict[str, str]:
    """Image id -> class, by a CSV file with the columns `id` and `label`; an empty label: of none of the classes.

    Separated by commas, or by semicolons where the first line has some and no comma, as some spreadsheets write it. UTF-8, with or without a byte-order mark; ids that are no text are as Python has them (surrogateescape). Raises
    `DataError`, which names the line.
    """
    found: dict[str, str] = {}
    for line, row in rows_of(path):
        sample, label = row["id"], row["label"].strip()
        if not sample:
            raise DataError(f"{shown(str(path))}, line {line}: the id is empty")
        if found.setdefault(sample, label) != label:
            raise DataError(
                f"{shown(str(path))}, line {line}: {shown(sample)} is {shown(label)} here and {shown(found[sample])} "
                "further up: keep one"
            )
    if not found:
        raise DataError(f"{shown(str(path))}: there is no correction in it, only the names of columns")
    return found


def rows_of(path: str | Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a file of corrections with the lines that they end in."""
    where = shown(str(path))
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror or error}") from error
    if "\0" in text:
        raise DataError(f"{where} is no CSV file: it has NUL bytes")
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if missing := [name for name in COLUMNS if name not in names]:
            have = listed(names) if any(names) else "nothing"
            raise DataError(
                f"{where}: its first line names no column {listed(missing)}; it has {have}{near(missing[0], names)}"
            )
        for row in reader:
            if len(row) != len(names) and row:
                raise DataError(f"{where}, line {reader.line_num}: {len(row)} fields; there are {len(names)} columns")
            if row:
                yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{where}, line {reader.line_num}: its quotes are wrong ({error})") from error


def corrected(data: Data, labels: Mapping[str, str], where: str) -> Data:
    """The data as a person says it is. `where` begins messages.

    An image of the pool joins the labeled ones with its class, and leaves the pool where labeled images are not in it;
    a labeled image gets its class. One of none of the classes is left out of both. Raises `DataError` for ids that are
    not in these splits, for unknown classes, and where a class would lose its last label.
    """
    _check(data, labels, where)
    numbers = {name: number for number, name in enumerate(data.classes)}
    pool = data.unlabeled
    own = {sample: row for row, sample in enumerate(data.labeled.ids)}
    apart = pool is None or not any(sample in own for sample in pool.ids)
    out = {sample for sample, label in labels.items() if not label}
    kept = np.array([row for sample, row in own.items() if sample not in out], np.int64)
    truth = data.labeled.truth.copy()
    changed = 0
    for sample, label in labels.items():
        if sample in own and label:
            changed += int(truth[own[sample]] != numbers[label])
            truth[own[sample]] = numbers[label]
    fresh = [] if pool is None else [row for row, s in enumerate(pool.ids) if labels.get(s) and s not in own]
    added = np.array([numbers[labels[pool.ids[row]]] for row in fresh] if pool else [], np.int64)
    gone = out | ({pool.ids[row] for row in fresh} if pool and apart else set())
    reason = f"of none of the classes ({where})"
    left = tuple(LeftOut(sample, "labeled" if sample in own else "unlabeled", reason) for sample in sorted(out))
    note = (
        f"{where}: {counted(len(labels), 'correction')} by hand: {counted(changed, 'label')} changed, "
        f"{counted(len(fresh), 'image')} newly labeled, {counted(len(out), 'image')} left out"
    )
    labeled = _joined(data.labeled, kept, truth, pool, np.array(fresh, np.int64), added)
    if lost := [data.classes[k] for k in np.setdiff1d(data.labeled.truth, labeled.truth)]:
        raise DataError(f"{where}: no labeled image would be left of {listed(lost)}, and so nothing to learn it from")
    return replace(
        data,
        labeled=labeled,
        unlabeled=pool and _without(pool, gone),
        notes=(*data.notes, note),
        left_out=(*data.left_out, *left),
    )


def _check(data: Data, labels: Mapping[str, str], where: str) -> None:
    """Refuse what names no image that can be corrected, or no class."""
    if strange := [label for label in dict.fromkeys(labels.values()) if label and label not in data.classes]:
        raise DataError(
            f"{where}: {listed(strange)} is no class; the classes are {listed(data.classes)}"
            f"{near(strange[0], data.classes)}"
        )
    known = dict.fromkeys(s for name in ("labeled", "unlabeled") if name in data.splits for s in data.splits[name].ids)
    if unknown := [sample for sample in labels if sample not in known]:
        measured = {s for name in ("validation", "test") if name in data.splits for s in data.splits[name].ids}
        if both := [sample for sample in unknown if sample in measured]:
            raise DataError(f"{where}: {listed(both)} is there to measure, and cannot be a label to learn from")
        like = f". Ids look like {shown(next(iter(known)))}" if known else ""
        raise DataError(f"{where}: no image of the labeled or unlabeled ones is called {listed(unknown)}{like}")


def _joined(labeled: Images, kept: Rows, truth: Rows, pool: Images | None, fresh: Rows, classes: Rows) -> Images:
    """Labeled images, and images of the pool behind them."""
    if pool is None or not len(fresh):
        return _rows(replace(labeled, truth=truth), kept)
    first, rest = _rows(replace(labeled, truth=truth), kept), _rows(pool, fresh)

    weight = None if first.weight is None else np.concatenate([first.weight, np.ones(len(rest), np.float32)])
    look = first.inspect and rest.inspect and _both(first.inspect, rest.inspect, len(first))
    read = _both(first.read, rest.read, len(first))
    return Images([*first.ids, *rest.ids], read, np.concatenate([first.truth, classes]), weight, look)


def _both(first: Asked[Answer], rest: Asked[Answer], base: int) -> Asked[Answer]:
    """What answers positions of `base` images, and of others behind them."""

    def answers(position: Rows) -> list[Answer]:
        found = dict[int, Answer]()
        for ask, places, start in (
            (first, np.flatnonzero(position < base), 0),
            (rest, np.flatnonzero(position >= base), base),
        ):
            found |= zip(places.tolist(), ask(position[places] - start), strict=True)
        return [found[place] for place in range(len(position))]

    return answers


def _without(images: Images, gone: set[str]) -> Images | None:
    """The images but for some; None where nothing is left."""
    rows = np.array([row for row, sample in enumerate(images.ids) if sample not in gone], np.int64)
    return images if len(rows) == len(images) else _rows(images, rows) if len(rows) else None


def _rows(images: Images, rows: Rows) -> Images:
    """Some of a split's images, in this order."""
    inspect = images.inspect
    return Images(
        [images.ids[row] for row in rows.tolist()],
        lambda position: images.read(rows[position]),
        images.truth[rows],
        None if images.weight is None else images.weight[rows],
        None if inspect is None else lambda position: inspect(rows[position]),
    )
