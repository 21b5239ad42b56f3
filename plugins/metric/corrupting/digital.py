"""Digital corruptions. Images (N, H, W, C) in 0-1, one key for each; a severity's constants are in `constants.py`.

Lengths are shares of the side already: `scale` changes nothing here.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sslkit import Keys

from .drawing import Floats, between
from .resampling import blur_matrix, both_ways, each, mosaic_matrix
from .weather import other


def contrast(images: Floats, keys: Keys, share: float, scale: float) -> Floats:
    """Less contrast: each channel's values approach their mean, up to `share` of the distance."""
    means = images.mean((1, 2), keepdims=True)
    return np.asarray((images - means) * np.float32(share) + means, np.float32)


def displacement(keys: Keys, side: int, reach: float, smoothness: float) -> Floats:
    """How far each pixel is moved, down and right: (N, side, side, 2) in pixels. `reach` and `smoothness` in shares.

    Uniform noise, smoothed by a Gaussian of `smoothness` sides.
    """
    noise = between(keys, -1, 1, side, side, 2).astype(np.float32)
    return both_ways(noise, blur_matrix(side, smoothness * side, "reflect", 3)) * np.float32(reach * side)


def corners(keys: Keys, side: int, jitter: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three points of a square (3, 2), and where each image's are moved (N, 3, 2), by up to `jitter` sides."""
    middle, half = side // 2, side // 3
    high, low = middle + half, middle - half
    points = np.array([[high, high], [high, low], [low, low]], np.float32)
    return points, points + between(keys, -jitter * side, jitter * side, 3, 2).astype(np.float32)


def elastic_transform(images: Floats, keys: Keys, constants: tuple[float, float, float], scale: float) -> Floats:
    """Stretches of small regions, after a random affine map. Simard et al. 2003.

    Its published severities are ordered by how much neighbours are moved apart (`displacement` over its smoothness);
    the affine map moves all pixels, and less where the severity is higher.
    """
    reach, smoothness, jitter = constants
    side = images.shape[1]
    points, moved = corners(other(keys, 1), side, jitter)
    field = displacement(keys, side, reach, smoothness)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).astype(np.float32)

    def warp(image: Floats, row: int) -> Any:
        matrix = cv2.getAffineTransform(points, moved[row])
        mapped = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)
        down, right = np.ascontiguousarray((grid + field[row]).transpose(2, 0, 1))
        return cv2.remap(mapped, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    return each(images, warp)


def pixelate(images: Floats, keys: Keys, share: float, scale: float) -> Floats:
    """Large pixels: images shrunk to `share` of their side and enlarged again."""
    side = images.shape[1]
    return both_ways(images, mosaic_matrix(side, max(1, int(side * share))))


def jpeg_compression(images: Floats, keys: Keys, quality: int, scale: float) -> Floats:
    """Stored as JPEG of a low quality."""

    def stored(image: Floats, row: int) -> Any:
        pixels = np.rint(image * 255).astype(np.uint8)
        color = pixels.shape[2] == 3
        written = cv2.imencode(".jpg", pixels[..., ::-1] if color else pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        read = np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE))
        return (read[..., ::-1] if color else read) / np.float32(255)

    return each(images, stored)
