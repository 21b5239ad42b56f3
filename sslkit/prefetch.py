"""What a thread makes while the model is at what came before: decoders leave Python's lock to others meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item], patience: float | None = None) -> Iterator[Item]:
    """The same items in the same order, each made by a thread while its reader is at the one before.

    What the iterator raises rises where its item would have come. One item at a time is made, and one is kept. A reader
    that leaves waits for the item that is being made, for `patience` seconds at most (None: as long as it takes).
    """
    asked, made = SimpleQueue[bool](), SimpleQueue[tuple[Any, BaseException | None]]()
    thread = Thread(target=_make, args=(items, asked, made), daemon=True)  # one that waits for input must not keep us
    thread.start()
    asked.put(True)
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            asked.put(True)
            yield item
            del item  # it may be large, and the next one is
    finally:
        asked.put(False)
        thread.join(patience)


def _make(items: Iterator[Any], asked: SimpleQueue[bool], made: SimpleQueue[tuple[Any, BaseException | None]]) -> None:
    """In the thread: an item each time that one is asked for, up to the first error, of which the end is one."""
    while asked.get():
        try:
            made.put((next(items), None))
        except BaseException as error:  # whatever it is, it is its reader's
            made.put((None, error))
            return
