"""Where the images of each split come from, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sslkit import OUTSIDE
from sslkit.images.words import counted, listed

from .library import Library, Rows


@dataclass(frozen=True, eq=False)
class Origins:
    """What was taken from where. `names`: how a source is called; `validation` and `test` only where they have their own."""

    library: Library
    classes: tuple[str, ...]
    names: Mapping[str, str]
    train: Rows  # all that could be labeled
    labeled: Rows
    hidden: Rows  # of `train` too, but without labels
    extra: Rows  # unlabeled anyway
    validation: Rows
    test: Rows
    lack: str = ""  # why `train` is empty
    remarks: tuple[str, ...] = ()
    listed: bool = False  # whether a list, and not the seed, says which are labeled

    def notes(self) -> Iterator[str]:
        """One line for each split, then what is odd."""
        yield self._labeled() if len(self.train) else f"labeled: none. {self.lack}"
        if sources := [*self._hidden(), *self._extra()]:
            yield f"unlabeled: {'; '.join(sources)}"
        elif "unlabeled" not in self.names and len(self.train):
            yield "unlabeled: no images, as the recipe gives neither `unlabeled` nor `labels_per_class`"
        yield from self._measured()
        same = Counter(map(str.casefold, self.classes))
        if alike := [name for name in self.classes if same[name.casefold()] > 1]:
            yield f"the classes {listed(alike)} differ in upper and lower case alone"
        if unused := self._unused():
            yield f"not used: {counted(unused, 'image')} from {self._name('labeled')}, which the recipe does not ask for"
        yield from self.remarks

    def _name(self, key: str) -> str:
        return self.names.get(key, "the data")

    def _labeled(self) -> str:
        source = self._name("labeled")
        how = "listed in labels_list, of" if self.listed else "drawn by seed from"
        drawn = f"{how} the {len(self.train):,} of {source}" if len(self.hidden) else f"from {source}"
        return f"labeled: {self._spread(self.labeled)}, {drawn}"

    def _hidden(self) -> Iterator[str]:
        if number := len(self.hidden):
            # How many of each class is what a long tail is about; else it is what is left, and says nothing.
            what = self._spread(self.hidden) if self._unused() else counted(number, "image")
            yield f"{what} from {self._name('labeled')}, their classes hidden from training"

    def _unused(self) -> int:
        """How many images of `train` are in no split."""
        aside = 0 if "validation" in self.names else len(self.validation)
        return len(self.train) - len(self.labeled) - len(self.hidden) - aside

    def _extra(self) -> Iterator[str]:
        if not (number := len(self.extra)):
            return
        truth = self.library.truth[self.extra]
        known, outside = int((truth >= 0).sum()), int((truth == OUTSIDE).sum())
        named = f", {known:,} of them of a class that is known, to metrics alone"
        others = f", {outside:,} of them of other classes than these"
        parts = (named if known else "", others if outside else "")
        yield f"{counted(number, 'image')} from {self._name('unlabeled')}{''.join(parts)}"

    def _measured(self) -> Iterator[str]:
        for split, rows in (("validation", self.validation), ("test", self.test)):
            said = f"{split}: {self._spread(rows)}"
            if len(rows) and split in self.names:
                yield f"{said}, from {self._name(split)}"
            elif len(rows):
                aside = f"set aside from {self._name('labeled')} by seed"
                yield f"{said}, {aside}: their labels choose settings and steps, and train nothing"
        if len(self.validation) and np.array_equal(self.validation, self.test):
            yield "validation and test are the same images: the step is chosen by what it is then measured on"

    def _spread(self, rows: Rows) -> str:
        """`48 images, 4 of each class`, or `31 images, 2 to 12 of a class`."""
        counts = self.library.counts(rows, len(self.classes))
        low, high = int(counts.min()), int(counts.max())
        said = f"{low:,} of each class" if low == high else f"{low:,} to {high:,} of a class"
        if len(none := np.flatnonzero(counts == 0)):
            said = f"none of {listed(self.classes[k] for k in none)}"
        return f"{counted(len(rows), 'image')}, {said}"
