"""What a setting accepts, in words, from its dataclass field."""

from __future__ import annotations

import dataclasses
import re
import types
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types as at

from .message import shown

WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Any: "any value",
    types.NoneType: "nothing",
}


@cache
def hints(cls: type) -> dict[str, Any]:
    """Annotation of each field that a table may set."""
    known = get_type_hints(cls, include_extras=True)
    return {field.name: known[field.name] for field in dataclasses.fields(cls) if field.init}


def bare(hint: Any) -> Any:
    """An annotation without its metadata and without None."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not types.NoneType]
        if len(options) == 1:
            return bare(options[0])
    return hint


def is_path(hint: Any) -> bool:
    """Whether a field holds a path."""
    return bare(hint) is Path


def choices(hint: Any) -> list[str]:
    """The texts that a field accepts, if it accepts given ones only."""
    inner = bare(hint)
    if get_origin(inner) is list:
        return choices(get_args(inner)[0])
    if get_origin(inner) in (Union, types.UnionType):
        return [choice for part in get_args(inner) for choice in choices(part)]
    return [value for value in get_args(inner) if isinstance(value, str)] if get_origin(inner) is Literal else []


def accepted(cls: type, name: str) -> str:
    """`a number from 0 to 1 (default 0.95)`."""
    return words(hints(cls)[name]) + default(cls, name)


def default(cls: type, name: str) -> str:
    """` (default 0.95)`; nothing where a field has none that TOML can say."""
    value = default_of(cls, name)
    return "" if value is None or value is dataclasses.MISSING else f" (default {shown(value)})"


def default_of(cls: type, name: str) -> Any:
    """A field's default as TOML says it: None where it cannot, `dataclasses.MISSING` where the field must be set."""
    field = next(field for field in dataclasses.fields(cls) if field.name == name)
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return None
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)  # sets have an order of their own in every process
    return list(value) if isinstance(value, tuple) else value


def unit(hint: Any) -> str:
    """What a field counts or is measured in, as its `annotated_types.Unit` says: `pixels`; nothing without one."""
    own = [item.unit for item in get_args(hint) if isinstance(item, at.Unit)]
    return own[0] if own else next(filter(None, map(unit, get_args(hint))), "")


def words(hint: Any, constraints: tuple[Any, ...] = ()) -> str:
    """An annotation in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return words(args[0], (*args[1:], *constraints))
    if origin in (Union, types.UnionType):
        options = [words(option, constraints) for option in args if option is not types.NoneType]
        return " or ".join(dict.fromkeys(options))
    if origin is Literal:
        return "one of " + ", ".join(shown(value) for value in args) if len(args) > 1 else shown(args[0])
    if origin in (list, tuple, set, frozenset):
        items = dict.fromkeys(words(arg) for arg in args if arg is not Ellipsis)
        return (
            "a list"
            + (f" ({' or '.join(items)})" if items else "")
            + _bounds(constraints, " entries").replace(" 1 entries", " 1 entry")
        )
    if origin is dict or hint is dict:
        return "a table"
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return "a table with " + ", ".join(f"`{name}`" for name in hints(hint))
    if hint is str:
        return WORDS[str] + _bounds(constraints, " characters").replace(
            " of at least 1 characters", " that is not empty"
        )
    return WORDS.get(hint, getattr(hint, "__name__", str(hint))) + _measured(constraints)


def _measured(constraints: tuple[Any, ...]) -> str:
    """A number's bounds with its unit: ` of at least 1 pixel`, ` from 0 to 30 degrees`; ` of seconds` without bounds."""
    named = next((item.unit for item in constraints if isinstance(item, at.Unit)), "")
    bounds = _bounds(constraints, named and f" {named}")
    if named and not bounds:
        return f" of {named}"
    single = re.search(rf" (least|above|most|below) 1 {re.escape(named)}$", bounds) if named else None
    return bounds.removesuffix(named) + _one(named) if single else bounds


def _one(plural: str) -> str:
    """`pixels` -> `pixel`, `processes` -> `process`, `batches` -> `batch`; a unit that is no plural stays."""
    return re.sub(r"(?<=s)es$|(?<=tch)es$|(?<!s)s$", "", plural)


def _bounds(constraints: tuple[Any, ...], unit: str = "") -> str:
    """` from 0 to 1`, ` above 0`, ` of at least 1`."""
    low: list[tuple[str, Any]] = []
    high: list[tuple[str, Any]] = []
    for item in _flat(constraints):
        if isinstance(item, (at.Ge, at.MinLen)):
            low.append(("of at least", item.ge if isinstance(item, at.Ge) else item.min_length))
        elif isinstance(item, at.Gt):
            low.append(("above", item.gt))
        elif isinstance(item, (at.Le, at.MaxLen)):
            high.append(("of at most", item.le if isinstance(item, at.Le) else item.max_length))
        elif isinstance(item, at.Lt):
            high.append(("below", item.lt))
    if low and high and low[0][0] == "of at least" and high[0][0] == "of at most":
        return f" from {low[0][1]} to {high[0][1]}{unit}"
    parts = [f"{word} {bound}" for word, bound in low[:1] + high[:1]]
    return f" {' and '.join(parts)}{unit}" if parts else ""


def _flat(constraints: tuple[Any, ...]) -> list[Any]:
    """Constraints with groups such as `Interval` taken apart."""
    result: list[Any] = []
    for item in constraints:
        result.extend(_flat(tuple(item)) if isinstance(item, at.GroupedMetadata) else [item])
    return result
