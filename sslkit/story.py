"""What a run has told so far: trackers that talk to people listen with it, and take their words from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .tables import SHOWN, count, duration, generation_name, is_brief, is_number, metric_words, percent, taught, value

if TYPE_CHECKING:
    from .types import Event


BESIDE = ("rehearsal", "end", "failure", "baseline", "warning")
"Events that are told from outside the loop, and do not say where it is."
ROOM = 2
"Numbers that a line has room for, beside those of `SHOWN`."


@dataclass(frozen=True)
class Place:
    """Where a run is: the part of a progress that can be told again without torch."""

    generation: int = 0
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Told:
    """An event that is told again."""

    kind: str
    progress: Place
    values: dict[str, Any]


class Story:
    """What has been told so far. It only listens; any event may lack any value."""

    def __init__(self) -> None:
        self.start: dict[str, Any] = {}
        self.generations: dict[int, dict[str, Any]] = {}
        self.baseline: dict[str, Any] | None = None
        self.generation = self.step = self.steps = 0
        self.first_taught = False
        self.labeling: tuple[Any, Any] | None = None
        self.labels_left: float | None = None
        self.pool_kept: float | None = None
        self.now: dict[str, Any] = {}
        self.metrics: dict[str, Any] = {}

    def hear(self, event: Event | Told) -> None:
        """Take in one event."""
        if event.kind not in BESIDE:
            self._place(event)
        values = event.values
        if event.kind == "start":
            self.start = values
            if values.get("resumed"):
                self._recall(Path(str(values.get("folder", ""))))
        elif event.kind == "labels":
            self.labeling, self.pool_kept = (values.get("done"), values.get("total")), values.get("kept_share")
            self.labels_left = values.get("seconds_left")
            self.first_taught |= event.progress.generation == 0
        elif event.kind == "step":
            self.now, self.labeling = values, None
            self.first_taught |= event.progress.generation == 0 and values.get("kept_share") is not None
        elif event.kind == "evaluation":
            self.metrics = values.get("metrics") or {}
        elif event.kind == "generation":
            self.generations[event.progress.generation] = {"index": event.progress.generation, **values}
            self.first_taught |= event.progress.generation == 0 and taught(values)
        elif event.kind == "baseline":
            self.baseline = values

    def _place(self, event: Event | Told) -> None:
        at = event.progress
        if at.generation != self.generation:
            self.now, self.metrics, self.labeling, self.pool_kept = {}, {}, None, None
        self.generation, self.step, self.steps = at.generation, at.step, at.steps

    def _recall(self, folder: Path) -> None:
        """Generations that an earlier sitting has finished."""
        try:
            entries = json.loads((folder / "summary.json").read_text())["generations"]
            self.generations = {entry["index"]: entry for entry in entries}
        except (OSError, ValueError, LookupError, TypeError):
            return  # the table then begins with this sitting
        self.first_taught = bool(entries) and taught(entries[0])

    @property
    def is_baseline(self) -> bool:
        """Whether this is the supervised run that the real one is compared with."""
        return self.start.get("role") == "baseline"

    @property
    def total(self) -> int:
        """How many generations there are to be."""
        known = self.start.get("generations")
        return known if isinstance(known, int) else self.generation + 1

    def name(self) -> str:
        """What the model in training is called."""
        if self.is_baseline:
            return "supervised baseline"
        return generation_name(self.generation, self.total, self.first_taught)

    def model(self) -> str:
        """The network's name."""
        models = self.start.get("model") or []
        return str(models[self.generation]) if self.generation < len(models) else ""

    def heading(self) -> list[str]:
        """What is run, and where."""
        start = self.start
        steps = start.get("steps") or []
        return [
            str(start.get("recipe", "")) + (": supervised baseline" if self.is_baseline else ""),
            f"{len(steps)} generations" if len(steps) > 1 else f"{count(steps[0])} steps" if steps else "",
            f"on {start['device']}" if "device" in start else "",
            str(start.get("folder", "")),
            "resumed" if start.get("resumed") else "",
        ]

    def sizes(self) -> list[str]:
        """How many images of each kind there are."""
        sizes = start if isinstance(start := self.start.get("sizes"), dict) else {}
        parts = [f"{count(number)} {split}" for split, number in sizes.items()]
        return [*parts, f"{count(self.start['classes'])} classes"] if "classes" in self.start else parts

    @property
    def timing(self) -> dict[str, Any]:
        """How fast it goes, and the seconds left: of the labels while they are made, then of the steps."""
        known: dict[str, Any] = self.now.get("timing") or {}
        return {"seconds_left": self.labels_left} if self.labeling else known

    def speed(self) -> list[str]:
        """How fast it goes."""
        timing = self.timing
        waited = timing.get("waited_share")
        return [
            f"{count(timing['images_per_second'])} images/s" if "images_per_second" in timing else "",
            f"{duration(timing['seconds_left'])} left" if is_number(timing.get("seconds_left")) else "",
            f"waited {percent(waited, 1)} for data" if is_number(waited) else "",
        ]

    def in_use(self) -> float | None:
        """The share of unlabeled images that teach: of a pool's labels only those that were kept are ever drawn."""
        shares = [share for share in (self.now.get("kept_share"), self.pool_kept) if is_number(share)]
        return min(shares, default=None)

    def losses(self) -> list[str]:
        """Each loss, and how many of the unlabeled images are in use."""
        kept, rate = self.in_use(), self.now.get("lr")
        return [
            *(f"{name} {value(loss)}" for name, loss in (self.now.get("losses") or {}).items()),
            f"{percent(kept, 1)} of unlabeled in use" if is_number(kept) else "",
            f"lr {value(rate)}" if is_number(rate) else "",
        ]

    def scores(self, metrics: dict[str, Any]) -> list[str]:
        """Metrics in words, accuracies as percentages; tables, lists and sentences have no room in a line.

        Of numbers beside those that results have a column for, the first `ROOM` in the order of the recipe's metrics: all
        are in the closing of a run, and in its folder.
        """
        brief = {name: number for name, number in metrics.items() if is_brief(number)}
        others = [name for name in brief if name not in SHOWN]
        shown = [name for name in brief if name not in others[ROOM:]]
        more = [f"and {len(others) - ROOM} more"] if len(others) > ROOM else []
        return [*(f"{name.replace('_', ' ')} {metric_words(name, brief[name])}" for name in shown), *more]

    def summary(self) -> dict[str, Any]:
        """The results so far, in the form of `summary.json`."""
        rows = [entry for _, entry in sorted(self.generations.items())]
        return {"generations": rows, "baseline": self.baseline}
