"""What lies in a folder of images, by name alone: nothing is opened, so a million files take seconds."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

SUFFIXES = frozenset(
    (".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
     ".tif", ".tiff", ".webp")
)  # fmt: skip
"Names of image files end in one of these, in upper or lower case; what they hold decides how they are decoded."
LITTER = frozenset({"__MACOSX", "@eaDir"})
"Folders that archivers and network drives leave behind."


@dataclass(frozen=True, eq=False)
class Listing:
    """A folder's images by its own folders, `""` for those that lie in none; and how many files are no images."""

    images: dict[str, list[str]]  # paths below the folder, ascending
    skipped: Counter[str] = field(default_factory=Counter)  # by kind

    def __len__(self) -> int:
        return sum(map(len, self.images.values()))


def list_images(folder: str, without: Collection[str] = ()) -> Listing:
    """Everything below `folder`, in an order that no file system decides; the folders `without` are left out.

    Links are followed, but not back into a folder that they lie in. Raises `OSError` where a folder cannot be read.
    """
    images: dict[str, list[str]] = {"": []}
    skipped: Counter[str] = Counter()
    # Path below `folder` -> the true folders that it lies in, itself at the end, and the path that leads there.
    folders: dict[str, tuple[tuple[str, ...], str]] = {"": ((os.path.realpath(folder),), folder)}
    while folders:
        below, (above, path) = folders.popitem()
        top = below.partition("/")[0]
        found = images.setdefault(top, [])
        for entry in entries(path, skipped):
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_file():
                found.append(name)
            elif entry.path not in without:
                true = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
                if true in above:
                    skipped["link back into a folder above it"] += 1
                else:
                    folders[name] = ((*above, true), entry.path)
    ordered = sorted(images, key=natural)
    return Listing({top: sorted(images[top]) for top in ordered if top or images[top]}, skipped)


def entries(path: str, skipped: Counter[str]) -> Iterator["os.DirEntry[str]"]:
    """Images and folders of one folder; the rest is counted. The system says what each is, without looking at it."""
    with os.scandir(path) as found:
        for entry in found:
            kind = unwanted(entry)
            if kind:
                skipped[kind] += 1
            else:
                yield entry


def unwanted(entry: "os.DirEntry[str]") -> str:
    """What an entry is that is neither an image nor a folder to look into; else nothing."""
    name = entry.name
    if name[0] == ".":
        return "hidden"
    suffix = "".join(name.rpartition(".")[1:]).lower() if "." in name else ""
    if entry.is_file():
        return "" if suffix in SUFFIXES else printable(suffix) or "without a suffix"
    if entry.is_dir():
        return f"folder {name}" if name in LITTER else ""
    return "link that leads nowhere" if entry.is_symlink() else "not a regular file"


def natural(name: str) -> tuple[tuple[tuple[bool, int, str], ...], str]:
    """Sort key: numbers within a name by their value, so that 9 comes before 10; the rest by code point."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((bool(i % 2), int(part) if i % 2 else 0, part) for i, part in enumerate(parts)), name


def printable(name: str) -> str:
    """A file's name as it can be shown and compared: one way to write accents, escapes for what is no text."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
