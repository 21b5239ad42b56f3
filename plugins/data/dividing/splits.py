"""How images become splits, alike for all data plugins: who keeps a label, who validates, who is in the pool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval, Unit

from sslkit import Data, Images, Progress
from sslkit.errors import DataError
from sslkit.images.decoding import LARGEST
from sslkit.images.words import counted, listed, shown

from .drawing import apportion, counts_of, draw, long_tail, shares
from .hygiene import Cleaned, Reason, cleaned
from .library import NONE, Decoding, Library, Rows
from .origins import Origins
from .sources import Sources as Sources  # for plugins, who need both

HOW = ("labels_per_class", "labels_fraction", "labels_list")
"Settings of which one at most says which images keep their label."


@dataclass(eq=False, kw_only=True)
class Splits:
    """Settings that data plugins have in common."""

    labels_per_class: Annotated[int, Ge(0), Unit("images")] = 0
    """Images of each class that keep their label, by seed; the others become unlabeled. 0 labels them all. With `gamma_l`,
    of the most frequent class."""
    labels_fraction: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of each class's images that keep their label, one at least, by seed; the others become unlabeled. 0: as
    `labels_per_class` says."""
    labels_list: Path | None = None
    "Text file with an image's id on each line: these keep their label, the others become unlabeled."
    unlabeled_per_class: Annotated[int, Ge(0), Unit("images")] = 0
    """Images of each class that become unlabeled beside those that keep their label, by seed; the others are not used. 0
    takes all. With `gamma_u`, of the most frequent class; 0 takes as many as the classes allow."""
    gamma_l: Annotated[float, Gt(0)] = 1.0
    """Imbalance of the labels: the first class has so many times the labels of the last, between them they fall
    exponentially. 1 is balance; below 1 (1 / 100) the first class has the fewest."""
    gamma_u: Annotated[float, Gt(0)] = 1.0
    """Imbalance in the same way of the images whose label is hidden; below 1 it is reversed. Labeled images are counted
    apart, and images that have no label anyway stay. 1 leaves it as it is."""
    validation: Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0
    "How many images, or which share, to set aside for validation by seed, class by class."
    include_labeled: bool = True
    "Whether the unlabeled images include the labeled ones (without their labels), as is usual in the literature."
    channels: Literal[1, 3, 4] = 3
    "Channels of an image: grey, RGB, or RGB with alpha. With 1 and 3, what is transparent is laid on white."
    largest: Annotated[float, Gt(0), Unit("megapixels")] = LARGEST
    "Pixels that an image may have: larger ones are not decoded, as a small file can claim billions."
    leave_out: list[Reason] = field(default_factory=list)
    """What is left out, which takes a look at every image when the data is opened (it is remembered): `unreadable` images,
    and `duplicates`: images to train or validate on that are in test as well, or in the folder of validation, pixel by pixel;
    and, where validation is set aside, its images that training has as well, and unlabeled copies of the others."""

    @property
    def decoding(self) -> Decoding:
        """How files become pixels."""
        return Decoding(self.channels, self.largest)

    @property
    def hides(self) -> bool:
        """Whether some images lose their label."""
        return bool(self.labels_per_class or self.labels_fraction or self.labels_list)

    def divided(self, library: Library, classes: tuple[str, ...], sources: Sources, progress: Progress) -> Data:
        """The splits of `progress.seed`. Raises `DataError` where they cannot be as the recipe says."""
        self._sensible(library.where)
        clean = cleaned(library, classes, sources, self.leave_out) if self.leave_out else Cleaned(sources)
        labeled, aside, hidden = self._drawn(library, classes, clean.sources, progress)
        clean = clean.apart(library, np.concatenate([labeled, hidden]), aside)
        sources, aside = clean.sources, aside[np.isin(aside, clean.sources.train)]
        pools = self.hides or len(sources.extra) > 0 or sources.pools
        own = np.sort(np.concatenate([labeled, hidden])) if self.include_labeled and pools else hidden
        validation = aside if sources.validation is None else sources.validation
        test = NONE if sources.test is None else sources.test
        origins = Origins(
            library, classes, sources.names, train=sources.train, labeled=labeled, hidden=hidden, extra=sources.extra,
            validation=validation, test=test, lack=sources.lack, remarks=sources.remarks,
            listed=self.labels_list is not None,
        )  # fmt: skip

        def split(name: str, rows: Rows) -> Images | None:
            return library.images(name, rows) if len(rows) else None

        return Data(
            classes=classes,
            labeled=library.images("labeled", labeled),
            unlabeled=split("unlabeled", np.concatenate([own, sources.extra])),
            validation=split("validation", validation),
            test=split("test", test),
            channels=self.channels,
            notes=(*origins.notes(), *clean.notes),
            left_out=clean.left_out,
        )

    def _sensible(self, where: str) -> None:
        """Refuse two ways to say which images keep their label; and what is about hidden labels, where none is."""
        said = [key for key in HOW if getattr(self, key)]
        if len(said) > 1:
            raise DataError(f"{where}: {' and '.join(said)} both say which images keep their label: leave one out")
        if self.gamma_l != 1 and said and said != ["labels_per_class"]:
            raise DataError(f"{where}: gamma_l = {self.gamma_l:g} goes with `labels_per_class`, and not with {said[0]}")
        for key, off in (("gamma_l", 1), ("gamma_u", 1), ("unlabeled_per_class", 0)):
            if (value := getattr(self, key)) != off and not said:
                raise DataError(
                    f"{where}: {key} = {value:g}, but all images of `labeled` keep their label; say how many of a class "
                    "do in `labels_per_class`"
                )

    def _drawn(
        self, library: Library, classes: tuple[str, ...], sources: Sources, progress: Progress
    ) -> tuple[Rows, Rows, Rows]:
        """Rows that keep their label, that validate, and whose label is hidden; each ascending."""
        train = sources.train
        if not len(train):
            return NONE, NONE, NONE
        listed = train[np.isin(train, self._listed(library, sources))] if self.labels_list else NONE
        free = train[~np.isin(train, listed)] if self.labels_list else train
        problem = Shortage(library.where, classes, sources.name("labeled"))
        sizes = library.counts(free, len(classes))
        aside = self._aside(problem, int(sizes.sum()), sources.validation is not None)
        first, last = self._shares(problem, sizes, aside)
        rest = self._rest(problem, sizes - first - last)
        rows = draw(library.truth[free], first, last, lambda k: progress.numpy(f"class/{classes[k]}"), rest)
        labeled = listed if self.labels_list else free[rows[0]]
        if self.labels_list and not (counts := library.counts(labeled, len(classes))).all():
            raise problem.not_listed(np.flatnonzero(counts == 0))
        return labeled, free[rows[1]], free[rows[2]]

    def _listed(self, library: Library, sources: Sources) -> Rows:
        """The rows of `labels_list`, those that are left out among them."""
        assert self.labels_list is not None
        try:
            text = self.labels_list.read_text("utf-8-sig", "surrogateescape")
        except OSError as error:
            name = shown(str(self.labels_list))
            raise DataError(
                f"{library.where}: labels_list: {name} cannot be read: {error.strerror or error}"
            ) from error
        wanted = dict.fromkeys(line.strip() for line in text.split("\n") if line.strip())
        numbers = {library.ids[row]: row for row in [*sources.train.tolist(), *sources.gone.tolist()]}
        if unknown := [sample for sample in wanted if sample not in numbers]:
            example = shown(next(iter(numbers)))
            raise DataError(
                f"{library.where}: labels_list names {counted(len(unknown), 'image')} that cannot be labeled: "
                f"{listed(unknown)}. Ids look like {example}"
            )
        return np.array([numbers[sample] for sample in wanted], np.int64)

    def _aside(self, problem: Shortage, total: int, own: bool) -> int:
        """How many images are set aside for validation; `own`: the data has some of its own."""
        if isinstance(self.validation, str):  # the name of a source, in plugins whose sources have names
            return 0
        if own and self.validation:
            raise problem.both(self.validation)
        number = round(self.validation * total) if isinstance(self.validation, float) else self.validation
        if number and number >= total + bool(self.labels_list):
            raise problem.all_taken(self.validation, total)
        return number

    def _shares(self, problem: Shortage, sizes: Rows, aside: int) -> tuple[Rows, Rows]:
        """How many images of each class (K,) are labeled, and how many validate."""
        last = apportion(aside, sizes) if aside else np.zeros_like(sizes)
        if self.labels_list:
            return np.zeros_like(sizes), last
        first = self._labels(sizes)
        if (sizes - last < first).any():
            raise problem.scarce(self.labels_per_class, self.labels_fraction, sizes, last, first)
        return (first if self.hides else sizes - last), last

    def _labels(self, sizes: Rows) -> Rows:
        """Images of each class (K,) that keep their label; one each where it is not said."""
        if self.labels_fraction:
            share: Rows = np.floor(sizes * self.labels_fraction + 1e-6).astype(np.int64)
            return np.maximum(1, share)
        return counts_of(shares(self.gamma_l, len(sizes)), self.labels_per_class)

    def _rest(self, problem: Shortage, left: Rows) -> Rows:
        """How many images of each class (K,) become unlabeled, of those that are left."""
        if not self.unlabeled_per_class:
            if self.gamma_u != 1 and not left.all():
                raise problem.none_left(self.gamma_u, left)
            return left if self.gamma_u == 1 else long_tail(left, self.gamma_u)
        wanted = counts_of(shares(self.gamma_u, len(left)), self.unlabeled_per_class)
        if (left < wanted).any():
            raise problem.few_left(self.unlabeled_per_class, left, wanted)
        return wanted


@dataclass(frozen=True)
class Shortage:
    """What to say where a class has too few images for what is asked."""

    where: str
    classes: tuple[str, ...]
    source: str

    def both(self, validation: float) -> DataError:
        """Validation images are there, and are to be set aside as well."""
        return DataError(
            f"{self.where}: validation = {validation}, but the data has validation images of its own: leave it out"
        )

    def not_listed(self, numbers: Rows) -> DataError:
        """Classes of which a list names no image."""
        names = listed(self.classes[k] for k in numbers.tolist())
        return DataError(f"{self.where}: labels_list names no image of {names}, and so nothing to learn it from")

    def all_taken(self, validation: float, total: int) -> DataError:
        """Nothing is left to be labeled."""
        return DataError(
            f"{self.where}: validation = {validation} takes all of the {total:,} images in {self.source}: none is "
            "left to be labeled"
        )

    def scarce(self, labels: int, fraction: float, sizes: Rows, last: Rows, first: Rows) -> DataError:
        """Which class has too few images, and what may be done."""
        k = int((sizes - last - first).argmin())
        need = f"labels_per_class = {labels}, but " if labels else ""
        need = f"labels_fraction = {fraction:g} takes {first[k]:,}, but " if fraction else need
        less = f", of which validation = {last.sum()} takes {last[k]:,}" if last[k] else ""
        others = int((sizes - last < first).sum()) - 1
        more = f"; {others} more {'class has' if others == 1 else 'classes have'} too few" if others else ""
        asked = " or ".join([*["fewer labels"] * bool(labels or fraction), *["fewer for validation"] * bool(last[k])])
        has = f"class {shown(self.classes[k])} has {counted(int(sizes[k]), 'image')} in {self.source}"
        return DataError(f"{self.where}: {need}{has}{less}{more}. Ask for {asked}")

    def none_left(self, gamma: float, left: Rows) -> DataError:
        """A long tail of nothing."""
        return DataError(
            f"{self.where}: gamma_u = {gamma:g}, but no image of class {shown(self.classes[int(left.argmin())])} in "
            f"{self.source} is left to be unlabeled. Ask for fewer labels or fewer for validation"
        )

    def few_left(self, asked: int, left: Rows, wanted: Rows) -> DataError:
        """Which class has too few images to become unlabeled."""
        k = int((left - wanted).argmin())
        return DataError(
            f"{self.where}: unlabeled_per_class = {asked:,}, but of class {shown(self.classes[k])} in {self.source} only "
            f"{counted(int(left[k]), 'image')} of {wanted[k]:,} are left beside those with a label and those for "
            "validation. Ask for fewer, or 0 for as many as there are"
        )
