"""The overview of a results file: a line for each study that checks a claim, between two markers that the file has."""

from __future__ import annotations

from ..tables import ABSENT
from .outcome import Outcome
from .rows import Comparison, Row
from .words import MARKS, cell, interval_words, signed, verdict_counts

BEGIN, END = "<!-- findings begin -->", "<!-- findings end -->"
HEAD = ("| study | finding | compared | paper | here | verdict |", "| --- | --- | --- | ---: | ---: | --- |")


def with_finding(text: str, outcome: Outcome) -> str:
    """A results file's text with its overview's line of this study replaced, or added; unchanged without an overview."""
    first, last = text.find(BEGIN), text.find(END)
    if not outcome.finding or first < 0 or last < first:
        return text
    first += len(BEGIN)
    lines = [line for line in text[first:last].splitlines() if line.startswith("| [")]
    head, new = f"| [{outcome.study}](", line_of(outcome)
    known = [line.startswith(head) for line in lines]
    lines = [new if own else line for line, own in zip(lines, known, strict=True)] + ([] if any(known) else [new])
    return text[:first] + "\n\n" + "\n".join([*HEAD, *lines]) + "\n\n" + text[last:]


def line_of(outcome: Outcome) -> str:
    """A study in a line: its claim, and for each thing that was expected what was published, what came out, and whether."""
    compared = [_cells(outcome, row, one) for row, one in outcome.expectations]
    columns = ["<br>".join(column) for column in zip(*compared, strict=True)] or [ABSENT] * 3
    name = f"[{outcome.study}](#study-{outcome.study})"
    return "| " + " | ".join([name, cell(outcome.finding), *columns, verdict_counts(outcome)]) + " |"


def _cells(outcome: Outcome, row: Row, one: Comparison) -> tuple[str, str, str]:
    """Who with whom, the published difference, this one with its interval."""
    by = "" if one.measure == outcome.measures[0] else f", {one.measure}"
    here = ABSENT
    if one.difference is not None:
        interval = f" ({interval_words(one.difference, one.measure)})" if one.difference.half_width is not None else ""
        here = f"{signed(one.difference.mean, one.measure)}{interval} {MARKS.get(one.verdict or '', '')}".rstrip()
    paper = ABSENT if one.paper is None else f"{one.paper:+.1f}"
    return cell(f"{row.name} minus {row.against}{by}"), paper, here
