"""Times in which a run was stopped (Ctrl-Z, a scheduler) and woken again: they say nothing of its speed.

What a machine sleeps, the clock that is used for such purposes does not count anyway.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter as clock
from typing import Any

WAKING = getattr(signal, "SIGCONT", None)
_WOKEN = [0]


@contextmanager
def noticed() -> Iterator[None]:
    """Inside, it is noticed when this process is woken."""
    if WAKING is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(WAKING, _wake)
    try:
        yield
    finally:
        signal.signal(WAKING, before)


def _wake(number: int, frame: Any) -> None:
    _WOKEN[0] += 1


class Stopwatch:
    """Seconds from mark to mark, by kind of what is done in them, without those in which the process was stopped."""

    def __init__(self) -> None:
        self.began = self.mark = clock()
        self.paused = 0.0
        self._woken = _WOKEN[0]
        self._longest: dict[str, float] = {}

    def passed(self, kind: str) -> float:
        """Seconds since the mark, which is moved. Where it was woken since, as many as this has ever taken at most."""
        now = clock()
        seconds, self.mark = now - self.mark, now
        usual = self._longest.get(kind, 0.0)
        if _WOKEN[0] != self._woken:
            self._woken = _WOKEN[0]
            self.paused += max(0.0, seconds - usual)
            return min(seconds, usual)
        self._longest[kind] = max(usual, seconds)
        return seconds

    def seconds(self) -> float:
        """Seconds since it was made."""
        return clock() - self.began - self.paused
