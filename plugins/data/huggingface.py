"""Data sets of the Hugging Face `datasets` library, from a folder on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval, MinLen

from sslkit import Data, Progress, Recognized, hookimpl
from sslkit.errors import DataError, MissingData
from sslkit.images.words import listed, near, printable, shown

from .dividing.library import Library
from .dividing.splits import Splits
from .formats.arrow_images import Split, Stored
from .formats.arrow_sets import WRITTEN, library, loaded
from .formats.entries import KEYS, Entries, numbered
from .formats.recognizing import NAMES

Name = Annotated[str, MinLen(1)]
WHERE = "[data] huggingface"


@dataclass(eq=False, kw_only=True)
class HuggingFace(Splits):
    """A data set of the `datasets` library (`pip install 'sslkit[huggingface]'`): a folder that `save_to_disk` wrote, or one
    of Parquet or Arrow files whose names tell their split (`train-00000-of-00002.parquet`, `train/0000.parquet`).

    Nothing is fetched, and no code of a data set is run. Ids are `SPLIT/ROW`. Images are encoded files in the data set,
    paths of files from `root`, or arrays of whole numbers from 0 to 255, (height, width) or with channels behind. Labels
    are a ClassLabel, whose names are the classes, or texts or numbers, whose classes are in natural order, 9 before 10. No
    value, and -1 of a ClassLabel, is no label. The labels of unlabeled images are known to metrics alone. Rows are
    mapped into memory and read when they are asked for; Parquet is first unpacked to Arrow files, once, in `cache`.
    Raises `MissingData` where there is no `root` or no such library; `DataError` for a folder that is no data set, a split
    or column that is not there, a labeled image without a class, and an image that cannot be read.
    """

    root: Path
    "Folder of the data set; it may be moved."
    labeled: Name = "train"
    "Split whose images have labels."
    unlabeled: Name | None = None
    "Split of further unlabeled images."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0  # type: ignore[assignment]
    "Split to validate on; or how many images, or which share, to set aside from `labeled` by seed, class by class."
    test: Name | None = None
    "Split of images that nobody trains or chooses on."
    image_column: Name = "image"
    "Column of the images."
    label_column: Name = "label"
    "Column of the labels; a split of unlabeled images need not have it."
    classes: list[Name] = field(default_factory=list)
    "The classes, in order; a label that is a number counts them from 0. Empty: as the labels say."
    cache: Path | None = None
    "Folder for Arrow files made from Parquet; without it, the cache folder of the `datasets` library."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """A folder that `save_to_disk` wrote."""
        if not any((folder / name).is_file() for name in WRITTEN):
            return None
        try:
            splits = (
                json.loads((folder / WRITTEN[0]).read_text())["splits"] if (folder / WRITTEN[0]).is_file() else [""]
            )
            features = json.loads((folder / splits[0] / "dataset_info.json").read_text())["features"]
            columns = columns_of(features)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        held = {key: next((name for name in names if name in splits), None) for key, names in NAMES.items()}
        settings = {key: name for key, name in held.items() if name} | columns
        return Recognized(settings={"root": folder, **settings}, certainty=0.9, found=("`save_to_disk` wrote it",))

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`."""
        if not self.root.is_dir():
            raise MissingData(
                f"{WHERE}: there is no folder {shown(str(self.root))} (`root`, from the recipe's folder; on the command "
                "line, --set data.root=PATH). Expected is one that `save_to_disk` wrote, or one of Parquet files",
                len(self.classes) or None,
            )
        try:
            return self._opened(progress)
        except DataError as error:
            raise (error if str(error).startswith(WHERE) else type(error)(f"{WHERE}: {error}")) from error

    def _opened(self, progress: Progress) -> Data:
        splits, lack = self._splits(loaded(self.root, self.cache))
        stored = Stored(self.root, self.image_column, splits, library())
        labels = [label for key, split in splits.items() for label in self._texts(key, split)]
        names = [printable(name) for name in self.classes] or self._names(splits)
        entries = Entries(WHERE, stored.ids, [numbered(label, names) for label in labels], stored.keys, stored.place)
        classes = entries.classes(names)
        library_of = Library(
            WHERE, stored.ids, entries.truth(classes), stored.fetch, stored.place, self.decoding,
            stamp=stored.stamp, home=str(self.root), part=self.image_column,
        )  # fmt: skip
        said = {key: f"the split {shown(split.name)}" for key, split in splits.items()}
        return self.divided(library_of, classes, entries.sources(said, lack), progress)

    def _splits(self, there: dict[str, Any]) -> tuple[dict[str, Split], str]:
        """The data set of each key, and why there is none to train on, where test images are all that is there."""
        named = {key: str(getattr(self, key)) for key in KEYS if isinstance(getattr(self, key), str)}
        used = [*named.values()]
        if twice := [name for name in dict.fromkeys(used) if used.count(name) > 1]:
            raise DataError(f"several keys name the split {listed(twice)}; images that train measure nothing")
        lack = {
            key: f"`{key}`: there is no split {shown(name)}; there are {listed(there)}{near(name, there)}"
            for key, name in named.items()
            if name not in there
        }
        if lack and not (lack.keys() == {"labeled"} and named.keys() == {"labeled", "test"}):
            raise DataError("; ".join(lack.values()))
        return {key: Split(name, there[name]) for key, name in named.items() if key not in lack}, "; ".join(
            lack.values()
        )

    def _texts(self, key: str, split: Split) -> list[str]:
        """The labels of a split as text, (N,); empty where there is none."""
        columns = split.set.column_names
        if self.label_column not in columns:
            if key != "unlabeled":
                raise DataError(split.lacks(self.label_column))
            return [""] * len(split.set)
        feature = split.set.features[self.label_column]
        names = getattr(feature, "names", None)
        return [
            text_of(value, names, f"row {row} of the split {shown(split.name)}: {self.label_column}")
            for row, value in enumerate(split.set.select_columns([self.label_column])[:][self.label_column])
        ]

    def _names(self, splits: dict[str, Split]) -> list[str]:
        """The names of the classes, where the first split that measures has some."""
        first = next(iter(splits.values())).set.features.get(self.label_column)
        return [printable(name) for name in getattr(first, "names", None) or ()]


def text_of(value: object, names: list[str] | None, place: str) -> str:
    """A label as text; empty where there is none. `names`: those of a ClassLabel, which counts them."""
    if value is None or (names is not None and value == -1):
        return ""
    if names is not None and isinstance(value, int):
        return printable(names[value])
    if isinstance(value, str | int):
        return printable(str(value).strip())
    raise DataError(f"{place} = {value!r:.40} is neither text nor a whole number")


def columns_of(features: dict[str, Any]) -> dict[str, str]:
    """Which columns hold images and labels, where they are not called so; raises `LookupError` where there are none."""
    images = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    labels = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    found = {"image_column": pick("image", images), "label_column": pick("label", labels or [*features])}
    return {key: name for key, name in found.items() if f"{name}_column" != key}


def pick(usual: str, names: list[str]) -> str:
    """The usual name where it is there, else the only one. Raises `LookupError` where neither is."""
    if usual in names:
        return usual
    if len(names) != 1:
        raise LookupError(usual)
    return names[0]
