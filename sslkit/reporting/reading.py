"""A run's metrics.jsonl for figures: by generation, by name; what is damaged is skipped and counted, never an error."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..tables import is_number

FILE, EVALUATIONS = "metrics.jsonl", "evaluations"
MOST = 800
"Points of a line in a figure; more are not told apart on any screen."
DIGITS = 5
"Significant digits of a drawn number: a page of many runs stays small."
GENERATIONS, FARTHEST = 10_000, 10**12
"A line that is of a later generation or step than any run has is damaged."
LOGS = 64
"Logs that are kept once they were read."
Values = list[float | None]


@dataclass
class Steps:
    """What one generation logged as it trained: an item for each line, None where the line has no such number."""

    step: list[int] = field(default_factory=list)
    losses: dict[str, Values] = field(default_factory=dict)
    lr: Values = field(default_factory=list)
    kept_share: Values = field(default_factory=list)
    images_per_second: Values = field(default_factory=list)
    waited_share: Values = field(default_factory=list)
    time: Values = field(default_factory=list)
    "Seconds since 1970."


@dataclass
class Evaluations:
    """What one generation's model was measured at: an item for each evaluation; numbers only."""

    step: list[int] = field(default_factory=list)
    metrics: dict[str, Values] = field(default_factory=dict)
    time: Values = field(default_factory=list)
    "Seconds since 1970."


@dataclass
class Events:
    """What a run logged, as far as it can be read."""

    start: dict[str, Any] = field(default_factory=dict)
    "Sizes, classes, models, notes; empty where the log does not begin with it."
    steps: dict[int, Steps] = field(default_factory=dict)
    "By generation."
    evaluations: dict[int, Evaluations] = field(default_factory=dict)
    "By generation; a generation's last result is its last evaluation."
    labels: list[dict[str, Any]] = field(default_factory=list)
    "The end of each labeling: `generation`, `kept_share`, `pseudo_label_accuracy`, ..."
    generations: list[dict[str, Any]] = field(default_factory=list)
    "Results of finished generations, as summary.json has them."
    baseline: dict[str, Any] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0
    "Lines that cannot be read."
    there: bool = False
    "Whether there is a log at all."

    @property
    def offsets(self) -> dict[int, int]:
        """Steps of all earlier generations: where each generation's step 0 lies on an axis of the whole run."""
        before = [0, *itertools.accumulate(self.lengths)]
        return {
            number: before[min(number, len(before) - 1)]
            for number in {*range(len(before) - 1), *self.steps, *self.evaluations}
        }

    @property
    def lengths(self) -> list[int]:
        """Steps of each generation: as planned where the log says so, else as far as it went."""
        planned = self.start.get("steps")
        if isinstance(planned, list) and all(type(one) is int and 0 <= one < FARTHEST for one in planned):
            return planned
        found = {**self.steps, **self.evaluations}
        logged = [[*self._of(number)] for number in range(max(found, default=-1) + 1)]
        return [max(own, default=0) for own in logged]

    def _of(self, generation: int) -> Iterable[int]:
        for own in (self.steps.get(generation), self.evaluations.get(generation)):
            yield from own.step if own else ()


def read_events(path: Path) -> Events:
    """A run's log; `path` is the file or the run's folder. A log that is not there or cannot be read is empty.

    What was read is kept for whoever asks again: it is not to be changed.
    """
    file = path / FILE if path.is_dir() else path
    try:
        found = file.stat()
    except OSError:
        return Events()
    return _events(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=LOGS)
def _events(path: Path, changed: int, size: int) -> Events:
    events = Events()
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            events.there = True
            for line in file:
                _read(line, events)
    except OSError:
        pass
    for entry in events.generations:
        _finish(events, entry)
    return events


def kept_metrics(run: Path, results: Iterable[dict[str, Any]] = ()) -> dict[int, dict[str, Any]]:
    """What was measured of a run's generations after it was finished: generation -> metrics.

    Only of the run's own data, by the weights that its summary is of. All values of a name are of one kind of evaluation
    (`measuring.keeping`: one digest of metrics, their settings, data and baseline): that which most generations have, the
    newest of equals. What the run itself measured, in `results` of its generations, is left out: its settings may differ.
    """
    kinds: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted((run / EVALUATIONS).glob("generation-*.json"), key=lambda path: path.stat().st_mtime):
        if (found := kept_file(path)) is not None and found.get("own", True):
            digest = path.stem.rpartition("-")[2]
            kinds[digest] = {**kinds.pop(digest, {}), found["generation"]: found["metrics"]}  # the newest kind is last
    told = {name for own in results for name, value in own.items() if not isinstance(value, str)}
    made: dict[int, dict[str, Any]] = {}
    for name in dict.fromkeys(name for kind in kinds.values() for metrics in kind.values() for name in metrics):
        if name not in told:
            columns = [{at: own[name] for at, own in kind.items() if name in own} for kind in reversed(kinds.values())]
            for generation, value in max(columns, key=len).items():
                made.setdefault(generation, {})[name] = value
    return made


def kept_file(path: Path) -> dict[str, Any] | None:
    """An evaluation that was kept; None where it cannot be read."""
    try:
        found = json.loads(path.read_text())
        sound = _index(found["generation"]) and isinstance(found["metrics"], dict)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    return found if sound else None


def _read(line: str, events: Events) -> None:
    try:
        found = json.loads(line)
        kind, generation, step = found["kind"], found["generation"], found["step"]
    except (ValueError, TypeError, LookupError, RecursionError):
        events.damaged += bool(line.strip())
        return
    if not (_index(generation) and _index(step)) or generation >= GENERATIONS:
        events.damaged += 1
    elif kind == "step":
        if generation not in events.steps:
            events.steps[generation] = Steps()
        _step(events.steps[generation], step, found)
    elif kind == "evaluation":
        metrics = found.get("metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        _evaluated(events, generation, step, metrics, found.get("time"))
    elif kind in ("start", "baseline"):
        setattr(events, kind, found)
    elif kind in ("labels", "generation", "failure"):
        getattr(events, kind if kind == "labels" else f"{kind}s").append(found)


def _index(value: object) -> bool:
    return type(value) is int and 0 <= value < FARTHEST


def _step(steps: Steps, step: int, line: dict[str, Any]) -> None:
    if steps.step and step <= steps.step[-1]:  # an earlier version went on from a checkpoint without cutting the log
        columns = (steps.lr, steps.kept_share, steps.images_per_second, steps.waited_share, steps.time)
        _cut(steps.step, [*columns, *steps.losses.values()], step)
    timing, losses = line.get("timing"), line.get("losses")
    timing = timing if isinstance(timing, dict) else {}
    _append(steps.losses, losses if isinstance(losses, dict) else {}, len(steps.step))
    steps.step.append(step)
    steps.lr.append(_number(line.get("lr")))
    steps.kept_share.append(_number(line.get("kept_share")))
    steps.images_per_second.append(_number(timing.get("images_per_second")))
    steps.waited_share.append(_number(timing.get("waited_share")))
    steps.time.append(_number(line.get("time")))


def _evaluated(events: Events, generation: int, step: int, metrics: dict[str, Any], time: Any = None) -> None:
    own = events.evaluations.setdefault(generation, Evaluations())
    if own.step and step <= own.step[-1]:
        _cut(own.step, [own.time, *own.metrics.values()], step)
    own.time.append(_number(time))
    _append(own.metrics, {name: value for name, value in metrics.items() if is_number(value)}, len(own.step))
    own.step.append(step)


def _cut(steps: list[int], columns: Iterable[Values], step: int) -> None:
    """Forget a step and those after it."""
    count = sum(one < step for one in steps)
    for column in columns:
        del column[count:]
    del steps[count:]


def _append(columns: dict[str, Values], values: dict[str, Any], count: int) -> None:
    """One more item for each column, the new ones among them."""
    if values.keys() != columns.keys():
        for name in values.keys() - columns.keys():
            columns[name] = [None] * count
    for name, column in columns.items():
        column.append(_number(values.get(name)))


def _finish(events: Events, entry: dict[str, Any]) -> None:
    """A generation's result as an evaluation, where there is none of its last step."""
    generation, step, metrics = entry["generation"], entry["step"], entry.get("metrics")
    own = events.evaluations.get(generation)
    if isinstance(metrics, dict) and (own is None or not own.step or own.step[-1] < step):
        _evaluated(events, generation, step, metrics)


def _number(value: Any) -> float | None:
    """A finite number, or None: as `is_number`, for values right from JSON, hundreds of thousands of them."""
    return value if type(value) in (float, int) and -1e300 < value < 1e300 else None


def rounded(value: float) -> float:
    """A number as it is drawn."""
    return float(f"{value:.{DIGITS}g}")


def downsampled(xs: Sequence[float], ys: Sequence[float | None], most: int = MOST) -> tuple[list[float], list[float]]:
    """At most `most` points of a line, in order: both ends, and the lowest and the highest of each stretch between.

    (n,), (n,) -> two lists of one length. What is None is left out; numbers are rounded to what can be seen.
    """
    there = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None]
    if len(there) > most:
        stretches, inner = max(1, (most - 2) // 2), there[1:-1]
        bounds = [len(inner) * i // stretches for i in range(stretches + 1)]
        kept = [there[0]]
        for first, last in itertools.pairwise(bounds):
            own = inner[first:last]
            kept += sorted({min(own, key=_height), max(own, key=_height)})
        there = [*kept, there[-1]]
    return [x for x, _ in there], [rounded(y) for _, y in there]


def _height(point: tuple[float, float]) -> float:
    return point[1]
