"""Images in tars of samples, as the `webdataset` package writes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, MinLen

from sslkit import Data, Progress, Recognized, hookimpl
from sslkit.errors import DataError, MissingData
from sslkit.images.remembered import Stamp
from sslkit.images.tars import Tar, index_tar, read_at
from sslkit.images.words import counted, listed, printable, shown, tally
from sslkit.waiting import waiting

from .dividing.library import Library
from .dividing.splits import Splits
from .formats.entries import KEYS, Entries, numbered
from .formats.tar_samples import Sample, samples, tars_of

Name = Annotated[str, MinLen(1)]
WHERE = "[data] shards"
FOLDER = "folder"
"In the place of a suffix: the class is the folder that a sample lies in."
NUMBERS = "0123456789"


@dataclass(eq=False, kw_only=True)
class Shards(Splits):
    """Samples in plain tars, as WebDataset lays them out: `0001.jpg` and `0001.cls` side by side are one sample.

    Files whose names are equal up to the first dot belong together; what is behind it says what they are. Ids are
    `TAR/KEY`, with the tar's path below `root`. A pattern is the name of a tar, or of a folder of tars, or has `*`, or
    braces (`train-{000000..000012}.tar`, each of which must be there). The classes are the texts of `label` in natural
    order, 9 before 10, or the lines of `class_names`, and then a text may be a number that counts from 0. Those of
    unlabeled images are known to metrics alone. When it is opened, tars are indexed, and labels read; an image is read
    where it lies in its tar, and nothing is unpacked.
    Raises `MissingData` where there is no `root`; `DataError` for a tar that is compressed, was cut off, or has a member
    with an absolute name or `..`; for a sample without an image, with two, without a class where one is needed, or with
    an unknown one; and for an image that cannot be read.
    """

    root: Path
    "Folder that the tars lie below; it may be moved."
    labeled: Name = "train*.tar"
    "Pattern of the tars whose samples have classes."
    unlabeled: Name | None = None
    "Pattern of further tars, of unlabeled images; tars that another key names are left out."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0  # type: ignore[assignment]
    "Pattern of tars to validate on; or how many images, or which share, to set aside from `labeled` by seed, class by class."
    test: Name | None = None
    "Pattern of the tars of images that nobody trains or chooses on."
    image: Name | None = None
    "Suffix of a sample's image, such as `left.png`; without it, the file with any suffix of images is taken."
    label: Name = "cls"
    "Suffix of the file with a sample's class, as text; `folder`: its class is the folder that it lies in, within the tar."
    label_key: Name | None = None
    'The key of the class in that file, which is JSON then: `label = "json"`, `label_key = "label"`.'
    class_names: Path | None = None
    "Text file with the name of a class on each line, in the order of their numbers."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """A folder of tars whose names say what they are for."""
        names = sorted(path.name for path in folder.glob("*.tar"))
        of = {key: [name for name in names if name.lower().startswith(starts)] for key, starts in STARTS.items()}
        if not of["labeled"]:
            return None
        settings = {key: of[key][0] if len(of[key]) == 1 else f"{common(of[key])}*.tar" for key in KEYS if of[key]}
        return Recognized(
            settings={"root": folder, **settings}, certainty=0.7, found=(f"{counted(len(names), 'tar')}",)
        )

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`."""
        if not self.root.is_dir():
            raise MissingData(
                f"{WHERE}: there is no folder {shown(str(self.root))} (`root`, from the recipe's folder; on the command "
                f"line, --set data.root=PATH). Expected is one with tars as {shown(self.labeled)}"
            )
        try:
            return self._opened(progress)
        except DataError as error:
            raise (error if str(error).startswith(WHERE) else DataError(f"{WHERE}: {error}")) from error

    def _opened(self, progress: Progress) -> Data:
        tars, lack = self._tars()
        found = Found.of(self, tars)
        names = self._names()
        entries = Entries(
            WHERE, found.ids, [numbered(label, names) for label in found.labels], found.splits, found.spot
        )
        classes = entries.classes(names)
        library = Library(
            WHERE, found.ids, entries.truth(classes), found.fetch, found.place, self.decoding,
            stamp=found.stamp, home=str(self.root),
        )  # fmt: skip
        patterns = {key: shown(str(getattr(self, key))) for key in KEYS}
        left_out = (f"left out: {tally(found.skipped)}",) if found.skipped else ()
        return self.divided(library, classes, entries.sources(patterns, lack, left_out), progress)

    def _tars(self) -> tuple[dict[str, list[str]], str]:
        """The tars of each key, and why there are none to train on, where test images are all that is there."""
        named = {key: str(getattr(self, key)) for key in KEYS if isinstance(getattr(self, key), str)}
        found, lack = dict[str, list[str]](), ""
        for key in sorted(named, key=lambda key: key == "labeled"):
            try:
                found[key] = tars_of(self.root, named[key])
            except DataError as error:
                lack = f"`{key}`: {error}"
                if key != "labeled" or [*found] != ["test"]:
                    raise DataError(lack) from error
        return self._apart(found), lack

    def _apart(self, found: dict[str, list[str]]) -> dict[str, list[str]]:
        """Each tar for one key alone. Raises `DataError` where one is to train and to measure, or to do both ways of it."""
        of = dict[str, str]()
        for key in (key for key in ("labeled", "validation", "test") if key in found):
            if twice := [name for name in found[key] if name in of]:
                raise DataError(
                    f"`{of[twice[0]]}` and `{key}` both name {listed(twice)}; images that train or choose measure nothing"
                )
            of |= dict.fromkeys(found[key], key)
        if "unlabeled" in found:
            found["unlabeled"] = [name for name in found["unlabeled"] if name not in of]
        return found

    def _names(self) -> list[str]:
        """The lines of `class_names`; none: the labels say it."""
        if self.class_names is None:
            return []
        try:
            lines = self.class_names.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"class_names: {shown(str(self.class_names))} cannot be read: {error}") from error
        return [printable(line.strip()) for line in lines if line.strip()]

    def texts_of(self, tar: Tar, found: list[Sample]) -> Iterator[str]:
        """The class of each sample as its tar says it; empty where it does not."""
        if self.label == FOLDER:
            yield from (printable(sample.key.rpartition("/")[0].rpartition("/")[2]) for sample in found)
            return
        read = tar.read_each(sample.files[self.label] for sample in found if self.label in sample.files)
        for sample in found:
            yield self._text(tar, sample, next(read)) if self.label in sample.files else ""

    def _text(self, tar: Tar, sample: Sample, data: bytes) -> str:
        """A class as its file says it."""
        try:
            text = data.decode("utf-8-sig")
            value = json.loads(text).get(self.label_key, "") if self.label_key else text
        except (ValueError, AttributeError, RecursionError) as error:
            what = "JSON with keys" if self.label_key else "text"
            raise DataError(f"{sample.place(tar)}: its .{self.label} is no {what}: {error}") from error
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise DataError(f"{sample.place(tar)}: {self.label_key} = {value!r:.40} in its .{self.label} is no class")
        return printable(str(value).strip())


STARTS = {
    "labeled": ("train", "labeled", "labelled"),
    "unlabeled": ("unlabeled", "unlabelled", "extra"),
    "validation": ("val",),
    "test": ("test",),
}
"How the names of tars begin, by what they are for."


def common(names: list[str]) -> str:
    """What several names begin with."""
    first, last = min(names), max(names)
    end = next((i for i in range(len(first)) if first[i] != last[i]), len(first))
    return first[:end].rstrip(NUMBERS)


@dataclass(eq=False)
class Found:
    """The samples of all tars, in order: N of them. Where each image lies is kept as numbers, for there may be millions."""

    tars: list[Tar]
    ids: list[str]
    labels: list[str]
    splits: list[str]
    lies: np.ndarray[tuple[int, ...], np.dtype[np.int64]]  # (N, 3): number of the tar, offset, size
    skipped: Counter[str]

    @classmethod
    def of(cls, plugin: Shards, tars: dict[str, list[str]]) -> Found:
        """Indexes every tar, under a bar."""
        found, lies = cls([], [], [], [], np.zeros((0, 3), np.int64), Counter()), list[tuple[int, int, int]]()
        paths = [(key, name) for key in KEYS for name in tars.get(key, ())]
        total = sum((plugin.root / name).stat().st_size >> 20 for _, name in paths)
        with waiting("indexing tars (MiB)", total) as done:
            for key, name in paths:
                tar = index_tar(plugin.root / name, done)
                here = samples(tar, found.skipped)
                for sample in here:
                    number = sample.image(tar, plugin.image)
                    lies.append((len(found.tars), int(tar.offsets[number]), int(tar.sizes[number])))
                    found.ids.append(f"{name}/{sample.key}")
                    found.splits.append(key)
                found.labels += plugin.texts_of(tar, here)
                found.tars.append(tar)
                tar.names.clear()
        found.lies = np.array(lies, np.int64).reshape(-1, 3)
        return found

    def fetch(self, row: int) -> bytes:
        """An image's bytes."""
        number, offset, size = self.lies[row].tolist()
        tar = self.tars[number]
        return read_at(tar.path, offset, size, tar.stamp)

    def stamp(self, row: int) -> Stamp:
        """Of which state of its tar an image is: an index holds for this one alone."""
        number, offset, size = self.lies[row].tolist()
        return Stamp(size, self.tars[number].stamp[1], offset)

    def place(self, row: int) -> str:
        """How messages name an image."""
        tar = self.tars[int(self.lies[row, 0])]
        return f"{shown(self.ids[row])} in {shown(tar.path)}"

    def spot(self, row: int) -> str:
        """Where an image and its label stand."""
        return f"the sample {self.place(row)}"
