"""Tables wider than their place: cut into blocks of columns, one below another, each with the rows' names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from .tables import RULED

GAP = 2
"Cells of space between two columns."
WIDEST = 24
"Cells that a column has at most; longer headings and values are broken."
SHORT = 8
"Cells of values that are read across two blocks."
WORD = re.compile(r'"[^"]*"[,\]]*|\S+')
"What is broken over lines nowhere inside."
BESIDE = 3
"Columns of texts that should fit beside one another, if need be on several lines."


class Trimmed:
    """Something without the spaces that fill its lines up: they are in the way of whoever copies or compares it."""

    def __init__(self, inside: RenderableType) -> None:
        self.inside = inside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self.inside, options, pad=False):
            while line and not line[-1].text.strip() and not line[-1].control:
                line.pop()
            if line:
                line[-1] = Segment(line[-1].text.rstrip(), *line[-1][1:])
            yield from [*line, Segment.line()]


@dataclass(frozen=True, eq=False)
class Column:
    """A heading and a cell for each row."""

    head: str
    cells: Sequence[str | Text]
    left: bool = False
    "Its cells begin at the left: they are texts among numbers."

    def width(self, widest: int) -> int:
        """Cells that it takes."""
        return min(widest, max(cell_len(str(cell)) for cell in [self.head, *self.cells]))


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows by name under columns. `styles` are the rows'."""

    names: Sequence[str]
    columns: Sequence[Column]
    styles: Sequence[str] = ()
    corner: str = ""
    left: bool = False
    "Cells begin at the left: they are texts rather than numbers."

    def name_width(self, width: int) -> int:
        """Cells of the names' column: half of the place at most."""
        return min(max(map(cell_len, [self.corner, *self.names]), default=0), max(12, width // 2))

    def widest(self, width: int) -> int:
        """Cells of a column at most: texts share the place."""
        if not self.left or not self.columns:
            return WIDEST
        return max(12, (width - self.name_width(width)) // min(len(self.columns), BESIDE) - GAP)

    def fits(self, width: int) -> bool:
        """Whether it can be read here: nothing inside quotes and no word is broken, and only short values are cut apart."""
        widest = self.widest(width)
        words = (word for column in self.columns for cell in column.cells for word in WORD.findall(str(cell)))
        if any(cell_len(word) > widest for word in words):
            return False
        blocks = len(self.cut(width))
        return blocks == 1 or (blocks == 2 and all(column.width(widest) <= SHORT for column in self.columns))

    def cut(self, width: int) -> list[list[Column]]:
        """The columns of each block. One column is always there, however narrow the place."""
        blocks: list[list[Column]] = []
        used, widest = 0, self.widest(width)
        for column in self.columns:
            if not blocks or used + GAP + column.width(widest) > width:
                blocks.append([])
                used = self.name_width(width)
            blocks[-1].append(column)
            used += GAP + column.width(widest)
        return blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        for number, block in enumerate(self.cut(width)):
            if number:
                yield Text()
            yield Trimmed(self._table(block, width))

    def _table(self, block: list[Column], width: int) -> Table:
        table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="dim")
        table.add_column(self.corner, width=self.name_width(width), overflow="fold")
        for column in block:
            justify: Literal["left", "right"] = "left" if self.left or column.left else "right"
            table.add_column(
                Text(column.head), justify=justify, width=column.width(self.widest(width)), overflow="fold"
            )
        for i, name in enumerate(self.names):
            style = self.styles[i] if self.styles else ""
            table.add_row(Text(name), *(as_text(column.cells[i]) for column in block), style=style)
        return table


def as_text(cell: str | Text) -> Text:
    """A cell's text, whose brackets are no markup."""
    return cell if isinstance(cell, Text) else Text(cell)
