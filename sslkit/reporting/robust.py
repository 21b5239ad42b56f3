"""How much a model bears: attacks, corruptions, small changes from frame to frame; as far as anything measured it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import ABSENT, is_number, percent, value
from .figures import gap, layout, line, meta
from .folder import BASELINE, Key, RunFolder
from .parts import Figure, Part, Prose, Section, Table
from .quality import adding

SEVERITIES = ("1", "2", "3", "4", "5")
NUMBERS = {
    "corruption_error": "mean corruption error", "mce": "mCE", "mce_without_frost": "mCE without frost",
    "flip_probability": "flip probability", "mfr": "mFR",
    "natural_adversarial_accuracy": "accuracy on natural adversarial images",
}  # fmt: skip
"What stands in the table, by its name without `test_`."
RELATIVE = ("mce", "mce_without_frost", "mfr")
"Relative to a reference model's: 1 is as good as that."


def robustness(run: RunFolder) -> Section:
    """Curves over epsilon, errors by corruption, flips by perturbation."""
    keys: list[Key] = [*run.entries, *([BASELINE] if run.baseline else [])]
    found = {key: run.metrics(key) for key in keys}
    parts: list[Part] = [part for part in (_numbers(run, found),) if part is not None]
    parts += [_attack(run, name, found) for name in _named(found, is_curve)]
    for name in _named(found, is_corruption):
        parts += [_severity(run, name, found), _corruptions(run, name, found)]
    parts += [_flips(run, name, found) for name in _named(found, is_flips)]
    if not parts:
        parts = [Prose("Robustness was not measured.", "note"), *adding(run, " --metrics robustness")]
    return Section("robustness", "Robustness", parts)


def _rows(measured: Any) -> dict[str, dict[str, Any]]:
    there = isinstance(measured, dict) and measured and all(isinstance(row, dict) for row in measured.values())
    return measured if there else {}


def is_curve(measured: Any) -> bool:
    """Whether a table is accuracy over an attack's strength: rows are epsilons."""
    rows = _rows(measured)
    return bool(rows) and all(_number(name) is not None and set(row) == {"accuracy"} for name, row in rows.items())


def is_corruption(measured: Any) -> bool:
    """Whether a table is of errors by corruption, a column for each severity."""
    rows = _rows(measured)
    return bool(rows) and all("mean" in row and set(SEVERITIES) & set(row) for row in rows.values())


def is_flips(measured: Any) -> bool:
    """Whether a table is of flips by perturbation."""
    rows = _rows(measured)
    return bool(rows) and all("flips" in row for row in rows.values())


def _named(found: Mapping[Key, dict[str, Any]], test: Any) -> list[str]:
    return list(dict.fromkeys(name for own in found.values() for name, measured in own.items() if test(measured)))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(run: RunFolder, found: Mapping[Key, dict[str, Any]]) -> Table | None:
    names = [name for name in NUMBERS if any(is_number(_of(own, name)) for own in found.values())]
    if not names:
        return None
    rows = [[run.title(key), *(_words(name, _of(own, name)) for name in names)] for key, own in found.items()]
    relative = (
        "mCE and mFR are relative to a reference model: below 100% is better than it."
        if set(names) & set(RELATIVE)
        else ""
    )
    return Table(
        ["model", *(NUMBERS[name] for name in names)], rows, relative, [{"generation": str(key)} for key in found]
    )


def _of(metrics: dict[str, Any], name: str) -> Any:
    return metrics.get(f"test_{name}", metrics.get(name))


def _words(name: str, measured: Any) -> str:
    if not is_number(measured):
        return ABSENT
    return (
        percent(measured, 1)
        if name in RELATIVE or name.endswith(("error", "accuracy", "probability"))
        else value(measured)
    )


def _table(run: RunFolder, head: str, found: Mapping[Key, Mapping[str, Any]], names: Sequence[str]) -> Table:
    rows = [[name, *(percent(own.get(name), 1) for own in found.values())] for name in names]
    return Table([head, *map(run.title, found)], rows)


def _attack(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Figure:
    shares = {
        key: {str(e): row.get("accuracy") for e, row in own[name].items()}
        for key, own in found.items()
        if is_curve(own.get(name))
    }
    data = []
    for key, own in shares.items():
        there = sorted((float(e), share) for e, share in own.items() if is_number(share))
        data.append(line(key, run.title(key), [e for e, _ in there], [share for _, share in there], mode="lines+markers",
                         hovertemplate="epsilon %{x}: %{y:.1%}"))  # fmt: skip
    names = sorted({e for own in shares.values() for e in own}, key=float)
    title = name.removeprefix("test_").upper().replace("_L2", ", L2").replace("_", " ")
    says = (
        "Accuracy on test images that are changed to be taken for another class, by at most epsilon (in "
        "steps of 1/255). The attack knows the model."
    )
    axes = layout(
        "epsilon, in steps of 1/255", "accuracy", {"rangemode": "tozero"}, {"tickformat": ".0%", "range": [0, 1.02]}
    )
    return Figure(f"Attack: {title}", data, axes, says, _table(run, "epsilon", shares, names))


def _severity(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Figure:
    means: dict[Key, dict[str, Any]] = {}
    for key, own in found.items():
        if is_corruption(own.get(name)):
            columns = {
                level: [row[level] for row in own[name].values() if is_number(row.get(level))] for level in SEVERITIES
            }
            means[key] = {level: sum(errors) / len(errors) for level, errors in columns.items() if errors}
    data = [
        line(
            key,
            run.title(key),
            list(own),
            list(own.values()),
            mode="lines+markers",
            hovertemplate="severity %{x}: %{y:.1%}",
        )
        for key, own in means.items()
    ]
    axes = layout("severity", "error", {"type": "category"}, {"tickformat": ".0%", "rangemode": "tozero"}, height=300)
    return Figure(
        "Error by severity",
        data,
        axes,
        "Mean over the corruptions that were measured.",
        _table(run, "severity", means, SEVERITIES),
    )


def _corruptions(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Part:
    errors = {
        key: {str(row): own[name][row].get("mean") for row in own[name]}
        for key, own in found.items()
        if is_corruption(own.get(name))
    }
    return _bars(
        run,
        "Error by corruption",
        "error",
        errors,
        "Mean over five severities. What is marked as drawn has no photographs behind it, and counts for no published figure.",
    )


def _flips(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Part:
    flips = {
        key: {str(row): own[name][row].get("flips") for row in own[name]}
        for key, own in found.items()
        if is_flips(own.get(name))
    }
    return _bars(
        run,
        "Flips by perturbation",
        "share that flips",
        flips,
        "How often the answer changes from one frame to the next, as an image changes little by little.",
    )


def _bars(run: RunFolder, title: str, what: str, found: Mapping[Key, Mapping[str, Any]], says: str) -> Figure:
    """A group of bars for each row: the first and the last generation and the baseline; the table has all."""
    names = list(dict.fromkeys(name for own in found.values() for name in own))
    models = [key for key in found if key != BASELINE]
    shown = [*dict.fromkeys([*models[:1], *models[-1:]]), *([BASELINE] if BASELINE in found else [])]
    labels = [name.replace("_", " ") for name in names]
    data = [
        {"type": "bar", "name": run.title(key), "x": labels, "y": [found[key].get(name) for name in names], "meta": meta(key),
         "hovertemplate": "%{x}: %{y:.1%}"}
        for key in shown
    ]  # fmt: skip
    axes = layout(
        "",
        what,
        {"type": "category", "tickangle": -40},
        {"tickformat": ".0%", "rangemode": "tozero"},
        barmode="group",
        bargap=gap(len(names)),
        height=400,
    )
    return Figure(title, data, axes, says, _table(run, "", found, names))
