"""The overview of a results file: what became of each claim that a study checks, between two markers that the file has."""

from __future__ import annotations

from ..tables import ABSENT
from .outcome import Outcome
from .rows import Comparison, Row
from .words import MARKS, cell, interval_words, signed, verdict_counts

BEGIN, END = "<!-- findings begin -->", "<!-- findings end -->"
HEAD = ("| study | compared | paper | here | verdict |", "| --- | --- | ---: | ---: | --- |")


def with_finding(text: str, outcome: Outcome) -> str:
    """A results file's text with its overview's lines of this study replaced, or added; unchanged without an overview."""
    first, last = text.find(BEGIN), text.find(END)
    if not outcome.finding or first < 0 or last < first:
        return text
    first += len(BEGIN)
    blocks: dict[str, list[str]] = {}
    for line in text[first:last].splitlines():
        if line.startswith("| ["):  # a study's first line; what it compares follows
            blocks[line.partition("](")[0]] = [line]
        elif blocks and line.startswith("| |"):
            list(blocks.values())[-1].append(line)
    blocks[f"| [{outcome.study}"] = lines_of(outcome)
    lines = [line for block in blocks.values() for line in block]
    return text[:first] + "\n\n" + "\n".join([*HEAD, *lines]) + "\n\n" + text[last:]


def lines_of(outcome: Outcome) -> list[str]:
    """The claim, and a line for each thing that was expected: what was published, what came out, and whether it is so."""
    name = f"[{outcome.study}](#study-{outcome.study})"
    claim = f"| {name} | **{cell(outcome.finding)}** | | | {verdict_counts(outcome)} |"
    return [claim, *(_line(outcome, row, one) for row, one in outcome.expectations)]


def _line(outcome: Outcome, row: Row, one: Comparison) -> str:
    """Who with whom, the published difference, this one with its interval, the verdict."""
    by = "" if one.measure == outcome.measures[0] else f", {one.measure}"
    here = ABSENT
    if one.difference is not None:
        interval = f" ({interval_words(one.difference, one.measure)})" if one.difference.half_width is not None else ""
        here = f"{signed(one.difference.mean, one.measure)}{interval}"
    paper = ABSENT if one.paper is None else f"{one.paper:+.1f}"
    verdict = f"{MARKS[one.verdict]} {one.verdict}" if one.verdict else ABSENT
    return f"| | {cell(f'{row.name} minus {row.against}{by}')} | {paper} | {here} | {verdict} |"
