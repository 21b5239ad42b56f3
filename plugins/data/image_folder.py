"""A person's own images: folders of files, a folder for each class."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, MinLen, Unit

from sslkit import Data, Progress, Recognized, hookimpl
from sslkit.images.words import listed, near, printable, shown

from .dividing.library import Library
from .dividing.splits import Sources, Splits
from .formats.class_folders import NOTHING, Part, labeled, measured, part, tested
from .formats.files import Files
from .formats.folders import Layout
from .formats.recognizing import recognized

Name = Annotated[str, MinLen(1)]
WHERE = "[data] image_folder"


@dataclass(eq=False, kw_only=True)
class ImageFolder(Splits):
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
    unlabeled: Name | None = None
    "Folder of further unlabeled images, at any depth."
    outside: list[Name] = field(default_factory=list)
    "Folders in `unlabeled` of images that are known to be of none of the classes: they are measured apart."
    validation: Name | Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, lt=1)] = 0  # type: ignore[assignment]
    "Folder like `labeled`; or how many images, or which share, to set aside from `labeled` by seed, class by class."
    test: Name | None = None
    "Folder like `labeled`, of images that nobody trains or chooses on."
    classes: Annotated[int, Ge(0), Unit("classes")] = 0
    "How many classes there are to be: another number is an error, and `sslkit check` knows it without the images. 0: any."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """Folders named as such folders usually are."""
        return recognized(folder)

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`, by the names of files alone."""
        layout = Layout(WHERE, str(self.root), self._named(), self.classes)
        if self._only_measures(layout):
            return self._measuring(layout, progress)
        classes, found = labeled(layout)
        self._checked(layout, "labeled", classes)
        parts = {"labeled": found, "unlabeled": self._extra(layout, classes)}
        parts |= {key: measured(layout, key, classes) for key in ("validation", "test") if key in layout.named}
        return self._divided(layout, classes, parts, progress)

    def _divided(self, layout: Layout, classes: tuple[str, ...], parts: dict[str, Part], progress: Progress) -> Data:
        """The splits, of images as they lie in the folders: one part behind the other makes the library."""
        whole = sum(parts.values(), NOTHING)
        ends = np.cumsum([len(part) for part in parts.values()])
        rows = {key: np.arange(end - len(part), end) for (key, part), end in zip(parts.items(), ends, strict=True)}
        if layout.same("validation", "test"):
            rows["validation"] = rows["test"]
        root = str(self.root)
        library = Library(
            WHERE, whole.ids, whole.truth, **Files(root, whole.ids).asked(), decoding=self.decoding, home=root
        )  # fmt: skip
        sources = Sources(
            rows["labeled"], rows["unlabeled"], rows.get("validation"), rows.get("test"),
            names={key: layout.name(key) for key in layout.named}, pools=bool(self.unlabeled),
            lack="" if layout.there("labeled") else layout.lack("labeled"), remarks=layout.remarks(),
        )  # fmt: skip
        return self.divided(library, classes, sources, progress)

    def _only_measures(self, layout: Layout) -> bool:
        """Whether test images are all that is there, as where a finished model is measured on others' images."""
        return layout.there("test") and not any(map(layout.there, ("labeled", "unlabeled", "validation")))

    def _measuring(self, layout: Layout, progress: Progress) -> Data:
        """Test images alone, which a run refuses to begin with: nobody trains on them."""
        classes = self._checked(layout, "test", tested(layout))
        parts = {"labeled": NOTHING, "unlabeled": NOTHING, "test": measured(layout, "test", classes)}
        return self._divided(layout, classes, parts, progress)

    def _checked(self, layout: Layout, key: str, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Classes, as many as the recipe says."""
        if self.classes not in (0, len(classes)):
            raise layout.error(f"classes = {self.classes:,}, but {layout.name(key)} has {len(classes)} folders")
        return classes

    def _named(self) -> dict[str, str]:
        """The keys that name folders."""
        said = {"labeled": self.labeled, "unlabeled": self.unlabeled, "validation": self.validation, "test": self.test}
        return {key: name for key, name in said.items() if isinstance(name, str)}

    def _extra(self, layout: Layout, classes: tuple[str, ...]) -> Part:
        """Images of `unlabeled`; none where it is the labeled folder itself."""
        if self.unlabeled is None or layout.same("unlabeled", "labeled"):
            return NOTHING
        found = layout.listing("unlabeled")
        there = [*map(printable, found.folders)]
        if strange := [name for name in self.outside if name not in there or name in classes]:
            what = "is a class of the labeled images" if strange[0] in classes else "is not there"
            raise layout.error(
                f"outside: the folder {shown(strange[0])} {what}; {layout.name('unlabeled')} has "
                f"{listed(there) or 'no folders'}{near(strange[0], there)}"
            )
        return part(layout, "unlabeled", found, classes, self.outside)
