"""What the processes of a study do: functions of plain values, each in a process of its own."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from .. import runs
from ..errors import Held
from ..folder import RECIPE, SUMMARY, Run
from ..measuring.keeping import measured
from ..recipe.compose import rebuilt
from ..recipe.model import Recipe

STUB = (RECIPE, "environment.json")
"What a run folder holds before there is a summary, and so before any training."
PATIENCE, LOOK = 30.0, 0.5
"Seconds that a run is waited for which another process holds: one whose study was killed saves itself, and ends."
Written = tuple[dict[str, Any], str, Path | None]
"A recipe's table, name and path: its plugins are made where it is run."


def written(recipe: Recipe) -> Written:
    """A recipe in a form that reaches another process."""
    return recipe.table, recipe.name, recipe.path


def train(recipe: Written, folder: Path, device: str | None) -> dict[str, Any]:
    """Run a child, or go on with it: its summary."""
    began = time.monotonic()
    while True:
        try:
            clear_stub(folder)
            if (folder / SUMMARY).exists():
                return runs.run(resume=folder, device=device).summary
            return runs.run(rebuilt(*recipe), out=folder, device=device).summary
        except Held:
            if time.monotonic() - began > PATIENCE:
                raise
            time.sleep(LOOK)


def measure(
    folder: Path, generation: int, metrics: str | Path, baseline: Path | None, device: str | None
) -> dict[str, Any]:
    """What a set of metrics says of a child's generation, which is kept in its folder."""
    beside = None if baseline is None else Run(baseline)
    return measured(Run(folder), generation, metrics, baseline=beside, device=device).metrics


def clear_stub(folder: Path) -> None:
    """A run that was killed before its first summary has trained nothing: it is begun anew."""
    if folder.is_dir() and all(path.name in STUB or path.name.endswith(".writing") for path in folder.iterdir()):
        shutil.rmtree(folder)
