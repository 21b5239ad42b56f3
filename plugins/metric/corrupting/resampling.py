"""Linear operations on whole batches of images: blurs, resizes, zooms. (N, H, W, C) float32 -> the same, H = W."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter1d

from .drawing import Floats


def both_ways(images: Floats, matrix: Floats) -> Floats:
    """A matrix applied along rows and columns: images (N, H, W, C), matrix (M, H) -> (N, M, M, C).

    Image by image, so that rounding does not depend on how many there are.
    """
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return np.asarray(np.matmul(np.matmul(matrix, planes), matrix.T).transpose(0, 2, 3, 1), np.float32)


@lru_cache(maxsize=64)
def blur_matrix(side: int, sigma: float, border: str = "nearest", truncate: float = 4) -> Floats:
    """A Gaussian blur along one axis, (side, side); `border` is scipy's mode. A `sigma` of 0 leaves all as it is."""
    one = np.eye(side)
    return (gaussian_filter1d(one, sigma, 0, mode=border, truncate=truncate) if sigma else one).astype(np.float32)


def blurred(images: Floats, sigma: float) -> Floats:
    """A Gaussian blur, whose border repeats the outermost pixels; scikit-image's defaults."""
    return both_ways(images, blur_matrix(images.shape[1], sigma))


@lru_cache(maxsize=64)
def mosaic_matrix(side: int, small: int) -> Floats:
    """Shrinking to `small` pixels and enlarging again by PIL's box filter, along one axis: (side, side)."""

    def box(matrix: Floats, rows: int) -> Floats:
        return np.asarray(Picture.fromarray(matrix).resize((matrix.shape[1], rows), Picture.Resampling.BOX), np.float32)

    return box(box(np.eye(side, dtype=np.float32), small), side)


def each(images: Floats, change: Callable[[Floats, int], Any]) -> Floats:
    """Every image by itself: `change` takes (H, W, C) and its row; cv2 drops a single channel, which comes back."""
    return np.stack([np.asarray(change(image, row)).reshape(image.shape) for row, image in enumerate(images)])


def zoomed(images: Floats, factor: float) -> Floats:
    """The middle of images, enlarged by `factor` >= 1 to their size, bilinearly.

    As in the published scripts: a box of whole pixels is cut out, enlarged with its outermost pixels on those of the
    result (as `scipy.ndimage.zoom` does), and trimmed to the middle.
    """
    side = images.shape[1]
    box = int(np.ceil(side / factor))
    top, large = (side - box) // 2, round(box * factor)
    trim = (large - side) // 2
    at = (np.arange(side) + trim) * ((box - 1) / max(large - 1, 1))
    low = np.minimum(at.astype(np.int64), box - 1)
    share = (at - low).astype(np.float32)
    high = np.minimum(low + 1, box - 1)
    rows = _mixed(images, 1, low + top, high + top, share[:, None, None])
    return _mixed(rows, 2, low + top, high + top, share[:, None])


def _mixed(images: Floats, axis: int, low: NDArray[np.int64], high: NDArray[np.int64], share: Floats) -> Floats:
    first = np.take(images, low, axis)
    return first + share * (np.take(images, high, axis) - first)


def trailed(images: Floats, length: float, sigma: float, angles: NDArray[np.float64]) -> Floats:
    """Motion blur along `angles` (N,) in degrees: each pixel is a mean of those behind it, nearer ones weighing more.

    As ImageMagick's `-motion-blur`, which the published scripts call: weights fall as one half of a Gaussian does, over
    2 * `length` + 1 points, each rounded to a pixel; beyond the border the outermost pixels go on.
    """
    count = 2 * int(np.ceil(length)) + 1
    steps = np.arange(count)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    kept = weights > 1e-6  # the others would change nothing, and make kernels large
    steps, weights = steps[kept], weights[kept]

    def blur(image: Floats, row: int) -> Any:
        angle = np.deg2rad(angles[row])
        down = np.ceil(steps * np.sin(angle) - 0.5).astype(np.int64)
        right = np.ceil(steps * np.cos(angle) - 0.5).astype(np.int64)
        top, left = down.min(), right.min()
        kernel = np.zeros((down.max() - top + 1, right.max() - left + 1), np.float32)
        np.add.at(kernel, (down - top, right - left), weights)
        anchor = (int(-left), int(-top))
        return cv2.filter2D(image, -1, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE)

    return each(images, blur)
