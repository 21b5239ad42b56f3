"""Samples in tars, as WebDataset lays them out: files of one name up to the first dot belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sslkit.errors import DataError
from sslkit.images.listing import SUFFIXES, natural
from sslkit.images.tars import Tar
from sslkit.images.words import counted, listed, shown

RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")


@dataclass(frozen=True)
class Sample:
    """Files of a tar that belong together: their numbers in it, by suffix."""

    key: str
    files: dict[str, int]

    def place(self, tar: Tar) -> str:
        """How messages name it."""
        return f"the sample {shown(self.key)} in {shown(tar.path)}"

    def image(self, tar: Tar, suffix: str | None) -> int:
        """The number of its image: the file with this suffix, or with that of an image. Raises `DataError` but for one."""
        images = [name for name in self.files if (name == suffix if suffix else f".{name}" in SUFFIXES)]
        if len(images) == 1:
            return self.files[images[0]]
        has = listed(f".{name}" for name in self.files)
        if images:
            raise DataError(
                f"{self.place(tar)} has {len(images)} images, {listed(f'.{name}' for name in images)}; say which is meant "
                f'with `image = "{images[0]}"`'
            )
        wanted = f"no file .{suffix}" if suffix else "no image"
        dots = ". What is behind the first dot of a file's name is its kind, so that names may have no other dots"
        several = any("." in name for name in self.files)
        raise DataError(f"{self.place(tar)} has {wanted}, only {has}{dots if several else ''}")


def split_name(name: str) -> tuple[str, str] | None:
    """A file's key and suffix, `a/b.seg.png` -> (`a/b`, `seg.png`); None where it has none, or is hidden, or about a tar.

    As WebDataset does it: the suffix in lower case, and what begins with a name in double underscores is left out.
    """
    folder, slash, base = name.rpartition("/")
    key, dot, suffix = base.partition(".")
    if not key or not dot or re.match(r"__[^/]*__($|/)", name):
        return None
    return f"{folder}{slash}{key}", suffix.lower()


def samples(tar: Tar, skipped: Counter[str]) -> list[Sample]:
    """The samples of a tar, by where the first file of each lies; what belongs to none is counted.

    Raises `DataError` where a sample has two files of one suffix.
    """
    found: dict[str, Sample] = {}
    for number, name in enumerate(tar.names):
        parts = split_name(name)
        if parts is None:
            skipped["files of no sample"] += 1
            continue
        sample = found.setdefault(parts[0], Sample(parts[0], {}))
        if parts[1] in sample.files:
            raise DataError(f"{sample.place(tar)} has two files .{parts[1]}, the second one {shown(name)}")
        sample.files[parts[1]] = number
    skipped.update(tar.skipped)
    return list(found.values())


# Which tars -----------------------------------------------------------------------------------------------------------


def expanded(pattern: str) -> Iterator[str]:
    """A pattern without its braces: `{a,b}` one after another, `{08..11}` all numbers between, as wide as the first."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    inside = found[1] if found else ""
    numbers = RANGE.fullmatch(inside)
    if not found or not (numbers or "," in inside):
        yield pattern
        return
    choices = between(*numbers.groups()) if numbers else inside.split(",")
    for choice in choices:
        yield from expanded(f"{pattern[: found.start()]}{choice}{pattern[found.end() :]}")


def between(first: str, last: str) -> Iterator[str]:
    """`08` to `11`, with zeros in front where the first or last number has some."""
    width = max(len(first), len(last)) if "0" in (first[0], last[0]) and max(len(first), len(last)) > 1 else 0
    low, high = int(first), int(last)
    for number in range(low, high + 1) if low <= high else range(low, high - 1, -1):
        yield f"{number:0{width}}"


def tars_of(root: Path, pattern: str) -> list[str]:
    """Paths below `root` of the tars that a pattern names: a folder's, those that match `*`, or one for each in braces.

    In natural order, but those in braces as they are written. Raises `DataError` where there are none, or one is missing.
    """
    found, missing = list[str](), list[str]()
    for name in expanded(pattern):
        here = sorted((path.relative_to(root).as_posix() for path in matching(root, name)), key=natural)
        found += here
        missing += [] if here else [name]
    if missing and found:
        raise DataError(f"there is no {listed(missing)} in {shown(str(root))}, though {counted(len(found), 'other')} of "
                        f"{shown(pattern)} are there")  # fmt: skip
    if not found:
        there = sorted((path.relative_to(root).as_posix() for path in root.glob("**/*.tar")), key=natural)
        have = f"its tars are {listed(there)}" if there else "there is none at all"
        raise DataError(f"there is no tar {shown(pattern)} in {shown(str(root))}; {have}")
    return list(dict.fromkeys(found))


def matching(root: Path, name: str) -> list[Path]:
    """The files that a name, or a name with `*`, names; of a folder, its tars."""
    path = root / name
    if path.is_dir():
        return [*path.glob("*.tar")]
    if path.exists():
        return [path]
    try:
        return [path for path in root.glob(name) if path.is_file()]
    except (ValueError, NotImplementedError) as error:  # of an empty one, or an absolute one
        raise DataError(f"{shown(name)} names no tars: {error}") from error
