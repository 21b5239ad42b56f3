"""Image files below a folder, read when they are asked for."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sslkit.images.remembered import Stamp
from sslkit.images.words import shown


def files(root: str, ids: Sequence[str]) -> tuple[Callable[[int], bytes], Callable[[int], str]]:
    """What a library asks of files whose ids are paths below `root`: how one is fetched, and where it lies."""

    def fetch(row: int) -> bytes:
        return Path(root, ids[row]).read_bytes()

    def place(row: int) -> str:
        return shown(str(Path(root, ids[row])))

    return fetch, place


def stamps(root: str, ids: Sequence[str]) -> Callable[[int], Stamp | None]:
    """Of which state files are: their size, and when they were changed last; None where one is not there."""

    def stamp(row: int) -> Stamp | None:
        try:
            found = os.stat(os.path.join(root, ids[row]))  # noqa: PTH116, PTH118 - of all files; a `Path` takes longer
        except OSError:
            return None
        return Stamp(found.st_size, found.st_mtime_ns)

    return stamp
