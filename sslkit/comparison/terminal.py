"""A comparison for people, readable at 80 columns however many runs there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from ..blocks import Blocks, Column
from ..recipe.message import counted
from ..recipe.model import UNDECIDING
from ..study.seeds import format_seeds
from ..study.stats import LEVEL, Spread
from ..study.words import interval_words, spread_words
from ..tables import ABSENT, count, duration, percent, points
from .groups import Group, Versus, versus
from .members import Member
from .recipes import files, rows

LEGEND = (
    "final: test accuracy of the last model of a finished run; gain: final minus generation 0, in percentage points; "
    "kept, right: shares of the last generation's pseudo-labels"
)
KEYS = 8
"Keys that are told of each recipe, where they cannot be laid side by side."
COLORS = {"finished": "", "damaged": "red"}
"Rows of runs; of others yellow."


def show(members: Sequence[Member], groups: Sequence[Group], notes: Sequence[str], console: Console) -> None:
    """The whole comparison."""
    soft = not console.is_terminal
    console.print(Text(f"{counted(len(members), 'run')}, {counted(len(groups), 'recipe')}", "bold"))
    for group in groups if len(groups) > 1 else []:
        console.print(Text(f"{group.letter}  {group_words(group)}"), soft_wrap=soft)
    for part in [*recipe_table(groups), *run_table(groups), *group_table(groups)]:
        console.print(part)
    for line in difference_lines(groups):
        console.print(line, soft_wrap=soft)
    console.print()
    for member in members:
        if member.problem:
            console.print(Text(f"damaged: {member.folder}: {member.problem}", "red"), soft_wrap=soft)
    for note in notes:
        console.print(Text(f"note: {note}", "yellow"), soft_wrap=soft)
    console.print(Text(LEGEND, "dim"), soft_wrap=soft)


def group_words(group: Group) -> str:
    """`no noise: seeds 0-9 (10 runs)`."""
    seeds = sorted({member.seed for member in group.members})
    said = f"seed{'s' if len(seeds) > 1 else ''} {format_seeds(seeds)}"
    return f"{group.name}: {said}" + (f" ({len(group.members)} runs)" if len(group.members) > 1 else "")


def recipe_table(groups: Sequence[Group]) -> Iterator[RenderableType]:
    """The keys that differ."""
    yield Text()
    if len(groups) < 2:
        yield Text("one recipe: nothing that decides a result differs but the seed")
    elif found := rows(groups):
        yield Recipes(groups, found)
    elif files(groups):
        yield Text("no key of the recipes differs: the files that they name do")
    else:
        yield Text("no key of the recipes differs: one says empty tables that the other leaves out")


class Recipes:
    """What differs between recipes: a column for each, or, of more than a place has room for, each against the first."""

    def __init__(self, groups: Sequence[Group], found: Sequence[tuple[str, list[str]]]) -> None:
        self.groups, self.found = groups, found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [Column(g.letter, [cells[i] or ABSENT for _, cells in self.found]) for i, g in enumerate(self.groups)]
        table = Blocks([path for path, _ in self.found], columns, corner="what differs", left=True)
        if table.fits(options.max_width):
            yield table
            return
        for number, group in list(enumerate(self.groups))[1:]:
            yield Text(f"{group.letter}, where it differs from {self.groups[0].letter}", style="bold")
            yield from self.against(number)

    def against(self, number: int) -> Iterator[RenderableType]:
        """One recipe against the first, a line for each key."""
        told = [(path, cells) for path, cells in self.found if path not in UNDECIDING]
        changed = [(path, cells[0], cells[number]) for path, cells in told if cells[0] != cells[number]]
        for path, before, now in changed[:KEYS]:
            yield Text(f"   {path}: {before or ABSENT} -> {now or ABSENT}", overflow="ellipsis", no_wrap=True)
        if len(changed) > KEYS:
            yield Text(f"   and {len(changed) - KEYS} keys more (--json tells all)", style="dim")


def run_table(groups: Sequence[Group]) -> Iterator[RenderableType]:
    """Every run that can be read, by recipe and seed."""
    members = [member for group in groups for member in group.members]
    if not members:
        return
    several = len(groups) > 1
    names = [f"{group.letter}  {m.name}" if several else m.name for group in groups for m in group.members]
    columns = [column for column in run_columns(members) if set(column.cells) - {ABSENT}]
    yield Text()
    yield Blocks(names, columns, [COLORS.get(member.status, "yellow") for member in members])


def run_columns(members: Sequence[Member]) -> Iterator[Column]:
    """What is told of each run."""
    last = [member.generations[-1] if member.generations else {} for member in members]
    if not all(member.finished for member in members):
        yield Column("state", [member.status for member in members])
    yield Column("seed", [str(member.seed) for member in members])
    for i in range(max(len(member.tests) for member in members)):
        yield Column(f"gen {i}", [percent(m.tests[i] if i < len(m.tests) else None) for m in members])
    yield Column("final", [percent(member.final) for member in members])
    yield Column("gain", [points(member.gain) for member in members])
    yield Column("supervised", [percent(member.baseline) for member in members])
    yield Column("kept", [percent(entry.get("kept_share"), 1) for entry in last])
    yield Column("right", [percent(entry.get("pseudo_label_accuracy"), 1) for entry in last])
    yield Column("time", [duration(member.summary.get("wall_seconds")) for member in members])


def group_table(groups: Sequence[Group]) -> Iterator[RenderableType]:
    """Means and deviations, where a recipe was run with several seeds."""
    if not any(len(group.by_seed) > 1 for group in groups):
        return
    told = [group for group in groups if group.by_seed]
    columns = [Column("seeds", [count(len(group.by_seed)) for group in told])]
    for what, head in {"final": "final", "gain": "gain", "baseline": "supervised"}.items():
        spreads = [group.spread(what) for group in told]
        if any(one.values for one in spreads):
            columns.append(Column(head, [WORDS.get(what, spread_words)(one) for one in spreads]))
    names = [f"{group.letter}  {group.name}" if len(groups) > 1 else group.name for group in told]
    yield Text()
    yield Blocks(names, columns, corner="mean ± deviation")


def points_words(one: Spread) -> str:
    """`+4.72 ± 0.61`: percentage points."""
    return points(one.mean) + ("" if one.deviation is None else f" ± {100 * one.deviation:.2f}")


WORDS = {"gain": points_words}
"How results are written that are no shares."


def difference_lines(groups: Sequence[Group]) -> Iterator[RenderableType]:
    """Each recipe beside the first that has results."""
    found = versus(groups)
    if found:
        yield Text()
    for one in found:
        yield Text(versus_words(one))


def versus_words(one: Versus) -> str:
    """`B minus A: +3.11 points (95% interval +1.20 to +5.02, paired over 10 seeds)`."""
    head = f"{one.group.letter} minus {one.base.letter}: {points(one.difference.mean)} points final"
    interval = f"{LEVEL:.0%} interval {interval_words(one.difference)}"
    if one.paired and len(one.seeds) == 1:
        return f"{head} (seed {one.seeds[0]} alone: one pair says nothing about chance, so there is no interval)"
    if one.paired:
        return f"{head} ({interval}, paired over {len(one.seeds)} seeds)"
    why = "their test images are not the same" if one.strangers else "no seed is shared"
    if one.difference.half_width is None:
        return f"{head} ({why}, and one side has a single seed: not paired, no interval)"
    return f"{head} ({interval}; {why}: not paired, Welch)"
