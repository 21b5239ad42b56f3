"""A study's runs: which there are, which are shared, and how those that are missing are made."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .. import runs
from ..errors import Interrupted, RunError, SslkitError
from ..folder import RECIPE, SUMMARY, Run
from ..recipe import with_overrides
from ..recipe.model import Recipe
from .file import Study

STUB = (RECIPE, "environment.json")
"What a run folder holds before there is a summary, and so before any training."


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


class Listener(Protocol):
    """Is told how far a study is."""

    def begin(self, number: int, total: int, child: Child) -> None:
        """A run begins."""

    def done(self, child: Child, summary: dict[str, Any], seconds_left: float) -> None:
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
    children: list[Child], device: str | None, listener: Listener, check: Callable[[Child, dict[str, Any]], None]
) -> list[Failure]:
    """Run what is missing, one after another; a failure stops none of the others.

    `check` sees every finished run and may raise. Raises `Interrupted` when asked to stop.
    """
    left = missing(children)
    for child in children:
        if child not in left and (summary := child.summary()):
            check(child, summary)
    failures: list[Failure] = []
    began = time.perf_counter()
    for number, child in enumerate(left, 1):
        listener.begin(len(children) - len(left) + number, len(children), child)
        result = _attempt(child, device)
        if isinstance(result, Failure):
            failures.append(result)
            listener.failed(result)
            continue
        seconds_left = (time.perf_counter() - began) / number * (len(left) - number)
        listener.done(child, result, seconds_left)
        check(child, result)
    return failures


def _attempt(child: Child, device: str | None) -> dict[str, Any] | Failure:
    """Run a child, or go on with it: its summary, or why there is none."""
    try:
        clear_stub(child.folder)
        if (child.folder / SUMMARY).exists():
            done = runs.run(resume=child.folder, device=device)
        else:
            done = runs.run(child.recipe, out=child.folder, device=device)
        return done.summary
    except Interrupted:
        raise
    except SslkitError as error:
        return Failure(child, str(error))
    except Exception as error:  # of a plugin or a library: hours of other runs must not end with it
        return Failure(child, f"{type(error).__name__}: {error}", traceback.format_exc())


def clear_stub(folder: Path) -> None:
    """A run that was killed before its first summary has trained nothing: it is begun anew."""
    if folder.is_dir() and all(path.name in STUB or path.name.endswith(".writing") for path in folder.iterdir()):
        shutil.rmtree(folder)
