"""What a study says to a person: a line for each run, tables at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..tables import ABSENT, RULED, make_console
from .outcome import Outcome
from .rows import Row
from .words import (
    HEAD,
    accuracy_cells,
    against_words,
    by_measure,
    by_seed,
    circumstances,
    failure_words,
    gains,
    legend,
    verdict_counts,
)

LEFT = ("minus", "verdict")
"Columns of words."
WIDE = 200
"Columns in a pipe: nobody wants numbers cut off in a log."


def wide_console() -> Console:
    """A console on today's stdout that cuts nothing off in a pipe."""
    console = make_console(Console)
    if not console.is_terminal:
        console.width = WIDE
    return console


def show(outcome: Outcome, console: Console, folder: str) -> None:
    """The results."""
    console.print()
    console.print(Text(f"{outcome.study}: {circumstances(outcome)}", "bold"), soft_wrap=True)
    console.print()
    if outcome.finding:
        console.print(Text.assemble(("finding: ", "dim"), outcome.finding), soft_wrap=not console.is_terminal)
        console.print(Text.assemble(("here:    ", "dim"), (verdict_counts(outcome), "bold")), soft_wrap=True)
        console.print()
    console.print(_table(outcome.rows, HEAD, [accuracy_cells(row) for row in outcome.rows]))
    console.print()
    console.print(_table(outcome.rows, *gains(outcome)))
    console.print()
    for measure in outcome.measures[1:]:
        (_, *head), lines = by_measure(outcome, measure)
        rows = [row for row in outcome.rows if row.kind != "reference"]
        console.print(Text(measure, "bold"))
        console.print(_table(rows, head, [line[1:] for line in lines]))
        console.print()
    for row in outcome.rows:
        if row.verdict:
            console.print(Text(f"{row.name}: {row.verdict}"), soft_wrap=True)
    for name, one in outcome.against():
        console.print(Text(f"{outcome.base.name} {against_words(name, one)}"), soft_wrap=True)
    console.print()
    console.print(_by_seed(outcome))
    console.print()
    for line in (*legend(outcome), *outcome.notes):
        console.print(Text(line, "dim"), soft_wrap=not console.is_terminal)
    for line in failure_words(outcome):
        console.print(Text(f"failed: {line}", "red"), soft_wrap=True)
    console.print(Text(folder, "cyan", overflow="fold"), soft_wrap=True)


def _table(rows: Sequence[Row], head: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """A line for each row under its name; columns that nobody fills are left out."""
    used = [i for i in range(len(head)) if any(line[i] != ABSENT for line in lines)]
    table = ruled()
    table.add_column("", overflow="fold")
    for i in used:
        table.add_column(head[i], justify="left" if head[i] in LEFT else "right", no_wrap=True)
    for row, line in zip(rows, lines, strict=True):
        style = {"base": "bold", "baseline": "dim", "reference": "dim"}.get(row.kind, "")
        table.add_row(Text(row.name), *(Text(line[i]) for i in used), style=style)
    return table


def _by_seed(outcome: Outcome) -> Table:
    """Every seed's final test accuracy."""
    table = ruled()
    (first, *names), lines = by_seed(outcome)
    table.add_column(first, justify="right" if lines and lines[0][0].isdigit() else "left", overflow="fold")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for head, *cells in lines:
        table.add_row(Text(head), *cells)
    return table


def ruled() -> Table:
    """An empty table in the style of all of them."""
    return Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
