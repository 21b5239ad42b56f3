"""`sslkit recipes`: those that come with sslkit, one of them as it is or resolved, and a copy to begin with."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from . import names
from .group import Group


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def recipes(ctx: click.Context) -> None:
    """List the recipes that come with sslkit, show one, or copy it to begin a recipe of your own.

    Without a command: the list.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@recipes.command("list", short_help="What comes with sslkit: paper, data, generations.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_(as_json: bool = False) -> None:
    """List the recipes and studies that come with sslkit: what each is, its paper, its data and generations."""
    from ..catalog.recipes import recipe_lines, study_lines

    found, studies = recipe_lines(), study_lines()
    if as_json:
        both = {"recipes": [asdict(one) for one in found], "studies": [asdict(one) for one in studies]}
        click.echo(json.dumps(both, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ..tables import make_console
    from .recipe_screens import listing

    console = make_console(Console)
    for part in listing(found, studies):
        console.print(part)


@recipes.command(short_help="One recipe, as it is or with every default.")
@click.argument("name", shell_complete=names.recipes_and_studies)
@click.option("--resolved", is_flag=True, help="Print it with what it extends and every default filled in.")
def show(name: str, resolved: bool) -> None:
    """Show the recipe NAME: one that comes with sslkit, a study of `sslkit recipes list`, or a file.

    The file is printed as it is: `sslkit recipes show NAME > mine.toml` keeps every byte. A copy that works from any
    folder is made by `sslkit recipes copy`.
    """
    from ..catalog.shipped import found

    path = found(name)
    data = resolved_text(name, path).encode() if resolved else path.read_bytes()
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    from rich.console import Console

    from ..tables import make_console
    from .prose import highlighted

    text = highlighted(data.decode("utf-8", "replace"))
    make_console(Console).print(text, soft_wrap=True, end="" if text.plain.endswith("\n") else "\n")


def resolved_text(name: str, path: Path) -> str:
    """A recipe with all that it leaves to others and to defaults. Raises `RecipeError`, for a study too."""
    from ..catalog.shipped import is_study
    from ..catalog.writing import document
    from ..errors import RecipeError
    from ..recipe import load  # with its plugins' classes: only this needs them

    if is_study(path):
        raise RecipeError(f"{name}: is a study, which leaves nothing to defaults; --resolved is for recipes")
    return document(load(path).table)


@recipes.command(short_help="A copy to be changed, which works from where it lies.")
@click.argument("name", shell_complete=names.recipes_and_studies)
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def copy(name: str, dest: Path | None, force: bool) -> None:
    """Copy the recipe or study NAME to DEST, by default NAME.toml here, to change it.

    DEST is a `.toml` file or a folder. What the recipe extends is found from there too. A file that is there already is
    left alone, unless --force says otherwise.
    """
    from ..catalog import copying
    from ..catalog.shipped import STUDIES, find, is_study

    source = find(name)
    study = is_study(source)
    target = copying.destination(f"{STUDIES if study else ''}{source.stem}", dest)
    done = copying.copy(source, target, force)
    for line in told(done, "study" if study else "check"):
        click.echo(line)


def told(done: Any, command: str) -> list[str]:
    """What was written, and what to do next."""
    lines = [f"wrote {done.path}"]
    if done.schema is not None:
        lines.append(f"{'wrote' if done.fresh else 'left'} {done.schema}, by which editors check and complete it")
    return [*lines, f"next:  sslkit {command} {shlex.quote(str(done.path))}"]
