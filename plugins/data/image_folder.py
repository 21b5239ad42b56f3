"""A person's own images: folders of files, a folder for each class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, MinLen, Unit

from sslkit import Data, Images, Progress, hookimpl

from .drawing import Rows, apportion, draw
from .files import Files
from .layout import Layout, Part, kinds, known, listed, part, shown, training

Name = Annotated[str, MinLen(1)]
WHERE = "[data] image_folder"


@dataclass(eq=False, kw_only=True)
class ImageFolder:
    """Images in folders, `CLASS/FILE` (or deeper) below `labeled`; their ids are their paths below `root`.

    The classes are the folders of `labeled`, numbers in their names by value (9 before 10). The class of an unlabeled
    image is known to metrics, and hidden from training, where it comes from `labeled` or lies in a folder of a class's
    name. A folder that one key names is no part of another's. Other kinds of files, and hidden ones, are skipped and
    counted. Images are of any size, grey or colour, 8 or 16 bits; they are turned upright by their EXIF orientation, and
    what is transparent becomes white. None is opened before it is asked for.
    Raises `MissingData` where there is no `root`, and `DataError` where its folders are not what the recipe says, a
    class has no or too few images, or an image cannot be read.
    """

    root: Path
    "Folder that holds the others; it may be moved, as ids are paths below it."
    labeled: Name = "train"
    "Folder with a folder of images for each class; `.` is `root` itself."
    labels_per_class: Annotated[int, Ge(0), Unit("images")] = 0
    "Images of each class in `labeled` that keep their label, by seed; the others become unlabeled. 0 labels them all."
    unlabeled: Name | None = None
    "Folder of further unlabeled images, at any depth."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0
    "Folder like `labeled`; or the number, or share, of images to take from `labeled` by seed, from each class its part."
    test: Name | None = None
    "Folder like `labeled`, of images that nobody trains or chooses on."
    include_labeled: bool = True
    "Whether the unlabeled images include the labeled ones (without their labels), as is usual in the literature."

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`, by the names of files alone."""
        layout = Layout(WHERE, str(self.root), self._named())
        classes, found = training(layout)
        first, last = self._shares(layout, classes, found)
        labeled, carved, hidden = draw(found.truth, first, last, lambda k: progress.numpy(f"class/{classes[k]}"))
        separate = "unlabeled" in layout.prefix and layout.prefix["unlabeled"] != layout.prefix["labeled"]
        extra = part(layout, "unlabeled", layout.listing("unlabeled"), classes) if separate else Part.empty()
        own = np.sort(np.concatenate([hidden, labeled])) if self.include_labeled and self._pools else hidden
        parts = {
            "labeled": found.rows(labeled),
            "unlabeled": found.rows(own) + extra,
            "validation": known(layout, "validation", classes) if "validation" in layout.prefix else found.rows(carved),
            "test": known(layout, "test", classes) if "test" in layout.prefix else Part.empty(),
        }
        images = {split: self._images(split, rows) if len(rows) else None for split, rows in parts.items()}
        notes = self._notes(layout, classes, found, parts, len(hidden), extra)
        return Data(
            classes,
            self._images("labeled", parts["labeled"]),
            images["unlabeled"],
            images["validation"],
            images["test"],
            notes=notes,
        )

    @property
    def _pools(self) -> bool:
        """Whether there are unlabeled images at all."""
        return bool(self.labels_per_class or self.unlabeled)

    def _named(self) -> dict[str, str]:
        """The keys that name folders."""
        said = {"labeled": self.labeled, "unlabeled": self.unlabeled, "validation": self.validation, "test": self.test}
        return {key: name for key, name in said.items() if isinstance(name, str)}

    def _images(self, split: str, rows: Part) -> Images:
        return Images(rows.ids, Files(str(self.root), rows.ids, split, WHERE), rows.truth)

    def _shares(self, layout: Layout, classes: tuple[str, ...], found: Part) -> tuple[Rows, Rows]:
        """How many images of each class (K,) are labeled, and how many validate."""
        sizes = np.bincount(found.truth, minlength=len(classes)).astype(np.int64)
        wanted = 0 if isinstance(self.validation, str) else self.validation
        total = round(wanted * len(found)) if isinstance(wanted, float) else wanted
        folder, took = shown(self.labeled), f"validation = {wanted} takes "
        if total >= len(found):
            raise layout.error(f"{took}all of the {len(found):,} images of {folder}, and leaves none to be labeled")
        last = apportion(total, sizes)
        scarce = np.flatnonzero(sizes - last < max(1, self.labels_per_class))
        if len(scarce):
            k = int(scarce[(sizes - last)[scarce].argmin()])
            others = f", as do {len(scarce) - 1} others" if len(scarce) > 1 else ""
            need = f"labels_per_class = {self.labels_per_class}, but " if self.labels_per_class else ""
            less = f", of which {took}{last[k]}" if last[k] else ""
            raise layout.error(f"{need}class {shown(classes[k])} has {sizes[k]:,} images in {folder}{less}{others}")
        return np.full_like(sizes, self.labels_per_class) if self.labels_per_class else sizes - last, last

    def _notes(
        self, layout: Layout, classes: tuple[str, ...], found: Part, parts: dict[str, Part], hidden: int, extra: Part
    ) -> tuple[str, ...]:
        """Where each split comes from, and what was left out."""
        folder, labeled = shown(self.labeled), len(parts["labeled"])
        notes = [f"{labeled:,} labeled images of {len(classes):,} classes, {spread(parts['labeled'], len(classes))}"]
        notes[0] += (
            f", drawn by seed from the {len(found):,} of {folder}" if self.labels_per_class else f", in {folder}"
        )
        sources = [f"{hidden:,} of {folder}, whose classes are hidden from training"] if hidden else []
        if len(extra):
            sure = int((extra.truth >= 0).sum())
            said = f", {sure:,} of them in folders of a class's name (known to metrics alone)" if sure else ""
            sources.append(f"{len(extra):,} of {shown(self.unlabeled or '')}{said}")
        notes += [f"unlabeled images: {'; '.join(sources)}"] if sources else []
        if "validation" in layout.prefix:
            notes.append(f"{len(parts['validation']):,} validation images, those of {shown(str(self.validation))}")
        elif len(parts["validation"]):
            notes.append(
                f"{len(parts['validation']):,} validation images, {spread(parts['validation'], len(classes))}, are taken "
                f"from {folder}: their labels choose settings and steps, and train nothing"
            )
        for split in ("validation", "test"):
            if split in layout.prefix and (none := absent(parts[split], classes)):
                notes.append(f"{shown(layout.named[split])} has no image of {listed(none)}")
        if self.test:
            notes.append(f"{len(parts['test']):,} test images, those of {shown(self.test)}")
            if layout.prefix.get("validation") == layout.prefix["test"]:
                notes.append("validation and test are the same images: what chooses a step also measures it")
        if layout.skipped:
            notes.append(f"skipped, being no images: {kinds(layout.skipped)}")
        return (*notes, *layout.notes)


def spread(part: Part, classes: int) -> str:
    """`4 of each class`, or `3 to 12 of a class`."""
    counts = np.bincount(part.truth, minlength=classes)
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,} of each class" if low == high else f"{low:,} to {high:,} of a class"


def absent(part: Part, classes: tuple[str, ...]) -> list[str]:
    """Classes of which it has no image."""
    return [classes[k] for k in np.flatnonzero(np.bincount(part.truth, minlength=len(classes)) == 0)]
