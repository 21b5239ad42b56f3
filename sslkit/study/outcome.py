"""From the runs of a study to its results."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .children import Child, Failure
from .file import Study
from .rows import Comparison, Row, rows_of
from .stats import Difference, level_of

VERSION = re.compile(r"\d+\.\d")
"How the values of a run's environment begin that are versions."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A study's results."""

    study: str
    command: str
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    versions: dict[str, list[str]]
    "Package -> the versions that its runs were made with."
    devices: list[str]
    finding: str = ""
    source: str = ""
    measures: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def base(self) -> Row:
        """The row that the others are compared with."""
        return self.rows[0]

    @property
    def level(self) -> float:
        """Of each interval, so that all on which a verdict hangs hold together."""
        return level_of(len(self.expectations))

    @property
    def expectations(self) -> list[tuple[Row, Comparison]]:
        """Every comparison of which something was expected, whether it was measured or not."""
        return [(row, one) for row in self.rows for one in row.comparisons if one.expect is not None]

    def against(self) -> list[tuple[str, Difference]]:
        """The base's model minus each thing that is no variant: its teacher, the baseline, the references."""
        found = [("its teacher", self.base.gain)]
        others = [row for row in self.rows if row.kind in ("baseline", "reference")]
        found += [(row.name, row.main.difference and row.main.difference.reversed()) for row in others]
        return [(name, one) for name, one in found if one is not None]


def final_test(summary: Mapping[str, Any]) -> Any:
    """Test accuracy of the last model."""
    return _last(summary).get("test_accuracy")


def metrics_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The last model's metrics."""
    return _last(summary).get("metrics") or {}


def _last(summary: Mapping[str, Any]) -> dict[str, Any]:
    entries = [entry for entry in summary.get("generations") or [] if isinstance(entry, dict)]
    return entries[-1] if entries else {}


def gather(study: Study, children: Iterable[Child], failures: Iterable[Failure], command: str) -> Outcome:
    """The results of everything that is finished."""
    children, failures = list(children), tuple(failures)
    lost = {id(failure.child) for failure in failures if failure.generation is None}
    finished = [child for child in children if id(child) not in lost and child.summary()]
    versions, devices = _environments(finished)
    rows = rows_of(study, {use: child for child in finished for use in child.uses})
    return Outcome(study=study.name, command=command, seeds=study.seeds, rows=tuple(rows), versions=versions,
                   devices=devices, finding=study.finding, source=study.source, measures=study.measures,
                   failures=failures, notes=(*_notes(study, children), *_unmeasured(study, rows)))  # fmt: skip


def _environments(children: Iterable[Child]) -> tuple[dict[str, list[str]], list[str]]:
    """The versions that runs were made with, and the kinds of their devices."""
    versions: dict[str, set[str]] = {}
    devices: set[str] = set()
    for child in children:
        try:
            found = json.loads((child.folder / "environment.json").read_text())
        except (OSError, ValueError):
            continue  # a reused run whose note of it was lost; its results stand
        kind = str(found.get("device", "unknown")).split()[0]
        if kind == "cpu" and (threads := found.get("threads")):  # whose number decides how sums are rounded
            kind += f" ({threads} thread{'s' if threads > 1 else ''})"
        devices.add(kind)
        for name, version in found.items():
            if isinstance(version, str) and VERSION.match(version):
                versions.setdefault(name, set()).add(version)
    return {name: sorted(found) for name, found in versions.items()}, sorted(devices)


def twins(study: Study) -> list[tuple[str, ...]]:
    """Names of variants that are the same recipe at the same generation: their difference is none of settings."""
    found: dict[tuple[str, int | None], list[str]] = {}
    for variant in study.variants:
        if variant.kind != "baseline":
            found.setdefault((variant.recipe.hash, variant.generation), []).append(variant.name)
    return [tuple(names) for names in found.values() if len(names) > 1]


def _notes(study: Study, children: list[Child]) -> list[str]:
    """What a reader must know to read the numbers."""
    notes = []
    if len(study.seeds) == 1:
        notes.append("One seed: no deviations and no intervals, which need at least two.")
    names = dict.fromkeys(tuple(dict.fromkeys(name for name, _ in child.uses)) for child in children)
    generations = {variant.name: variant.generation for variant in study.variants}
    for twins in (found for found in names if len(found) > 1):
        same = len({generations[name] for name in twins}) == 1
        what = "The same recipe, run once for all" if same else "Generations of the same runs"
        notes.append(f"{what}: {', '.join(twins)}.")
    return notes


def _unmeasured(study: Study, rows: Sequence[Row]) -> list[str]:
    """Measures that no finished run reports, where there are any."""
    there = {one.measure for row in rows for one in row.comparisons if one.values.values}
    lost = [measure for measure in study.measures if measure not in there] if rows and rows[0].test.values else []
    return [f"{measure}: no run reports it, and nothing is compared by it." for measure in lost]


def as_json(outcome: Outcome, children: Iterable[Child], folder: Path) -> str:
    """`results.json` in a study's folder; runs are named by their paths from there."""
    folders: dict[str, dict[str, str]] = {}
    for child in children:
        for name, seed in child.uses:
            folders.setdefault(name, {})[str(seed)] = os.path.relpath(child.folder, folder)
    rows = [{**_row_table(row), "runs": folders.get(row.name, {})} for row in outcome.rows]
    against = {name: _difference_table(one) for name, one in outcome.against()}
    failures = [{"uses": one.child.uses, "message": one.message} for one in outcome.failures]
    table = {
        "study": outcome.study, "finding": outcome.finding, "source": outcome.source, "command": outcome.command,
        "seeds": outcome.seeds, "measures": outcome.measures, "versions": outcome.versions, "devices": outcome.devices,
        "rows": rows, "base_minus": against, "failures": failures, "notes": outcome.notes,
    }  # fmt: skip
    return json.dumps(table, indent=1)


def _row_table(row: Row) -> dict[str, Any]:
    plain = {name: value for name, value in asdict(row).items() if name not in ("gain", "comparisons")}
    measures = {one.measure: _comparison_table(one) for one in row.comparisons}
    return {**plain, "gain": _difference_table(row.gain), "measures": measures, "verdict": row.verdict}


def _comparison_table(one: Comparison) -> dict[str, Any]:
    return {**asdict(one.values), "difference": _difference_table(one.difference), "expect": one.expect,
            "paper": one.paper, "verdict": one.verdict, "verdict_words": one.verdict_words}  # fmt: skip


def _difference_table(one: Difference | None) -> dict[str, Any] | None:
    return None if one is None else {**asdict(one), "low": one.low, "high": one.high}
