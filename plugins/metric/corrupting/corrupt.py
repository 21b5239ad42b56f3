"""The 15 common corruptions of Hendrycks & Dietterich 2019 (arXiv 1903.12261) at 5 severities, on whole batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sslkit import Keys
from sslkit.errors import DataError

from .blurs import defocus_blur, glass_blur, motion_blur, zoom_blur
from .constants import CORRUPTIONS, published_side
from .digital import contrast, elastic_transform, jpeg_compression, pixelate
from .drawing import Floats
from .noises import gaussian_noise, impulse_noise, shot_noise
from .weather import brightness, fog, frost, snow

Bytes = NDArray[np.uint8]

OPERATIONS: dict[str, Callable[[Floats, Keys, Any, float], Floats]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}
"In the order of the paper."

SMALLEST = 8
"Pixels on a side that a picture needs: below, nothing is left between the borders of a shuffled one."


def floats(images: Bytes) -> Floats:
    """Values in 0-1: (N, H, W, C)."""
    return np.asarray(images, np.float32) / np.float32(255)


def as_bytes(images: Floats) -> Bytes:
    """Back to bytes: cut off below 0 and above 1, and rounded down, as the published images are."""
    return np.asarray(np.floor(np.clip(images, 0, 1) * 255 + 1e-3), np.uint8)  # 1e-3: a float's error is no level


def corrupted(name: str, severity: int, images: Bytes, keys: Keys) -> Bytes:
    """Images (N, S, S, C) uint8 under a corruption of severity 1 to 5, image i drawn by `keys[i]` alone.

    The severities of an image share their draws: one is no less severe than another by luck. Constants are those of the
    published size that is nearer (`published_side`); lengths in pixels grow and shrink with the images, so that a
    corruption looks the same at any size. Noise is of pixels, whatever their number. S is at least 8, C is 1 or 3.
    """
    scale = images.shape[1] / published_side(images.shape[1])
    constants = CORRUPTIONS[name][published_side(images.shape[1])][severity - 1]
    return as_bytes(OPERATIONS[name](floats(images), keys, constants, scale))


def check_channels(channels: int, where: str) -> None:
    """Raise `DataError` for images that have neither one channel nor three; `where` is the metric's name."""
    if channels not in (1, 3):
        raise DataError(
            f"{where}: the images have {channels} channels, accepted are 1 (gray) and 3 (red, green, blue): the published "
            "corruptions and perturbations are of photographs. Leave the metric out"
        )


def check_side(side: int, where: str) -> None:
    """Raise `DataError` for images of too few pixels on a side."""
    if side < SMALLEST:
        raise DataError(
            f"{where}: the model sees images of {side} x {side} pixels, accepted are {SMALLEST} x {SMALLEST} and more. "
            "Leave the metric out, or set a larger [model] size"
        )
