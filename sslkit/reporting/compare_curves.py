"""What runs logged as they trained, overlaid: each run thin, the mean of a recipe's seeds over its range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..tables import percent, value
from .compare_charts import BANDS, Trace, band, layout, line, tall, thin
from .compare_members import Cohort, Seen
from .measures import share_ticks
from .parts import Figure, Part, Prose, Section, Table
from .reading import Values, downsampled, rounded

MOST = 400
"Points of one run's line."
LOSSES = 4
"Losses that are drawn, the most common first."
ACCURACIES = {"test_accuracy": "test accuracy", "validation_accuracy": "validation accuracy"}
Line = tuple[list[int], Values]
"Steps of one generation, and what was logged at them."
Pick = Callable[[Seen], dict[int, Line]]


@dataclass(frozen=True)
class Drawn:
    """One quantity over steps."""

    title: str
    axis: str
    pick: Pick
    share: bool = False


def learning(cohorts: Sequence[Cohort]) -> list[Section]:
    """Learning curves; none where no run has a log."""
    figures = [figure for drawn in _drawn(cohorts) if (figure := _figure(cohorts, drawn))]
    if not figures:
        return []
    bands = any("fill" in trace for figure in figures for trace in figure.data)
    says = Prose(
        "Thin lines are single runs. Where a recipe has several, the thick line is their mean"
        f"{', and the band reaches from the lowest to the highest' * bands}; runs that are not finished do not enter it, "
        "where others are. Lines break where a generation ends."
    )
    parts: list[Part] = [says, *figures]
    return [Section("learning", "Learning curves", parts)]


def _drawn(cohorts: Sequence[Cohort]) -> Iterator[Drawn]:
    for metric, name in ACCURACIES.items():
        if _evaluated_often(cohorts, metric):
            yield Drawn(f"{name.capitalize()} while training", name, _evaluated(metric), True)
    for loss in _losses(cohorts):
        yield Drawn(f"Loss: {loss}", loss if "loss" in loss else f"{loss} loss", _loss(loss))
    if _changes(cohorts):
        yield Drawn("Share of unlabeled images in use", "share in use", _kept, True)


def _evaluated_often(cohorts: Sequence[Cohort], metric: str) -> bool:
    """Whether any generation was measured before its end: if none was, its results by generation say it all."""
    pick = _evaluated(metric)
    lines = (own for cohort in cohorts for one in cohort.seen for own in pick(one).values())
    return any(sum(value is not None for value in values) > 1 for _, values in lines)


def _changes(cohorts: Sequence[Cohort]) -> bool:
    """Whether a generation's share in use changes as it trains; if none does, it is told by generation."""
    seen = [one for cohort in cohorts for one in cohort.seen]
    if all(len(one.member.generations) < 2 for one in seen):
        return True
    lines = (own for one in seen for own in _kept(one).values())
    return any(len({value for value in values if value is not None}) > 1 for _, values in lines)


def _losses(cohorts: Sequence[Cohort]) -> list[str]:
    """Names of losses, those of most runs first."""
    counts: dict[str, int] = {}
    for one in (one for cohort in cohorts for one in cohort.seen):
        for loss in dict.fromkeys(loss for steps in one.events.steps.values() for loss in steps.losses):
            counts[loss] = counts.get(loss, 0) + 1
    return sorted(counts, key=lambda loss: -counts[loss])[:LOSSES]


def _evaluated(metric: str) -> Pick:
    def pick(seen: Seen) -> dict[int, Line]:
        found = seen.events.evaluations.items()
        return {number: (own.step, own.metrics[metric]) for number, own in found if metric in own.metrics}

    return pick


def _loss(loss: str) -> Pick:
    def pick(seen: Seen) -> dict[int, Line]:
        found = seen.events.steps.items()
        return {number: (own.step, own.losses[loss]) for number, own in found if loss in own.losses}

    return pick


def _kept(seen: Seen) -> dict[int, Line]:
    found = seen.events.steps.items()
    return {
        number: (own.step, own.kept_share) for number, own in found if any(one is not None for one in own.kept_share)
    }


def _figure(cohorts: Sequence[Cohort], drawn: Drawn) -> Figure | None:
    """A quantity of all runs; None where none has it. Of many recipes there are no ranges."""
    bands: list[Trace] = []
    behind: list[Trace] = []
    front: list[Trace] = []
    ends: list[Sequence[str]] = []
    for cohort in cohorts:
        picked = [(one, lines) for one in cohort.seen if (lines := drawn.pick(one))]
        if not picked:
            continue
        counted = [(one, lines) for one, lines in picked if one in cohort.counted] or picked
        alone = len(picked) == 1
        for one, lines in picked:
            xs, ys = joined(one, lines)
            behind.append(line(cohort.whose, xs, ys) if alone else thin(one.member.name, cohort.whose, xs, ys))
        if len(counted) > 1:
            mean, around = _together(cohort, counted)
            bands += around if len(cohorts) <= BANDS else []
            front += mean
        last = [own for _, lines in counted if (own := _last(lines)) is not None]
        form = percent if drawn.share else value
        ends.append([cohort.name, str(len(picked)), form(sum(last) / len(last) if last else None)])
    if not ends:
        return None
    traces = [*bands, *behind, *front]
    ticks = share_ticks(y for trace in traces for y in trace["y"]) if drawn.share else ""
    axes = layout(
        "step, over all generations", drawn.axis, yaxis={"tickformat": ticks}, showlegend=True, height=tall(traces)
    )
    table = Table(["recipe", "runs", f"{drawn.axis}, last logged (mean)"], ends)
    count = sum(int(row[1]) for row in ends)
    says = f"{drawn.axis.capitalize()} of {count} run{'s' if count > 1 else ''} over their training steps."
    return Figure(drawn.title, traces, axes, says, table)


def joined(seen: Seen, lines: dict[int, Line], most: int = MOST) -> tuple[list[float | None], list[float | None]]:
    """A run's generations one after another, with a gap between."""
    offsets = seen.events.offsets
    x: list[float | None] = []
    y: list[float | None] = []
    for number, (steps, values) in sorted(lines.items()):
        xs, ys = downsampled([offsets[number] + step for step in steps], values, max(10, most // len(lines)))
        if xs:
            x += [None] * bool(x) + [*xs]
            y += [None] * bool(y) + [*ys]
    return x, y


def _last(lines: dict[int, Line]) -> float | None:
    values = [one for _, (_, values) in sorted(lines.items()) for one in values if one is not None]
    return values[-1] if values else None


def _together(cohort: Cohort, runs: Sequence[tuple[Seen, dict[int, Line]]]) -> tuple[list[Trace], list[Trace]]:
    """The mean of runs over their range, at the steps that all have: traces in front, and behind."""
    offsets = runs[0][0].events.offsets
    shared = sorted(set.intersection(*(set(lines) for _, lines in runs)))
    pieces = []
    for number in shared:
        xs, mean, low, high = summarized([lines[number] for _, lines in runs], max(10, MOST // len(shared)))
        if xs:
            pieces.append(([offsets[number] + x for x in xs], mean, low, high))
    if not pieces:
        return [], []
    x: list[float | None] = []
    y: list[float | None] = []
    for piece, mean, _, _ in pieces:
        x += [None] * bool(x) + [*piece]
        y += [None] * bool(y) + [*mean]
    around = band(cohort.whose, [(piece, low, high) for piece, _, low, high in pieces])
    return [line(cohort.whose, x, y)], [around]


def summarized(lines: Sequence[Line], most: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """At most `most` stretches of the steps that all lines have: last step, mean, lowest and highest of each."""
    tables = [{x: y for x, y in zip(steps, values, strict=True) if y is not None} for steps, values in lines]
    shared = sorted(set.intersection(*map(set, tables)))
    count = min(most, len(shared))
    found: tuple[list[float], list[float], list[float], list[float]] = ([], [], [], [])
    for i in range(count):
        steps = shared[len(shared) * i // count : len(shared) * (i + 1) // count]
        values = [table[step] for table in tables for step in steps]
        for column, one in zip(found, (steps[-1], sum(values) / len(values), min(values), max(values)), strict=True):
            column.append(rounded(one))
    return found
