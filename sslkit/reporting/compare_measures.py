"""What was measured of finished models, side by side: by generation, under attacks and corruptions, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..comparison.members import number
from ..study.stats import Spread, spread
from ..study.words import spread_words
from ..tables import is_number, percent
from .compare_charts import BANDS, Trace, Whose, band, by_row, disturbances, layout, marked_line, tall, thin
from .compare_members import Cohort, Seen
from .measures import (
    attack_words,
    by_severity,
    curve,
    is_corruption,
    is_curve,
    is_flips,
    own_words,
    parted,
    readable,
    rows_of,
    severity_words,
    share_ticks,
    titled,
)
from .parts import Figure, Part, Prose, Section, Table
from .reading import rounded

BY_GENERATION = {
    "test_accuracy": ("Test accuracy", "test accuracy"),
    "validation_accuracy": ("Validation accuracy", "validation accuracy"),
    "pseudo_label_accuracy": ("Precision of the pseudo-labels", "precision"),
    "kept_share": ("Share of unlabeled images in use", "share in use"),
}


def by_generation(cohorts: Sequence[Cohort]) -> list[Section]:
    """How accuracy and pseudo-labels go on from generation to generation; none where no run has two."""
    if not any(len(one.member.generations) > 1 for cohort in cohorts for one in cohort.seen):
        return []
    parts: list[Part] = [figure for name in BY_GENERATION if (figure := _generations(cohorts, name))]
    return [Section("generations", "From generation to generation", parts)] if parts else []


def _generations(cohorts: Sequence[Cohort], name: str) -> Figure | None:
    lines = {cohort.whose: [_by_index(one, name) for one in cohort.seen] for cohort in cohorts}
    if not any(found for own in lines.values() for found in own):
        return None
    indices = sorted({index for own in lines.values() for found in own for index in found})
    if len(indices) == 1:
        return _one_generation(cohorts, name, indices[0])
    bands = len(cohorts) <= BANDS
    traces = layered(overlaid(cohort, _level(cohort, lines[cohort.whose], indices), bands) for cohort in cohorts)
    rows = [
        [cohort.name, *(spread_words(_spread(lines[cohort.whose], index)) for index in indices)] for cohort in cohorts
    ]
    table = Table(["recipe", *(f"generation {index:g}" for index in indices)], rows)
    title, axis = BY_GENERATION[name]
    ticks = {"tickmode": "array", "tickvals": indices, "ticktext": [f"{index:g}" for index in indices]}
    axes = layout("generation", axis, xaxis=ticks, yaxis={"tickformat": _ticks(traces)}, showlegend=True,
                  height=tall(traces))  # fmt: skip
    thick = "The thick line is the mean over seeds"
    says = (
        f"{thick}; the band reaches from the lowest to the highest."
        if bands
        else f"{thick}, thin ones are single runs."
    )
    if any(_single(cohort) for cohort in cohorts if any(lines[cohort.whose])):
        says += " A level line is a recipe of a single generation."
    return Figure(f"{title} by generation", traces, axes, says, table)


def _one_generation(cohorts: Sequence[Cohort], name: str, index: float) -> Figure | None:
    """What only one generation has: recipe by recipe."""
    found = [(cohort, {one.seed: values[index] for one in cohort.seen if index in (values := _by_index(one, name))})
             for cohort in cohorts]  # fmt: skip
    there = [(cohort, values) for cohort, values in found if values]
    title, axis = BY_GENERATION[name]
    ticks = share_ticks(value for _, values in there for value in values.values())
    traces, axes = by_row([(cohort.whose, values) for cohort, values in there], axis, ticks)
    rows = [[cohort.name, spread_words(spread(values))] for cohort, values in there]
    says = f"Of generation {index:g}, the only one that has it. Each dot is one run, the stroke the mean."
    keys = [cohort.whose.keys for cohort, _ in there]
    return Figure(title, traces, axes, says, Table(["recipe", "mean ± deviation"], rows, keys=keys))


def _ticks(traces: Sequence[Trace]) -> str:
    return share_ticks(y for trace in traces for y in trace["y"])


def _single(cohort: Cohort) -> bool:
    """Whether its runs have but one model each."""
    return all(len(one.member.generations) < 2 for one in cohort.counted)


def _level(
    cohort: Cohort, lines: Sequence[Mapping[float, float]], indices: Sequence[float]
) -> Sequence[Mapping[float, float]]:
    """What is no matter of generations, as a level line over all of them."""
    if not _single(cohort):
        return lines
    return [dict.fromkeys(indices, value) for own in lines for value in list(own.values())[-1:]]


def _by_index(seen: Seen, name: str) -> dict[float, float]:
    """A generation's results by its index."""
    entries = seen.member.generations
    found = {index: number(entry.get(name)) for entry in entries if isinstance(index := entry.get("index"), int)}
    return {index: one for index, one in found.items() if one is not None}


def _spread(lines: Sequence[Mapping[float, float]], x: float) -> Spread:
    return spread({place: own[x] for place, own in enumerate(lines) if x in own})


def overlaid(cohort: Cohort, lines: Sequence[Mapping[float, float]], bands: bool) -> list[Trace]:
    """Lines of one recipe's runs: their range (`bands`), each of them, their mean with a mark at every point."""
    lines = [own for own in lines if own]
    xs = sorted({x for own in lines for x in own})
    if not xs:
        return []
    found: list[Trace] = []
    if len(lines) > 1:
        values = [[own[x] for own in lines if x in own] for x in xs]
        low, high = [rounded(min(own)) for own in values], [rounded(max(own)) for own in values]
        found += [band(cohort.whose, [(xs, low, high)])] if bands else []
        found += [thin(cohort.name, cohort.whose, [*own], [rounded(y) for y in own.values()]) for own in lines]
    means = [_spread(lines, x).mean for x in xs]
    return [*found, marked_line(cohort.whose, xs, [None if y is None else rounded(y) for y in means])]


def layered(parts: Iterable[Sequence[Trace]]) -> list[Trace]:
    """Everybody's ranges behind everybody's single lines, means in front."""
    traces = [one for own in parts for one in own]
    return sorted(traces, key=lambda one: 0 if "fill" in one else 1 if "opacity" in one else 2)


def robustness(cohorts: Sequence[Cohort]) -> list[Section]:
    """Attacks, corruptions and perturbations, where they were measured: tables are known by their shapes."""
    corrupted = _named(cohorts, is_corruption)
    found = [
        *(_attack(cohorts, name) for name in _named(cohorts, is_curve)),
        *(_severities(cohorts, name) for name in corrupted),
        *(_corruptions(cohorts, name) for name in corrupted),
        *(_flips(cohorts, name) for name in _named(cohorts, is_flips)),
    ]
    parts: list[Part] = [figure for figure in found if figure]
    return [Section("robustness", "Robustness", parts)] if parts else []


def _named(cohorts: Sequence[Cohort], test: Callable[[Any], bool]) -> list[str]:
    seen = (one for cohort in cohorts for one in cohort.seen)
    return list(dict.fromkeys(name for one in seen for name, found in one.metrics.items() if test(found)))


def _severities(cohorts: Sequence[Cohort], name: str) -> Figure | None:
    lines = {cohort.whose: [*map(by_severity, cohort.tables(name))] for cohort in cohorts}
    title = f"{titled(parted(name)[0])} error by severity of corruptions{own_words(name, 'corruptions')}".strip()
    says = "Mean over the corruptions that were measured, without drawn stand-ins: the lowest line is the most robust."
    return _curves(cohorts, lines, titled(title), ("severity", "error"), says)


def _attack(cohorts: Sequence[Cohort], name: str) -> Figure | None:
    lines = {cohort.whose: [curve(table, "accuracy") for table in cohort.tables(name)] for cohort in cohorts}
    says = (
        "The stronger the attack, the fewer images are still recognized: the line that falls last is the most robust."
    )
    title = titled(f"{parted(name)[0]} accuracy under {attack_words(name)}".strip())
    axis = f"epsilon{' (L2)' * name.endswith('_l2')}, in steps of 1/255"
    return _curves(cohorts, lines, title, (axis, "accuracy"), says)


Lines = Mapping[Whose, Sequence[Mapping[float, float]]]


def _curves(cohorts: Sequence[Cohort], lines: Lines, title: str, axes: tuple[str, str], says: str) -> Figure | None:
    """Every recipe's line over how strongly images were disturbed; None where nobody has one."""
    there = [cohort for cohort in cohorts if any(lines[cohort.whose])]
    if not there:
        return None
    traces = layered(overlaid(cohort, lines[cohort.whose], len(there) <= BANDS) for cohort in there)
    xs = sorted({x for own in lines.values() for found in own for x in found})
    rows = [[cohort.name, *(spread_words(_spread(lines[cohort.whose], x)) for x in xs)] for cohort in there]
    table = Table(["recipe", *(f"{axes[0].partition(',')[0]} {x:g}" for x in xs)], rows)
    ticks = {"tickmode": "array", "tickvals": xs, "ticktext": [f"{x:g}" for x in xs]}
    drawn = layout(*axes, xaxis=ticks, yaxis={"tickformat": _ticks(traces)}, showlegend=True, height=tall(traces))
    return Figure(title, traces, drawn, says, table)


def _corruptions(cohorts: Sequence[Cohort], name: str) -> Figure | None:
    title = titled(f"{parted(name)[0]} error under corruptions{own_words(name, 'corruptions')}".strip())
    severities = severity_words(table for cohort in cohorts for table in cohort.tables(name))
    return _disturbed(cohorts, name, "mean", title, f"error, mean over {severities}")


def _flips(cohorts: Sequence[Cohort], name: str) -> Figure | None:
    title = f"Flips under perturbations{own_words(name, 'perturbations')}"
    return _disturbed(cohorts, name, "flips", title, "flip probability")


def _disturbed(cohorts: Sequence[Cohort], name: str, column: str, title: str, axis: str) -> Figure | None:
    """A row for each disturbance; `column` is what is shown of it."""
    found: dict[Whose, dict[str, float]] = {}
    for cohort in cohorts:
        values: dict[str, list[float]] = {}
        for table in cohort.tables(name):
            for row, own in rows_of(table).items():
                if is_number(one := own.get(column)):
                    values.setdefault(row.replace("_", " "), []).append(one)
        if values:
            found[cohort.whose] = {row: sum(shares) / len(shares) for row, shares in values.items()}
    if not found:
        return None
    rows = dict.fromkeys(row for own in found.values() for row in own)
    cells = [[row, *(percent(own.get(row)) for own in found.values())] for row in rows]
    traces, axes = disturbances(found, axis)
    says = "Further to the left is better; means over seeds."
    return Figure(title, traces, axes, says, Table(["disturbance", *(whose.name for whose in found)], cells))


def others(cohorts: Sequence[Cohort]) -> list[Section]:
    """Every other number that finished models were measured at; none where there is none."""
    names = [name for name in dict.fromkeys(_numbers(cohorts)) if name not in BY_GENERATION]
    if not names:
        return []
    cells = [[spread_words(cohort.values(name), name) for name in names] for cohort in cohorts]
    caption, heads = "Mean ± deviation over seeds.", [*map(readable, names)]
    if len(cohorts) > len(names):
        rows = [[cohort.name, *own] for cohort, own in zip(cohorts, cells, strict=True)]
        table = Table(["recipe", *heads], rows, caption, [cohort.whose.keys for cohort in cohorts])
    else:
        columns = zip(*cells, strict=True)
        rows = [[head, *own] for head, own in zip(heads, columns, strict=True)]
        table = Table(["measure", *(cohort.name for cohort in cohorts)], rows, caption)
    says = Prose("Of each recipe's last model; what was measured later with sslkit evaluate --keep is among it.")
    return [Section("measures", "Everything that was measured", [says, table])]


def _numbers(cohorts: Sequence[Cohort]) -> list[str]:
    seen = (one for cohort in cohorts for one in cohort.seen)
    return [name for one in seen for name, found in one.metrics.items() if is_number(found)]
