"""Image files of one split, read when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslkit import Image
from sslkit.errors import DataError
from sslkit.images.decoding import decode
from sslkit.images.words import shown


@dataclass(frozen=True, eq=False)
class Files:
    """Answers positions (M,) with M images (H, W, 3) uint8. `where` begins its messages, as in `[data] photos`."""

    root: str
    ids: Sequence[str]
    split: str
    where: str

    def __call__(self, position: NDArray[np.int64]) -> list[Image]:
        """Raises `DataError`, which names the file, where one cannot be read."""
        return [self._image(self.ids[i]) for i in position.tolist()]

    def _image(self, sample: str) -> Image:
        path = Path(self.root, sample)
        try:
            return decode(path.read_bytes())
        except Exception as error:  # decoders have errors of many kinds for bytes that make no sense
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
            raise DataError(
                f"{self.where}: the image {shown(str(path))} ({self.split} split) cannot be read: {reason}. Put a "
                "readable copy in its place, and a run that was begun goes on. Without the image the data would be other data, "
                "and need a new run"
            ) from error
