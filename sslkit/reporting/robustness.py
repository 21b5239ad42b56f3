"""How much a model bears: attacks, corruptions, small changes from frame to frame; as far as anything measured it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..tables import ABSENT, is_number, is_share, percent, value
from .figures import gap, layout, line, meta
from .folder import BASELINE, Key, RunFolder
from .measures import (
    attack_words,
    by_severity,
    curve,
    is_corruption,
    is_curve,
    is_flips,
    own_words,
    readable,
    severity_words,
)
from .parts import Figure, Part, Prose, Section, Table
from .quality import adding

NUMBER = re.compile(
    r"(?:.+_)?(?:corruption_error|mce|mce_without_frost|flip_probability|mfr)|natural_adversarial(?:_top\d+)?_accuracy"
)
"What stands in the table, by its name without `test_`."
RELATIVE = re.compile(r"mce|mfr")
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
    missing = [run.title(key) for key, own in found.items() if not any(_tells(name, own) for name in own)]
    if missing or not found:
        some = f" of {', '.join(missing)}" if len(missing) < len(found) else ""
        later = "" if found else " No generation is finished; once one is, this measures it."
        parts += [Prose(f"Robustness was not measured{some}.{later}", "note"), *adding(run, " --metrics robustness")]
    return Section("robustness", "Robustness", parts)


def _tells(name: str, own: Mapping[str, Any]) -> bool:
    """Whether something measured tells of robustness: a number, or a table of a known shape."""
    measured = own[name]
    if is_number(measured):
        return _told(name, own)
    return is_curve(measured) or is_corruption(measured) or is_flips(measured)


def _named(found: Mapping[Key, dict[str, Any]], test: Any) -> list[str]:
    return list(dict.fromkeys(name for own in found.values() for name, measured in own.items() if test(measured)))


def _numbers(run: RunFolder, found: Mapping[Key, dict[str, Any]]) -> Table | None:
    names = [
        name for own in found.values() for name, measured in own.items() if _told(name, own) and is_number(measured)
    ]
    names = list(dict.fromkeys(names))
    if not names:
        return None
    rows = [[run.title(key), *(_words(name, own.get(name)) for name in names)] for key, own in found.items()]
    relative = (
        "mCE and mFR are relative to a reference model: below 100% is better than it."
        if any(map(RELATIVE.search, names))
        else ""
    )
    heads = [readable(name.removeprefix("test_")) for name in names]
    return Table(["model", *heads], rows, relative, [{"generation": str(key)} for key in found])


def _told(name: str, own: Mapping[str, Any]) -> bool:
    """Whether a number tells of robustness: by its name, or since it is a table's of corruptions."""
    return bool(NUMBER.fullmatch(name.removeprefix("test_"))) or is_corruption(own.get(name.removesuffix("_error")))


def _words(name: str, measured: Any) -> str:
    if not is_number(measured):
        return ABSENT
    return percent(measured, 1) if is_share(name) else value(measured)


def _table(run: RunFolder, head: str, found: Mapping[Key, Mapping[str, Any]], names: Sequence[str]) -> Table:
    rows = [[name, *(percent(own.get(name), 1) for own in found.values())] for name in names]
    return Table([head, *map(run.title, found)], rows)


def _attack(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Figure:
    shares = {key: curve(own[name], "accuracy") for key, own in found.items() if is_curve(own.get(name))}
    data = [
        line(key, run.title(key), [*own], [*own.values()], mode="lines+markers", hovertemplate="epsilon %{x}: %{y:.1%}")
        for key, own in shares.items()
    ]
    says = (
        "Accuracy on test images that are changed to be taken for another class, by at most epsilon (in "
        "steps of 1/255). The attack knows the model."
    )
    axes = layout(
        "epsilon, in steps of 1/255", "accuracy", {"rangemode": "tozero"}, {"tickformat": ".0%", "range": [0, 1.02]}
    )
    return Figure(f"Attack: {attack_words(name)}", data, axes, says, _table(run, "epsilon", *_texts(shares)))


def _texts(found: Mapping[Key, Mapping[float, float]]) -> tuple[dict[Key, dict[str, float]], list[str]]:
    """Lines as a table's cells, and the names of its rows."""
    rows = sorted({x for own in found.values() for x in own})
    return {key: {f"{x:g}": y for x, y in own.items()} for key, own in found.items()}, [f"{x:g}" for x in rows]


def _severity(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Figure:
    means = {key: by_severity(own[name]) for key, own in found.items() if is_corruption(own.get(name))}
    cells, rows = _texts(means)
    data = [
        line(
            key, run.title(key), [*own], [*own.values()], mode="lines+markers", hovertemplate="severity %{x}: %{y:.1%}"
        )
        for key, own in means.items()
    ]
    ticks = {"tickmode": "array", "tickvals": [*map(float, rows)], "ticktext": rows}
    axes = layout("severity", "error", ticks, {"tickformat": ".0%", "rangemode": "tozero"}, height=300)
    return Figure(
        f"Error by severity{own_words(name, 'corruptions')}",
        data,
        axes,
        "Mean over the corruptions that were measured, without drawn stand-ins.",
        _table(run, "severity", cells, rows),
    )


def _by_row(
    name: str, found: Mapping[Key, dict[str, Any]], column: str, fits: Callable[[Any], bool]
) -> dict[Key, dict[str, Any]]:
    """One column of each model's table of that name, where it has the shape."""
    return {
        key: {str(row): own[name][row].get(column) for row in own[name]}
        for key, own in found.items()
        if fits(own.get(name))
    }


def _corruptions(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Part:
    errors = _by_row(name, found, "mean", is_corruption)
    return _bars(
        run,
        f"Error by corruption{own_words(name, 'corruptions')}",
        "error",
        errors,
        f"Mean over {severity_words(own.get(name) for own in found.values())}. What is marked as drawn has no photographs behind it, and counts for no published figure.",
    )


def _flips(run: RunFolder, name: str, found: Mapping[Key, dict[str, Any]]) -> Part:
    flips = _by_row(name, found, "flips", is_flips)
    return _bars(
        run,
        f"Flips by perturbation{own_words(name, 'perturbations')}",
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
    spoken = {key: {name.replace("_", " "): own[name] for name in own} for key, own in found.items()}
    return Figure(title, data, axes, says, _table(run, what, spoken, labels))
