"""A study: what was claimed, what the paper and these runs measured, whether it holds, and how to run it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..comparison.members import read_member
from ..recipe.message import counted
from ..study.seeds import format_seeds
from ..study.stats import LEVEL
from ..study.words import MARKS, interval_words, level_words, signed, spread_words
from ..tables import ABSENT, is_share, percent, value
from .compare_charts import Bar, Whose, by_row, forest
from .compare_members import Cohort, Seen
from .compare_results import Measured, ResultRow, Results
from .measures import readable, titled
from .parts import Choice, Code, Facts, Figure, Part, Prose, Section, Table

POINTS = "percentage points"
GAIN = "base's gain"
"What a verdict says that is of a row's gain."
VERDICTS = ("supported", "not supported", "undecided")


def whose(results: Results, row: ResultRow) -> Whose:
    """A row's place in every figure."""
    return Whose(row.name, results.rows.index(row))


def row_cohorts(results: Results) -> list[Cohort]:
    """The runs of every row, at the generation that counts."""
    return [
        Cohort(whose(results, row), [_seen(row, seed) for seed in row.runs]) for row in results.rows if row.runs
    ]  # fmt: skip


def run_cohorts(results: Results) -> list[Cohort]:
    """The same without repetition: rows that are generations of the same runs are one."""
    parts: dict[tuple[str, ...], list[ResultRow]] = {}
    for row in results.rows:
        if row.runs:
            parts.setdefault(tuple(map(str, row.runs.values())), []).append(row)
    return [
        Cohort(Whose(_together(rows), results.rows.index(rows[0])), [_seen(rows[0], seed) for seed in rows[0].runs])
        for rows in parts.values()
    ]


def _together(rows: Sequence[ResultRow]) -> str:
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return ", ".join(row.name for row in rows[:3]) + more


def _seen(row: ResultRow, seed: int) -> Seen:
    member = read_member(row.runs[seed])
    member.name = f"{row.name}, seed {seed}"
    return Seen(member, row.generation, seed)


def finding(results: Results, notes: Sequence[str]) -> Section:
    """The claim, and what became of it."""
    parts: list[Part] = [Prose(results.finding or f"The study {results.study}.", "lead")]
    if said := verdict_words(results):
        compared = counted(len(results.expected), "comparison")
        parts.append(Prose(f"Of {compared}: {said}.", "lead"))
    if results.source:
        parts.append(Prose(f"Claimed in: {results.source}"))
    parts += _verdicts(results)
    if results.failures:
        missing = "1 result is" if len(results.failures) == 1 else f"{len(results.failures)} results are"
        text = f"{missing} missing, since runs failed. What follows is of the others."
        parts.append(Prose(text, "warning"))
    parts += [Prose(note, "note") for note in (*results.notes, *_missing(results), *notes)]
    return Section("finding", "The finding", parts)


def verdict_words(results: Results) -> str:
    """`✓ 2 supported, ? 1 undecided`; nothing where nothing is expected."""
    expected = [one for _, _, one in results.expected]
    if not expected:
        return ""
    verdicts = [one.verdict for one in expected if one.verdict]
    said = [f"{MARKS[name]} {verdicts.count(name)} {name}" for name in VERDICTS if name in verdicts]
    if len(verdicts) < len(expected):
        said.append(f"{len(expected) - len(verdicts)} not measured")
    return ", ".join(said)


def _verdicts(results: Results) -> Iterator[Part]:
    """Verdicts that do not stand together in one table of differences: by several measures, and of gains."""
    measures = [*dict.fromkeys(measure for _, measure, one in results.expected if one.verdict)]
    rows = [row for row in results.rows if any(one.verdict for one in row.measures.values())]
    if len(measures) > 1:
        cells = [[readable(name), *(_short(row.measures.get(name), name) for row in rows)] for name in measures]
        caption = f"Differences with what became of them; of shares in {POINTS}"
        yield Table(["measure", *(row.name for row in rows)], cells, caption)
    for row in results.rows:
        if GAIN in row.verdict:  # the last of a row's verdicts, by no measure
            yield Prose(f"{row.name}: {row.verdict.split('; ')[-1]}")


def _short(one: Measured | None, measure: str) -> str:
    """`✓ -4.60, supported`."""
    if one is None or one.difference is None:
        return ABSENT
    mean = signed(one.difference.mean, measure)
    return f"{MARKS.get(one.verdict, '')} {mean}, {one.verdict}".strip() if one.verdict else mean


def _marked(one: Measured) -> str:
    """`✓ expected lower: supported`: a verdict with its mark, told by no colour."""
    return f"{MARKS.get(one.verdict, '')} {one.words or one.verdict}".strip()


def _missing(results: Results) -> Iterator[str]:
    """Rows that have fewer results than seeds, and why nothing is sure of one."""
    main = results.measures[0]
    for row in results.rows:
        found = row.measures.get(main)
        if found is not None and len(found.values.values) < len(results.seeds):
            yield f"{row.name}: results of {len(found.values.values)} of {counted(len(results.seeds), 'seed')} so far."
    if len(results.seeds) == 1 and not any("seed" in note for note in results.notes):
        yield "One seed: no deviations and no intervals, which need at least two."


def differences(results: Results) -> list[Section]:
    """Each row beside the one that it is compared with, by every measure; beside the paper's difference."""
    options = [(readable(name), parts) for name in results.measures if (parts := [*_difference(results, name)])]
    if not options:
        return []
    told = options[0][1] if len(options) == 1 else [Choice("Measure", options)]
    papers = any(one.paper is not None for row in results.rows for one in row.measures.values())
    title = "The paper and these runs" if papers else "Differences"
    return [Section("differences", title, [*told, Prose(_legend(results))])]


def _difference(results: Results, measure: str) -> Iterator[Part]:
    rows = [(row, row.measures[measure]) for row in results.rows if measure in row.measures]
    told = [(row, one) for row, one in rows if one.difference is not None or one.paper is not None]
    if told:
        bars = [_bar(results, row, one, measure) for row, one in told]
        unit = f"{readable(measure)}, {POINTS}" if is_share(measure) else readable(measure)
        traces, axes = forest(bars, unit)
        papers = " The hollow diamond is the difference that the paper measured." * any(
            one.paper is not None for _, one in told
        )
        says = f"Each row minus the one that it is compared with; the bar is its interval.{papers}"
        yield Figure(f"Differences of {readable(measure)}", traces, axes, says)
    if rows:
        yield _table(results, rows, measure)


def _bar(results: Results, row: ResultRow, one: Measured, measure: str) -> Bar:
    by = 100 if is_share(measure) else 1
    ends = (None, None) if one.difference is None else (one.difference.low, one.difference.high)
    low, high = (None if end is None else by * end for end in ends)
    mean = None if one.difference is None else by * one.difference.mean
    other = f"minus {row.against}" if row.against else ""
    return Bar(whose(results, row), mean, low, high, MARKS.get(one.verdict, ""), one.paper, other)


def _table(results: Results, rows: Sequence[tuple[ResultRow, Measured]], measure: str) -> Table:
    others = [row.against for row, one in rows if one.difference]
    same = len(set(others)) == 1
    head = [
        "row",
        "mean ± deviation",
        *([f"minus {others[0]}"] if same else ["minus", "difference"]),
        "interval",
        "paper",
        "verdict",
    ]
    cells = []
    for row, one in rows:
        mean = signed(one.difference.mean, measure) if one.difference else ABSENT
        paper = ABSENT if one.paper is None else f"{one.paper:+.2f}"
        cells.append([row.name, spread_words(one.values, measure), *([mean] if same else [row.against, mean]),
                      interval_words(one.difference, measure), paper, _marked(one)])  # fmt: skip
    words = titled(readable(measure))
    caption = f"{words}; differences in {POINTS}" if is_share(measure) else words
    return Table(head, cells, caption, [whose(results, row).keys for row, _ in rows])


def _legend(results: Results) -> str:
    levels = [one.difference.level for row in results.rows for one in row.measures.values() if one.difference]
    expected = len(results.expected)
    level = level_words(max(levels, default=LEVEL))
    said = [f"Differences are paired by seed; bars are {level} t intervals."]
    if expected > 1 and max(levels, default=LEVEL) > LEVEL:
        said.append(
            f"With it all {expected} comparisons on which a verdict hangs hold together at {LEVEL:.0%} (Bonferroni)."
        )
    if expected:
        said.append(
            f"{MARKS['supported']} supported: the interval lies on the expected side of zero; {MARKS['not supported']} not "
            f"supported: on the other side; {MARKS['undecided']} undecided: it reaches over zero at this many seeds."
        )
    return " ".join(said)


def seeds(results: Results) -> list[Section]:
    """Every seed's results."""
    options = [(readable(name), parts) for name in results.measures if (parts := [*_seeds(results, name)])]
    told = options[0][1] if len(options) == 1 else [Choice("Measure", options)]
    return [Section("seeds", "Seed by seed", told)] if options else []


def _seeds(results: Results, measure: str) -> Iterator[Part]:
    rows = [(row, row.measures[measure].values) for row in results.rows if measure in row.measures]
    rows = [(row, one) for row, one in rows if one.values]
    if not rows:
        return
    form = ".1%" if is_share(measure) else ".4~g"
    traces, axes = by_row([(whose(results, row), one.values) for row, one in rows], readable(measure), form)
    found = [*results.seeds] or sorted({seed for _, one in rows for seed in one.values})
    word = percent if is_share(measure) else value
    cells = [
        [row.name, *(ABSENT if (own := one.values.get(seed)) is None else word(own) for seed in found)]
        for row, one in rows
    ]
    says = "Each dot is one seed, the stroke the mean; thin lines join the results of a seed."
    yield Figure(
        f"{titled(readable(measure))} of every seed",
        traces,
        axes,
        says,
        Table(["row", *(f"seed {one}" for one in found)], cells),
    )


def failures(results: Results) -> list[Section]:
    """What did not come to its end, and why; none where all did."""
    rows = [
        [name, seed, message.strip().splitlines()[0] if message.strip() else "failed"]
        for name, seed, message in results.failures
    ]
    return [Section("failures", "What failed", [Table(["row", "seed", "why"], rows)])] if rows else []


def again(results: Results) -> Section:
    """How to run it again, and what with."""
    versions = ", ".join(f"{name} {' and '.join(found)}" for name, found in results.versions.items())
    facts = [("study", results.study), ("seeds", format_seeds(results.seeds)), ("on", ", ".join(results.devices))]
    parts: list[Part] = [Facts([(name, text) for name, text in facts if text])]
    parts += [Prose(f"Made with {versions}.")] if versions else []
    if results.command:
        parts.insert(0, Code(results.command, "What is finished is not run again; new seeds add to it."))
    return Section("again", "Run it again", parts)
