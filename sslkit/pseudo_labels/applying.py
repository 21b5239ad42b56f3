"""Corrections written down for the next run: a file of them with where they come from, and a recipe that uses it."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import tomli_w

from ..artifacts import committed_file
from ..corrections import read_corrections, rows_of
from ..errors import RunError, SslkitError
from ..images.words import printable, shown
from ..recipe.message import counted
from .corrections import Correction, judged
from .export import refuse_existing
from .stored import Stored, shown_run

COLUMNS = ("id", "label", "was", "confidence", "generation", "teacher", "recipe", "source")
"Of the file that is written: what a person says, and what was said before, by whom, in which run; and the person's file."


@dataclass(frozen=True)
class Applied:
    """What was written, and what it changes."""

    corrections: Path
    recipe: Path
    made: list[Correction]
    "Those of this time."
    earlier: int
    "Corrections of earlier times that are kept."
    spared: int
    "Confirmations that were left out."


def apply(
    stored: Stored,
    path: Path,
    out: str | None = None,
    changed_only: bool = False,
    done: Callable[[int], None] = lambda number: None,
) -> Applied:
    """Hold a person's file against a run, and write what its next run needs. Raises `SslkitError`; then nothing is left.

    The corrections that the run itself was made with stay, but for images that the file names again. `changed_only`: what
    confirms the pseudo-label is left out. `out`: what both files' names begin with, or, ending in .toml, the recipe's file.
    """
    corrections, recipe = targets(stored, out)
    everything = judged(path, stored, done)
    made = [one for one in everything if not (changed_only and one.confirms)]
    if not made:
        raise RunError(
            f"{shown(str(path))} changes nothing: each of its labels is the pseudo-label that is there already"
        )
    earlier = _earlier(stored, {one.id for one in everything})
    with committed_file(corrections) as aside:
        _write(aside, [*earlier, *(_row(one, stored, path) for one in made)])
    try:
        with committed_file(recipe) as aside:
            aside.write_text(text_of(stored, path, corrections, recipe, made), encoding="utf-8")
    except BaseException:
        corrections.unlink()
        raise
    return Applied(corrections, recipe, made, len(earlier), len(everything) - len(made))


def targets(stored: Stored, out: str | None) -> tuple[Path, Path]:
    """The two files: of the name that was asked for, or after the run, with a number where there are such already."""
    if out is not None:
        name = re.sub(r"\.(toml|csv)$", "", out)
        pair = Path(f"{name}-corrections.csv"), Path(out if out.endswith(".toml") else f"{name}-corrected.toml")
        for path in pair:
            refuse_existing(path)
        return pair
    name = re.sub(r"-corrected(-\d+)?$", "", stored.run.folder.resolve().name)
    for number in count(1):
        end = f"-{number}" if number > 1 else ""
        pair = Path(f"{name}-corrections{end}.csv"), Path(f"{name}-corrected{end}.toml")
        if not any(path.exists() or path.is_symlink() for path in pair):
            break
    return pair


def _row(one: Correction, stored: Stored, path: Path) -> dict[str, str]:
    """A correction with where it comes from."""
    manifest = stored.manifest
    by_teacher = {
        "confidence": f"{one.confidence:.6g}",
        "generation": str(stored.generation),
        "teacher": str((manifest.get("teacher") or {}).get("sha256") or ""),
    } if one.confidence is not None else {}  # fmt: skip
    return {
        "id": one.id,
        "label": one.label,
        "was": one.was,
        **by_teacher,
        "recipe": str(manifest.get("recipe") or ""),
        "source": path.name,
    }


def _earlier(stored: Stored, again: set[str]) -> list[dict[str, str]]:
    """The corrections that the run was made with, but for images that are corrected again."""
    path = stored.run.table().get("corrections")
    if path is None:
        return []
    try:
        known = read_corrections(path)
        rows = {row["id"]: row for _, row in rows_of(path) if row["id"] in known}
    except SslkitError as error:
        raise RunError(f"the corrections that {shown_run(stored.run)} was made with cannot be kept: {error}") from error
    return [row for sample, row in rows.items() if sample not in again]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def text_of(stored: Stored, path: Path, corrections: Path, recipe: Path, made: list[Correction]) -> str:
    """The recipe: the run's own, with the corrections."""
    base = os.path.relpath(stored.run.folder.resolve() / "recipe.toml", recipe.parent.resolve())
    table = {"extends": Path(base).as_posix(), "corrections": corrections.name}
    try:
        text = tomli_w.dumps(table)
        text.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"{shown(base)} is no text, and no recipe can name it: rename the run's folder") from error
    said = f"{counted(len(made), 'correction')} by hand ({printable(path.name)}), of labels of generation {stored.generation}"
    return f"# {shown_run(stored.run)} with {said}.\n{text}"
