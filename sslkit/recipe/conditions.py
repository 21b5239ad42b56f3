"""What a recipe's schema asks beyond each table by itself: what must be there, and what one table says of another."""

from __future__ import annotations

from collections.abc import Iterable

from .across import OVERRIDABLE
from .describe import ANY, Schema, ref
from .installed import Installed
from .merge import LISTS

NO_USE: Schema = {"not": {"required": ["use"]}}


def conditions(plugins: list[Installed]) -> list[Schema]:
    """Every condition on the whole recipe."""
    overridden = [one for one in plugins if one.section in LISTS and one.section in OVERRIDABLE]
    return [complete(plugins), model_of_generations(), *map(plugin_of_generations, overridden)]


def complete(plugins: list[Installed]) -> Schema:
    """A recipe that extends none says everything that has no default."""
    needed = {section: _needed(one for one in plugins if one.section == section) for section in ("data", "step")}
    lists = {section: _needed(one for one in plugins if one.section == section) for section in LISTS}
    timm = {"if": NO_USE, "then": {"allOf": [ref("timm")], "required": ["name"]}}
    tables: Schema = {
        **needed,
        "model": {"allOf": [timm, *_fields(one for one in plugins if one.section == "model")], **ANY},
        "optimizer": {"required": ["rate"], **ANY},
        "views": {"additionalProperties": {"required": ["stream"], **ANY}},
        **{section: {"items": table, "additionalProperties": table} for section, table in lists.items()},
    }
    then = {"required": ["steps", "data", "model", "optimizer"], "properties": tables, **ANY}
    return {"if": {"not": {"required": ["extends"]}}, "then": then}


def _needed(plugins: Iterable[Installed]) -> Schema:
    """What a plugin's table of one section must say."""
    return {"required": ["use"], "allOf": _fields(plugins), **ANY}


def _fields(plugins: Iterable[Installed]) -> list[Schema]:
    """The fields without a default, of each plugin that has some."""
    return [{"if": _uses(one), "then": {"required": one.required, **ANY}} for one in plugins if one.required] or [ANY]


def model_of_generations() -> Schema:
    """Where the recipe's model is one of timm's, generations override one of timm's."""
    model = {"required": ["name"], **NO_USE}
    return {
        "if": {"required": ["model"], "properties": {"model": model}},
        "then": _generations({"model": {"if": NO_USE, "then": ref("timm")}}),
    }


def plugin_of_generations(one: Installed) -> Schema:
    """Where a plugin goes by its own name, generations override its own fields under that name."""
    itself = _uses(one)
    itself["properties"]["name"] = {"const": one.name}
    table = {"type": "object", "required": [one.name], "properties": {one.name: itself}}
    is_there = {"anyOf": [{"type": "array", "contains": itself}, table]}
    own = {"if": NO_USE, "then": ref(f"named.{one.key}")}
    listed = {"if": {"required": ["name"], "properties": {"name": {"const": one.name}}}, "then": own}
    return {
        "if": {"required": [one.section], "properties": {one.section: is_there}},
        "then": _generations({one.section: {"properties": {one.name: own}, "items": listed, **ANY}}),
    }


def _uses(one: Installed) -> Schema:
    return {"required": ["use"], "properties": {"use": {"const": one.name}}}


def _generations(properties: Schema) -> Schema:
    """Something about every generation."""
    each = {"properties": properties, **ANY}
    return {"properties": {"generation": {"items": each, "additionalProperties": each}}, **ANY}
