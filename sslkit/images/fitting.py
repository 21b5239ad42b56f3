"""How an image of any size becomes a view's square, where no noise crops it."""

from __future__ import annotations

import cv2
import numpy as np

from ..dataset import Image
from ..types import ViewSpec


def fitted(images: list[Image], spec: ViewSpec) -> Image:
    """Images (H, W, C) uint8 of any size as a view's (N, size, size, C).

    `fit = "crop"`: the centre square. "squash": the whole image, its aspect ratio lost. "pad": the whole image, centred on
    the border's colour. `crop` is the share of its sides that is seen.
    """
    fit = {"crop": cropped, "squash": squashed, "pad": padded}[spec.fit]
    return np.stack([fit(image, spec) for image in images])


def cropped(image: Image, spec: ViewSpec) -> Image:
    """The centre, of a share of the shorter side."""
    side = max(1, round(spec.crop * min(image.shape[:2])))
    return resized(centre(image, side, side), spec.size, spec.size)


def squashed(image: Image, spec: ViewSpec) -> Image:
    """The centre, of a share of both sides, stretched to a square."""
    height, width = (max(1, round(spec.crop * length)) for length in image.shape[:2])
    return resized(centre(image, height, width), spec.size, spec.size)


def padded(image: Image, spec: ViewSpec) -> Image:
    """The centre, of a share of the longer side, with a border where the image is shorter than that."""
    side = max(1, round(spec.crop * max(image.shape[:2])))
    height, width = (min(side, length) for length in image.shape[:2])
    rows, columns = (max(1, round(length * spec.size / side)) for length in (height, width))
    canvas = np.empty((spec.size, spec.size, image.shape[2]), np.uint8)
    canvas[:] = spec.border or 0
    top, left = (spec.size - rows) // 2, (spec.size - columns) // 2
    canvas[top : top + rows, left : left + columns] = resized(centre(image, height, width), rows, columns)
    return canvas


def centre(image: Image, height: int, width: int) -> Image:
    """The middle of an image, at most as large as it is."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def resized(image: Image, height: int, width: int) -> Image:
    """An image of another size: means of pixels along a side that shrinks, then linear between them along one that grows."""
    less = (min(height, image.shape[0]), min(width, image.shape[1]))
    for (rows, columns), method in ((less, cv2.INTER_AREA), ((height, width), cv2.INTER_LINEAR)):
        if image.shape[:2] != (rows, columns):
            made = cv2.resize(image, (columns, rows), interpolation=method)
            image = np.asarray(made, np.uint8).reshape(rows, columns, -1)  # cv2 drops a single channel
    return image
