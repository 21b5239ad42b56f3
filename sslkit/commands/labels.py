"""`sslkit labels`: what a run learned from, looked at, compared, exported and corrected."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .finding import find_run
from .group import Group, json_option
from .options import overrides

if TYPE_CHECKING:
    from ..pseudo_labels.stored import Stored

FORMATS = ("csv", "json", "parquet")
FEW = 20
"Images that `diff` lists on a terminal."


class Labels(Group):
    """Bare, with a run, it shows that run's labels."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command, and nearly none, is a run."""
        word = args[0]
        if not ctx.resilient_parsing and word not in self.commands and not word.startswith("-"):
            from ..recipe.message import did_you_mean
            from ..watching.standing import PLACE, RECIPE

            is_run = any((folder / RECIPE).is_file() for folder in (Path(word), PLACE / word))
            if is_run or not did_you_mean(word, self.commands):
                args = ["show", *args]
        return super().resolve_command(ctx, args)


run_argument = click.argument("run")
generation_option = click.option(
    "--generation",
    type=int,
    default=-1,
    metavar="N",
    help="The generation that the labels taught, counted from 0. By default the last that has some; -2 is the one before.",
)


@click.group(cls=Labels)
def labels() -> None:
    """Look at the pseudo-labels of RUN; export, compare and correct them.

    RUN is a run's folder, or its name below runs/. Without a command, `sslkit labels RUN` shows: it is short for `sslkit
    labels show RUN`. (A run's folder that is called as a command is: ./show.) But for the gallery's pictures none of it
    needs the data.
    """


@labels.command(short_help="A table: images, confidence, share kept, and share right of each class.")
@run_argument
@generation_option
@json_option
def show(run: str, generation: int, as_json: bool) -> None:
    """Count the pseudo-labels of RUN by class: images, the teacher's mean confidence, the share that is kept, and, where
    the data knows the classes, the share that is right; and say who made them.

    Confidence is the probability that the teacher gave to the label.
    """
    from ..pseudo_labels.provenance import provenance
    from ..pseudo_labels.tally import tally

    stored = opened(run, generation)
    made, source = tally(stored), provenance(stored)
    if as_json:
        lines = [{"class": name, **asdict(line)} for name, line in made.classes.items()]
        rest = {"total": asdict(made.total), "outside": made.outside and asdict(made.outside)}
        click.echo(json.dumps({**source, "generations": stored.there, "classes": lines, **rest}, indent=1))
        return
    from .label_screens import show_tally

    show_tally(stored, source, made)


@labels.command(short_help="What changed class between two generations, and which way.")
@run_argument
@click.argument("a", type=int, metavar="A")
@click.argument("b", type=int, metavar="B")
@click.option("--limit", type=click.IntRange(min=0), default=FEW, show_default=True, help="Images that are listed.")
@json_option
def diff(run: str, a: int, b: int, limit: int, as_json: bool) -> None:
    """Lay the pseudo-labels of generations A and B of RUN side by side: ways from a class to another, how many images went
    them and how many of these were right before and after, where known; images newly kept and newly dropped; and the
    images that changed, those first of whose new class the teacher is most sure. --json lists them all.
    """
    from ..pseudo_labels.flows import Change

    after = opened(run, b)
    change = Change(after.at(a), after)
    if as_json:
        echo_changes(change)
        return
    from .label_screens import show_change

    show_change(change, limit)


def echo_changes(change: Any) -> None:
    """All of it for programs, an image a line: there may be millions."""
    head = {
        "a": change.before.generation,
        "b": change.after.generation,
        "images": len(change.after),
        "changed": len(change.rows),
        "newly_kept": change.newly_kept,
        "newly_dropped": change.newly_dropped,
        "accuracy_a": change.accuracy(change.before),
        "accuracy_b": change.accuracy(change.after),
        "flows": [{"from": flow.source, "to": flow.target, **counts(flow)} for flow in change.flows],
    }
    click.echo(json.dumps(head, indent=1)[:-2] + ',\n "samples": [', nl=False)
    for number, sample in enumerate(change.samples()):
        click.echo(("," if number else "") + "\n  " + json.dumps(sample), nl=False)
    click.echo("\n ]\n}")


def counts(flow: Any) -> dict[str, int]:
    """A flow's numbers."""
    return {name: number for name, number in asdict(flow).items() if isinstance(number, int)}


@labels.command(short_help="Write them as CSV, JSON or Parquet.")
@run_argument
@generation_option
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default what --out ends in, or else csv.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What to write; nothing may be there yet. By default RUN-labels-GENERATION.csv in the working folder.",
)
@click.option("--kept-only", is_flag=True, help="Only the images that teach.")
def export(run: str, generation: int, form: str | None, out: Path | None, kept_only: bool) -> None:
    """Write the pseudo-labels of RUN to a file: id, label, confidence, kept, weight, copies, the true class where it is
    known, and the teacher's probabilities.

    Up to 100 classes have a column each, p_CLASS; of more the most probable are written: top_1, p_1, ..., and p_rest, what
    remains. Where they come from is in JSON's `provenance`, in Parquet's metadata, and in the columns `generation` and
    `teacher` of a CSV file. In CSV, a text that a spreadsheet would run as a formula begins with an apostrophe;
    `sslkit labels apply` takes it off.
    """
    from ..pseudo_labels import export as exporting
    from ..waiting import waiting

    stored = opened(run, generation)
    with waiting("exporting", len(stored)) as done:
        path = exporting.export(stored, form, out, kept_only, done)
    from .label_screens import show_export

    show_export(stored, path, kept_only)


@labels.command(short_help="One page to look at them in a browser, and to correct them.")
@run_argument
@generation_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default="gallery.html",
    show_default=True,
    help="What to write; nothing may be there yet.",
)
@click.option(
    "--most", type=click.IntRange(min=1), default=60, show_default=True, metavar="N", help="Images of a class at most."
)
@click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="Where the run's data lies now, e.g. `--set data.root=/disk/photos`; repeatable. Only paths of [data] can be set.",
)
def gallery(run: str, generation: int, out: Path, most: int, settings: tuple[str, ...]) -> None:
    """Write one HTML page of the pseudo-labels of RUN, which needs no network: pictures by class and confidence, to be
    filtered and sorted; the most confident, the most doubtful, and those that changed class since the generation before.

    A click on a picture says what it is; the page then saves corrections.csv for `sslkit labels apply`. Of each class
    --most images are shown: surest, most doubtful and changed ones a third each, and others between them; the page has
    2,000 in all at most. Images that are labeled too are marked. Pictures and marks need the run's data, and --set says
    where it was moved to; without, the page has none and says so.
    """
    from ..pseudo_labels.gallery import write_gallery
    from ..waiting import waiting

    stored = opened(run, generation, overrides(settings))
    with ExitStack() as stack:
        made = write_gallery(stored, out, most, lambda total: stack.enter_context(waiting("pictures", total)))
    from .label_screens import show_gallery

    show_gallery(stored, made)


@labels.command(name="apply", short_help="Make a person's corrections the labels of the next run.")
@run_argument
@click.argument("corrections", type=click.Path(path_type=Path))
@generation_option
@click.option(
    "--out",
    metavar="NAME",
    help="What both files' names begin with, or the recipe's file where it ends in .toml; neither may be there yet. By "
    "default the run's, with a number where needed.",
)
@click.option("--changed-only", is_flag=True, help="Leave out lines that confirm the pseudo-label.")
@json_option
def apply_(run: str, corrections: Path, generation: int, out: str | None, changed_only: bool, as_json: bool) -> None:
    """Make the CORRECTIONS of a person labels of the next run.

    CORRECTIONS is a CSV file with the columns `id` and `label`, as the gallery saves it; others do not matter. An image of
    the pool becomes a labeled one of that class; a labeled image gets that class; one whose label is empty is of none of
    the classes, and is left out. Two files are written: NAME-corrections.csv, which says of each correction what was said
    before and by which teacher, and NAME-corrected.toml, the run's recipe with these corrections. Corrections that RUN
    itself was made with stay.
    """
    from ..pseudo_labels import applying
    from ..waiting import waiting

    stored = opened(run, generation)
    with waiting("looking for the images", len(stored)) as done:
        made = applying.apply(stored, corrections, out, changed_only, done)
    from .label_screens import document_applied, show_applied

    if as_json:
        click.echo(json.dumps(document_applied(made), indent=1))
    else:
        show_applied(stored, corrections, made)


def opened(run: str, generation: int, elsewhere: dict[str, Any] | None = None) -> Stored:
    """A generation's labels of the run that a word names. `elsewhere`: paths where its data lies now."""
    folder = find_run(run)

    from ..folder import Run  # with torch: not before the command line is known to be sound
    from ..pseudo_labels.stored import recipe_elsewhere, stored

    found = Run(folder)
    return stored(found, generation, recipe_elsewhere(found, elsewhere) if elsewhere else None)
