"""Docstrings and TOML for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..blocks import Trimmed as Trimmed
from ..tables import RULED

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
