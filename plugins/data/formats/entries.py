"""Images with the labels that a file gives them as text: which classes there are, and which image is of which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sslkit import OUTSIDE, UNKNOWN
from sslkit.errors import DataError
from sslkit.images.listing import natural
from sslkit.images.words import counted, listed, near, shown

from ..dividing.library import Rows
from ..dividing.splits import Sources

KEYS = ("labeled", "unlabeled", "validation", "test")
"What an image may be for."


@dataclass(frozen=True, eq=False)
class Entries:
    """N images: their ids, labels (empty: none is given), and what each is for, one of `KEYS`.

    `spot` says where an image and its label stand, as in ``row 7 of `photos.csv` ``.
    """

    where: str  # begins messages, as in `[data] manifest`
    ids: list[str]
    labels: list[str]
    splits: list[str]
    spot: Callable[[int], str]

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """The rows of each key, ascending."""
        splits = np.array([KEYS.index(key) for key in self.splits], np.int8)
        return {key: np.flatnonzero(splits == number) for number, key in enumerate(KEYS)}

    def error(self, problem: str) -> DataError:
        """The error to raise."""
        return DataError(f"{self.where}: {problem}")

    def classes(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        """The classes: as given, or the labels of what is labeled (or, where nothing is, of the test images).

        In natural order, 9 before 10. Raises `DataError` for fewer than two, and for one that is given twice.
        """
        if twice := [name for name, count in Counter(given).items() if count > 1]:
            raise self.error(f"`classes` names {listed(twice)} more than once")
        measured = self.rows["labeled"] if len(self.rows["labeled"]) else self.rows["test"]
        if not len(measured):
            raise self.error(
                f"no image has a label, of {counted(len(self.ids), 'image')}: there is nothing to learn from"
            )
        if bare := [row for row in measured.tolist() if not self.labels[row]]:
            raise self._bare(bare[0])
        found = given or sorted({self.labels[row] for row in measured.tolist()}, key=natural)
        if len(found) < 2:
            raise self.error(f"there is one class, {listed(found)}; a classifier needs two at least")
        return tuple(found)

    def truth(self, classes: Sequence[str]) -> Rows:
        """The class of each image, (N,): of an unlabeled one, another label than these is `OUTSIDE`.

        Raises `DataError` for an image without a label, or with another one, that is there to train or to measure, and for a
        class of which no image is labeled, where any is.
        """
        numbers = {name: number for number, name in enumerate(classes)}
        truth = np.full(len(self.ids), UNKNOWN, np.int64)
        for row, (label, key) in enumerate(zip(self.labels, self.splits, strict=True)):
            number = numbers.get(label, OUTSIDE if label else UNKNOWN)
            if number < 0 and key != "unlabeled":
                raise self._strange(row, classes) if label else self._bare(row)
            truth[row] = number
        labeled = self.rows["labeled"]
        if len(labeled) and (none := [classes[k] for k in sorted({*range(len(classes))} - {*truth[labeled].tolist()})]):
            raise self.error(f"no labeled image is of {listed(none)}: there is nothing to learn such a class from")
        return truth

    def sources(self, names: Mapping[str, str], lack: str, remarks: tuple[str, ...] = ()) -> Sources:
        """What may become what. `names`: how messages call where each key's images are from."""
        rows = self.rows
        own = {key: rows[key] if len(rows[key]) else None for key in ("validation", "test")}
        said = {key: name for key, name in names.items() if len(rows[key])}
        return Sources(
            rows["labeled"], rows["unlabeled"], own["validation"], own["test"], names=said, lack=lack, remarks=remarks
        )

    def _strange(self, row: int, classes: Sequence[str]) -> DataError:
        label = self.labels[row]
        return self.error(
            f"{self.spot(row)}: the label {shown(label)} is none of the {len(classes)} classes, {listed(classes)}"
            f"{near(label, classes)}"
        )

    def _bare(self, row: int) -> DataError:
        use = "be labeled" if self.splits[row] == "labeled" else f"measure ({self.splits[row]})"
        return self.error(
            f"{self.spot(row)}: the image is to {use}, and has no class. Without one, it can be unlabeled"
        )


def numbered(label: str, names: Sequence[str]) -> str:
    """The name of a class that is given as its number, where there are names that are no numbers themselves."""
    if not names or not label.isdecimal() or any(name.isdecimal() for name in names):
        return label
    return names[int(label)] if int(label) < len(names) else f"{label} (they are numbered from 0 to {len(names) - 1})"
