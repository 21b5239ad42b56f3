"""What lies in a folder of images, by name alone: nothing is opened, so a million files take seconds."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from .remembered import FOLDER
from .words import printable

SUFFIXES = frozenset(
    (".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
     ".tif", ".tiff", ".webp")
)  # fmt: skip
"Names of image files end in one of these, in upper or lower case; what they hold decides how they are decoded."
LITTER = frozenset({"__MACOSX", "@eaDir"})
"Folders that archivers and network drives leave behind."
LOOP, DEAD = "links back into a folder above", "links that lead nowhere"
ELSEWHERE = "links into a folder that is used otherwise"


@dataclass(frozen=True, eq=False)
class Listing:
    """A folder's images by the folders in it (`""`: in none), and how many entries are no images, by kind."""

    images: dict[str, list[str]]  # paths below the folder, ascending; its folders in natural order, empty ones too
    skipped: Counter[str]

    def __len__(self) -> int:
        return sum(map(len, self.images.values()))

    @property
    def folders(self) -> list[str]:
        """The folders that lie in it directly."""
        return [folder for folder in self.images if folder]

    @property
    def loose(self) -> list[str]:
        """Images that lie in none of them."""
        return self.images.get("", [])


def list_images(
    folder: str, without: Collection[str] = (), closed: Callable[[str, OSError], None] | None = None
) -> Listing:
    """Everything below `folder`, in an order that no file system decides; the folders `without` are left out.

    Links are followed, but not back into a folder that they lie in, nor into one of `without`. Raises `OSError` where a
    folder cannot be read; `closed` is told instead of those below `folder`, by their paths below it.
    """
    images: dict[str, list[str]] = {"": []}
    skipped: Counter[str] = Counter()
    # Path below `folder` -> the path that leads there, and the true folders that it lies in, its own at the end.
    ahead: dict[str, tuple[str, tuple[str, ...]]] = {"": (folder, (os.path.realpath(folder),))}
    others = {os.path.realpath(path) for path in without if "\0" not in path}  # which no file system takes
    while ahead:
        below, (path, above) = ahead.popitem()
        found = images.setdefault(below.partition("/")[0], [])
        for entry in entries(path, skipped, partial(closed, below) if closed and below else None):
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_file():
                found.append(name)
            elif entry.path not in without:
                true = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
                if true in above or within(above[0], {true}):
                    skipped[LOOP] += 1
                elif entry.is_symlink() and within(true, others - set(above)):
                    skipped[ELSEWHERE] += 1
                else:
                    ahead[name] = (entry.path, (*above, true))
    return Listing({top: sorted(images[top]) for top in sorted(images, key=natural)}, skipped)


def within(path: str, folders: Collection[str]) -> bool:
    """Whether a true path is one of the folders, or lies in one."""
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def entries(
    path: str, skipped: Counter[str], closed: Callable[[OSError], None] | None = None
) -> Iterator["os.DirEntry[str]"]:
    """Images and folders of one folder; the rest is counted. The system lists what each is, so none is looked at.

    `closed` is told where the folder cannot be read; without, the `OSError` is raised.
    """
    try:
        listing = os.scandir(path)
    except OSError as error:
        if closed is None:
            raise
        closed(error)
        return
    with listing as found:
        for entry in found:
            kind = unwanted(entry)
            if not kind:
                yield entry
            elif entry.name != FOLDER:  # what was remembered of these images, by sslkit itself
                skipped[kind] += 1


def unwanted(entry: "os.DirEntry[str]") -> str:
    """What an entry is that is neither an image nor a folder to look into; else nothing."""
    name = entry.name
    if name[0] == ".":
        return "hidden"
    try:
        if entry.is_file():
            dot = name.rfind(".")
            suffix = name[dot:].lower() if dot > 0 else ""
            return "" if suffix in SUFFIXES else printable(suffix) or "without a suffix"
        if entry.is_dir():
            return f"folders {name}" if name in LITTER else ""
    except OSError:  # a link to itself
        return DEAD
    return DEAD if entry.is_symlink() else "neither files nor folders"


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sort key: numbers within a name by their value, so that 9 comes before 10; the rest by code point."""
    parts = re.split("([0-9]+)", name)
    return tuple((int(part) if i % 2 else 0, part) for i, part in enumerate(parts)), name
