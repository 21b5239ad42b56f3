"""Where things were said: tables that remember the file of each key, and the line of a key in its file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Path_ = tuple[str | int, ...]
LINE_BUDGET = 1_000_000  # characters parsed beyond the text itself to find line numbers; then problems are told without


@dataclass(eq=False)
class Source:
    """One file of a recipe, or the command line."""

    label: str
    "How messages name it."
    folder: Path
    "What its relative paths start from."
    text: str = ""

    @cached_property
    def lines(self) -> dict[Path_, int]:
        """Line number of every key and table header; made only when a problem asks for one."""
        return line_numbers(self.text)

    def line(self, path: Path_) -> int | None:
        """The line that says a key, or else the table around it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


@dataclass(frozen=True)
class Place:
    """A key of a source."""

    source: Source
    path: Path_ = ()

    def at(self, *keys: str | int) -> Place:
        """A key below this one."""
        return Place(self.source, (*self.path, *keys))

    @property
    def line(self) -> int | None:
        """Its line, where the source has lines."""
        return self.source.line(self.path)

    def seen_from(self, other: Place) -> str:
        """How a message about another place points at this one: ` (line 3)`, ` (base.toml, line 3)`."""
        file = "" if self.source.label == other.source.label else self.source.label
        said = ", ".join(filter(None, [file, f"line {self.line}" if self.line else ""]))
        return f" ({said})" if said else ""


class Table(dict[str, Any]):
    """A TOML table that remembers where it and each of its keys were said."""

    def __init__(self, items: Mapping[str, Any], place: Place, places: Mapping[str, Place] | None = None) -> None:
        super().__init__(items)
        self.place = place
        self.places = dict(places or {})

    def where(self, key: str) -> Place:
        """Where a key was said; where the table was, if it was not."""
        return self.places.get(key, self.place)

    def put(self, key: str, value: Any, place: Place) -> None:
        """Set a key."""
        self[key] = value
        self.places[key] = place

    def only(self, *keys: str) -> Table:
        """The same table with some of its keys."""
        return Table({k: v for k, v in self.items() if k in keys}, self.place, self.places)

    def without(self, *keys: str) -> Table:
        """The same table without some of its keys."""
        return Table({k: v for k, v in self.items() if k not in keys}, self.place, self.places)


def annotated(value: Any, place: Place) -> Any:
    """A parsed value with every table in it a `Table`. Numbers beyond 64 bits, which are refused, are cut."""
    if isinstance(value, dict):
        items = {key: annotated(item, place.at(key)) for key, item in value.items()}
        return Table(items, place, {key: place.at(key) for key in items})
    if isinstance(value, list):
        return [annotated(item, place.at(i)) for i, item in enumerate(value)]
    if isinstance(value, int) and value.bit_length() > 64:  # Python refuses to write those of thousands of digits
        return 2**64 if value > 0 else -(2**64)
    return value


def plain(value: Any) -> Any:
    """The same value in plain dictionaries and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Each statement of a valid TOML text: its first line's number, its text, what it says by itself.

    A statement is the shortest run of lines that parses, so that values may span lines. The work is bounded.
    """
    lines = text.split("\n")
    start, budget = 0, LINE_BUDGET + len(text)
    while start < len(lines):
        for end in range(start + 1, len(lines) + 1):
            chunk = "\n".join(lines[start:end])
            budget -= len(chunk) + 1
            if budget < 0:
                return
            try:
                table = tomllib.loads(chunk)
            except tomllib.TOMLDecodeError:
                continue
            yield start + 1, chunk.lstrip(), table
            break
        start = end


def line_numbers(text: str) -> dict[Path_, int]:
    """Path -> number of the line that says it, from 1. Tables of a list count from 0."""
    found: dict[Path_, int] = {}
    counts: dict[Path_, int] = {}
    header: Path_ = ()
    for number, statement, table in statements(text):
        if statement.startswith("["):
            header = _header(table, statement.startswith("[["), counts)
            for depth in range(1, len(header) + 1):
                found.setdefault(header[:depth], number)
        else:
            for path in _paths(table):
                found.setdefault(header + path, number)
    return found


def _header(table: dict[str, Any], is_list: bool, counts: dict[Path_, int]) -> Path_:
    """The path that `[a.b]` or `[[a.b]]` opens, with the positions in the lists it passes through."""
    path: Path_ = ()
    inside: Any = table
    while inside and isinstance(inside, dict):
        (name,) = inside
        inside = inside[name]
        path += (name,)
        if is_list and inside == [{}]:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path += (counts[path] - 1,)
    return path


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Every path of a parsed value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(item, (*path, key))
