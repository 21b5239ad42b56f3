"""`sslkit compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Lay runs side by side: the keys in which their recipes differ, and what came out of each.

    RUN is a run folder; a folder that holds runs, such as a study's, stands for all of them. Runs that differ in their
    seed alone are one recipe, told with mean and standard deviation; every other recipe is compared with the first one
    named: in pairs where they share seeds, with the 95% interval of the difference. Unfinished and damaged runs are
    listed as such.
    """
    from ..comparison.groups import groups_of
    from ..comparison.members import members_of
    from ..comparison.notes import notes_of
    from ..errors import RunError

    members = members_of(runs)
    if len(members) < 2:
        raise RunError(f"there is one run only, {members[0].folder}: name another to compare it with")
    groups = groups_of(members)
    notes = notes_of(members, groups)
    if as_json:
        from ..comparison.report import as_json as report

        click.echo(report(members, groups, notes))
    else:
        from rich.console import Console

        from ..comparison.terminal import show
        from ..tables import make_console

        show(members, groups, notes, make_console(Console))
