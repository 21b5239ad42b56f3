"""A full disk that may get room again: what a run does about it, where it can do without writing and where it cannot."""

from __future__ import annotations

import errno
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from ..errors import DiskFull, Interrupted, SslkitError

FULL = {errno.ENOSPC, errno.EDQUOT}
SAYS_FULL = re.compile(r"No space left|StorageFull|[Qq]uota exceeded|QuotaExceeded")
"How libraries say it that keep no error number."
FIRST, LONGEST = 2.0, 30.0
"Seconds before the second try, and between two tries at most: each is twice as long as the one before it."
LIMIT = 3600.0
"Seconds after which a run that nobody looks at gives up: without a terminal, a study must not hang for ever."
LOOK = 0.5
"Seconds after which one who waits looks whether the run was asked to stop."

clock, sleep = time.monotonic, time.sleep
Answer = TypeVar("Answer")


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full or a quota used up."""
    return getattr(error, "errno", None) in FULL or SAYS_FULL.search(str(error)) is not None


def full(path: object, error: BaseException) -> DiskFull:
    """What to raise for it."""
    quota = getattr(error, "errno", None) == errno.EDQUOT or "uota" in str(error)
    what = "the disk is full" + (" (a quota is used up)" if quota else "")
    return DiskFull(f"{what}: {path} could not be written. What was saved before is unharmed")


@dataclass(eq=False)
class Patience:
    """How a run takes a full disk."""

    stop: Callable[[], str | None]
    "Names the signal that asked the run to stop: then it does not wait."
    tell: Callable[[str, bool], None]
    "Is told what happens, and whether the run waits from now on."
    stopped: Callable[[str, str], Interrupted]
    "What to raise where it is asked to stop: by what, and what was saved."
    limit: float | None
    "Seconds that it waits at most; None: until there is room, or somebody stops it."
    waiting: bool = False
    behind: bool = False
    "Whether the last checkpoint did not fit."
    lost: float = 0.0
    "Seconds waited so far."

    def say(self, message: str) -> None:
        """Tell it; what fails there must not keep the run from going on."""
        if listener := _LISTENER.get():
            listener(message)
        with suppress(SslkitError):
            self.tell(message, self.waiting)

    def save(self, write: Callable[[], object], needed: bool) -> None:
        """Write a checkpoint, which the run can do without for a while, or cannot."""
        try:
            write()
        except DiskFull as error:
            if needed:
                self.behind = False
                self.wait(write, error)
                return
            self.behind = True
            self.say(f"{error}. Training goes on; the next checkpoint tries again")
            return
        if self.behind:
            self.behind = False
            self.say("there is room on the disk again: this checkpoint is saved")

    def wait(self, write: Callable[[], Answer], error: DiskFull) -> Answer:
        """Write what the run needs, as soon as there is room."""
        self.waiting, began = True, clock()
        try:
            self._check(error, began)
            most = f"for at most {self.limit / 60:.0f} minutes" if self.limit else "until there is some"
            self.say(f"{error}. Waiting for room, {most}; Ctrl-C stops")
            answer = self._tried_again(write, error, began)
        finally:
            self.waiting = False
            self.lost += clock() - began
        self.say("there is room on the disk again: going on")
        return answer

    def _tried_again(self, write: Callable[[], Answer], error: DiskFull, began: float) -> Answer:
        pause = FIRST
        while True:
            until = clock() + pause
            while clock() < until:
                sleep(min(LOOK, pause))
                self._check(error, began)
            try:
                return write()
            except DiskFull as again:
                error, pause = again, min(2 * pause, LONGEST)

    def _check(self, error: DiskFull, began: float) -> None:
        """Whether to wait any longer."""
        if stop := self.stop():
            raise self.stopped(f"{stop} while there was no room", str(error)) from error
        if self.limit is not None and clock() - began >= self.limit:
            raise DiskFull(f"{error}. Nobody made room within {self.limit / 60:.0f} minutes") from error


_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patience(
    stop: Callable[[], str | None],
    tell: Callable[[str, bool], None],
    stopped: Callable[[str, str], Interrupted],
    limit: float | None,
) -> Iterator[Patience]:
    """Inside, a full disk is waited for."""
    made = Patience(stop, tell, stopped, limit)
    token = _PATIENCE.set(made)
    try:
        yield made
    finally:
        _PATIENCE.reset(token)


def patiently(write: Callable[[], Answer]) -> Answer:
    """What `write` answers. Where it raises `DiskFull` inside a run, it is called again until there is room.

    `write` must leave nothing half-done when it fails. For plugins too: a tracker that writes a file cannot know how
    its run is stopped. Raises `DiskFull` outside of a run, or when the run gives up; `Interrupted` when it is stopped.
    """
    try:
        return write()
    except DiskFull as error:
        patience = _PATIENCE.get()
        if patience is None or patience.waiting:  # told while waiting, and no room for that either
            raise
        return patience.wait(write, error)


def save_checkpoint(write: Callable[[], object], needed: bool) -> None:
    """Call `write`. Where it raises `DiskFull` inside a run, that is said, and the run goes on without.

    `needed`: a checkpoint that the run cannot go on without: it waits, as `patiently` does.
    """
    patience = _PATIENCE.get()
    if patience is None:
        write()
    else:
        patience.save(write, needed)


_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


@contextmanager
def told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Inside, `listener` hears of full disks too: runs of a study have no tracker that talks to people."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def seconds_lost() -> float:
    """How long this run has waited for room so far."""
    patience = _PATIENCE.get()
    return patience.lost if patience else 0.0


def limit_here() -> float | None:
    """None where somebody may be looking: on a terminal it is waited for as long as it takes."""
    return None if sys.stdout is not None and sys.stdout.isatty() else LIMIT
