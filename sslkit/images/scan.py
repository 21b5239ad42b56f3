"""Looking at every image: whether it can be read, how large it is, and what it shows, so that copies are found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..dataset import Image, Images, Look, Rows
from ..errors import SslkitError
from ..waiting import waiting
from .decoding import kind_of
from .remembered import Remembered, Stamp

CHUNK = 64
"Images that a thread looks at in a row."


def scan(images: Images) -> list[Look]:
    """What every image of a split is, in order, under a bar. One that cannot be read has a `problem`; nothing is raised.

    Images without `inspect` are read a few at a time, and looked at as arrays.
    """
    rows = np.arange(len(images))
    return images.inspect(rows) if images.inspect else list(looking(rows, lambda row: of_array(images, row)))


def looking(rows: Rows, look: Callable[[int], Look], what: str = "looking at images") -> Iterator[Look]:
    """`look` of each row, in order, by as many threads as there are cores: decoders leave Python's lock to others."""
    chunks = [rows[at : at + CHUNK].tolist() for at in range(0, len(rows), CHUNK)]
    pool = ThreadPoolExecutor(cores())
    try:
        with waiting(what, len(rows)) as done:
            for looks in pool.map(lambda chunk: [look(row) for row in chunk], chunks):
                yield from looks
                done(len(looks))
    finally:
        pool.shutdown(cancel_futures=True)


def remembering(
    ids: Sequence[str],
    rows: Rows,
    look: Callable[[int], Look],
    stamp: Callable[[int], Stamp | None],
    memory: Remembered,
) -> list[Look]:
    """`look` of each row, as far as it is not known of its file as it is now. What is new is remembered.

    Where it is stopped, what was found until then is.
    """
    names, stamps = [ids[row] for row in rows.tolist()], [stamp(row) for row in rows.tolist()]
    known = memory.looks(names, stamps)
    fresh = [at for at, then in enumerate(known) if then is None]
    found = list[Look]()
    try:
        found.extend(looking(rows[fresh], look))
    finally:
        done = fresh[: len(found)]
        memory.add([names[at] for at in done], [stamps[at] for at in done], found, len(ids))
    looks = iter(found)
    return [next(looks) if then is None else then for then in known]


def of_array(images: Images, row: int) -> Look:
    """What an image is that its plugin only reads."""
    try:
        (image,) = images.read(np.array([row]))
    except (SslkitError, OSError, ValueError) as error:
        return Look(b"", 0, 0, "unknown", str(error))
    return seen(image, "array")


def of_file(data: bytes | Image, decode: Callable[[bytes | Image], Image]) -> Look:
    """What an image is, by a file's bytes or by pixels. Raises what `decode` raises."""
    return seen(decode(data), kind_of(data) if isinstance(data, bytes) else "array")


def seen(image: Image, kind: str) -> Look:
    """What an image (H, W, C) shows."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return Look(digest.digest(), image.shape[0], image.shape[1], kind)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
