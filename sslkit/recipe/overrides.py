"""Single overrides: `--set labeler.confidence.threshold=0.5` and the mappings that Python callers give."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from .merge import FACTORIES, LISTS, NAMED, NUMBERED, anchor, in_use, merge, merge_table
from .message import Problems, shortened, shown
from .places import Place, Source, Table, annotated
from .read import DEEPEST, check_values, depth

BARE = re.compile(r"""[^\s\[\]{}"'=,#][^\[\]{}"'=\n]*""")
"A value that needs no quotes on the command line: words, names, paths."


def parse_set(text: str) -> tuple[str, Any]:
    """`a.b=0.5` -> ("a.b", 0.5): a TOML value; a bare word is text. Raises `RecipeError`."""
    path, equals, value = text.partition("=")
    path, value = path.strip(), value.strip()
    if not equals or not path or not value or not all(part.strip() for part in path.split(".")):
        raise RecipeError(f"--set {text!r}: expected `key=value`, such as `labeler.confidence.threshold=0.5`")
    try:
        parsed = tomllib.loads(f"value = {value}")
        if set(parsed) == {"value"}:
            return path, parsed["value"]
    except (ValueError, RecursionError):
        if BARE.fullmatch(value):
            return path, value
    raise RecipeError(f"--set {text!r}: `{value[:80]}` is no TOML value\n"
                      '  expected 0.5, true, a word, "text", [1, 2] or { key = 1 }')  # fmt: skip


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
    if not isinstance(value, (str, int, float, bool)):
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
