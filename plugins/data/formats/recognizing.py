"""Which folder holds what, where people's own images lie: by the names that such folders usually have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslkit import Recognized
from sslkit.errors import DataError
from sslkit.images.listing import LITTER, Listing, list_images
from sslkit.images.words import counted, listed, shown

NAMES = {
    "labeled": ("labeled", "labelled", "train_labeled", "train_labelled", "labeled_train", "train", "training"),
    "unlabeled": (
        "unlabeled",
        "unlabelled",
        "train_unlabeled",
        "train_unlabelled",
        "unlabeled_train",
        "extra",
        "nolabel",
    ),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"What folders are called, by the key that names them; the first that is there is taken."
EXPECTED = (
    "Expected are folders like `labeled/CLASS/FILE` (or `train/CLASS/FILE`), `unlabeled/FILE`, and, to measure by, "
    "`test/CLASS/FILE` and `validation/CLASS/FILE`"
)
SET_ASIDE, ENOUGH = 0.2, 20
"The share of the labels that validates where nothing else measures, and how many images a class must have for that."
SURE, BARE = 0.5, 0.4
"How sure it is of folders that have the usual names; of class folders side by side."


@dataclass(frozen=True)
class Folders:
    """The folders of a root by what they hold, and what each holds."""

    root: Path
    held: dict[str, str]  # key -> name
    others: list[str]
    images: dict[str, Listing]  # by key


def recognized(root: Path) -> Recognized | None:
    """The settings that open a folder of images; None where it holds no image at all.

    Raises `DataError` where it does, and nothing can be trained from it: what is missing, and what is expected.
    """
    try:
        folders = looked_at(root)
    except OSError as error:
        place = shown(str(error.filename or root))
        raise DataError(f"the folder {place} cannot be looked into: {error.strerror or error}") from error
    if not any(map(len, folders.images.values())):
        return None
    if problem := lack(folders):
        raise DataError(f"{shown(str(root))}: {problem}. {EXPECTED}")
    settings: dict[str, Any] = {"root": root, "labeled": folders.held["labeled"]}
    usable = {
        key: settle(key, folders.images[key]) for key in ("unlabeled", "validation", "test") if key in folders.held
    }
    settings |= {key: folders.held[key] for key, problem in usable.items() if not problem}
    if "validation" not in settings and "test" not in settings:
        settings |= set_aside(folders.images["labeled"])
    said = [f"{shown(folders.held[key])}: {problem}" for key, problem in usable.items() if problem]
    bare = settings["labeled"] == "."
    if bare and said:  # `.` takes every folder that no key names for a class
        raise DataError(f"{shown(str(root))}: {said[0]}. It lies among the folders of the classes, so it would be a class "
                        f"itself: move it elsewhere. {EXPECTED}")  # fmt: skip
    return Recognized(
        settings=settings, certainty=BARE if bare else SURE, found=(*said, *unused(folders)),
        pool="files into a folder `unlabeled`",
    )  # fmt: skip


def looked_at(root: Path) -> Folders:
    """What lies in a root. Raises `OSError` where it cannot be looked into."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    names = [name for name in names if name not in LITTER]
    held = {key: name for key in NAMES if (name := first_of(key, names))}
    others = [name for name in names if name not in held.values()]
    if "labeled" in held and others and not has_folders(root / held["labeled"]):
        others.append(held.pop("labeled"))  # trains are a class, beside cars and ships
    held = {"labeled": ".", **held}
    kept_out = {str(root / name) for name in held.values() if name != "."}
    listings = {key: list_images(str(root / name), kept_out - {str(root / name)}) for key, name in held.items()}
    return Folders(root, held, others, listings)


def first_of(key: str, names: list[str]) -> str | None:
    """The folder that a key names: of several, the one whose name comes first in `NAMES`."""
    rank = {name: NAMES[key].index(plain) for name in names if (plain := plainly(name)) in NAMES[key]}
    return min(rank, key=lambda name: (rank[name], name), default=None)


def plainly(name: str) -> str:
    """A folder's name as `NAMES` writes it."""
    return name.lower().replace("-", "_").replace(" ", "_")


def has_folders(folder: Path) -> bool:
    """Whether a folder has folders."""
    with os.scandir(folder) as entries:
        return any(entry.is_dir() and not entry.name.startswith(".") for entry in entries)


def settle(key: str, found: Listing) -> str:
    """Why a folder cannot be what its name says; empty: it can."""
    if not len(found):
        return "not used, as there is no image in it"
    if key == "unlabeled" or not found.loose:
        return ""
    loose = counted(len(found.loose), "image")
    return f"not used to measure, as {loose} in it lie in no folder of a class; `sslkit predict` classifies such images"


def set_aside(labeled: Listing) -> dict[str, Any]:
    """Labels to validate by, where there is nothing else to measure by and there are enough of them."""
    smallest = min(len(labeled.images[name]) for name in labeled.folders if labeled.images[name])
    return {"validation": SET_ASIDE} if smallest >= ENOUGH else {}


def unused(folders: Folders) -> Iterator[str]:
    """Folders that no key names, and that are no classes."""
    if folders.others and folders.held["labeled"] != ".":
        yield f"not used: {listed(folders.others)}, whose names say neither labeled nor unlabeled"


def lack(folders: Folders) -> str:
    """Why nothing can be trained from images that are there; empty: it can."""
    found, name = folders.images["labeled"], folders.held["labeled"]
    classes = [folder for folder in found.folders if found.images[folder]]
    inside = nested(folders) if name == "." else []
    if inside:
        return f"its images lie a folder deeper. Did you mean {listed(str(folders.root / one) for one in inside)}?"
    if len(classes) > 1:
        return ""
    place = "it" if name == "." else shown(name)
    if classes:
        return f"{place} has one class, {shown(classes[0])}; a classifier needs two at least"
    if len(found):
        return f"{place} has {counted(len(found), 'image')} and no folder for a class"
    return "no image is labeled, so nothing says what there is to tell apart"


def nested(folders: Folders) -> list[str]:
    """Folders that hold a folder of labeled images themselves, as archives leave them."""

    def inside(name: str) -> list[str]:
        with os.scandir(folders.root / name) as entries:
            return [entry.name for entry in entries if entry.is_dir()]

    return [name for name in folders.others if first_of("labeled", inside(name))]
