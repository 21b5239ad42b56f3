"""The published severities: of CIFAR-10-C and CIFAR-10-P for 32 px, of ImageNet-C and ImageNet-P for 224 px.

Hendrycks & Dietterich 2019 (arXiv 1903.12261), and the scripts that made the published images (hendrycks/robustness:
`make_cifar_c.py`, `make_imagenet_c.py`, `make_cifar_p.py`, `make_imagenet_p.py`). Lengths are in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)
SIDES = (32, 224)
"Pixels on a side of the published images."


def published_side(side: int) -> int:
    """Which table is for images of `side` pixels: the nearer one by ratio, so 32 up to 84 px and 224 from 85 px on."""
    return min(SIDES, key=lambda known: abs(np.log(side / known)))


CORRUPTIONS: dict[str, dict[int, Sequence[Any]]] = {
    # Standard deviation, of 1.
    "gaussian_noise": {32: (0.04, 0.06, 0.08, 0.09, 0.10), 224: (0.08, 0.12, 0.18, 0.26, 0.38)},
    # Photons of a white pixel.
    "shot_noise": {32: (500, 250, 100, 75, 50), 224: (60, 25, 12, 5, 3)},
    # Share of the values that become 0 or 1.
    "impulse_noise": {32: (0.01, 0.02, 0.03, 0.05, 0.07), 224: (0.03, 0.06, 0.09, 0.17, 0.27)},
    # Radius of the disk, standard deviation of what smooths its edge.
    "defocus_blur": {
        32: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        224: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    },
    # Standard deviation of the blur before and after, how far pixels move, how often.
    "glass_blur": {
        32: ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        224: ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    },
    # Length of the trail, standard deviation along it.
    "motion_blur": {
        32: ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        224: ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    },
    # First, last (left out, up to rounding) and step of the zooms that are averaged.
    "zoom_blur": {
        32: ((1, 1.06, 0.01), (1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.01), (1, 1.26, 0.01)),
        224: ((1, 1.11, 0.01), (1, 1.16, 0.01), (1, 1.21, 0.02), (1, 1.26, 0.02), (1, 1.31, 0.03)),
    },
    # Mean and deviation of the flakes' brightness, their size, threshold, trail and deviation along it, share of the image.
    "snow": {
        32: (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        224: (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
    },
    # Share of the image, share of the ice.
    "frost": {
        32: ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        224: ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    },
    # How much fog, and how fast its finer parts fade.
    "fog": {
        32: ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        224: ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    },
    # What is added to the value of hue, saturation and value.
    "brightness": {32: (0.05, 0.1, 0.15, 0.2, 0.3), 224: (0.1, 0.2, 0.3, 0.4, 0.5)},
    # Share of the distance from the mean that is left.
    "contrast": {32: (0.75, 0.5, 0.4, 0.3, 0.15), 224: (0.4, 0.3, 0.2, 0.1, 0.05)},
    # As shares of the side: how far pixels move, how smoothly, and how far three points of the image are moved before.
    # The published script for 224 px takes 244 for the side.
    "elastic_transform": {
        32: ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        224: tuple(
            tuple(share * 244 / 224 for share in shares)
            for shares in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
        ),
    },
    # Share of the side that is left.
    "pixelate": {32: (0.95, 0.9, 0.85, 0.75, 0.65), 224: (0.6, 0.5, 0.4, 0.3, 0.25)},
    # Quality of JPEG.
    "jpeg_compression": {32: (80, 65, 58, 50, 40), 224: (25, 18, 15, 10, 7)},
}  # fmt: skip
"Corruption -> side of the published images -> one constant, or several, for each severity."

ALEXNET = {
    "gaussian_noise": 0.886428, "shot_noise": 0.894468, "impulse_noise": 0.922640,
    "defocus_blur": 0.819880, "glass_blur": 0.826268, "motion_blur": 0.785948, "zoom_blur": 0.798360,
    "snow": 0.866816, "frost": 0.826572, "fog": 0.819324, "brightness": 0.564592,
    "contrast": 0.853204, "elastic_transform": 0.646056, "pixelate": 0.717840, "jpeg_compression": 0.606500,
}  # fmt: skip
"AlexNet's published errors on ImageNet-C, each the mean of the five severities: what the published mCE is relative to."


@dataclass(frozen=True)
class Motion:
    """How frames differ in the perturbations of one published size. `i` counts from 0; angles are in degrees."""

    frames: int  # of most sequences
    noise: float  # standard deviation, of 1
    photons: int  # of a white pixel
    trail: tuple[float, float]  # length and deviation of motion blur
    turns: tuple[int, int]  # frames of motion blur, and degrees of a step: it ends horizontally
    zoom: float  # of a step
    flakes: tuple[float, float, float, float, float, float, float]  # as for the corruption
    brightness: float  # of a step, of 1
    shifts: tuple[int, int]  # frames, and the one that shows the image where it is; a step is a pixel
    rotation: float  # of a step
    tilt: float  # of a step
    scales: tuple[float, float]  # of the first frame, of a step


PERTURBATIONS = {
    32: Motion(
        frames=31, noise=0.02, photons=700, trail=(6, 1.8), turns=(21, 9), zoom=0.004,
        flakes=(0.05, 0.3, 2, 0.5, 10, 2, 0.85), brightness=0.015, shifts=(16, 7), rotation=1, tilt=0.75,
        scales=(0.7, 0.02),
    ),
    224: Motion(
        frames=31, noise=0.03, photons=300, trail=(10, 3), turns=(31, 4), zoom=0.004,
        flakes=(0.05, 0.3, 3, 0.5, 14, 4, 0.85), brightness=0.02, shifts=(41, 20), rotation=1, tilt=1,
        scales=(0.4, 0.025),
    ),
}  # fmt: skip
"Side of the published images -> how their sequences move."
