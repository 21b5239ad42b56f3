"""How far a study is, as a table that is drawn in place: what runs, what is finished, what is left."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..errors import SslkitError
from ..tables import ABSENT, count, duration, is_number, percent
from ..watching.replay import replay
from ..watching.standing import standing
from .children import Child, missing
from .file import Study
from .terminal import ruled

KEPT = 1.0
"Seconds for which what a run's folder says is shown, before it is read again."
BESIDE = 8
"Lines of the screen beside rows: heads, rules, the bar, what was announced above."


@dataclass
class Board:
    """What is known of a study that runs."""

    study: Study
    children: list[Child]
    left: int = field(init=False)
    "Runs that are neither finished nor failed."
    begun: dict[tuple[Child, int | None], float] = field(default_factory=dict)
    "Work in progress -> when it began."
    numbers: dict[Child, int] = field(default_factory=dict)
    failed: list[Child] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    at_once: int = 1
    "The most that were seen at work at one time."

    def __post_init__(self) -> None:
        self.left = len(missing(self.children))
        self.done_before = len(self.children) - self.left

    def begin(self, child: Child, generation: int | None) -> None:
        """A run, or the measuring of a generation, begins."""
        self.begun[child, generation] = time.monotonic()
        self.at_once = max(self.at_once, len(self.begun))
        if generation is None:
            self.numbers.setdefault(child, self.done_before + len(self.numbers) + 1)

    def end(self, child: Child, generation: int | None, failed: bool = False) -> None:
        """It has ended."""
        began = self.begun.pop((child, generation), None)
        if failed:
            self.failed.append(child)
        if generation is None and began is not None:
            self.left -= 1

    def number(self, child: Child) -> tuple[int, int]:
        """Which of how many runs it is, in the order in which they begin."""
        return self.numbers.get(child) or self.children.index(child) + 1, len(self.children)

    def finished(self) -> set[Child]:
        """Runs that are."""
        left = missing(self.children)
        return {child for child in self.children if child not in left}

    def seconds_left(self) -> float | None:
        """As long for each run that is left as finished ones of its row took, else as all took; as many at a time as now."""
        took: dict[str, list[float]] = {}
        finished = self.finished()
        for child in finished:
            seconds = (child.summary() or {}).get("wall_seconds")
            took.setdefault(child.uses[0][0], []).extend([seconds] if is_number(seconds) else [])
        every = [seconds for those in took.values() for seconds in those]
        if not every or not self.left:
            return None
        now, left = time.monotonic(), 0.0
        for child in self.children:
            if child not in finished and child not in self.failed:
                spent = now - self.begun.get((child, None), now)
                left += max(0.0, fmean(took.get(child.uses[0][0]) or every) - spent)
        return left / self.at_once


class Screen:
    """The table; drawn again and again by a thread of its own."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.looks: dict[Child, tuple[float, list[str]]] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As much as there is room for."""
        room = max(4, console.size.height - BESIDE)
        running = list(self.board.begun)
        shown = running[: max(1, room // 2)]
        yield self._running(shown, len(running) - len(shown), options.max_width)
        yield Text()
        yield from self._variants(max(2, room - len(shown)))
        yield Text()
        yield self._bar(options.max_width)

    def _running(self, shown: list[tuple[Child, int | None]], more: int, width: int) -> Table:
        table = ruled()
        table.add_column("running", ratio=1, no_wrap=True, overflow="ellipsis")
        heads = {"seed": 4, "generation": 10, "step": 9, "accuracy": 8, "left": 11}
        for head, least in heads.items():  # the same width while numbers grow and shrink
            table.add_column(head, justify="right", no_wrap=True, min_width=least)
        table.width = width
        for child, generation in shown:
            cells = self._look(child) if generation is None else [str(generation), "measured", ABSENT, ABSENT]
            name, seed = child.uses[0]
            table.add_row(Text(name), str(seed), *cells)
        if more:
            table.add_row(Text(f"and {more} more", "dim"), *[""] * len(heads))
        return table

    def _look(self, child: Child) -> list[str]:
        """Generation, step, accuracy and time left of a run, as its folder says."""
        then, cells = self.looks.get(child, (0.0, [ABSENT] * 4))
        if time.monotonic() - then > KEPT:
            with suppress(SslkitError, OSError, ValueError):  # a file in the making: it is looked at again
                cells = _cells(child)
            self.looks[child] = time.monotonic(), cells
        return cells

    def _variants(self, room: int) -> RenderResult:
        """How many seeds of each variant are finished, and their mean accuracy so far."""
        table = ruled()
        table.add_column("", no_wrap=True, overflow="ellipsis")
        table.add_column("finished", justify="right", no_wrap=True)
        table.add_column("mean so far", justify="right", no_wrap=True)
        values: dict[str, list[float]] = {variant.name: [] for variant in self.board.study.variants}
        done, failed, total = Counter[str](), Counter[str](), len(self.board.study.seeds)
        finished = self.board.finished()
        for child in self.board.children:
            names = [name for name, _ in child.uses]
            failed.update(names if child in self.board.failed else [])
            if child in finished:
                done.update(names)
                for name, generation in self._generations(names):
                    value = child.metrics(generation).get("test_accuracy")
                    values[name] += [value] if is_number(value) else []
        names = list(values)
        shown = names if len(names) <= room else names[: room - 1]
        for name in shown:
            text = Text(f"{done[name]}/{total}")
            text.append(f" ({failed[name]} failed)" if failed[name] else "", "red")
            table.add_row(Text(name), text, percent(fmean(values[name])) if values[name] else ABSENT)
        if len(shown) < len(names):
            table.add_row(Text(f"and {len(names) - len(shown)} more", "dim"), "", "")
        yield table

    def _generations(self, names: list[str]) -> list[tuple[str, int | None]]:
        return [(one.name, one.generation) for one in self.board.study.variants if one.name in names]

    def _bar(self, width: int) -> Table:
        """`━━━━━━━━  12/30 runs · 3 min 20 s · 7 min left`."""
        board = self.board
        total = len(board.children)
        ended = total - board.left
        parts = [f"{count(ended)}/{count(total)} runs", duration(time.monotonic() - board.began)]
        if (left := board.seconds_left()) is not None:
            parts.append(f"{duration(left)} left")
        if board.failed:
            parts.append(f"{len(board.failed)} failed")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row(ProgressBar(total=total, completed=ended, width=max(10, min(40, width // 3))), " · ".join(parts))
        return grid


def _cells(child: Child) -> list[str]:
    run = standing(child.folder)
    story = replay(run).story
    if waiting := run.doing.get("waiting"):
        return [ABSENT, str(waiting)[:20], ABSENT, ABSENT]
    if not story.steps:
        return [ABSENT, "starting", ABSENT, ABSENT]
    labeling = story.labeling
    step = f"labels {percent(labeling[0] / labeling[1], 0)}" if labeling and labeling[1] else ""
    accuracy = story.metrics.get("test_accuracy")
    if not is_number(accuracy) and story.generations:
        accuracy = max(story.generations.items())[1].get("test_accuracy")
    left = story.timing.get("seconds_left")
    return [
        f"{story.generation}/{max(0, story.total - 1)}",
        step or f"{count(story.step)}/{count(story.steps)}",
        percent(accuracy) if is_number(accuracy) else ABSENT,
        duration(left) if is_number(left) else ABSENT,
    ]
