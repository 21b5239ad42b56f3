"""The forms in which a study's numbers are written, on a terminal and in a file alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tables import ABSENT, percent, points
from .seeds import format_seeds
from .stats import LEVEL, Difference, Spread

if TYPE_CHECKING:  # with torch
    from .outcome import Outcome, Row

HEAD = ("seeds", "test", "selected", "teacher")
HEAD_GAINS = ("gain", "of base's", "minus base", f"{LEVEL:.0%} interval")
WIDEST = 6
"Variants that stand side by side, however few seeds there are."
LEGEND = (
    "test: accuracy of the last model, mean ± standard deviation over seeds; selected: of the model that is best on "
    "validation images; teacher: of generation 0.",
    "gain: last model minus its own teacher, in percentage points; of base's: that gain as a share of the base's; "
    f"minus base: difference to the base's last model, paired by seed, with its {LEVEL:.0%} t interval.",
)


def spread_words(one: Spread) -> str:
    """`95.28% ± 0.61`."""
    deviation = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
    return percent(one.mean) + deviation


def interval_words(one: Difference | None) -> str:
    """`+3.11 to +6.33`."""
    return ABSENT if one is None or one.half_width is None else f"{points(one.low)} to {points(one.high)}"


def accuracy_cells(row: Row) -> list[str]:
    """A row under `HEAD`."""
    return [str(len(row.test.values)), *(spread_words(one) for one in (row.test, row.selected, row.teacher))]


def gain_cells(row: Row) -> list[str]:
    """A row under `HEAD_GAINS`."""
    gain = points(row.gain.mean) if row.gain else ABSENT
    base = points(row.to_base.mean) if row.to_base else ABSENT
    return [gain, percent(row.gain_ratio, 0), base, interval_words(row.to_base)]


def against_words(name: str, one: Difference) -> str:
    """The base beside something that is no variant."""
    pairs = f"{one.pairs} pair{'s' if one.pairs > 1 else ''}"
    if one.half_width is None:
        return f"minus {name}: {points(one.mean)} points ({pairs}: no interval)"
    return f"minus {name}: {points(one.mean)} points ({LEVEL:.0%} interval {interval_words(one)}, {pairs})"


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
