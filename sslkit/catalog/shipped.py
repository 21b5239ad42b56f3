"""Recipes and studies that come with sslkit, by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ..errors import RecipeError
from ..recipe.message import did_you_mean, listed, sentence
from ..recipe.read import PACKAGE, shipped

STUDIES = "studies/"
"What names of studies begin with: a recipe may have the same name."


def studies() -> dict[str, Path]:
    """Studies that are installed with sslkit, by name."""
    try:
        folder = Path(str(resources.files(PACKAGE))) / STUDIES
    except ModuleNotFoundError:
        return {}
    return {f"{STUDIES}{path.stem}": path for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a shipped recipe or study, with or without `.toml`. Raises `RecipeError` for any other name."""
    known = {**{path.stem: path for path in studies().values()}, **shipped(), **studies()}
    if (bare := name.removesuffix(".toml")) in known:
        return known[bare]
    names = [*shipped(), *studies()]
    hint = did_you_mean(bare, names) or did_you_mean(Path(bare).name, names)
    raise RecipeError(
        f"no recipe called `{name}` comes with sslkit\n  " + sentence(f"there are: {listed(names)}.", hint)
    )


def found(name: str) -> Path:
    """The same, or the file at a path. Raises `RecipeError` where neither is there."""
    path = Path(name)
    try:
        return path if path.is_file() else find(name)
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise RecipeError(f"{name[:200]!r}: cannot be read: {error}") from error


def is_study(path: Path) -> bool:
    """Whether a shipped file is a study."""
    return path in studies().values()
