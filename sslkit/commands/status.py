"""`sslkit status`: how far a run is, looked at from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from time import sleep as pause
from typing import TYPE_CHECKING

import click

from .finding import find_run

if TYPE_CHECKING:
    from ..screen import Output
    from ..watching.look import Look

EVERY = 1.0
"Seconds between two looks."
OTHERS = 8
"Further runs that are listed."


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object, or one per line with --watch.")
@click.option("--watch", is_flag=True, help="Keep looking until the run ends, or Ctrl-C.")
def status(run: str | None, as_json: bool, watch: bool) -> None:
    """Say how far the run in the folder RUN is: whether it runs, its generation and step, losses, accuracies, speed.

    By default it is the run in runs/ that is running, or else the newest one; the others there are listed below it. It
    only reads what the run writes anyway, so it may be called from another terminal, or another machine that sees the
    folder. It also says what would be lost if the run were killed now, and how to go on with one that has stopped.
    """
    from ..screen import Output
    from ..tables import make_console
    from ..watching.look import Look
    from ..watching.standing import standing

    folder, others = _chosen(run)
    output, look = make_console(Output), Look(standing(folder))
    if watch:
        _watch(folder, output, as_json)
    elif as_json:
        click.echo(json.dumps(look.as_json(), indent=1))
    else:
        output.print(look.drawn())
        _list(output, others)


def _chosen(name: str | None) -> tuple[Path, list[Path]]:
    """The run to look at, and others beside it."""
    from ..errors import RunError
    from ..watching.standing import PLACE, newest_first, runs_in, standing

    if name is not None:
        return find_run(name), []
    runs = newest_first(map(standing, runs_in(PLACE)))
    if not runs:
        raise RunError(
            f"there is no run in {PLACE}/ of this folder: name a run's folder, or begin a run: sslkit run RECIPE"
        )
    chosen = next((run for run in runs if run.state == "running"), runs[0])
    return chosen.folder, [run.folder for run in runs if run is not chosen]


def _list(output: Output, others: list[Path]) -> None:
    """Other runs, a line each."""
    from rich.text import Text

    from ..watching.look import Look
    from ..watching.standing import standing

    if others:
        output.print()
    for folder in others[:OTHERS]:
        output.print(Text(Look(standing(folder)).line(), "dim"), soft_wrap=True)
    if len(others) > OTHERS:
        output.print(Text(f"and {len(others) - OTHERS} more", "dim"))


def _watch(folder: Path, output: Output, as_json: bool) -> None:
    """Look again and again. On a terminal it is drawn in place; in a pipe there is a line for each change."""
    from rich.live import Live

    try:
        if as_json or not output.is_terminal or output.is_dumb_terminal:
            last = None
            for look in _looks(folder):
                said = json.dumps(look.as_json()) if as_json else look.line()
                last = said if said == last else _print(said)
            if not as_json:
                output.print(look.drawn())
            return
        with Live(console=output, auto_refresh=False, transient=True) as live:
            for look in _looks(folder):
                live.update(look.drawn(), refresh=True)
        output.print(look.drawn())
    except KeyboardInterrupt:
        return  # the view is left, and nothing else


def _print(line: str) -> str:
    click.echo(line)
    return line


def _looks(folder: Path) -> Iterator[Look]:
    """A look each second, the last one at the run's end."""
    from ..watching.look import Look
    from ..watching.standing import standing

    while True:
        look = Look(standing(folder))
        yield look
        if look.run.state not in ("running", "unknown"):
            return
        pause(EVERY)
