"""Flip and crop: the weak noise of nearly every method."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from annotated_types import Ge, Interval, Unit
from numpy.typing import NDArray

from sslkit import Image, Keys, Transform, ViewSpec, hookimpl
from sslkit.randomness import uniform

TRIES = 10
"Boxes tried for a random resized crop before the centre is taken, as torchvision does."


def reflected(position: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Where a pixel beyond the border comes from: mirrored at the outermost pixel, which is not repeated."""
    period = max(1, 2 * (length - 1))
    position = position % period
    return np.minimum(position, period - position) if length > 1 else np.zeros_like(position)


def resized_box(
    height: int, width: int, draws: NDArray[np.float64], scale_min: float, ratio_max: float
) -> tuple[int, int, int, int]:
    """A box (top, left, height, width) of random area and shape. `draws`: (TRIES, 4) of [0, 1)."""
    for area, shape, y, x in draws.tolist():
        area = height * width * (scale_min + (1 - scale_min) * area)
        ratio = math.exp((2 * shape - 1) * math.log(ratio_max))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(y * (height - h + 1)), int(x * (width - w + 1)), h, w
    w, h = min(width, round(height * ratio_max)), min(height, round(width * ratio_max))
    return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True, eq=False)
class PadCrop:
    """Flip, pad by reflection, crop back to size."""

    flip: float
    pad: int

    def __call__(self, images: Image, keys: Keys) -> Image:
        """(N, H, W, C) uint8 -> the same; row i depends on its image and `keys[i]` alone."""
        _, height, width, _ = images.shape
        draws = uniform(keys, 3)
        shift = np.floor(draws[:, 1:] * (2 * self.pad + 1)).astype(np.int64) - self.pad
        rows = reflected(np.arange(height) + shift[:, :1], height)
        columns = reflected(np.arange(width) + shift[:, 1:], width)
        columns = np.where(draws[:, :1] < self.flip, columns[:, ::-1], columns)
        return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


@dataclass(frozen=True, eq=False)
class ResizedCrop:
    """A random box of each image, resized to the view's size, and flipped."""

    size: int
    flip: float
    scale_min: float
    ratio_max: float
    resizes = True

    def __call__(self, images: list[Image], keys: Keys) -> Image:
        """N images (H, W, C) uint8 of any size -> (N, size, size, C)."""
        draws = uniform(keys, 4 * TRIES + 1)
        boxes = draws[:, 1:].reshape(-1, TRIES, 4)
        made = np.stack([self._crop(image, box) for image, box in zip(images, boxes, strict=True)])
        return np.where((draws[:, 0] < self.flip)[:, None, None, None], made[:, :, ::-1], made)

    def _crop(self, image: Image, draws: NDArray[np.float64]) -> Image:
        top, left, height, width = resized_box(image.shape[0], image.shape[1], draws, self.scale_min, self.ratio_max)
        method = cv2.INTER_AREA if min(height, width) > self.size else cv2.INTER_LINEAR
        box = np.ascontiguousarray(image[top : top + height, left : left + width])
        resized = cv2.resize(box, (self.size, self.size), interpolation=method)
        return np.asarray(resized, np.uint8).reshape(self.size, self.size, -1)


@dataclass(eq=False, kw_only=True)
class FlipCrop:
    """Flip images from left to right, and crop them at random.

    `crop = "pad"`: padded by reflection and cropped back, as CIFAR is (weak noise of FixMatch, sec. 2.3).
    `crop = "resized"`: a box of random area and shape, resized to the view, as ImageNet is (Szegedy et al. 2015); it
    takes images of any size and replaces the view's own resizing, so it must come before other noise.
    """

    flip: Annotated[float, Interval(ge=0, le=1)] = 0.5
    "Probability of a flip; 0 where left and right mean something (digits, text)."
    crop: Literal["pad", "resized"] = "pad"
    "Pad and crop by some pixels, or a box of random area and shape."
    pad: Annotated[int, Ge(0), Unit("pixels")] = 4
    "With `crop = 'pad'`: pixels that an image is shifted at most; 0 leaves it in place."
    scale_min: Annotated[float, Interval(gt=0, le=1)] = 0.08
    "With `crop = 'resized'`: smallest share of the image's area that a box takes."
    ratio_max: Annotated[float, Ge(1)] = 4 / 3
    "With `crop = 'resized'`: how much wider than high, or higher than wide, a box may be."

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Transform]:
        """One transform."""
        if self.crop == "resized":
            return [ResizedCrop(view.size, self.flip, self.scale_min, self.ratio_max)]
        return [PadCrop(self.flip, self.pad)]
