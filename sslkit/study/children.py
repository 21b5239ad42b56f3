"""A study's runs: which there are, which are shared, and which are missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..keeping.run_folders import sound_summary
from ..recipe import with_overrides
from ..recipe.model import Recipe
from ..watching.standing import RECIPE, SUMMARY
from .file import Study, Variant

CHILDREN = "children"
"The folder of runs in a study's folder; each is called after its recipe's digest."


@dataclass(eq=False)
class Child:
    """One run of a study, and the results that it stands for."""

    recipe: Recipe
    folder: Path
    uses: list[tuple[str, int]] = field(default_factory=list)
    "(variant, seed) of every result that this run gives; several where variants are the same recipe."
    shared: bool = False
    "Whether it lies in another study's folder, where it is finished."
    measurements: dict[int, dict[str, Any]] = field(default_factory=dict)
    "What the study's metrics say of a generation, where that was measured."
    _finished: dict[str, Any] | None = None

    def summary(self) -> dict[str, Any] | None:
        """The summary of a finished run; None for one that is not. Raises `RunError` for one that cannot be read."""
        if self._finished is None and (self.folder / SUMMARY).exists():
            found = _summary(self.folder)
            self._finished = found if found.get("status") == "finished" else None
        return self._finished

    def number(self, generation: int | None) -> int:
        """A generation of a finished run by its number; None: the last."""
        return len(self._entries()) - 1 if generation is None else generation

    def metrics(self, generation: int | None) -> dict[str, Any]:
        """What its run knows of one of its generations (None: the last) by measuring; nothing where it is not finished."""
        entries, index = self._entries(), self.number(generation)
        entry = entries[index] if 0 <= index < len(entries) and isinstance(entries[index], dict) else {}
        named = {name: entry.get(name) for name in ("test_accuracy", "validation_accuracy")}
        return {**named, **(entry.get("metrics") or {})}

    def measured(self, generation: int | None) -> dict[str, Any]:
        """The same, and what the study's own metrics say of that generation."""
        return {**self.metrics(generation), **self.measurements.get(self.number(generation), {})}

    def _entries(self) -> list[Any]:
        return (self.summary() or {}).get("generations") or []

    def called(self) -> str:
        """`no noise, seed 2`: the first of its uses."""
        name, seed = self.uses[0]
        return f"{name}, seed {seed}"


def _summary(folder: Path) -> dict[str, Any]:
    try:
        return sound_summary(json.loads((folder / SUMMARY).read_text()))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder / SUMMARY} cannot be read ({error}). If {folder} is a run folder, `sslkit run --resume {folder}` "
            "writes it anew"
        ) from error


@dataclass(frozen=True)
class Failure:
    """A run that did not come to its end, or a measurement of one that did."""

    child: Child
    message: str
    details: str = ""
    "The traceback of an error that is nobody's to mend but a programmer's."
    generation: int | None = None
    "The one that could not be measured; None: it is the run that failed."


def plan(study: Study, folder: Path) -> list[Child]:
    """Every run of a study, identical ones once, seed by seed, so that what is finished early can be compared.

    One that another study beside this one has finished is that study's, unless this one has begun it itself.
    """
    children: dict[str, Child] = {}
    for name, seed, recipe in _recipes(study):
        child = children.setdefault(recipe.hash, Child(recipe, folder / CHILDREN / recipe.hash))
        child.uses.append((name, seed))
    _share(children, folder)
    return list(children.values())


def _recipes(study: Study) -> Iterator[tuple[str, int, Recipe]]:
    """Every result's recipe. Runs compare with the shared baseline, so none trains a baseline of its own."""
    plain = {variant.name: _plain(variant) for variant in study.variants}
    for seed in study.seeds:
        for variant in study.variants:
            yield variant.name, seed, seeded(plain[variant.name], seed)


def _plain(variant: Variant) -> Recipe:
    return with_overrides(variant.recipe, {"baseline": False, **_silence(variant.recipe)})


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """A recipe of another seed: nothing else of it depends on that, so that it need not be resolved again."""
    generations = [replace(cfg, settings=replace(cfg.settings, seed=seed)) for cfg in recipe.generations]
    return replace(recipe, table={**recipe.table, "seed": seed}, settings=replace(recipe.settings, seed=seed),
                   generations=generations)  # fmt: skip


def _silence(recipe: Recipe) -> dict[str, bool]:
    """Thirty runs' live views and tables would bury what the study itself says; every other tracker stays."""
    trackers = recipe.table.get("tracker", [])
    return {f"tracker.{table['name']}.enabled": False for table in trackers if table.get("use") == "console"}


def _share(children: dict[str, Child], folder: Path) -> None:
    """Look for runs that this study has not begun among those of the studies beside it."""
    wanted = {name: child for name, child in children.items() if not (child.folder / RECIPE).exists()}
    if not wanted:
        return
    own = folder.absolute()
    for place in sorted(own.parent.glob(f"*/{CHILDREN}")):
        if place.parent == own:
            continue
        for name in sorted(wanted.keys() & {path.name for path in place.iterdir()}):
            there = folder.parent / place.parent.name / CHILDREN / name
            if _is_finished(there):
                child = wanted.pop(name)
                child.folder, child.shared = there, True


def _is_finished(folder: Path) -> bool:
    try:
        return (folder / SUMMARY).exists() and _summary(folder)["status"] == "finished"
    except RunError:
        return False


def missing(children: Iterable[Child]) -> list[Child]:
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
