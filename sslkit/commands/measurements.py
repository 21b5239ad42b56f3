"""What was measured, for human eyes: headline numbers, tables by class, who is taken for whom.

A metric's value is shown by its form: a number; a table `{row: {column: value}}`; a matrix `{"classes", "matrix"}` whose
rows are the truth. Others are left to `--json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from ..blocks import Blocks, Column
from ..reporting.measures import is_corruption
from ..tables import ABSENT, Flow, count, is_brief, is_number, metric_words, notes_of, percent

SPLITS = ("test", "validation")
ROWS = 30
"Rows of a table by class that are shown; of more, the lowest."
PAIRS = 12
"Most confused pairs that are shown where a matrix is too wide."
NO_NUMBER = "not a number"
"What was measured and is no finite number: null in JSON."
ERRORS = ": errors, a column for each severity"
"What the heading of a table of corruptions says."
NONE = "."
"No image, in a matrix."


def words(name: str) -> str:
    """`test_per_class` -> "test per class"."""
    return name.replace("_", " ")


def is_table(measured: Any) -> bool:
    """Whether a value is a table: rows by name, each with the same columns."""
    if not isinstance(measured, dict) or not measured or not all(isinstance(row, dict) for row in measured.values()):
        return False
    return len({tuple(row) for row in measured.values()}) == 1


def is_curve(measured: Any) -> bool:
    """Whether a table has one column: a value at each of its rows."""
    return is_table(measured) and len(next(iter(measured.values()))) == 1


def is_matrix(measured: Any) -> bool:
    """Whether a value counts classes that are taken for classes."""
    if not isinstance(measured, dict) or set(measured) != {"classes", "matrix"}:
        return False
    size, rows = len(measured["classes"]), measured["matrix"]
    return len(rows) == size and all(isinstance(row, list) and len(row) == size for row in rows)


def split_of(name: str) -> str | None:
    """The split that a metric's name begins with."""
    return next((split for split in SPLITS if name.startswith(f"{split}_")), None)


def bare(name: str) -> str:
    """A metric's name without its split."""
    split = split_of(name)
    return words(name[len(split) + 1 :] if split else name)


# Headline numbers -------------------------------------------------------------------------------------------------


def brief_words(name: str, measured: Any) -> str:
    """A value in a cell; None is what was no finite number."""
    return NO_NUMBER if measured is None else metric_words(name, measured)


def headline(metrics: dict[str, Any]) -> Iterator[RenderableType]:
    """Numbers of one model: a row for each metric, a column for each split; then what belongs to no split.

    Points of a curve (`test_fgsm_2` of the table `test_fgsm`) are told by the curve.
    """
    points = {f"{name}_{row}" for name, rows in metrics.items() if is_curve(rows) for row in rows}
    brief = {n: value for n, value in metrics.items() if (value is None or is_brief(value)) and n not in points}
    names = list(dict.fromkeys(bare(name) for name in brief if split_of(name)))
    columns = []
    for split in SPLITS:
        own = {bare(name): brief_words(name, value) for name, value in brief.items() if split_of(name) == split}
        if own:
            columns.append(Column(split, [own.get(name, ABSENT) for name in names]))
    if columns:
        yield Blocks(names, columns)
    others = [f"{words(name)} {brief_words(name, value)}" for name, value in brief.items() if not split_of(name)]
    if others and columns:
        yield Text()
    yield from map(Text, others)


def headlines(rows: Sequence[tuple[str, dict[str, Any]]]) -> RenderableType:
    """Numbers of several models: a row for each of them."""
    told = ((name, value) for _, metrics in rows for name, value in metrics.items())
    names = list(dict.fromkeys(name for name, value in told if value is None or is_brief(value)))
    names.sort(key=lambda name: (*SPLITS, None).index(split_of(name)))

    def cell(metrics: dict[str, Any], name: str) -> str:
        there = name in metrics and (metrics[name] is None or is_brief(metrics[name]))
        return brief_words(name, metrics[name]) if there else ABSENT

    columns = [Column(words(name), [cell(metrics, name) for _, metrics in rows]) for name in names]
    return Blocks([name for name, _ in rows], columns)


# Tables -----------------------------------------------------------------------------------------------------------


def details(metrics: dict[str, Any]) -> Iterator[RenderableType]:
    """Tables and matrices of the test images (of others where there are none of those), each with its heading."""
    tables = {name: value for name, value in metrics.items() if is_table(value) or is_matrix(value)}
    hidden = [n for n in tables if split_of(n) == "validation" and f"test_{n.removeprefix('validation_')}" in tables]
    for name in (name for name in tables if name not in hidden):
        yield Text()
        yield from matrix(name, tables[name]) if is_matrix(tables[name]) else table(name, tables[name])
    others = [name for name, value in metrics.items() if isinstance(value, (list, dict)) and name not in tables]
    if hidden or others:
        yield Text()
        yield Flow(["more with --json: " + ", ".join([*hidden, *others])], "dim")


def table(name: str, rows: dict[str, dict[str, Any]]) -> Iterator[RenderableType]:
    """A table by class; of a long one the rows that are lowest in the first column. A curve is one line."""
    heads = list(next(iter(rows.values())))
    if is_curve(rows) and len(rows) <= ROWS:
        yield Text(words(name), style="bold")
        yield Blocks([words(heads[0])], [Column(row, [cell(heads[0], rows[row][heads[0]])]) for row in rows])
        return
    first, chosen = (heads or [""])[0], list(rows)
    if len(rows) > ROWS:
        low = [row for row in chosen if is_number(rows[row].get(first))]
        chosen = sorted(low, key=lambda row: rows[row][first])[:ROWS]
        yield Text(f"{words(name)}: the {len(chosen)} of {len(rows):,} that are lowest in {words(first)}", style="bold")
    else:
        yield Text(words(name) + (ERRORS if is_corruption(rows) else ""), style="bold")
    columns = [
        Column(
            words(head),
            [cell(head, rows[row][head]) for row in chosen],
            any(isinstance(rows[row][head], dict) for row in chosen),
        )
        for head in heads
    ]
    yield Blocks(chosen, columns)


def cell(head: str, measured: Any) -> str:
    """A value in a table: a share, a count, or names with counts."""
    if isinstance(measured, dict):
        return ", ".join(f"{name} ({count(number)})" for name, number in measured.items())
    if isinstance(measured, int) and not isinstance(measured, bool):
        return count(measured)
    return metric_words(f"_{head}", measured) if is_brief(measured) else ABSENT


# Who is taken for whom --------------------------------------------------------------------------------------------


class Matrix:
    """A confusion matrix, as far as the width takes one: with names, else with numbers over its columns, else pairs."""

    def __init__(self, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
        self.classes, self.counts = [str(name) for name in classes], counts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        numbers = [str(i) for i in range(len(self.classes))]
        numbered = [f"{i} {name}" for i, name in zip(numbers, self.classes, strict=True)]
        for names, heads in ((self.classes, self.classes), (numbered, numbers)):
            shown = self.blocks(names, heads)
            if len(shown.cut(options.max_width)) == 1:
                yield shown
                return
        yield from self.pairs()

    def blocks(self, names: Sequence[str], heads: Sequence[str]) -> Blocks:
        """Rows are the truth."""
        columns = [
            Column(head, [self.cell(row[j], i == j) for i, row in enumerate(self.counts)])
            for j, head in enumerate(heads)
        ]
        return Blocks(names, columns, corner="is / taken for")

    def cell(self, number: int, right: bool) -> Text:
        """What is right stands out; what never happens steps back."""
        return Text(count(number) if number else NONE, style="bold" if right else "" if number else "dim")

    def pairs(self) -> Iterator[RenderableType]:
        """The most confused pairs."""
        size = range(len(self.classes))
        wrong = [(self.counts[i][j], i, j) for i in size for j in size if i != j and self.counts[i][j]]
        wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
        for number, i, j in wrong[:PAIRS]:
            share = percent(number / sum(self.counts[i]), 1)
            yield Text(
                f"{self.classes[i]} is taken for {self.classes[j]}: {count(number)} times, {share} of its images"
            )
        if not wrong:
            yield Text("no image is taken for another class")
        elif len(wrong) > PAIRS:
            yield Text(f"and {len(wrong) - PAIRS:,} pairs of classes more", style="dim")


def matrix(name: str, measured: dict[str, Any]) -> Iterator[RenderableType]:
    """A confusion matrix under its heading."""
    yield Text(words(name), style="bold")
    yield Matrix(measured["classes"], measured["matrix"])


def notes(metrics: Sequence[dict[str, Any]]) -> list[str]:
    """What metrics say in sentences, each once; and which of them answered no number."""
    lost = dict.fromkeys(words(name) for one in metrics for name, value in one.items() if value is None)
    said = (
        [f"{NO_NUMBER} (null in --json): {', '.join(lost)}; the metric answered NaN, infinity or nothing"]
        if lost
        else []
    )
    return list(dict.fromkeys([*(note for one in metrics for note in notes_of(one)), *said]))
