"""Images in the columns of data sets of the `datasets` library."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sslkit import Image
from sslkit.errors import DataError
from sslkit.images.remembered import Stamp
from sslkit.images.words import listed, near, shown


@dataclass(frozen=True, eq=False)
class Split:
    """A data set of the library, and what it is called."""

    name: str
    set: Any

    def lacks(self, column: str) -> str:
        """What to say where it has no such column."""
        there = self.set.column_names
        return f"the split {shown(self.name)} has no column {shown(column)}; its columns are {listed(there)}{near(column, there)}"


class Stored:
    """The images of several splits, one behind the other: N of them. Raises `DataError` where the column is not there."""

    def __init__(self, root: Path, column: str, splits: dict[str, Split], datasets: Any) -> None:
        self.root, self.column = root, column
        self.names = [split.name for split in splits.values()]
        self.keys = [key for key, split in splits.items() for _ in range(len(split.set))]
        self.ids = [f"{split.name}/{row}" for split in splits.values() for row in range(len(split.set))]
        self.starts = np.cumsum([0, *(len(split.set) for split in splits.values())])
        self.sets = [encoded(split, column, datasets) for split in splits.values()]
        self.files = [[Path(file["filename"]) for file in split.set.cache_files] for split in splits.values()]
        self.states = [[*map(state_of, paths)] for paths in self.files]

    def _at(self, row: int) -> tuple[int, int]:
        """Which split a row is in, and where."""
        number = int(np.searchsorted(self.starts, row, "right")) - 1
        return number, row - int(self.starts[number])

    def _value(self, row: int) -> Any:
        """What the column holds: bytes, an array, or the path of a file. Raises `ValueError` where its file has changed.

        Of a file that is shorter than it was, mapped memory ends the process; so that is looked at first.
        """
        number, at = self._at(row)
        if [*map(state_of, self.files[number])] != self.states[number]:
            raise ValueError("the files of the data set were changed after it was opened")
        value = self.sets[number][at][self.column]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str) and "://" in value:
            raise ValueError(f"the data set has its address alone, {shown(value)}, and nothing is fetched")
        return self.root / value if isinstance(value, str) else value

    def fetch(self, row: int) -> bytes | Image:
        """An image's file, or its pixels."""
        value = self._value(row)
        if value is None:
            raise ValueError("the data set has none there")
        if isinstance(value, Path):
            return value.read_bytes()
        return value if isinstance(value, bytes) else pixels(value)

    def stamp(self, row: int) -> Stamp | None:
        """Of which state of its file an image is."""
        try:
            value = self._value(row)
            sizes, times = zip(
                *([state_of(value)] if isinstance(value, Path) else self.states[self._at(row)[0]]), strict=True
            )
        except (OSError, ValueError):
            return None
        return Stamp(sum(sizes), max(times), self._at(row)[1])

    def place(self, row: int) -> str:
        """How messages name an image."""
        number, at = self._at(row)
        return f"in row {at} of the split {shown(self.names[number])} of {shown(str(self.root))}"


def state_of(path: Path) -> tuple[int, int]:
    """A file's size in bytes, and when it was changed, in nanoseconds; zeros where it is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116 - of each file for each image, and half as fast by `Path`
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def encoded(split: Split, column: str, datasets: Any) -> Any:
    """A split's images alone, as files rather than PIL's images; arrays as NumPy's."""
    if column not in split.set.column_names:
        raise DataError(split.lacks(column))
    feature, images = split.set.features[column], split.set.select_columns([column])
    if isinstance(feature, datasets.Image):
        return images.cast_column(column, datasets.Image(decode=False))
    plain = isinstance(feature, dict) or getattr(feature, "dtype", "") in (
        "binary",
        "large_binary",
        "string",
        "large_string",
    )
    return images if plain else images.with_format("numpy")  # which would take the zeros at the end of bytes


def pixels(value: Any) -> Image:
    """An array of whole numbers as uint8. Raises `ValueError` for others, and for numbers that no pixel has."""
    array = np.array(value)
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() <= 255):
        raise ValueError(f"its numbers ({array.dtype}) are not whole ones from 0 to 255")
    return array.astype(np.uint8)
