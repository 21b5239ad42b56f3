"""Image files of one split, read when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslkit import Image
from sslkit.errors import DataError

from .decoding import decode
from .listing import printable


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
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise DataError(
                f"{self.where}: the image {printable(str(path))} of the {self.split} split cannot be read: {reason}. "
                "Put a readable copy in its place, under the same name, and a run that was begun goes on; with an image "
                "more or less its data would be another"
            ) from error
