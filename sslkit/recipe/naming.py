"""What messages call a key of a recipe before its table is laid on a class: `[[labeler]] sure: threshold`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..hookspecs import SECTIONS
from ..registry import heading
from .merge import LISTS, name_of
from .places import Path_, Table


def named(path: Path_, root: Any = None) -> str:
    """A key in the recipe's words. `root`: the table that the path starts from, where numbers in it stand for names."""
    prefix = ""
    if path[:1] == ("generation",) and len(path) > 2:
        prefix, root, path = f"generation {path[1]}, ", _inside(root, path[:2]), path[2:]
    label, keys = _split(path, root)
    return f"{prefix}{label}: `{_dotted(keys)}`" if label and keys else f"{prefix}`{_dotted(path)}`"


def _split(path: Path_, root: Any) -> tuple[str, Path_]:
    """How a table's messages begin, and the keys within it; no label: the recipe's own keys."""
    section, within = path[0] if path else "", path[1:2]
    if section in LISTS and within:
        return f"{heading(str(section))} {_plugin(path[:2], root)}", path[2:]
    if section == "views" and within:
        return f"[views.{within[0]}]", path[2:]
    if section == "pass" and within:
        return f"[[pass]] {within[0]}", path[2:]
    if section in SECTIONS:
        table = _inside(root, path[:1])
        name = name_of(table) if isinstance(table, Table) and "use" in table else None
        return f"{heading(str(section))} {name or ''}".rstrip(), path[1:]
    return ("[optimizer]", path[1:]) if section == "optimizer" else ("", path)


def _plugin(path: Path_, root: Any) -> str:
    """The name of a plugin's table: its key, or what the table itself says, or else its number."""
    table = _inside(root, path) if isinstance(path[1], int) else None
    return (name_of(table) if isinstance(table, Table) else None) or str(path[1])


def _inside(root: Any, path: Path_) -> Any:
    """What lies at a path; None: nothing does."""
    for key in path:
        if isinstance(root, dict):
            root = root.get(key)
        else:
            root = root[key] if isinstance(root, list) and isinstance(key, int) and key < len(root) else None
    return root


def _dotted(keys: Sequence[str | int]) -> str:
    return ".".join(str(key) for key in keys)
