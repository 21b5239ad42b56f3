"""Images with their classes, from folders that have the classes' names; and all that can be wrong with those."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sslkit import OUTSIDE, UNKNOWN
from sslkit.images.listing import Listing
from sslkit.images.words import counted, listed, near, printable, shown

from .folders import Layout


@dataclass(frozen=True, eq=False)
class Part:
    """Images by their ids, and their classes: numbers, or `UNKNOWN`, `OUTSIDE`."""

    ids: list[str]
    truth: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: Part) -> Part:
        return Part([*self.ids, *other.ids], np.concatenate([self.truth, other.truth]))


NOTHING = Part([], np.zeros(0, np.int64))


def labeled(layout: Layout) -> tuple[tuple[str, ...], Part]:
    """The classes, which are the folders of `labeled`, and its images. Raises `DataError` where it cannot train."""
    found = layout.listing("labeled")
    name, folders = layout.named["labeled"], found.folders
    if len(folders) < 2:
        raise layout.error(f"`labeled`: {one_class(name, found) if folders else no_class(name, found)}")
    if empty := [f"{name}/{folder}" for folder in folders if not found.images[folder]]:
        raise layout.error(
            f"`labeled`: there is no image in {listed(empty)}. Put some there, or remove the folder: there is nothing "
            "to learn such a class from"
        )
    classes = tuple(map(printable, folders))
    if twins := [label for label, count in Counter(classes).items() if count > 1]:
        raise layout.error(
            f"`labeled`: {shown(name)} has several folders {listed(twins)}, whose accents are encoded differently"
        )
    return classes, part(layout, "labeled", found, classes)


def tested(layout: Layout) -> tuple[str, ...]:
    """The classes where there are test images alone: the folders of `test`. Raises `DataError` where there are none."""
    found = layout.listing("test")
    layout.skipped -= found.skipped  # they are counted when the images are taken
    if not found.folders:
        raise layout.error(f"`test`: {no_class(layout.named['test'], found)}")
    return tuple(map(printable, found.folders))


def no_class(name: str, found: Listing) -> str:
    """What is wrong with images that lie in no folder."""
    return (
        f"{shown(name)} has {counted(len(found), 'image')} but no folders: the images of a class belong in a folder of "
        f"its name, as in {shown(f'{name}/CLASS/{found.loose[0]}')}"
    )


def one_class(name: str, found: Listing) -> str:
    """What is wrong with a single class: often there is a folder between."""
    only = found.folders[0]
    inside = sorted({path.split("/")[1] for path in found.images[only] if path.count("/") > 1})
    hint = f". Did you mean {shown(f'{name}/{only}')}, which has {listed(inside)}?" if len(inside) > 1 else ""
    return f"{shown(name)} has one class, {shown(only)}; a classifier needs two{hint}"


def measured(layout: Layout, key: str, classes: Sequence[str]) -> Part:
    """A folder to validate or test on; each folder in it is a class of training. Raises `DataError` for others."""
    found = layout.listing(key)
    known, folders = set(classes), [printable(folder) for folder in found.folders if found.images[folder]]
    if loose := found.loose:
        raise layout.error(
            f"`{key}`: {counted(len(loose), 'image')} of {layout.name(key)} (e.g. {shown(loose[0])}) in no class's "
            "folder. Images whose class is not known measure nothing, but they can be `unlabeled`"
        )
    if strange := [folder for folder in folders if folder not in known]:
        raise layout.error(
            f"`{key}`: {layout.name(key)} has {listed(strange)}, which {layout.name('labeled')} has not; its classes "
            f"are {listed(classes)}{near(strange[0], classes)}"
        )
    return part(layout, key, found, classes)


def part(layout: Layout, key: str, found: Listing, classes: Sequence[str], outside: Sequence[str] = ()) -> Part:
    """Images with the classes that their folders are named after. Those in no folder are unlabeled, or left out.

    Those in the folders `outside` are of none of the classes.
    """
    numbers = {label: number for number, label in enumerate(classes)} | dict.fromkeys(outside, OUTSIDE)
    ids, truth = list[str](), [NOTHING.truth]
    for folder, names in found.images.items():
        if folder or key == "unlabeled":
            ids += layout.ids(key, names)
            truth.append(np.full(len(names), numbers.get(printable(folder), UNKNOWN)))
        else:
            layout.skipped["images in no class's folder"] += len(names)
    return Part(ids, np.concatenate(truth))
