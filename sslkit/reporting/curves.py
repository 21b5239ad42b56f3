"""Learning curves: what a run logged as it trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tables import percent, value
from .figures import layout, line, share_axis
from .folder import BASELINE, SPLITS, Key, RunFolder
from .parts import Choice, Figure, Part, Prose, Section, Table
from .reading import MOST, Evaluations, Events, Steps, downsampled

Values = Sequence[float | None]
TAUGHT = ("kept_share", "pseudo_label_accuracy", "pseudo_label_precision", "pseudo_label_coverage")
"Measures of the pseudo-labels themselves: they have a figure of their own."


def curves(run: RunFolder) -> Section:
    """Losses, accuracies, the rate; then every other number that was measured on the way."""
    events = run.events
    if not events.there and not run.baseline_events.there:
        text = "The run keeps no log (metrics.jsonl): without the tracker that writes it there are no curves."
        return Section("curves", "Learning curves", [Prose(text, "note")])
    parts: list[Part] = []
    if events.damaged:
        text = f"{events.damaged} damaged line{'s' * (events.damaged != 1)} of metrics.jsonl were skipped."
        parts.append(Prose(text, "warning"))
    losses = dict.fromkeys(name for own in _steps(run).values() for name in own.losses)
    figures = [_loss(run, name) for name in losses]
    parts += figures if len(figures) <= 4 else [Choice("Loss", [(figure.title, [figure]) for figure in figures])]
    parts += [figure for figure in (_accuracies(run), _rate(run)) if figure is not None]
    others = _others(run)
    if others:
        parts.append(Choice("Measured on the way", [(figure.title, [figure]) for figure in others]))
    if not parts:
        parts.append(Prose("The log holds no training step yet.", "note"))
    return Section("curves", "Learning curves", parts)


def short_curves(run: RunFolder) -> list[Part]:
    """The most telling of them, for a page of many runs."""
    losses = dict.fromkeys(name for own in _steps(run).values() for name in own.losses)
    figures = [_accuracies(run), *(_loss(run, name) for name in [*losses][:2])]
    return [figure for figure in figures if figure is not None]


def over_time(run: RunFolder) -> list[Part]:
    """The share of unlabeled images in use, and how many of their labels are right."""
    events, offsets = run.events, run.events.offsets
    data: list[dict[str, Any]] = []
    for key, own in events.steps.items():
        if any(share is not None for share in own.kept_share):
            x, y = thinned(_shifted(own.step, offsets[key]), own.kept_share, len(events.steps))
            data.append(line(key, f"{run.title(key)}: in use", x, y, hovertemplate="%{y:.1%}"))
    for key, found in events.evaluations.items():
        right = found.metrics.get("pseudo_label_precision") or found.metrics.get("pseudo_label_accuracy")
        if right and any(share is not None for share in right):
            x, y = thinned(_shifted(found.step, offsets[key]), right, len(events.evaluations))
            more: dict[str, Any] = {"mode": "lines+markers", "line": {"dash": "dot"}, "marker": {"size": 5}}
            data.append(line(key, f"{run.title(key)}: right", x, y, hovertemplate="%{y:.1%}", **more))
    if not data:
        return []
    shown = [y for trace in data for y in trace["y"]]
    says = (
        "Full lines: the share of unlabeled images that teach. Dotted lines: the share of right labels "
        "among these, where the data knows the classes."
    )
    axes = layout("step of the whole run", "share", None, share_axis(shown))
    return [
        Figure(
            "Unlabeled images in use, and how many of their labels are right", data, axes, says, _ends(data, percent)
        )
    ]


def thinned(x: Sequence[float], y: Values, lines: int) -> tuple[list[float], list[float]]:
    """As many points as a screen can show of one of several lines side by side."""
    return downsampled(x, y, max(60, MOST // max(1, lines)))


# Figures ------------------------------------------------------------------------------------------------------------


def _steps(run: RunFolder) -> dict[Key, Steps]:
    found: dict[Key, Steps] = {key: own for key, own in run.events.steps.items()}  # noqa: C416 - of another type
    if baseline := run.baseline_events.steps.get(0):
        found[BASELINE] = baseline
    return found


def _evaluations(run: RunFolder) -> dict[Key, Evaluations]:
    found: dict[Key, Evaluations] = {key: own for key, own in run.events.evaluations.items()}  # noqa: C416
    if baseline := run.baseline_events.evaluations.get(0):
        found[BASELINE] = baseline
    return found


def _offset(events: Events, key: Key) -> int:
    return 0 if isinstance(key, str) else events.offsets.get(key, 0)


def _shifted(steps: Sequence[int], by: int) -> list[int]:
    return [step + by for step in steps]


def _loss(run: RunFolder, name: str) -> Figure:
    found = {key: own for key, own in _steps(run).items() if name in own.losses}
    data = []
    for key, own in found.items():
        x, y = thinned(_shifted(own.step, _offset(run.events, key)), own.losses[name], len(found))
        data.append(line(key, run.title(key), x, y, hovertemplate="%{y:.4g}"))
    lines = sum(len(own.step) for own in found.values())
    drawn = sum(len(trace["x"]) for trace in data)
    says = f"Mean of each stretch between two lines of the log, over the steps of the whole run.{_drawn(lines, drawn)}"
    return Figure(
        f"Loss: {name}",
        data,
        layout("step of the whole run", name, None, {"rangemode": "tozero"}),
        says,
        _ends(data, value),
    )


def _drawn(lines: int, drawn: int) -> str:
    if drawn >= lines:
        return ""
    return f" Of {lines:,} logged points {drawn:,} are drawn: of each stretch the lowest and the highest."


def _accuracies(run: RunFolder) -> Figure | None:
    data: list[dict[str, Any]] = []
    found = _evaluations(run)
    for split, dash in zip(SPLITS, ("solid", "dot"), strict=True):
        for key, own in found.items():
            if shares := own.metrics.get(f"{split}_accuracy"):
                x, y = thinned(_shifted(own.step, _offset(run.events, key)), shares, len(found))
                style = {"dash": "dash" if key == BASELINE and split == SPLITS[0] else dash}
                more: dict[str, Any] = {"line": style, "mode": "lines+markers", "marker": {"size": 5}}
                more |= {"legendgroup": str(key), "showlegend": not any(one["legendgroup"] == str(key) for one in data)}
                data.append(line(key, f"{run.title(key)}, {split}", x, y, hovertemplate="%{y:.2%}", **more))
    if not data:
        return None
    shown = [y for trace in data for y in trace["y"]]
    says = (
        "Measured as the run trained, full lines on test images and dotted ones on validation images; "
        "dashed: the supervised baseline. Each generation begins anew."
    )
    return Figure(
        "Accuracy as it trained",
        data,
        layout("step of the whole run", "accuracy", None, share_axis(shown)),
        says,
        _ends(data, percent),
    )


def _rate(run: RunFolder) -> Figure | None:
    found, data = _steps(run), []
    for key, own in found.items():
        if any(rate is not None for rate in own.lr):
            x, y = thinned(_shifted(own.step, _offset(run.events, key)), own.lr, len(found))
            data.append(line(key, run.title(key), x, y, hovertemplate="%{y:.4g}"))
    axes = layout("step of the whole run", "rate", None, {"rangemode": "tozero"}, height=240)
    return (
        Figure("Learning rate", data, axes, "The optimizer's rate, as schedules drive it.", _ends(data, value))
        if data
        else None
    )


def _others(run: RunFolder) -> list[Figure]:
    """A figure for each further number that was measured more than once in a generation."""
    found, made = _evaluations(run), []
    names = dict.fromkeys(name for own in found.values() for name, numbers in own.metrics.items() if len(numbers) > 1)
    for name in names:
        if name in TAUGHT or name in [f"{split}_accuracy" for split in SPLITS]:
            continue
        data = []
        for key, own in found.items():
            if any(number is not None for number in own.metrics.get(name, [])):
                x, y = thinned(_shifted(own.step, _offset(run.events, key)), own.metrics[name], len(found))
                data.append(
                    line(key, run.title(key), x, y, mode="lines+markers", marker={"size": 5}, hovertemplate="%{y:.4g}")
                )
        if data:
            made.append(
                Figure(
                    name.replace("_", " "),
                    data,
                    layout("step of the whole run", "", None, None),
                    "",
                    _ends(data, value),
                )
            )
    return made


def _ends(data: Sequence[dict[str, Any]], words: Callable[[Any], str]) -> Table:
    """What each line begins and ends at, and its lowest and highest."""
    there = [trace for trace in data if trace["y"]]
    rows = [
        [trace["name"], *(words(f(trace["y"])) for f in (lambda y: y[0], min, max, lambda y: y[-1]))] for trace in there
    ]
    keys = [{"generation": trace["meta"]["generation"]} for trace in there]
    return Table(["line", "first", "lowest", "highest", "last"], rows, "", keys)
