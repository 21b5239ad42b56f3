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
from .group import Group, json_option, list_if_bare


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def recipes(ctx: click.Context, as_json: bool) -> None:
    """List the recipes that come with sslkit, show one, or copy it to begin a recipe of your own.

    Without a command: the list.
    """
    list_if_bare(ctx, list_, as_json)


@recipes.command("list", short_help="What comes with sslkit: paper, data, generations.")
@json_option
def list_(as_json: bool = False) -> None:
    """List what comes with sslkit: recipes with their paper, data and generations; studies; sets of metrics."""
    from ..catalog.recipes import metrics_lines, recipe_lines, study_lines

    found = recipe_lines(), study_lines(), metrics_lines()
    if as_json:
        recipes, studies, metrics = (list(map(asdict, lines)) for lines in found)
        objects = {"recipes": recipes, "studies": studies, "metrics": metrics}
        click.echo(json.dumps(objects, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from ..tables import make_console
    from .recipe_screens import listing

    console = make_console(Console)
    for part in listing(*found):
        console.print(part)


@recipes.command(short_help="One recipe, as it is or with every default.")
@click.argument("name", shell_complete=names.shipped)
@click.option("--resolved", is_flag=True, help="Print it with what it extends and every default filled in.")
def show(name: str, resolved: bool) -> None:
    """Show the recipe NAME: whatever `sslkit recipes list` names, or a file.

    The file is printed as it is: `sslkit recipes show NAME > mine.toml` keeps every byte. A copy that works from any
    folder is made by `sslkit recipes copy`.
    """
    from ..catalog.shipped import found

    kind, path = found(name)
    data = resolved_text(name, kind, path).encode() if resolved else path.read_bytes()
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    from rich.console import Console

    from ..tables import make_console
    from .prose import highlighted

    text = highlighted(data.decode("utf-8", "replace"))
    make_console(Console).print(text, soft_wrap=True, end="" if text.plain.endswith("\n") else "\n")


def resolved_text(name: str, kind: Any, path: Path) -> str:
    """A recipe with all that it leaves to others and to defaults. Raises `RecipeError`, for anything else too."""
    from ..catalog.shipped import RECIPE
    from ..catalog.writing import document
    from ..errors import RecipeError
    from ..recipe import load  # with its plugins' classes: only this needs them

    if kind not in (None, RECIPE):
        raise RecipeError(f"{name}: is a {kind.name}; --resolved is for recipes")
    table = load(path).table
    return document(as_written(table, path) if kind is RECIPE else table)


def as_written(table: dict[str, Any], path: Path) -> dict[str, Any]:
    """A shipped recipe's table whose paths are those that it says: not where sslkit happens to be installed."""
    home = f"{path.resolve().parent}/"

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(plain, value))
        return value.removeprefix(home) if isinstance(value, str) else value

    return {key: plain(value) for key, value in table.items()}


@recipes.command(short_help="A copy to be changed, which works from where it lies.")
@click.argument("name", shell_complete=names.shipped)
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def copy(name: str, dest: Path | None, force: bool) -> None:
    """Copy NAME, a recipe or whatever else `sslkit recipes list` names, to DEST: by default NAME.toml, here.

    DEST is a `.toml` file or a folder. What the recipe extends is found from there too. A file that is there already is
    left alone, unless --force says otherwise.
    """
    from ..catalog import copying
    from ..catalog.shipped import find

    kind, source = find(name)
    done = copying.copy(source, copying.destination(f"{kind.folder}{source.stem}", dest), force)
    for line in told(done, kind):
        click.echo(line)


def told(done: Any, kind: Any) -> list[str]:
    """What was written, and what to do next."""
    lines = [f"wrote {done.path}"]
    if done.fresh:
        lines.append(f"wrote {done.schema}, by which editors check and complete it")
    elif done.schema is not None:
        lines.append(f"kept  {done.schema}, which was there already")
    return [*lines, f"next  {kind.command(shlex.quote(str(done.path)))}"]
