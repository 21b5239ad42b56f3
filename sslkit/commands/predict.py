"""`sslkit predict`: the classes of images, row by row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .evaluate import quiet
from .finding import find_run
from .options import device_option, generation_option, weights_option

if TYPE_CHECKING:
    from ..predicting.inputs import Inputs
    from ..predicting.keeping import Kept
    from ..predicting.predictor import Predictor

FORMATS = ("csv", "jsonl")
LARGEST = 100.0
"Megapixels; as data plugins have it, without importing what decodes."
GO_ON = "The same command with --resume goes on where it stopped"
ENDS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"Formats by what a file's name ends in."
NEUTRAL = ("", ".txt")
"Endings that say nothing of a format."


@click.command()
@click.argument("run")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="What to write. By default stdout.")
@click.option("--resume", is_flag=True, help="Go on with --out FILE behind its last whole row.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default what --out ends in; csv on stdout.")
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Also the K most probable classes.")
@click.option("--probabilities", is_flag=True, help="Also the probability of every class.")
@click.option("-0", "--null", is_flag=True, help="The list on standard input has a NUL byte behind each path.")
@click.option("--strict", is_flag=True, help="Stop at the first image that cannot be read.")
@click.option(
    "--largest",
    type=click.FloatRange(min=0, min_open=True),
    default=LARGEST,
    show_default=True,
    metavar="MEGAPIXELS",
    help="Larger images are not read: a small file can say that it is of any size.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    metavar="N",
    help="Images that go through the model together. By default the recipe's label_batch; 1 answers each at once.",
)
@generation_option
@weights_option
@device_option
def predict(
    run: str, inputs: tuple[str, ...], out: Path | None, resume: bool, form: str | None, top: int | None,
    probabilities: bool, null: bool, strict: bool, largest: float, batch: int | None, generation: int,
    weights: str | None, device: str | None,
) -> None:  # fmt: skip
    """Classify images with a model of RUN: path, label and confidence of each, in the order in which they are given.

    RUN is a run's folder, finished or not, or its name below runs/; its data is not needed. An INPUT is an image file, a
    folder (all images below it), a tar (its images are called a.tar/member), or `-`: a list of these on standard input, a
    line each. Rows appear batch by batch, as soon as they are made.

    An image that cannot be read has a row with an empty label, and the reason in the column `error`; the others go on, and
    the exit code is then 2. With --out, a stopped command goes on by --resume as if it had never stopped; FILE.json says
    which model made the file. In CSV, a text that a spreadsheet would run as a formula begins with an apostrophe; jsonl
    has all as it is.
    """
    if resume and out is None:
        raise click.UsageError("--resume goes on with a file: say which with --out")
    if top and probabilities:
        raise click.UsageError("--probabilities has all classes already: leave out --top")
    form = format_of(out, form)
    folder, stdout = find_run(run), sys.stdout.buffer
    with quiet(True), interruptible(out):  # whatever plugins print is no row
        from ..predicting.inputs import (
            Inputs,
            with_lists,
        )  # with torch: not before the command line is known to be sound
        from ..predicting.keeping import started
        from ..predicting.rows import FORMATS as KINDS
        from ..predicting.rows import Columns
        from ..predicting.writing import kept, write

        predictor = ready(folder, generation, weights, device, batch, largest)
        classes = predictor.model.classes
        rows = KINDS[form](Columns(classes, min(top or 0, len(classes)), probabilities))
        given = Inputs.of(with_lists(inputs, sys.stdin.buffer, b"\0" if null else b"\n"), note)
        place = (
            kept(out, form, rows, predictor, given, resume) if out else nullcontext(started(stdout, rows, given.items))
        )
        with place as made, bar(out, given) as done:
            whole = write(predictor, rows, made, strict, done)
    if whole:
        finish(made, given.unopened, out)


def format_of(out: Path | None, form: str | None) -> str:
    """What to write. Raises `click.UsageError` where the file's name says another kind, or none and no option says it."""
    if out is None:
        return form or "csv"
    end = out.suffix.lower()
    said = ENDS.get(end)
    if said and form in (None, said):
        return said
    if form and end in NEUTRAL:
        return form
    from ..images.words import shown

    reason = f"says {said}, and --format {form}" if said else "does not say what to write"
    raise click.UsageError(
        f"--out {shown(str(out))}: its ending {reason}. End it in .csv or .jsonl, or leave the ending out and give --format"
    )


def ready(
    folder: Path, generation: int, weights: str | None, device: str | None, batch: int | None, largest: float
) -> Predictor:
    """The model; what must be known of it is said."""
    from ..measuring.finished import finished_model
    from ..predicting.predictor import Predictor

    made = Predictor.of(finished_model(folder, generation, weights=weights, device=device), batch, largest)
    for warning in made.model.warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)
    return made


def note(said: str) -> None:
    """Something that the rows do not say."""
    click.echo(f"note: {said}", err=True)


def bar(out: Path | None, given: Inputs) -> AbstractContextManager[Callable[[int], None]]:
    """How far it is, on a terminal; not where the rows themselves appear there."""
    from ..waiting import waiting

    if out is None and sys.__stdout__ is not None and sys.__stdout__.isatty():
        return nullcontext(lambda number: None)
    return waiting("predicting", given.total)


@contextmanager
def interruptible(out: Path | None) -> Iterator[None]:
    """Ctrl-C says how to go on."""
    from ..errors import Interrupted

    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped by Ctrl-C. {GO_ON}" if out else "stopped by Ctrl-C") from None


def finish(made: Kept, unopened: int, out: Path | None) -> None:
    """The count, where the rows are not looked at anyway; an error where images could not be read.

    `unopened`: rows of folders and tars that could not be, whose images nobody knows.
    """
    from ..errors import DataError
    from ..images.words import counted, shown

    images, failed = counted(made.rows - unopened, "image"), made.failed - unopened
    lost = [f"{failed:,} of {images}"] if failed else []
    lost += [f"{unopened:,} folder{'s' * (unopened > 1)} or tar{'s' * (unopened > 1)}"] if unopened else []
    if lost:
        raise DataError(f"{' and '.join(lost)} could not be read; the column `error` says why of each")
    if out or not made.rows:
        click.echo(f"{images}{f' in {shown(str(out))}' if out else ''}", err=True)
