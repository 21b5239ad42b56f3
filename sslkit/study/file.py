"""The study file: a base recipe, variants of it, seeds. Everything that is wrong is said at once, with its place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, MinLen

from ..errors import RecipeError
from ..recipe import load, with_overrides
from ..recipe.fields import hints
from ..recipe.message import Problems, listed, shown
from ..recipe.model import Recipe
from ..recipe.places import Place, Table
from ..recipe.read import PACKAGE, check_values, find_file, locate, read, refuse_other
from ..recipe.validate import validate
from ..registry import FILE
from .seeds import TAKES, parse_seeds

T = TypeVar("T")
BASELINE = "supervised baseline"
"Name of the baseline's row."


@dataclass(kw_only=True)
class StudyTable:
    """The study's own keys."""

    base: Annotated[str, MinLen(1)]
    "The recipe that variants are compared with: a path from the study file, or the name of a shipped recipe."
    seeds: str = "0-9"
    "Seeds of every variant: numbers and ranges, `0,3,5-7`."
    set: dict[str, Any] = field(default_factory=dict)
    "Overrides by dotted path, for the base and every variant."
    references: list[Annotated[str, MinLen(1)]] = field(default_factory=list)
    "Metrics of the base's last generation that are accuracies of something else: compared as if variants."


@dataclass(kw_only=True)
class VariantTable:
    """`[[variant]]`."""

    name: Annotated[str, MinLen(1)]
    "What results call it."
    set: dict[str, Any] = field(default_factory=dict)
    "Overrides by dotted path."
    from_generation: Annotated[int, Ge(0)] = 0
    "The first generation that the overrides apply to."
    recipe: Annotated[str, MinLen(1)] | None = None
    "Another recipe than the base, which the overrides are then laid on."
    expect: Literal["lower", "higher"] | None = None
    "How its accuracy is expected to compare with the base's; results say whether the interval agrees."
    gain_below: Annotated[float, Gt(0)] | None = None
    "Share of the base's gain over its teacher that its own gain is expected to stay below; results say whether it does."


@dataclass(frozen=True)
class Variant:
    """One recipe of a study, whatever the seed."""

    name: str
    recipe: Recipe
    expect: Literal["lower", "higher"] | None = None
    gain_below: float | None = None


@dataclass(frozen=True)
class Study:
    """A whole study, validated; the first variant is the base."""

    name: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    references: tuple[str, ...]

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


def load_study(source: str | Path, seeds: Sequence[int] | None = None) -> Study:
    """The study in a file, or the shipped one of that name; `seeds` replace the file's own.

    Raises `RecipeError` that lists everything that is wrong, each with its place and what would be right.
    """
    label, path = find_file(source, "study", shipped_studies)
    table, problems = read(label, path), Problems()
    refuse_other("study", label, table)
    check_values(table, table.place, problems)
    own = _laid_on(StudyTable, table.without("variant"), "study", problems, ("variant",))
    pairs = _variant_tables(table, problems)
    seeds = seeds or _seeds(own, table, problems)
    variants = _variants(own, table, pairs, path, problems) if own else []
    problems.raise_any()
    assert own is not None
    _refuse_twins(own, variants[0].name, table, pairs, problems)
    problems.raise_any()
    return Study(path.stem, tuple(variants), tuple(seeds), tuple(own.references))


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
    if not variant.set and variant.recipe is None:
        problems.add(table.place, f"{label}: is the base itself",
                     'it takes `set = { "noise.dropout.enabled" = false }` or `recipe = "other.toml"`')  # fmt: skip
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


def _variants(
    own: StudyTable, table: Table, pairs: list[tuple[VariantTable, Table]], path: Path, problems: Problems
) -> list[Variant]:
    """The base and every variant as recipes; what cannot be loaded is left out and noted."""
    base = _recipe(own.base, table.where("base"), "study: `base`", path, problems)
    common = _anchored(own.set, path.absolute().parent)
    with_set = base and _overridden(base, common, 0, table.where("set"), "study: `set`", problems)
    variants = [Variant(base.name, with_set)] if base and with_set else []
    for variant, item in pairs:
        label = f"[[variant]] {variant.name}"
        start: Recipe | None = with_set
        if variant.recipe is not None:
            start = _recipe(variant.recipe, item.where("recipe"), f"{label}: `recipe`", path, problems)
            start = start and _overridden(start, common, 0, table.where("set"), f"{label}: the study's `set`", problems)
        over = _anchored(variant.set, path.absolute().parent)
        made = start and _overridden(start, over, variant.from_generation, item.where("set"), label, problems)
        if made:
            variants.append(Variant(variant.name, made, variant.expect, variant.gain_below))
    return variants


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
    taken = {base: "the base", BASELINE: "the supervised baseline of the base"}
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
