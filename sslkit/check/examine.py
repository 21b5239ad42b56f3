"""Everything that `sslkit check` finds out about a recipe, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..dataset import Data
from ..environment import determinism
from ..errors import MissingData, PluginError, SslkitError
from ..images.scan import scan
from ..opening import open_data
from ..pretrained import missing_weights
from ..recipe.model import Recipe
from ..state import facts_of
from .guards import guards
from .images import of_images, problems_of, warnings_of
from .picture import picture
from .probe import META, baseline_seconds, compose, facts_without, probe
from .seen import GenerationProbe
from .verdict import troubles, unjudged

SOUND = "every loss is non-zero, gives the student a gradient and moves its weights"
CLASSES = 10
"Classes that are assumed where the data is not there and does not say."


def examine(recipe: Recipe, device: torch.device, say: Callable[[str], Any] = str, look: bool = True) -> dict[str, Any]:
    """A recipe's picture with notes, warnings and problems; composed only, where its data is not there or has images that
    cannot be read.

    `say` is told what is tried; before that it is `look`ed at every image. Raises `SslkitError` for what a run would refuse.
    """
    try:
        data = open_data(recipe)
    except SslkitError as error:
        if not is_missing(error):
            raise
        return without_data(recipe, error)
    images = of_images(data, {name: scan(split) for name, split in data.splits.items()} if look else None)
    if broken := problems_of(images):
        return unreadable(recipe, data, images, broken)
    with determinism(recipe.settings.deterministic):
        found = probe(recipe, data, device, timing=True, say=say)
        baseline = baseline_seconds(recipe, data, device) if recipe.settings.baseline else None
    facts = facts_of(recipe.generations[0], data, device)
    open_ends, problems = unjudged(recipe, found), troubles(found, recipe)
    return {
        **picture(recipe, found, facts, data, baseline, images),
        "notes": list(data.notes),
        "warnings": [*warnings_of(images), *warnings(recipe, found, data, facts)],
        "not_judged": open_ends,
        "problems": [{"problem": problem, "advice": advice} for problem, advice in problems],
        "sound": "" if problems else "what could be judged" if open_ends else SOUND,
    }


def warnings(recipe: Recipe, found: list[GenerationProbe], data: Data | None, facts: Any) -> list[str]:
    """What looks unintended: in the recipe's text, and in what it composes."""
    return [*recipe.warnings, *guards(recipe, found, facts, data)]


def is_missing(error: Exception) -> bool:
    """Whether the data is not there, as `open_data` said itself or by a file that it did not find."""
    return isinstance(error, MissingData) or (
        isinstance(error, PluginError) and isinstance(error.__cause__, FileNotFoundError)
    )


def absent_weights(recipe: Recipe) -> list[str]:
    """Published weights that a run would not get."""
    names = dict.fromkeys(cfg.model.name for cfg in recipe.generations if cfg.model and cfg.model.fetched)
    return [said for name in names if (said := missing_weights(name))]


def unreadable(recipe: Recipe, data: Data, images: dict[str, Any], problems: list[dict[str, str]]) -> dict[str, Any]:
    """What can be said without reading images, as some would stop a run."""
    facts = facts_of(recipe.generations[0], data, META)
    found = compose(recipe, data)
    return {
        **picture(recipe, found, facts, data, images=images),
        "notes": list(data.notes),
        "warnings": [*warnings_of(images), *warnings(recipe, found, data, facts)],
        "not_judged": ["losses: none was tried, as there are images that cannot be read"],
        "problems": problems,
        "sound": "",
    }


def without_data(recipe: Recipe, error: Exception) -> dict[str, Any]:
    """What can be said without the data."""
    classes = getattr(error, "classes", None)
    facts = facts_without(recipe.generations[0], META, classes or CLASSES)
    found = compose(recipe, None, classes or CLASSES)
    assumed = "" if classes else f", for {CLASSES} classes"
    return {
        **picture(recipe, found, facts, None),
        "notes": [],
        "warnings": [
            *warnings(recipe, found, None, facts),
            f"the data is not there: {error}",
            f"composed without it{assumed}, on no device; no loss was tried",
            *absent_weights(recipe),
        ],
        "not_judged": [],
        "problems": [],
        "sound": "",
    }
