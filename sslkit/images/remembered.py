"""What was found of images when they were looked at, kept beside them: it holds as long as their files are as they were."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import compress
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..dataset import Look

FOLDER = ".sslkit"
"Beside the images; hidden names are no part of any listing."
FORMAT = "sslkit looks 1"
RACE = 2_000_000_000
"Nanoseconds for which a change may leave a file's time as it was: some file systems count in seconds."
SPARE = 10_000
"Images of other recipes, or that are gone, that are kept beside as many as there are now."
ROW = np.dtype(
    [("size", "<i8"), ("time", "<i8"), ("at", "<i8"), ("digest", "V16"), ("height", "<i4"), ("width", "<i4"), ("kind", "S8")]
)  # fmt: skip
"A stamp and a look: 64 bytes for an image, beside its id."

Table = NDArray[np.void]  # (N,) of `ROW`


class Stamp(NamedTuple):
    """What tells whether a file, or a part of one, is as it was."""

    size: int
    time: int  # of its last change, in nanoseconds
    at: int = 0  # where in its file it begins


NEVER = Stamp(-1, -1)
"Of what has no state that can be told: it is never remembered."


class Remembered:
    """What was found of images by their ids, and of which state of their files.

    `folder` is the images' own; where nothing can be written there, the user's cache folder is taken; where there is none,
    nothing is remembered. `key` is all that decides on what is found beside the files: how they are decoded. A file that
    is damaged is as if it was not there.
    """

    def __init__(self, folder: str, key: str) -> None:
        name = f"looks-{_digest(key.encode())[:16]}"
        where = _digest(os.fsencode(os.path.realpath(folder)))[:16]
        self.paths = [Path(folder, FOLDER, name), user_cache() / where / name] if folder else []
        self.ids, self.table = joined([read(path) for path in reversed(self.paths)])

    def looks(self, ids: Sequence[str], stamps: Sequence[Stamp | None]) -> list[Look | None]:
        """What was found of images whose files were as they are now; None of others."""
        rows = {sample: row for row, sample in enumerate(self.ids)}
        at = np.fromiter((rows.get(sample, -1) for sample in ids), np.int64, len(ids))
        now = np.array([stamp or NEVER for stamp in stamps], np.int64).reshape(-1, len(NEVER))
        for column, key in enumerate(Stamp._fields):
            at[at >= 0] = np.where(self.table[key][at[at >= 0]] == now[at >= 0, column], at[at >= 0], -1)
        found = iter(self.table[at[at >= 0]].tolist())
        return [look_of(next(found)) if there else None for there in (at >= 0).tolist()]

    def add(self, ids: Sequence[str], stamps: Sequence[Stamp | None], looks: Sequence[Look], own: int) -> None:
        """Remember images, beside what others remembered meanwhile; where that cannot be written, do without.

        One that cannot be read is looked at again: what is wrong need not be the file's. So is one that was changed just
        now, as it may change once more without its time telling. `own`: images that there are now; where far more are
        known, the others are forgotten.
        """
        quiet = time.time_ns() - RACE
        sound = [
            stamp is not None and stamp.time < quiet and not look.problem
            for stamp, look in zip(stamps, looks, strict=True)
        ]
        new = list(compress(ids, sound)), table_of(list(compress(stamps, sound)), list(compress(looks, sound)))
        for path in self.paths if new[0] else []:
            known = joined([read(path), (self.ids, self.table), new])
            if write(path, *(known if len(known[0]) <= 2 * own + SPARE else new)):
                self.ids, self.table = known
                return


def look_of(row: tuple[object, ...]) -> Look:
    """A row of a table as a look."""
    *_, digest, height, width, kind = row
    return Look(digest, height, width, kind.decode("ascii", "replace"))  # type: ignore[arg-type, attr-defined]


def table_of(stamps: Sequence[Stamp | None], looks: Sequence[Look]) -> Table:
    """Rows of a table."""
    rows = [
        (*(stamp or NEVER), look.digest, look.height, look.width, look.kind.encode("ascii", "replace"))
        for stamp, look in zip(stamps, looks, strict=True)
    ]
    return np.array(rows, ROW)


def joined(parts: Sequence[tuple[Sequence[str], Table]]) -> tuple[list[str], Table]:
    """All rows of all parts; of an image that several know, the last one's."""
    last = {sample: row for row, sample in enumerate(sample for ids, _ in parts for sample in ids)}
    table = np.concatenate([np.zeros(0, ROW), *(table for _, table in parts)])
    return list(last), table[list(last.values())]


def user_cache() -> Path:
    """The user's own folder for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "sslkit", "looks")


def read(path: Path) -> tuple[list[str], Table]:
    """What a file remembers: nothing, where it is not there or not as it was written."""
    with suppress(OSError, ValueError, RuntimeError):
        head, _, body = path.read_bytes().partition(b"\n")
        if head.decode("ascii") == f"{FORMAT} {_digest(body)}":
            names, _, rows = body.partition(b"\n")
            return json.loads(names), np.frombuffer(rows, ROW)
    return [], np.zeros(0, ROW)


def write(path: Path, ids: Sequence[str], table: Table) -> bool:
    """Replace a file whole, whoever else writes it; whether that could be done."""
    body = json.dumps(ids).encode("ascii") + b"\n" + table.tobytes()
    aside = path.with_name(f".writing-{token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(f"{FORMAT} {_digest(body)}\n".encode() + body)
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        return False
    return True


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
