"""The JSON schema of recipes: what editors check and offer while a recipe is typed, with every installed plugin.

It refuses only what `load` refuses. What depends on other files is left to `load`: a plugin in a file takes any key, and
so does a table that is laid on one of the recipe that `extends` names.

Tools offer what stands in `properties` and `anyOf`, and judge `if` without offering what it says. So each table is told
here as what it may hold at most, and what a recipe must say beyond that by conditions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .. import registry
from ..hookspecs import SECTIONS, SINGLE
from .across import OVERRIDABLE
from .checks import SEEING
from .conditions import NO_USE, conditions
from .describe import ANY, DRAFT, Schema, help_of, optional, ref, table_schema
from .implementations import implemented
from .installed import Installed, installed
from .merge import LISTS
from .model import CLEAN, GENERATION_KEYS, ModelTable, OptimizerTable, PassTable, Settings, ViewTable
from .resolve import NAME

NAMES = {"type": "string", "pattern": f"^{NAME.pattern}$"}
TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
FILE = "^" + registry.FILE.pattern.replace("?P<path>", "").replace("?P<cls>", "") + "$"


class Made(NamedTuple):
    """A schema, how many plugins it knows, and what is wrong with those that cannot be used."""

    schema: Schema
    plugins: int
    troubles: list[str]


def recipe_schema(packages: Collection[str] | None = None) -> Made:
    """The schema of a recipe with every installed plugin, or with those of some packages.

    A plugin that cannot be used takes any key, and is told of.
    """
    plugins, troubles = installed(packages)
    definitions: Schema = {}
    for section in SECTIONS:
        definitions |= section_definitions(section, [one for one in plugins if one.section == section])
    schema = {
        "$schema": DRAFT,
        "title": "sslkit recipe",
        "description": "A method of semi-supervised image classification: settings, and tables of plugins.",
        "type": "object",
        "properties": _keys(),
        "additionalProperties": False,
        "allOf": conditions(plugins),
        "definitions": {**definitions, "generation": _generation()},
    }
    return Made(schema, len(plugins), troubles)


# The recipe's own keys ------------------------------------------------------------------------------------------------


def _keys() -> dict[str, Schema]:
    """The keys of a recipe."""
    extends = (
        "The recipe that this one is laid on: a path from here, or the name of a shipped recipe. A list: each is laid on "
        "those before it, this one on all."
    )
    name = {"type": "string", "minLength": 1}
    files = "Digests of the files that a resolved recipe names, as it is written beside a run."
    return {
        "extends": {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}], "description": extends},
        **table_schema(Settings)["properties"],
        **_sections(),
        "generation": _numbered(ref("generation"), "One after another: what each generation changes of the recipe."),
        "files": {"description": files},
    }


def _sections() -> dict[str, Schema]:
    """What is no setting."""
    passes, names = table_schema(PassTable), {**NAMES, "not": {"const": CLEAN}}
    views = "Sets of images that the loader makes, by name."
    view = optional(table_schema(ViewTable))
    return {
        **{section: ref(section) for section in SECTIONS},
        "optimizer": optional(table_schema(OptimizerTable)),
        "views": {"type": "object", "description": views, "propertyNames": names, "additionalProperties": view},
        "pass": _numbered(passes, passes["description"]),
    }


def _generation() -> Schema:
    """`[[generation]]`: overrides, so that nothing is required."""
    settings = table_schema(Settings)["properties"]
    keys = {key: settings[key] for key in GENERATION_KEYS} | _sections()
    return {
        "type": "object",
        "description": "What a generation changes of the recipe; plugins by name: `noise.dropout.rate = 0.3`.",
        "properties": {key: value for key, value in keys.items() if key in OVERRIDABLE},
        "additionalProperties": False,
    }


def _numbered(table: Schema, doc: str) -> Schema:
    """A list of tables, or tables by their numbers: `generation.0.steps`."""
    return {
        "type": ["array", "object"],
        "description": doc,
        "items": table,
        "patternProperties": {r"^\d+$": optional(table)},
        "additionalProperties": False,
    }


# Plugins --------------------------------------------------------------------------------------------------------------


def section_definitions(section: str, plugins: list[Installed]) -> Schema:
    """A section's definitions: each plugin's table, what a table may be, and the section."""
    found: Schema = {one.key: plugin_table(one) for one in plugins}
    file = {"type": "string", "pattern": FILE, "description": "A plugin in a file: `./fog.py:Fog`."}
    found[f"{section}-file"] = {
        **_table(section, {"use": file}, "A plugin in a file takes keys of its own."), **ANY, "required": ["use"],
    }  # fmt: skip
    uses = [ref(key) for key in found]
    laid = {**_table(section, {}, "Laid on the plugin of this name."), **ANY, **NO_USE}
    more = (
        _single(section, [one.name for one in plugins], uses, laid)
        if section in SINGLE
        else _list(section, plugins, found, uses, laid)
    )
    return found | more


def _single(section: str, names: list[str], uses: list[Schema], laid: Schema) -> Schema:
    """A section that is one table: a plugin, or keys for the one that is there; of `[model]` also one of timm's."""
    doc = {"description": SECTIONS[section].__doc__}
    # An empty table is such keys too; tools then offer the properties that it would have, `use` above all.
    use = {"type": "string", "description": "The plugin.", **({"enum": names} if names else {})}
    laid = {**laid, "properties": {"use": use, **laid["properties"]}}
    if section != "model":
        return {section: {**doc, **judged(names, uses, laid)}}
    nameless = {**laid, "not": {"anyOf": [{"required": ["use"]}, {"required": ["name"]}]}}
    timm = optional(table_schema(ModelTable))
    return {"timm": timm, section: {**doc, "anyOf": [ref("timm"), *uses, nameless]}}


def _list(section: str, plugins: list[Installed], found: Schema, uses: list[Schema], laid: Schema) -> Schema:
    """A section of many tables: a list of them, or tables by name."""
    named = {f"named.{one.key}": _by_name(found[one.key], one) for one in plugins}
    return named | {
        f"{section}-entry": judged([one.name for one in plugins], uses, {**laid, "required": ["name"]}),
        f"{section}-named": judged([one.name for one in plugins], uses, laid),
        section: {
            "type": ["array", "object"],
            "description": SECTIONS[section].__doc__,
            "items": ref(f"{section}-entry"),
            "minProperties": 1,
            "properties": {one.name: {"anyOf": [ref(f"named.{one.key}"), ref(f"{section}-named")]} for one in plugins},
            "additionalProperties": ref(f"{section}-named"),
        },
    }


def judged(names: list[str], uses: list[Schema], laid: Schema) -> Schema:
    """A table that is one of several: what tools offer, of which a table of an unknown `use` is one.

    That one is judged by a condition: told once, at `use`, and not once for each plugin that it is not.
    """
    use = {"type": "string", "not": {"anyOf": [{"enum": names}, {"pattern": FILE}]}}
    unknown = {"type": "object", "required": ["use"], "properties": {"use": use}, **ANY}
    right = {"properties": {"use": {"enum": names}}, **ANY}
    return {"anyOf": [*uses, laid, unknown], "if": unknown, "then": right}


def plugin_table(one: Installed) -> Schema:
    """The table of a plugin that `use` names."""
    doc = help_of(one.cls) if one.cls else "It cannot be used here; `sslkit schema` says why. Any key is accepted."
    own = table_schema(one.cls) if one.cls else ANY
    use = {"const": one.name, "description": doc}
    title = f"{registry.heading(one.section)} {one.name} ({one.package})"
    return {
        "title": title,
        **_table(one.section, {"use": use, **own.get("properties", {})}, doc, one.cls),
        "additionalProperties": own["additionalProperties"],
        "required": ["use"],
    }


def _by_name(found: Schema, one: Installed) -> Schema:
    """A plugin's table under its name, where another one says `use`."""
    keys = [key for key in found["properties"] if key != "use"]
    return {
        "type": "object",
        "title": found["title"],
        "description": found["description"],
        "properties": {key: ref(f"{one.key}/properties/{key}") for key in keys},
        "additionalProperties": found["additionalProperties"],
    }


def _table(section: str, own: dict[str, Schema], doc: str, cls: type | None = None) -> Schema:
    """A plugin's table: its own keys, and those that every plugin takes."""
    keys: dict[str, Schema] = {
        "name": {**NAMES, "description": "What the recipe calls it; by default what `use` says. Names are unique."},
        "on": {**TEXTS, "description": _on(section, cls)},
        "enabled": {"type": "boolean", "default": True, "description": "Whether it takes part."},
    }
    if section == "labeler":
        timing = "The label timing it belongs to; by default whichever the recipe uses."
        keys["when"] = {"enum": ["pool", "step"], "description": timing}
    if section in LISTS:
        keys["after"] = {"type": "string", "description": "The plugin of this section behind which it goes."}
    if section == "model":
        keys["size"] = table_schema(ModelTable)["properties"]["size"]
    return {"type": "object", "description": doc, "properties": {**keys, **own} if "size" in own else {**own, **keys}}


def _on(section: str, cls: type | None) -> str:
    """What `on` means for a plugin."""
    if section == "schedule":
        return 'What it drives: "lr" (the default), or a plugin\'s field, "NAME.FIELD".'
    if section in ("labeler", "loss") or cls is None or SEEING & set(implemented(cls)):
        return "Views that it looks at; a stream's name stands for all of its views."
    return "It looks at no view, and takes none."
