"""Where the time went."""

from __future__ import annotations

from typing import Any

from ..tables import ABSENT, count, duration, is_number, percent
from .figures import layout
from .folder import BASELINE, Key, RunFolder
from .parts import Figure, Part, Prose, Section, Table
from .reading import Events, Steps

KINDS = (
    ("worked", "model", "plain"),
    ("waited", "waiting for data", "4"),
    ("labeled", "labeling", "5"),
    ("measured", "evaluating", "6"),
    ("rest", "all else: saving, logging, building", "dropped"),
)


def time(run: RunFolder) -> Section:
    """A bar for each generation, by what took the time."""
    keys: list[Key] = [*run.entries, BASELINE]
    found = {key: own for key in keys if (own := _spent(run, key))}
    if not found:
        return Section("time", "Where the time went", [Prose(_unfinished(run), "note")])
    titles = [run.title(key) for key in found]
    data = [
        {"type": "bar", "orientation": "h", "name": name, "y": titles,
         "x": [round(own.get(kind, 0.0), 3) for own in found.values()],
         "meta": {"color": color}, "hovertemplate": "%{x:.1f} s"}
        for kind, name, color in KINDS if any(own.get(kind) for own in found.values())
    ]  # fmt: skip
    rows = []
    for key, own in found.items():
        total = sum(own.values())
        timing = (run.baseline if isinstance(key, str) else run.entries[key]).get("timing") or {}
        speed = timing.get("images_per_second") if isinstance(timing, dict) else None
        rows.append(
            [
                run.title(key),
                duration(total),
                *(
                    f"{own[kind]:,.1f} s ({percent(own[kind] / total, 0)})" if own.get(kind) and total else ABSENT
                    for kind, _, _ in KINDS
                ),
                count(speed),
            ]
        )
    table = Table(
        ["", "in all", *(name for _, name, _ in KINDS), "images per second"],
        rows,
        "",
        [{"generation": str(key)} for key in found],
    )
    says = (
        "Data is made beside the training, in processes of its own: only what the model waited for it "
        "costs time. Labeling and evaluating are told by the log's clock."
    )
    axes = layout(
        "seconds",
        "",
        {"rangemode": "tozero"},
        {"type": "category", "autorange": "reversed"},
        barmode="stack",
        height=130 + 38 * len(found),
    )
    whole = run.summary.get("wall_seconds")
    parts: list[Part] = [Prose(f"{duration(whole)} in all.", "prose")] if is_number(whole) else []
    return Section("time", "Where the time went", [*parts, Figure("Time by generation", data, axes, says, table)])


def _unfinished(run: RunFolder) -> str:
    """What the log tells of generations that did not come to their end."""
    logs: list[tuple[Key, Steps]] = [*run.events.steps.items()]
    logs += [(BASELINE, own) for own in run.baseline_events.steps.values()]
    said = []
    for key, own in logs:
        if moments := [moment for moment in own.time if moment is not None]:
            took = duration(max(moments) - min(moments))
            said.append(
                f"{run.title(key)}: {count(max(own.step))} steps logged, {took} from the first line to the last"
            )
    if not said:
        return "Nothing is finished whose time could be told."
    return f"No generation is finished, so nothing says what took the time. {'; '.join(said)}."


def _spent(run: RunFolder, key: Key) -> dict[str, float]:
    """Seconds by kind; empty where they were not written down."""
    entry = run.baseline if isinstance(key, str) else run.entries.get(key, {})
    timing = entry.get("timing")
    if not isinstance(timing, dict) or not all(is_number(timing.get(name)) for name in ("seconds", "worked", "waited")):
        return {}
    events, number = (run.baseline_events, 0) if isinstance(key, str) else (run.events, key)
    rest = max(0.0, timing["seconds"] - timing["worked"] - timing["waited"])
    measured = min(rest, _evaluating(events, number))
    own = {"worked": timing["worked"], "waited": timing["waited"], "labeled": _labeling(events, number)}
    return {**own, "measured": measured, "rest": rest - measured}


def _labeling(events: Events, generation: int) -> float:
    """From the end of the generation before, or from where the run was taken up again, to the end of labeling."""
    ends = [one["time"] for one in events.labels if one["generation"] == generation and is_number(one.get("time"))]
    before: list[Any] = [one.get("time") for one in events.generations if one["generation"] == generation - 1]
    begun = [
        moment for moment in [*before, events.start.get("time")] if is_number(moment) and ends and moment <= ends[-1]
    ]
    return float(ends[-1] - max(begun)) if begun else 0.0


def _evaluating(events: Events, generation: int) -> float:
    """From the line of a step to that of its evaluation, where both are there."""
    steps, found = events.steps.get(generation), events.evaluations.get(generation)
    if steps is None or found is None:
        return 0.0
    logged = dict(zip(steps.step, steps.time, strict=True))
    pairs = [(logged.get(step), end) for step, end in zip(found.step, found.time, strict=True)]
    return sum(max(0.0, end - begin) for begin, end in pairs if begin is not None and end is not None)
