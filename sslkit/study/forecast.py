"""What a study would run, without running it: which runs there are, which are there already, and how long it will take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import SslkitError
from ..folder import Run
from ..recipe.message import counted, listed
from ..recipe.model import Recipe, hash_of
from ..tables import ABSENT, RULED, duration, is_number, size
from ..waiting import waited
from ..watching.standing import RECIPE
from .children import CHILDREN, Child, missing
from .file import Study
from .running import Way, wanted
from .seeds import format_seeds

TRIAL = "a trial of a few steps"
AROUND = 0.2
"Seconds that a small generation takes beside its steps: its model is made, its data opened, and all of it saved."


@dataclass(frozen=True)
class Cost:
    """What one run takes, as far as it is known."""

    seconds: float | None
    disk: int | None
    how: str
    "Where that is known from."


@dataclass(frozen=True)
class Group:
    """The runs of one recipe, one for each seed."""

    names: tuple[str, ...]
    "The rows whose results they are."
    finished: tuple[Child, ...]
    missing: tuple[Child, ...]
    cost: Cost | None
    "Of each that is missing; None: none is."


def foresee(study: Study, children: list[Child], folder: Path, way: Way) -> list[Group]:
    """The runs of a study and what each will take: as long as others of its recipe took, else as a short trial says.

    Nothing is written.
    """
    left = set(missing(children))
    named: dict[tuple[str, ...], list[Child]] = {}
    for child in children:
        named.setdefault(tuple(name for name, _ in child.uses), []).append(child)
    known = _known(folder, children) if left else {}
    groups = []
    for names, those in waited(named.items(), "trying recipes", len(named)):
        open_ = tuple(child for child in those if child in left)
        cost = _cost(open_[0].recipe, known, way) if open_ else None
        groups.append(Group(names, tuple(child for child in those if child not in left), open_, cost))
    return groups


def _known(folder: Path, children: Sequence[Child]) -> dict[str, list[Cost]]:
    """What finished runs of this study and those beside it took, by their recipe whatever its seed."""
    found: dict[str, list[Cost]] = {}
    own = [child.folder for child in children]
    for place in {path.resolve() for path in (*own, *folder.absolute().parent.glob(f"*/{CHILDREN}/*"))}:
        try:
            if not (place / RECIPE).is_file() or not (run := Run(place)).finished:
                continue
            seconds = run.summary.get("wall_seconds")
            made = Cost(float(seconds) if is_number(seconds) else None, disk_of(place), place.parent.parent.name)
            found.setdefault(_key(run.table()), []).append(made)
        except SslkitError:
            continue  # a damaged one tells nothing
    return found


def _key(table: dict[str, Any]) -> str:
    return hash_of({**table, "seed": 0})


def disk_of(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _cost(recipe: Recipe, known: dict[str, list[Cost]], way: Way) -> Cost:
    alike = known.get(_key(recipe.table), [])
    if seconds := [one.seconds for one in alike if one.seconds is not None]:
        disk = round(fmean(one.disk for one in alike if one.disk is not None))
        return Cost(fmean(seconds), disk, f"{counted(len(seconds), 'finished run')} of this recipe")
    try:
        return _tried(recipe, way)
    except SslkitError as error:
        return Cost(None, None, f"not known: {str(error).splitlines()[0]}")


def _tried(recipe: Recipe, way: Way) -> Cost:
    """A few steps of each generation, timed, as `sslkit check` does."""
    import torch

    from ..check.clock import generation_seconds
    from ..check.needs import disk
    from ..check.probe import probe
    from ..environment import choose_device, determinism
    from ..opening import open_data

    data, before = open_data(recipe), torch.get_num_threads()
    torch.set_num_threads(way.threads)
    try:
        with determinism(recipe.settings.deterministic):
            found = probe(recipe, data, choose_device(way.device), timing=True)
    finally:
        torch.set_num_threads(before)
    seconds = None
    if all(one.seconds for one in found):
        seconds = sum(generation_seconds(recipe, found, data)) + AROUND * len(found)
    return Cost(seconds, disk(found, baseline=False), TRIAL)


def total_seconds(groups: Sequence[Group], jobs: int) -> float | None:
    """How long all that is missing takes, so many at a time; None where something of it is not known."""
    each = [group.cost.seconds for group in groups if group.cost for _ in group.missing]
    known = [seconds for seconds in each if seconds is not None]
    return max([sum(known) / jobs, *known], default=0.0) if len(known) == len(each) else None


def total_disk(groups: Sequence[Group]) -> int | None:
    """Bytes of all that is missing; None where something of it is not known."""
    each = [group.cost.disk for group in groups if group.cost for _ in group.missing]
    return None if None in each else sum(one for one in each if one is not None)


def show_forecast(study: Study, groups: Sequence[Group], folder: Path, way: Way, console: Console) -> None:
    """For a person: a line for each recipe, then all together."""
    left = sum(len(group.missing) for group in groups)
    total = left + sum(len(group.finished) for group in groups)
    how = f", {way.jobs} at a time, {counted(way.threads, 'thread')} each" if left else ""
    console.print(Text(f"{study.name}: {counted(total, 'run')}, {total - left} finished; {left} would be made{how}", "bold"),
                  soft_wrap=True)  # fmt: skip
    console.print()
    console.print(_table(groups))
    console.print()
    wide = not console.is_terminal
    for line in (*_shared(groups, folder), *_measuring(study, groups), *_together(groups, way), "Nothing was written."):
        console.print(Text(line), soft_wrap=wide)


def _table(groups: Sequence[Group]) -> Table:
    table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    for head in ("finished", "to be made", "each", "disk"):
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("known by", overflow="fold")
    for group in groups:
        cost = group.cost or Cost(None, None, "")
        table.add_row(
            Text(", ".join(group.names)), _seeds(group.finished), _seeds(group.missing),
            duration(cost.seconds) if cost.seconds is not None else ABSENT,
            size(cost.disk) if cost.disk is not None else ABSENT, Text(cost.how),
        )  # fmt: skip
    return table


def _seeds(children: Sequence[Child]) -> str:
    seeds = format_seeds(dict.fromkeys(seed for child in children for _, seed in child.uses))
    return f"seeds {seeds}" if "," in seeds or "-" in seeds else f"seed {seeds}" if seeds else ABSENT


def _shared(groups: Sequence[Group], folder: Path) -> list[str]:
    """Which rows are the same runs, and which runs other studies have made."""
    lines = [f"Run once for all: {listed(group.names)}." for group in groups if len(group.names) > 1]
    beside: dict[str, int] = {}
    for child in (one for group in groups for one in group.finished if one.shared):
        name = os.path.relpath(child.folder.parent.parent, folder)
        beside[name] = beside.get(name, 0) + 1
    return [*lines, *(f"From {name}: {counted(number, 'finished run')}." for name, number in beside.items())]


def _measuring(study: Study, groups: Sequence[Group]) -> list[str]:
    if study.metrics is None:
        return []
    number = sum(len(wanted(study, child)) for group in groups for child in (*group.finished, *group.missing))
    return [f"Its metrics ({study.metrics}) would be measured of {counted(number, 'model')}, where that was not done yet; "
            "that time comes on top."]  # fmt: skip


def _together(groups: Sequence[Group], way: Way) -> list[str]:
    if not any(group.missing for group in groups):
        return ["Nothing is missing."]
    seconds, disk = total_seconds(groups, way.jobs), total_disk(groups)
    time = "a time that is not known" if seconds is None else f"about {duration(seconds)}"
    room = "room that is not known" if disk is None else f"{size(disk)} of disk"
    tried = any(group.cost and group.cost.how == TRIAL for group in groups)
    more = " A trial knows of steps, labels and evaluations; metrics and large data come on top." if tried else ""
    return [f"All that is missing takes {time} and {room}.{more}"]
