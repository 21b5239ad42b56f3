"""`sslkit evaluate`: what a run's models can do, measured again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..keeping.run_folders import check_run
from .options import WEIGHTS, Recipes, device_option, overrides, weights_option

if TYPE_CHECKING:
    from ..measuring.evaluate import Bench, Evaluation


def number_or_all(context: click.Context, parameter: click.Parameter, value: str) -> int | str:
    """`"all"`, or a whole number."""
    try:
        return value if value == "all" else int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a generation's number (0, 1, ...) nor `all`.") from None


@click.command(cls=Recipes)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--generation",
    callback=number_or_all,
    default="-1",
    metavar="N|all",
    help="The generation to measure, counted from 0, or `all`. By default the last that is finished; -2 is the one "
    "before it.",
)
@weights_option
@click.option(
    "--data",
    metavar="USE",
    help="Measure on the test images of another data plugin (a name, or ./file.py:Class). By default the run's own.",
)
@click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="A setting of the data (`data.KEY=VALUE`) or of a metric, e.g. `--set metric.calibration.bins=20`; repeatable.",
)
@click.option(
    "--metric",
    "names",
    metavar="NAME",
    multiple=True,
    help="Measure by this metric plugin: alone, or, given --metrics too, beside those of the file; repeatable.",
)
@click.option(
    "--metrics",
    "sets",
    metavar="FILE|NAME",
    multiple=True,
    help="Measure by the [[metric]] tables of this file, or of a set that comes with sslkit; repeatable. By default those of the set `standard`, which comes with sslkit.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The finished run whose last model metrics compare with. By default the run's own supervised baseline.",
)
@click.option("--keep", is_flag=True, help="Write what was measured into RUN/evaluations, where reports find it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, all tables included.")
@device_option
def evaluate(
    run: Path, generation: int | str, weights: str | None, data: str | None, settings: tuple[str, ...],
    names: tuple[str, ...], sets: tuple[str, ...], baseline: Path | None, keep: bool, as_json: bool,
    device: str | None,
) -> None:  # fmt: skip
    """Measure the models of RUN: accuracy, top-5 accuracy, likelihood, calibration, each class, and confusion.

    RUN is a run folder, finished or not (its supervised baseline is a run too: RUN/baseline). Any finished generation
    can be measured, by any metrics, on any data whose classes are the model's. Without --keep nothing is written.
    """
    check_run(run)
    changes = overrides(settings)

    from ..measuring.evaluate import Bench  # with torch and timm: not before the command line is known to be sound
    from ..recipe.metrics import STANDARD

    with quiet(as_json):
        chosen = sets or (() if names else (STANDARD,))
        bench = Bench(run, names=names, sets=chosen, data=data, overrides=changes, baseline=baseline, device=device)
        numbers = bench.finished if generation == "all" else [bench.number(int(generation))]
        made, kept = measured(bench, numbers, weights, keep)
    if as_json:
        click.echo(json.dumps(document(bench, made), indent=1, allow_nan=False))
    else:
        show(bench, made)
        if kept:
            from ..images.words import printable

            click.echo(f"\nkept in {printable(str(kept[0].parent))}: {', '.join(path.name for path in kept)}")


@contextmanager
def quiet(as_json: bool) -> Iterator[None]:
    """Whatever plugins print meanwhile is no part of the JSON: it goes to stderr."""
    if as_json:
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def measured(
    bench: Bench, numbers: Sequence[int], weights: str | None, keep: bool
) -> tuple[list[Evaluation], list[Path]]:
    """The generations' evaluations, and the files in which they are kept if asked; on a terminal, how far it is."""
    from ..measuring import keeping
    from ..waiting import waiting

    made: list[Evaluation] = []
    kept: list[Path] = []
    with waiting("measuring models", len(numbers), at_once=True) as done:
        for number in numbers:
            made.append(bench.measure(number, weights))
            if keep:
                kept.append(keeping.keep(bench, made[-1]))
            done(1)
    return made, kept


def document(bench: Bench, made: Sequence[Evaluation]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "run": str(bench.run.folder),
        "recipe": bench.recipe.name,
        "seed": bench.recipe.settings.seed,
        "device": str(bench.device),
        "data": {
            "use": bench.use,
            "own": bench.own,
            "settings": {key: value for key, value in bench.table.items() if key not in ("use", "name", "enabled")},
            "images": {name: len(images) for name, images in bench.data.splits.items()},
            "classes": list(bench.data.classes),
        },
        "evaluations": [
            {"generation": e.generation, "model": e.model, "weights": e.weights, "step": e.step, "metrics": e.metrics}
            for e in made
        ],
        "warnings": bench.warnings,
    }


def show(bench: Bench, made: Sequence[Evaluation]) -> None:
    """Everything, for people."""
    from rich.console import Console
    from rich.text import Text

    from ..tables import Flow, make_console
    from .measurements import details, headline, headlines, notes

    console = make_console(Console)
    console.print(Flow(heading(bench, made), "bold"))
    console.print(Flow(images(bench), "dim"))
    for warning in bench.warnings:
        console.print(Text(f"warning: {warning}", "yellow"), soft_wrap=not console.is_terminal)
    console.print()
    if len(made) == 1:
        for part in [*headline(made[0].metrics), *details(made[0].metrics)]:
            console.print(part)
    else:
        console.print(headlines([(named(bench, one), one.metrics) for one in made]))
        console.print()
        console.print(Text("tables of one generation: --generation N; of all: --json", "dim"))
    for note in notes([one.metrics for one in made]):
        console.print(Text(f"note: {note}", "dim"), soft_wrap=not console.is_terminal)


def named(bench: Bench, one: Evaluation) -> str:
    """`3 (student 3)`: a generation's number and what it is called."""
    from ..tables import generation_name

    taught = (bench.run.folder / "labels" / "generation-0").is_dir()
    return f"{one.generation} ({generation_name(one.generation, len(bench.recipe.generations), taught)})"


def heading(bench: Bench, made: Sequence[Evaluation]) -> list[str]:
    """Which model."""
    which = [f"generation {named(bench, made[0])}", made[0].model, f"step {made[0].step:,}"] if len(made) == 1 else []
    weights = " and ".join(dict.fromkeys(WEIGHTS[one.weights] for one in made))
    unfinished = "" if bench.run.finished or bench.damaged else "the run is not finished"
    return [str(bench.run.folder), *which, weights, f"on {bench.device}", unfinished]


def images(bench: Bench) -> list[str]:
    """Which images."""
    splits = bench.data.splits
    counts = [f"{len(splits[name]):,} {name}" for name in ("test", "validation") if name in splits]
    return [f"{bench.use}: {' and '.join(counts)} images", f"{len(bench.data.classes):,} classes"]
