"""A file of predictions that can be gone on with: what is whole of it stays, and nothing is mixed with other models' rows."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from ..artifacts import write_atomic
from ..errors import RunError
from ..exporting.about import about
from ..images.words import shown
from ..keeping.room import full, is_full
from .inputs import Item
from .predictor import Predictor
from .rows import Format

FORMAT = "sslkit predictions 1"


def beside(path: Path) -> Path:
    """`FILE.json`: by which model and settings the file is made."""
    return path.with_name(f"{path.name}.json")


def made_by(predictor: Predictor, form: str, rows: Format) -> dict[str, Any]:
    """What all rows of a file share."""
    settings = {
        "format": form,
        "top": rows.columns.top,
        "probabilities": rows.columns.every,
        "batch": predictor.batch,  # a batch's size decides on the last bits of its answers
        "largest": predictor.largest,
        "device": predictor.model.classifier.device.type,
    }
    return {"format": FORMAT, "settings": settings, "model": about(predictor.model)}


@dataclass
class Kept:
    """A file that is open for further rows, and what is left to do."""

    file: IO[bytes]
    items: Iterator[Item]
    "Beginning with the batch that was not written whole."
    skip: int = 0
    "How many rows of it are there."
    rows: int = 0
    "Rows that are there in all."
    failed: int = 0
    "Those of images that could not be read."


def begun(path: Path, form: Format, facts: dict[str, Any], items: Iterator[Item]) -> Kept:
    """A new file. Raises `RunError` where one is there already, or it cannot be made."""
    for one in (path, beside(path)):
        if one.exists() or one.is_symlink():
            raise RunError(
                f"{shown(str(one))} exists already and is never overwritten: choose another --out, or go on with it by "
                "--resume"
            )
    if not path.parent.is_dir():
        raise RunError(f"{shown(str(path))} cannot be written: there is no folder {shown(str(path.parent))}")
    try:
        write_atomic(beside(path), json.dumps(facts, indent=1) + "\n")
        file = path.open("xb")
    except OSError as error:
        raise RunError(f"{shown(str(path))} could not be made: {error.strerror or error}") from error
    return started(file, form, items)


def started(file: IO[bytes], form: Format, items: Iterator[Item]) -> Kept:
    """A file without rows."""
    file.write(form.header())
    return Kept(file, items)


def resumed(path: Path, form: Format, facts: dict[str, Any], items: Iterator[Item], batch: int) -> Kept:
    """A file that may have been cut off anywhere, behind its last whole row.

    Raises `RunError` where another model or other settings made it, or its rows are not of these inputs.
    """
    if not path.exists():  # killed before there was one
        beside(path).unlink(missing_ok=True)
        return begun(path, form, facts, items)
    check_same(path, facts)
    try:
        file = path.open("r+b")
    except OSError as error:
        raise RunError(f"{shown(str(path))} could not be opened: {error.strerror or error}") from error
    try:
        return gone_through(path, file, form, items, batch)
    except BaseException:
        file.close()
        raise


def check_same(path: Path, facts: dict[str, Any]) -> None:
    """Raise `RunError` where a file is of another model, or of other settings."""
    try:
        known = json.loads(beside(path).read_text())
        pairs = [(name, known[part][name], now) for part in ("settings", "model") for name, now in facts[part].items()]
        if known["format"] != FORMAT:
            raise ValueError("another format")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RunError(
            f"{shown(str(path))} cannot be gone on with: {shown(str(beside(path)))}, which says by which model it was made, "
            "is not there or damaged. Choose another --out"
        ) from error
    differ = [f"{name}: {then!r} then, {now!r} now" for name, then, now in pairs if then != now]
    if differ:
        raise RunError(
            f"{shown(str(path))} was made otherwise, so that its rows would not be of one kind\n    "
            + "\n    ".join(differ)
        )


def gone_through(path: Path, file: IO[bytes], form: Format, items: Iterator[Item], batch: int) -> Kept:
    """What is there, row by row beside the inputs; the file is cut behind its last whole row."""
    pieces, end, failed, recent = form.pieces(file), 0, 0, deque[Item](maxlen=batch)
    if header := form.header():
        if (first := next(pieces, None)) not in (None, header):
            raise RunError(f"{shown(str(path))} has other columns than these: choose another --out")
        end = len(first or b"")
    rows = 0
    for rows, piece in enumerate(pieces, 1):
        item = next(items, None)
        failed += check_row(path, rows, form, piece, item)
        assert item is not None
        recent.append(item)
        end += len(piece)
    file.seek(end)
    file.truncate()
    if not end:
        return started(file, form, items)
    skip = rows % batch
    again = list(recent)[len(recent) - skip :]
    return Kept(file, chain(again, items), skip, rows, failed)


def check_row(path: Path, number: int, form: Format, piece: bytes, item: Item | None) -> bool:
    """Whether a row's image could not be read. Raises `RunError` where the row is not of this input."""
    try:
        row = form.row(piece)
    except ValueError as error:
        raise RunError(f"{shown(str(path))} is damaged: row {number:,} cannot be read ({error})") from error
    if item is None or row.path != item.path:
        now = f"is {shown(item.path)} now" if item else "is not there: there are fewer now"
        raise RunError(
            f"{shown(str(path))} is of other inputs: its row {number:,} is of {shown(row.path)}, and input {number:,} {now}"
        )
    return row.failed


def lost(path: Path, error: OSError) -> RunError:
    """What to raise where a row could not be written."""
    if is_full(error):
        return full(shown(str(path)), error)
    return RunError(f"{shown(str(path))} could not be written: {error.strerror or error}")
