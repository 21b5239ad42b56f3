"""STL-10, in the binary files that it is published in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval

from sslkit import UNKNOWN, Data, Image, Progress, Recognized, hookimpl
from sslkit.errors import DataError
from sslkit.images.words import counted, shown

from .dividing.library import NONE, Rows
from .dividing.splits import Sources, Splits
from .formats.published import Records, Stack, checked, fewer, holds, library, lines, names, present, unpacked

WHERE = "[data] stl10"
FOLDER = "stl10_binary"
SIDE = 96
PIXELS = 3 * SIDE * SIDE
PUBLISHED = {"train": 5_000, "test": 8_000, "unlabeled": 100_000}
OWN = ("train_X.bin", "test_X.bin", "unlabeled_X.bin")
EXPECTED = (
    "Expected are the files of stl10_binary.tar.gz (train_X.bin, train_y.bin, test_X.bin, test_y.bin, unlabeled_X.bin, "
    "class_names.txt, fold_indices.txt), from https://cs.stanford.edu/~acoates/stl10/"
)


def read(records: Records, row: int) -> Image:
    """(96, 96, 3): the file has red, then green, then blue, each column by column."""
    return np.ascontiguousarray(records(row).reshape(3, SIDE, SIDE).transpose(2, 1, 0))


@dataclass(eq=False, kw_only=True)
class Stl10(Splits):
    """STL-10: 5,000 training and 8,000 test images of ten classes, 96 x 96, and 100,000 unlabeled ones.

    Coates, Ng & Lee 2011, An Analysis of Single-Layer Networks in Unsupervised Feature Learning;
    https://cs.stanford.edu/~acoates/stl10/, `stl10_binary.tar.gz` unpacked. The images are from ImageNet, under its terms
    of access. The unlabeled ones show other animals and vehicles too; which do, is not published, so that their classes
    are unknown to metrics. The published protocol trains on 1,000 labels, ten times (`fold`), and reports the mean.
    Ids are `train/00042`, `test/00042` and `unlabeled/00042`. Pixels are read where they lie, 27 KB for each image.
    Raises `MissingData` where a file is not there, `DataError` where one is not of the published format, or was cut off.
    """

    root: Path
    "Folder with the files, or the one that the archive was unpacked in."
    fold: Annotated[int, Interval(ge=0, le=9)] | None = None
    "The published fold, whose 1,000 training images keep their label; the other 4,000 become unlabeled. Without: all 5,000."
    unlabeled: bool = True
    "Whether the 100,000 unlabeled images are used."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """The files' names are their own."""
        inside = [place for place in (folder, folder / FOLDER) if holds(place, ["train_X.bin"])]
        if not inside:
            return None
        pool = {} if holds(inside[0], ["unlabeled_X.bin"]) else {"unlabeled": False}
        return Recognized(settings={"root": inside[0], **pool}, certainty=0.9, found=("the files of STL-10",))

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`; labels are read, and no image."""
        folder = unpacked(WHERE, self.root, [FOLDER], OWN, EXPECTED, 10)
        classes = names(WHERE, present(WHERE, folder / "class_names.txt", EXPECTED))
        kept, rows = library(WHERE, folder, [*self._stacks(folder, len(classes))], self.decoding)
        pool = rows.get("unlabeled", NONE)
        remarks = fewer("STL-10", {name: len(some) for name, some in rows.items()}, PUBLISHED)
        train = rows["train"]
        if self.fold is not None:
            train = self._fold(folder, self.fold, len(train))
            pool = np.concatenate([rows["train"][~np.isin(rows["train"], train)], pool])
        return self.divided(kept, classes, self._sources(train, pool, rows["test"], remarks), progress)

    def _sources(self, train: Rows, pool: Rows, test: Rows, remarks: tuple[str, ...]) -> Sources:
        called = {"labeled": "STL-10's training images", "test": "STL-10's test images"}
        if self.fold is not None:
            called["labeled"] = f"fold {self.fold} of {called['labeled']}"
        if len(pool):
            called["unlabeled"] = "STL-10's unlabeled images" if self.fold is None else "STL-10's other images"
        return Sources(train, pool, test=test, names=called, remarks=remarks)

    def _stacks(self, folder: Path, classes: int) -> Iterator[Stack]:
        """The files with images, and the labels beside them."""
        for name in ("train", "test", *["unlabeled"] * self.unlabeled):
            path = present(WHERE, folder / f"{name}_X.bin", EXPECTED, classes)
            records = Records(path, PIXELS)
            count = records.count(WHERE, PUBLISHED[name])
            truth = np.full(count, UNKNOWN) if name == "unlabeled" else self._beside(path, count, classes)
            yield Stack(name, path, truth, partial(read, records))

    def _beside(self, images: Path, count: int, classes: int) -> Rows:
        """Class numbers from 0 of the images in a file (N,); the labels beside it count from 1."""
        path = present(WHERE, images.with_name(images.name.replace("_X", "_y")), EXPECTED, classes)
        labels = Records(path, 1).heads(WHERE, 1)[:, 0].astype(np.int64)
        if len(labels) != count:
            raise DataError(
                f"{WHERE}: {shown(str(path))} has {counted(len(labels), 'byte')}, one for each label, and "
                f"{shown(str(images))} has {counted(count, 'image')}; one of them was cut off: fetch them again"
            )
        return checked(WHERE, path, labels, 1, classes + 1) - 1

    def _fold(self, folder: Path, fold: int, count: int) -> Rows:
        """The training images of a fold: a line of numbers for each, counted from 0."""
        path = present(WHERE, folder / "fold_indices.txt", EXPECTED)
        folds = lines(WHERE, path)
        try:
            found = np.array([int(number) for number in folds[fold].split()], np.int64)
            sound = len(set(found.tolist())) == len(found) > 0 and found.min() >= 0 and found.max() < count
        except (ValueError, IndexError):
            sound = False
        if not sound:
            raise DataError(
                f"{WHERE}: {shown(str(path))}: line {fold + 1} was expected to have the numbers of fold {fold}'s training "
                f"images, from 0 to {count - 1:,}, each once"
            )
        return np.sort(found)
