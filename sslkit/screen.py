"""How far a run is, as it is drawn on a terminal: by the run itself while it trains, and by those who look at it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .output import GONE
from .story import Story
from .tables import Flow, count, is_number, results_table

WIDEST = 100
"Columns of the progress bar at most."


class Screen:
    """The live view: drawn anew from the story at each refresh, at whatever width the terminal then has."""

    def __init__(self, story: Story, beside: int = 0) -> None:
        """`beside`: lines that stand above and below it."""
        self.story, self.beside = story, beside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        story, parts = self.story, list[RenderableType]()
        summary = story.summary()
        if summary["generations"] or summary["baseline"]:
            # A view taller than the terminal cannot be redrawn: older generations scroll off at the top.
            room = max(1, console.height - 14 - self.beside)
            parts += [Text(), results_table(summary, story.total, room)]
        parts += [Text(), self.title(), self.bar(options.max_width), Flow(story.speed(), "green"), Flow(story.losses())]
        if story.metrics:
            parts.append(Flow(story.scores(story.metrics), "cyan"))
        yield Group(*parts)

    def title(self) -> RenderableType:
        """Which model learns."""
        story = self.story
        name = story.name() if story.is_baseline or story.total == 1 else (
            f"generation {story.generation + 1} of {story.total} · {story.name()}"
        )  # fmt: skip
        return Text.assemble((name, "bold"), (f" · {story.model()}" if story.model() else "", "dim"))

    def bar(self, width: int) -> RenderableType:
        """How far it is: with its pseudo-labels, then with its steps."""
        story = self.story
        done, total = story.labeling or (story.step, story.steps)
        what = "labels" if story.labeling else "steps"
        known = is_number(done) and is_number(total) and total > 0
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.width = min(width, WIDEST)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(total=total if known else 1, completed=done if known else 0)
        grid.add_row(bar, f"{count(done)}/{count(total)} {what}")
        return grid


class Output(Console):
    """A rich console that goes quiet, instead of ending the run, when its reader has gone away."""

    def on_broken_pipe(self) -> None:
        """`sslkit run ... | head`: the run goes on; what Python flushes at its end must not fail either."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def failed(self, error: OSError) -> None:
        """Writing raised: be quiet from now on. Training is worth more than its log."""
        self.quiet = True
        if error.errno in GONE:
            with suppress(OSError, ValueError):
                self.on_broken_pipe()
