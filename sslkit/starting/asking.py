"""Which data plugin can open a folder: each is asked, the surest is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError, PluginError, RecipeError, SslkitError, told
from ..images.words import near, printable, shown
from ..registry import find, names
from .recognized import Recognized

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")


def recognized(folder: Path) -> tuple[str, Recognized]:
    """The data plugin's name, and how it opens the folder. Raises `SslkitError` where none can: why not."""
    look_into(folder)
    answers, problems = dict[str, Recognized](), list[SslkitError]()
    for use in names("data"):
        try:
            if (answer := asked(use, folder)) is not None:
                answers[use] = answer
        except RecipeError:
            continue  # it cannot be imported, and is not needed
        except DataError as problem:
            problems.append(problem)
    if answers:
        use = max(answers, key=lambda name: answers[name].certainty)  # of equals the first by name
        return use, answers[use]
    raise problems[0] if problems else DataError(
        f"{shown(str(folder))}: there is nothing in it that a data plugin knows. Expected are folders of images: "
        "`labeled/CLASS/FILE` and `unlabeled/FILE`. `sslkit plugins list --section data` names the "
        "plugins, which open other formats"
    )  # fmt: skip


def asked(use: str, folder: Path) -> Recognized | None:
    """One plugin's answer. Raises its `DataError`, `PluginError` for other errors, `RecipeError` if it is not there."""
    ask: Any = getattr(find("data", use, folder), "recognize", None)
    if ask is None:
        return None
    try:
        answer = ask(folder)
    except DataError:
        raise
    except Exception as error:
        raise PluginError(f"[data] {use}: recognize: {told(error)}") from error
    if not isinstance(answer, Recognized | None):
        raise PluginError(f"[data] {use}: recognize answered {type(answer).__name__}, expected Recognized or None")
    return answer


def look_into(folder: Path) -> None:
    """Raise `DataError` for what is no folder that can be looked into."""
    name = shown(str(folder))
    try:
        if not any(folder.iterdir()):
            raise DataError(
                f"{name}: the folder is empty. Expected are `labeled/CLASS/FILE` and `unlabeled/FILE` in it"
            )
    except NotADirectoryError as error:
        if folder.suffix.lower() in ARCHIVES:
            hint = "an archive: unpack it, and name the folder that comes out"
        else:
            hint = "a file: name the folder that your images lie in"
            hint += f"; `sslkit run {printable(folder.name)}` runs a recipe" if folder.suffix == ".toml" else ""
        raise DataError(f"{name} is {hint}") from error
    except FileNotFoundError as error:
        there = [one.name for one in folder.parent.iterdir() if one.is_dir()] if folder.parent.is_dir() else []
        raise DataError(f"there is no folder {name}{near(folder.name, there)}") from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"the folder {name} cannot be looked into: {reason}") from error
