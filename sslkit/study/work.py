"""What the processes of a study do: functions of plain values, each in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .. import runs
from ..folder import RECIPE, SUMMARY
from ..recipe.compose import rebuilt
from ..recipe.model import Recipe

STUB = (RECIPE, "environment.json")
"What a run folder holds before there is a summary, and so before any training."
Written = tuple[dict[str, Any], str, Path | None]
"A recipe's table, name and path: its plugins are made where it is run."


def written(recipe: Recipe) -> Written:
    """A recipe in a form that reaches another process."""
    return recipe.table, recipe.name, recipe.path


def train(recipe: Written, folder: Path, device: str | None) -> dict[str, Any]:
    """Run a child, or go on with it: its summary."""
    clear_stub(folder)
    if (folder / SUMMARY).exists():
        return runs.run(resume=folder, device=device).summary
    return runs.run(rebuilt(*recipe), out=folder, device=device).summary


def clear_stub(folder: Path) -> None:
    """A run that was killed before its first summary has trained nothing: it is begun anew."""
    if folder.is_dir() and all(path.name in STUB or path.name.endswith(".writing") for path in folder.iterdir()):
        shutil.rmtree(folder)
