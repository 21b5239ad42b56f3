"""Work that takes its time says so: what is done, how far it is, and how long it still takes; on a terminal alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

PATIENCE = 0.5
"Seconds of work before anything is shown: what is done at once needs no bar."

Item = TypeVar("Item")


@contextmanager
def waiting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr, gone when the work is done; in the block, `done(10)` says that ten more are.

    `total` None: it is not known how much there is, and what is done is counted. `done` takes how many were done since it
    was called last. Nothing is shown where stderr is no terminal, nor before `PATIENCE` has passed, nor below another
    display that is drawn anew again and again: a run's live view, another bar.
    """
    if not sys.stderr.isatty() or hasattr(sys.stderr, "rich_proxied_file"):
        yield lambda number: None
        return
    from time import monotonic

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task, begun = bar.add_task(what, total=total), monotonic()

    def done(number: int) -> None:
        bar.advance(task, number)
        if not bar.live.is_started and monotonic() - begun > PATIENCE:
            bar.start()

    try:
        yield done
    finally:
        if bar.live.is_started:
            bar.stop()


def waited(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """The items, one after another, under a bar."""
    with waiting(what, total) as done:
        for item in items:
            yield item
            done(1)
