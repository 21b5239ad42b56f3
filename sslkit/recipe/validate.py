"""Lays a table on a dataclass: strict, every mistake told with its place and with what would be right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from . import fields
from .message import Problems, did_you_mean, listed, sentence, shortened, shown, words_of
from .places import Table, plain

T = TypeVar("T")
UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def adapter(cls: type[T]) -> TypeAdapter[T]:
    """Pydantic's view of a dataclass; it takes milliseconds to make, so it is made once."""
    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def made(cls: type[T], table: dict[str, Any]) -> T:
    """A fresh instance of a table that was found valid."""
    return adapter(cls).validate_json(json.dumps(table), strict=True, extra="forbid")


def dumped(cls: type[T], instance: T) -> dict[str, Any]:
    """An instance as a table, defaults included. TOML has no null: what is None is left out."""
    with_none = json.loads(adapter(cls).dump_json(instance))
    return {key: value for key, value in with_none.items() if value is not None}


def validate(cls: type[T], table: Table, label: str, problems: Problems, others: Iterable[str] = ()) -> T | None:
    """An instance, or None with everything that is wrong noted. `others`: keys that are accepted beside the fields."""
    text = json.dumps(plain(table), default=str)
    try:
        return adapter(cls).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _note(cls, table, label, problems, detail, list(others))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a class's own checks may raise anything, `SystemExit` included
        problems.add(table.place, *f"{label}: {raised(cls, error)}".splitlines())
    return None


def raised(cls: type, error: BaseException) -> str:
    """That a class's own code raised something."""
    return f"`{cls.__name__}` raised {type(error).__name__}: {words_of(error)}".rstrip(": ")


def _note(cls: type, table: Table, label: str, problems: Problems, detail: ErrorDetails, others: list[str]) -> None:
    """One of pydantic's findings in the recipe's words."""
    if detail["type"] == "json_invalid":  # by a text that is none, which was noted when it was read
        return
    owner, inside, keys = _walk(cls, table, detail["loc"])
    place = inside.where(keys[-1]) if keys else table.place
    unknown = detail["type"] in UNKNOWN and bool(keys)
    if problems.at(place) and not unknown:  # whatever the value of a misspelt key, its name is to be mended
        return
    name, label = shortened(".".join(keys)), f"{label}: " if label else ""
    if unknown:
        known = [*fields.hints(owner), *(others if owner is cls else [])]
        problems.add(place, f"{label}unknown key `{name}`", lambda: unknown_key(keys[-1], known, owner))
    elif detail["type"] == "missing" and keys:
        problems.add(place, f"{label}`{name}` is missing", f"it takes {fields.accepted(owner, keys[-1])}")
    elif keys and keys[-1] in fields.hints(owner):
        value = inside.get(keys[-1])
        accepted = lambda: _accepted(owner, keys[-1], value, detail)  # noqa: E731
        problems.add(place, f"{label}`{name} = {shown(value)}`", accepted, *_own(detail).splitlines())
    else:
        problems.add(place, *f"{label}{_own(detail) or detail['msg']}".splitlines())


def _accepted(owner: type, key: str, value: Any, detail: ErrorDetails) -> str:
    """What a field takes, and which of its choices was meant."""
    received = detail["input"] if isinstance(value, list) else value
    guess = did_you_mean(received, fields.choices(fields.hints(owner)[key]), '"') or _of_python(received)
    return sentence(f"it takes {fields.accepted(owner, key)}", guess)


def _of_python(value: Any) -> str:
    """What a word of Python's is in TOML, or one of TOML's that stands in quotes."""
    if value in ("True", "False", "true", "false"):
        return f"Did you mean {value.lower()}, without quotes?" if value.islower() else f"Did you mean {value.lower()}?"
    return "TOML has no None: leave the key out." if value in ("None", "null") else ""


def _walk(cls: type, table: Table, loc: tuple[int | str, ...]) -> tuple[type, Table, list[str]]:
    """The dataclass and table that a finding's location lies in, and the keys that lead to it."""
    owner, inside = cls, table
    keys: list[str] = []
    for part in loc:
        if keys:
            hint = fields.bare(fields.hints(owner).get(keys[-1]))
            value = inside.get(keys[-1])
            if not (isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Table)):
                break
            owner, inside = hint, value
        keys.append(str(part))
    return owner, inside, keys


def _own(detail: ErrorDetails) -> str:
    """What a class's own check says, where the field's type does not say it."""
    if detail["type"] in ("value_error", "assertion_error"):
        own = detail.get("ctx", {}).get("error")
        return words_of(own) if isinstance(own, BaseException) else detail["msg"]
    return detail["msg"] if "constraint" in detail["type"] or detail["type"] == "predicate_failed" else ""


def unknown_key(key: str, known: list[str], cls: type | None = None) -> str:
    """What an unknown key may have meant, and what that takes."""
    guess = did_you_mean(key, known)
    if not guess:
        return f"there are: {listed(known)}"
    name = guess.split("`")[1]
    takes = f"It takes {fields.accepted(cls, name)}." if cls and name in fields.hints(cls) else ""
    return sentence(guess[0].lower() + guess[1:], takes)


def usable(cls: type) -> list[str]:
    """Why a class cannot be a plugin: its fields must be a dataclass's that pydantic understands."""
    if not dataclasses.is_dataclass(cls):
        return [f"`{cls.__name__}` is not a dataclass", "decorate it with `@dataclass(eq=False, kw_only=True)`"]
    if cls.__eq__ is not object.__eq__:
        return [f"`{cls.__name__}` compares by value: twins in one recipe would count as one",
                "decorate it with `@dataclass(eq=False, kw_only=True)`"]  # fmt: skip
    try:
        adapter(cls)
        fields.hints(cls)
    except Exception as error:
        return [f"`{cls.__name__}` has a field that no table can set: {str(error).splitlines()[0]}"]
    return []
