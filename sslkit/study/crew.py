"""Processes side by side: each does one piece of work, tells of it, and ends.

They come from a server that has loaded the libraries and run nothing, so that each is there in a moment and nothing is
forked that has computed. Where there is no such server, each is started afresh.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Literal

import cv2
import torch

from ..environment import stop_signals
from ..errors import Interrupted, RunError, SslkitError
from ..keeping.room import told_to
from ..output import forgive, narrate

LOOK = 0.2
"Seconds after which it is looked whether the study was asked to stop."
AGAIN = 1.0
"Seconds after which one that is to stop is told so again."
SERVER = "forkserver"
PRELOAD = ["sslkit.study.preload"]
THREADS = "OMP_NUM_THREADS"
HANGUP = getattr(signal, "SIGHUP", None)


@dataclass(frozen=True, eq=False)
class Work:
    """What a process is to do, in words that reach it: functions of a module, plain values."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int
    "How many it computes with."


@dataclass(frozen=True)
class Event:
    """What has become of a piece of work."""

    work: Work
    kind: Literal["begun", "warned", "done", "failed", "stopped"]
    value: Any = None
    "A warning, an answer, why it failed or stopped."
    details: str = ""
    "The traceback of an error that is nobody's to mend but a programmer's."


@dataclass
class Member:
    """A process at work."""

    work: Work
    process: Any
    ear: Any
    "The end of a pipe on which it tells."
    last: Event | None = None
    "How it ended, in its own words."
    silent: bool = False
    "Whether nobody holds the pipe's other end any more."

    @property
    def sources(self) -> list[Any]:
        """What is ready when there is something to look at."""
        return [self.process.sentinel, *([] if self.silent else [self.ear])]

    def heard(self) -> list[Event]:
        """What it has told since it was last listened to, beside how it ended."""
        told = []
        try:
            while not self.silent and self.ear.poll():
                event = Event(self.work, *self.ear.recv())
                if event.kind == "warned":
                    told.append(event)
                else:
                    self.last = event
        except (EOFError, OSError):
            self.silent = True
        return told

    def close(self) -> Event:
        """How it ended; one that went without a word was ended by something else."""
        self.process.join()
        self.ear.close()
        return self.last or Event(self.work, "failed", f"its process {_ending(self.process.exitcode)}")


def side_by_side(works: Iterable[Work], jobs: int) -> Generator[Event, None, None]:
    """Do the work, `jobs` pieces at a time, in its order; what fails stops none of the others.

    Raises `Interrupted` when asked to stop, or where one of the processes was: all have saved themselves by then. To be
    closed where it is left early, which stops them too.
    """
    crew: list[Member] = []
    with stop_signals() as asked:
        try:
            for work in works:
                _heed(asked)
                yield Event(work, "begun")
                crew.append(_start(work, asked))
                while len(crew) >= jobs:
                    yield from _happened(crew, asked)
            while crew:
                yield from _happened(crew, asked)
        except BaseException as error:
            _stop(crew, gently=not isinstance(error, KeyboardInterrupt))
            raise


def _heed(asked: Callable[[], str | None]) -> None:
    if why := asked():
        raise Interrupted(f"stopped by {why}")


def _happened(crew: list[Member], asked: Callable[[], str | None]) -> Iterator[Event]:
    """What was told, and the ends of those that have ended, who leave the crew."""
    wait([source for member in crew for source in member.sources], LOOK)
    _heed(asked)
    for member in list(crew):
        over = bool(wait([member.process.sentinel], 0))  # before it is listened to: afterwards it tells nothing
        yield from member.heard()
        if over:
            crew.remove(member)
            event = member.close()
            if event.kind == "stopped":
                raise Interrupted(str(event.value))
            yield event


def _stop(crew: list[Member], gently: bool) -> None:
    """Let all save themselves and end, or end them; a second Ctrl-C does not wait."""
    left = list(crew) if gently else []
    try:
        while left:
            for member in left:
                member.process.terminate()  # again and again: one that just begins does not listen yet
            wait([member.process.sentinel for member in left], AGAIN)
            left = [member for member in left if not wait([member.process.sentinel], 0)]
    finally:
        for member in crew:
            member.process.kill()


def _ending(code: int | None) -> str:
    """How a process ended that did not say so itself."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {int(one) for one in signal.Signals} else f"signal {-code}"
        why = ", perhaps for want of memory: fewer --jobs take less" if name == "SIGKILL" else ""
        return f"was ended by {name}{why}"
    return f"ended with exit code {code} and told nothing"


def context() -> Any:
    """What makes processes."""
    if SERVER not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context(SERVER)
    made.set_forkserver_preload(PRELOAD)
    return made


def _start(work: Work, asked: Callable[[], str | None]) -> Member:
    """Raises `Interrupted` where what stops the study has also ended the server while it loaded."""
    made = context()
    ear, mouth = made.Pipe(duplex=False)
    hears_hangup = HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN
    process = made.Process(target=perform, args=(work, mouth, hears_hangup), daemon=False)  # it has data workers
    try:
        with _threads_said(work.threads):
            process.start()
    except (OSError, EOFError) as error:
        ear.close()
        _heed(asked)
        raise RunError(f"no process could be started for a run ({type(error).__name__}: {error})") from error
    finally:
        mouth.close()
    return Member(work, process, ear)


@contextmanager
def _threads_said(threads: int) -> Iterator[None]:
    """For libraries that look at it while they are loaded: by the server, or by a process that is started afresh."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def perform(work: Work, mouth: Any, hears_hangup: bool) -> None:
    """In the process: do the work, and tell how it ended."""
    if (parent := multiprocessing.parent_process()) is not None:
        _settle(work.threads, hears_hangup)
        threading.Thread(target=_outlive, args=(parent,), daemon=True).start()

    def tell(kind: str, value: Any = None, details: str = "") -> None:
        with suppress(OSError):  # nobody is there any more to hear it
            mouth.send((kind, value, details))

    try:
        with told_to(partial(tell, "warned")):
            tell("done", work.call(*work.args))
    except (Interrupted, KeyboardInterrupt) as error:
        tell("stopped", str(error))
    except SslkitError as error:
        tell("failed", str(error))
    except Exception as error:  # of a plugin or a library: hours of other work must not end with it
        tell("failed", f"{type(error).__name__}: {error}", traceback.format_exc())


def _settle(threads: int, hears_hangup: bool) -> None:
    """Signals as in a process of one's own (the server ignores them), and so many threads."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_DFL if hears_hangup else signal.SIG_IGN)
    forgive()
    narrate()
    torch.set_num_threads(threads)
    cv2.setNumThreads(0 if threads == 1 else threads)  # 0: none beside the one that calls


def _outlive(parent: Any) -> None:
    """Where the study's process is killed, a run saves itself and stops, as if it had been asked to."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
