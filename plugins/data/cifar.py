"""CIFAR-10 and CIFAR-100, in the binary files that they are published in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sslkit import Data, Image, Progress, Recognized, hookimpl
from sslkit.errors import DataError, MissingData
from sslkit.images.words import listed, shown

from .dividing.library import Library, Rows
from .dividing.splits import Sources, Splits
from .formats.published import Records, Stack, checked, fewer, holds, library, names, present, unpacked

WHERE = "[data] cifar"
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Version:
    """One of the two data sets."""

    name: str
    folder: str  # that its archive makes
    archive: str
    train: tuple[str, ...]
    test: str
    names: dict[str, str]  # kind of label -> file with the classes' names; in the order of the labels' bytes
    pickled: tuple[str, str]  # the folder and a file of the other archive

    def read(self, records: Records, row: int) -> Image:
        """(32, 32, 3): the file has red, then green, then blue, each row by row."""
        return np.ascontiguousarray(records(row)[len(self.names) :].reshape(3, 32, 32).transpose(1, 2, 0))

    @property
    def published(self) -> dict[str, int]:
        """Images of each split."""
        return {"train": 50_000, "test": 10_000}


CIFAR10 = Version(
    "CIFAR-10", "cifar-10-batches-bin", "cifar-10-binary.tar.gz", tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test_batch.bin", {"fine": "batches.meta.txt"}, ("cifar-10-batches-py", "data_batch_1"),
)  # fmt: skip
CIFAR100 = Version(
    "CIFAR-100", "cifar-100-binary", "cifar-100-binary.tar.gz", ("train.bin",), "test.bin",
    {"coarse": "coarse_label_names.txt", "fine": "fine_label_names.txt"}, ("cifar-100-python", "train"),
)  # fmt: skip
VERSIONS = (CIFAR10, CIFAR100)
EXPECTED = (
    "Expected are the files of cifar-10-binary.tar.gz (data_batch_1.bin to data_batch_5.bin, test_batch.bin, "
    "batches.meta.txt) or of cifar-100-binary.tar.gz (train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt), "
    "from https://www.cs.toronto.edu/~kriz/cifar.html"
)


@dataclass(eq=False, kw_only=True)
class Cifar(Splits):
    """CIFAR-10 or CIFAR-100: 50,000 training and 10,000 test images, 32 x 32, of 10 or 100 classes, as many of each.

    Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images; the "binary version" of
    https://www.cs.toronto.edu/~kriz/cifar.html, unpacked: `data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin` and
    `batches.meta.txt`, or `train.bin`, `test.bin`, `fine_label_names.txt` and `coarse_label_names.txt`. No licence is
    stated there; it asks to cite the report. Ids are `train/00042` and `test/00042`, in the order of the files, as the
    literature counts them. Which of the two it is, its files tell. Pixels are read where they lie, a few kilobytes for
    each image. Files of the "python version" are pickles, which can run any code, and are not read.
    Raises `MissingData` where a file is not there, `DataError` where one is not of the published format, or was cut off.
    """

    root: Path
    "Folder with the files, or the one that the archive was unpacked in."
    labels: Literal["fine", "coarse"] = "fine"
    "The 100 classes of CIFAR-100, or the 20 that they are grouped into. CIFAR-10 has fine ones alone."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """The files' names are their own."""
        for version in VERSIONS:
            inside = [
                place for place in (folder, folder / version.folder) if holds(place, list(version.names.values()))
            ]
            if inside and holds(inside[0], version.train):
                return Recognized(settings={"root": inside[0]}, certainty=0.9, found=(f"the files of {version.name}",))
        return None

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`; of the training files the labels are read, and no image."""
        folder, version = self._found()
        if self.labels not in version.names:
            raise DataError(f'{WHERE}: labels = "{self.labels}", but {version.name} has fine labels alone')
        classes = names(WHERE, present(WHERE, folder / version.names[self.labels], EXPECTED))
        stacks = [*self._stacks(folder, version, len(classes))]
        kept, rows = library(WHERE, folder, stacks, self.decoding)
        return self.divided(kept, classes, self._sources(kept, rows, version), progress)

    def _sources(self, kept: Library, rows: dict[str, Rows], version: Version) -> Sources:
        remarks = fewer(version.name, {name: len(some) for name, some in rows.items()}, version.published)
        called = {"labeled": f"{version.name}'s training images", "test": f"{version.name}'s test images"}
        return Sources(rows["train"], test=rows["test"], names=called, remarks=remarks)

    def _found(self) -> tuple[Path, Version]:
        """The folder with the files, and which of the data sets they are."""
        files = [name for version in VERSIONS for name in (*version.train, version.test)]
        try:
            folder = unpacked(WHERE, self.root, [version.folder for version in VERSIONS], files, EXPECTED, None)
        except MissingData as error:
            raise self._pickled() or error from None
        inside = [one for one in VERSIONS if holds(folder, (*one.train, one.test))]
        beside = [one for one in VERSIONS if folder == self.root / one.folder or holds(self.root / one.folder, files)]
        if len(inside) > 1 or len(beside) > 1:
            both = listed(str(self.root / one.folder) for one in VERSIONS)
            raise DataError(
                f"{WHERE}: {shown(str(self.root))} has both CIFAR-10 and CIFAR-100: name one in `root`, as {both}"
            )
        return folder, inside[0]

    def _pickled(self) -> MissingData | None:
        """What to say where only the pickled files are there."""
        for version in VERSIONS:
            folder, name = version.pickled
            for place in (self.root, self.root / folder):
                if holds(place, [name]) and (version is CIFAR10 or holds(place, ["meta"])):
                    return MissingData(
                        f"{WHERE}: {shown(str(place))} has {version.name} as pickles, which can run any code when they are "
                        f"opened, and are not read. Fetch {version.archive} instead, whose files end in .bin, from "
                        "https://www.cs.toronto.edu/~kriz/cifar.html"
                    )
        return None

    def _stacks(self, folder: Path, version: Version, classes: int) -> Iterator[Stack]:
        """Training files one behind the other, then the test file."""
        column = list(version.names).index(self.labels)
        first = dict.fromkeys(("train", "test"), 0)
        for file in (*version.train, version.test):
            path = present(WHERE, folder / file, EXPECTED, classes)
            records = Records(path, len(version.names) + PIXELS)
            split = "test" if file == version.test else "train"
            records.count(WHERE, version.published[split] // (len(version.train) if split == "train" else 1))
            truth = checked(
                WHERE, path, records.heads(WHERE, len(version.names))[:, column].astype(np.int64), 0, classes
            )
            yield Stack(split, path, truth, partial(version.read, records), first[split])
            first[split] += len(truth)
