"""What is laid side by side: runs of one recipe together, with their logs and everything that was measured of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..comparison.groups import Group, groups_of, letter
from ..comparison.members import Member
from ..recipe.message import counted
from ..study.stats import Spread, spread
from ..tables import is_number
from .compare_charts import Whose
from .folder import RunFolder
from .reading import Events, kept_metrics, read_events

Classes = tuple[str, ...] | int | None
"Names of a run's classes, or how many there are, or unknown."


@dataclass(eq=False)
class Seen:
    """One run with its log."""

    member: Member
    generation: int | None = None
    "The generation that counts; None: the last."
    seed: int = -1
    "By default its recipe's."

    def __post_init__(self) -> None:
        if self.seed < 0:
            self.seed = self.member.seed

    @cached_property
    def events(self) -> Events:
        """Its log."""
        return read_events(self.member.folder)

    @property
    def entry(self) -> dict[str, Any]:
        """The results of the generation that counts; nothing of a run that is not that far."""
        entries = self.member.generations
        if self.generation is None:
            return entries[-1] if entries and self.member.finished else {}
        return next((entry for entry in entries if entry.get("index") == self.generation), {})

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Everything that was measured of that generation, by the run itself and since."""
        entry = self.entry
        if not entry:
            return {}
        results = [own for one in self.member.generations if isinstance(own := one.get("metrics"), dict)]
        own, index = entry.get("metrics"), entry.get("index")
        later = kept_metrics(self.member.folder, results).get(index, {}) if isinstance(index, int) else {}
        return {**later, **(own if isinstance(own, dict) else {})}


@dataclass(eq=False)
class Cohort:
    """Runs that stand for one thing, over seeds."""

    whose: Whose
    seen: list[Seen] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called in figures and tables."""
        return self.whose.name

    @property
    def counted(self) -> list[Seen]:
        """The runs that means are of: finished ones, where there are any."""
        return [one for one in self.seen if one.member.finished] or self.seen

    def values(self, name: str) -> Spread:
        """A metric over seeds; of several runs of a seed the first counts."""
        found: dict[int, float] = {}
        for one in self.seen:
            if is_number(value := one.metrics.get(name)):
                found.setdefault(one.seed, value)
        return spread(found)

    def tables(self, name: str) -> list[dict[str, Any]]:
        """A metric that is a table, of every run that has it."""
        return [table for one in self.seen if isinstance(table := one.metrics.get(name), dict)]


def cohorts_of(groups: Sequence[Group]) -> list[Cohort]:
    """Recipes as they are compared."""
    several = len(groups) > 1
    return [
        Cohort(Whose(f"{group.letter}  {group.name}" if several else group.name, number), [*map(Seen, group.members)])
        for number, group in enumerate(groups)
    ]


def classes_of(member: Member) -> Classes:
    """The classes that a run tells apart, by a finished model's card, else by its log."""
    for path in sorted((member.folder / "models").glob("generation-*/card.json")):
        try:
            found = json.loads(path.read_text())["facts"]["classes"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
        if isinstance(found, list):
            return tuple(map(str, found))
    return _logged_classes(member.folder)


def _logged_classes(folder: Path) -> Classes:
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            found = json.loads(file.readline()).get("classes")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return found if type(found) is int else None


def by_classes(members: Sequence[Member]) -> list[list[Group]]:
    """Recipes of runs over the same classes, each such set by itself; letters run through all.

    Runs whose classes are unknown go with the first.
    """
    parts: list[tuple[Classes, list[Member]]] = []
    for member in (member for member in members if member.table):
        own = classes_of(member)
        part = next((part for part in parts if own is None or same_classes(part[0], own)), None)
        if part is None:
            parts.append((own, [member]))
        else:
            part[1].append(member)
            if part[0] is None:
                parts[parts.index(part)] = (own, part[1])
    sets = [groups_of(own) for _, own in parts]
    _relabel(sets)
    return sets


def _relabel(sets: Sequence[Sequence[Group]]) -> None:
    """Letters and names that are one group's alone over all sets."""
    groups = [group for own in sets for group in own]
    names = [group.name for group in groups]
    for number, group in enumerate(groups):
        group.letter = letter(number)
        if names.count(group.name) > 1:
            group.name = f"{group.name}, {classes_words(classes_of(group.members[0]))}"


def same_classes(ours: Classes, theirs: Classes) -> bool:
    """As far as both are known."""
    if ours is None or theirs is None:
        return True
    if isinstance(ours, int) or isinstance(theirs, int):
        return _count(ours) == _count(theirs)
    return ours == theirs


def _count(classes: tuple[str, ...] | int) -> int:
    return classes if isinstance(classes, int) else len(classes)


def classes_words(classes: Classes) -> str:
    """`3 classes (cat, dog, horse)`."""
    if classes is None:
        return "unknown classes"
    if isinstance(classes, int):
        return f"{classes} classes"
    more = ", ..." if len(classes) > 4 else ""
    return f"{len(classes)} class{'es' if len(classes) > 1 else ''} ({', '.join(classes[:4])}{more})"


def log_notes(seen: Sequence[Seen]) -> Iterator[str]:
    """Logs and other files that are missing or damaged."""
    missing = [one.member.name for one in seen if not one.events.there]
    if missing:
        yield f"without a metrics.jsonl, so without learning curves: {', '.join(missing)}"
    damaged = [
        f"{one.member.name}: {counted(one.events.damaged, 'damaged line')}" for one in seen if one.events.damaged
    ]
    if damaged:
        yield f"skipped in the metrics.jsonl of {', '.join(damaged)}"
    for one in seen:
        if files := RunFolder(one.member).damaged:
            yield f"damaged, and passed over, in {one.member.name}: {', '.join(files)}"
