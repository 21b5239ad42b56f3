"""The JSON schema of one table: pydantic's own of a dataclass, in what TOML can say, with help and in draft 7."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_jsonable_python

from . import fields
from .documented import doc_of, field_docs, summary
from .validate import adapter

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
ANY: Schema = {"additionalProperties": True}
"Other keys are accepted. Tools that are strict want to be told."


def table_schema(cls: type) -> Schema:
    """The schema of a table that is laid on a dataclass: its keys with help, bounds, choices and defaults, no others.

    A field that JSON schema cannot describe takes any value here; laying a table on the class is stricter.
    """
    whole = adapter(cls).json_schema(schema_generator=Draft7)
    inside = whole.pop("$defs", {})
    found: Schema = inlined(whole, inside)
    return found


def help_of(cls: type) -> str:
    """What a class is, in one line."""
    return summary(doc_of(cls))


class Draft7(GenerateJsonSchema):
    """Pydantic's schema of dataclasses as tables of TOML, which has no null, in the draft that its tools know."""

    def dataclass_schema(self, schema: Any) -> Schema:
        """Unknown keys are errors; every key has its help."""
        table, cls = super().dataclass_schema(schema), schema["cls"]
        table.pop("title", None)
        table["description"] = help_of(cls)
        table["additionalProperties"] = False
        docs, found = _docs(cls), table.get("properties", {})
        settable = [name for name in found if name in fields.hints(cls)]
        table["properties"] = {name: found[name] | _said_of(cls, name, docs.get(name, "")) for name in settable}
        return table

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A key is its own title."""
        return False

    def nullable_schema(self, schema: Any) -> Schema:
        """None is a key left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Schema:
        """Defaults are told by `_said_of`, those that a function makes too."""
        return self.generate_inner(schema["schema"])

    def float_schema(self, schema: Any) -> Schema:
        """A whole number is a number, which tools show no help for unless they are told."""
        return {**super().float_schema(schema), "type": ["number", "integer"]}

    def tuple_schema(self, schema: Any) -> Schema:
        """Entries by place: `items` and `additionalItems` were called otherwise before."""
        result = super().tuple_schema(schema)
        if "prefixItems" in result:
            rest = result.pop("items", False)
            result |= {"items": result.pop("prefixItems"), "additionalItems": rest}
        return result

    def set_schema(self, schema: Any) -> Schema:
        """A list as any other: an entry that stands twice counts once."""
        return {key: value for key, value in super().set_schema(schema).items() if key != "uniqueItems"}

    def frozenset_schema(self, schema: Any) -> Schema:
        """The same."""
        return {key: value for key, value in super().frozenset_schema(schema).items() if key != "uniqueItems"}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Schema:
        """What has no schema takes any value."""
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Nothing is lost that a reader of recipes would miss."""


def _docs(cls: type) -> dict[str, str]:
    """The text below each field, as far as there is source to read."""
    try:
        return field_docs(cls)
    except Exception:  # no source, or none that stands alone: help is a courtesy
        return {}


def _said_of(cls: type, name: str, doc: str) -> Schema:
    """A field's help: what it means and takes, and its default."""
    takes = f"It takes {fields.accepted(cls, name)}."
    return {"description": f"{doc}\n\n{takes}" if doc else takes, **_default(cls, name)}


def _default(cls: type, name: str) -> Schema:
    """A field's default, if it has one that TOML can say."""
    value = fields.default_of(cls, name)
    if value is None or value is dataclasses.MISSING:
        return {}
    try:
        plain = to_jsonable_python(value)
        json.dumps(plain, allow_nan=False)
    except ValueError:  # infinity, or an object of some class
        return {}
    return {"default": plain}


def inlined(value: Any, inside: dict[str, Schema], open_: tuple[str, ...] = ()) -> Any:
    """A schema without references: a table within a table stands in its place; one within itself takes any keys."""
    if isinstance(value, list):
        return [inlined(item, inside, open_) for item in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).rpartition("/")[2]
    if name not in inside:
        return {key: inlined(item, inside, open_) for key, item in value.items()}
    if name in open_:
        return {"type": "object"}
    rest = {key: item for key, item in value.items() if key != "$ref"}
    return {**inlined(inside[name], inside, (*open_, name)), **rest}


def ref(name: str) -> Schema:
    """A definition by name."""
    return {"$ref": f"#/definitions/{name}"}


def optional(found: Schema) -> Schema:
    """A table of which nothing is required."""
    return {key: value for key, value in found.items() if key != "required"}


def written(schema: Schema) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
