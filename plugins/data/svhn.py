"""Street View House Numbers, format 2, in the MATLAB files that it is published in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from sslkit import Data, Image, Progress, Recognized, hookimpl
from sslkit.errors import DataError
from sslkit.images.words import counted, shown

from .dividing.library import NONE, Rows, reason
from .dividing.splits import Sources, Splits
from .formats.published import Stack, checked, fewer, holds, library, present, unpacked

WHERE = "[data] svhn"
PUBLISHED = {"train": 73_257, "test": 26_032, "extra": 531_131}
DIGITS = tuple("0123456789")
FILES = {name: f"{name}_32x32.mat" for name in PUBLISHED}
SHAPE = (32, 32, 3)
EXPECTED = (
    "Expected are the files of format 2, train_32x32.mat, test_32x32.mat and, with `extra`, extra_32x32.mat, from "
    "http://ufldl.stanford.edu/housenumbers/"
)


def loaded(path: Path, variable: str) -> Any:
    """A variable of a MATLAB file; others are passed over. Raises `ValueError`, or what SciPy raises."""
    from scipy.io import loadmat

    found = loadmat(str(path), variable_names=[variable])
    if variable not in found:
        raise ValueError(
            f"it has no variable {variable}, which the published file has: it was cut off, or is another file"
        )
    return found[variable]


@dataclass(eq=False)
class Pixels:
    """Images of a file, all of which are loaded when the first is asked for: they are stored compressed."""

    path: Path
    held: Image | None = field(default=None, init=False)  # (32, 32, 3, N), an image's bytes side by side
    lock: Lock = field(default_factory=Lock, init=False)  # of threads that look at images, one loads them

    def __call__(self, row: int) -> Image:
        """(32, 32, 3)."""
        with self.lock:
            if self.held is None:
                self.held = loaded(self.path, "X")
        return np.array(self.held[..., row], order="C")


@dataclass(eq=False, kw_only=True)
class Svhn(Splits):
    """SVHN, format 2: digits from house numbers, 32 x 32; 73,257 training and 26,032 test images, and 531,131 further ones.

    Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning;
    http://ufldl.stanford.edu/housenumbers/ (for non-commercial use only, it says): `train_32x32.mat`, `test_32x32.mat`
    and `extra_32x32.mat`, whose images are easier. Label 10 of the files is the digit 0. Ids are `train/00042`,
    `test/00042` and `extra/00042`. The files are compressed MATLAB files, no pickles; labels are read when the data is
    opened, and a file's images all at once when the first of them is asked for. They then stay in memory: 225 MB, 80 MB
    and 1.6 GB, once for the run and all of its data workers.
    Raises `MissingData` where a file is not there, `DataError` where one is not of the published format, or was cut off.
    """

    root: Path
    "Folder with the files."
    extra: Literal["none", "unlabeled", "labeled"] = "none"
    """The 531,131 further images: not used; unlabeled, so that their digits are known to metrics alone; or training
    images as the others, from which the labeled ones are drawn."""

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """The files' names are their own."""
        if not holds(folder, [FILES["train"]]):
            return None
        extra = {"extra": "unlabeled"} if holds(folder, [FILES["extra"]]) else {}
        return Recognized(settings={"root": folder, **extra}, certainty=0.9, found=("the files of SVHN, format 2",))

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`; labels are read, and no image."""
        folder = unpacked(WHERE, self.root, ["SVHN", "svhn"], list(FILES.values()), EXPECTED, len(DIGITS))
        kept, rows = library(WHERE, folder, [*self._stacks(folder)], self.decoding)
        train, extra = rows["train"], rows.get("extra", NONE)
        called = {"labeled": "SVHN's training images", "test": "SVHN's test images"}
        if self.extra == "labeled":
            train, extra = np.concatenate([train, extra]), NONE
            called["labeled"] = "SVHN's training and extra images"
        elif self.extra == "unlabeled":
            called["unlabeled"] = "SVHN's extra images"
        remarks = fewer("SVHN", {name: len(some) for name, some in rows.items()}, PUBLISHED)
        sources = Sources(train, extra, test=rows["test"], names=called, remarks=remarks)
        return self.divided(kept, DIGITS, sources, progress)

    def _stacks(self, folder: Path) -> Iterator[Stack]:
        """The files that the recipe asks for."""
        for name, file in FILES.items():
            if name != "extra" or self.extra != "none":
                path = present(WHERE, folder / file, EXPECTED, len(DIGITS))
                yield Stack(name, path, self._truth(path), Pixels(path))

    def _truth(self, path: Path) -> Rows:
        """The digits (N,) that a file's images show. Raises `DataError` where it is not as published."""
        from scipy.io import whosmat

        try:
            labels = np.asarray(loaded(path, "y")).astype(np.int64).reshape(-1)
            shape, kind = {name: (shape, kind) for name, shape, kind in whosmat(str(path))}["X"]
        except Exception as error:  # SciPy has errors of many kinds for bytes that make no sense
            problem = "it has no variable X" if isinstance(error, KeyError) else reason(error)
            raise DataError(
                f"{WHERE}: {shown(str(path))} ({counted(path.stat().st_size, 'byte')}) cannot be read as the MATLAB file that "
                f"is published: {problem}. Fetch it again"
            ) from error
        if shape != (*SHAPE, len(labels)) or kind != "uint8":
            raise DataError(
                f"{WHERE}: {shown(str(path))} has X {kind} {shape} and {counted(len(labels), 'label')}; uint8 "
                f"{(*SHAPE, len(labels))} was expected, format 2 of SVHN"
            )
        return checked(WHERE, path, labels, 1, 11) % 10
