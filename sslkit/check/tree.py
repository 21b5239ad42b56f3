"""The picture of a method as a tree: generations, streams and views, labels, passes, losses, and what they take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from ..tables import Flow
from .images import split_rows, title_pieces
from .rows import BARS, Line, generation_pieces, head_pieces, lines_of, title_of

COLUMN = 10
"Cells of a row's label."
NARROWEST = 12
"Cells that a row's text takes, however narrow the terminal."
MARKS = {"✓": "green", "✗": "bold red", "?": "yellow"}


class Row:
    """A label and pieces of text: on as few lines as their width allows, each line beside the label's column."""

    def __init__(self, label: str, *pieces: str, style: str = "dim", column: int = COLUMN) -> None:
        self.label, self.pieces, self.style, self.column = label, pieces, style, column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(NARROWEST, options.max_width - self.column)
        lines = [part for line in Flow(self.pieces).lines(width) for part in Text(line).wrap(console, width)]
        for number, line in enumerate(lines):
            line.rstrip()
            for mark, style in MARKS.items():
                line.highlight_words([f"{mark} "], style)
            line.highlight_regex(f"[{BARS}]+", "cyan")
            label = "" if number else self.label
            yield Text.assemble((f"{label:<{self.column}}", self.style), line)


def remark(label: str, text: str, style: str) -> Row:
    """A line outside the tree."""
    return Row(f"{label}:", text, style=style, column=len(label) + 2)


def draw(picture: dict[str, Any]) -> Tree:
    """A picture as a tree. Generations that are alike share a branch; of others, only rows that differ are repeated."""
    head = picture["recipe"]
    tree = Tree(Row(head, *head_pieces(picture), style="bold", column=min(len(head) + 3, 30)))
    if "splits" in picture["data"]:
        images = tree.add(Row("data", *title_pieces(picture["data"]), style="bold cyan", column=len("generation 0   ")))
        for name, pieces in split_rows(picture["data"]):
            images.add(Row(name, *pieces, column=len("validation ")))
    before: dict[str, list[Line]] = {}
    for _, group in groupby(picture["generations"], alike):
        same = list(group)
        title, kinds = title_of(same), by_label(lines_of(same))
        rest = any(set(before.get(label, [])) & set(lines) for label, lines in kinds.items())
        pieces = [*generation_pieces(same), "the rest as before" if rest else ""]
        branch = tree.add(Row(title, *pieces, style="bold cyan", column=len(title) + 3))
        for label in dict.fromkeys([*kinds, *before]):
            if kinds.get(label) != before.get(label):
                grow(branch, changed(kinds.get(label, [Line(label, ("none",))]), before.get(label, [])))
        before = kinds
    return tree


def by_label(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Rows by their label, in order."""
    kinds: dict[str, list[Line]] = {}
    for line in lines:
        kinds.setdefault(line.label, []).append(line)
    return kinds


def changed(lines: Sequence[Line], before: Sequence[Line]) -> Iterator[Line]:
    """Rows of a kind that are not as they were: all of them, where their number changed. What is below a row and is as it
    was is not repeated.
    """
    for number, line in enumerate(lines):
        if len(lines) == len(before) and line == before[number]:
            continue
        known = line.below and any(line.below == old.below for old in before)
        yield Line(line.label, (*line.pieces, "views as before")) if known else line


def grow(branch: Tree, lines: Iterable[Line]) -> None:
    """Rows with those below them."""
    for line in lines:
        grow(branch.add(Row(line.label, *line.pieces)), line.below)


MEASURED = ("generation", "seconds", "value", "gradient", "kept", "memory")


def alike(part: dict[str, Any]) -> str:
    """What tells one generation from the next: everything but its number and what was measured."""
    return repr(unmeasured(part))


def unmeasured(value: Any) -> Any:
    """A picture without what was measured."""
    if isinstance(value, dict):
        return {key: unmeasured(item) for key, item in value.items() if key not in MEASURED}
    return [unmeasured(item) for item in value] if isinstance(value, list) else value
