"""Data sets as they are published: where their files lie, and many images of one size in one file."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslkit import Image
from sslkit.errors import DataError, MissingData
from sslkit.images.remembered import Stamp
from sslkit.images.words import counted, listed, near, shown

from ..dividing.library import Decoding, Library, Rows, reason
from .folders import ARCHIVES, folders_in, is_there

Bytes = NDArray[np.uint8]
CHUNK = 4096
"Records that are read at once where something of each is needed."


# Where files lie ------------------------------------------------------------------------------------------------------


def holds(folder: Path, names: Iterable[str]) -> bool:
    """Whether a folder has one of the files."""
    return any(is_there(folder / name, Path.is_file) for name in names)


def unpacked(
    where: str, root: Path, inside: Sequence[str], names: Sequence[str], expected: str, classes: int | None
) -> Path:
    """The folder with the files `names`: `root`, or one of `inside`, which archives make there.

    Raises `MissingData`, which says what is `expected`, and how many `classes` there will be, where there is none; `DataError` where `root` is a file.
    """
    if is_there(root, Path.is_file):
        hint = "; unpack it, and name the folder" if root.suffix.lower() in ARCHIVES else ""
        raise DataError(f"{where}: `root` takes a folder; {shown(str(root))} is a file{hint}")
    if not is_there(root, Path.is_dir):
        raise MissingData(
            f"{where}: there is no folder {shown(str(root))} (`root`, from the recipe's folder; on the command line, "
            f"--set data.root=PATH). {expected}{near(root.name, folders_in(root.parent))}",
            classes,
        )
    if found := [folder for folder in (root, *(root / name for name in inside)) if holds(folder, names)]:
        return found[0]
    deeper = [str(root / name) for name in folders_in(root) if holds(root / name, names)]
    meant = f". Did you mean {listed(deeper)}?" if deeper else ""
    raise MissingData(f"{where}: {shown(str(root))} has none of {listed(names)}. {expected}{meant}", classes)


def present(where: str, path: Path, expected: str, classes: int | None = None) -> Path:
    """The path of a file that is there; else `MissingData`, with the name that may have been meant."""
    if not is_there(path, Path.is_file):
        there = sorted(os.listdir(path.parent)) if is_there(path.parent, Path.is_dir) else []  # noqa: PTH208
        raise MissingData(f"{where}: there is no file {shown(str(path))}. {expected}{near(path.name, there)}", classes)
    return path


def lines(where: str, path: Path) -> list[str]:
    """The lines of a text file, without those at its end that are empty. Raises `DataError` where it is no text."""
    try:
        return path.read_text("utf-8-sig").rstrip().split("\n")
    except (OSError, ValueError) as error:
        said = reason(error) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DataError(f"{where}: {shown(str(path))} cannot be read: {said}") from error


def names(where: str, path: Path) -> tuple[str, ...]:
    """The classes' names, one on each line of a file. Raises `DataError` where they are none, or one comes twice."""
    found = tuple(line.strip() for line in lines(where, path))
    if len(found) < 2 or len(set(found)) < len(found) or not all(found):
        raise DataError(
            f"{where}: {shown(str(path))} was expected to have a class's name on each line, each of them once"
        )
    return found


# Records --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Records:
    """Records of `size` bytes, one behind the other from the byte `start` of a file.

    They are read where they lie, not through a memory map: of a file that is cut off while it is mapped the process
    would die, where this raises `ValueError`.
    """

    path: Path
    size: int
    start: int = 0

    def count(self, where: str, published: int = 0) -> int:
        """How many there are. Raises `DataError` for none, or for a part of one; `published`: how many there should be."""
        try:
            total = self.path.stat().st_size - self.start
        except OSError as error:
            raise DataError(f"{where}: {shown(str(self.path))} cannot be read: {error.strerror or error}") from error
        if total <= 0 or total % self.size:
            whole = f"; the published file has {published * self.size:,} bytes" if published else ""
            raise DataError(
                f"{where}: {shown(str(self.path))} has {counted(max(0, total), 'byte')}, and records of {self.size:,} bytes "
                f"each were expected{whole}. It was cut off, or is another file: fetch it again"
            )
        return total // self.size

    def __call__(self, row: int) -> Bytes:
        """One record (size,). Raises `OSError`, or `ValueError` where the file ends before."""
        begin = self.start + row * self.size
        found = np.fromfile(self.path, np.uint8, self.size, offset=begin)
        if len(found) < self.size:
            raise ValueError(
                f"it is the bytes {begin:,} to {begin + self.size:,} of the file, which now has "
                f"{self.path.stat().st_size:,} bytes"
            )
        return found

    def heads(self, where: str, length: int) -> Bytes:
        """The first bytes of each record, (N, length). Raises `DataError` where the file cannot be read."""
        try:
            return np.concatenate([np.zeros((0, length), np.uint8), *self._heads(length)])
        except (OSError, ValueError) as error:
            raise DataError(f"{where}: {shown(str(self.path))} cannot be read: {reason(error)}") from error

    def _heads(self, length: int) -> Iterator[Bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            while len(some := np.fromfile(file, np.uint8, CHUNK * self.size)):
                yield some.reshape(-1, self.size)[:, :length].copy()


# Libraries of them ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stack:
    """Images of one file, called `NAME/00042`, counted from `first`."""

    name: str
    path: Path
    truth: Rows  # (N,)
    fetch: Callable[[int], Image]  # by the row in it
    first: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def ids(self) -> list[str]:
        """What the images are called."""
        return [f"{self.name}/{self.first + row:05}" for row in range(len(self))]


def library(
    where: str, home: Path, stacks: Sequence[Stack], decoding: Decoding, part: str = ""
) -> tuple[Library, dict[str, Rows]]:
    """All images of the stacks, and which rows have which name. What is found of them is remembered in the folder `home`."""
    ends = np.cumsum([0, *map(len, stacks)]).tolist()
    ids = [one for stack in stacks for one in stack.ids]

    def stack_of(row: int) -> tuple[Stack, int]:
        number = bisect_right(ends, row) - 1
        return stacks[number], row - ends[number]

    def fetch(row: int) -> Image:
        stack, inside = stack_of(row)
        return stack.fetch(inside)

    def place(row: int) -> str:
        return f"{shown(ids[row])} of {shown(str(stack_of(row)[0].path))}"

    def stamp(row: int) -> Stamp | None:
        """Of its whole file: where this was changed, any image of it may have been."""
        try:
            found = stack_of(row)[0].path.stat()
        except OSError:
            return None
        return Stamp(found.st_size, found.st_mtime_ns, row)

    truth = np.concatenate([stack.truth for stack in stacks]).astype(np.int64)
    rows: dict[str, Rows] = {stack.name: np.zeros(0, np.int64) for stack in stacks}
    for stack, begin in zip(stacks, ends, strict=False):
        rows[stack.name] = np.concatenate([rows[stack.name], np.arange(begin, begin + len(stack))])
    return Library(where, ids, truth, fetch, place, decoding, stamp=stamp, home=str(home), part=part), rows


def checked(where: str, path: Path, truth: Rows, low: int, high: int) -> Rows:
    """Labels from `low` to below `high`. Raises `DataError` for others, with the file they stand in."""
    if len(wrong := np.flatnonzero((truth < low) | (truth >= high))):
        raise DataError(
            f"{where}: {shown(str(path))}: label {truth[wrong[0]]} of image {wrong[0]:,}, counted from 0; labels from "
            f"{low} to {high - 1} were expected. The file is damaged, or is another one"
        )
    return truth


def fewer(what: str, sizes: dict[str, int], published: dict[str, int]) -> tuple[str, ...]:
    """What is said where there are other numbers of images than were published."""
    other = [name for name, size in sizes.items() if size != published[name]]
    return tuple(
        f"{name}: {counted(sizes[name], 'image')}, where {what} as published has {published[name]:,}" for name in other
    )
