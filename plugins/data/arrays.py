"""Images and labels in NumPy's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Interval, MinLen

from sslkit import OUTSIDE, UNKNOWN, Data, Image, Progress, Recognized, hookimpl
from sslkit.errors import DataError, MissingData
from sslkit.images.decoding import check_size
from sslkit.images.words import counted, listed, near, shown

from .dividing.library import NONE, Library, Rows
from .dividing.splits import Sources, Splits
from .formats.folders import folders_in, is_there
from .formats.numpy_files import EXPECTED, Stored
from .formats.published import Stack, library

WHERE = "[data] arrays"
Name = Annotated[str, MinLen(1)]
Axes = Literal["HW", "HWC", "CHW"]
CHANNELS = (1, 3, 4)


@dataclass(eq=False, kw_only=True)
class Arrays(Splits):
    """Arrays of images and of labels, as `numpy.save` (.npy) and `numpy.savez` (.npz) write them.

    Images are uint8, (N, H, W), (N, H, W, C) or (N, C, H, W), C = 1, 3 or 4: which, the shape tells, or `axes`. Labels are
    whole numbers (N,) or (N, 1): the class's number from 0, -1 for an image that has no label, which becomes unlabeled,
    and, among unlabeled images, -2 for one that is known to be of none of the classes. A recipe names `FILE.npy`, or
    `FILE.npz:KEY`; the key of a .npz file's only array may be left out. Ids are `train/00042` (of `images`),
    `unlabeled/00042`, `validation/00042` and `test/00042`. Of a .npy file an image is read where it lies, so it may be
    larger than memory; an array of a .npz file is loaded whole when its first image is asked for. Arrays of Python objects
    are refused, as opening them would run whatever code they bring.
    Where `test` is all that is there, the data can measure a model and train none.
    Raises `MissingData` where a file is not there, `DataError` where an array is not of that kind, or was cut off.
    """

    root: Path
    "Folder with the files."
    images: Name = "images.npy"
    "Array of the images to train on."
    labels: Name = "labels.npy"
    "Array of their labels."
    unlabeled: Name | None = None
    "Array of further unlabeled images."
    unlabeled_labels: Name | None = None
    "Array of what these show, as far as it is known: for metrics alone."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0  # type: ignore[assignment]
    "Array of images to validate on; or how many images, or which share, to set aside from `images` by seed, class by class."
    validation_labels: Name | None = None
    "Array of their labels, where `validation` names an array."
    test: Name | None = None
    "Array of images that nobody trains or chooses on."
    test_labels: Name | None = None
    "Array of their labels."
    classes: list[Name] = field(default_factory=list)
    "Names of the classes, by their numbers. Without, they are called by their numbers."
    axes: Axes | None = None
    "What an image's axes are, height, width and channels, where the shape alone does not tell."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """Files of the names that are taken where a recipe says none."""
        if not all(is_there(folder / name, Path.is_file) for name in ("images.npy", "labels.npy")):
            return None
        return Recognized(settings={"root": folder}, certainty=0.7, found=("arrays in `images.npy` and `labels.npy`",))

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`; labels are read, and no image."""
        if not is_there(self.root, Path.is_dir):
            raise MissingData(
                f"{WHERE}: there is no folder {shown(str(self.root))} (`root`, from the recipe's folder; on the command "
                f"line, --set data.root=PATH). {EXPECTED}{near(self.root.name, folders_in(self.root.parent))}",
                len(self.classes) or None,
            )
        named = self._others() if self._only_measures() else {"train": self.images, **self._others()}
        images = {key: Stored(WHERE, self.root, name) for key, name in named.items()}
        orders = {key: self._order(stored) for key, stored in images.items()}
        most = (
            len(self.classes) or next(iter(images.values())).header.shape[0]
        )  # each class needs an image to learn from
        stacks = [
            Stack(key, stored.path, self._truth(key, stored, most), reader(stored, orders[key]))
            for key, stored in images.items()
        ]
        said = str([(key, stored.said, orders[key]) for key, stored in images.items()])
        kept, rows = library(WHERE, self.root, stacks, self.decoding, said)
        classes = self._named(kept.truth)
        remarks = [self._turned(stored) for key, stored in images.items() if orders[key] == "CHW"]
        return self.divided(kept, classes, self._sources(kept, rows, classes, tuple(remarks)), progress)

    def _only_measures(self) -> bool:
        """Whether test images are all that is there, as where a finished model is measured on others' images."""
        return list(self._others()) == ["test"] and not is_there(
            self.root / self.images.partition(":")[0], Path.is_file
        )

    def _sources(
        self, kept: Library, rows: dict[str, Rows], classes: tuple[str, ...], remarks: tuple[str, ...]
    ) -> Sources:
        """Images of `images` without a label go to the unlabeled ones. Raises `DataError` for a class without any."""
        train = rows.get("train", NONE)
        labeled = train[kept.truth[train] >= 0]
        lacking = np.flatnonzero(kept.counts(labeled, len(classes)) == 0).tolist()
        if lacking and "train" in rows:
            raise DataError(
                f"{WHERE}: {shown(self.labels)} has no image of class {listed(classes[k] for k in lacking)}; labels count "
                f"from 0 to {len(classes) - 1}, and each class needs an image to learn from"
            )
        bare = train[kept.truth[train] < 0]
        called = {"labeled": shown(self.images), **{key: shown(name) for key, name in self._others().items()}}
        if len(bare):
            called["unlabeled"] = " and ".join(
                dict.fromkeys([called["labeled"], called.get("unlabeled", called["labeled"])])
            )
        extra = np.concatenate([bare, rows.get("unlabeled", NONE)])
        return Sources(
            labeled, extra, rows.get("validation"), rows.get("test"), names=called, remarks=remarks,
            lack=f"There is no {shown(self.images)} in {shown(str(self.root))}",
        )  # fmt: skip

    def _turned(self, images: Stored) -> str:
        """What is said of an array whose channels come first."""
        why = "as `axes` says" if self.axes else "as its shape tells"
        return f"{shown(images.said)}: its images are (channels, height, width), {why}"

    def _others(self) -> dict[str, str]:
        """The arrays of images beside `images` that the recipe names, by split."""
        said = {"unlabeled": self.unlabeled, "validation": self.validation, "test": self.test}
        return {key: name for key, name in said.items() if isinstance(name, str)}

    def _truth(self, split: str, images: Stored, most: int) -> Rows:
        """The labels (N,) of an array of images. Raises `DataError` where it has none, or not of `most` classes."""
        name = self.labels if split == "train" else getattr(self, f"{split}_labels")
        if name is None:
            if split != "unlabeled":
                raise DataError(f"{WHERE}: `{split}` names images, and `{split}_labels` has to name their labels")
            return np.full(images.header.shape[0], UNKNOWN)
        stored = Stored(WHERE, self.root, name)
        count, shape, kind = images.header.shape[0], stored.header.shape, stored.header.dtype
        if kind.kind not in "iu" or shape not in ((count,), (count, 1)):
            raise stored.error(
                f"is {kind} {shape}, and a whole number for each of the {counted(count, 'image')} of {images.name} was "
                f"expected, ({count},)"
            )
        truth: Rows = stored.array().astype(np.int64).reshape(-1)
        low = {"train": UNKNOWN, "unlabeled": OUTSIDE}.get(split, 0)
        if len(wrong := np.flatnonzero((truth < low) | (truth >= most))):
            why = "" if self.classes else ", as there can be no more classes than images to train on"
            raise stored.error(
                f"has label {truth[wrong[0]]} for image {wrong[0]:,}, counted from 0; accepted are {low} to {most - 1:,}{why}"
            )
        return truth

    def _named(self, truth: Rows) -> tuple[str, ...]:
        """The classes; by their numbers where they have no names."""
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"{WHERE}: classes: {listed(self.classes)}: each name once, please")
        found = tuple(self.classes) or tuple(map(str, range(int(truth.max(initial=-1)) + 1)))
        if len(found) < 2:
            raise DataError(
                f"{WHERE}: {shown(self.labels)} has {f'one class, {found[0]}' if found else 'no label'}; a classifier tells "
                "classes apart, and needs two at least"
            )
        return found

    def _order(self, images: Stored) -> str:
        """What the axes of an array's images are. Raises `DataError` where it cannot be told, or they are no images."""
        shape, kind, where = images.header.shape, images.header.dtype, images.error
        if kind != np.uint8:
            raise where(f"is {kind}, and images are uint8, from 0 to 255{how_to(kind)}")
        if len(shape) not in (3, 4) or 0 in shape:
            raise where(f"is {shape}, and images are (N, H, W), (N, H, W, C) or (N, C, H, W)")
        order = self.axes or by_shape(shape)
        if order is None:
            raise where(f'is {shape}, which does not tell where the channels are: say axes = "HWC" or axes = "CHW"')
        if len(order) != len(shape) - 1 or ("C" in order and shape[1 + order.index("C")] not in CHANNELS):
            raise where(f"is {shape}, and no image of it is {order} with 1, 3 or 4 channels")
        if images.header.by_columns:
            raise where("is stored column by column (Fortran's order): save np.ascontiguousarray(images) instead")
        height, width = (shape[1 + order.index(axis)] for axis in "HW")
        try:
            check_size(height, width, self.largest)
        except ValueError as error:
            raise where(f"has images that are too large: {error}") from error
        return order


def by_shape(shape: tuple[int, ...]) -> str | None:
    """What an image's axes are, as its array's shape tells; None where it does not."""
    if len(shape) == 3:
        return "HW"
    last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
    return None if last == first else "HWC" if last else "CHW"


def how_to(kind: np.dtype[np.generic]) -> str:
    """How numbers of another kind become uint8."""
    if kind.kind == "f":
        return ". Of numbers from 0 to 1, save (images * 255).round().astype(numpy.uint8)"
    return ". Where all numbers are from 0 to 255, save images.astype(numpy.uint8)"


def reader(images: Stored, order: str) -> Callable[[int], Image]:
    """What reads an image (H, W) or (H, W, C) by its row."""
    read = images.images()
    return read if order != "CHW" else lambda row: np.ascontiguousarray(read(row).transpose(1, 2, 0))
