"""Where the images of each split come from, in words."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sslkit.images.words import counted, listed, tally

from .layout import Layout
from .parts import Part


@dataclass(frozen=True, eq=False)
class Origins:
    """What was taken from which folder."""

    layout: Layout
    classes: tuple[str, ...]
    found: Part  # all of `labeled`
    labeled: Part
    hidden: Part  # of `labeled` too, but without labels
    extra: Part  # of `unlabeled`
    validation: Part
    test: Part

    def notes(self) -> Iterator[str]:
        """One line for each split, then what is odd."""
        yield self._labeled()
        if sources := [*self._hidden(), *self._extra()]:
            yield f"unlabeled: {'; '.join(sources)}"
        elif "unlabeled" not in self.layout.named and len(self.found):
            yield "unlabeled: no images, as the recipe gives neither `unlabeled` nor `labels_per_class`"
        yield from self._measured()
        same = Counter(map(str.casefold, self.classes))
        if alike := [name for name in self.classes if same[name.casefold()] > 1]:
            yield f"the classes {listed(alike)} differ in upper and lower case alone"
        if unused := self._unused():
            folder = self.layout.name("labeled")
            yield f"not used: {counted(unused, 'image')} from {folder}, which the recipe does not ask for"
        if skipped := +self.layout.skipped:
            yield f"left out: {tally(skipped)}"

    def _labeled(self) -> str:
        folder = self.layout.name("labeled")
        if not len(self.found):
            return f"labeled: none. {self.layout.lack('labeled')}"
        drawn = f"drawn by seed from the {len(self.found):,} of {folder}" if len(self.hidden) else f"from {folder}"
        return f"labeled: {self._spread(self.labeled)}, {drawn}"

    def _hidden(self) -> Iterator[str]:
        if number := len(self.hidden):
            folder = self.layout.name("labeled")
            # How many of each class is what a long tail is about; else it is what is left, and says nothing.
            what = self._spread(self.hidden) if self._unused() else counted(number, "image")
            yield f"{what} from {folder}, their classes hidden from training"

    def _unused(self) -> int:
        """How many images of `labeled` are in no split."""
        aside = 0 if "validation" in self.layout.named else len(self.validation)
        return len(self.found) - len(self.labeled) - len(self.hidden) - aside

    def _extra(self) -> Iterator[str]:
        if number := len(self.extra):
            known = int((self.extra.truth >= 0).sum())
            what = (
                f", {known:,} of them in folders of a class's name, which metrics take for their class" if known else ""
            )
            yield f"{counted(number, 'image')} from {self.layout.name('unlabeled')}{what}"

    def _measured(self) -> Iterator[str]:
        for split, part in (("validation", self.validation), ("test", self.test)):
            said = f"{split}: {self._spread(part)}"
            if len(part) and split in self.layout.named:
                yield f"{said}, from {self.layout.name(split)}"
            elif len(part):
                aside = f"set aside from {self.layout.name('labeled')} by seed"
                yield f"{said}, {aside}: their labels choose settings and steps, and train nothing"
        if len(self.validation) and self.layout.same("validation", "test"):
            yield "validation and test are the same images: the step is chosen by what it is then measured on"

    def _spread(self, part: Part) -> str:
        """`48 images, 4 of each class`, or `31 images, 2 to 12 of a class`."""
        counts = part.counts(len(self.classes))
        low, high = int(counts.min()), int(counts.max())
        said = f"{low:,} of each class" if low == high else f"{low:,} to {high:,} of a class"
        if len(none := np.flatnonzero(counts == 0)):
            said = f"none of {listed(self.classes[k] for k in none)}"
        return f"{counted(len(part), 'image')}, {said}"
