"""`sslkit check`: is this recipe sound, what does it compose, does every loss teach, what will it take?"""

from __future__ import annotations

from typing import Any

import click

from . import names
from .options import Recipes, device_option, overrides, seed_option, set_option


@click.command(cls=Recipes)
@click.argument("recipe", shell_complete=names.recipes)
@set_option
@seed_option
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print the composition and what was found as JSON.")
@click.option("--no-scan", is_flag=True, help="Do not look at every image, which takes its time where there are many.")
def check(
    recipe: str, settings: tuple[str, ...], seed: int | None, device: str | None, as_json: bool, no_scan: bool
) -> None:
    """Validate RECIPE, draw what it composes, and try every loss for a few steps.

    RECIPE is a file or the name of a shipped recipe. Every image is looked at: of each split the tree shows classes,
    sizes, formats, copies, and what cannot be read. It shows each generation: its model, schedules as curves from
    its first step to its last, streams and views with the noise on each, who makes labels and what becomes of them, the
    passes, the losses, and what it takes: memory, disk, time. Each loss is looked at before its schedule and with
    filters opened: it must not be zero, must give the student a gradient, and must move its weights. What can be run
    but looks unintended is a warning. Where the data is not there, the recipe is composed without it. Nothing is
    written but what was found of the images, for the next time. Exit code 2: the recipe cannot be run, or a loss
    teaches nothing.
    """
    from ..environment import choose_device
    from ..network import require_timm
    from ..recipe import load

    require_timm()
    loaded = load(recipe, overrides(settings), seed, names=True)
    from rich.console import Console

    from ..check.examine import examine
    from ..errors import RecipeError
    from ..recipe.message import counted

    status = Console(stderr=True).status("")  # drawn on a terminal only, and when the bar of looking at images is gone

    def say(what: str) -> None:
        status.update(what)
        status.start()

    try:
        result = examine(loaded, choose_device(device), say, look=not no_scan)
    finally:
        status.stop()
    if as_json:
        import json

        from ..answers import measured

        click.echo(json.dumps(measured(result), indent=1, allow_nan=False))
    else:
        show(result)
    if problems := result["problems"]:
        lines = [f"  {one['problem']}\n    {one['advice']}" for one in problems]
        raise RecipeError("\n".join([f"{loaded.name}: {counted(len(problems), 'problem')}\n", *lines]))


def show(result: dict[str, Any]) -> None:
    """The tree, and what is to be said beside it."""
    from rich.console import Console

    from ..check.tree import draw, remark
    from ..tables import make_console

    console = make_console(Console)
    console.print(draw(result))
    for label, style in (("note", "dim"), ("warning", "yellow"), ("not judged", "yellow")):
        for text in result[f"{label.replace(' ', '_')}s" if label != "not judged" else "not_judged"]:
            console.print(remark(label, text, style))
    if result["sound"]:
        console.print(remark("sound", result["sound"], "green"))
