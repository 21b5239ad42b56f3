"""What lies in a tar and where, so that any file of it is read without unpacking. Nothing is ever extracted."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from ..dataset import Rows
from ..errors import DataError
from ..waiting import waiting
from .tar_memory import Index, recalled, remember
from .words import printable, shown

PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
"How compressed files begin."
END = bytes(tarfile.BLOCKSIZE)
"The block behind the last member; without it, a tar was cut off."


@dataclass(frozen=True, eq=False)
class Tar:
    """The N files of a tar in its order: their names, and the bytes that each takes.

    Nothing is kept open, so that it may go to workers, and hold as many tars as there are.
    """

    path: str
    names: list[str]
    offsets: Rows  # (N,) bytes
    sizes: Rows  # (N,) bytes
    stamp: tuple[int, int]  # the tar's own size in bytes, and when it was changed, in nanoseconds
    skipped: Counter[str] = field(default_factory=Counter)  # links, devices and the like, by kind

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> bytes:
        """A file's bytes. Raises `OSError`, or `ValueError` where the tar has changed since its index was made."""
        return read_at(self.path, int(self.offsets[number]), int(self.sizes[number]), self.stamp)

    def read_each(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """Several files' bytes one after another, for which the tar is opened once. Raises as `read` does."""
        with at_hand(self.path, self.stamp) as descriptor:
            for number in numbers:
                yield piece(self.path, descriptor, int(self.offsets[number]), int(self.sizes[number]))

    def place(self, number: int) -> str:
        """How messages name a file."""
        return f"{shown(self.names[number])} in {shown(self.path)}"


def read_at(path: str, offset: int, size: int, stamp: tuple[int, int]) -> bytes:
    """Bytes of a tar. Raises `OSError`, or `ValueError` where the tar is no longer the one that was indexed."""
    with at_hand(path, stamp) as descriptor:
        return piece(path, descriptor, offset, size)


@contextmanager
def at_hand(path: str, stamp: tuple[int, int]) -> Iterator[int]:
    """A descriptor of a tar. Raises `OSError`, or `ValueError` where the tar is no longer the one that was indexed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if stamp_of(os.fstat(descriptor)) != stamp:
            raise ValueError(f"the tar {shown(path)} was changed after its index was made")
        yield descriptor
    finally:
        os.close(descriptor)


def piece(path: str, descriptor: int, offset: int, size: int) -> bytes:
    """Bytes of an open tar. Raises `OSError`, or `ValueError` where it ends within them."""
    parts, left = list[bytes](), size
    while left and (part := os.pread(descriptor, left, offset + size - left)):  # at most 2 GiB come at once
        parts.append(part)
        left -= len(part)
    if left:
        raise ValueError(f"the tar {shown(path)} ends within it")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def stamp_of(status: os.stat_result) -> tuple[int, int]:
    """What tells that a file is still the same: its size in bytes, and when it was changed, in nanoseconds."""
    return status.st_size, status.st_mtime_ns


def index_tar(path: str | Path, done: Callable[[int], None] | None = None) -> Tar:
    """Which files a tar has, in its order, under a bar; their content is not read. It is remembered of large ones.

    `done`: the caller's own bar, told how many MiB more were walked. Links, devices and folders are no files, and all but folders are counted. Raises `DataError` for what is no tar, is
    compressed, was cut off or damaged, or has a member whose name leads out of any folder it would be unpacked in.
    """
    path = str(path)
    try:
        with Path(path).open("rb") as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            if known := recalled(path, stamp):
                return Tar(path, *known[:3], stamp, known.skipped)
            with (
                nullcontext(done)
                if done
                else waiting(f"indexing {printable(Path(path).name)} (MiB)", stamp[0] >> 20) as told
            ):
                found = indexed(path, file, stamp[0], told)
    except OSError as error:
        raise DataError(f"the tar {shown(path)} cannot be read: {error.strerror or error}") from error
    remember(path, stamp, found)
    return Tar(path, *found[:3], stamp, found.skipped)


def indexed(path: str, file: IO[bytes], size: int, done: Callable[[int], None]) -> Index:
    """The index of an open tar of `size` bytes. Raises as `index_tar` does."""
    refuse_packed(path, file)
    names, spans, skipped = list[str](), list[tuple[int, int]](), Counter[str]()
    for member in members(path, file, size, done):
        name = checked(path, member)
        if member.isreg():
            names.append(name)
            spans.append((member.offset_data, member.size))
        elif not member.isdir():
            skipped["links" if member.issym() or member.islnk() else "devices and the like"] += 1
    bytes_of = np.array(spans, np.int64).reshape(-1, 2)
    return Index(names, bytes_of[:, 0].copy(), bytes_of[:, 1].copy(), skipped)


def refuse_packed(path: str, file: IO[bytes]) -> None:
    """Raise `DataError` for an empty file and a compressed one, in which no member can be read by itself."""
    head = file.read(6)
    file.seek(0)
    if not head:
        raise DataError(f"{shown(path)} is empty, and no tar")
    if how := [name for start, name in PACKED.items() if head.startswith(start)]:
        raise DataError(
            f"{shown(path)} is compressed ({how[0]}), so that no file in it can be read by itself. Unpack it to a plain "
            ".tar, or into a folder"
        )


def members(path: str, file: IO[bytes], size: int, done: Callable[[int], None]) -> Iterator[tarfile.TarInfo]:
    """The members of a tar of `size` bytes. Raises `DataError` where it is none, or not whole."""
    last, at = "", 0
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
            while member := tar.next():
                tar.members.clear()  # type: ignore[attr-defined] # else it keeps them all
                if member.size < 0 or tar.offset <= at:  # forged: it would lead back, and round for ever
                    raise tarfile.ReadError("a member of no size")
                if member.offset_data + member.size > size:
                    raise cut_off(path, f"within {shown(member.name)}")
                if more := (tar.offset >> 20) - (at >> 20):
                    done(more)
                last, at = member.name, tar.offset
                yield member
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(path, last, at, file.tell() >= size, str(error)) from error
    file.seek(at)
    if (block := file.read(len(END))) != END:
        raise damaged(path, last, at, len(block) < len(END), "no header")


def checked(path: str, member: tarfile.TarInfo) -> str:
    """A member's name without `./`. Raises `DataError` where it leads elsewhere, or the file is not stored in one piece."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        what = "an absolute path" if member.name.startswith("/") else "a path with `..`"
        raise DataError(
            f"the tar {shown(path)} has the member {shown(member.name)}: {what}, which leads out of the tar. Nothing of "
            "it is read; write it again with paths below a folder"
        )
    if member.issparse():
        raise DataError(
            f"the tar {shown(path)}: {shown(member.name)} is stored with holes; write it again without `--sparse`"
        )
    return "/".join(part for part in parts if part not in ("", "."))


def cut_off(path: str, where: str) -> DataError:
    """A tar of which only the first part is there."""
    return DataError(f"the tar {shown(path)} was cut off: it ends {where}. Copy or download it again")


def damaged(path: str, last: str, at: int, ended: bool, problem: str) -> DataError:
    """What is no tar, or no longer; `ended`: the file ends where more was to come."""
    if not last:
        return DataError(f"{shown(path)} is no tar ({problem})")
    if ended:
        return cut_off(path, f"behind {shown(last)}")
    return DataError(
        f"the tar {shown(path)} is damaged behind {shown(last)}, {at:,} bytes from its begin ({problem}). Copy or download it again"
    )
