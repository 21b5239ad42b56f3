"""Natural adversarial images: photographs that models err on, of some of the classes, from a folder of their own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslkit import Classifier, Data, Facts, Image, Images, Progress, hookimpl
from sslkit.errors import DataError
from sslkit.images.decoding import decode, silent, unlimited
from sslkit.images.listing import Listing, list_images
from sslkit.images.words import counted, listed, near, printable, shown, tally
from sslkit.waiting import waiting

from ..data.dividing.library import reason
from ..data.formats.files import Files
from ..data.formats.folders import folders_in, is_there
from ..data.formats.published import lines
from ..data.formats.synsets import WORDS, first
from .robustness import as_floats
from .splits import distinct

TOP = 5
SYNSET = re.compile(r"n\d{8}")
"How WordNet numbers a noun, and ImageNet its classes and their folders."


def numbers_of(classes: Sequence[str], words: dict[str, str]) -> dict[str, int]:
    """The model's classes by every name that a folder may have: their own, and their WordNet ids.

    A class tells its id itself, as `tench (n01440764)`, or is called as `words`, by id, call it: "tench, Tinca tinca".
    """
    names = [*map(printable, classes)]
    known = {name: number for number, name in enumerate(names) if names.count(name) == 1}
    for name, number in list(known.items()):
        if match := re.search(rf"\(({SYNSET.pattern})\)$", name):
            known.setdefault(match[1], number)
    for synset, said in words.items():
        called = next((name for name in (said, said.partition(",")[0].strip()) if name in known), None)
        if called is not None:
            known.setdefault(synset, known[called])
    return known


def words_beside(where: str, folder: Path) -> dict[str, str]:
    """What a list in the folder, or beside it, says that WordNet ids are called; nothing where there is none."""
    path = first([folder, folder.parent], WORDS)
    split = (line.strip().partition(" ") for line in (lines(where, path) if path else []))
    return {synset: said for synset, _, said in split if SYNSET.fullmatch(synset)}


@dataclass(eq=False)
class Subset:
    """The images of a folder, and the classes that its folders are of."""

    ids: list[str]
    truth: NDArray[np.int64]  # (N,) of the model's class numbers
    numbers: list[int]  # those of the subset, ascending
    skipped: Counter[str]

    @classmethod
    def of(cls, where: str, folder: Path, classes: Sequence[str]) -> Subset:
        """By the names of folders and files alone. Raises `DataError` where they are not as expected."""
        found = listing_of(where, folder)
        known, owners = numbers_of(classes, words_beside(where, folder)), dict[int, str]()
        ids, truth = list[str](), list[int]()
        if strange := [name for name in found.folders if printable(name) not in known]:
            raise DataError(
                f"{where}: {counted(len(strange), 'folder')} of {shown(str(folder))} named after no class of the model: "
                f"{listed(strange)}. Its classes are {listed(classes)}{near(strange[0], known)}"
            )
        for name in found.folders:
            number = known[printable(name)]
            if number in owners:
                raise DataError(
                    f"{where}: {shown(owners[number])} and {shown(name)} in {shown(str(folder))} are both folders of the "
                    f"class {shown(classes[number])}; put their images in one"
                )
            owners[number] = name
            ids += found.images[name]
            truth += [number] * len(found.images[name])
        skipped = found.skipped + Counter({"images in no class's folder": len(found.loose)})
        return cls(ids, np.array(truth, np.int64), sorted(owners), +skipped)

    def images(self, where: str, folder: Path, channels: int) -> Images:
        """As a split, each file read when it is asked for."""
        files = Files(str(folder), self.ids)

        def one(row: int) -> Image:
            try:
                return decode(files.fetch(row), channels)
            except Exception as error:  # decoders have errors of many kinds for bytes that make no sense
                raise DataError(
                    f"{where}: the image {files.place(row)} cannot be read: {reason(error)}. Put a readable copy in its "
                    "place, or remove it"
                ) from error

        def read(rows: NDArray[np.int64]) -> list[Image]:
            with silent, unlimited:
                return [one(row) for row in rows.tolist()]

        return Images(self.ids, read, self.truth)


def listing_of(where: str, folder: Path) -> Listing:
    """The images in a folder's folders. Raises `DataError` where there are none, or fewer than two such folders."""
    if not is_there(folder, Path.is_dir):
        if is_there(folder):
            raise DataError(f"{where}: `folder` takes a folder; {shown(str(folder))} is a file")
        raise DataError(
            f"{where}: there is no folder {shown(str(folder))} (`folder`, from the recipe's own). Expected are images as "
            f"{printable(folder.name)}/CLASS/FILE{near(folder.name, folders_in(folder.parent))}"
        )
    try:
        found = list_images(str(folder))
    except OSError as error:
        place = shown(str(error.filename or folder))
        raise DataError(f"{where}: the folder {place} cannot be looked into: {error.strerror or error}") from error
    if not found.folders:
        beside = f", only {counted(len(found.loose), 'image')}" if found.loose else ""
        raise DataError(
            f"{where}: {shown(str(folder))} has no folders of classes{beside}. Expected are images as "
            f"{printable(folder.name)}/CLASS/FILE"
        )
    if empty := [name for name in found.folders if not found.images[name]]:
        raise DataError(
            f"{where}: there is no image in {listed(f'{folder.name}/{name}' for name in empty)}. Put some there, or remove "
            "the folder: an answer would be chosen from a class that nothing shows"
        )
    if len(found.folders) < 2:
        raise DataError(
            f"{where}: {shown(str(folder))} has the folder of one class alone, {shown(found.folders[0])}: among a single "
            "class any answer is right"
        )
    return found


def ranked(logits: Tensor, truth: Tensor, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Places of the true class, 0 the first: among the classes `numbers`, and among all. (M, K), (M,) -> (M,), (M,).

    Ties are lost, and so is what is no number: a model that says the same of all classes knows nothing.
    """
    others = truth[:, None] != torch.arange(logits.shape[1])
    above = ~(logits < logits.gather(1, truth[:, None])) & others
    return above[:, list(numbers)].sum(1), above.sum(1)


@dataclass(eq=False, kw_only=True)
class NaturalAdversarial:
    """Accuracy on natural adversarial images, as of ImageNet-A: `natural_adversarial_accuracy`.

    Hendrycks et al. 2021, Natural Adversarial Examples (arXiv 1907.07174): unchanged photographs that a ResNet-50 errs on,
    of 200 of ImageNet's 1,000 classes. As there, the answer is the subset's class of the largest logit, whatever the
    model says of its other classes; `natural_adversarial_top5_accuracy` is of the five largest of the subset (where it
    has that many), and `natural_adversarial_unrestricted_accuracy` of the largest of all classes. The table
    `natural_adversarial_per_class` says it by class. Any folder of images of some of the classes can be measured so:
    ImageNet-R, ImageNet-Sketch, photographs of one's own. A plugin of another `name` begins its answers with that.

    Images are `CLASS/FILE` (or deeper) in `folder`; a folder is named as a class of the model, or by its WordNet id, as
    n01440764, where a class tells it (`tench (n01440764)`) or a list in the folder or beside it does (`synset_words.txt`
    or `LOC_synset_mapping.txt`). Measured at a generation's end, piece by piece: memory does not depend on how many
    images there are. Names are looked at when a generation begins, so that nothing is trained in vain.
    Raises `DataError` where there is no such folder, one of its folders is of no class or is empty, or an image cannot be
    read.
    """

    folder: Path
    "Folder with a folder of images for each class of the subset, two at least; from the recipe's own folder."

    @hookimpl
    def begin(self, facts: Facts, progress: Progress) -> None:
        """Look at the folder, where it is known what classes the data has."""
        if facts.sizes:
            Subset.of(where(progress), self.folder, facts.classes)

    @hookimpl
    def measure(self, model: Classifier, data: Data, progress: Progress) -> dict[str, Any]:
        """The accuracies at a generation's end."""
        if progress.step < progress.steps:
            return {}
        subset = Subset.of(where(progress), self.folder, data.classes)
        images = subset.images(where(progress), self.folder, data.channels)
        places = self._places(model, images, subset.numbers)
        name, names = progress.plugin or "natural_adversarial", distinct(data.classes)
        right = (places == 0).double()
        truth = torch.as_tensor(subset.truth)
        by_class = {names[number]: right[:, truth == number] for number in subset.numbers}
        top = {f"{name}_top{TOP}_accuracy": share(places[0] < TOP)} if len(subset.numbers) >= TOP else {}
        return {
            f"{name}_accuracy": share(right[0]),
            **top,
            f"{name}_unrestricted_accuracy": share(right[1]),
            f"{name}_per_class": {
                one: {"accuracy": share(hits[0]), "unrestricted_accuracy": share(hits[1]), "images": hits.shape[1]}
                for one, hits in by_class.items()
            },
            f"{name}_note": self._note(name, subset, len(data.classes)),
        }

    def _note(self, name: str, subset: Subset, classes: int) -> str:
        """What was measured."""
        beside = f"; skipped: {tally(subset.skipped)}" if subset.skipped else ""
        return (
            f"{name}: {counted(len(subset.ids), 'image')} of {len(subset.numbers):,} of the model's {classes:,} classes in "
            f"{shown(self.folder.name)}, answers are among these{beside}"
        )

    def _places(self, model: Classifier, images: Images, numbers: Sequence[int]) -> Tensor:
        """(2, N) places of the true class among the subset's and among all."""
        found = []
        with waiting(f"looking at {printable(self.folder.name)} (images)", len(images)) as done, torch.no_grad():
            for position, made in model.batches(images):
                truth = torch.as_tensor(images.truth[position.numpy()])
                found.append(
                    torch.stack(ranked(model.logits(as_floats(made, model.device)).float().cpu(), truth, numbers))
                )
                done(len(made))
        return torch.cat(found, 1)


def where(progress: Progress) -> str:
    """How messages begin."""
    return f"[[metric]] {progress.plugin or 'natural_adversarial'}"


def share(right: Tensor) -> float:
    """The mean of (N,) numbers or truths."""
    return right.double().mean().item()
