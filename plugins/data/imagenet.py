"""ImageNet (ILSVRC 2012), in the folders and files that it is published in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslkit import Data, Progress, Recognized, hookimpl
from sslkit.errors import MissingData
from sslkit.images.words import counted, listed, near, shown

from .dividing.library import Library
from .dividing.splits import Sources, Splits
from .formats.class_folders import NOTHING, Part, labeled, measured
from .formats.files import Files
from .formats.folders import Layout, folders_in, is_there
from .formats.published import fewer, unpacked
from .formats.synsets import readable, val_synsets

WHERE = "[data] imagenet"
PLACES = (".", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")
"Where the folders `train` and `val` may lie: as unpacked by hand, or from the competition's archive."
SYNSET = re.compile(r"n\d{8}")
NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.IGNORECASE)
PUBLISHED = {"train": 1_281_167, "test": 50_000}
EXPECTED = (
    "Expected are `train/n01440764/n01440764_10026.JPEG` (ILSVRC2012_img_train.tar, each of its archives unpacked in a "
    "folder of its name) and `val/ILSVRC2012_val_00000001.JPEG` (ILSVRC2012_img_val.tar), or the competition's "
    "ILSVRC/Data/CLS-LOC"
)


@dataclass(eq=False, kw_only=True)
class ImageNet(Splits):
    """ImageNet as of ILSVRC 2012: 1,281,167 training images of 1,000 classes, and the 50,000 of its validation set to test on.

    Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge; from https://image-net.org after
    registration, for non-commercial research and education. Training images are `train/SYNSET/FILE`; validation images
    `val/SYNSET/FILE`, or `val/FILE` as published: then what they show stands in `LOC_val_solution.csv` of the
    competition's archive, or in the development kit (`ILSVRC2012_validation_ground_truth.txt` and `meta.mat`), unpacked in
    `root`. The published test set has no labels, so the validation set is what the literature reports, and what is `test`
    here; images to validate on are set aside from training. The classes are the synsets, n01440764, in that order, with a
    word where `LOC_synset_mapping.txt` or `synset_words.txt` is in `root`: `tench (n01440764)`. A subset of synsets works
    too. Ids are paths like `train/n01440764/n01440764_10026.JPEG`; published lists of 1% or 10% go into `labels_list` so.
    Files are listed by name, and none is opened before it is asked for.
    Raises `MissingData` where `root` or `train` is not there, `DataError` where something is not as published.
    """

    root: Path
    "Folder with `train` and `val`, or with the competition's `ILSVRC`."
    test: bool = True
    "Whether the published validation set is there, to test on."

    @staticmethod
    def recognize(folder: Path) -> Recognized | None:
        """Folders of synsets in `train`."""
        for place in PLACES:
            synsets = [name for name in folders_in(folder / place / "train") if SYNSET.fullmatch(name)]
            if len(synsets) > 1:
                test = {} if is_there(folder / place / "val", Path.is_dir) else {"test": False}
                found = (f"{counted(len(synsets), 'synset')} of ImageNet in `{Path(place, 'train')}`",)
                return Recognized(settings={"root": folder, **test}, certainty=0.8, found=found)
        return None

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        """The splits of `progress.seed`, by the names of files alone."""
        base = self._base()
        layout = Layout(WHERE, str(base), {"labeled": "train", **({"test": "val"} if self.test else {})})
        synsets, train = self._train(layout)
        test = self._test(layout, base, synsets) if self.test else NOTHING
        whole, cut = train + test, len(train)
        at = str(base)
        kept = Library(
            WHERE, whole.ids, whole.truth, **Files(at, whole.ids).asked(), decoding=self.decoding, home=at
        )  # fmt: skip
        sizes = {"train": len(train), **({"test": len(test)} if self.test else {})}
        sources = Sources(
            np.arange(cut), test=np.arange(cut, len(whole)), names={key: layout.name(key) for key in layout.named},
            remarks=(*fewer("ImageNet", sizes, PUBLISHED), *layout.remarks()),
        )  # fmt: skip
        return self.divided(kept, readable(WHERE, self._lists(base), synsets), sources, progress)

    def _base(self) -> Path:
        """The folder with `train` and `val`."""
        if not is_there(self.root, Path.is_dir):
            return unpacked(WHERE, self.root, [], [], EXPECTED, 1000)  # which raises
        bases = [self.root / place for place in PLACES if is_there(self.root / place / "train", Path.is_dir)]
        if not bases:
            there = folders_in(self.root)
            raise MissingData(
                f"{WHERE}: there is no folder `train` in {shown(str(self.root))}; its folders are "
                f"{listed(there) or 'none'}. {EXPECTED}{near('train', there)}",
                1000,
            )
        return bases[0]

    def _lists(self, base: Path) -> list[Path]:
        """Folders in which lists of synsets may lie."""
        kits = [self.root / "ILSVRC2012_devkit_t12" / "data", self.root / "devkit" / "data"]
        return [*dict.fromkeys((self.root, base, *kits))]

    def _train(self, layout: Layout) -> tuple[tuple[str, ...], Part]:
        """The synsets that there are folders of, and the training images."""
        synsets, train = labeled(layout)
        if strange := [name for name in synsets if not SYNSET.fullmatch(name)]:
            raise layout.error(
                f"`train` has the folders {listed(strange)}, and folders of synsets like `n01440764` were expected. Folders "
                "of other names are what `image_folder` reads"
            )
        return synsets, train

    def _test(self, layout: Layout, base: Path, synsets: tuple[str, ...]) -> Part:
        """The published validation images: in folders of synsets, or side by side."""
        if not layout.there("test"):
            raise MissingData(f"{layout.where}: {layout.lack('test')}. {EXPECTED}; or set test = false", len(synsets))
        found = layout.listing("test")
        layout.skipped -= found.skipped  # they are counted once more where the images are in folders
        if not found.loose:
            return measured(layout, "test", synsets)
        layout.skipped += found.skipped
        if folders := [name for name in found.folders if found.images[name]]:
            raise layout.error(f"`val` has both images and folders of images ({listed(folders)})")
        numbers = {name: self._number(layout, name) for name in found.loose}
        shown_in = val_synsets(WHERE, self._lists(base))
        place = {synset: k for k, synset in enumerate(synsets)}
        if unknown := [name for name, number in numbers.items() if number not in shown_in]:
            raise layout.error(
                f"`val`: what {listed(unknown)} show is not listed beside it; {len(shown_in):,} images are"
            )
        # Where a subset of the synsets trains, the other images test nothing.
        kept = [name for name, number in numbers.items() if shown_in[number] in place]
        truth = np.array([place[shown_in[numbers[name]]] for name in kept], np.int64)
        if others := len(numbers) - len(kept):
            layout.skipped["validation images of other synsets"] += others
        return Part(layout.ids("test", kept), truth)

    def _number(self, layout: Layout, name: str) -> int:
        """The number of a validation image, from 1."""
        found = NUMBERED.fullmatch(name)
        if found is None:
            raise layout.error(f"`val` has {shown(name)}, and names like `ILSVRC2012_val_00000001.JPEG` were expected")
        return int(found[1])
