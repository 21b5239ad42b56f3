"""`sslkit schema`: what editors need to check recipes and complete them while they are typed."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the schema into this file, beside your recipes. By default it is printed.",
)
@click.option("--study", is_flag=True, help="The schema of study files, instead of recipes.")
def schema(out: Path | None, study: bool) -> None:
    """Write the JSON schema of recipes, with every plugin that is installed here.

    Editors check a recipe by it while it is typed, show help, and complete plugins, keys and values. A recipe names it
    in its first line, `#:schema ./recipe.schema.json`. Write it anew when a plugin was installed. A plugin that cannot
    be imported takes any key, and is told of.
    """
    if out is not None and not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="'--out'")
    if out is not None and out.is_dir():
        raise click.BadParameter(f"{out} is a folder: say the file too, {out / name_of(study)}", param_hint="'--out'")
    with redirect_stdout(sys.stderr):  # what a plugin prints when it is imported is not of the schema
        text, known = made(study)
    if out is None:
        click.echo(text, nl=False)
        return
    write(out, text)
    line = f"#:schema ./{out.name}"
    click.echo(f"{out}: the schema of {known}. A file beside it names it in its first line:\n\n{line}")


def name_of(study: bool) -> str:
    """What the schema's file is usually called."""
    return "study.schema.json" if study else "recipe.schema.json"


def made(study: bool) -> tuple[str, str]:
    """The schema's text, and what it knows; plugins that cannot be used are told of."""
    from ..recipe.describe import written  # with pydantic: not for `--help`

    if study:
        from ..study.schema import study_schema

        return written(study_schema()), "study files"
    from ..recipe.message import counted
    from ..recipe.schema import recipe_schema

    found = recipe_schema()
    for trouble in found.troubles:
        warn(f"{trouble}; any key is accepted of it")
    return written(found.schema), f"recipes, with {counted(found.plugins, 'plugin')}"


def warn(text: str) -> None:
    """Say on stderr what is missing from the schema."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble(("warning: ", "yellow"), text)
    Console(stderr=True, highlight=False, soft_wrap=True).print(line)


def write(path: Path, text: str) -> None:
    """Write a file whole. Raises `SslkitError` where that cannot be done."""
    from ..errors import SslkitError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SslkitError(f"{path} could not be written: {error.strerror or error}") from error
