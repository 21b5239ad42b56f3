"""Corruptions by weather. Images (N, H, W, C) in 0-1, one key for each; a severity's constants are in `constants.py`.

`scale` is how long a pixel of the published images is in these: lengths are multiplied by it.
"""

import numpy as np

from sslkit import Keys
from sslkit.randomness import row_keys

from .drawing import Floats, draws, normal, plasma
from .resampling import trailed, zoomed

GRAY = np.array([0.299, 0.587, 0.114], np.float32)
"Weights of red, green and blue in brightness (ITU-R BT.601)."
ICE = np.array([0.84, 0.93, 1.0], np.float32)
"The colour of drawn ice."


def gray(images: Floats) -> Floats:
    """Brightness, (N, H, W, 1)."""
    return images if images.shape[3] == 1 else (images @ GRAY)[..., None]


def other(keys: Keys, draw: int) -> Keys:
    """Keys for another draw of the same images."""
    return row_keys(draw, keys.astype(np.int64))


def flakes(keys: Keys, side: int, constants: tuple[float, ...], scale: float) -> Floats:
    """Snow flakes that do not move yet: (N, side, side, 1) in 0-1."""
    mean, deviation, size, threshold = constants[:4]
    layer = (mean + deviation * normal(keys, side, side, 1)).astype(np.float32)
    layer = zoomed(layer, max(1, size * scale))
    layer[layer < threshold] = 0
    return np.asarray(np.floor(np.clip(layer, 0, 1) * 255) / np.float32(255))


def snowed(images: Floats, layer: Floats, share: float) -> Floats:
    """Flakes before images that they also brighten; the flakes twice, the second time upside down."""
    bright = np.maximum(images, gray(images) * 1.5 + 0.5)
    mixed = np.float32(share) * images + np.float32(1 - share) * bright
    return np.asarray(mixed + layer + layer[:, ::-1, ::-1], np.float32)


def snow(images: Floats, keys: Keys, constants: tuple[float, ...], scale: float) -> Floats:
    """Falling snow."""
    *_, length, sigma, share = constants
    layer = flakes(keys, images.shape[1], constants, scale)
    angles = -135 + 90 * draws(other(keys, 1), 1)[:, 0]
    return snowed(images, trailed(layer, length * scale, sigma * scale, angles), share)


def ice(keys: Keys, side: int, channels: int) -> Floats:
    """Drawn ice, in place of the published photographs: bright ridges where clouds are neither dark nor light."""
    coarse, fine = plasma(keys, side, 2), plasma(other(keys, 1), side, 1.5)
    ridges = (1 - np.abs(2 * coarse - 1)) ** 2, (1 - np.abs(2 * fine - 1)) ** 4
    bright = np.clip(0.25 + 0.45 * ridges[0] + 0.5 * ridges[1], 0, 1)[..., None]
    return np.asarray(bright * ICE if channels == 3 else bright, np.float32)


def frost(images: Floats, keys: Keys, constants: tuple[float, float], scale: float) -> Floats:
    """Ice on the lens. The published images have photographs of frost instead of drawn ice: results are not comparable."""
    of_image, of_ice = constants
    drawn = ice(keys, images.shape[1], images.shape[3])
    return np.asarray(np.float32(of_image) * images + np.float32(of_ice) * drawn, np.float32)


def fog(images: Floats, keys: Keys, constants: tuple[float, float], scale: float) -> Floats:
    """Clouds of fog; the brightest value stays what it is."""
    amount, decay = constants
    brightest = images.max((1, 2, 3), keepdims=True)
    clouds = plasma(keys, images.shape[1], decay)[..., None]
    return np.asarray((images + np.float32(amount) * clouds) * brightest / (brightest + np.float32(amount)), np.float32)


def brightness(images: Floats, keys: Keys, more: float, scale: float) -> Floats:
    """Daylight: the value of hue, saturation and value rises by `more` (or falls), within 0-1."""
    value = images.max(3, keepdims=True)
    changed = np.clip(value + np.float32(more), 0, 1)
    # Hue and saturation stay, so red, green and blue change by one factor; black has no hue, and becomes gray.
    factor = changed / np.where(value > 0, value, 1)
    return np.asarray(np.where(value > 0, images * factor, changed), np.float32)
