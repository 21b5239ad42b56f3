"""Finds and reads recipe files: shipped by name or by path, UTF-8 TOML of a reasonable size."""

from __future__ import annotations

import datetime
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from .content import beside, content, kind, why
from .message import Problems, did_you_mean, listed, sentence, shortened, shown, visible
from .naming import named
from .places import Place, Source, Table, annotated
from .text import decoded, deep_line

LARGEST = 1 << 20  # bytes: a recipe is read by people; data belongs into files of its own
LONGEST_LINE = 20_000  # characters: nobody reads a longer one
LONGEST_PATH = 200  # characters of a path that are shown
MOST_PARTS = 40  # of a dotted key: tomllib's time and memory grow with the square of their number
PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+"""
CHAIN = re.compile(rf"""(?<![\w"'-]){PART}(?:\.[ \t]*+{PART}){{{MOST_PARTS}}}""")
"A dotted key of more parts."
DIGITS = re.compile(r"(?<![\d_])[\d_]{4000,}")
SURROGATE = re.compile("[\ud800-\udfff]")
DEEPEST = 32  # tables within tables, recipes that extend one another
NESTS = (dict, list, tuple)
PACKAGE = "sslkit_recipes"
SETTINGS = "settings"
OTHERS = frozenset({"studies", "metrics", "templates", SETTINGS})
"Folders beside the recipes, of files that are none."
PLURAL = {"recipe": "recipes", "study": "studies", "set of metrics": "sets of metrics"}
MARKS = {"recipe": {"extends", "steps", "loss"}, "study": {"base", "variant"}}
"Keys that only one kind of file has."


class Unreadable(RecipeError):
    """A file that is there and whose text cannot be had."""


def shipped() -> dict[str, Path]:
    """Recipes that are installed with sslkit, by name; those in a folder after the others: `images/noisy_things`."""
    return {name: path for name, path in _installed().items() if name.rpartition("/")[0] not in OTHERS}


def extendable() -> dict[str, Path]:
    """The same, and the settings that they share: parts of a recipe, laid on one by `extends`."""
    return {name: path for name, path in _installed().items() if name.rpartition("/")[0] not in OTHERS - {SETTINGS}}


def _installed() -> dict[str, Path]:
    """Every file that is installed beside the recipes, by name."""
    try:
        folder = Path(str(resources.files(PACKAGE)))
    except ModuleNotFoundError:
        return {}
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in [*sorted(folder.glob("*.toml")), *sorted(folder.glob("*/*.toml"))]
    }


def locate(name: str | Path, folder: Path | None = None) -> tuple[str, Path]:
    """How messages name a recipe, and its file: a path (from `folder`), or the name of a shipped one."""
    return find_file(name, "recipe", extendable, folder)


def find_file(
    name: str | Path, what: str, shipped: Callable[[], Mapping[str, Path]], folder: Path | None = None
) -> tuple[str, Path]:
    """How messages name a TOML file, and its path: one that is given (from `folder`), or a shipped one by its name.

    The shipped ones are looked for only where no file is given: whoever may not read them can use files of their own.
    """
    path = Path(name) if folder is None else folder / name
    said = shortened_path(path)
    try:
        if path.is_file():
            path = _plain(path)
            return _label(path), path
        known = shipped()
        if str(name) in known and isinstance(name, str):
            return name, known[name]
        if path.exists() and str(name):
            raise RecipeError(f"{said}: {kind(path.stat().st_mode)}; a {what} is a TOML file")
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise RecipeError(f"{said}: cannot be read: {why(error)}") from error
    if str(name) == "-":
        raise RecipeError(f"-: a {what} is a file, which its relative paths start from; standard input is not read\n"
                          "  save it, and give its path")  # fmt: skip
    if path.is_symlink():
        raise RecipeError(f"{said}: is a link that leads nowhere")
    hint = did_you_mean(path.name, beside(path, "*.toml"))  # then it is no shipped one that was meant
    told = hint or sentence(f"shipped {PLURAL[what]}: {listed(known)}.", did_you_mean(path.stem, known))
    raise RecipeError(f"{said if str(name) else '(no name)'}: no such {what}\n  {told}")


def _plain(path: Path) -> Path:
    """A file's path without the `..` that it can do without; beyond a link to a folder they lead elsewhere, and stay."""
    plain = Path(os.path.normpath(path))
    try:
        return plain if plain.parent.samefile(path.parent) else path
    except OSError:  # there is no such folder
        return path


def shortened_path(path: Path) -> str:
    """A path in a message: its end says most."""
    text = visible(str(path))
    return text if len(text) <= LONGEST_PATH else f"...{text[-LONGEST_PATH:]}"


def _label(path: Path) -> str:
    """A path as messages show it: short where it lies below the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def read(label: str, path: Path) -> Table:
    """A recipe file's table, every key with its place."""
    source = Source(label, path.absolute().parent, _text(label, path))
    table = annotated(_parsed(source), Place(source))
    assert isinstance(table, Table)
    return table


def refuse_other(kind: str, label: str, table: Table) -> None:
    """Tell a study from a recipe: a file with keys of the other alone (`kind`: what it should be) was mixed up."""
    other = "study" if kind == "recipe" else "recipe"
    if MARKS[other] & set(table) and not MARKS[kind] & set(table):
        command = "study" if other == "study" else "run"
        raise RecipeError(f"{label}: is a {other}, not a {kind}: `sslkit {command} {label}`")


def _text(label: str, path: Path) -> str:
    try:
        text = decoded(content(path, LARGEST, "a recipe"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{visible(label)}: cannot be read: {why(error)}") from error
    for number, line_text in enumerate(text.split("\n"), 1):
        if len(line_text) > LONGEST_LINE:
            raise RecipeError(f"{label}: line {number} has {len(line_text):,} characters; at most {LONGEST_LINE:,}")
        if line_text.count(".") >= MOST_PARTS and CHAIN.search(line_text) and not line_text.lstrip().startswith("#"):
            raise RecipeError(f"{label}: line {number} has a dotted key of more than {MOST_PARTS} parts: tables within "
                              f"one another {DEEPEST} deep and more; a recipe needs 4")  # fmt: skip
    return text


def _parsed(source: Source) -> dict[str, Any]:
    try:
        table = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(_syntax(source, str(error))) from error
    except RecursionError as error:
        line = f"line {number}: " if (number := deep_line(source.text)) else ""
        raise RecipeError(
            f"{source.label}: {line}not valid TOML: tables or lists within one another too deep"
        ) from error
    except ValueError as error:
        raise RecipeError(_number(source, error)) from error
    deep = next((key for key, value in table.items() if depth(value) >= DEEPEST), None)
    if deep is not None:
        line = f"line {source.line((deep,))}, " if source.line((deep,)) else ""
        raise RecipeError(f"{source.label}: {line}`{shortened(visible(deep))}`: tables within one another {DEEPEST} deep "
                          "and more; a recipe needs 4")  # fmt: skip
    return table


def _number(source: Source, error: ValueError) -> str:
    """A number of more digits than Python reads, and its line."""
    found = DIGITS.search(source.text)
    line = f"line {source.text.count(chr(10), 0, found.start()) + 1}: " if found else ""
    what = "a number of thousands of digits; TOML has none larger than 2^63 - 1" if found else visible(str(error))
    return f"{source.label}: {line}not valid TOML: {what}"


EXPECTED = {
    "Invalid value": 'expected a value: 0.5, "text", true, ["a", "b"] or { key = 1 }; text needs quotes',
    "Expected '='": "expected `key = value`, `[table]` or `[[list]]`",
    "Invalid statement": "expected `key = value`, `[table]` or `[[list]]`",
    "Cannot overwrite a value": "this key was set before; a key is set once",
    "Cannot declare": "this table was opened before; open it once, or write `[[...]]` for one more of a list",
    "Cannot mutate": "this table is complete already; set the key there",
    "Unclosed array": "expected `]`",
    "Illegal character": "expected the closing quote on the same line, and no control characters",
    "Unterminated string": "expected the closing quotes",
    "Expected newline or end of document": "expected the end of the line: one `key = value` each",
}


def _syntax(source: Source, error: str) -> str:
    """A TOML error with its line, and what would be right."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", error, re.DOTALL)
    what, line, column = match.groups() if match else (error, None, None)
    lines = source.text.rstrip("\n").split("\n")
    number = int(line or len(lines))
    head = f"  line {number}" + (f", column {column}" if column else ", at the end") + "  "
    said = lines[number - 1].strip()[:100] if number <= len(lines) else ""
    expected = next((hint for start, hint in EXPECTED.items() if what.startswith(start)), "")
    rest = [" " * len(head) + visible(text) for text in (said, expected) if text]
    return "\n".join([f"{source.label}: 1 problem\n", f"{head}not valid TOML: {visible(what)}", *rest])


def depth(value: Any) -> int:
    """How deep tables and lists lie within one another, up to just above the limit."""
    levels, inside = 0, [value]
    while inside and levels <= DEEPEST:
        groups = [item.values() if isinstance(item, dict) else item for item in inside if isinstance(item, NESTS)]
        inside = [item for group in groups for item in group if isinstance(item, NESTS)]
        levels += bool(groups)
    return levels


def check_values(value: Any, place: Place, problems: Problems, root: Any = None) -> None:
    """Refuse what TOML can say and no setting takes: infinity, not-a-number, dates, numbers beyond 64 bits.

    `root`: the file's whole table, where the place is one of a file.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if SURROGATE.search(key):
                problems.add(place, f"the key `{key}` is no text: it holds bytes that are not UTF-8")
            at = value.where(key) if isinstance(value, Table) else place.at(key)
            check_values(item, at, problems, root)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            if isinstance(item, NESTS):
                check_values(item, place.at(i), problems, root)
            else:  # settings complain of the whole list, and once is enough
                _check_value(item, place, named(place.at(i).path, root), problems)
    else:
        _check_value(value, place, named(place.path, root), problems)


def _check_value(value: Any, place: Place, name: str, problems: Problems) -> None:
    """The same of a single value."""
    if isinstance(value, float) and not math.isfinite(value):
        problems.add(place, f"{name} is {shown(value)}", "numbers must be finite")
    elif isinstance(value, (datetime.date, datetime.time)):
        problems.add(place, f"{name} is a date or time ({value})", "no setting takes one; text needs quotes")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        problems.add(place, f"{name} is a number of more than 64 bits", "TOML has none larger than 2^63 - 1")
    elif isinstance(value, str) and SURROGATE.search(value):
        problems.add(place, f"{name} is no text: it holds bytes that are not UTF-8")
