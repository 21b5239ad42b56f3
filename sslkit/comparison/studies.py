"""Runs of a study: which variant and seed each stands for, in the study's order, base first."""

from __future__ import annotations

import json
from pathlib import Path

CHILDREN, RESULTS = "children", "results.json"
"Where a study keeps its runs, and what it says of them."


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study's results."""
    return (folder / RESULTS).is_file()


def uses(children: Path) -> list[tuple[str, str, str]]:
    """(path from the study's folder, variant, seed) of its runs, as its results say; none where they cannot be read."""
    results = children.parent / RESULTS
    if children.name != CHILDREN or not results.is_file():
        return []
    try:
        rows = json.loads(results.read_text())["rows"]
        return [(str(path), str(row["name"]), seed) for row in rows for seed, path in row["runs"].items()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def runs_of(study: Path) -> list[Path]:
    """The runs of a study's folder, as its results order them, those that it shares with other studies among them."""
    found = uses(study / CHILDREN)
    return [study / path for path in dict.fromkeys(path for path, _, _ in found)]


def in_order(folder: Path) -> list[Path]:
    """What lies in a folder: a study's runs as its results order them, all else by name."""
    known = [Path(path).name for path, _, _ in uses(folder)]
    return sorted(
        folder.iterdir(), key=lambda path: (known.index(path.name) if path.name in known else len(known), path)
    )


def study_name(folder: Path) -> str | None:
    """`no noise, seed 3` for a study's run, as its results call it; None for other runs."""
    return next(
        (f"{variant}, seed {seed}" for name, variant, seed in uses(folder.parent) if Path(name).name == folder.name),
        None,
    )
