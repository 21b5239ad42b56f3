"""What a study says while it runs: on a terminal a table in place, in a pipe a line for each run that begins or ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..tables import duration, percent
from .children import Child, Failure, missing
from .file import Study
from .outcome import final_test
from .rows import teacher_of
from .screen import Board, Screen

EVERY = 2.0
"Times a second that the table is drawn."


@contextmanager
def listener(console: Console, study: Study, children: list[Child]) -> Iterator[Lines]:
    """Who tells how far a study is."""
    board = Board(study, children)
    if not console.is_terminal or console.is_dumb_terminal or (not missing(children) and study.metrics is None):
        yield Lines(console, board)
        return
    screen = Screen(board)
    with Live(screen, console=console, refresh_per_second=EVERY, transient=True, redirect_stdout=False):
        yield Quiet(console, board)


class Lines:
    """A line when a run begins, and one when it ends, which says what came out."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console, self.board = console, board

    def begin(self, child: Child, generation: int | None = None) -> None:
        """`[ 3/30] no noise, seed 2 (also bare, seed 2) begins`."""
        self.board.begin(child, generation)
        others = child.uses[1:]
        also = f" (also {', '.join(f'{name}, seed {seed}' for name, seed in others)})" if others else ""
        self._say(child, f"{also} begins" if generation is None else f": generation {generation} is measured")

    def done(self, child: Child, generation: int | None = None) -> None:
        """`[ 3/30] no noise, seed 2: 95.28% (teacher 87.81%), 41 s; 12 min left`."""
        self.board.end(child, generation)
        if generation is None:
            summary = child.summary() or {}
            teacher = teacher_of(summary)
            before = f" (teacher {percent(teacher)})" if teacher is not None else ""
            line = Text.assemble(": ", (percent(final_test(summary)), "bold"), before)
            left = self.board.seconds_left()
            line.append(f", {duration(summary.get('wall_seconds'))}{f'; {duration(left)} left' if left else ''}", "dim")
            self._say(child, line)

    def warned(self, child: Child, message: str) -> None:
        """A full disk that a run waits for."""
        self._say(child, Text(f": warning: {message}", "yellow"))

    def failed(self, failure: Failure) -> None:
        """What went wrong; the others go on."""
        self.board.end(failure.child, failure.generation, failed=True)
        what = "" if failure.generation is None else f": generation {failure.generation} could not be measured"
        self._say(failure.child, Text.assemble(f"{what}: ", ("failed", "bold red")))
        self.console.print(Text("    " + failure.message.replace("\n", "\n    "), "red"), soft_wrap=True)
        if failure.details:
            print(failure.details, file=sys.stderr)

    def _say(self, child: Child, what: str | Text) -> None:
        number, total = self.board.number(child)
        head = f"[{number:>{len(str(total))}}/{total}] "
        self.console.print(Text.assemble((head, "dim"), child.called(), what), soft_wrap=True)


class Quiet(Lines):
    """Beside a table that is drawn in place: only what stays worth reading above it."""

    def begin(self, child: Child, generation: int | None = None) -> None:
        """The table shows it."""
        self.board.begin(child, generation)

    def done(self, child: Child, generation: int | None = None) -> None:
        """The table shows it."""
        self.board.end(child, generation)
