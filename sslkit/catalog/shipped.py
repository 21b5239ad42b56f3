"""What comes with sslkit beside its code, by name: recipes, and in folders of their own studies and sets of metrics."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ..errors import RecipeError
from ..recipe.message import did_you_mean, listed, sentence
from ..recipe.read import PACKAGE, shipped


class Kind(NamedTuple):
    """A kind of shipped file: its folder, with which names begin, and the command that takes a file of it."""

    name: str
    folder: str
    command: Callable[[str], str]


RECIPE = Kind("recipe", "", lambda file: f"sslkit check {file}")
STUDY = Kind("study", "studies/", lambda file: f"sslkit study {file}")
METRICS = Kind("set of metrics", "metrics/", lambda file: f"sslkit evaluate RUN --metrics {file}")


def of_kind(kind: Kind) -> dict[str, Path]:
    """Shipped files of a kind, by name: `noisy_things`, `studies/noisy_things`."""
    if kind is RECIPE:
        return shipped()
    try:
        folder = Path(str(resources.files(PACKAGE))) / kind.folder
    except ModuleNotFoundError:
        return {}
    return {f"{kind.folder}{path.stem}": path for path in sorted(folder.glob("*.toml"))}


def everything() -> dict[str, tuple[Kind, Path]]:
    """Every shipped file, recipes first."""
    return {name: (kind, path) for kind in (RECIPE, STUDY, METRICS) for name, path in of_kind(kind).items()}


def find(name: str) -> tuple[Kind, Path]:
    """A shipped file, with or without `.toml`; without its folder where no recipe has the name.

    Raises `RecipeError` for a name that nothing has.
    """
    known = everything()
    bare = name.removesuffix(".toml")
    short = {full.rpartition("/")[2]: full for full in reversed(known)}
    if (full := bare if bare in known else short.get(bare, "")) in known:
        return known[full]
    starting = [f"`{full}`" for full in known if bare and full.rpartition("/")[2].startswith(bare)]
    hint = f"Did you mean {' or '.join(starting[:4])}?" if starting else ""
    hint = hint or did_you_mean(bare, known) or did_you_mean(Path(bare).name, known)
    there = sentence(f"there are: {listed(known)}.", hint)
    raise RecipeError(f"no recipe called `{name[:200]}` comes with sslkit\n  {there}")


def found(name: str) -> tuple[Kind | None, Path]:
    """The same, or the file at a path, of whatever kind. Raises `RecipeError` where neither is there."""
    path = Path(name)
    try:
        return (None, path) if path.is_file() else find(name)
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise RecipeError(f"{name[:200]!r}: cannot be read: {error}") from error
