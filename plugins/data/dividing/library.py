"""All images that a data plugin reaches, whatever they are kept in; splits are rows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sslkit import Image, Images, Look
from sslkit.errors import DataError
from sslkit.images.decoding import DECODERS, LARGEST, decode, silent, unlimited, with_channels
from sslkit.images.remembered import Remembered, Stamp
from sslkit.images.scan import of_file, remembering

Rows = NDArray[np.int64]  # (M,) positions
NONE: Rows = np.zeros(0, np.int64)


class Decoding(NamedTuple):
    """How files become pixels."""

    channels: int = 3
    largest: float = LARGEST  # megapixels


PLAIN = Decoding()


@dataclass(frozen=True, eq=False)
class Library:
    """N images: what they are called, what they show, and how one is fetched.

    `fetch` answers an image file's bytes, or pixels ((H, W), or (H, W, C), uint8), and raises `OSError` or `ValueError`
    where it cannot. `place` is how messages name an image: its path. `stamp` says of which state of its file an image is,
    None where that is not known: what was found of it is remembered in the folder `home`, and holds for this state alone.
    """

    where: str  # begins messages, as in `[data] image_folder`
    ids: Sequence[str]
    truth: Rows  # (N,) class numbers, or `UNKNOWN`, `OUTSIDE`
    fetch: Callable[[int], bytes | Image]
    place: Callable[[int], str]
    decoding: Decoding = PLAIN
    weight: NDArray[np.float32] | None = None  # (N,)
    stamp: Callable[[int], Stamp | None] | None = None
    sizes: Callable[[], Rows] | None = None  # bytes of each image's file, -1 where it is not known
    home: str = ""  # "": nothing is remembered
    part: str = ""  # which images of the same ids and files these are, where settings choose: a column

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self, rows: Rows, classes: int) -> Rows:
        """Images of each class (K,) among the rows."""
        truth = self.truth[rows]
        return np.bincount(truth[truth >= 0], minlength=classes).astype(np.int64)

    def images(self, split: str, rows: Rows) -> Images:
        """The rows as a split."""
        weight = self.weight[rows] if self.weight is not None and split == "labeled" else None
        reading, sizes = Reading(self, rows, split), self.sizes
        return Images(
            [self.ids[i] for i in rows.tolist()], reading, self.truth[rows], weight, reading.inspect,
            None if sizes is None else lambda: sizes()[rows],
        )  # fmt: skip

    @cached_property
    def memory(self) -> Remembered:
        """What was found when images were looked at."""
        return Remembered(self.home if self.stamp else "", f"{self.where} {self.part} {self.decoding} {DECODERS}")

    def looks(self, rows: Rows) -> list[Look]:
        """What each image is, (M,) -> M; those that cannot be read have a `problem`."""
        return remembering(self.ids, rows, self._look, self.stamp or (lambda row: None), self.memory)

    def _look(self, row: int) -> Look:
        try:
            return of_file(self.fetch(row), self._decoded)
        except Exception as error:  # decoders have errors of many kinds for bytes that make no sense
            return Look(b"", 0, 0, "unknown", reason(error))

    def image(self, row: int) -> Image:
        """(H, W, channels) uint8. Raises whatever fetching or decoding raises."""
        return self._decoded(self.fetch(row))

    def _decoded(self, found: bytes | Image) -> Image:
        if isinstance(found, bytes):
            return decode(found, *self.decoding)
        return with_channels(found, self.decoding.channels)


@dataclass(frozen=True, eq=False)
class Reading:
    """Answers positions (M,) in a split with M images. Raises `DataError`, which names the one that cannot be read."""

    library: Library
    rows: Rows
    split: str

    def __call__(self, position: Rows) -> list[Image]:
        """(M,) -> M arrays (H, W, C)."""
        with silent, unlimited:  # once for all of them, as it takes as long as a small image does
            return [self._image(row) for row in self.rows[position].tolist()]

    def inspect(self, position: Rows) -> list[Look]:
        """(M,) -> what each of them is."""
        return self.library.looks(self.rows[position])

    def _image(self, row: int) -> Image:
        library = self.library
        try:
            return library.image(row)
        except Exception as error:  # decoders have errors of many kinds for bytes that make no sense
            raise DataError(
                f"{library.where}: the image {library.place(row)} ({self.split} split) cannot be read: {reason(error)}. "
                "Put a readable copy in its place, and a run that was begun goes on. Without the image the data would be "
                'other data, and need a new run: `leave_out = ["unreadable"]` in [data] leaves out all that cannot be read'
            ) from error


def reason(error: Exception) -> str:
    """Why an image cannot be read."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
