"""Docstrings and TOML for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..tables import RULED


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


CELL = re.compile(r"(?<!\\)\|")


def prose(doc: str) -> Iterator[RenderableType]:
    """A docstring's paragraphs, wrapped to whatever width there is; its tables, and lists with lines of their own."""
    for number, block in enumerate(re.split(r"\n\s*\n", doc.strip("\n"))):
        lines = block.splitlines()
        if number:
            yield Text()
        if all(line.lstrip().startswith("|") for line in lines):
            yield Trimmed(_table(lines))
        elif any(line.startswith((" ", "- ", "* ")) for line in lines):
            yield from (Trimmed(Text(line)) for line in lines)
        else:
            yield Trimmed(Text(" ".join(lines)))


def _table(lines: list[str]) -> Table:
    """A table in Markdown's form."""
    rows = [[cell.strip().replace("\\|", "|") for cell in CELL.split(line.strip())[1:-1]] for line in lines]
    rows = [row for row in rows if set("".join(row)) - set("-: ")]
    table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for head in rows[0] if rows else []:
        table.add_column(Text(head), overflow="fold")
    for row in rows[1:]:
        table.add_row(*map(Text, row[: len(rows[0])]))
    return table


def highlighted(toml: str) -> Text:
    """TOML in colours of the terminal's own, its lines as they are."""
    text = Syntax("", "toml", theme="ansi_dark", background_color="default").highlight(toml)
    text = text[: len(toml)]
    text.end = "\n"
    return text
