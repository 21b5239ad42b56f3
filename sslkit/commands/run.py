"""`sslkit run`: from a recipe to a finished run folder, or from an unfinished one to its end."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import device_option, overrides, recipe_argument, seed_option, set_option


@click.command()
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
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the run in this folder, to the same result as if it had never stopped.",
)
@seed_option
@device_option
def run(
    recipe: str | None,
    settings: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    seed: int | None,
    device: str | None,
) -> None:
    """Train what RECIPE describes: a TOML file, or the name of a recipe that comes with sslkit.

    Everything goes into a run folder: the resolved recipe, metrics.jsonl, each generation's model and pseudo-labels,
    and summary.json. Ctrl-C saves the run and says how to go on. With --resume the folder's own recipe is used; a
    finished run prints its results again.
    """
    if recipe is None and resume is None:
        raise click.UsageError("Name a RECIPE to run, or a run folder to go on with: --resume DIR.")
    if out is not None and resume is not None:
        raise click.UsageError("--out makes a new folder and --resume goes on in an old one: give one of them.")
    changes = overrides(settings)
    was_finished = resume is not None and finished(resume)

    from ..runs import run as train  # with torch and timm: not before the command line is known to be sound

    done = train(recipe, seed=seed, overrides=changes or None, out=out, resume=resume, device=device)
    if was_finished:
        from rich.console import Console

        from ..tables import make_console, results

        make_console(Console).print(results(done.summary, done.folder))


def finished(folder: Path) -> bool:
    """Whether a run folder needs no more work (one that cannot be read is for the run to complain about)."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and summary.get("status") == "finished"
