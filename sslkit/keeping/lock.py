"""One process at a time in a run folder: a lock that the system lets go of when its process ends, however it ends.

The lock file is there while the folder is in use, and after a process that was killed. It says who holds the lock and
what that process is at. Forked data workers do not inherit such locks. Where a platform or a file system has none, the
file is written all the same, and nobody is refused.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import Held

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

FILE = ".lock"
TRIES, PAUSE = 3, 0.05
"Somebody who looks whether a folder is in use holds the lock for microseconds: it is tried again after some seconds."
OFTEN = 0.5
"Seconds between two writings of what the process is at."
_HELD: dict[tuple[int, Path], Holder] = {}
"What this process holds; a system's lock would not keep it from itself. Forked ones have another number."


@dataclass(frozen=True)
class Holder:
    """Who runs in a folder."""

    pid: int | None = None
    host: str = ""
    since: float | None = None
    "Seconds since 1970."
    doing: dict[str, Any] = field(default_factory=dict)
    "What it is at, as `Lock.tell` was told."
    sure: bool = True
    "False where no lock can be had: the process may be gone."

    def __str__(self) -> str:
        """`process 123 on host since 14:03`."""
        who = f"process {self.pid}" if self.pid else "a process"
        there = f" on {self.host}" if self.host else ""
        return who + there + (f" since {clock_time(self.since)}" if self.since else "")


def clock_time(moment: float) -> str:
    """`14:03`, with its day where that is another one."""
    then, now = time.localtime(moment), time.localtime()
    same_day = then[:3] == now[:3]
    return time.strftime("%H:%M" if same_day else "%d %b %Y %H:%M", then)


class Lock:
    """A run folder's lock: entered where the folder is there, or taken when it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None
        self._doing: dict[str, Any] = {}
        self._told = 0.0

    def __enter__(self) -> Lock:
        if self.folder.is_dir():
            self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def take(self, inside: Path | None = None) -> None:
        """Hold the folder. `inside`: where it lies until it is renamed. Raises `Held` where another process does."""
        if self._descriptor is not None:
            return
        if own := _HELD.get(self._key()):
            raise _refusal(self.folder, own)
        self._descriptor = self._locked((inside or self.folder) / FILE)
        if self._descriptor is not None:
            _HELD[self._key()] = Holder(os.getpid(), platform.node(), time.time())
            self._write()

    def _locked(self, path: Path) -> int | None:
        """A descriptor of the locked file. None: it cannot be made, which the first real file will complain of."""
        attempt = 0
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                return None
            if _try(descriptor, shared=False) is not False:
                if _is_at(descriptor, path):
                    return descriptor
                os.close(descriptor)  # its holder has removed it since it was opened
                continue
            said = _said_in(descriptor)
            os.close(descriptor)
            attempt += 1
            if attempt == TRIES:
                raise _refusal(self.folder, said)
            time.sleep(PAUSE)

    def release(self) -> None:
        """Let go, and leave no file behind."""
        if self._descriptor is None:
            return
        path = self.folder / FILE
        with suppress(OSError):
            if _is_at(self._descriptor, path):  # it may be another's, where the folder could not be made
                path.unlink()  # before it is let go: the next one then makes a file of its own
        os.close(self._descriptor)
        self._descriptor = None
        _HELD.pop(self._key(), None)

    def tell(self, **doing: Any) -> None:
        """Write down what the process is at, for those who look from outside; at once where it is something else."""
        now = time.monotonic()
        if self._descriptor is not None and (doing.keys() != self._doing.keys() or now - self._told >= OFTEN):
            self._doing, self._told = doing, now
            self._write()

    def _write(self) -> None:
        assert self._descriptor is not None
        own = _HELD[self._key()] = Holder(**{**vars(_HELD[self._key()]), "doing": self._doing})
        line = json.dumps({key: value for key, value in vars(own).items() if key != "sure"}) + "\n"
        try:
            os.pwrite(self._descriptor, line.encode(), 0)
            os.ftruncate(self._descriptor, len(line))
        except OSError:  # a full disk: the lock holds all the same
            return

    def _key(self) -> tuple[int, Path]:
        return os.getpid(), self.folder.resolve()


def holder(folder: Path) -> Holder | None:
    """Who runs in a folder at this moment; None: nobody. It only looks, and a folder that is read-only will do."""
    if own := _HELD.get((os.getpid(), folder.resolve())):
        return own
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        free = _try(descriptor, shared=True)
        return None if free else _said_in(descriptor, sure=free is False)
    finally:
        os.close(descriptor)


def check_free(folder: Path) -> None:
    """Raise `Held` where another process runs in a folder; it only looks."""
    who = holder(folder)
    if who and who.sure and who.pid != os.getpid():
        raise _refusal(folder, who)


def sweep(folder: Path) -> None:
    """Remove the lock file that a process left which was killed once its run was finished; nobody else would."""
    if (folder / FILE).exists():
        with suppress(Held), Lock(folder):
            pass


def _try(descriptor: int, shared: bool) -> bool | None:
    """Whether a lock could be had; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _said_in(descriptor: int, sure: bool = True) -> Holder:
    """What its holder has written into a lock file, as far as it can be read."""
    try:
        said = json.loads(os.pread(descriptor, 1 << 16, 0).partition(b"\n")[0])
        return Holder(int(said["pid"]), str(said["host"]), float(said["since"]), dict(said["doing"]), sure)
    except (OSError, ValueError, LookupError, TypeError):
        return Holder(sure=sure)


def _refusal(folder: Path, who: Holder) -> Held:
    return Held(f"{folder} is being run at this moment, by {who}. Nothing was changed. "
                f"How far it is:\n    sslkit status {folder}")  # fmt: skip
