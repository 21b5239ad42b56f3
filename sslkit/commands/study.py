"""`sslkit study`: a recipe and its variants over several seeds, compared."""

from __future__ import annotations

from pathlib import Path

import click

from ..output import narrate
from . import names
from .options import device_option


@click.command()
@click.argument("study", shell_complete=names.studies)
@click.option(
    "--base",
    metavar="RECIPE",
    shell_complete=names.recipes,
    help="Another recipe than the study's base, with all of the study's variants: its claim on your own data.",
)
@click.option("--seeds", metavar="SEEDS", help="Seeds of every variant, e.g. 0-9 or 0,3,5-7; by default the study's.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The study's folder, new or of this study. By default runs/studies/STUDY.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="Write the results into this file too: its section of this study (of these seeds, if --seeds is given) is "
    "replaced, nothing else is touched.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs side by side, each in a process of its own. By default as many as there are cores (with OMP_NUM_THREADS=n "
    "a process computes with n of them); on a GPU one.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only list the runs: which are shared, which are finished, and the time and disk that the others will take.",
)
@device_option
def study(
    study: str,
    base: str | None,
    seeds: str | None,
    out: Path | None,
    results: Path | None,
    jobs: int | None,
    dry_run: bool,
    device: str | None,
) -> None:
    """Run the base recipe of STUDY and its variants over several seeds, and compare them in pairs.

    STUDY is a TOML file, or the name of a study that comes with sslkit. Runs that are the same are made once, and those
    that a study beside this one has finished are taken from there. Ctrl-C stops, every run saves itself, and the same
    command goes on. The tables say, for each variant, its accuracy, its gain over its own teacher, and its difference to
    what it is compared with, with an interval; and whether what was expected of it is supported, not supported, or
    undecided at so many seeds. Exit code 1: some run failed.
    """
    numbers = _seeds(seeds)

    from ..study.conduct import conduct, foretell  # slow to load: not before the command line is known to be sound

    if dry_run:
        foretell(study, base=base, seeds=numbers, out=out, device=device, jobs=jobs)
        return
    narrate()
    outcome = conduct(study, base=base, seeds=numbers, out=out, results=results, device=device, jobs=jobs)
    if outcome.failures:
        raise SystemExit(1)


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    from ..study.seeds import TAKES, parse_seeds

    try:
        return parse_seeds(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}; {TAKES}.", param_hint="'--seeds'") from error
