"""The rows of a study's results: each recipe over all seeds, beside the row that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from ..tables import is_number, percent
from .children import Child
from .file import Study, Variant
from .keys import ACCURACY, Direction
from .stats import Difference, Spread, difference, level_of, spread

Verdict = Literal["supported", "not supported", "undecided"]
Read = Callable[[Child], Any]
"What a finished run says of something; whatever is no number is left out."


@dataclass(frozen=True)
class Comparison:
    """A row by one measure, beside the row that it is compared with."""

    measure: str
    values: Spread
    difference: Difference | None
    "Its own minus the other's, paired by seed; None for the base, and where they share no seed."
    expect: Direction | None = None
    paper: float | None = None
    "The difference that the paper measured, in percentage points."

    @property
    def verdict(self) -> Verdict | None:
        """Whether the interval lies on the expected side of zero; None where nothing is expected or measured.

        Differences that are all equal have no width, and are undecided: with few seeds and accuracies of a few hundred
        images that happens by chance, and says nothing of chance.
        """
        if self.expect is None or self.difference is None:
            return None
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or low == high or low <= 0 <= high:
            return "undecided"
        return "supported" if (high < 0) == (self.expect == "lower") else "not supported"

    @property
    def verdict_words(self) -> str | None:
        """`expected lower: undecided at 3 seeds`."""
        if self.verdict is None or self.difference is None:
            return None
        n = self.difference.pairs
        at = f" at {n} seeds" if n > 1 else " at 1 seed, which has no interval"
        at += ", whose differences are all equal" if self.difference.half_width == 0 else ""
        return f"expected {self.expect}: {self.verdict}{at if self.verdict == 'undecided' else ''}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recipe over all seeds."""

    name: str
    kind: Literal["base", "variant", "baseline", "reference"]
    against: str | None
    "The row that it is compared with; None for the base."
    comparisons: tuple[Comparison, ...]
    "By each of the study's measures, the main one first."
    test: Spread
    "Test accuracy of the model."
    selected: Spread
    "Test accuracy of the model that validation images select, of all generations."
    teacher: Spread
    "Test accuracy of generation 0, where others follow."
    gain: Difference | None
    "Test accuracy minus the teacher's."
    gain_ratio: float | None
    "Its gain as a share of the base's gain, over the seeds of both; None where the base gains nothing."
    generation: int | None = None
    "The generation whose results these are; None: the last."
    gain_below: float | None = None

    @property
    def main(self) -> Comparison:
        """By the study's main measure."""
        return self.comparisons[0]

    @property
    def verdict(self) -> str | None:
        """What was expected of it, and whether it is so; by further measures with their names."""
        said = [(one.measure, one.verdict_words) for one in self.comparisons]
        named = [words if measure == self.main.measure else f"{measure}: {words}" for measure, words in said if words]
        return "; ".join([*named, *([gain] if (gain := self._gain_verdict()) else [])]) or None

    def _gain_verdict(self) -> str | None:
        """Whether it keeps less of the base's gain than it was expected to."""
        if self.gain_below is None or self.gain_ratio is None:
            return None
        kept = f"{percent(self.gain_ratio, 0)} of the base's gain over its teacher"
        return f"{kept}, expected below {percent(self.gain_below, 0)}: {'yes' if self.gain_ratio < self.gain_below else 'no'}"


@dataclass
class Table:
    """The finished runs of a study, by variant and seed, and what is read from them."""

    study: Study
    children: Mapping[tuple[str, int], Child]
    by_name: dict[str, Variant] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {variant.name: variant for variant in self.study.variants}

    def values(self, name: str, read: Read) -> Spread:
        """One number for each seed whose run is finished and knows it."""
        found = {seed: read(self.children[name, seed]) for seed in self.study.seeds if (name, seed) in self.children}
        return spread({seed: value for seed, value in found.items() if is_number(value)})

    def measured(self, name: str, measure: str) -> Spread:
        """A row's values by a measure; those of a reference are a metric of the base's."""
        if name in self.study.references:
            return self.values(self.study.base.name, partial(metric, name=name, generation=None))
        return self.values(name, partial(metric, name=measure, generation=self.by_name[name].generation))


def rows_of(study: Study, children: Mapping[tuple[str, int], Child]) -> list[Row]:
    """The base, its variants, the supervised baseline, the references; `children` are the finished runs by use."""
    table = Table(study, children)
    level = level_of(sum(len(variant.expect) for variant in study.variants))
    rows: list[Row] = []
    for variant in study.variants:
        rows.append(_row(table, variant, rows[0] if rows else None, level))
    return rows + [_reference(table, name, level) for name in study.references]


def _row(table: Table, variant: Variant, base: Row | None, level: float) -> Row:
    test = table.measured(variant.name, ACCURACY)
    of_last = variant.generation is None
    teacher = table.values(variant.name, teacher_test) if of_last else spread({})
    comparisons = [_comparison(table, variant, measure, level) for measure in table.study.measures]
    return Row(
        name=variant.name, kind=variant.kind, against=variant.against, comparisons=tuple(comparisons), test=test,
        selected=table.values(variant.name, selected_test) if of_last else spread({}), teacher=teacher,
        gain=difference(test, teacher), gain_ratio=None if base is None else _gain_ratio(test, teacher, base),
        generation=variant.generation, gain_below=variant.gain_below,
    )  # fmt: skip


def _comparison(table: Table, variant: Variant, measure: str, level: float) -> Comparison:
    own = table.measured(variant.name, measure)
    other = None if variant.against is None else table.measured(variant.against, measure)
    return Comparison(measure, own, None if other is None else difference(own, other, level),
                      variant.expect.get(measure), variant.paper.get(measure))  # fmt: skip


def _reference(table: Table, name: str, level: float) -> Row:
    base = table.study.base.name
    test = table.measured(name, ACCURACY)
    main = Comparison(ACCURACY, test, difference(test, table.measured(base, ACCURACY), level))
    return Row(name=name, kind="reference", against=base, comparisons=(main,), test=test, selected=spread({}),
               teacher=spread({}), gain=None, gain_ratio=None)  # fmt: skip


def _gain_ratio(test: Spread, teacher: Spread, base: Row) -> float | None:
    """Mean gain over the own teacher as a share of the base's, over the seeds where both are known."""
    seeds = set(test.values) & set(teacher.values) & set(base.test.values) & set(base.teacher.values)
    gains = sum(test.values[seed] - teacher.values[seed] for seed in seeds)
    base_gains = sum(base.test.values[seed] - base.teacher.values[seed] for seed in seeds)
    return gains / base_gains if base_gains > 0 else None


def metric(child: Child, name: str, generation: int | None) -> Any:
    """One metric of one of a run's generations; None: the last."""
    return child.measured(generation).get(name)


def selected_test(child: Child) -> Any:
    """Test accuracy of the model that is best on validation images, of all generations."""
    chosen = [entry["selected"] for entry in _generations(child) if isinstance(entry.get("selected"), dict)]
    chosen = [one for one in chosen if is_number(one.get("validation_accuracy"))]
    return max(chosen, key=lambda one: one["validation_accuracy"]).get("test_accuracy") if chosen else None


def teacher_test(child: Child) -> Any:
    """Test accuracy of the first model, where others follow."""
    return teacher_of(child.summary() or {})


def teacher_of(summary: Mapping[str, Any]) -> Any:
    """The same, of a summary."""
    entries = [entry for entry in summary.get("generations") or [] if isinstance(entry, dict)]
    return entries[0].get("test_accuracy") if len(entries) > 1 else None


def _generations(child: Child) -> Sequence[dict[str, Any]]:
    return [entry for entry in (child.summary() or {}).get("generations") or [] if isinstance(entry, dict)]
