"""The published corrupted images: CIFAR-10-C's arrays, and ImageNet-C's folders. Nothing is read before it is asked for."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslkit import Data, Facts, Image, Images
from sslkit.errors import DataError, MissingData
from sslkit.images.decoding import decode, with_channels
from sslkit.images.words import listed, shown

from ..robustness import Rows
from .constants import SEVERITIES

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"In the order of its labels."
SYNSET = re.compile(r"n\d{8}")
KINDS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
"The archives of ImageNet-C, and the folders in each."
EXPECTED = (
    "Expected are CIFAR-10-C's `gaussian_noise.npy` ... and `labels.npy`, or ImageNet-C's folders "
    "`gaussian_noise/1/n01440764/` ..., also below `noise/`, `blur/`, `weather/` and `digital/`"
)


class CifarC:
    """CIFAR-10-C: an array of 50,000 x 32 x 32 x 3 bytes for each corruption, 10,000 images at each severity in turn."""

    def __init__(self, where: str, folder: Path, data: Data | Facts) -> None:
        self.where, self.folder, self.channels = where, folder, data.channels
        if absent := [name for name in CIFAR10 if name not in data.classes]:
            raise DataError(
                f"{where}: {shown(str(folder))} has CIFAR-10-C, whose classes are {', '.join(CIFAR10)}; the model's are "
                f"{listed(data.classes)}, without {listed(absent)}. Measure a model of CIFAR-10's classes, or leave "
                "`folder` out"
            )
        labels = self._opened("labels")
        whole = labels.dtype.kind in "ui" and labels.ndim == 1 and len(labels) > 0 and not len(labels) % len(SEVERITIES)
        if not whole or labels.min() < 0 or labels.max() >= len(CIFAR10):
            raise DataError(
                f"{where}: {self._name('labels')} is no list of CIFAR-10's labels: {labels.dtype}, shape {labels.shape}; "
                "expected are whole numbers from 0 to 9, five times as many as there are images"
            )
        self.truth = np.array([data.classes.index(name) for name in CIFAR10])[np.asarray(labels, np.int64)]

    def images(self, name: str, severity: int) -> Images:
        """The images of a corruption at a severity."""
        stack, count = self._opened(name), len(self.truth) // len(SEVERITIES)
        expected = (len(self.truth), 32, 32, 3)
        if stack.shape != expected or stack.dtype != np.uint8:
            raise DataError(
                f"{self.where}: {self._name(name)} has {stack.dtype} of shape {stack.shape}, expected is uint8 of shape "
                f"{expected}, as many as there are labels"
            )
        begin = (severity - 1) * count

        def read(rows: Rows) -> list[Image]:
            return [with_channels(np.array(stack[begin + row]), self.channels) for row in rows.tolist()]

        ids = [f"{name}/{severity}/{row}" for row in range(count)]
        return Images(ids, read, self.truth[begin : begin + count])

    def _name(self, name: str) -> str:
        return shown(str(self.folder / f"{name}.npy"))

    def _opened(self, name: str) -> NDArray[np.generic]:
        try:
            # Mapped, so that only what is asked for is read; a pickle in it could run any code.
            opened = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise MissingData(f"{self.where}: there is no {self._name(name)}. {EXPECTED}") from None
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{self.where}: {self._name(name)} cannot be read as an array, or was cut off: {error}. Fetch it again"
            ) from None
        return np.asarray(opened) if name == "labels" else opened


class ImageNetC:
    """ImageNet-C: for each corruption and severity a folder of JPEGs for each synset."""

    def __init__(self, where: str, folder: Path, data: Data | Facts) -> None:
        self.where, self.folder, self.channels = where, folder, data.channels
        found = [SYNSET.search(name) for name in data.classes]
        self.numbers = {match[0]: number for number, match in enumerate(found) if match}
        if not self.numbers:
            raise DataError(
                f"{where}: {shown(str(folder))} has ImageNet-C, whose classes are synsets like `n01440764`; the model's "
                f"are {listed(data.classes)}. Measure a model of ImageNet's classes, or leave `folder` out"
            )

    def images(self, name: str, severity: int) -> Images:
        """The images of a corruption at a severity, of the model's classes."""
        at = imagenet_place(self.folder, name) / str(severity)
        synsets = sorted(path for path in at.iterdir() if path.name in self.numbers) if at.is_dir() else []
        files = [
            file for path in synsets for file in sorted(path.iterdir()) if file.suffix.lower() in (".jpeg", ".jpg")
        ]
        if not files:
            raise MissingData(
                f"{self.where}: no images of the model's classes lie in {shown(str(at))}. {EXPECTED}; leave out of "
                "`corruptions` and `severities` what is not there"
            )

        def read(rows: Rows) -> list[Image]:
            return [self._decoded(files[row]) for row in rows.tolist()]

        truth = np.array([self.numbers[file.parent.name] for file in files])
        return Images([str(file.relative_to(self.folder)) for file in files], read, truth)

    def _decoded(self, file: Path) -> Image:
        try:
            return decode(file.read_bytes(), self.channels)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.where}: {shown(str(file))} cannot be read: {error}. Fetch it again") from None


def imagenet_place(folder: Path, name: str) -> Path:
    """Where a corruption's severities lie: directly in the folder, or in that of its archive."""
    kind = next(kind for kind, names in KINDS.items() if name in names)
    return folder / kind / name if (folder / kind / name).is_dir() else folder / name


def published(where: str, folder: Path, data: Data | Facts, names: Sequence[str]) -> CifarC | ImageNetC:
    """Which of the two a folder holds. Raises `MissingData` where it is neither, `DataError` where classes differ."""
    if not folder.is_dir():
        raise MissingData(f"{where}: there is no folder {shown(str(folder))}. {EXPECTED}")
    if any(imagenet_place(folder, name).is_dir() for name in names):
        return ImageNetC(where, folder, data)
    if any((folder / f"{name}.npy").exists() for name in ("labels", *names)):
        return CifarC(where, folder, data)
    there = sorted(path.name for path in folder.iterdir())
    raise MissingData(f"{where}: {shown(str(folder))} has {listed(there) or 'nothing'}. {EXPECTED}")
