"""Indexes of large tars, kept beside them, as walking through one takes a while: they hold as long as the tar is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..dataset import Rows
from .remembered import FOLDER, RACE, user_cache

FORMAT = "sslkit tar 1"
LARGE = 5_000
"Files of a tar whose index is kept: a smaller one is walked through in less than a second."

DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile)
"What reading a file raises that is not as it was written."
Arrays = dict[str, NDArray[Any]]


class Index(NamedTuple):
    """What a tar holds: names, and the bytes that each file takes; and how many members are no files, by kind."""

    names: list[str]
    offsets: Rows  # (N,)
    sizes: Rows  # (N,)
    skipped: Counter[str]


def recalled(path: str, stamp: tuple[int, int]) -> Index | None:
    """The index of a tar of this size in bytes and time of change; None where it is not kept, or damaged."""
    for place in places(path):
        with suppress(*DAMAGED), place.open("rb") as file, np.load(file, allow_pickle=False) as found:
            head, names = json.loads(found["head"].tobytes()), found["names"].tobytes()
            if head["format"] == FORMAT and tuple(head["stamp"]) == stamp:
                texts = names.decode("utf-8", "surrogateescape").split("\0")
                return Index(texts, found["offsets"], found["sizes"], Counter(head["skipped"]))
    return None


def remember(path: str, stamp: tuple[int, int], index: Index) -> None:
    """Keep an index, in the first place that will have it; but none of a tar that was changed just now.

    That may change once more without its time telling.
    """
    if len(index.names) < LARGE or stamp[1] > time.time_ns() - RACE or any("\0" in name for name in index.names):
        return
    head = json.dumps({"format": FORMAT, "stamp": stamp, "skipped": index.skipped}).encode()
    names = "\0".join(index.names).encode("utf-8", "surrogateescape")
    arrays: Arrays = {"head": bytes_of(head), "names": bytes_of(names), "offsets": index.offsets, "sizes": index.sizes}
    any(written(place, arrays) for place in places(path))


def bytes_of(data: bytes) -> NDArray[np.uint8]:
    """Bytes as an array."""
    return np.frombuffer(data, np.uint8)


def places(path: str) -> Iterator[Path]:
    """Where the index of a tar may be: beside it, or, where nothing can be written there, in the user's cache folder."""
    folder, name = os.path.split(os.path.realpath(path))
    known = f"tar-{digest(name)}.npz"
    yield from (Path(folder, FOLDER, known), user_cache() / digest(folder) / known)


def digest(name: str) -> str:
    """A name for what belongs to a name, which may be of any length."""
    return hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


def written(place: Path, arrays: Arrays) -> bool:
    """Replace a file whole, whoever else writes it; whether that could be done."""
    aside = place.with_name(f".writing-{token_hex(8)}.npz")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(aside, allow_pickle=False, **arrays)
        aside.replace(place)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        return False
    return True
