"""Resolved tables: to TOML and back, digests of the files they name, and what differs between two."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from .merge import LISTS
from .message import shown

TOLD = 12
"Differences of a mixed-up run that are told."


def dump(table: Mapping[str, Any]) -> str:
    """A resolved table as TOML, which `load` accepts again."""
    return tomli_w.dumps(dict(table))


def digests(files: Iterable[Path]) -> dict[str, str]:
    """Digest of each file's content, by its absolute path."""
    return {str(path): _digest(path) for path in sorted(set(files)) if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two resolved tables: `noise.randaugment.magnitude: 9 -> 12`."""
    before, after = dict(keys(old)), dict(keys(new))
    lines = []
    for path in dict.fromkeys([*before, *after]):
        said = [shown(side[path]) if path in side else "(absent)" for side in (before, after)]
        if path not in before or path not in after or json.dumps(before[path]) != json.dumps(after[path]):
            lines.append(f"{path}: {said[0]} -> {said[1]}")
    return lines


def mixed(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Why a run folder is not gone on with by another recipe."""
    lines = diff(old, new)
    edited = [line for line in lines if line.startswith("files.")]
    what, way = "another recipe", "Start a new run for the new settings, or resume without them"
    if edited == lines:  # the digest of a plugin file or of weights, and nothing else
        what, way = "other contents of these files", "Start a new run with the files as they are, or restore them"
    more = [f"... and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
    text = "\n    ".join([*lines[:TOLD], *more])
    return f"{folder} was begun with {what}; resuming would mix the two:\n    {text}\n{way}"


def keys(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A resolved recipe's values with their paths; first how many generations there are, which empty tables say too."""
    yield "generations", max(1, len(table.get("generation", ())))
    yield from leaves(dict(table))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path; plugins by name, other tables of lists by number."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        named = path in LISTS
        names = [str(item.get("name")) if named else str(i) for i, item in enumerate(value)]
        if named:
            yield f"{path} (order)", names
        for name, item in zip(names, value, strict=True):
            yield from leaves(item, f"{path}.{name}")
    elif value != {}:  # a table without keys says nothing
        yield path, value
