"""`sslkit report`: what run folders hold, as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What to write. By default report.html in the folder that is named, or in the working folder for several.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is no report.")
def report(runs: tuple[str, ...], out: Path | None, force: bool) -> None:
    """Write one HTML page of RUN: what was run, what came out, how it went; figures, pictures and tables.

    RUN is a run's folder, or its name below runs/; a folder that holds runs, such as a study's, stands for all of them. Of
    several runs the page tells what sets them apart, with intervals, and then each in short. It is made from the folders
    alone: the data may be gone, and a run may be unfinished. The page needs no network. An earlier report is written anew.
    """
    from ..images.words import printable
    from ..reporting.making import make, place
    from ..tables import count, size
    from .finding import find_runs

    paths = [find_runs(name) for name in runs]
    made = make(paths, place(paths) if out is None else out, force)
    for warning in made.warnings:
        click.secho(f"warning: {printable(warning)}", fg="yellow")
    what = f"{count(made.runs)} runs" if made.runs > 1 else "the run"
    click.echo(
        f"a report of {what}: {printable(str(made.path))} ({size(made.path.stat().st_size)}). Open it in a browser"
    )
