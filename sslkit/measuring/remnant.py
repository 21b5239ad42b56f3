"""What is left of a run's recipe where plugins of its training are gone: enough to measure the models that it made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import RecipeError
from ..folder import ENVIRONMENT, RECIPE, Run
from ..hookspecs import SECTIONS, SINGLE, hooks_of
from ..recipe.content import is_file
from ..recipe.draft import Draft
from ..recipe.merge import merge
from ..recipe.message import Problems, listed
from ..recipe.model import Generation, Recipe
from ..recipe.places import Place, Source, Table, annotated
from ..recipe.resolve import resolve

ASKED = {"open_data", "build_model", "model_kwargs", "extend_model", "decide"}
"Hooks by which a trained model is built, answers, and gets its images; no other hook is called to measure."
SPARED = ("noise", "labeler", "schedule", "metric", "tracker", "step")
"Sections whose plugins take no part in what a trained model answers. A loss may: it can have heads, and decide."


def recipe_of(run: Run) -> tuple[Recipe, list[str]]:
    """A run's recipe, and what must be said of it: plugins and files that are gone, where measuring can do without them.

    Raises `RecipeError` where it cannot.
    """
    try:
        return run.recipe(), []
    except RecipeError:
        gone: dict[str, None] = {}
        try:
            recipe = _left(run, gone)
        except RecipeError:
            gone = {}
        if not gone:
            raise
        return recipe, [f"parts of the training cannot be loaded any more, and measuring does without: {listed(gone)}"]


def _left(run: Run, gone: dict[str, None]) -> Recipe:
    """The recipe with the plugins alone that measuring asks; `gone` is told those that are not to be had."""
    table, problems = run.table(), Problems()
    place = Place(Source(str(run.folder / RECIPE), Path.cwd()))
    whole = merge(Table({}, place), annotated(table, place), problems)
    base = whole.without("generation", "files")
    drafts = []
    for over in whole.get("generation") or [Table({}, place)]:
        drafts.append(resolve(_asked(merge(base, over, problems), gone), problems))
    problems.raise_any()
    settings = drafts[0].settings
    assert settings is not None
    name = run.folder.name
    with suppress(OSError, ValueError, LookupError):
        name = json.loads((run.folder / ENVIRONMENT).read_text())["recipe"]
    generations = [_generation(index, draft) for index, draft in enumerate(drafts)]
    return Recipe(name=name, path=run.folder / RECIPE, table=table, settings=settings, generations=generations)


def _asked(table: Table, gone: dict[str, None]) -> Table:
    """A generation's table with the plugins that measuring asks."""
    result = Table(table, table.place, table.places)
    for section in SECTIONS:
        value = table.get(section)
        if section not in ("data", "model") and value is not None:
            kept = list(_kept(section, [value] if section in SINGLE else value, gone))
            result = result.without(section)
            if kept:
                result.put(section, kept[0] if section in SINGLE else kept, table.where(section))
    return _trained(result, gone)


def _trained(table: Table, gone: dict[str, None]) -> Table:
    """Without the file of weights that training began with, where it is gone: a trained model has its own."""
    model = table.get("model")
    if isinstance(model, Table) and isinstance(path := model.get("weights"), str) and not is_file(Path(path)):
        gone[f"[model] weights ({path})"] = None
        where, table = table.where("model"), table.without("model")
        table.put("model", model.without("weights"), where)
    return table


def _kept(section: str, tables: list[Any], gone: dict[str, None]) -> Iterator[Any]:
    for table in tables:
        use = str(table.get("use", ""))
        if not table.get("enabled", True):
            continue
        try:
            asked = bool(ASKED & set(hooks_of(registry.find(section, use, Path.cwd()))))
        except RecipeError:
            asked = section not in SPARED
            if not asked:
                gone[f"{registry.heading(section)} {table.get('name', use)} ({use})"] = None
        if asked:
            yield table


def _generation(index: int, draft: Draft) -> Generation:
    assert draft.settings is not None and draft.optimizer is not None
    plugins = draft.enabled
    return Generation(index=index, settings=draft.settings, model=draft.model, model_size=draft.size,
                      optimizer=draft.optimizer, views=draft.views, passes=draft.passes,
                      entries=lambda: [plugin.fresh() for plugin in plugins], table=draft.table)  # fmt: skip
