"""The study file: a base recipe, variants of it, seeds. Everything that is wrong is said at once, with its place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import RecipeError
from ..recipe import baseline_of, load, with_overrides
from ..recipe.fields import hints
from ..recipe.message import Problems, counted, did_you_mean, listed, sentence, shown
from ..recipe.metrics import metric_set
from ..recipe.model import Recipe
from ..recipe.places import Place, Table
from ..recipe.read import PACKAGE, check_values, find_file, locate, read, refuse_other
from ..recipe.validate import validate
from ..registry import FILE
from .keys import ACCURACY, Direction, StudyTable, VariantTable
from .seeds import TAKES, parse_seeds

T = TypeVar("T")
BASELINE = "supervised baseline"
"Name of the baseline's row."


@dataclass(frozen=True)
class Variant:
    """One row of a study's results: a recipe, whatever the seed, and which of its generations counts."""

    name: str
    recipe: Recipe
    kind: Literal["base", "variant", "baseline"] = "variant"
    generation: int | None = None
    "None: the last."
    against: str | None = None
    "The row that it is compared with; None for the base, which is compared with nothing."
    expect: Mapping[str, Direction] = field(default_factory=dict)
    "By measure."
    paper: Mapping[str, float] = field(default_factory=dict)
    "By measure, in percentage points."
    gain_below: float | None = None


@dataclass(frozen=True)
class Study:
    """A whole study, validated; the first variant is the base."""

    name: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    references: tuple[str, ...] = ()
    measures: tuple[str, ...] = (ACCURACY,)
    metrics: str | None = None
    "A file or a shipped set that finished runs are measured by."
    finding: str = ""
    source: str = ""

    @property
    def base(self) -> Variant:
        """What the others are compared with."""
        return self.variants[0]


def shipped_studies() -> dict[str, Path]:
    """Studies that are installed with sslkit, by name."""
    try:
        folder = Path(str(resources.files(PACKAGE))) / "studies"
    except ModuleNotFoundError:
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_study(source: str | Path, seeds: Sequence[int] | None = None, base: str | None = None) -> Study:
    """The study in a file, or the shipped one of that name; `seeds` and `base` replace the file's own.

    With another base it is another study, `noise-mine` for the recipe `mine.toml`.

    Raises `RecipeError` that lists everything that is wrong, each with its place and what would be right.
    """
    label, path = find_file(source, "study", shipped_studies)
    table, problems = read(label, path), Problems()
    refuse_other("study", label, table)
    check_values(table, table.place, problems)
    own = _laid_on(StudyTable, table.without("variant"), "study", problems, ("variant",))
    pairs = _variant_tables(table, problems)
    seeds = seeds or _seeds(own, table, problems)
    metrics = _metrics(own, table, path, problems) if own else None
    variants = _variants(own, base, table, pairs, path, problems) if own else []
    problems.raise_any()
    assert own is not None
    _refuse_twins(own, variants[0].name, table, pairs, problems)
    _check_rows(own, variants, table, pairs, problems)
    problems.raise_any()
    name = path.stem if base is None else f"{path.stem}-{Path(variants[0].recipe.name).name}"
    return Study(name, tuple(variants), tuple(seeds), tuple(own.references), tuple(own.measures), metrics,
                 own.finding, own.source)  # fmt: skip


def _laid_on(cls: type[T], table: Table, label: str, problems: Problems, others: Sequence[str] = ()) -> T | None:
    """A table as its class. Where some keys are wrong, those are noted and the others count: they may be wrong too."""
    found = validate(cls, table, label, problems, others)
    if found is None:
        known: type = cls
        sound = [key for key in table if key in hints(known) and not problems.at(table.where(key))]
        found = validate(cls, table.only(*sound), label, Problems())
    return found


def _variant_tables(table: Table, problems: Problems) -> list[tuple[VariantTable, Table]]:
    """The valid `[[variant]]` tables, each with its places."""
    found = table.get("variant", [])
    if not isinstance(found, list) or not all(isinstance(item, Table) for item in found):
        problems.add(table.where("variant"), "`variant` is a list of tables",
                     "write `[[variant]]` above each variant's keys")  # fmt: skip
        return []
    pairs = []
    for number, item in enumerate(found, 1):
        name = item.get("name")
        label = f"[[variant]] {name if isinstance(name, str) and name else number}"
        variant = _laid_on(VariantTable, item, label, problems)
        if variant is not None:
            _check_variant(variant, item, label, problems)
            pairs.append((variant, item))
    return pairs


def _check_variant(variant: VariantTable, table: Table, label: str, problems: Problems) -> None:
    if not variant.set and variant.recipe is None and variant.generation is None and not variant.baseline:
        problems.add(table.place, f"{label}: is the base itself",
                     'it takes `set = { "noise.dropout.enabled" = false }`, `recipe = "other.toml"`, `generation = 0` or '
                     "`baseline = true`")  # fmt: skip
    if variant.from_generation and not variant.set:
        problems.add(table.where("from_generation"), f"{label}: `from_generation` says from when on `set` applies",
                     "there is no `set`")  # fmt: skip


def _seeds(own: StudyTable | None, table: Table, problems: Problems) -> tuple[int, ...]:
    if own is None:
        return ()
    try:
        return parse_seeds(own.seeds)
    except ValueError as error:
        problems.add(table.where("seeds"), f"study: `seeds = {shown(own.seeds)}`: {error}", TAKES)
        return ()


def _metrics(own: StudyTable, table: Table, path: Path, problems: Problems) -> str | None:
    """The set of metrics as it is found from anywhere; what is wrong with it is told at the key's line."""
    if own.metrics is None:
        return None
    beside = path.absolute().parent / own.metrics
    name = str(beside) if beside.is_file() else own.metrics
    try:
        inner = Problems()
        metric_set(name, inner)
        inner.raise_any()
    except RecipeError as error:
        first, *rest = str(error).splitlines()
        problems.add(table.where("metrics"), f"study: `metrics = {shown(own.metrics)}`: {first}",
                     *(line.strip() for line in rest))  # fmt: skip
    return name


def _variants(
    own: StudyTable, base_name: str | None, table: Table, pairs: list[tuple[VariantTable, Table]], path: Path,
    problems: Problems,
) -> list[Variant]:  # fmt: skip
    """The base, every variant and the supervised baseline as recipes; what cannot be loaded is left out and noted."""
    base = load(base_name) if base_name else _recipe(own.base, table.where("base"), "study: `base`", path, problems)
    common = _anchored(own.set, path.absolute().parent)
    with_set = base and _overridden(base, common, 0, table.where("set"), "study: `set`", problems)
    variants: list[Variant] = []
    if base and with_set:
        variants = [Variant(own.name or base.name, with_set, "base", own.generation)]
    for variant, item in pairs:
        label = f"[[variant]] {variant.name}"
        start: Recipe | None = with_set
        if variant.recipe is not None:
            start = _recipe(variant.recipe, item.where("recipe"), f"{label}: `recipe`", path, problems)
            start = start and _overridden(start, common, 0, table.where("set"), f"{label}: the study's `set`", problems)
        over = _anchored(variant.set, path.absolute().parent)
        made = start and _overridden(start, over, variant.from_generation, item.where("set"), label, problems)
        made = _baseline(made, item.where("baseline"), label, problems) if made and variant.baseline else made
        if made and variants:
            against = variant.against or variants[0].name
            variants.append(Variant(variant.name, made, "variant", variant.generation, against,
                                    _by_measure(variant.expect, own), _by_measure(variant.paper, own),
                                    variant.gain_below))  # fmt: skip
    if variants and variants[0].recipe.settings.baseline and not any(variant.baseline for variant, _ in pairs):
        variants.append(Variant(BASELINE, baseline_of(variants[0].recipe), "baseline", None, variants[0].name))
    return variants


def _by_measure(said: Any, own: StudyTable) -> dict[str, Any]:
    """What is said of a variant, by measure: what is no table is of the main one."""
    return said if isinstance(said, dict) else {} if said is None else {own.measures[0]: said}


def _baseline(recipe: Recipe, place: Place, label: str, problems: Problems) -> Recipe | None:
    """A recipe's supervised baseline; that it has none is told at the variant's line."""
    try:
        return baseline_of(recipe)
    except RecipeError as error:
        problems.add(place, f"{label}: `baseline = true`, but the recipe has no supervised baseline",
                     *(line.strip() for line in str(error).splitlines()))  # fmt: skip
        return None


def _recipe(name: str, place: Place, label: str, study: Path, problems: Problems) -> Recipe | None:
    """The recipe that a study names, by path from the study file or as a shipped one."""
    try:
        _, path = locate(name, study.absolute().parent)
        if path.resolve() == study.resolve():
            raise RecipeError(f"this is the study itself; the shipped recipe is {shown(study.stem)}, without `.toml`")
        return load(path)
    except RecipeError as error:
        first, *rest = str(error).splitlines()
        problems.add(place, f"{label} = {shown(name)}: {first}", *(line.strip() for line in rest))
        return None


def _overridden(
    recipe: Recipe, overrides: dict[str, Any], start: int, place: Place, label: str, problems: Problems
) -> Recipe | None:
    """A recipe with overrides; what is wrong with them is told at their place in the study."""
    if not overrides:
        return recipe
    try:
        return with_overrides(recipe, overrides, start)
    except RecipeError as error:
        _, *rest = str(error).splitlines()  # the first line counts the problems of `--set`
        problems.add(place, f"{label}: the overrides do not fit the recipe", *(line.strip() for line in rest))
        return None


def _anchored(value: Any, folder: Path, path: tuple[str, ...] = ()) -> Any:
    """Overrides with plugin files and weights as paths from the study file, whatever the working folder."""
    if isinstance(value, dict):
        return {key: _anchored(item, folder, (*path, *key.split("."))) for key, item in value.items()}
    if isinstance(value, str) and path[-1:] == ("use",) and (match := FILE.fullmatch(value)):
        return f"{os.path.abspath(folder / match['path'])}:{match['cls']}"  # noqa: PTH100 - `resolve` follows links
    if isinstance(value, str) and value and path[-2:] == ("model", "weights"):
        return os.path.abspath(folder / value)  # noqa: PTH100
    return value


def _refuse_twins(
    own: StudyTable, base: str, table: Table, pairs: list[tuple[VariantTable, Table]], problems: Problems
) -> None:
    """Every row of the results has a name of its own."""
    own_baseline = (
        {} if any(variant.baseline for variant, _ in pairs) else {BASELINE: "the supervised baseline of the base"}
    )
    taken = {base: "the base", **own_baseline}
    for reference in own.references:
        if reference in taken:
            problems.add(table.where("references"), f"study: `references` names {shown(reference)} twice or names a row",
                         f"already taken: {listed(taken)}")  # fmt: skip
        taken.setdefault(reference, "a reference")
    for variant, item in pairs:
        if variant.name in taken:
            problems.add(item.where("name"), f"[[variant]] {variant.name}: the name is taken by {taken[variant.name]}",
                         f"already taken: {listed(taken)}")  # fmt: skip
        taken.setdefault(variant.name, "another variant")


def _check_rows(
    own: StudyTable,
    variants: Sequence[Variant],
    table: Table,
    pairs: list[tuple[VariantTable, Table]],
    problems: Problems,
) -> None:
    """Rows are compared with rows that there are, by measures that there are, at generations that there are."""
    rows = [*(variant.name for variant in variants), *own.references]
    by_name = {variant.name: variant for variant in variants}
    _check_generation(own.generation, variants[0].recipe, table, "study", problems)
    for variant, item in pairs:
        label = f"[[variant]] {variant.name}"
        if variant.against is not None and (variant.against not in rows or variant.against == variant.name):
            known = [row for row in rows if row != variant.name]
            problems.add(item.where("against"), f"{label}: `against = {shown(variant.against)}`: no other row is called so",
                         sentence(f"rows: {listed(known)}.", did_you_mean(variant.against, known, '"')))  # fmt: skip
        for key in ("expect", "paper"):
            for measure in _by_measure(getattr(variant, key), own):
                if measure not in own.measures:
                    problems.add(item.where(key), f"{label}: `{key}` names {shown(measure)}, by which nothing is compared",
                                 sentence(f"measures: {listed(own.measures)}.", did_you_mean(measure, own.measures, '"')))  # fmt: skip
        _check_generation(variant.generation, by_name[variant.name].recipe, item, label, problems)


def _check_generation(generation: int | None, recipe: Recipe, table: Table, label: str, problems: Problems) -> None:
    total = len(recipe.generations)
    if generation is not None and generation >= total:
        problems.add(table.where("generation"), f"{label}: `generation = {generation}`, but the recipe has "
                     f"{counted(total, 'generation')}", f"it takes 0 to {total - 1}; left out: the last")  # fmt: skip
