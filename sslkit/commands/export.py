"""`sslkit export`: a run's model as other tools load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..keeping.run_folders import check_run
from .evaluate import quiet
from .options import WEIGHTS, generation_option, weights_option

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..exporting.export import Exported

FORMATS = ("timm", "onnx", "torch")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="timm: a folder for timm.create_model, class names, mean, std and size in its card. onnx: a file for onnxruntime "
    "and others, which normalises itself (pip install 'sslkit[onnx]'). torch: the same as a torch.export program. By "
    "default timm, where the model is timm's.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="What to write; nothing may be there yet. By default in the working folder, named after the run.",
)
@generation_option
@weights_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def export(run: Path, form: str | None, out: Path | None, generation: int, weights: str | None, as_json: bool) -> None:
    """Write a model of RUN for other tools: timm, ONNX, torch.export.

    RUN is a run folder, finished or not (its supervised baseline is a run too: RUN/baseline); it alone is needed, not its
    data. What is written is loaded again and compared with the run's own model; where it answers otherwise, nothing is
    left behind.
    """
    from ..images.words import printable

    check_run(run)
    if not as_json:
        click.echo(f"exporting {printable(str(run))}", err=True)  # at once: torch and timm take seconds to load
    with quiet(as_json):
        made = written(run, form, out, generation, weights)
    if as_json:
        click.echo(json.dumps(document(run, made), indent=1, allow_nan=False))
    else:
        show(run, made)


def written(run: Path, form: str | None, out: Path | None, generation: int, weights: str | None) -> Exported:
    """The export; on a terminal, how far it is is shown."""
    from ..waiting import waiting

    with waiting("exporting", 5 if form == "onnx" else 4) as done:
        from ..exporting.export import export as write  # with torch and timm: under the bar, it takes seconds

        return write(run, form, generation, weights=weights, out=out, done=done)


def document(run: Path, made: Exported) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "run": str(run),
        "format": made.format,
        "path": str(made.path),
        "files": made.files,
        "bytes": sum(made.files.values()),
        "in": made.given,
        "out": made.answered,
        "prepare": made.prepare,
        "load": made.load,
        "difference": made.difference,
        "model": made.about,
        "warnings": list(made.warnings),
    }


def show(run: Path, made: Exported) -> None:
    """Everything, for people."""
    from rich.console import Console
    from rich.text import Text

    from ..images.words import printable
    from ..tables import Flow, make_console, size

    console, model = make_console(Console), made.about
    which = [f"generation {model['generation']}", model["model"], f"step {model['step']:,}", WEIGHTS[model["weights"]]]
    console.print(Flow([printable(str(run)), *which], "bold"))
    for warning in made.warnings:
        console.print(Text(f"warning: {warning}", "yellow"), soft_wrap=not console.is_terminal)
    console.print()
    inside = f": {', '.join(made.files)}" if len(made.files) > 1 else ""
    rows = {
        "written": f"{printable(str(made.path))} ({size(sum(made.files.values()))}{inside})",
        "in": made.given,
        "images": made.prepare,
        "out": made.answered,
        "checked": checked(made.difference),
    }
    for name, text in rows.items():
        console.print(row(console, name, text), soft_wrap=not console.is_terminal)
    console.print()
    console.print(Text(made.load.rstrip(), "green"), soft_wrap=True)


def checked(difference: float) -> str:
    """What the comparison with the run's own model found."""
    found = f"within {difference:.0e} of the largest logit" if difference else "to the bit"
    return f"loaded again, it answers as the run's model does, {found}"


def row(console: Console, name: str, text: str) -> RenderableType:
    """A line, and on a terminal its further lines below its text."""
    from rich.table import Table
    from rich.text import Text

    if not console.is_terminal:
        return Text(f"{name:<9}{text}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", width=7)
    grid.add_column(overflow="fold")
    grid.add_row(name, text)
    return grid
