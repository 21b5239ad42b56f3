"""The story of a run, from top to bottom; of several, what tells them apart, and then each in short."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..comparison.members import Member
from ..comparison.studies import is_study
from ..images.words import counted, printable
from .accuracy import accuracy
from .curves import curves, short_curves
from .data import data
from .folder import RunFolder
from .headline import headline
from .parts import Choice, Filter, Part, Prose, Report, Section
from .pictures import pictures
from .quality import quality
from .remarks import remarks
from .robustness import robustness
from .setup import setup
from .taught import taught
from .timing import time

MOST_RUNS = 60
"Runs that are told one by one."


STORY = (headline, setup, data, accuracy, curves, taught, quality, robustness, pictures, time, remarks)
"What is told of a run, in this order."


def story_of_run(run: RunFolder) -> Report:
    """A page of one run."""
    facts = [printable(str(run.path)), *_facts(run), _made()]
    sections = [tell(run) for tell in STORY]
    return Report(f"Report of {run.name}", facts, [one for one in sections if one.parts], filters_of(run))


def story_of_runs(paths: Sequence[Path], members: Sequence[Member]) -> Report:
    """A page of several runs, or of a study."""
    from . import comparing

    if len(paths) > 1 and all(map(is_study, paths)):
        return _story_of_studies(paths, len(members))
    study = len(paths) == 1 and is_study(paths[0])
    compared = comparing.sections_of_study(paths[0]) if study else comparing.sections_of_members(members)
    runs = [RunFolder(member) for member in members[:MOST_RUNS]]
    each: list[Part] = [Choice("Run", [(run.name, _short(run)) for run in runs])] if runs else []
    if len(members) > len(runs):
        each.append(
            Prose(
                f"The first {len(runs)} of {len(members)} runs; a page of its own tells of each: sslkit report RUN",
                "note",
            )
        )
    facts = [counted(len(members), "run"), ", ".join(printable(str(path)) for path in paths[:4]), _made()]
    name = printable(paths[0].absolute().name) if len(paths) == 1 else counted(len(members), "run")
    sections = [*compared, *([Section("runs", "Each run", each)] if each else [])]
    return Report(f"{'Study' if study else 'Report of'} {name}", facts, sections, comparing.filters_of(compared))


def _story_of_studies(paths: Sequence[Path], runs: int) -> Report:
    """A page of several studies; rows of one are no rows of another, so that no filter stands over them all."""
    from . import comparing

    named = ", ".join(printable(str(path)) for path in paths[:4])
    facts = [counted(runs, "run"), f"{named}, ..." if len(paths) > 4 else named, _made()]
    return Report(f"Report of {len(paths)} studies", facts, comparing.sections_of_studies(paths))


def _short(run: RunFolder) -> list[Part]:
    return [*headline(run).parts, *short_curves(run)]


def _facts(run: RunFolder) -> list[str]:
    recipe, seed = run.summary.get("recipe"), run.table.get("seed")
    return [*([f"recipe {printable(str(recipe))}"] if recipe else []), *([f"seed {seed}"] if seed is not None else [])]


def _made() -> str:
    return f"made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by sslkit {__version__}"


def filters_of(run: RunFolder) -> list[Filter]:
    """Which generations, and which class."""
    made = []
    if len(run.keys) > 1:
        made.append(Filter("generation", "Show", [(str(key), run.title(key)) for key in run.keys], many=True))
    if len(run.classes) > 1:
        made.append(Filter("class", "Class", [(str(number), name) for number, name in enumerate(run.classes)]))
    return made
