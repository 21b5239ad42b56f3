"""Reads files that a recipe names. A name may lead to a pipe, a device, or something of many gigabytes."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

MOST = 1000  # names of a folder that are looked through for one that was meant


def content(path: Path, most: int, what: str) -> bytes:
    """A regular file's bytes, `most` of them at most; `what` it should be. Raises `OSError` that says why it cannot be read."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, kind(status.st_mode))
    if status.st_size > most:
        raise OSError(None, f"{status.st_size:,} bytes; {what} has at most {most:,}")
    # A pipe may have taken the file's place, and some of the kernel's own files wait for news: neither is waited for.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor has no `Path`
        data = file.read(most + 1) or b""
    if len(data) > most:  # it says no size, or a smaller one
        raise OSError(None, f"{what} has at most {most:,} bytes; it has more")
    return data


def kind(mode: int) -> str:
    """What something that is no regular file is."""
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "is a pipe" if stat.S_ISFIFO(mode) else "is a device, not a file"


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a name that no file system takes, or a closed folder, has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def beside(path: Path, pattern: str = "*") -> list[str]:
    """Names of what lies in the folder where something was looked for, but for that itself."""
    try:
        found = itertools.islice(path.parent.glob(pattern), MOST)
        return sorted(other.name for other in found if other.name != path.name)
    except (OSError, ValueError):
        return []


def why(error: OSError | ValueError) -> str:
    """What went wrong, without the number and the path around it."""
    said = str(getattr(error, "strerror", None) or error)
    return said[:1].lower() + said[1:]
