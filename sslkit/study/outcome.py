"""From the summaries of a study's runs to its results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

from ..tables import is_number, percent
from .children import Child, Failure
from .file import BASELINE, Study
from .stats import Difference, Spread, difference, spread

Summary = dict[str, Any]
VERSION = re.compile(r"\d+\.\d")
"How the values of a run's environment begin that are versions."


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant over all seeds, beside the base."""

    name: str
    kind: Literal["base", "variant", "baseline", "reference"]
    test: Spread
    "Test accuracy of the last model."
    selected: Spread
    "Test accuracy of the model that validation images select, of all generations."
    teacher: Spread
    "Test accuracy of generation 0, where others follow."
    gain: Difference | None
    "Last model minus teacher."
    to_base: Difference | None
    "Its last model minus the base's; None for the base."
    gain_ratio: float | None
    "Its gain as a share of the base's gain, over the seeds of both; None where the base gains nothing."
    expect: Literal["lower", "higher"] | None = None
    gain_below: float | None = None

    @property
    def verdict(self) -> str | None:
        """What was expected of it, and whether it is so."""
        return "; ".join(said for said in (self._accuracy_verdict(), self._gain_verdict()) if said) or None

    def _gain_verdict(self) -> str | None:
        """Whether it keeps less of the base's gain than it was expected to."""
        if self.gain_below is None or self.gain_ratio is None:
            return None
        kept = f"{percent(self.gain_ratio, 0)} of the base's gain over its teacher"
        return f"{kept}, expected below {percent(self.gain_below, 0)}: {'yes' if self.gain_ratio < self.gain_below else 'no'}"

    def _accuracy_verdict(self) -> str | None:
        """Whether the interval of the difference to the base lies on the expected side of zero."""
        if self.expect is None or self.to_base is None or self.to_base.low is None or self.to_base.high is None:
            return None
        if self.to_base.low <= 0 <= self.to_base.high:
            return f"expected {self.expect}: undecided"
        lower = self.to_base.high < 0
        return f"expected {self.expect}: {'yes' if lower == (self.expect == 'lower') else 'no'}"


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
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def base(self) -> Row:
        """The row that the others are compared with."""
        return self.rows[0]

    def against(self) -> list[tuple[str, Difference]]:
        """The base's last model minus each thing that is no variant: its teacher, the baseline, the references."""
        found = [("its teacher", self.base.gain)]
        others = [row for row in self.rows if row.kind in ("baseline", "reference")]
        found += [(row.name, row.to_base and row.to_base.reversed()) for row in others]
        return [(name, one) for name, one in found if one is not None]


def final_test(summary: Summary) -> Any:
    """Test accuracy of the last model."""
    return _generations(summary)[-1].get("test_accuracy") if _generations(summary) else None


def selected_test(summary: Summary) -> Any:
    """Test accuracy of the model that is best on validation images, of all generations."""
    chosen = [entry["selected"] for entry in _generations(summary) if isinstance(entry.get("selected"), dict)]
    chosen = [one for one in chosen if is_number(one.get("validation_accuracy"))]
    return max(chosen, key=lambda one: one["validation_accuracy"]).get("test_accuracy") if chosen else None


def teacher_test(summary: Summary) -> Any:
    """Test accuracy of the first model, where others follow."""
    entries = _generations(summary)
    return entries[0].get("test_accuracy") if len(entries) > 1 else None


def metrics_of(summary: Summary) -> dict[str, Any]:
    """The last model's metrics."""
    entries = _generations(summary)
    return (entries[-1].get("metrics") or {}) if entries else {}


def _metric(name: str, summary: Summary) -> Any:
    return metrics_of(summary).get(name)


def _generations(summary: Summary) -> list[dict[str, Any]]:
    return [entry for entry in summary.get("generations") or [] if isinstance(entry, dict)]


def gather(study: Study, children: Iterable[Child], failures: Iterable[Failure], command: str) -> Outcome:
    """The results of everything that is finished."""
    children, failures = list(children), tuple(failures)
    lost = {id(failure.child) for failure in failures}
    finished = [(child, summary) for child in children if id(child) not in lost and (summary := child.summary())]
    by_use = {use: summary for child, summary in finished for use in child.uses}
    versions, devices = _environments(child for child, _ in finished)
    return Outcome(study=study.name, command=command, seeds=study.seeds, rows=tuple(_rows(study, by_use)),
                   versions=versions, devices=devices, failures=failures,
                   notes=tuple(_notes(study, children)))  # fmt: skip


def _rows(study: Study, summaries: dict[tuple[str, int], Summary]) -> list[Row]:
    """The base, its variants, the supervised baseline, the references."""

    def values(name: str, read: Callable[[Summary], Any]) -> Spread:
        found = {seed: read(summaries[name, seed]) for seed in study.seeds if (name, seed) in summaries}
        return spread({seed: value for seed, value in found.items() if is_number(value)})

    def row(name: str, kind: Any, base: Row | None, expect: Any = None, gain_below: float | None = None) -> Row:
        test, teacher = values(name, final_test), values(name, teacher_test)
        return Row(name=name, kind=kind, test=test, selected=values(name, selected_test), teacher=teacher,
                   gain=difference(test, teacher), to_base=None if base is None else difference(test, base.test),
                   gain_ratio=None if base is None else _gain_ratio(test, teacher, base), expect=expect,
                   gain_below=gain_below)  # fmt: skip

    base = row(study.base.name, "base", None)
    rows = [
        base,
        *(row(variant.name, "variant", base, variant.expect, variant.gain_below) for variant in study.variants[1:]),
    ]
    if study.base.recipe.settings.baseline:
        rows.append(row(BASELINE, "baseline", base))
    return rows + [_reference(name, values(base.name, partial(_metric, name)), base)
                   for name in study.references]  # fmt: skip


def _reference(name: str, test: Spread, base: Row) -> Row:
    return Row(name=name, kind="reference", test=test, selected=spread({}), teacher=spread({}), gain=None,
               to_base=difference(test, base.test), gain_ratio=None)  # fmt: skip


def _gain_ratio(test: Spread, teacher: Spread, base: Row) -> float | None:
    """Mean gain over the own teacher as a share of the base's, over the seeds where both are known."""
    seeds = set(test.values) & set(teacher.values) & set(base.test.values) & set(base.teacher.values)
    gains = sum(test.values[seed] - teacher.values[seed] for seed in seeds)
    base_gains = sum(base.test.values[seed] - base.teacher.values[seed] for seed in seeds)
    return gains / base_gains if base_gains > 0 else None


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


def _notes(study: Study, children: list[Child]) -> list[str]:
    """What a reader must know to read the numbers."""
    notes = []
    if len(study.seeds) == 1:
        notes.append("One seed: no deviations and no intervals, which need at least two.")
    twins = dict.fromkeys(tuple(dict.fromkeys(name for name, _ in child.uses)) for child in children)
    for names in twins:
        if len(names) > 1:
            notes.append(f"The same recipe, run once for all: {', '.join(names)}.")
    return notes


def as_json(outcome: Outcome, children: Iterable[Child]) -> str:
    """`results.json`."""
    folders: dict[str, dict[str, str]] = {}
    for child in children:
        for name, seed in child.uses:
            folders.setdefault(name, {})[str(seed)] = f"children/{child.folder.name}"
    rows = [{**_row_table(row), "runs": folders.get(row.name, {})} for row in outcome.rows]
    against = {name: _difference_table(one) for name, one in outcome.against()}
    failures = [{"uses": one.child.uses, "message": one.message} for one in outcome.failures]
    table = {
        "study": outcome.study, "command": outcome.command, "seeds": outcome.seeds, "versions": outcome.versions,
        "devices": outcome.devices, "rows": rows, "base_minus": against, "failures": failures, "notes": outcome.notes,
    }  # fmt: skip
    return json.dumps(table, indent=1)


def _row_table(row: Row) -> dict[str, Any]:
    plain = {name: value for name, value in asdict(row).items() if name not in ("gain", "to_base")}
    both = {"gain": _difference_table(row.gain), "to_base": _difference_table(row.to_base)}
    return {**plain, **both, "verdict": row.verdict}


def _difference_table(one: Difference | None) -> dict[str, Any] | None:
    return None if one is None else {**asdict(one), "low": one.low, "high": one.high}
