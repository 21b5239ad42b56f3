"""A run as its folder tells it, for a report: no torch, no plugin, no data is loaded, and any file may be missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..comparison.members import Member, read_member
from ..images.words import printable
from ..tables import generation_name, is_number, taught
from ..watching.standing import read_json
from .reading import EVALUATIONS, Events, kept_file, kept_metrics, read_events

SPLITS = ("test", "validation")
BASELINE = "baseline"
"What the supervised baseline is called among generations."
Key = int | str
"A generation's number, or `BASELINE`."


@dataclass(eq=False)
class RunFolder:
    """One run."""

    member: Member

    @classmethod
    def of(cls, folder: Path) -> RunFolder:
        """The run in a folder."""
        return cls(read_member(folder))

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.member.folder

    @property
    def name(self) -> str:
        """What it is called, as it can be shown."""
        return printable(self.member.name or self.path.absolute().name)

    @property
    def table(self) -> dict[str, Any]:
        """The resolved recipe; empty where it cannot be read."""
        return self.member.table

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`; empty where it cannot be read."""
        return self.member.summary

    @property
    def status(self) -> str:
        """How far it is."""
        return self.member.status

    @property
    def failure(self) -> str:
        """Why it failed, as its log or that of its baseline says; empty where neither does."""
        for events, whose in ((self.events, ""), (self.baseline_events, "its supervised baseline: ")):
            for one in reversed(events.failures):
                if message := one.get("message"):
                    return whose + printable(str(message))
        return ""

    @cached_property
    def events(self) -> Events:
        """Its log."""
        return read_events(self.path)

    @cached_property
    def baseline_events(self) -> Events:
        """The log of its supervised baseline."""
        return read_events(self.path / BASELINE)

    @cached_property
    def cards(self) -> dict[int, dict[str, Any]]:
        """What each finished generation says of itself."""
        found = [read_json(path) for path in (self.path / "models").glob("generation-*/card.json")]
        known = [card for card in found if isinstance(card.get("index"), int)]
        return {card["index"]: card for card in sorted(known, key=lambda card: int(card["index"]))}

    @cached_property
    def entries(self) -> dict[int, dict[str, Any]]:
        """Results of the finished generations: of the summary, or else of the cards, or else of the log."""
        found = dict(enumerate(self.member.generations))
        by_index = {_index(entry, place): entry for place, entry in found.items()}
        logged = {_index(entry, 0): entry for entry in self.events.generations}
        return dict(sorted({**logged, **self.cards, **by_index}.items()))

    @cached_property
    def baseline(self) -> dict[str, Any]:
        """The supervised baseline's result; empty where there is none."""
        found = self.summary.get("baseline")
        if isinstance(found, dict):
            return found
        generations = read_json(self.path / BASELINE / "summary.json").get("generations")
        last = generations[-1] if isinstance(generations, list) and generations else None
        return last if isinstance(last, dict) else self.events.baseline

    @property
    def planned(self) -> int:
        """Generations that the recipe has."""
        own = self.table.get("generation")
        return max(len(own) if isinstance(own, list) else 1, *(index + 1 for index in self.entries), 1)

    @cached_property
    def first_taught(self) -> bool:
        """Whether the first generation had a teacher."""
        first = self.entries.get(0)
        return taught(first) if first else 0 in self.labeled

    @cached_property
    def labeled(self) -> list[int]:
        """Generations whose pseudo-labels are kept."""
        names = (
            path.parent.name.rpartition("-")[2] for path in (self.path / "labels").glob("generation-*/manifest.json")
        )
        return sorted(int(name) for name in names if name.isdigit())

    def title(self, key: Key) -> str:
        """`teacher`, `student 2`, `supervised baseline`."""
        if isinstance(key, str):
            return "supervised baseline"
        return generation_name(key, self.planned, self.first_taught)

    @property
    def keys(self) -> list[Key]:
        """What there are results or a log of, in the order of the story."""
        found: set[int] = {*self.entries, *self.events.steps, *self.events.evaluations, *self.labeled}
        there: list[Key] = [*sorted(found)]
        return [*there, BASELINE] if self.baseline or self.baseline_events.steps else there

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes, as they can be shown; none where nothing says them."""
        for card in self.cards.values():
            named = card.get("facts", {}).get("classes") if isinstance(card.get("facts"), dict) else None
            if isinstance(named, list):
                return [printable(str(name)) for name in named]
        for generation in self.labeled:
            named = read_json(self.path / "labels" / f"generation-{generation}" / "manifest.json").get("classes")
            if isinstance(named, list):
                return [printable(str(name)) for name in named]
        return []

    @cached_property
    def sizes(self) -> dict[str, Any]:
        """Images of each split, as far as anything says."""
        facts = [card.get("facts") for card in self.cards.values()]
        found = [one.get("sizes") for one in facts if isinstance(one, dict)]
        found += [self.member.environment.get("images"), self.events.start.get("sizes")]
        return next((one for one in found if isinstance(one, dict)), {})

    @cached_property
    def _kept(self) -> dict[Key, dict[str, Any]]:
        """What was measured since."""
        results = [_own(entry) for entry in self.entries.values()]
        found: dict[Key, dict[str, Any]] = {key: own for key, own in kept_metrics(self.path, results).items()}  # noqa: C416
        return {**found, BASELINE: kept_metrics(self.path / BASELINE, [_own(self.baseline)]).get(0, {})}

    def metrics(self, key: Key) -> dict[str, Any]:
        """All that was measured of a model: by its run, and what `sslkit evaluate --keep` added since."""
        entry = self.baseline if isinstance(key, str) else self.entries.get(key, {})
        found: dict[str, Any] = {name: entry[name] for name in ACCURACIES if is_number(entry.get(name))}
        return {**found, **self._kept.get(key, {}), **_own(entry)}

    @cached_property
    def damaged(self) -> list[str]:
        """Files that are there and cannot be read; what is told of them elsewhere is not among them."""
        found = [self.path / "environment.json", self.path / BASELINE / "summary.json"]
        for folder in (self.path, self.path / BASELINE):
            found += sorted((folder / "models").glob("generation-*/card.json"))
        broken = [path for path in found if path.exists() and not read_json(path)]
        for folder in (self.path, self.path / BASELINE):
            broken += [
                path for path in sorted((folder / EVALUATIONS).glob("generation-*.json")) if kept_file(path) is None
            ]
        if (self.path / LEFT_OUT).exists() and _listed(self.path / LEFT_OUT) is None:
            broken.append(self.path / LEFT_OUT)
        return [printable(str(path.relative_to(self.path))) for path in broken]


LEFT_OUT = "left_out.json"
ACCURACIES = ("test_accuracy", "validation_accuracy", "pseudo_label_accuracy", "kept_share")


def left_out(folder: Path) -> list[dict[str, Any]]:
    """Files that the run's data left out, and why."""
    return [one for one in _listed(folder / LEFT_OUT) or [] if isinstance(one, dict)]


def _listed(path: Path) -> list[Any] | None:
    """A JSON list; None where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _own(entry: dict[str, Any]) -> dict[str, Any]:
    """What a run itself measured of a generation."""
    own = entry.get("metrics")
    return own if isinstance(own, dict) else {}


def _index(entry: dict[str, Any], otherwise: int) -> int:
    index = entry.get("index", otherwise)
    return index if isinstance(index, int) else otherwise
