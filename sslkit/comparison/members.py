"""The runs that are compared, read from their folders alone: no plugin is loaded, nothing is validated anew."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..keeping.run_folders import RECIPE, is_run, why_no_run
from ..recipe.model import hash_of
from ..tables import is_number, taught
from .studies import in_order, runs_of, study_name

DEEPEST = 4
"Levels of folders below one that is named, in which runs are looked for: `runs` holds studies, which hold runs."
WRITTEN = ("summary.json", "environment.json")
"What lies beside a run's recipe from its first moment on."
APART = ("seed", "files", "tracker")
"Keys that make no other recipe: told apart from what differs."


@dataclass(eq=False)
class Member:
    """One run, as far as its folder can be read."""

    folder: Path
    table: dict[str, Any] = field(default_factory=dict)
    "The resolved recipe; empty where it cannot be read."
    summary: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    "Why it cannot be compared."
    name: str = ""
    "Short, and its alone."

    @property
    def seed(self) -> int:
        """The key of its draws."""
        return int(self.table.get("seed", 0))

    @property
    def status(self) -> str:
        """`finished`, `running`, `interrupted`, `failed`, or `damaged`."""
        return "damaged" if self.problem else str(self.summary.get("status", "damaged"))

    @property
    def finished(self) -> bool:
        """Whether its results are final."""
        return self.status == "finished"

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What it was made with and on; nothing where that is lost: its results stand."""
        try:
            found = json.loads((self.folder / "environment.json").read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def same_test(self, other: Member) -> bool:
        """Whether both were measured on the same test images, as far as their folders tell."""
        ours, theirs = self.environment, other.environment
        for key in ("test_data", "data"):  # of the test images alone; of all, which earlier versions wrote
            if key in ours and key in theirs:
                return bool(ours[key] == theirs[key])
        counts = [
            found.get("images", {}).get("test") for found in (ours, theirs) if isinstance(found.get("images"), dict)
        ]
        return len(set(map(str, counts))) < 2

    @cached_property
    def recipe(self) -> str:
        """A digest of what decides the result, but for the seed."""
        return hash_of({key: value for key, value in self.table.items() if key not in APART[:1]})

    @property
    def generations(self) -> list[dict[str, Any]]:
        """The finished generations' entries."""
        found = self.summary.get("generations")
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []

    @property
    def tests(self) -> list[float | None]:
        """Test accuracy of each finished generation."""
        return [number(entry.get("test_accuracy")) for entry in self.generations]

    @property
    def final(self) -> float | None:
        """Test accuracy of the last model of a finished run."""
        return self.tests[-1] if self.finished and self.tests else None

    @property
    def gain(self) -> float | None:
        """Last model minus the first, its teacher."""
        first = self.tests[0] if len(self.tests) > 1 else None
        return None if self.final is None or first is None else self.final - first

    @property
    def baseline(self) -> float | None:
        """Test accuracy of the supervised baseline."""
        found = self.summary.get("baseline")
        return number(found.get("test_accuracy")) if isinstance(found, dict) else None

    @property
    def first_taught(self) -> bool:
        """Whether its first generation had pseudo-labels already."""
        return bool(self.generations) and taught(self.generations[0])


def number(value: Any) -> float | None:
    """A finite number, or None."""
    return value if is_number(value) else None


def members_of(paths: Sequence[Path]) -> list[Member]:
    """Every run that the paths name, each once; a folder that holds runs (a study's, say) stands for all of them.

    Raises `RunError` for a path that is no run and holds none.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        found = list(runs_in(path))
        if not found:
            raise RunError(f"{path} {why_no_run(path)}" + (", and holds no run" if path.is_dir() else ""))
        for folder in found:
            folders.setdefault(folder.resolve(), folder)
    members = [read_member(folder) for folder in folders.values()]
    for member, name in zip(members, short_names([member.folder for member in members]), strict=True):
        member.name = name
    return members


def runs_in(folder: Path, depth: int = 0) -> Iterator[Path]:
    """The run that a folder is, or those that it holds; a run's own folders (its baseline) are not looked into."""
    # A folder that is only come across may keep a recipe of somebody's; one that is named may be a damaged run.
    if is_run(folder) and (depth == 0 or any((folder / name).exists() for name in WRITTEN)):
        yield folder
    elif folder.is_dir() and depth < DEEPEST:
        yield from (run for run in runs_of(folder) if run.parent.parent != folder and is_run(run))  # of other studies
        for inside in in_order(folder):
            if inside.is_dir() and not inside.name.startswith("."):
                yield from runs_in(inside, depth + 1)


def read_member(folder: Path) -> Member:
    """A run; what is wrong with it is its `problem`."""
    member = Member(folder)
    try:
        member.table = _recipe(folder / RECIPE)
        member.summary = _summary(folder / "summary.json")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        file = "summary.json" if member.table else RECIPE
        reason = "it is not there" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
        member.problem = f"{file} cannot be read: {reason}"
    return member


def _recipe(path: Path) -> dict[str, Any]:
    """A resolved recipe, as far as comparing asks for one."""
    table = tomllib.loads(path.read_text())
    hash_of(table)  # fails for what no recipe holds: dates, say
    seed = table.get("seed", 0)
    if not isinstance(seed, int):
        raise ValueError(f"its seed is {seed!r}")
    return table


def _summary(path: Path) -> dict[str, Any]:
    """A summary that says how far its run is."""
    summary = json.loads(path.read_text())
    if not isinstance(summary, dict) or "status" not in summary:
        raise ValueError("it says no status")
    return summary


def short_names(folders: Sequence[Path]) -> list[str]:
    """Each folder by as many of its last parts as tell it from the others; runs of studies by their variant and seed."""
    plain = [study_name(folder) or folder.absolute().name for folder in folders]
    parts = [folder.absolute().parts for folder in folders]
    names = list(plain)
    for length in range(2, max(map(len, parts), default=0) + 1):
        twins = {name for name in names if names.count(name) > 1}
        names = ["/".join(own[-length:]) if name in twins else name for name, own in zip(names, parts, strict=True)]
    return names
