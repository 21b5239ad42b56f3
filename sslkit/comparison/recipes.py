"""What differs between recipes, key by key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..recipe.merge import LISTS
from ..recipe.message import shown
from ..recipe.tables import keys
from .groups import Group
from .members import APART

Values = dict[str, Any]
ORDER = " (order)"
"How the path ends that says the order of a section's plugins."

SETTINGS = 4
"Settings that are told of a plugin which other recipes lack."


def differences(groups: Sequence[Group]) -> dict[str, list[list[Any]]]:
    """Every key that is not the same in all recipes: path -> each group's values, none where a recipe lacks the key.

    A group has several values of a key that decides nothing (how many workers there were). Seeds, files and trackers
    are told elsewhere.
    """
    tables = [[values_of(member.table) for member in group.members] for group in groups]
    paths = dict.fromkeys(path for own in tables for values in own for path in values)
    return {
        path: values
        for path, values in ((path, [distinct(own, path) for own in tables]) for path in paths)
        if len({json.dumps(value) for value in values}) > 1 or any(len(value) > 1 for value in values)
    }


def values_of(table: dict[str, Any]) -> Values:
    """A recipe's leaves by path, without what is told elsewhere."""
    return dict(keys({key: value for key, value in table.items() if key not in APART}))


def distinct(tables: Sequence[Values], path: str) -> list[Any]:
    """The values that a group's runs have of a key."""
    found = {json.dumps(table[path]): table[path] for table in tables if path in table}
    return list(found.values())


def rows(groups: Sequence[Group]) -> list[tuple[str, list[str]]]:
    """The differences as people read them: a row for each key, a cell for each group.

    A plugin that some recipes lack is one row, with its settings where it is there; an order is a row of its own only
    where the same plugins come in another one.
    """
    found = differences(groups)
    partial = {name: plugins for name in found if (plugins := owner(name)) and lacked(plugins, groups)}
    result: dict[str, list[str]] = {}
    for path, values in found.items():
        if path in partial:
            plugin = partial[path]
            result.setdefault(plugin, [settings(group, plugin) for group in groups])
        elif not (path.endswith(ORDER) and len({frozenset(map(str, v[0] if v else ())) for v in values}) > 1):
            result[path] = [" | ".join(map(shown, value)) or "" for value in values]
    return list(result.items())


def owner(path: str) -> str | None:
    """`noise.cutout` of `noise.cutout.size`: the plugin whose setting a key is."""
    parts = path.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[0] in LISTS else None


def lacked(plugin: str, groups: Sequence[Group]) -> bool:
    """Whether some recipe has no such plugin."""
    return not all(plugin_table(group, plugin) for group in groups)


def plugin_table(group: Group, plugin: str) -> Values | None:
    """A plugin's table in a group's recipe."""
    section, name = plugin.split(".")
    tables = group.members[0].table.get(section)
    found = (table for table in tables if isinstance(table, dict)) if isinstance(tables, list) else ()
    return next((table for table in found if table.get("name") == name), None)


def settings(group: Group, plugin: str) -> str:
    """A plugin's settings in a cell; nothing where it is not there."""
    table = plugin_table(group, plugin)
    if table is None:
        return ""
    name = plugin.split(".")[1]
    said = [] if table.get("use") == name else [f"use = {shown(table.get('use'))}"]
    said += [f"{key} = {shown(value)}" for key, value in table.items() if key not in ("use", "name", "enabled")]
    said[SETTINGS:] = ["..."] if len(said) > SETTINGS else []
    return ("" if table.get("enabled", True) else "off: ") + (", ".join(said) or "yes")


def files(groups: Sequence[Group]) -> list[str]:
    """Files that recipes name and that had other contents in some runs."""
    known: dict[str, set[str]] = {}
    for member in (member for group in groups for member in group.members):
        for path, digest in (member.table.get("files") or {}).items():
            known.setdefault(path, set()).add(str(digest))
    return sorted(path for path, contents in known.items() if len(contents) > 1)


def trackers_differ(groups: Sequence[Group]) -> bool:
    """Whether runs told other trackers, or told them otherwise: no result depends on it."""
    members = [member for group in groups for member in group.members]
    return len({json.dumps(member.table.get("tracker"), sort_keys=True) for member in members}) > 1
