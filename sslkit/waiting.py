"""Work that takes its time says so: what is done, how far it is, and how long it still takes; on a terminal alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"Seconds of work before anything is shown: what is done at once needs no bar."

Item = TypeVar("Item")


class Bars:
    """A line for each work in progress: what is done within another work gets one below it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )
        self.progress: Progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.begun = monotonic()

    def done(self, task: TaskID, number: int) -> None:
        """So much more is done of a work; nothing is shown before `PATIENCE` has passed."""
        self.progress.advance(task, number)
        if monotonic() - self.begun > PATIENCE:
            self.show()

    def show(self) -> None:
        """Show them from now on."""
        if not self.progress.live.is_started:
            self.progress.start()

    def close(self) -> None:
        """All is done: nothing of them is left."""
        if self.progress.live.is_started:
            self.progress.stop()


_open: list[Bars] = []
"The bars that a work within the block of another one joins; at most one."


@contextmanager
def waiting(what: str, total: int | None = None, at_once: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr, gone when the work is done; in the block, `done(10)` says that ten more are.

    `total` None: it is not known how much there is, and what is done is counted. `done` takes how many were done since it
    was called last. Nothing is shown where stderr is no terminal, nor (but `at_once`) before `PATIENCE` has passed, nor
    below a display of another kind that is drawn anew again and again: a run's live view.
    """
    if not _open and (not sys.stderr.isatty() or hasattr(sys.stderr, "rich_proxied_file")):
        yield lambda number: None
        return
    outermost = not _open
    bars = Bars() if outermost else _open[0]
    task = bars.progress.add_task(what, total=total)
    if outermost:
        _open.append(bars)
    try:
        if at_once:
            bars.show()
        yield lambda number: bars.done(task, number)
    finally:
        if outermost:
            _open.clear()
            bars.close()
        else:
            bars.progress.remove_task(task)


def waited(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, one after another, under a bar."""
    with waiting(what, total) as done:
        for item in items:
            yield item
            done(1)
