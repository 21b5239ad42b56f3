"""Sequences of slightly different frames, as of ImageNet-P and CIFAR-P: ten perturbations on whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sslkit import Keys

from .constants import PERTURBATIONS, Motion, published_side
from .corrupt import Bytes, as_bytes, floats
from .drawing import Floats
from .noises import gaussian_noise, shot_noise
from .resampling import each, trailed
from .weather import brightness, flakes, other, snowed

Frames = Callable[[Floats, Keys, Motion, range, float], Iterator[Floats]]
"Images (N, S, S, C) in 0-1, keys, how the sequence moves, which frames, the scale of lengths -> these frames in order."


class Sequence(NamedTuple):
    """A perturbation."""

    frames: Frames
    from_first: bool = False  # whether frames are compared with the first one: those of noise have no order
    middle: bool = False  # whether fewer frames are those in the middle, where the image changes least; else the first


def gaussian_noises(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """The image, then as often other noise on it."""
    for frame in frames:
        yield images if not frame else gaussian_noise(images, other(keys, frame), motion.noise, scale)


def shot_noises(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """The image, then as often other photons of it."""
    for frame in frames:
        yield images if not frame else shot_noise(images, other(keys, frame), motion.photons, scale)


def motion_blurs(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """Motion blur whose direction turns towards the horizontal."""
    length, sigma = motion.trail
    count, degrees = motion.turns
    for frame in frames:
        angles = np.full(len(images), (frame - count + 1) * degrees, np.float64)
        yield trailed(images, length * scale, sigma * scale, angles)


def zoom_blurs(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """The mean of the image and of ever more enlarged ones."""
    total = images.copy()
    for frame in frames:
        if frame:
            total += mapped(images, scaling(images.shape[1], 1 + motion.zoom * frame))
        yield total / np.float32(frame + 1)


def snows(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """Snow whose direction turns."""
    *_, length, sigma, share = motion.flakes
    layer = flakes(keys, images.shape[1], motion.flakes, scale)
    for frame in frames:
        angles = np.full(len(images), frame * 4 - 150, np.float64)
        yield snowed(images, trailed(layer, length * scale, sigma * scale, angles), share)


def brightnesses(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """From dark to bright."""
    for frame in frames:
        yield brightness(images, keys, (frame - motion.frames // 2) * motion.brightness, scale)


def mapped(images: Floats, matrix: NDArray[np.float64]) -> Floats:
    """Images by a map of pixels (3, 3), bilinearly, black where nothing is known."""
    size = images.shape[1:3]
    return each(images, lambda image, _: cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR))


def about_middle(side: int, matrix: Any) -> NDArray[np.float64]:
    """A map of the plane (3, 3) around the middle of an image."""
    middle = (side - 1) / 2
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = -middle, middle
    return np.asarray(back @ np.asarray(matrix, np.float64) @ there)


def scaling(side: int, factor: float) -> NDArray[np.float64]:
    """Enlarges by a factor."""
    return about_middle(side, np.diag([factor, factor, 1]))


def rotation(side: int, degrees: float) -> NDArray[np.float64]:
    """Turns clockwise."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return about_middle(side, [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def tilting(side: int, degrees: float) -> NDArray[np.float64]:
    """Tilts the image plane about both of its axes, as seen from one diagonal away."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    far = np.sqrt(2) * side
    # A point (x, y, 0), turned about the vertical axis and then about the horizontal one, and projected.
    x = np.array([cosine, 0, 0])
    y, z = np.array([-sine * sine, cosine, 0]), np.array([sine * cosine, sine, 0])
    middle = side / 2
    there = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    depth = z + np.array([0, 0, far])
    return np.asarray(np.stack([far * x + middle * depth, far * y + middle * depth, depth]) @ there)


def shifts(images: Floats, keys: Keys, motion: Motion, frames: range, scale: float) -> Iterator[Floats]:
    """From left to right, by whole pixels."""
    side = images.shape[1]
    for frame in frames:
        right = frame - motion.shifts[1]
        shifted = np.zeros_like(images)
        shifted[:, :, max(right, 0) : side + min(right, 0)] = images[:, :, max(-right, 0) : side - max(right, 0)]
        yield shifted


def moved(matrix: Callable[[int, Motion, int], NDArray[np.float64]]) -> Frames:
    """Frames by a map of pixels for each: of a side, how the sequence moves, and the frame's number."""

    def frames(images: Floats, keys: Keys, motion: Motion, numbers: range, scale: float) -> Iterator[Floats]:
        for frame in numbers:
            yield mapped(images, matrix(images.shape[1], motion, frame))

    return frames


SEQUENCES = {
    "gaussian_noise": Sequence(gaussian_noises, from_first=True),
    "shot_noise": Sequence(shot_noises, from_first=True),
    "motion_blur": Sequence(motion_blurs),
    "zoom_blur": Sequence(zoom_blurs),
    "snow": Sequence(snows),
    "brightness": Sequence(brightnesses, middle=True),
    "translate": Sequence(shifts, middle=True),
    "rotate": Sequence(
        moved(lambda side, motion, frame: rotation(side, (frame - motion.frames // 2) * motion.rotation)), middle=True
    ),
    "tilt": Sequence(
        moved(lambda side, motion, frame: tilting(side, (frame - motion.frames // 2) * motion.tilt)), middle=True
    ),
    "scale": Sequence(
        moved(lambda side, motion, frame: scaling(side, motion.scales[0] + motion.scales[1] * frame)), middle=True
    ),
}  # fmt: skip
"In the order of the paper."


def length(name: str, motion: Motion) -> int:
    """Frames of a published sequence."""
    return {"motion_blur": motion.turns[0], "translate": motion.shifts[0]}.get(name, motion.frames)


def numbers(name: str, motion: Motion, most: int) -> range:
    """Which frames are shown: all, or (`most` above 0) at most so many, the middle ones or the first ones."""
    whole = length(name, motion)
    shown = min(most or whole, whole)
    begin = (whole - shown) // 2 if SEQUENCES[name].middle else 0
    return range(begin, begin + shown)


def frames_of(name: str, side: int, most: int = 0) -> int:
    """How many frames `sequence` makes of images of `side` pixels."""
    return len(numbers(name, PERTURBATIONS[published_side(side)], most))


def sequence(name: str, images: Bytes, keys: Keys, most: int = 0) -> Iterator[Bytes]:
    """The frames of a perturbation, each (N, S, S, C) uint8, image i drawn by `keys[i]` alone.

    Constants are those of the published size that is nearer; lengths of blur and flakes grow and shrink with the images,
    steps of a translation are pixels. `most`: how many frames at most, 0 for as many as published.
    """
    side = images.shape[1]
    motion = PERTURBATIONS[published_side(side)]
    made = SEQUENCES[name].frames(
        floats(images), keys, motion, numbers(name, motion, most), side / published_side(side)
    )
    return map(as_bytes, made)
