"""A study's results.json, as far as it can be read: earlier versions of it say less."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..comparison.members import number
from ..comparison.studies import RESULTS
from ..study.keys import ACCURACY
from ..study.stats import Difference, Spread, spread


@dataclass(frozen=True)
class Measured:
    """A row by one measure."""

    values: Spread
    difference: Difference | None = None
    "To the row that it is compared with."
    expect: str = ""
    paper: float | None = None
    "The paper's difference, in percentage points."
    verdict: str = ""
    "`supported`, `not supported`, `undecided`; nothing where nothing is expected or measured."
    words: str = ""


@dataclass(frozen=True)
class ResultRow:
    """One recipe over all seeds."""

    name: str
    kind: str
    against: str
    "The row that it is compared with; nothing for the base."
    generation: int | None
    measures: dict[str, Measured]
    verdict: str
    runs: dict[int, Path]
    "Seed -> run folder."


@dataclass(frozen=True)
class Results:
    """A study's results."""

    folder: Path
    study: str
    finding: str = ""
    source: str = ""
    command: str = ""
    seeds: tuple[int, ...] = ()
    measures: tuple[str, ...] = (ACCURACY,)
    rows: tuple[ResultRow, ...] = ()
    versions: dict[str, list[str]] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()
    "(row, seed, message)."

    @property
    def expected(self) -> list[tuple[ResultRow, str, Measured]]:
        """Every comparison of which something was expected: row, measure, what came out."""
        return [(row, name, one) for row in self.rows for name, one in row.measures.items() if one.expect]


def read_results(folder: Path) -> Results | None:
    """The results in a study's folder; None where they cannot be read."""
    try:
        found = json.loads((folder / RESULTS).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("rows"), list):
        return None
    rows = tuple(_row(row, folder) for row in found["rows"] if isinstance(row, dict) and row.get("name"))
    measures = tuple(_texts(found.get("measures"))) or (ACCURACY,)
    return Results(
        folder=folder, study=_text(found.get("study")) or folder.absolute().name, finding=_text(found.get("finding")),
        source=_text(found.get("source")), command=_text(found.get("command")), rows=rows, measures=measures,
        seeds=tuple(seed for seed in _list(found.get("seeds")) if isinstance(seed, int)), failures=_failures(found),
        versions={str(k): _texts(v) for k, v in _dict(found.get("versions")).items()},
        devices=tuple(_texts(found.get("devices"))), notes=tuple(_texts(found.get("notes"))),
    )  # fmt: skip


def _row(row: Mapping[str, Any], folder: Path) -> ResultRow:
    measures = {str(name): _measured(_dict(one)) for name, one in _dict(row.get("measures")).items()}
    if not measures:  # as results were written before studies had measures
        measures = {ACCURACY: _measured({**_dict(row.get("test")), "difference": row.get("to_base")})}
    generation = row.get("generation")
    runs = {int(seed): folder / str(path) for seed, path in _dict(row.get("runs")).items() if str(seed).isdecimal()}
    return ResultRow(
        name=str(row["name"]), kind=_text(row.get("kind")), against=_text(row.get("against")), measures=measures,
        generation=generation if type(generation) is int else None, verdict=_text(row.get("verdict")), runs=runs,
    )  # fmt: skip


def _measured(table: Mapping[str, Any]) -> Measured:
    values = {int(seed): number(one) for seed, one in _dict(table.get("values")).items() if str(seed).isdecimal()}
    return Measured(
        values=spread({seed: one for seed, one in values.items() if one is not None}),
        difference=_difference(_dict(table.get("difference"))), expect=_text(table.get("expect")),
        paper=number(table.get("paper")), verdict=_text(table.get("verdict")), words=_text(table.get("verdict_words")),
    )  # fmt: skip


def _difference(table: Mapping[str, Any]) -> Difference | None:
    mean, pairs = number(table.get("mean")), table.get("pairs")
    if mean is None:
        return None
    level = number(table.get("level"))
    more = () if level is None else (level,)
    return Difference(
        mean, number(table.get("half_width")), number(table.get("p")), pairs if type(pairs) is int else 0, *more
    )


def _failures(found: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (str(use[0]), str(use[1]), _text(one.get("message")))
        for one in _list(found.get("failures"))
        if isinstance(one, dict)
        for use in _list(one.get("uses"))
        if isinstance(use, list) and len(use) == 2
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in _list(value) if isinstance(one, str)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
