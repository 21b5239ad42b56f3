"""Recipes and single tables of them, written as people write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..hookspecs import SECTIONS, SINGLE
from ..registry import default_name, heading
from .card import Card

BARE = re.compile(r"[A-Za-z0-9_-]+")
"Keys that need no quotes."


def snippet(section: str, table: Mapping[str, Any]) -> str:
    """A table as a recipe says it; what goes without saying is left out."""
    use = str(table.get("use", ""))
    plain = {"name": default_name(use), "enabled": True}
    first = [key for key in ("name", "use") if key in table]
    said = [key for key in dict.fromkeys([*first, *table]) if key not in plain or table[key] != plain[key]]
    return _lines(heading(section), {key: table[key] for key in said})


def blank(card: Card) -> str:
    """A plugin's table with every default; a line for each setting that has none and must be filled in."""
    table: dict[str, Any] = {"use": card.use}
    if "loss" in (hook.name for hook in card.hooks):
        table["on"] = "labeled"  # a loss says its views, and every recipe has this stream
    table |= {one.name: one.default for one in card.settings if one.default is not None}
    required = [f"# {one.name} =  # required: {one.takes}" for one in card.settings if one.required]
    return "\n".join([*snippet(card.section, table).splitlines(), *required]) + "\n"


def example(card: Card, recipes: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Where a plugin's example is from, and the example: the fullest table of it in a shipped recipe, or its defaults."""
    if recipes:
        name, table = max(recipes.items(), key=lambda item: len(item[1]))
        return f"as in {name}", snippet(card.section, table)
    return "with its defaults", blank(card)


ORDER = (*(section for section in SECTIONS if section in SINGLE[:2]), "optimizer", "views", "pass",
         *(section for section in SECTIONS if section not in SINGLE[:2]), "generation")  # fmt: skip
"Sections as recipes order them."


def document(recipe: Mapping[str, Any]) -> str:
    """A whole recipe as TOML: its own keys, then its sections, each key on a line."""
    sections = [key for key in [*ORDER, *recipe] if key in recipe and _opens(key, recipe[key])]
    parts = [_lines(None, {key: value for key, value in recipe.items() if key not in sections})]
    for key in dict.fromkeys(sections):
        value = recipe[key]
        if isinstance(value, list):
            parts += [_lines(f"[[{key}]]", table) for table in value]
        elif key == "views":
            parts += [_lines(f"[views.{_key(name)}]", table) for name, table in value.items()]
        else:
            parts.append(_lines(f"[{key}]", value))
    return "\n".join(parts)


def _opens(key: str, value: Any) -> bool:
    """Whether a value is written below a heading."""
    tables = isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
    return bool(tables or (isinstance(value, Mapping) and value and key != "batch"))


def _lines(head: str | None, table: Mapping[str, Any]) -> str:
    return (
        "\n".join([*([head] if head else []), *(f"{_key(key)} = {literal(item)}" for key, item in table.items())])
        + "\n"
    )


def literal(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {literal(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, (bool, float)):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON writes as it is


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
