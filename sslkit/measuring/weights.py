"""Which of a finished generation's weights: its average, the student's own, or those that validation selected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..artifacts import load_tree
from ..errors import RunError

WEIGHTS = ("average", "student", "selected")
"What a generation's artifact may keep. The student's own are always there."


def weights_of(folder: Path, which: str | None = None) -> dict[str, Any]:
    """A model's weights from its artifact. None: as it was evaluated, the average where one was kept.

    Raises `RunError` where the artifact does not keep them.
    """
    if which == "selected":
        return _selected(folder)
    tree = load_tree(folder, "model")
    if which == "average" and tree["average"] is None:
        raise RunError(
            f"{folder} keeps no average: the recipe has no plugin that averages the student\n"
            f"    there is: {', '.join(kept(folder))}"
        )
    weights: dict[str, Any] = tree["student"] if which == "student" else tree["average"] or tree["student"]
    return weights


def kept(folder: Path) -> list[str]:
    """The weights that an artifact keeps."""
    tree = json.loads((folder / "model.json").read_text())["dict"]  # without reading the tensors
    average = tree["average"] is not None
    there = {"average": average, "student": True, "selected": (folder / "selected.json").is_file()}
    return [name for name in WEIGHTS if there[name]]


def _selected(folder: Path) -> dict[str, Any]:
    """The weights of the step that `select` found best."""
    if not (folder / "selected.json").is_file():
        raise RunError(
            f"{folder} keeps no selected weights: no evaluation answered the metric of `select`, which by default needs "
            f"validation images\n    there is: {', '.join(kept(folder))}"
        )
    weights: dict[str, Any] = load_tree(folder, "selected")["weights"]
    return weights
