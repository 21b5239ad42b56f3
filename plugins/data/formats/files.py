"""Image files below a folder, read when they are asked for."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslkit.images.remembered import Stamp
from sslkit.images.words import shown


class Files:
    """What a library asks of files whose ids are paths below `root`: how one is fetched, where it lies, its state."""

    def __init__(self, root: str, ids: Sequence[str]) -> None:
        self.root, self.ids = root, ids
        self._sizes: NDArray[np.int64] | None = None

    def asked(self) -> dict[str, Any]:
        """The same by the names that a library gives it."""
        return {"fetch": self.fetch, "place": self.place, "stamp": self.stamp, "sizes": self.sizes}

    def path(self, row: int) -> str:
        """A file's path."""
        return os.path.join(self.root, self.ids[row])  # noqa: PTH118 - of all files; a `Path` takes longer

    def fetch(self, row: int) -> bytes:
        """A file's bytes. Raises `ValueError` where they are not as many as they were."""
        with open(self.path(row), "rb") as file:  # noqa: PTH123
            data = file.read()
        if self._sizes is not None and len(data) != self._sizes[row] >= 0:
            raise ValueError(
                f"it was changed after the run began: it had {self._sizes[row]:,} bytes, and has {len(data):,}"
            )
        return data

    def place(self, row: int) -> str:
        """How messages name a file."""
        return shown(self.path(row))

    def stamp(self, row: int) -> Stamp | None:
        """Of which state a file is: its size, and when it was changed last; None where it is not there."""
        try:
            found = os.stat(self.path(row))  # noqa: PTH116
        except OSError:
            return None
        return Stamp(found.st_size, found.st_mtime_ns)

    def sizes(self) -> NDArray[np.int64]:
        """(N,) bytes of each file, -1 where it is not there; from now on, a file that changes them is not read."""
        if self._sizes is None:
            found = map(self.stamp, range(len(self.ids)))
            self._sizes = np.fromiter((one.size if one else -1 for one in found), np.int64, len(self.ids))
        return self._sizes
