"""Corruptions by blur. Images (N, H, W, C) in 0-1, one key for each; a severity's constants are in `constants.py`.

`scale` is how long a pixel of the published images is in these: lengths are multiplied by it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from sslkit import Keys

from .drawing import Floats, between, draws
from .resampling import blurred, each, trailed, zoomed


def disk(radius: float, edge: float) -> Floats:
    """A kernel that is even within `radius`, its edge smoothed by a Gaussian of deviation `edge`.

    As published, its sum is up to 1.01 where the edge is at the border of the array, at which smoothing mirrors it.
    """
    reach = int(max(8, np.ceil(radius)))
    line = np.arange(-reach, reach + 1)
    inside = (line[:, None] ** 2 + line[None] ** 2 <= radius**2).astype(np.float32)
    window = (3, 3) if radius <= 8 else (5, 5)
    return np.asarray(cv2.GaussianBlur(inside / inside.sum(), window, sigmaX=edge), np.float32)


def shrunk(kernel: Floats, scale: float) -> Floats:
    """A kernel for smaller pictures: each weight moves towards the middle, divided between the pixels about its place."""
    middle = len(kernel) // 2
    place = (np.arange(len(kernel)) - middle) * scale + middle
    spread = np.maximum(1 - np.abs(np.arange(len(kernel))[:, None] - place), 0)
    return np.asarray(spread @ kernel @ spread.T, np.float32)


def defocus_blur(images: Floats, keys: Keys, constants: tuple[float, float], scale: float) -> Floats:
    """A lens out of focus: a point becomes a disk."""
    radius, edge = constants
    # A disk of whole pixels cannot be smaller than one: a small one is made of the published one.
    kernel = shrunk(disk(radius, edge), scale) if scale < 1 else disk(radius * scale, edge * scale)
    filled = np.flatnonzero(kernel.any(0))
    kernel = np.ascontiguousarray(kernel[filled[0] : filled[-1] + 1, filled[0] : filled[-1] + 1])
    return each(images, lambda image, _: cv2.filter2D(image, -1, kernel))


def copied(keys: Keys, side: int, reach: int, times: int) -> NDArray[np.int64]:
    """Which pixel shows at each place behind frosted glass: (N, side * side) positions in the image.

    From the last pixel to the first, each takes what then shows at most `reach` pixels away. (The published script
    writes it as an exchange, but its arrays are views: the second half has no effect, and the published images are
    made of copies.) A pixel of which the source was passed before shows what its source does: chains of such sources
    are followed by doubling.
    """
    line = np.arange(side)
    within = (line > reach) & (line <= side - reach)
    passed = (within[:, None] & within[None]).ravel()
    moves = np.floor(between(keys, -reach, reach, times, 2, side * side)).astype(np.int64)
    shown = np.broadcast_to(np.arange(side * side), (len(keys), side * side))
    for down, right in moves.transpose(1, 2, 0, 3):
        source = np.where(passed, np.arange(side * side) + down * side + right, np.arange(side * side))
        final = ~(passed[source] & (source > np.arange(side * side)))
        while not final.all():
            final, source = (
                final | np.take_along_axis(final, source, 1),
                np.where(final, source, np.take_along_axis(source, source, 1)),
            )
        shown = np.take_along_axis(shown, source, 1)
    return shown


def glass_blur(images: Floats, keys: Keys, constants: tuple[float, int, int], scale: float) -> Floats:
    """Frosted glass: pixels show their neighbours, between two slight blurs."""
    sigma, reach, times = constants
    count, side, _, channels = images.shape
    reach = max(1, round(reach * scale))
    before = np.floor(blurred(images, sigma * scale) * 255) / 255
    shown = copied(keys, side, reach, times)
    shuffled = np.take_along_axis(before.reshape(count, side * side, channels), shown[:, :, None], 1)
    return blurred(shuffled.reshape(images.shape).astype(np.float32), sigma * scale)


def motion_blur(images: Floats, keys: Keys, constants: tuple[float, float], scale: float) -> Floats:
    """A camera that moves, in a direction of at most 45 degrees from the horizontal."""
    length, sigma = constants
    return trailed(images, length * scale, sigma * scale, 90 * draws(keys, 1)[:, 0] - 45)


def zoom_blur(images: Floats, keys: Keys, constants: tuple[float, float, float], scale: float) -> Floats:
    """A camera that moves ahead: the mean of an image and of enlarged ones."""
    factors = np.arange(*constants)
    total = images.copy()
    for factor in factors:
        total += zoomed(images, float(factor))
    return total / np.float32(len(factors) + 1)
