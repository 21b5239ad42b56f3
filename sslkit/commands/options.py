"""Options that several commands take, and what their values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from . import names

recipe_argument = click.argument("recipe", required=False, shell_complete=names.recipes)
set_option = click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change a key of the recipe, e.g. `--set labeler.confidence.threshold=0.5`; repeatable. It holds for every "
    "generation, whatever they say of that key; `--set generation.0.steps=300` is for one.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Key of every random draw, the data split included."
)
device_option = click.option(
    "--device", metavar="NAME", help="Where to compute: cpu, cuda, cuda:1, mps. By default a GPU if there is one."
)
WEIGHTS = {"average": "average weights", "student": "the student's own weights", "selected": "selected weights"}
"Choices of `--weights`, and what they are called."
weights_option = click.option(
    "--weights",
    type=click.Choice(list(WEIGHTS)),
    help="The average, the student's own, or those of the step that validation images selected. By default the average "
    "where one was kept, as in the run's summary.",
)
generation_option = click.option(
    "--generation",
    type=int,
    default=-1,
    metavar="N",
    help="The generation whose model is meant, counted from 0. By default the last that is finished; -2 is the one "
    "before it.",
)


QUOTES = "A value with spaces needs quotes: --set 'PATH=two words'; path and value are one word: --set steps=300."


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """`["labeler.confidence.threshold=0.5"]` -> `{"labeler.confidence.threshold": 0.5}`; the last one counts.

    Raises `RecipeError` for what is no PATH=VALUE.
    """
    from ..recipe import parse_set  # with pydantic: not for `--help`

    return dict(parse_set(setting) for setting in settings)


class Recipes(click.Command):
    """A command with `--set`: words too many are mostly those of a value whose quotes are missing, and are told as such."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        asked = any(arg.startswith("--set") for arg in args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if not asked or "unexpected extra argument" not in error.message:
                raise
            raise click.UsageError(f"{error.message}\n{QUOTES}", ctx) from error
