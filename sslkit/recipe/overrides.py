"""Single overrides: `--set labeler.confidence.threshold=0.5` and the mappings that Python callers give."""

from __future__ import annotations

import datetime
import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from .merge import FACTORIES, LISTS, NAMED, NUMBERED, anchor, in_use, merge, merge_table
from .message import Problems, shortened, shown, visible
from .places import Place, Source, Table, annotated
from .read import DEEPEST, SURROGATE, check_values, depth

BARE = re.compile(r"""[^\s\[\]{}"'=,#][^\[\]{}"'=\n]*""")
"A value that needs no quotes on the command line: words, names, paths."
WORD = re.compile(r"[^\s\[\]{},=]+(?:[ \t]+[^\s\[\]{},=]+)*")
"Words between the marks of a list or table."
PYTHONIC = re.compile(r"""(?<=[{,\s])["']?([\w-]+)["']?[ \t]*:(?![\w/\\.])""")
"A key as Python and JSON write it; what follows the colon of a plugin in a file is its class."
PATTERN = re.compile(r"""[^\W\d][^"',\n]*|[\w./~][^"'\n]*\{[^"'\n]*\}[^"'\n]*""")
"Text with marks in it, such as a pattern of files; words with commas may be a list."
EMPTY = '""'


def parse_set(text: str) -> tuple[str, Any]:
    """`a.b=0.5` -> ("a.b", 0.5): a TOML value; a bare word is text. Raises `RecipeError`."""
    path, equals, value = text.partition("=")
    path, value = ".".join(part.strip() for part in path.split(".")), value.strip()
    if not equals or not value or not all(path.split(".")):
        raise RecipeError(f"--set {_given(text)}: {_incomplete(path, equals, value)}")
    try:
        return path, _value(value)
    except (ValueError, RecursionError):
        if BARE.fullmatch(value):
            return path, value
    raise RecipeError(f"--set {_given(text)}: `{shortened(visible(value))}` is no TOML value\n  {_mended(path, value)}")


def _given(text: str) -> str:
    """What was typed, as a shell takes it."""
    return shortened(shlex.quote(visible(text)))


def _incomplete(path: str, equals: str, value: str) -> str:
    """What is missing in `key=value`."""
    takes = "expected `key=value`, such as `labeler.confidence.threshold=0.5`"
    if not equals:
        return f"there is no `=`; {takes}"
    if not path or value:
        return f"{'the key is missing' if not path else 'a key between two dots is missing'}; {takes}"
    return f"the value is missing; {takes}; an empty text is written --set {shlex.quote(path + '=' + EMPTY)}"


def _value(text: str) -> Any:
    """A TOML value. Raises `ValueError` for anything else."""
    parsed = tomllib.loads(f"value = {text}")
    if set(parsed) != {"value"}:
        raise ValueError("more than a value")
    return parsed["value"]


def _mended(path: str, value: str) -> str:
    """What to type instead of a value that is none: with the quotes that a shell took, if that is all it lacks."""
    accepted = 'expected 0.5, true, a word, "text", ["a", "b"] or { key = 1 }'
    if value[0] in "[{" and (not {'"', "'"} & set(value) or (value[0] == "{" and PYTHONIC.search(value))):
        as_toml = PYTHONIC.sub(r"\1 =", value) if value[0] == "{" else value
        quoted = WORD.sub(_quoted, as_toml)
        with suppress(ValueError, RecursionError):
            _value(quoted)
            typed = shlex.quote(f"{path}={quoted}")
            if as_toml != value:
                return f"a table is written with `=`, not with `:`, and its text in quotes: --set {shortened(typed)}"
            return f"text in lists and tables needs quotes, and those the shell's: --set {shortened(typed)}"
    if PATTERN.fullmatch(value) and value.isprintable():
        typed = shlex.quote(f"{path}={json.dumps(value, ensure_ascii=False)}")
        return f"text with such marks needs quotes, and those the shell's: --set {shortened(typed)}"
    if value.count('"') % 2 or value.count("'") % 2:
        return f"a quote is not closed; {accepted}"
    open_ends = next((end for start, end in ("[]", "{}") if value.count(start) > value.count(end)), "")
    return f"`{open_ends}` is missing; {accepted}" if open_ends else accepted


def _quoted(match: re.Match[str]) -> str:
    """A word within a value with the quotes that it needs; a key needs none."""
    word = match[0]
    if word in ("True", "False"):
        return word.lower()
    try:
        _value(word)
    except (ValueError, RecursionError):
        is_key = match.string[match.end() :].lstrip().startswith("=")
        return word if is_key else json.dumps(word, ensure_ascii=False)
    return word


def apply(
    table: Table, overrides: Mapping[str, Any], problems: Problems, from_generation: int = 0, folder: Path | None = None
) -> Table:
    """A recipe with overrides, which have the last word: they replace what its generations say of the same keys."""
    source = Source("--set", (folder or Path.cwd()).absolute())
    nested = anchor(_nested(overrides, source, problems), source)
    for key in ("extends", "files"):
        if key in nested:
            problems.add(nested.where(key), f"`{key}` cannot be overridden", "only a recipe's file says it")
    if not from_generation:
        return merge(_yielding(table, nested), nested, problems)
    steps = max(len(table.get("generation", [])), 1)
    if from_generation >= steps:
        problems.add(Place(source), f"overrides from generation {from_generation} on: the recipe has {steps}",
                     "they are counted from 0")  # fmt: skip
        return table
    numbers = {str(i): nested for i in range(from_generation, steps)}
    place = Place(source)
    over = Table({"generation": Table(numbers, place, dict.fromkeys(numbers, place))}, place)
    return merge(table, over, problems)


def _nested(overrides: Mapping[str, Any], source: Source, problems: Problems) -> Table:
    """Dotted paths as tables within one another."""
    root = Table({}, Place(source))
    for name, value in overrides.items():
        path = str(name)
        keys = path.split(".")
        place = Place(source, tuple(keys))
        if max(len(keys), depth(value)) > DEEPEST:
            problems.add(Place(source), f"`{shortened(path)}`: tables within one another {DEEPEST} deep and more")
            continue
        if SURROGATE.search(path):
            problems.add(Place(source), f"the key `{shortened(path)}` is no text: it holds bytes that are not UTF-8")
            continue
        value = annotated(_toml(value, place, problems), place)
        check_values(value, place, problems)
        table = root
        for level, key in enumerate(keys[:-1], 1):
            if table.get(key) == {}:
                break
            inner = table.setdefault(key, Table({}, Place(source, tuple(keys[:level]))))
            table.places.setdefault(key, Place(source, tuple(keys[:level])))
            if not isinstance(inner, Table):
                break
            table = inner
        else:
            if keys[-1] not in table:
                table.put(keys[-1], value, place)
                continue
        problems.add(place, f"`{path}` is set twice, once as a whole")
    return root


def _toml(value: Any, place: Place, problems: Problems) -> Any:
    """A Python value as TOML has it."""
    if isinstance(value, Mapping):
        return {str(key): _toml(item, place, problems) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_toml(item, place, problems) for item in value]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, (str, int, float, bool, datetime.date, datetime.time)):
        problems.add(place, f"`{'.'.join(map(str, place.path))}` is {type(value).__name__} {shown(str(value))}",
                     "a TOML value was expected: text, a number, true or false, a list, a table")  # fmt: skip
        return str(value)
    return value


def _yielding(table: Table, over: Table) -> Table:
    """The recipe without what its generations say of overridden keys."""
    if "generation" not in table or not isinstance(table["generation"], list):
        return table
    said = over.without(*NUMBERED)
    result = Table(table, table.place, table.places)
    result["generation"] = [_generation(generation, said, table) for generation in table["generation"]]
    return result


def _generation(table: Table, over: Table, recipe: Table) -> Table:
    """What is left of a generation, section by section."""
    result = Table({}, table.place, table.places)
    for key, value in table.items():
        said = over.get(key)
        if isinstance(value, Table) and isinstance(said, Table):
            if rest := _section(key, value, said, recipe.get(key)):
                result[key] = rest
        elif key not in over or (key in LISTS and over[key]):  # a list of plugins adds to what is there
            result[key] = value
    return result


def _section(key: str, table: Table, over: Table, under: Table | None) -> Table:
    """What is left of a generation's section. `options` go with their `name`."""
    if key not in FACTORIES:
        return _less(table, over, named=key in NAMED)
    own = in_use(key, table, under)
    rest = _less(table if over.get("name", own) == own else table.without("options"), over)
    renamed = "name" in rest and own != in_use(key, under)
    return merge_table(rest, over.only("options")) if renamed else rest  # which the recipe's own do not reach


def _less(table: Table, over: Table, named: bool = False) -> Table:
    """A table without the keys of another, key by key; `named`: of tables by name, an empty one says nothing."""
    result = Table({}, table.place, table.places)
    for key, value in table.items():
        new = over.get(key)
        if isinstance(value, Table) and isinstance(new, Table) and (new or named):
            if rest := _less(value, new):
                result[key] = rest
        elif key not in over:
            result[key] = value
    return result
