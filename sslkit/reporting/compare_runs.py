"""Several runs: which recipes they are, what differs, what came out, how sure a difference is, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..comparison.groups import Group, Versus, seeds_words, versus
from ..comparison.members import Member
from ..comparison.recipes import rows
from ..comparison.terminal import LEGEND, difference_lines, points_words, run_columns
from ..recipe.message import counted
from ..recipe.model import UNDECIDING
from ..study.stats import spread
from ..study.words import spread_words
from ..tables import ABSENT, duration, is_number, percent
from .compare_charts import Bar, Whose, by_row, forest
from .compare_members import Cohort, classes_of, classes_words
from .parts import Figure, Folded, Part, Prose, Section, Table

WIDEST = 6
"Recipes whose names stand above a table; of more their letters do."
IDLE = {*UNDECIDING, "save_every"} - {"files"}
"Keys that change no result."
FINALS = {"final": "final accuracy", "gain": "gain over the teacher", "baseline": "supervised baseline"}


def compared(sets: Sequence[Sequence[Group]], cohorts: Sequence[Cohort], notes: Sequence[str]) -> Section:
    """Recipes, what differs between them, and what a reader must know."""
    groups = [group for own in sets for group in own]
    runs = sum(len(group.members) for group in groups)
    lead = f"{counted(runs, 'run')} of {counted(len(groups), 'recipe')}. Runs that differ in their seed alone are one recipe."
    parts: list[Part] = [
        Prose(lead, "lead"),
        *_classes(sets),
        *(Prose(f"{note[:1].upper()}{note[1:]}.", "note") for note in notes),
    ]
    parts.append(Table(["recipe", "seeds", "runs", "finished"], [
        [cohort.name, seeds_words(group), str(len(group.members)), str(sum(m.finished for m in group.members))]
        for group, cohort in zip(groups, cohorts, strict=True)
    ]))  # fmt: skip
    return Section("compared", "What is compared", [*parts, *_differs(groups, cohorts)])


def _classes(sets: Sequence[Sequence[Group]]) -> Iterator[Part]:
    """What is told where runs tell other classes apart."""
    if len(sets) < 2:
        return
    said = [f"{', '.join(group.letter for group in own)}: {classes_words(_known(own))}" for own in sets]
    yield Prose(
        f"These runs are over different classes ({'; '.join(said)}). An accuracy over other classes answers another "
        "question: everything is shown side by side, and no difference is taken between them.", "warning",
    )  # fmt: skip


def _known(groups: Sequence[Group]) -> tuple[str, ...] | int | None:
    found = (classes_of(member) for group in groups for member in group.members)
    return next((one for one in found if one is not None), None)


def _differs(groups: Sequence[Group], cohorts: Sequence[Cohort]) -> Iterator[Part]:
    """The keys in which recipes differ."""
    if len(groups) < 2:
        yield Prose("One recipe: nothing that decides a result differs but the seed.")
    elif found := rows(groups):
        heads = [group.letter for group in groups] if len(groups) > WIDEST else [cohort.name for cohort in cohorts]
        table = [[path, *(cell or ABSENT for cell in cells)] for path, cells in found]
        idle = [row for row in table if row[0].partition(".")[0] in IDLE]
        if deciding := [row for row in table if row not in idle]:
            yield Table(["key", *heads], deciding, "What differs between the recipes")
        if idle:
            what = "What differs and decides no result: pictures, logs, saving, processes"
            yield Folded(what, [Table(["key", *heads], idle)])
    else:
        yield Prose("No key of the recipes differs: what they say of data or files does.")


def outcome(sets: Sequence[Sequence[Group]], cohorts: Sequence[Cohort]) -> Section:
    """Final accuracies, and each recipe beside the first of its classes."""
    groups = [group for own in sets for group in own]
    whose = {id(group): cohort.whose for group, cohort in zip(groups, cohorts, strict=True)}
    there = [group for group in groups if group.by_seed]
    if not there:
        return Section(
            "accuracy", "What came out", [Prose("No run is finished, so there is no final result yet.", "note")]
        )
    parts: list[Part] = [_finals(there, whose)]
    for own in sets:
        of = f", {classes_words(_known(own))}" if len(sets) > 1 else ""
        parts += [part for part in (_accuracies(own, whose, of), _differences(versus(own), whose, of)) if part]
    lines = [Prose(str(line)) for own in sets for line in list(difference_lines(own))[1:]]
    parts += lines if len(lines) <= WIDEST else [Folded("Every difference", lines)]
    if alone := [group.letter for group in there if len(group.by_seed) == 1]:
        parts.append(Prose(_alone(alone, len(there) > 1), "note"))
    return Section("accuracy", "What came out", parts)


def _alone(letters: Sequence[str], several: bool) -> str:
    of = f"Of {', '.join(letters)} there is" if several else "There is"
    return f"{of} one seed only: how much chance moves a result is unknown, so there is no deviation and no interval."


def _finals(groups: Sequence[Group], whose: dict[int, Whose]) -> Table:
    columns = {what: head for what, head in FINALS.items() if any(group.spread(what).values for group in groups)}
    cells = [
        [whose[id(group)].name, str(len(group.by_seed)),
         *((points_words if what == "gain" else spread_words)(group.spread(what)) for what in columns)]
        for group in groups
    ]  # fmt: skip
    keys = [whose[id(group)].keys for group in groups]
    return Table(
        ["recipe", "seeds", *columns.values()], cells, "Mean ± deviation over seeds; gains in percentage points.", keys
    )


def _accuracies(groups: Sequence[Group], whose: dict[int, Whose], of: str) -> Figure | None:
    """Every run's result; `of`: which runs these are, where there are others."""
    rows = [(whose[id(group)], group.spread().values) for group in groups if group.by_seed]
    if not rows:
        return None
    traces, axes = by_row(rows, "final test accuracy", ".1%")
    says = "Each dot is one run, the stroke the mean of its recipe; thin lines join runs of the same seed."
    return Figure(f"Final test accuracy{of}", traces, axes, says)


def _differences(found: Sequence[Versus], whose: dict[int, Whose], of: str) -> Figure | None:
    """Each recipe beside the first of its classes."""
    if not found:
        return None
    traces, axes = forest([_bar(one, whose[id(one.group)]) for one in found])
    says = (
        f"Final test accuracy minus that of {whose[id(found[0].base)].name}, in percentage points, with its 95% interval, "
        "each for itself. An interval that reaches over zero leaves open which is better; a hollow dot has no interval."
    )
    return Figure(f"Difference to the first recipe{of}", traces, axes, says)


def _bar(one: Versus, whose: Whose) -> Bar:
    low, high = one.difference.low, one.difference.high
    said = f"minus {one.base.letter}"
    return Bar(
        whose, 100 * one.difference.mean, None if low is None else 100 * low, None if high is None else 100 * high, said
    )


def every_run(groups: Sequence[Group], cohorts: Sequence[Cohort]) -> list[Section]:
    """A row for each run."""
    pairs = [(member, cohort) for group, cohort in zip(groups, cohorts, strict=True) for member in group.members]
    if not pairs:
        return []
    members = [member for member, _ in pairs]
    columns = [column for column in run_columns(members) if set(column.cells) - {ABSENT}]
    several = len(groups) > 1
    names = [
        f"{group.letter}  {member.name}" if several else member.name for group in groups for member in group.members
    ]
    cells = [[name, *(str(column.cells[i]) for column in columns)] for i, name in enumerate(names)]
    keys = [cohort.whose.keys for _, cohort in pairs]
    table = Table(["run", *(column.head for column in columns)], cells, LEGEND, keys)
    return [
        Section("every-run", "Every run", [table, Table(["run", "folder"], _folders(members, names), "Where they are")])
    ]


def _folders(members: Sequence[Member], names: Sequence[str]) -> list[list[str]]:
    return [[name, str(member.folder)] for name, member in zip(names, members, strict=True)]


def time(cohorts: Sequence[Cohort]) -> list[Section]:
    """How long runs took; none where no run says it."""
    found = {cohort.whose: values for cohort in cohorts if (values := _minutes(cohort))}
    if not found:
        return []
    traces, axes = by_row([*found.items()], "minutes", ".3~g")
    rows = [[cohort.name, *_shares(cohort)] for cohort in cohorts if cohort.whose in found]
    table = Table(["recipe", "mean time", "training the model", "waiting for data", "everything else"], rows)
    says = (
        "Wall-clock minutes of finished runs, their supervised baselines among it. Everything else is evaluation, "
        "labeling, saving, and the baseline; runs on other machines, or beside others, are not comparable."
    )
    return [Section("time", "Time", [Figure("Time of each run", traces, axes, says), table])]


def _minutes(cohort: Cohort) -> dict[int, float]:
    found: dict[int, float] = {}
    for one in cohort.seen:
        if one.member.finished and is_number(seconds := one.member.summary.get("wall_seconds")):
            found.setdefault(one.seed, seconds / 60)
    return found


def _shares(cohort: Cohort) -> list[str]:
    """Mean time, and the shares of its parts."""
    wall = spread(_minutes(cohort)).mean or 0.0
    parts = dict.fromkeys(("worked", "waited"), 0.0)
    finished = [
        one.member for one in cohort.seen if one.member.finished and is_number(one.member.summary.get("wall_seconds"))
    ]
    for entry in (entry for member in finished for entry in member.generations):
        timing = entry.get("timing")
        for name in parts:
            value = timing.get(name) if isinstance(timing, dict) else None
            parts[name] += value / 60 / len(finished) if is_number(value) else 0.0
    rest = max(0.0, wall - sum(parts.values()))
    whole = max(wall, sum(parts.values()), 1e-9)
    return [duration(60 * wall), *(percent(part / whole, 0) for part in (*parts.values(), rest))]
