"""Arrays in .npy and .npz files: what their headers say, and their images without the rest; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

from sslkit import Image
from sslkit.errors import DataError
from sslkit.images.words import listed, near, shown

from ..dividing.library import reason
from .published import Records, present

EXPECTED = "Expected are files that `numpy.save` or `numpy.savez` wrote"
UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"What NumPy raises for files that it cannot read."


@dataclass(frozen=True)
class Header:
    """What a file says of its array before the numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    start: int  # where the numbers begin, in bytes

    @property
    def bytes(self) -> int:
        """How many bytes of numbers follow."""
        return math.prod(self.shape) * self.dtype.itemsize


def header(file: IO[bytes]) -> Header:
    """The header at the begin of a .npy file. Raises `ValueError` where it is none, or its array is of Python objects."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its format is {version[0]}.{version[1]}; 1.0 or 2.0 was expected, which plain arrays have")
    read: Callable[..., Any] = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, by_columns, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(
            "it holds Python objects, which only unpickling could open, and that can run any code. Stack the images into "
            "one array of numbers, and save that"
        )
    return Header(shape, dtype, by_columns, file.tell())


@dataclass(eq=False)
class Stored:
    """An array in a file: `FILE.npy`, or `FILE.npz:KEY`. Its numbers are read when they are asked for."""

    where: str
    root: Path
    said: str  # as the recipe has it
    path: Path = field(init=False)
    key: str = field(init=False)
    header: Header = field(init=False)
    held: Any = field(default=None, init=False)  # a member of a .npz file, which is read whole
    lock: Lock = field(default_factory=Lock, init=False)  # of threads that look at images, one reads it

    def __post_init__(self) -> None:
        name, colon, key = self.said.rpartition(":")
        inside = bool(colon) and name.lower().endswith(".npz")
        self.path = present(self.where, self.root / (name if inside else self.said), EXPECTED)
        self.key = key if inside else ""
        try:
            self.header = self._member_header() if self._zipped else self._file_header()
        except UNREADABLE as error:
            raise self.error(f"cannot be read: {reason(error)}") from error

    @property
    def name(self) -> str:
        """How messages call it."""
        return shown(f"{self.path}:{self.key}" if self.key else str(self.path))

    def error(self, problem: str) -> DataError:
        """The error to raise."""
        return DataError(f"{self.where}: {self.name} {problem}")

    def array(self) -> Any:
        """All numbers of it. Raises `DataError` where they cannot be read."""
        try:
            return self._loaded()
        except UNREADABLE as error:
            raise self.error(f"cannot be read: {reason(error)}") from error

    def images(self) -> Callable[[int], Image]:
        """What reads an image (H, W) or (H, W, C) by its row: from its place in a .npy file, else of the array in memory."""
        shape = self.header.shape[1:]
        if not self._zipped:
            records = Records(self.path, math.prod(shape), self.header.start)
            return lambda row: records(row).reshape(shape)
        return self._of_held

    def _of_held(self, row: int) -> Image:
        with self.lock:
            if self.held is None:
                self.held = self._loaded()
        return np.array(self.held[row], np.uint8, order="C")

    def _loaded(self) -> Any:
        with self.path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return found[self.key] if self._zipped else found

    @property
    def _zipped(self) -> bool:
        return self.path.suffix.lower() == ".npz"

    def _file_header(self) -> Header:
        with self.path.open("rb") as file:
            found = header(file)
        size, expected = self.path.stat().st_size, found.start + found.bytes
        if size != expected:
            raise ValueError(
                f"it has {size:,} bytes, and an array {found.dtype} {found.shape} has {expected:,}. It was cut off, or written "
                "over"
            )
        return found

    def _member_header(self) -> Header:
        """That of the member `key`; the only one, where it is not said."""
        with zipfile.ZipFile(self.path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            if not self.key and len(keys) == 1:
                self.key = keys[0]
            if self.key not in keys:
                ask = f"no array {shown(self.key)}" if self.key else "several arrays"
                example = shown(f"{self.path.name}:{keys[0] if keys else 'images'}")
                raise ValueError(
                    f"it has {ask}; its arrays are {listed(keys) or 'none'}: say which, as in "
                    f"{example}{near(self.key, keys) if self.key else ''}"
                )
            with archive.open(f"{self.key}.npy") as file:
                return header(file)
