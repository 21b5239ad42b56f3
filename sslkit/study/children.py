"""A study's runs: which there are, which are shared, and how those that are missing are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..errors import RunError
from ..folder import ENVIRONMENT, SUMMARY, Run
from ..recipe import with_overrides
from ..recipe.model import Recipe
from .file import Study


@dataclass(eq=False)
class Child:
    """One run of a study, and the results that it stands for."""

    recipe: Recipe
    folder: Path
    uses: list[tuple[str, int]] = field(default_factory=list)
    "(variant, seed) of every result that this run gives; several where variants are the same recipe."

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished run; None for one that is not. Raises `RunError` for one that cannot be read."""
        if not (self.folder / SUMMARY).exists():
            return None
        found = Run(self.folder).summary
        return found if found.get("status") == "finished" else None

    def metrics(self, generation: int | None) -> dict[str, Any]:
        """What is known of one of its generations (None: the last) by measuring; nothing where it is not finished."""
        entries = (self.summary() or {}).get("generations") or []
        index = len(entries) - 1 if generation is None else generation
        entry = entries[index] if 0 <= index < len(entries) and isinstance(entries[index], dict) else {}
        named = {name: entry.get(name) for name in ("test_accuracy", "validation_accuracy")}
        return {**named, **(entry.get("metrics") or {})}


@dataclass(frozen=True)
class Failure:
    """A run that did not come to its end."""

    child: Child
    message: str
    details: str = ""
    "The traceback of an error that is nobody's to mend but a programmer's."


Check = Callable[[Child, dict[str, Any]], None]


class Listener(Protocol):
    """Is told how far a study is."""

    def begin(self, child: Child) -> None:
        """A run begins, or goes on."""

    def warned(self, child: Child, message: str) -> None:
        """It waits for something, or has waited."""

    def done(self, child: Child, summary: dict[str, Any]) -> None:
        """It is finished."""

    def failed(self, failure: Failure) -> None:
        """It is not, and the others go on."""


def plan(study: Study, folder: Path) -> list[Child]:
    """Every run of a study, identical ones once, seed by seed, so that what is finished early can be compared."""
    children: dict[str, Child] = {}
    for name, seed, recipe in _recipes(study):
        child = children.setdefault(recipe.hash, Child(recipe, folder / "children" / recipe.hash))
        child.uses.append((name, seed))
    return list(children.values())


def _recipes(study: Study) -> Iterator[tuple[str, int, Recipe]]:
    """Every result's recipe. Runs compare with the shared baseline, so none trains a baseline of its own."""
    for seed in study.seeds:
        for variant in study.variants:
            recipe = with_overrides(variant.recipe, {"seed": seed, "baseline": False, **_silence(variant.recipe)})
            yield variant.name, seed, recipe


def _silence(recipe: Recipe) -> dict[str, bool]:
    """Thirty runs' live views and tables would bury what the study itself says; every other tracker stays."""
    trackers = recipe.table.get("tracker", [])
    return {f"tracker.{table['name']}.enabled": False for table in trackers if table.get("use") == "console"}


def missing(children: list[Child]) -> list[Child]:
    """Those that are not finished."""
    left = []
    for child in children:
        try:
            finished = child.summary() is not None
        except RunError:
            finished = False  # said when its turn comes
        if not finished:
            left.append(child)
    return left


def run_all(
    children: list[Child], device: str | None, jobs: int, threads: int, listener: Listener, check: Check
) -> list[Failure]:
    """Run what is missing, `jobs` runs at a time; a failure stops none of the others.

    `check` sees every finished run and may raise. Raises `Interrupted` when asked to stop: everything is saved then.
    """
    left = missing(children)
    for child in children:
        if child not in left and (summary := child.summary()):
            check(child, summary)
    if not left:
        return []
    from .crew import Work, side_by_side  # with torch, which a finished study does without
    from .work import train, written

    works = {
        Work(train, (written(child.recipe), child.folder, device), _threads(child, threads)): child for child in left
    }
    failures: list[Failure] = []
    with closing(side_by_side(works, jobs)) as events:
        for event in events:
            child = works[event.work]
            if event.kind == "begun":
                listener.begin(child)
            elif event.kind == "warned":
                listener.warned(child, event.value)
            elif event.kind == "done":
                listener.done(child, event.value)
                check(child, event.value)
            else:
                failures.append(Failure(child, event.value, event.details))
                listener.failed(failures[-1])
    return failures


def _threads(child: Child, usual: int) -> int:
    """A run that has begun goes on with as many threads as before: their number decides how sums are rounded."""
    try:
        said = json.loads((child.folder / ENVIRONMENT).read_text())["threads"]
    except (OSError, ValueError, LookupError, TypeError):
        return usual
    return said if isinstance(said, int) and said > 0 else usual
