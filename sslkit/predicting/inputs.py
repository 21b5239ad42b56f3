"""What is to be classified, in the order in which it is given: image files, folders, tars, and lists of these."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import DataError, RunError
from ..images.listing import LITTER, SUFFIXES, list_images
from ..images.tars import index_tar
from ..images.words import printable, shown, tally

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
"How names of tars end. Those of compressed ones are known so that they are refused as what they are."
STREAM = "-"
"Stands for a list on standard input."
BLOCK = 1 << 16
"Bytes of a list that are asked for at once; there may come fewer."

Note = Callable[[str], None]
Done = Callable[[int], None]


class Item(NamedTuple):
    """An image that has not been read yet."""

    path: str
    read: Callable[[], bytes]
    "Its file's bytes. Raises `OSError`, `ValueError` or `DataError` where there are none."


@dataclass(frozen=True)
class Source:
    """What one path stands for: N images, whose paths begin with it."""

    prefix: str
    names: Sequence[str]
    fetch: Callable[[int], bytes]
    unopened: int = 0
    "How many of them are no images, but folders and tars that could not be opened."

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Item]:
        for number, name in enumerate(self.names):
            yield Item(self.prefix + name, partial(self.fetch, number))


def opened(path: str, note: Note, done: Done | None = None) -> Source:
    """A file, a folder's images, or a tar's. What cannot be opened is one image, whose reading raises the reason.

    `note` is told of what is skipped. `done`: as `index_tar` takes it, which shows a bar of its own without.
    """
    try:
        if os.path.isdir(path):  # noqa: PTH112 - a `Path` would not say it as it was given
            return of_folder(path, note)
        if path.lower().endswith(TARS):
            return of_tar(path, note, done)
    except OSError as error:
        return Source(path, [""], partial(refusing, unread(error)), 1)
    except DataError as error:
        return Source(path, [""], partial(refusing, error), 1)
    return Source(path, [""], lambda number: whole_file(path))


def of_folder(path: str, note: Note) -> Source:
    """Everything below a folder, in the order that data plugins have; folders below that cannot be read come behind."""
    closed = dict[str, DataError]()
    listing = list_images(path, closed=lambda below, error: closed.update({below: unread(error)}))
    prefix, last = path.rstrip("/") + "/", sorted(closed)
    names = [name for folder in listing.images.values() for name in folder]
    note_skipped(path, len(names), listing.skipped, note)

    def fetch(number: int) -> bytes:
        if number < len(names):
            return whole_file(prefix + names[number])
        raise closed[last[number - len(names)]]

    return Source(prefix, [*names, *last], fetch, len(last))


def unread(error: OSError) -> DataError:
    """What to raise for a folder that cannot be read."""
    return DataError(f"the folder {shown(str(error.filename))} cannot be read: {error.strerror or error}")


def of_tar(path: str, note: Note, done: Done | None) -> Source:
    """The images among a tar's files, in its order."""
    tar = index_tar(path, done)
    rows = [number for number, name in enumerate(tar.names) if is_image(name)]
    note_skipped(path, len(rows), Counter({"other files": len(tar) - len(rows)}) + tar.skipped, note)
    return Source(path + "/", [tar.names[row] for row in rows], lambda number: tar.read(rows[number]))


def is_image(name: str) -> bool:
    """Whether a tar's file is taken for an image, as one in a folder would be."""
    *folders, last = name.split("/")
    hidden = any(part.startswith(".") or part in LITTER for part in folders) or last.startswith(".")
    return not hidden and os.path.splitext(last)[1].lower() in SUFFIXES  # noqa: PTH122


def note_skipped(path: str, found: int, skipped: Counter[str], note: Note) -> None:
    """Say what is in a folder or tar beside images."""
    beside = f"; skipped: {tally(skipped)}" if skipped else ""
    if beside or not found:
        note(f"{shown(path)}: {found:,} image{'s' * (found != 1)}{beside}")


def whole_file(path: str) -> bytes:
    """A file's bytes. Raises `OSError`, or `ValueError` for what is none: a device may have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a `Path` takes longer
        raise ValueError("it is neither a file nor a folder")
    return Path(path).read_bytes()


def refusing(error: Exception, number: int) -> bytes:
    """Reading what cannot be opened."""
    raise error


def reason(error: Exception) -> str:
    """Why an image cannot be read, as the column `error` has it."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
    return printable(said)


@dataclass
class Inputs:
    """The images of all paths, to be gone through once."""

    items: Iterator[Item]
    total: int | None
    "How many there are, where that is known before they are gone through."
    unopened: int = 0
    "How many of those gone through were folders and tars that could not be opened."

    @classmethod
    def of(cls, paths: Iterable[str], note: Note = lambda said: None) -> Inputs:
        """Paths as they are given. Of a sequence folders and tars are opened at once; of an iterator each in its turn."""
        if isinstance(paths, Sequence):
            sources = [opened(path, note) for path in paths]
            return cls._through(sources, sum(map(len, sources)))
        # In its turn: a bar is up by then, and has no room for another one.
        return cls._through((opened(path, note, lambda number: None) for path in paths), None)

    @classmethod
    def _through(cls, sources: Iterable[Source], total: int | None) -> Inputs:
        made = cls(iter(()), total)
        made.items = made._counted(sources)
        return made

    def _counted(self, sources: Iterable[Source]) -> Iterator[Item]:
        for source in sources:
            self.unopened += source.unopened
            yield from source


def with_lists(paths: Sequence[str], stream: IO[bytes], separator: bytes) -> Iterable[str]:
    """The same paths, but in the place of `-` those that a stream lists. Raises `RunError` where two want to read it."""
    if STREAM not in paths:
        return paths
    if paths.count(STREAM) > 1:
        raise RunError("`-` is given more than once, and standard input can be read but once")
    return (one for path in paths for one in (names_in(stream, separator) if path == STREAM else [path]))


def names_in(stream: IO[bytes], separator: bytes) -> Iterator[str]:
    r"""The names in a list, as soon as they are there; bytes that are no UTF-8 as Python has them in names.

    Empty ones are left out, and in a list of lines the `\r` that some systems end them with.
    Raises `RunError` where a list of lines has NUL bytes, which no name has.
    """
    raw, rest = getattr(stream, "raw", stream), b""  # not its buffer, which a thread would hold while it waits
    while block := raw.read(BLOCK):
        if separator == b"\n" and b"\0" in block:
            raise RunError("the list has NUL bytes: add -0")
        *names, rest = (rest + block).split(separator)
        yield from filter(None, (decoded(name, separator) for name in names))
    if last := decoded(rest, separator):
        yield last


def decoded(name: bytes, separator: bytes) -> str:
    """A name of a list."""
    return os.fsdecode(name.removesuffix(b"\r") if separator == b"\n" else name)
