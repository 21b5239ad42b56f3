"""`load`: a recipe's file to a validated, resolved `Recipe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from . import fields
from .across import check_all, check_generation, check_size
from .checks import check
from .draft import Draft
from .factories import check_names
from .merge import LISTS, anchor, merge
from .message import Problems, shown, visible
from .model import Entry, Generation, Recipe
from .overrides import apply
from .places import Place, Source, Table, annotated, plain
from .read import DEEPEST, Unreadable, check_values, locate, read, refuse_other
from .resolve import check_keys, defaults, resolve
from .tables import digests


def load(
    source: str | Path, overrides: Mapping[str, Any] | None = None, seed: int | None = None, *, names: bool = False
) -> Recipe:
    """The recipe in a file, or the shipped one of that name, with overrides by dotted path applied.

    `names`: look models and optimizers up in timm too, which takes seconds to import. Raises `RecipeError` that lists
    everything that is wrong, each with its place and what would be right.
    """
    label, path = locate(source)
    problems = Problems()
    table = defaults(composed(label, path, problems))
    said = dict(overrides or {}) | ({} if seed is None else {"seed": seed})
    if said:
        table = apply(table, said, problems)
    recipe = build(table, visible(path.stem), path, problems, names)
    if recipe.settings.baseline:
        from .baseline import baseline_of  # which builds recipes itself

        try:
            baseline_of(recipe)  # that there is none must be known before hours of training, not after
        except RecipeError as error:
            lines = str(error).removeprefix(f"{recipe.name}: ").splitlines()
            problems.add(table.where("baseline"), *map(str.strip, lines))
            problems.raise_any()
    return recipe


def with_overrides(
    recipe: Recipe, overrides: Mapping[str, Any], from_generation: int = 0, folder: Path | None = None
) -> Recipe:
    """A recipe with overrides applied from a generation on (0: to the whole recipe).

    `folder`: what their relative paths start from; by default the current one. Raises `RecipeError`.
    """
    problems = Problems()
    table = apply(reopened(recipe), overrides, problems, from_generation, folder)
    return build(table, recipe.name, recipe.path, problems)


def rebuilt(table: Mapping[str, Any], name: str, path: Path | None) -> Recipe:
    """A recipe from its resolved table: the plugins in one do not reach another process. Raises `RecipeError`."""
    return build(_annotated(table, str(path or name)), name, path, Problems())


def reopened(recipe: Recipe) -> Table:
    """A resolved recipe as a table to be built again."""
    return tabled(recipe.table, recipe)


def tabled(table: Mapping[str, Any], recipe: Recipe) -> Table:
    """A plain table that stems from a recipe, as one to be built."""
    return _annotated(table, str(recipe.path or recipe.name))


def _annotated(table: Mapping[str, Any], label: str) -> Table:
    place = Place(Source(label, Path.cwd()))
    return merge(Table({}, place), annotated(dict(table), place), Problems())


def draft_of(recipe: Recipe, index: int) -> Draft:
    """One generation of a recipe, laid on its classes again."""
    table = reopened(recipe)
    overrides = table.get("generation") or [Table({}, table.place)]
    problems = Problems()
    draft = resolve(merge(table.without("generation", "files"), overrides[index], problems), problems)
    check(draft, problems)
    problems.raise_any()
    return draft


@dataclass(frozen=True)
class _Way:
    """How a file was come to."""

    chain: tuple[Path, ...] = ()
    "Files of which each extends the next."
    laid: list[Path] = field(default_factory=list)
    "Every file that was laid so far, one again wherever several extend it."


def composed(label: str, path: Path, problems: Problems, base: Table | None = None, way: _Way | None = None) -> Table:
    """A file's table laid on those that it extends, and these on `base`."""
    table = read(label, path)
    refuse_other("recipe", label, table)
    place, source = table.place, table.place.source
    check_values(table, place, problems, table)
    _check_lists(table, problems)
    way, real = way or _Way(), path.resolve()
    way.laid.append(real)
    base = Table({}, place) if base is None else base
    for name, where in _extended(table, problems):
        base = _laid(name, where, base, _Way((*way.chain, real), way.laid), problems)
    return merge(base, anchor(table.without("extends"), source), problems)


def _check_lists(table: Table, problems: Problems) -> None:
    """Refuse what would be passed over in silence: no generations where none were, digests that are none."""
    if table.get("generation") == [] and "extends" not in table:
        problems.add(table.where("generation"), "`generation = []`: there is no generation to train",
                     "leave the key out: a recipe without [[generation]] is one generation")  # fmt: skip
    files = table.get("files", {})
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        problems.add(table.where("files"), f"`files = {shown(files)}`: these are digests, written beside a run",
                     "leave the key out: no recipe says it by hand")  # fmt: skip


def _extended(table: Table, problems: Problems) -> list[tuple[str, Place]]:
    """What a table extends, in order, and where it says so. A problem here ends the search for more."""
    if "extends" not in table:
        return []
    said, place = table["extends"], table.where("extends")
    several = [(name, place.at(i)) for i, name in enumerate(said)] if isinstance(said, list) else [(said, place)]
    if not several or not all(isinstance(name, str) and name for name, _ in several):
        problems.add(place, f"`extends = {shown(said)}`", 'it takes the path or the name of a recipe: "base.toml"; or a '
                     "list of them, each laid on those before it")  # fmt: skip
        problems.raise_any()
    return several


def _laid(name: str, place: Place, base: Table, way: _Way, problems: Problems) -> Table:
    """An extended recipe laid on `base`. Without it nothing else can be judged: a problem here ends the search too."""
    try:
        label, path = locate(name, place.source.folder)
    except RecipeError as error:
        first, *rest = str(error).splitlines()
        problems.add(place, f"`extends = {shown(name)}`: {first}", *(line.strip() for line in rest))
        problems.raise_any()
    real, chain = path.resolve(), way.chain
    if len(way.laid) >= DEEPEST:
        problems.add(place, f"`extends = {shown(name)}`: more than {DEEPEST} recipes extend one another")
        problems.raise_any()
    if real in chain:
        names = " -> ".join(each.name for each in [*chain[chain.index(real) :], real])
        problems.add(place, f"`extends = {shown(name)}`: the recipe extends itself: {names}", "leave one of them out")
        problems.raise_any()
    try:
        return composed(label, path, problems, base, way)
    except Unreadable as error:
        problems.add(place, f"`extends = {shown(name)}`: {error}")
        problems.raise_any()
        raise


def build(table: Table, name: str, path: Path | None, problems: Problems, names: bool = False) -> Recipe:
    """A merged table as a `Recipe`. `names`: those of models and optimizers are looked up."""
    check_keys(table, problems)
    overrides = [item for item in table.get("generation", []) if isinstance(item, Table)]
    check_size(table, len(overrides), problems)
    base = resolve(table, problems)
    drafts = []
    for index, over in enumerate(overrides or [Table({}, table.place)]):
        check_generation(index, over, problems)
        problems.generation = index
        drafts.append(resolve(merge(table.without("generation"), over, problems), problems))
        check(drafts[-1], problems)
        if names:
            check_names(drafts[-1].table, problems)
        problems.generation = None
    warnings = check_all(drafts, problems)
    problems.raise_any(len(drafts))
    resolved = base.resolved
    if overrides:
        resolved["generation"] = [_written(over, draft) for over, draft in zip(overrides, drafts, strict=True)]
    files = digests(set[Path]().union(*(draft.files for draft in [base, *drafts])))
    if files:
        resolved["files"] = files
    assert base.settings is not None
    generations = [_generation(i, draft) for i, draft in enumerate(drafts)]
    return Recipe(name=name, path=path, table=plain(resolved), settings=base.settings, generations=generations,
                  warnings=warnings)  # fmt: skip


def _written(over: Table, draft: Draft) -> dict[str, Any]:
    """A generation's overrides as they are written beside a run: with the paths that plugins were given."""
    result: dict[str, Any] = plain(over)
    for plugin in draft.plugins:
        said = result.get(plugin.section)
        table = said.get(plugin.name) if isinstance(said, dict) and plugin.section in LISTS else said
        for key, hint in fields.hints(plugin.cls).items():
            if isinstance(table, dict) and key in table and fields.is_path(hint):
                table[key] = plugin.settings[key]
    return result


def _generation(index: int, draft: Draft) -> Generation:
    assert draft.settings is not None and draft.optimizer is not None
    plugins = draft.enabled

    def entries() -> list[Entry]:
        return [plugin.fresh() for plugin in plugins]

    return Generation(index=index, settings=draft.settings, model=draft.model, model_size=draft.size,
                      optimizer=draft.optimizer, views=draft.views, passes=draft.passes, entries=entries,
                      table=draft.table)  # fmt: skip
