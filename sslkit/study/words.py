"""The forms in which a study's numbers are written, on a terminal and in a file alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..tables import ABSENT, is_share, percent, points, value
from .keys import ACCURACY
from .seeds import format_seeds
from .stats import LEVEL, Difference, Spread

if TYPE_CHECKING:  # with torch
    from .outcome import Outcome
    from .rows import Comparison, Row

HEAD = ("seeds", "test", "selected", "teacher")
WIDEST = 6
"Variants that stand side by side, however few seeds there are."


def spread_words(one: Spread, measure: str = ACCURACY) -> str:
    """`95.28% ± 0.61`."""
    if not is_share(measure):
        return ABSENT if one.mean is None else value(one.mean) + (f" ± {one.deviation:.2g}" if one.deviation else "")
    deviation = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
    return percent(one.mean) + deviation


def signed(number: float | None, measure: str = ACCURACY) -> str:
    """A difference: `-3.11`, of shares in percentage points."""
    return points(number) if number is None or is_share(measure) else f"{number:+.4g}"


def interval_words(one: Difference | None, measure: str = ACCURACY) -> str:
    """`+3.11 to +6.33`."""
    if one is None or one.half_width is None:
        return ABSENT
    return f"{signed(one.low, measure)} to {signed(one.high, measure)}"


def accuracy_cells(row: Row) -> list[str]:
    """A row under `HEAD`."""
    return [str(len(row.test.values)), *(spread_words(one) for one in (row.test, row.selected, row.teacher))]


def gains(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """A head, and a line for each row: its gain, and its main measure beside the row that it is compared with."""
    head = ["gain", "of base's", *_comparison_head(outcome)]
    return head, [
        [
            points(row.gain.mean) if row.gain else ABSENT,
            percent(row.gain_ratio, 0),
            *_comparison(outcome, row, row.main),
        ]
        for row in outcome.rows
    ]


def by_measure(outcome: Outcome, measure: str) -> tuple[list[str], list[list[str]]]:
    """A head, and a line for each row that is compared by a measure: its mean, and how it compares."""
    lines = []
    for row in outcome.rows:
        for one in row.comparisons:
            if one.measure == measure and row.kind != "reference":
                lines.append([row.name, spread_words(one.values, measure), *_comparison(outcome, row, one)])
    return ["", "mean", *_comparison_head(outcome)], lines


def _comparison_head(outcome: Outcome) -> list[str]:
    named = ["minus base"] if _to_base(outcome) else ["minus", "difference"]
    return [*named, f"{level_words(outcome.level)} interval", "paper", "verdict"]


def _comparison(outcome: Outcome, row: Row, one: Comparison) -> list[str]:
    """Whom it is compared with, where that is not the base of all; the difference, its interval, the paper's, the verdict."""
    mean = signed(one.difference.mean, one.measure) if one.difference else ABSENT
    named = [mean] if _to_base(outcome) else [row.against or ABSENT, mean]
    paper = ABSENT if one.paper is None else f"{one.paper:+.1f}"
    verdict = f"{MARKS[one.verdict]} {one.verdict}" if one.verdict else ABSENT
    return [*named, interval_words(one.difference, one.measure), paper, verdict]


def _to_base(outcome: Outcome) -> bool:
    """Whether all rows are compared with the base."""
    return all(row.against in (None, outcome.base.name) for row in outcome.rows)


def level_words(level: float) -> str:
    """`95%`, `99.17%`."""
    return f"{100 * level:.4g}%"


MARKS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
"A verdict at a glance, without colour."


def legend(outcome: Outcome) -> list[str]:
    """How the tables are read."""
    expected, level = len(outcome.expectations), level_words(outcome.level)
    together = f"; all {expected} on which a verdict hangs hold together at {LEVEL:.0%} (Bonferroni)"
    lines = [
        "test: accuracy of the last model, mean ± standard deviation over seeds; selected: of the model that is best on "
        "validation images; teacher: of generation 0.",
        "gain: last model minus its own teacher, in percentage points; of base's: that gain as a share of the base's; "
        f"{'minus base: difference to the base' if _to_base(outcome) else 'difference: to the row under `minus`'}, paired "
        f"by seed, with its {level} t interval{together if expected > 1 else ''}.",
    ]
    if expected:
        lines.append("verdict: supported or not where the interval leaves out zero, undecided where it does not.")
    if any(one.paper is not None for row in outcome.rows for one in row.comparisons):
        lines.append(f"paper: the difference that was published ({outcome.source or 'the study file says where'}).")
    return lines


def verdict_counts(outcome: Outcome) -> str:
    """`3 of 5 supported, 2 undecided`: what became of everything that was expected."""
    verdicts = [one.verdict for _, one in outcome.expectations]
    total, there = len(verdicts), [v for v in verdicts if v]
    if not there:
        return ABSENT
    counts = {name: there.count(name) for name in MARKS if name in there}
    first, *rest = [f"{count} {name}" for name, count in counts.items()]
    number, _, name = first.partition(" ")
    return ", ".join([f"{number} of {total} {name}" if total > 1 else name, *rest])


def against_words(name: str, one: Difference) -> str:
    """The base beside something that is no variant."""
    pairs = f"{one.pairs} pair{'s' if one.pairs > 1 else ''}"
    if one.half_width is None:
        return f"minus {name}: {points(one.mean)} points ({pairs}: no interval)"
    return f"minus {name}: {points(one.mean)} points ({level_words(one.level)} interval {interval_words(one)}, {pairs})"


def by_seed(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    """Every seed's final test accuracy: a head and lines. Whichever there are more of, seeds or variants, goes down."""
    names = [row.name for row in outcome.rows]
    lines = [[percent(row.test.values.get(seed)) for seed in outcome.seeds] for row in outcome.rows]
    if len(names) > max(len(outcome.seeds), WIDEST):
        return ["seed", *map(str, outcome.seeds)], [[name, *line] for name, line in zip(names, lines, strict=True)]
    columns = zip(*lines, strict=True)
    return ["seed", *names], [[str(seed), *column] for seed, column in zip(outcome.seeds, columns, strict=True)]


def circumstances(outcome: Outcome) -> str:
    """Seeds, versions, devices in one line."""
    versions = [f"{name} {' and '.join(found)}" for name, found in outcome.versions.items()]
    count = "1 seed" if len(outcome.seeds) == 1 else f"{len(outcome.seeds)} seeds"
    return f"{count}: {format_seeds(outcome.seeds)}; " + "; ".join(
        [", ".join(versions) or "no run is finished", *(["on " + " and ".join(outcome.devices)] if versions else [])]
    )


def failure_words(outcome: Outcome) -> list[str]:
    """One line for each result that is missing."""
    return [
        f"{name}, seed {seed}: {one.message.splitlines()[0] if one.message else 'failed'}"
        for one in outcome.failures
        for name, seed in one.child.uses
    ]


def cell(text: str) -> str:
    """Text that neither ends a table's cell in Markdown nor is taken for markup."""
    return re.sub(r"([\\|*\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")
