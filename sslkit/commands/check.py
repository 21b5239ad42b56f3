"""`sslkit check`: is this recipe sound, what does it compose, does every loss teach?"""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from .options import device_option, overrides, seed_option, set_option

OFF = "its line above says why; let its stream be on in one of them, or leave it out (enabled = false)"


@click.command()
@click.argument("recipe")
@set_option
@seed_option
@device_option
def check(recipe: str, settings: tuple[str, ...], seed: int | None, device: str | None) -> None:
    """Validate RECIPE, print what it composes, and try every loss for a few steps.

    RECIPE is a file or the name of a shipped recipe. Each loss is looked at before its schedule and with filters opened:
    it must not be zero, must give the student a gradient, and must move its weights; beside it stands what the filters
    keep of an untrained teacher's labels. Where the data is not there, the recipe is composed without it. Nothing is
    written. Exit code 2: the recipe cannot be run, or a loss teaches nothing.
    """
    from ..environment import choose_device, determinism
    from ..errors import SslkitError
    from ..network import require_timm
    from ..recipe import load

    require_timm()
    loaded = load(recipe, overrides(settings), seed, names=True)
    from ..check.probe import probe
    from ..state import open_data
    from ..tables import make_console

    console, place = make_console(Console), choose_device(device)
    try:
        data = open_data(loaded)
    except SslkitError as error:
        if not is_missing(error):
            raise
        compose_only(console, loaded, error)
        return
    with determinism(loaded.settings.deterministic):
        found = probe(loaded, data, place)
    conclude(console, loaded, found, data)


def is_missing(error: Exception) -> bool:
    """Whether the data is not there, as `open_data` said itself or by a file that it did not find."""
    from ..errors import MissingData, PluginError

    return isinstance(error, MissingData) or (
        isinstance(error, PluginError) and isinstance(error.__cause__, FileNotFoundError)
    )


def compose_only(console: Console, recipe: Any, error: Exception) -> None:
    """What can be said without the data."""
    from ..check.probe import compose
    from .composition import describe, remark

    console.print(describe(recipe, compose(recipe, None), None))
    for warning in recipe.warnings:
        console.print(remark("note", warning, "dim"))
    console.print(remark("warning", f"the data is not there: {error}", "yellow"))
    console.print(remark("warning", "composed without it, for 10 classes, on no device; no loss was tried", "yellow"))


def conclude(console: Console, recipe: Any, found: list[Any], data: Any) -> None:
    """What was seen, and whether it will do. Raises `RecipeError` where it will not."""
    from ..errors import RecipeError
    from ..recipe.message import counted
    from .composition import describe, remark, unjudged

    console.print(describe(recipe, found, data))
    for note in [*data.notes, *recipe.warnings]:
        console.print(remark("note", note, "dim"))
    open_ends = unjudged(recipe, found)
    for line in open_ends:
        console.print(remark("not judged", line, "yellow"))
    if troubles := all_troubles(found):
        raise RecipeError("\n".join([f"{recipe.name}: {counted(len(troubles), 'problem')}\n", *troubles]))
    sound = "every loss is non-zero, gives the student a gradient and moves its weights"
    console.print(remark("sound", "what could be judged" if open_ends else sound, "green"))


def all_troubles(found: list[Any]) -> list[str]:
    """What keeps the recipe from learning, where, and what may mend it."""
    places: dict[tuple[str, str], list[int]] = {}
    for seen in found:
        for trouble in seen.troubles.items():
            places.setdefault(trouble, []).append(seen.index)
    tried = {name for seen in found for name in [*seen.silent, *(term.owner for term in seen.terms.values())]}
    for name in dict.fromkeys(name for seen in found for name in seen.waiting if name not in tried):
        places[f"loss `{name}` is off in every generation", OFF] = []
    return [f"  {where(numbers)}{what}\n    {advice}" for (what, advice), numbers in places.items()]


def where(generations: list[int]) -> str:
    """`generations 1, 2: `."""
    plural = "s" if len(generations) > 1 else ""
    return f"generation{plural} {', '.join(map(str, generations))}: " if generations else ""
