"""The equal-budget supervised baseline: the same recipe without its unlabeled images."""

from __future__ import annotations

from typing import Any

from ..errors import RecipeError
from .compose import build, draft_of, tabled
from .draft import Draft, Plugin
from .message import Problems
from .model import Recipe

TEACHING = frozenset({"label", "make_teacher", "refine", "revise_labeled"})
"Hooks that only pseudo-labels call for; a labeler with one of them is left out."
AVERAGING = frozenset({"average", "after_step"})
"Hooks for which a labeler stays."


def baseline_of(recipe: Recipe) -> Recipe:
    """One generation of the first generation's model on the labeled stream, with as many steps as all together.

    Noise, optimizer, moving averages, metrics and the schedules of what is left stay. A loss over both streams stays
    on its labeled views where no loss is on those alone. Raises `RecipeError` where nothing is left to learn from.
    """
    draft = draft_of(recipe, 0)
    labeled = {name for name, view in draft.views.items() if view.stream == "labeled"}
    kept = _kept(draft, labeled)
    if not any("loss" in plugin.hooks for plugin in draft.enabled if plugin.name in kept):
        raise RecipeError(f"{recipe.name}: `baseline = true`, but no loss is on the labeled stream, so there is no "
                          "supervised baseline\n  set `baseline = false`")  # fmt: skip
    table = {key: value for key, value in draft.resolved.items() if key not in ("step", "pass")}
    for section in ("noise", "labeler", "loss", "schedule"):
        if section in table:
            table[section] = [_with_on(item, kept[item["name"]]) for item in table[section] if item.get("name") in kept]
    averaged = any("average" in plugin.hooks for plugin in draft.enabled if plugin.name in kept)
    table["pass"] = _passes(draft, labeled, ("student", "average") if averaged else ("student",))
    table["views"] = {name: view for name, view in table.get("views", {}).items() if name in labeled}
    table["batch"] = {**table["batch"], "unlabeled": 0}
    table["steps"] = sum(generation.settings.steps for generation in recipe.generations)
    table.update(labels="none", init="scratch", baseline=False)
    return build(tabled(table, recipe), recipe.name, recipe.path, Problems())


def _kept(draft: Draft, labeled: set[str]) -> dict[str, list[str]]:
    """Plugins that stay, and the `on` that they get; an empty one: their section's default."""
    losses = [plugin for plugin in draft.enabled if plugin.section == "loss"]
    mixed = not any(set(plugin.on) <= labeled for plugin in losses if "loss" in plugin.hooks)
    kept: dict[str, list[str]] = {}
    for plugin in draft.enabled:
        on = _on(plugin, labeled, mixed)
        if on is not None and plugin.section not in ("schedule", "step"):
            kept[plugin.name] = on
    for plugin in draft.enabled:
        targets = [target for target in plugin.on if target == "lr" or target.split(".")[0] in kept]
        if plugin.section == "schedule" and targets:
            kept[plugin.name] = targets
    return kept


def _on(plugin: Plugin, labeled: set[str], mixed: bool) -> list[str] | None:
    """A plugin's views without those of the unlabeled stream; None: it is left out."""
    on = [view for view in plugin.on if view in labeled]
    if plugin.section == "noise":
        return [] if plugin.reserved.on is None else on or None
    if plugin.section == "loss" and "loss" in plugin.hooks:
        return on if on and (mixed or on == plugin.on) else None
    if plugin.section == "labeler":
        return [] if AVERAGING & set(plugin.hooks) and not TEACHING & set(plugin.hooks) else None
    return []


def _with_on(item: dict[str, Any], on: list[str]) -> dict[str, Any]:
    rest = {key: value for key, value in item.items() if key not in ("on", "when")}
    return {**rest, "on": on} if on else rest


def _passes(draft: Draft, labeled: set[str], models: tuple[str, ...]) -> list[dict[str, Any]]:
    """Passes of models that are still there, over labeled views."""
    tables = zip(draft.passes, draft.resolved.get("pass", []), strict=True)
    views = [([view for view in one.views if view in labeled], one, table) for one, table in tables]
    return [{**table, "views": left} for left, one, table in views if left and one.model in models]
