"""Images that a table lists: their paths, labels, and what each is for."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import MinLen
from numpy.typing import NDArray

from sslkit import Data, Progress, Recognized, hookimpl
from sslkit.errors import DataError, MissingData
from sslkit.images.words import listed, near, printable, shown

from .dividing.library import Library
from .dividing.splits import Splits
from .formats.entries import KEYS, Entries
from .formats.files import Files
from .formats.tables import Written, columns_of, written

Name = Annotated[str, MinLen(1)]
WHERE = "[data] manifest"
USES = {
    "labeled": "labeled",
    "train": "",
    "": "",
    "unlabeled": "unlabeled",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}
"What the column `split` may say, in any case; empty: labeled with a label, unlabeled without."
LEAST, MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(eq=False, kw_only=True)
class Manifest(Splits):
    """Images that a CSV or Parquet file lists, a row each: path, label, and if wanted split and weight.

    Ids are the paths below `root`. A row without a label is unlabeled. The column `split` says `labeled`, `unlabeled`,
    `validation` (`val`) or `test`; where it is empty, or says `train`, an image with a label is labeled, another one
    unlabeled. Labels of unlabeled rows are known to metrics alone; there, one that is none of the classes is out-of-class.
    The classes are the labels in natural order, 9 before 10, or `classes`. Links are followed, wherever they lead.
    CSV is UTF-8 with quotes doubled within quotes, and Parquet needs pyarrow. No image is opened or looked for before it is
    asked for. Rows in messages count the header as 1, as spreadsheets do.
    Raises `MissingData` where there is no `file`, no `root` or no pyarrow; `DataError` for a table that is not as above, a
    path that is listed twice, is absolute or leaves `root`, an unknown label or split, a weight that is none.
    """

    file: Path
    "The CSV or Parquet file."
    root: Path | None = None
    "Folder that the paths start from; without it, the one that `file` lies in."
    classes: list[Name] = field(default_factory=list)
    "The classes, in order: any other label is an error, but of an unlabeled image. Empty: the labels of labeled rows."
    path_column: Name = "path"
    "Column with an image's path, from `root`."
    label_column: Name = "label"
    "Column with its label; empty: it has none."
    split_column: Name = "split"
    "Column that says what it is for; it may be missing."
    weight_column: Name = "weight"
    "Column with the weight, above 0, of a labeled image in the losses; empty: 1. It may be missing."
    separator: Literal[",", ";", "\t"] = ","
    "What stands between the columns of a CSV file."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """A folder with one table that has the columns."""
        tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".csv", ".parquet")]
        fits = [path for path in tables if {"path", "label"} <= set(columns_of(path))]
        if len(fits) != 1:
            return None
        seen = f"{shown(fits[0].name)} has the columns `path` and `label`"
        return Recognized(settings={"file": fits[0]}, certainty=0.45, found=(seen,))

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`, by the table alone."""
        root = self.file.parent if self.root is None else self.root
        for path, key, there in ((self.file, "file", self.file.is_file), (root, "root", root.is_dir)):
            if not there():
                raise MissingData(
                    f"{WHERE}: there is no {'file' if key == 'file' else 'folder'} {shown(str(path))} (`{key}`, from the "
                    f"recipe's folder; on the command line, --set data.{key}=PATH)",
                    len(self.classes) or None,
                )
        try:
            table = written(self.file, self._columns(), self.separator)
        except DataError as error:
            raise type(error)(f"{WHERE}: {error}") from error
        return self._divided(str(root), table, progress)

    def _columns(self) -> dict[str, tuple[str, bool]]:
        """The columns by what they hold, and whether each has to be there: what the recipe names has to."""
        said = {
            "path": (self.path_column, True),
            "label": (self.label_column, True),
            "split": (self.split_column, self.split_column != "split"),
            "weight": (self.weight_column, self.weight_column != "weight"),
        }
        names = [name for name, _ in said.values()]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise DataError(f"{WHERE}: the column {listed(twice)} is to hold two things")
        return said

    def _divided(self, root: str, table: Written, progress: Progress) -> Data:
        labels = [printable(label.strip()) for label in table.columns["label"]]
        splits = [use(table, row, text, labels[row]) for row, text in enumerate(table.columns["split"])]
        entries = Entries(WHERE, ids(table, root), labels, splits, table.spot)
        weight = weights(table, splits) if any(table.columns["weight"]) else None
        classes = entries.classes([printable(name) for name in self.classes])
        truth = entries.truth(classes)
        files = Files(root, entries.ids)
        library = Library(
            WHERE, entries.ids, truth, **files.asked(), decoding=self.decoding, weight=weight, home=root
        )  # fmt: skip
        names = dict.fromkeys(KEYS, shown(self.file.name))
        lack = f"No row of {shown(self.file.name)} is labeled"
        return self.divided(library, classes, entries.sources(names, lack), progress)


def problem(table: Written, row: int, what: str) -> DataError:
    """The error of a row."""
    return DataError(f"{WHERE}: {table.spot(row)}: {what}")


def ids(table: Written, root: str) -> list[str]:
    """The paths below `root`, (N,). Raises `DataError` for one that is none, leads out of it, or is there twice."""
    first: dict[str, int] = {}
    for row, path in enumerate(table.columns["path"]):
        name = below(path, root)
        if not name:
            why = "it leads out of" if path.strip() else "it is empty, and names no file below"
            raise problem(table, row, f"the path {shown(path)}: {why} the folder {shown(root)}")
        if name in first:
            raise problem(
                table, row, f"the path {shown(path)} is in row {table.number(first[name])}, too; list it once"
            )
        first[name] = row
    return list(first)


def below(path: str, root: str) -> str:
    """A path as it is from `root`, without `.` and `..`; empty where it leads nowhere below it, or is absolute and elsewhere."""
    if posixpath.isabs(path):
        path = os.path.relpath(path, os.path.abspath(root))  # noqa: PTH100 - links stay as they are
    name = posixpath.normpath(path)
    return "" if name in (".", "..") or name.startswith("../") else name


def use(table: Written, row: int, text: str, label: str) -> str:
    """What an image is for, one of `KEYS`."""
    found = USES.get(text.strip().lower())
    if found is None:
        known = [name for name in USES if name]
        raise problem(table, row, f"the split {shown(text)} is none of {listed(known)}{near(text, known)}")
    return found or ("labeled" if label else "unlabeled")


def weights(table: Written, splits: Sequence[str]) -> NDArray[np.float32]:
    """The weight of each image in the losses, (N,), 1 where none is said. Raises `DataError` for what is no weight."""
    found = np.ones(len(splits), np.float32)
    for row, text in enumerate(table.columns["weight"]):
        if text.strip():
            found[row] = weight_of(table, row, text)
            if found[row] != 1 and splits[row] != "labeled":
                raise problem(
                    table, row, f"the weight {text.strip()}, but the image is {splits[row]}: only labeled ones have any"
                )
    return found


def weight_of(table: Written, row: int, text: str) -> float:
    """One weight."""
    try:
        weight = float(text)
    except ValueError:
        raise problem(table, row, f"the weight {shown(text)} is no number") from None
    if not LEAST <= weight <= MOST:
        raise problem(table, row, f"the weight {shown(text)}; it has to be above 0, and a number that float32 has")
    return weight
