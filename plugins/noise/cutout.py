"""Cutout: hide a square part of each image."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Unit
from numpy.typing import NDArray

from sslkit import Image, Keys, SslkitError, Transform, ViewSpec, hookimpl
from sslkit.randomness import uniform

from .image_ops import Byte, fill_values, undo_blank


def inside(length: int, size: int, draws: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pixels of a line lie in its box: `size` pixels around a centre. `draws` (N,) of [0, 1) -> (N, length)."""
    start = (np.floor(draws * length).astype(int) - size // 2)[:, None]
    line = np.arange(length)
    return (line >= start) & (line < start + size)


@dataclass(frozen=True, eq=False)
class Cut:
    """The transform of one view."""

    size: int
    fill: tuple[int, ...]

    def __call__(self, images: Image, keys: Keys) -> Image:
        """(N, H, W, C) uint8 -> the same; row i depends on its image and `keys[i]` alone."""
        draws = uniform(keys, 2)
        rows = inside(images.shape[1], self.size, draws[:, 0])
        columns = inside(images.shape[2], self.size, draws[:, 1])
        after = images.copy()
        after[rows[:, :, None] & columns[:, None, :]] = self.fill
        return undo_blank(images, after)


@dataclass(eq=False, kw_only=True)
class Cutout:
    """Fill a box whose centre is drawn evenly over the image (DeVries & Taylor 2017); what lies outside is lost.

    FixMatch (Sohn et al. 2020, sec. 2.3) ends its strong view with it. A box that would leave one flat colour is not
    cut; one that hides the whole view wherever its centre lies is an error.
    """

    size: Annotated[int, Ge(1), Unit("pixels")] = 16
    "Side of the box in pixels (official: 16 of 32)."
    fill: Byte | list[Byte] = 128
    "Value inside the box, one or one per channel."

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Transform]:
        """One transform. Raises `SslkitError` where the box always hides the whole view."""
        if self.size >= 2 * view.size:
            raise SslkitError(
                f"cutout: `size = {self.size}` hides all of view `{view.name}`, which has {view.size} pixels, wherever "
                f"it lies; take less than {2 * view.size}, about {view.size // 2}"
            )
        return [Cut(self.size, fill_values(self.fill, view.channels))]
