"""Folders of a recipe's `[data]` table as lists of images, and all that can be wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sslkit.errors import DataError, MissingData

from .listing import Listing, list_images, printable

SHOWN = 8
"Names listed in a message."
ALIKE = (("labeled", "unlabeled"), ("validation", "test"))
"Keys that may name one and the same folder."


@dataclass(frozen=True, eq=False)
class Part:
    """Images by their ids, and their classes; -1: not known."""

    ids: list[str]
    truth: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, position: NDArray[np.int64]) -> Part:
        """Those at `position` (M,)."""
        return Part([self.ids[i] for i in position.tolist()], self.truth[position])

    def __add__(self, other: Part) -> Part:
        return Part([*self.ids, *other.ids], np.concatenate([self.truth, other.truth]))

    @classmethod
    def empty(cls) -> Part:
        """No image."""
        return cls([], np.zeros(0, np.int64))


@dataclass(eq=False)
class Layout:
    """The folders that a recipe names, by key (`labeled`, `test`), below a root that is there."""

    where: str  # begins messages
    root: str
    named: dict[str, str]  # as the recipe says them
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not Path(self.root).is_dir():
            raise self._no_root()
        self.prefix = {key: prefix(self.root, name) for key, name in self.named.items()}
        for key, at in self.prefix.items():
            twin = next((k for k in self.prefix if k < key and self.prefix[k] == at), None)
            if twin and (twin, key) not in ALIKE and (key, twin) not in ALIKE:
                raise self.error(
                    f"`{twin}` and `{key}` name the same folder, {shown(at)}: images that are trained on measure nothing"
                )

    def error(self, problem: str) -> DataError:
        """The error to raise."""
        return DataError(f"{self.where}: {problem}")

    def _no_root(self) -> DataError:
        root = Path(self.root)
        if root.exists():
            return self.error(f"`root` is a folder; {shown(self.root)} is a file" + ", to be unpacked first?" * (
                root.suffix.lower() in (".zip", ".tar", ".gz", ".tgz")))  # fmt: skip
        beside = [entry.name for entry in root.parent.iterdir() if entry.is_dir()] if root.parent.is_dir() else []
        wanted = "; ".join(
            f"{key}: {shown(f'{root.name}/{name}')}/{'FILE' if key == 'unlabeled' else 'CLASS/FILE'}"
            for key, name in self.named.items()
        )
        return MissingData(
            f"{self.where}: there is no folder {shown(self.root)}, which `root` names (from the recipe's folder). "
            f"Its images are expected as {wanted}{near(root.name, beside)}"
        )

    # What a folder holds ------------------------------------------------------------------------------------------

    def listing(self, key: str) -> Listing:
        """The images of the folder that a key names, those of other keys' folders inside it left out."""
        folder = Path(self.root, self.prefix[key])
        others = {str(Path(self.root, at)) for at in self.prefix.values() if at != self.prefix[key]}
        if not folder.is_dir():
            raise self._no_folder(key, folder)
        try:
            found = list_images(str(folder), others)
        except OSError as error:
            place = printable(str(error.filename or folder))
            raise self.error(f"the folder {place} cannot be looked into: {error.strerror}") from error
        self.skipped += found.skipped
        if not len(found) and not any(found.images):
            rest = f" ({kinds(found.skipped)})" if found.skipped else ""
            raise self.error(f"`{key}`: {shown(self.named[key])} holds no image{rest}")
        return found

    def _no_folder(self, key: str, folder: Path) -> DataError:
        name = shown(self.named[key])
        if folder.exists():
            return self.error(f"`{key}` names a folder; {name} is a file")
        parent = folder.parent if folder.parent.is_dir() else Path(self.root)
        there = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
        have = f"its folders: {listed(there)}" if there else "it has no folder"
        return self.error(
            f"`{key}` = {name}: there is no such folder in {shown(str(parent))}; {have}{near(folder.name, there)}"
        )

    def ids(self, key: str, names: Iterable[str]) -> list[str]:
        """Names below a key's folder as ids."""
        at = self.prefix[key]
        return list(names) if at == "." else [f"{at}/{name}" for name in names]


def prefix(root: str, name: str) -> str:
    """How ids of a folder begin: its path below `root`, or, where it lies outside, as the recipe says it."""
    path = os.path.normpath(name)
    below = Path(path)
    return below.relative_to(root).as_posix() if below.is_relative_to(root) else below.as_posix()


# The three ways to read one -----------------------------------------------------------------------------------------


def training(layout: Layout) -> tuple[tuple[str, ...], Part]:
    """The classes, which are the folders of `labeled`, and its images. Raises `DataError` where it has fewer than two."""
    found = layout.listing("labeled")
    name = layout.named["labeled"]
    folders = [folder for folder in found.images if folder]
    if len(folders) < 2:
        raise layout.error(too_few(name, found, folders))
    if empty := [folder for folder in folders if not found.images[folder]]:
        raise layout.error(
            f"`labeled`: no image in {listed(f'{name}/{folder}' for folder in empty)}: a class needs some to be learned "
            "from; fill its folder, or take it away"
        )
    classes = tuple(map(printable, folders))
    if twins := [label for label, count in Counter(classes).items() if count > 1]:
        raise layout.error(f"`labeled`: several folders of {shown(name)} are called {listed(twins)}, in other bytes")
    same = Counter(map(str.casefold, classes))
    if alike := [label for label in classes if same[label.casefold()] > 1]:
        layout.notes.append(f"the classes {listed(alike)} differ in upper and lower case alone")
    if loose := found.images.get(""):
        layout.notes.append(f"{len(loose):,} images of {shown(name)} lie in no class's folder, and are left out")
    return classes, part(layout, "labeled", found, classes)


def too_few(name: str, found: Listing, folders: Sequence[str]) -> str:
    """What to say of a labeled folder with one class or none."""
    if not folders:
        return (
            f"`labeled`: {shown(name)} has {len(found):,} images, but no folders: each class's images belong in a folder "
            f"of its name, as in {shown(name)}/CLASS/{printable(next(iter(found.images['']))) if len(found) else 'FILE'}"
        )
    inside = {path.partition("/")[2].rpartition("/")[0].partition("/")[0] for path in found.images[folders[0]]} - {""}
    deeper = (
        f"; is `labeled` {shown(f'{name}/{folders[0]}')}, with {listed(sorted(inside))}?" if len(inside) > 1 else ""
    )
    return f"`labeled`: {shown(name)} has one class, {shown(folders[0])}; a classifier needs two{deeper}"


def known(layout: Layout, key: str, classes: Sequence[str]) -> Part:
    """A folder for validation or testing: each of its folders is a class of training. Raises `DataError` for others."""
    found = layout.listing(key)
    name, folders = layout.named[key], [folder for folder in found.images if folder and found.images[folder]]
    if found.images.get(""):
        raise layout.error(
            f"`{key}`: {len(found.images['']):,} images lie directly in {shown(name)}, e.g. "
            f"{printable(found.images[''][0])}; each belongs in a folder of its class's name, as in `labeled`"
        )
    if strange := [folder for folder in map(printable, folders) if folder not in classes]:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise layout.error(
            f"`{key}`: {shown(name)} has a folder {shown(strange[0])}{more}, which is no class of "
            f"{shown(layout.named['labeled'])}; its classes: {listed(classes)}{near(strange[0], classes)}"
        )
    return part(layout, key, found, classes)


def part(layout: Layout, key: str, found: Listing, classes: Sequence[str]) -> Part:
    """Images with the classes whose names their folders have. Those in no folder: only where no class is asked of them."""
    numbers = {label: number for number, label in enumerate(classes)}
    ids, truth = list[str](), [np.zeros(0, np.int64)]
    for folder, names in found.images.items():
        if folder or key == "unlabeled":
            ids += layout.ids(key, names)
            truth.append(np.full(len(names), numbers.get(printable(folder), -1)))
    return Part(ids, np.concatenate(truth))


# Words --------------------------------------------------------------------------------------------------------------


def shown(name: str) -> str:
    """A name as messages have it."""
    return f"`{printable(name)}`"


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more."""
    names = list(names)
    more = [f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return ", ".join([*map(shown, names[:SHOWN]), *more])


def near(name: str, choices: Iterable[str]) -> str:
    """`. Did you mean ...?`, if a choice resembles the name."""
    lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), lower, n=1)
    return f". Did you mean {shown(lower[close[0]])}?" if close else ""


def kinds(skipped: Counter[str]) -> str:
    """`12 .txt, 3 hidden`."""
    return ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    )
