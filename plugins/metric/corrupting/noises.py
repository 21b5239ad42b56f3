"""Corruptions by noise. Images (N, H, W, C) in 0-1, one key for each; a severity's constants are in `constants.py`."""

import numpy as np

from sslkit import Keys

from .drawing import Floats, draws, normal, shots


def gaussian_noise(images: Floats, keys: Keys, deviation: float, scale: float) -> Floats:
    """Electronic noise: a normal number is added to each value."""
    return images + (deviation * normal(keys, *images.shape[1:])).astype(np.float32)


def shot_noise(images: Floats, keys: Keys, photons: float, scale: float) -> Floats:
    """The discreteness of light: each value becomes a count of photons, Poisson-distributed around it."""
    values = np.rint(images * 255).astype(np.uint8)
    return (shots(keys, values, photons) / photons).astype(np.float32)


def impulse_noise(images: Floats, keys: Keys, amount: float, scale: float) -> Floats:
    """Broken pixels, salt and pepper: a share of the values, in each channel by itself, becomes 0 or 1."""
    drawn = draws(keys, *images.shape[1:])
    return np.where(drawn < amount, (drawn < amount / 2).astype(np.float32), images)
