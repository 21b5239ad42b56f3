"""What a run has told, told again from its folder: the end of its log, the cards of its models, its recipe.

Each may be missing, and any of the files may be in the making.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..story import Place, Story, Told
from ..tables import is_number
from .standing import METRICS, RECIPE, Standing, ago, read_json, read_summary

TAIL, HEAD = 1 << 18, 1 << 16
"Bytes read from the end of a log, however long it is, and from its beginning."
CARD_ONLY = ("facts", "seed")
"What a model's card says beside its generation's results."


@dataclass(frozen=True)
class Replay:
    """A story that was told again."""

    story: Story
    why: str | None
    "What ended the run, where that was written down."


def replay(run: Standing) -> Replay:
    """What a run has told so far, at the place where it now is."""
    folder, story = run.active, Story()
    head, lines = _head(folder / METRICS), list(_tail(folder / METRICS))
    start = {**_from_recipe(folder), **head, "folder": str(run.folder), "resumed": False}
    start["role"] = "run" if folder == run.folder else "baseline"
    story.hear(Told("start", _place(start, 0, 0), start))
    for entry in _entries(folder):
        story.hear(Told("generation", _place(start, entry["index"], entry.get("steps", 0)), entry))
    if baseline := _baseline(run.folder):
        story.hear(Told("baseline", _place(start, 0, 0), baseline))
    for line in lines:
        values = {name: value for name, value in line.items() if name not in ("kind", "step", "generation", "time")}
        if line["kind"] != "start":
            story.hear(Told(line["kind"], _place(start, line["generation"], line["step"]), values))
    _now(run, story, start, lines)
    return Replay(story, _why(lines) if run.state in ("failed", "stopped") else None)


def _why(lines: list[dict[str, Any]]) -> str | None:
    """What ended the run, without how to go on: that is said elsewhere."""
    ends = [str(line.get("message")) for line in lines if line["kind"] == "failure"]
    return ends[-1].partition(" Go on with:\n")[0] if ends else None


def _now(run: Standing, story: Story, start: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """What the log does not say: where a run without one is, how far labeling is, how old the figures are."""
    saved, labels = run.saved, run.doing.get("labels")
    if saved and (saved.generation, saved.step) > (story.generation, story.step):
        story.hear(Told("place", _place(start, saved.generation, saved.step), {}))
    if isinstance(labels, dict) and run.state == "running":
        story.hear(Told("labels", _place(start, labels.get("generation"), 0), labels))
    timing = story.now.get("timing") or {}
    if run.state != "running" or run.doing.get("waiting"):
        story.now = {**story.now, "timing": {}}
    elif lines and is_number(timing.get("seconds_left")) and is_number(lines[-1].get("time")):
        left = max(0.0, timing["seconds_left"] - ago(lines[-1]["time"]))
        story.now = {**story.now, "timing": {**timing, "seconds_left": left}}


def _place(start: dict[str, Any], generation: Any, step: Any) -> Place:
    number = generation if isinstance(generation, int) else 0
    steps = start.get("steps") or []
    most = steps[number] if isinstance(steps, list) and 0 <= number < len(steps) else 0
    return Place(number, step if isinstance(step, int) else 0, most if isinstance(most, int) else 0)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line of the log; None for what is none, as a line that is being written."""
    try:
        value = json.loads(line)
        return value if isinstance(value, dict) and {"kind", "generation", "step"} <= value.keys() else None
    except ValueError:
        return None


def _tail(path: Path) -> Iterator[dict[str, Any]]:
    """The last events of a log."""
    try:
        with path.open("rb") as file:
            skipped = max(0, file.seek(0, 2) - TAIL)
            file.seek(skipped)
            lines = file.read(TAIL).split(b"\n")
    except OSError:
        return
    yield from (line for line in map(_parsed, lines[bool(skipped) :]) if line is not None)


def _head(path: Path) -> dict[str, Any]:
    """What the run said when it began."""
    try:
        with path.open("rb") as file:
            line = _parsed(file.readline(HEAD))
    except OSError:
        return {}
    return line if line is not None and line["kind"] == "start" else {}


def _from_recipe(folder: Path) -> dict[str, Any]:
    """The same as far as the recipe and the environment beside it say it."""
    try:
        table = tomllib.loads((folder / RECIPE).read_text())
    except (OSError, ValueError):
        table = {}
    around = read_json(folder / "environment.json")
    generations = [own for own in table.get("generation") or [{}] if isinstance(own, dict)]
    said = {"recipe": around.get("recipe"), "device": around.get("device"), "sizes": around.get("images")}
    return {
        **{name: value for name, value in said.items() if value is not None},
        "generations": len(generations),
        "steps": [own.get("steps", table.get("steps", 0)) for own in generations],
        "model": [_model(own) or _model(table) for own in generations],
    }


def _model(table: dict[str, Any]) -> str:
    model = table.get("model")
    return str(model.get("name", "")) if isinstance(model, dict) else ""


def _entries(folder: Path) -> list[dict[str, Any]]:
    """Results of the finished generations, from the cards beside their models."""
    cards = [read_json(path) for path in (folder / "models").glob("generation-*/card.json")]
    known = [card for card in cards if isinstance(card.get("index"), int)]
    return [
        {key: value for key, value in card.items() if key not in CARD_ONLY}
        for card in sorted(known, key=lambda card: card["index"])
    ]


def _baseline(folder: Path) -> dict[str, Any] | None:
    """The baseline's result."""
    summary = read_summary(folder / "baseline")
    results = summary.get("generations") or []
    done = summary.get("status") == "finished" and results and isinstance(results[-1], dict)
    return results[-1] if done else None
