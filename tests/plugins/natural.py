"""Photographs in small sizes, and a model that tests of robustness can foresee."""

from collections.abc import Callable, Iterator
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor

from sslkit import Data, Images

Bytes = NDArray[np.uint8]


@cache
def photographs(count: int, side: int, channels: int = 3) -> Bytes:
    """Parts of scikit-learn's two sample photographs: (N, S, S, C)."""
    random, whole = np.random.default_rng(0), load_sample_images().images
    parts = []
    for number in range(count):
        image, width = whole[number % 2], random.integers(224, 427)
        top, left = random.integers(0, 427 - width), random.integers(0, 640 - width)
        part = image[top : top + width, left : left + width]
        parts.append(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA))
    made = np.stack(parts)
    if channels == 1:
        made = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in made])[..., None]
    made.setflags(write=False)
    return made


class Foreseen:
    """A model whose answers are given by `named`: images (M, S, S, C) -> classes (M,); it counts how often it is asked."""

    network = torch.nn.Identity()
    device = torch.device("cpu")

    def __init__(
        self, named: Callable[[Bytes], NDArray[np.int64]], classes: int, rows: int = 100, side: int = 0
    ) -> None:
        self.named, self.classes, self.rows, self.side, self.asked = named, classes, rows, side, 0

    def batches(self, images: Images, positions: NDArray[np.int64] | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Pieces of `rows` images, as they are or of `side` pixels."""
        wanted = np.arange(len(images)) if positions is None else positions
        for at in range(0, len(wanted), self.rows):
            position = wanted[at : at + self.rows]
            made = np.stack(images.read(position))
            if self.side:
                made = np.stack(
                    [cv2.resize(image, (self.side, self.side)).reshape(self.side, self.side, -1) for image in made]
                )
            yield torch.from_numpy(position), torch.from_numpy(made.copy())

    def answer(self, images: Tensor) -> Tensor:
        """One-hot probabilities."""
        self.asked += 1
        return torch.eye(self.classes)[torch.from_numpy(self.named(images.numpy()))]


def split(pixels: Bytes, truth: list[int], name: str = "test") -> Images:
    """A split of given images."""
    return Images([f"{name}/{i}" for i in range(len(truth))], lambda rows: [pixels[i] for i in rows], np.array(truth))


def data_of(pixels: Bytes, truth: list[int], classes: tuple[str, ...] = ("a", "b", "c")) -> Data:
    """Data with given test images."""
    return Data(classes, split(pixels[:1], [0], "labeled"), test=split(pixels, truth), channels=pixels.shape[3])
