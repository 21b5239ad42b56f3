"""A person's own images: folders of files, a folder for each class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Interval, MinLen, Unit

from sslkit import Data, Images, Progress, Recognized, hookimpl
from sslkit.errors import DataError
from sslkit.images.words import counted, shown

from .drawing import Rows, apportion, counts_of, draw, long_tail, shares
from .files import Files
from .layout import Layout
from .origins import Origins
from .parts import NOTHING, Part, labeled, measured, part, tested
from .recognizing import recognized

Name = Annotated[str, MinLen(1)]
WHERE = "[data] image_folder"


@dataclass(eq=False, kw_only=True)
class ImageFolder:
    """Images in folders, `CLASS/FILE` (or deeper) below `labeled`; their ids are their paths below `root`.

    The classes are the folders of `labeled`, numbers in their names by value (9 before 10). The class of an unlabeled
    image is known to metrics, and hidden from training, where it comes from `labeled` or lies in a folder of a class's
    name. A folder that one key names is no part of another's. Files of other kinds, and hidden ones, are left out and
    counted. Where `test` is the only folder that is there, the classes are its folders (empty ones too), and the data
    can measure a model and train none. Images are of any size, grey or colour, 8 or 16 bits; they are turned upright by
    their EXIF orientation, and what is transparent becomes white. None is opened before it is asked for.
    Raises `MissingData` where there is no `root`, and `DataError` where its folders are not what the recipe says, a
    class has no or too few images, or an image cannot be read.
    """

    root: Path
    "Folder that holds the others; it may be moved, as ids are paths below it."
    labeled: Name = "train"
    "Folder with a folder of images for each class; `.` is `root` itself."
    labels_per_class: Annotated[int, Ge(0), Unit("images")] = 0
    """Images of each class in `labeled` that keep their label, by seed; the others become unlabeled. 0 labels them all.
    With `gamma_l`, of the most frequent class."""
    unlabeled_per_class: Annotated[int, Ge(0), Unit("images")] = 0
    """Images of each class in `labeled` that become unlabeled beside those that keep their label, by seed; the others
    are not used. 0 takes all. With `gamma_u`, of the most frequent class; 0 takes as many as the classes allow."""
    gamma_l: Annotated[float, Gt(0)] = 1.0
    """Imbalance of the labels: the first class has so many times the labels of the last, between them they fall
    exponentially. 1 is balance; below 1 (1 / 100) the first class has the fewest."""
    gamma_u: Annotated[float, Gt(0)] = 1.0
    """Imbalance in the same way of the images in `labeled` that become unlabeled; below 1 it is reversed. Labeled
    images are counted apart, and images of `unlabeled` stay. 1 leaves it as it is."""
    unlabeled: Name | None = None
    "Folder of further unlabeled images, at any depth."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0
    "Folder like `labeled`; or how many images, or which share, to set aside from `labeled` by seed, class by class."
    test: Name | None = None
    "Folder like `labeled`, of images that nobody trains or chooses on."
    classes: Annotated[int, Ge(0), Unit("classes")] = 0
    "How many classes there are to be: another number is an error, and `sslkit check` knows it without the images. 0: any."
    include_labeled: bool = True
    "Whether the unlabeled images include the labeled ones (without their labels), as is usual in the literature."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """What `sslkit init` proposes for a folder of images."""
        return recognized(folder)

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`, by the names of files alone."""
        self._sensible()
        layout = Layout(WHERE, str(self.root), self._named(), self.classes)
        if self._only_measures(layout):
            return self._measuring(layout)
        classes, found = labeled(layout)
        self._checked(layout, "labeled", classes)
        first, last = self._shares(layout, classes, found)
        rest = self._hidden(layout, classes, found.counts(len(classes)) - first - last)
        rows = draw(found.truth, first, last, lambda k: progress.numpy(f"class/{classes[k]}"), rest)
        origins = Origins(
            layout, classes, found, labeled=found.rows(rows[0]), hidden=found.rows(rows[2]),
            extra=self._extra(layout, classes),
            validation=measured(layout, "validation", classes) if "validation" in layout.named else found.rows(rows[1]),
            test=measured(layout, "test", classes) if "test" in layout.named else NOTHING,
        )  # fmt: skip
        own = np.sort(np.concatenate([rows[0], rows[2]])) if self.include_labeled and self._pools else rows[2]
        return Data(
            classes=classes,
            labeled=self._images("labeled", origins.labeled),
            unlabeled=self._split("unlabeled", found.rows(own) + origins.extra),
            validation=self._split("validation", origins.validation),
            test=self._split("test", origins.test),
            notes=tuple(origins.notes()),
        )

    def _sensible(self) -> None:
        """Refuse what says how many images become unlabeled, or labels of which class, where all keep their label."""
        for key, off in (("gamma_l", 1), ("gamma_u", 1), ("unlabeled_per_class", 0)):
            if (value := getattr(self, key)) != off and not self.labels_per_class:
                raise DataError(
                    f"{WHERE}: {key} = {value:g}, but all images of `labeled` keep their label; say how many of a class "
                    "do in `labels_per_class`"
                )

    def _only_measures(self, layout: Layout) -> bool:
        """Whether test images are all that is there, as where a finished model is measured on others' images."""
        return layout.there("test") and not any(map(layout.there, ("labeled", "unlabeled", "validation")))

    def _measuring(self, layout: Layout) -> Data:
        """Test images alone, which a run refuses to begin with: nobody trains on them."""
        classes = self._checked(layout, "test", tested(layout))
        origins = Origins(layout, classes, *(NOTHING,) * 5, test=measured(layout, "test", classes))
        test = self._split("test", origins.test)
        return Data(classes, self._images("labeled", NOTHING), test=test, notes=tuple(origins.notes()))

    def _checked(self, layout: Layout, key: str, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Classes, as many as the recipe says."""
        if self.classes not in (0, len(classes)):
            raise layout.error(f"classes = {self.classes:,}, but {layout.name(key)} has {len(classes)} folders")
        return classes

    @property
    def _pools(self) -> bool:
        """Whether there are to be unlabeled images."""
        return bool(self.labels_per_class or self.unlabeled)

    def _named(self) -> dict[str, str]:
        """The keys that name folders."""
        said = {"labeled": self.labeled, "unlabeled": self.unlabeled, "validation": self.validation, "test": self.test}
        return {key: name for key, name in said.items() if isinstance(name, str)}

    def _extra(self, layout: Layout, classes: tuple[str, ...]) -> Part:
        """Images of `unlabeled`; none where it is the labeled folder itself."""
        if self.unlabeled is None or layout.same("unlabeled", "labeled"):
            return NOTHING
        return part(layout, "unlabeled", layout.listing("unlabeled"), classes)

    def _split(self, split: str, rows: Part) -> Images | None:
        return self._images(split, rows) if len(rows) else None

    def _images(self, split: str, rows: Part) -> Images:
        return Images(rows.ids, Files(str(self.root), rows.ids, split, WHERE), rows.truth)

    def _shares(self, layout: Layout, classes: tuple[str, ...], found: Part) -> tuple[Rows, Rows]:
        """How many images of each class (K,) are labeled, and how many validate."""
        sizes = found.counts(len(classes))
        wanted = 0 if isinstance(self.validation, str) else self.validation
        total = round(wanted * len(found)) if isinstance(wanted, float) else wanted
        if total >= len(found):
            raise layout.error(
                f"validation = {wanted} takes all of the {len(found):,} images in {layout.name('labeled')}: none is "
                "left to be labeled"
            )
        last = apportion(total, sizes)
        first = counts_of(shares(self.gamma_l, len(sizes)), self.labels_per_class)
        if (sizes - last < first).any():
            raise layout.error(self._scarce(layout, classes, sizes, last, first))
        return first if self.labels_per_class else sizes - last, last

    def _hidden(self, layout: Layout, classes: tuple[str, ...], left: Rows) -> Rows:
        """How many images of each class (K,) become unlabeled, of those that are left."""
        if not self.unlabeled_per_class:
            if self.gamma_u != 1 and not left.all():
                raise layout.error(
                    f"gamma_u = {self.gamma_u:g}, but no image of class {shown(classes[int(left.argmin())])} in "
                    f"{layout.name('labeled')} is left to be unlabeled. Ask for fewer labels or fewer for validation"
                )
            return left if self.gamma_u == 1 else long_tail(left, self.gamma_u)
        wanted = counts_of(shares(self.gamma_u, len(left)), self.unlabeled_per_class)
        k = int((left - wanted).argmin())
        if left[k] < wanted[k]:
            raise layout.error(
                f"unlabeled_per_class = {self.unlabeled_per_class:,}, but of class {shown(classes[k])} in "
                f"{layout.name('labeled')} only {counted(int(left[k]), 'image')} of {wanted[k]:,} are left beside "
                "those with a label and those for validation. Ask for fewer, or 0 for as many as there are"
            )
        return wanted

    def _scarce(self, layout: Layout, classes: tuple[str, ...], sizes: Rows, last: Rows, first: Rows) -> str:
        """Which class has too few images, and what may be done."""
        k = int((sizes - last - first).argmin())
        need = f"labels_per_class = {self.labels_per_class}, but " if self.labels_per_class else ""
        less = f", of which validation = {self.validation} takes {last[k]:,}" if last[k] else ""
        others = int((sizes - last < first).sum()) - 1
        more = f"; {others} more {'class has' if others == 1 else 'classes have'} too few" if others else ""
        asked = " or ".join(
            [*["fewer labels"] * bool(self.labels_per_class), *["fewer for validation"] * bool(last[k])]
        )
        has = f"class {shown(classes[k])} has {counted(int(sizes[k]), 'image')} in {layout.name('labeled')}"
        return f"{need}{has}{less}{more}. Ask for {asked}"
