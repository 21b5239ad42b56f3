"""Steps made ahead of the model, by worker processes that write into memory which the main process reads."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import torch
from torch import Tensor

from .errors import DataError, SslkitError
from .loader import StreamLoader

AHEAD = 8
"Steps that each worker makes ahead,"
BUDGET = 1 << 30
"or fewer, where all of them would take more than this many bytes."
FORKS = sys.platform != "darwin" and "fork" in multiprocessing.get_all_start_methods()
"""Whether workers can be forked safely. Started afresh they could import neither a plugin file beside the recipe nor a
transform that is a lambda; without workers the same steps are made in the main process."""
LOOK = 0.5
"Seconds after which one who waits looks whether the other is still there."


def make(streams: list[StreamLoader], step: int) -> dict[str, Any]:
    """One step's rows and views, by stream. Whatever goes wrong is an `SslkitError`."""
    try:
        return {stream.name: stream.load(step) for stream in streams}
    except SslkitError:
        raise
    except Exception as error:
        raise DataError(f"step {step} could not be read: {type(error).__name__}: {error}") from error


def load_steps(streams: list[StreamLoader], start: int, stop: int, workers: int) -> Iterator[dict[str, Any]]:
    """Steps `start` to `stop`, in order, made ahead by `workers` processes (0: in this one, when asked for).

    What a step holds may be overwritten once the next one is asked for.
    """
    if workers == 0 or stop - start < 2 or not FORKS:
        yield from (make(streams, step) for step in range(start, stop))
        return
    first = make(streams, start)  # in this process: it says how much room a step takes
    size = sum(tensor.nbytes for tensor in tensors(first))
    slots = min(AHEAD, max(1, BUDGET // (size * workers))) + 1  # one more, which the model is at
    crew = [Worker(streams, range(start + 1 + i, stop, workers), first, slots) for i in range(workers)]
    try:
        yield first
        for step in range(start + 1, stop):
            worker = crew[(step - start - 1) % workers]
            yield worker.take(step)
            worker.free.release()
    finally:
        for worker in crew:
            worker.process.kill()  # at once, even one that hangs; nothing of it is needed any more
            worker.process.join()


class Worker:
    """A process that makes some of the steps, each into a slot of shared memory.

    Semaphores are all that passes for a step: torch's DataLoader sends tensors by threads of both processes, and where
    the model keeps every core busy, each change from thread to thread costs the main process up to 5 ms.
    """

    def __init__(self, streams: list[StreamLoader], steps: range, like: dict[str, Any], slots: int) -> None:
        context = multiprocessing.get_context("fork")
        self.streams, self.steps, self.slots = streams, steps, slots
        self.free, self.ready = context.Semaphore(slots), context.Semaphore(0)
        self.memory = each(like, lambda tensor: shared(tensor, slots))
        self.errors, self.tell = context.Pipe(duplex=False)
        self.process = context.Process(target=self.work, args=(os.getpid(),), daemon=True)
        self.process.start()

    def slot(self, step: int) -> dict[str, Any]:
        """Where a step is kept."""
        number = self.steps.index(step) % self.slots
        return each(self.memory, lambda tensor: tensor[number])

    def work(self, parent: int) -> None:
        """In the worker: make each step as soon as a slot is free, until there is an error, or nobody to make them for."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the whole group; the main process says what happens
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if hasattr(os, "SCHED_BATCH"):  # woken for a free slot, it must not take the core of the model that freed it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        cv2.setNumThreads(0)
        torch.set_num_threads(1)
        for step in self.steps:
            while not self.free.acquire(timeout=LOOK):
                if os.getppid() != parent:
                    return
            try:
                made = make(self.streams, step)
            except SslkitError as error:
                self.tell.send(error)
                return
            for slot, tensor in zip(tensors(self.slot(step)), tensors(made), strict=True):
                slot.copy_(tensor)
            self.ready.release()

    def take(self, step: int) -> dict[str, Any]:
        """In the main process: the next step, as soon as it is there."""
        while not self.ready.acquire(block=(alive := self.process.is_alive()), timeout=LOOK):
            if not alive:
                return self.without(step)
        return self.slot(step)

    def without(self, step: int) -> dict[str, Any]:
        """A step that a worker, which has ended, did not make."""
        if self.errors.poll():
            raise self.errors.recv()
        if self.process.exitcode == -signal.SIGTERM:  # so was the main process, which saves itself after this step
            return make(self.streams, step)
        raise DataError(
            f"step {step}: a data worker ended with exit code {self.process.exitcode} (-9: killed, perhaps for want of "
            "memory). Smaller batches take less; workers = 0 makes views in the main process"
        )


def each(tree: dict[str, Any], change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """Nested dicts of tensors, each changed."""
    return {key: each(value, change) if isinstance(value, dict) else change(value) for key, value in tree.items()}


def tensors(tree: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors of nested dicts."""
    for value in tree.values():
        yield from tensors(value) if isinstance(value, dict) else [value]


def shared(tensor: Tensor, slots: int) -> Tensor:
    """Room for `slots` such tensors in memory that forked processes share; unlike /dev/shm, nothing limits it."""
    return torch.frombuffer(mmap.mmap(-1, slots * tensor.nbytes), dtype=tensor.dtype).view(slots, *tensor.shape)
