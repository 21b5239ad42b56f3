"""Which run folder `--resume` goes on with, where none is named: the newest unfinished run of the recipe."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RunError, SslkitError
from ..recipe import load
from ..recipe.message import did_you_mean
from ..recipe.model import UNDECIDING, Recipe, hash_of
from ..recipe.read import locate, shipped
from ..recipe.tables import diff
from ..tables import percent
from ..watching.standing import PLACE, RECIPE, Standing, newest_first, read_json, read_summary, runs_in, standing
from .run_folders import is_run, why_no_run

TOLD = 6
"Runs of a kind that are listed, and differences of one."
Matches = Callable[[Path], bool]


def names_recipe(value: str) -> bool:
    """Whether what stands after `--resume` is a recipe's name or file, and no folder."""
    if Path(value).is_dir():
        return False
    try:
        locate(value)
    except SslkitError:
        return False
    return True


def nowhere(value: str) -> str:
    """What to say of what stands after `--resume` and is neither a run folder nor a recipe."""
    known = [*shipped(), *map(str, runs_in(PLACE))]
    hint = did_you_mean(value, known) or did_you_mean(Path(value).stem, known)
    return f"{value} {why_no_run(Path(value))}" + (f"\n  {hint}" if hint else "")


def find(
    source: str | None, overrides: dict[str, Any] | None, seed: int | None, out: Path | None, anew: str
) -> tuple[Path, str]:
    """The folder to go on with, and a line that says which it is. `anew`: the command that begins another run.

    It is looked for in `runs/`, and in `out` and beside it where that is given; without a recipe, in `out` alone. Raises `RecipeError` where the recipe
    cannot be used, `RunError` where there is nothing to go on with: it says what is there.
    """
    recipe = None if source is None else load(source, overrides, seed)
    matches = _same_as(recipe) if recipe else _as_said(overrides, seed)
    alone = out is not None and source is None  # a folder that is named, and nothing that it might be mixed up with
    places = [folder for folder in [out] if alone and folder and is_run(folder)] if alone else _candidates(out)
    runs = newest_first(standing(folder) for folder in places)
    same = [run for run in runs if matches(run.folder)]
    left = [run for run in same if run.unfinished and run.state != "running"]
    if not left:
        differing = _others(runs, same, recipe, bool(overrides) or seed is not None)
        meant = [(run, _meant(run.folder, recipe, overrides, seed)) for run in differing[:TOLD]]
        raise RunError(_nothing(same, meant, len(differing), recipe, out, anew))
    chosen = next((run for run in left if run.folder == out), left[0])
    others = [str(run.folder) for run in left if run is not chosen]
    which = f", the newest of {len(left)} unfinished runs (also {_some(others)})" if others else ""
    return chosen.folder, f"going on with {chosen.folder}{which}"


def _candidates(out: Path | None) -> list[Path]:
    places = [PLACE] if out is None else [PLACE, out.parent]
    found = {folder.resolve(): folder for place in places for folder in runs_in(place)}
    return list(found.values())


def _table(folder: Path) -> dict[str, Any]:
    """The recipe of a run as it was written; empty where it cannot be read."""
    try:
        return tomllib.loads((folder / RECIPE).read_text())
    except (OSError, ValueError):
        return {}


def _same_as(recipe: Recipe) -> Matches:
    return lambda folder: hash_of(_table(folder)) == recipe.hash


def _as_said(overrides: dict[str, Any] | None, seed: int | None) -> Matches:
    """Without a recipe: whether what was said beside it would change nothing in a run's own."""
    if not overrides and seed is None:
        return lambda folder: bool(_table(folder))

    def matches(folder: Path) -> bool:
        try:
            return load(folder / RECIPE, overrides, seed).hash == hash_of(_table(folder))
        except SslkitError:
            return False

    return matches


def _others(runs: list[Standing], same: list[Standing], recipe: Recipe | None, changed: bool) -> list[Standing]:
    """Runs begun with other settings: those of the recipe; without one, those that could go on but for what was said."""
    others = [run for run in runs if run not in same]
    if recipe:
        return [run for run in others if _named(run.folder) == recipe.name]
    return [run for run in others if changed and run.unfinished and run.state != "running"]


def _meant(folder: Path, recipe: Recipe | None, overrides: dict[str, Any] | None, seed: int | None) -> Recipe | str:
    """The recipe that a run would need; without one, its own with what was said, or why that does not go together."""
    try:
        return recipe or load(folder / RECIPE, overrides, seed)
    except SslkitError as error:
        return str(error)


def _nothing(
    same: list[Standing],
    others: list[tuple[Standing, Recipe | str]],
    number: int,
    recipe: Recipe | None,
    out: Path | None,
    anew: str,
) -> str:
    """What is there instead of a run to go on with: runs with these settings, and the first of `number` with others."""
    what = f"run of {recipe.name} with these settings" if recipe else "run with these settings" if others else "run"
    where = f"{PLACE}/" if out is None else f"{PLACE}/, nor in {out} or beside it"
    lines = [f"there is no unfinished {what} in {where}"]
    lines += [f"  {run.folder}: {_said(run)}" for run in same[:TOLD]]
    for run, meant in others:
        way = f" (its own: `{run.again}`)" if run.unfinished and run.state != "running" else ""
        lines += [f"  {run.folder}: {_said(run)}; begun with other settings{way}:", *_differences(run.folder, meant)]
    left_out = len(same[TOLD:]) + number - len(others)
    lines += [f"  and {left_out} more"] if left_out else []
    return "\n".join([*lines, f"Begin a new one:\n    {anew}"])


def _said(run: Standing) -> str:
    if run.state == "running":
        return f"running now, by {run.holder}; `sslkit status {run.folder}` looks at it"
    when = time.strftime("%d %b %Y %H:%M", time.localtime(run.sign))
    entries = read_summary(run.folder).get("generations") or [{}]
    test = entries[-1].get("test_accuracy") if isinstance(entries[-1], dict) else None
    score = f", test accuracy {percent(test)}" if run.state == "finished" and test is not None else ""
    return f"{run.state} {when}{score}"


def _named(folder: Path) -> str:
    return str(read_json(folder / "environment.json").get("recipe"))


def _differences(folder: Path, meant: Recipe | str) -> list[str]:
    """What decides the result and is another: `seed: 0 -> 3`; or why there is no such recipe."""
    if isinstance(meant, str):
        return [f"      {line}" for line in meant.splitlines() if line]
    sides = [{key: value for key, value in table.items() if key == "files" or key not in UNDECIDING}
             for table in (_table(folder), meant.table)]  # fmt: skip
    lines = diff(*sides)
    more = [f"... and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
    return [f"      {line}" for line in [*lines[:TOLD], *more]]


def _some(names: list[str]) -> str:
    return ", ".join(names[:TOLD]) + (f" and {len(names) - TOLD} more" if len(names) > TOLD else "")
