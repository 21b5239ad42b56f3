"""Steps made ahead of the model, by worker processes that write into memory which the main process reads."""

from __future__ import annotations

import mmap
import multiprocessing
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


class Steps(torch.utils.data.Dataset[Any]):
    """Step number -> its streams' rows and views. An error travels as a value, to arrive as it was.

    Workers make a step into a slot of memory that all processes share, and send its number. To send tensors, torch asks
    the worker for a file descriptor of each, and the worker answers when it next lets go of its interpreter: up to 5 ms
    for a step that had long been made.
    """

    def __init__(self, streams: list[StreamLoader]) -> None:
        self.streams = streams
        self.slots, self.memory = 0, dict[str, Any]()

    def make(self, step: int) -> dict[str, Any] | SslkitError:
        """Everything one step needs from the data."""
        try:
            return {stream.name: stream.load(step) for stream in self.streams}
        except SslkitError as error:
            return error
        except Exception as error:
            return DataError(f"step {step} could not be read: {type(error).__name__}: {error}")

    def share(self, like: dict[str, Any], slots: int) -> None:
        """Memory for as many steps like this one as are on their way at once."""
        self.slots = slots
        self.memory = each(like, lambda tensor: shared(tensor, slots))

    def __getitem__(self, step: int) -> int | SslkitError:
        """Make a step into its slot."""
        made = self.make(step)
        if isinstance(made, SslkitError):
            return made
        for slot, tensor in zip(tensors(self.read(step)), tensors(made), strict=True):
            slot.copy_(tensor)
        return step

    def read(self, step: int) -> dict[str, Any]:
        """A step's slot."""
        return each(self.memory, lambda tensor: tensor[step % self.slots])


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


def load_steps(streams: list[StreamLoader], start: int, stop: int, workers: int) -> Iterator[dict[str, Any]]:
    """Steps `start` to `stop`, in order, made ahead by `workers` processes (0: in this one, when asked for).

    What a step holds may be overwritten once the next one is asked for.
    """
    steps = Steps(streams)
    if workers == 0 or stop - start < 2 or not FORKS:
        yield from (raised(steps.make(step)) for step in range(start, stop))
        return
    first = raised(steps.make(start))  # in this process: it says how much room a step takes
    size = sum(tensor.nbytes for tensor in tensors(first))
    ahead = min(AHEAD, max(1, BUDGET // (size * workers)))
    steps.share(first, ahead * workers + 1)  # those under way, and the one in use
    numbers = iter(
        torch.utils.data.DataLoader(
            steps, batch_size=None, sampler=range(start + 1, stop), num_workers=workers, prefetch_factor=ahead,
            worker_init_fn=_start_worker, multiprocessing_context="fork",
        )
    )  # fmt: skip
    try:
        yield first
        for number in numbers:
            yield steps.read(raised(number))
    finally:
        # Ends the workers now. In an error's traceback they would live on until garbage collection, which takes the
        # queue of their orders apart before it tells them to stop: each would keep the process waiting for seconds.
        del numbers


def raised(answer: Any) -> Any:
    """What was made; an error is raised."""
    if isinstance(answer, SslkitError):
        raise answer
    return answer


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # Both reach a whole process group: the main process saves the run and then ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
