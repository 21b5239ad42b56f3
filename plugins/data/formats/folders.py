"""The folders that a recipe names: where they are, what is in them, and what to say where they are not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sslkit.errors import DataError, MissingData
from sslkit.images.listing import Listing, list_images
from sslkit.images.words import listed, near, printable, shown, tally

ALIKE = ({"labeled", "unlabeled"}, {"validation", "test"})
"Keys that may name one and the same folder."
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")


@dataclass(eq=False)
class Layout:
    """The folders that a recipe names, by key (`labeled`, `test`), below a root.

    Raises `MissingData` where there is no root, `DataError` where one folder is to train and to measure.
    """

    where: str  # begins messages
    root: str
    named: dict[str, str]  # as the recipe says them
    classes: int = 0  # how many there are to be; 0: not known
    skipped: Counter[str] = field(default_factory=Counter)  # what was no image so far, by kind

    def __post_init__(self) -> None:
        if not is_there(Path(self.root), Path.is_dir):
            raise self._no_root()
        self.prefix = {key: prefix(self.root, name) for key, name in self.named.items()}
        for key, at in self.prefix.items():
            for other in self.prefix:
                if other != key and self.prefix[other] == at and {key, other} not in ALIKE:
                    raise self.error(
                        f"`{key}` and `{other}` name the same folder, {shown(at)}; images that train measure nothing"
                    )

    def error(self, problem: str) -> DataError:
        """The error to raise."""
        return DataError(f"{self.where}: {problem}")

    def name(self, key: str) -> str:
        """A key's folder, as messages have it; the root by its own name."""
        return shown(self.named[key] if self.prefix[key] != "." else Path(self.root).name)

    def same(self, key: str, other: str) -> bool:
        """Whether two keys name one folder."""
        return key in self.prefix and self.prefix[key] == self.prefix.get(other)

    def there(self, key: str) -> bool:
        """Whether a key names a folder that is there."""
        return key in self.prefix and is_there(Path(self.root, self.prefix[key]), Path.is_dir)

    def ids(self, key: str, names: list[str]) -> list[str]:
        """Paths below a key's folder as ids: paths below the root."""
        at = self.prefix[key]
        return names if at == "." else [f"{at}/{name}" for name in names]

    def listing(self, key: str) -> Listing:
        """The images of the folder that a key names; other keys' folders inside it are left out.

        Raises `DataError` where it is not there, cannot be looked into, or has no image.
        """
        folder = Path(self.root, self.prefix[key])
        if not is_there(folder, Path.is_dir):
            raise self.error(self.lack(key))
        try:
            found = list_images(str(folder), {str(Path(self.root, at)) for at in self.prefix.values()})
        except OSError as error:
            place = shown(str(error.filename or folder))
            raise self.error(f"the folder {place} cannot be looked into: {error.strerror or error}") from error
        self.skipped += found.skipped
        if not len(found):
            rest = f", only {tally(found.skipped)}" if found.skipped else ""
            raise self.error(f"`{key}`: there is no image in {self.name(key)}{rest}")
        return found

    def remarks(self) -> tuple[str, ...]:
        """What a run's output says beside where the images of each split come from."""
        skipped = +self.skipped
        return (f"left out: {tally(skipped)}",) if skipped else ()

    # What is not there --------------------------------------------------------------------------------------------

    def _no_root(self) -> DataError:
        root = Path(self.root)
        if is_there(root):
            hint = "; unpack it, and name the folder" if root.suffix.lower() in ARCHIVES else ""
            return self.error(f"`root` takes a folder; {shown(self.root)} is a file{hint}")
        wanted = ", ".join(
            f"{printable(f'{root.name}/{name}')}/{'...' if key == 'unlabeled' else 'CLASS'}/FILE ({key})"
            for key, name in self.named.items()
        )
        return MissingData(
            f"{self.where}: there is no folder {shown(self.root)} (`root`, from the recipe's folder; on the command line, "
            f"--set data.root=PATH). Expected are images as {wanted}{near(root.name, folders_in(root.parent))}",
            self.classes or None,
        )

    def lack(self, key: str) -> str:
        """What is where a key's folder should be, and what may have been meant."""
        folder = Path(self.root, self.prefix[key])
        if is_there(folder):
            return f"`{key}` takes a folder; {shown(str(folder))} is a file"
        parent = folder.parent if is_there(folder.parent) else Path(self.root)
        there = folders_in(parent)
        have = f"its folders are {listed(there)}" if there else "it has none"
        near_it = near(folder.name, there)
        return f"`{key}` names {self.name(key)}, but there is no such folder in {shown(str(parent))}; {have}{near_it}"


def prefix(root: str, name: str) -> str:
    """How ids of a folder begin: its path below `root`, or, where it lies outside, as the recipe says it."""
    path, above = Path(os.path.normpath(name)), os.path.normpath(root)
    return path.relative_to(above).as_posix() if path.is_relative_to(above) else path.as_posix()


def is_there(path: Path, look: Callable[[Path], bool] = Path.exists) -> bool:
    """Whether something is there; a name that no file system takes names nothing."""
    try:
        return look(path)
    except (OSError, ValueError):
        return False


def folders_in(path: Path) -> list[str]:
    """Names of the folders in a folder, ascending; none where there is no such folder, or it cannot be looked into."""
    try:
        return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except (OSError, ValueError):
        return []
