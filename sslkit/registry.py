"""Finds plugins by name, without importing those that no recipe names."""

from __future__ import annotations

import hashlib
import re
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from .errors import RecipeError
from .hookspecs import SECTIONS
from .recipe.content import beside, content, is_file, why
from .recipe.message import did_you_mean, listed, sentence, visible, words_of

FILE = re.compile(r"(?P<path>.+\.py):(?P<cls>\w+)")
"`use` of a plugin in a file: `./fog.py:Fog`."
LARGEST = 1 << 24  # bytes of a plugin's file; far beyond any that a person wrote


class Available(NamedTuple):
    """A plugin that a recipe may name."""

    section: str
    name: str
    package: str
    version: str
    target: str


def names(section: str) -> list[str]:
    """Names that `use` may have in a section, in order."""
    return sorted(_points(section))


def available() -> list[Available]:
    """Every installed plugin with its package, by section and name."""
    found = [(section, point) for section in SECTIONS for ps in _points(section).values() for point in ps]
    return sorted(Available(section, p.name, *_package(p), p.value) for section, p in found)


def named(section: str, name: str) -> list[Available]:
    """Installed plugins of a name; more than one: several packages provide it."""
    return [Available(section, name, *_package(point), point.value) for point in _points(section).get(name, [])]


def rivals(section: str, name: str) -> list[tuple[Available, type]]:
    """The classes that several packages provide under one name, of which none can be used; empty: it is one's alone.

    Raises `RecipeError` for one that cannot be imported.
    """
    points = _points(section).get(name, [])
    if len({point.value for point in points}) < 2:
        return []
    return [(Available(section, name, *_package(p), p.value), _loaded(p)) for p in sorted(points, key=_package)]


def find(section: str, use: str, folder: Path) -> type:
    """The class behind `use`: an installed plugin's name, or `./file.py:Class` from `folder`.

    Raises `RecipeError`, its first line what is wrong, further ones what would be right.
    """
    if match := FILE.fullmatch(use):
        module = _module(folder / match["path"])
        found = vars(module).get(match["cls"])
        if not isinstance(found, type):
            classes = [name for name, value in vars(module).items() if isinstance(value, type)]
            hint = did_you_mean(match["cls"], classes)
            raise RecipeError(f"{Path(match['path']).name} defines no class `{match['cls']}`\n{hint}".rstrip())
        return found
    points = _points(section).get(use)
    if not points:
        raise RecipeError(_unknown(section, use))
    if len({point.value for point in points}) > 1:
        packages = sorted(" ".join(_package(point)) for point in points)
        raise RecipeError(f"`{use}` is provided by several packages\n{listed(packages)}: uninstall all but one")
    return _loaded(points[0])


def heading(section: str) -> str:
    """A section as recipes write it: `[data]`, `[[noise]]`."""
    return f"[{section}]" if section in ("data", "model", "step") else f"[[{section}]]"


def default_name(use: str) -> str:
    """What a plugin is called when its table gives no `name`: `use`, or a class's name in small letters."""
    match = FILE.fullmatch(use)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", match["cls"]).lower() if match else use


def _points(section: str) -> dict[str, list[EntryPoint]]:
    """A section's entry points by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in _installed(f"sslkit.{section}", tuple(sys.path)):
        found.setdefault(point.name, []).append(point)
    return found


@cache
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """A group's entry points; looking through the installed packages takes milliseconds."""
    return tuple(entry_points(group=group))


def _package(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "")


def _unknown(section: str, use: str) -> str:
    """Why a name is not found: it is another section's, or misspelt, or a file without its class."""
    for other in SECTIONS:
        if use in _points(other):
            article = "an" if other[0] in "aeiou" else "a"
            return f"`{use}` is {article} {other} plugin: put it under {heading(other)}"
    known, use = names(section), visible(use)
    if use.endswith(".py"):
        return f"`{use}` names no class\nwrite `{use}:ClassName`"
    if not use or any(mark in use for mark in ":/"):
        what = f"`{use}` is neither a plugin's name nor a file's class" if use else "`use` is empty"
        return f"{what}\nwrite `./file.py:Class`, or a plugin's name; " + sentence(f"installed: {listed(known)}.",
                                                                                   did_you_mean(use, known))  # fmt: skip
    hint = did_you_mean(use, known)
    if not hint:
        elsewhere = ((other, did_you_mean(use, names(other))) for other in SECTIONS)
        hint = next((f"{text[:-1]} of {heading(other)}?" for other, text in elsewhere if text), "")
    return f"no {section} plugin is called `{use}`\n" + sentence(f"installed: {listed(known)}.", hint)


def _loaded(point: EntryPoint) -> type:
    try:
        found = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        package = " ".join(_package(point)).strip()
        raise RecipeError(f"`{point.name}` cannot be imported: {type(error).__name__}: {words_of(error)}\n"
                          f"it is `{point.value}` of the package {package}") from error  # fmt: skip
    if not isinstance(found, type):
        raise RecipeError(f"`{point.name}` is not a class\nits entry point names `{point.value}`")
    return found


def _module(path: Path) -> ModuleType:
    """A file's module, executed once for each content."""
    path = path.absolute()
    try:
        source = content(path, LARGEST, "a plugin's file")
    except (OSError, ValueError) as error:
        files = beside(path, "*.py")
        lies = f"Python files there: {listed(files)}."
        hint = "" if is_file(path) else sentence("write `./file.py:Class`.", lies, did_you_mean(path.name, files))
        raise RecipeError(f"`{path}` cannot be read: {why(error)}\n{hint}".rstrip()) from error
    return _executed(path, source)


@cache
def _executed(path: Path, content: bytes) -> ModuleType:
    digest = hashlib.blake2b(str(path).encode("utf-8", "surrogateescape") + b"\0" + content, digest_size=8).hexdigest()
    module = ModuleType(f"sslkit_file_{path.stem}_{digest}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # before executing: dataclasses look their module up
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, `SystemExit` included
        del sys.modules[module.__name__]
        raise RecipeError(f"`{path.name}` cannot be imported: {_told(error, path)}") from error
    return module


def _told(error: BaseException, path: Path) -> str:
    """An error with the line of the plugin's file that it came from."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    said = str(error.msg) if isinstance(error, SyntaxError) else words_of(error)
    name = type(error).__name__
    return (f"{name}: {said}" if said else name) + (f" (line {line})" if line else "")
