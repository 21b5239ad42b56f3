"""`sslkit run`: from a recipe to a finished run folder, or from an unfinished one to its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ..output import narrate
from .options import Recipes, device_option, overrides, recipe_argument, seed_option, set_option


@click.command(cls=Recipes)
@recipe_argument
@set_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The run folder, which must be new. By default runs/RECIPE, then runs/RECIPE-2 and so on.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Go on with the run in this folder, to the same result as if it had never stopped. Without DIR: with the newest "
    "unfinished run of RECIPE, or of any recipe, in runs/ (and beside --out).",
)
@seed_option
@device_option
def run(
    recipe: str | None,
    settings: tuple[str, ...],
    out: Path | None,
    resume: str | None,
    seed: int | None,
    device: str | None,
) -> None:
    """Train what RECIPE describes: a TOML file, or the name of a recipe that comes with sslkit.

    Everything goes into a run folder: the resolved recipe, metrics.jsonl, each generation's model and pseudo-labels,
    and summary.json. Ctrl-C saves the run and says how to go on, as does a terminal that closes. With --resume the
    folder's own recipe is used; a finished run prints its results again. `sslkit run RECIPE --resume` finds the newest
    unfinished run of that recipe by itself. On a full disk a run waits for room: on a terminal as long as it takes,
    elsewhere for an hour.
    """
    narrate()
    if recipe is None and resume is None:
        raise click.UsageError("Name a RECIPE to run, or a run folder to go on with: --resume DIR.")
    if out is not None and resume:
        raise click.UsageError("--out makes a new folder and --resume goes on in an old one: give one of them.")
    changes = overrides(settings)
    folder = None
    if resume is not None:
        recipe, folder = _to_resume(recipe, resume, changes, seed, out)
    was_finished = folder is not None and finished(folder)

    from ..runs import run as train  # with torch and timm: not before the command line is known to be sound

    done = train(
        recipe, seed=seed, overrides=changes or None, out=None if folder else out, resume=folder, device=device
    )
    if was_finished:
        from rich.console import Console

        from ..tables import make_console, results

        make_console(Console).print(results(done.summary, done.folder))


def _to_resume(
    recipe: str | None, resume: str, changes: dict[str, Any], seed: int | None, out: Path | None
) -> tuple[str | None, Path]:
    """The recipe and the run folder that `--resume` means: what stands after it may be either, or nothing."""
    if Path(resume).is_dir() and resume:
        return recipe, Path(resume)
    from ..errors import RunError
    from ..keeping.resume import find, names_recipe, nowhere  # with pydantic

    if resume and (recipe is not None or not names_recipe(resume)):
        raise RunError(nowhere(resume))
    recipe = resume or recipe
    folder, said = find(recipe, changes or None, seed, out, anew_command())
    click.echo(said, err=True)
    return recipe, folder


def anew_command() -> str:
    """The command that was typed, without its `--resume`."""
    context = click.get_current_context()
    given = context.params
    words = [given["resume"] or given["recipe"] or "RECIPE"]
    words += [word for setting in given["settings"] for word in ("--set", setting)]
    named = {"--seed": given["seed"], "--out": given["out"], "--device": given["device"]}
    words += [word for name, value in named.items() if value is not None for word in (name, str(value))]
    return shlex.join(["sslkit", "run", *words])


def finished(folder: Path) -> bool:
    """Whether a run folder needs no more work (one that cannot be read is for the run to complain about)."""
    from ..watching.standing import read_summary

    return read_summary(folder).get("status") == "finished"
