"""Copies of shipped recipes that work from where they lie."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import SslkitError
from ..recipe.read import extendable

SCHEMA = re.compile(r"\A#:schema[ \t]+(?P<path>\S+\.json)[ \t]*$", re.MULTILINE)
"What a recipe's first line tells editors."
TEXT = r"""(?:"[^"\n]*"|'[^'\n]*')"""
NAMING = re.compile(
    rf"^[ \t]*(?:extends|base|recipe)[ \t]*=[ \t]*(?:{TEXT}|\[(?:[ \t\n]*{TEXT}[ \t\n]*,?)*[ \t\n]*\])", re.MULTILINE
)
"Keys that name another recipe, or several."
NAME = re.compile(r"""(?P<quote>["'])(?P<name>[^"'\n]+)(?P=quote)""")


@dataclass(frozen=True)
class Copied:
    """What was written: the recipe, and the schema beside it, or why not."""

    path: Path
    schema: Path | None = None
    "The schema that the recipe's first line names."
    fresh: bool = False
    "Whether the schema was written now; it is left alone where it lies already."


def destination(name: str, given: Path | None) -> Path:
    """Where a copy goes: by default NAME.toml; into a folder under that name, or where `given` says.

    Raises `SslkitError` for a name that is no recipe's.
    """
    path = Path(f"{name}.toml") if given is None else given
    if path.is_dir():
        return path / f"{Path(name).name}.toml"
    if path.suffix != ".toml":
        raise SslkitError(f"{path}: a recipe is a `.toml` file, and there is no folder of this name\n"
                          f"  Did you mean `{path}.toml`?")  # fmt: skip
    return path


def copy(source: Path, path: Path, force: bool = False) -> Copied:
    """Write a shipped recipe or study to a path, folders included, so that it means the same from there.

    Raises `SslkitError` where a file is in the way (unless `force`), and where nothing can be written.
    """
    text = relocated(source)
    schema = schema_of(source)
    written(path, text.encode(), force)
    if schema is None:
        return Copied(path)
    beside = path.with_name(schema.name)
    fresh = not beside.exists()
    if fresh:
        written(beside, schema.read_bytes(), force=False)
    return Copied(path, beside, fresh)


def relocated(source: Path) -> str:
    """A recipe's text for any other folder: shipped recipes by name, the schema beside it, all else as it is."""
    names = {path.resolve(): name for name, path in extendable().items()}

    def by_name(match: re.Match[str]) -> str:
        name = names.get((source.parent / match["name"]).resolve(), match["name"])
        return f"{match['quote']}{name}{match['quote']}"

    text = NAMING.sub(lambda said: NAME.sub(by_name, said[0]), source.read_text("utf-8"))
    if schema_of(source) is None:  # a line that names nothing would be an error in every editor
        return SCHEMA.sub("", text, count=1).removeprefix("\n")
    return SCHEMA.sub(lambda match: f"#:schema ./{Path(match['path']).name}", text, count=1)


def schema_of(source: Path) -> Path | None:
    """The schema that a file's first line names, if it is there."""
    match = SCHEMA.search(source.read_text("utf-8"))
    path = source.parent / match["path"] if match else None
    return path if path and path.is_file() else None


def written(path: Path, data: bytes, force: bool = False) -> None:
    """Write a new file, or replace an old one whole. Raises `SslkitError`."""
    if (path.exists() or path.is_symlink()) and not force:
        raise SslkitError(f"{path} is there already; nothing was written\n"
                          "  say another name, or --force to replace it")  # fmt: skip
    aside = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise SslkitError(f"{path} could not be written: {error.strerror or error}") from error
