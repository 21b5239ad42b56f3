"""What a reader must know to read a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .groups import Group
from .members import Member
from .recipes import files, trackers_differ

LIBRARY = re.compile(r"\d+\.\d")
"How the values of a run's environment begin that are versions."

NAMED = 6
"Runs that a note names."


def notes_of(members: Sequence[Member], groups: Sequence[Group]) -> list[str]:
    """Runs that do not count, files that were edited, conditions that were not equal."""
    return [*_states(groups), *_twins(groups), *_files(groups), *_images(members), *_conditions(members)]


def _states(groups: Sequence[Group]) -> Iterator[str]:
    unfinished = [member for group in groups for member in group.members if not member.problem and not member.finished]
    if unfinished:
        names = some([f"{member.name} ({member.status})" for member in unfinished])
        yield f"not finished, so without a final result: {names}"


def _twins(groups: Sequence[Group]) -> Iterator[str]:
    found: dict[tuple[str, bool], list[str]] = {}
    for one, other in (pair for group in groups for pair in group.twins):
        found.setdefault((one.name, one.final == other.final), []).append(other.name)
    for (name, same), others in found.items():
        what = "the same result" if same else "ANOTHER result"
        yield f"of {name} there is more than one run with its recipe and seed, and {what}: {some(others)} count for nothing"


def some(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _files(groups: Sequence[Group]) -> Iterator[str]:
    if edited := files(groups):
        yield f"these files had other contents in some runs: {', '.join(edited)}"
    if trackers_differ(groups):
        yield "trackers differ, on which no result depends"


def _images(members: Sequence[Member]) -> Iterator[str]:
    """Runs of one seed that were not measured on the same test images, or whose images changed under one recipe."""
    first: dict[int, Member] = {}
    others: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for member in (member for member in members if member.table):
        base = first.setdefault(member.seed, member)
        if not member.same_test(base):
            others.setdefault(base.name, []).append(member.name)
        elif _changed(member, base):
            changed.setdefault(base.name, []).append(member.name)
    for name, found in others.items():
        yield (
            f"not measured on the same test images as {name}: {some(found)}; such runs are not compared in pairs, and "
            "what differs may come from the images"
        )
    for name, found in changed.items():
        yield f"trained on other images than {name}, by the same [data] and seed: {some(found)}"


def _changed(one: Member, other: Member) -> bool:
    ours, theirs = one.environment.get("data"), other.environment.get("data")
    return None not in (ours, theirs) and ours != theirs and one.table.get("data") == other.table.get("data")


def _conditions(members: Sequence[Member]) -> Iterator[str]:
    """Versions, device and threads that were not the same for all."""
    found: dict[str, set[str]] = {}
    for member in members:
        for name, value in member.environment.items():
            if name in ("device", "threads") or (isinstance(value, str) and LIBRARY.match(value)):
                found.setdefault(name, set()).add(str(value))
    mixed = [f"{name} {' and '.join(sorted(values))}" for name, values in found.items() if len(values) > 1]
    if mixed:
        yield f"not made under equal conditions: {'; '.join(mixed)}"
