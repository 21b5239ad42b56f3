"""Watches what a piece of code does to the world: nothing may be written, no process started, nobody called."""

import os
import signal
import sys
from contextlib import contextmanager

from huggingface_hub import constants

REFUSED = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate",
    "os.utime", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "os.kill",
    "os.putenv", "os.unsetenv", "subprocess.Popen", "shutil.", "socket.connect", "socket.bind", "socket.sendto",
    "socket.getaddrinfo", "tempfile.", "urllib.Request", "fcntl.lockf", "fcntl.flock", "signal.pthread_kill",
)  # fmt: skip
"Audit events that change something, or reach somewhere else."
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SECONDS = 60  # of one example: hundreds of times what the slowest takes, so that only a hang is met

_seen: list[str] | None = None


def _hook(event, arguments):
    """Python never lets go of an audit hook, so it is added once and sleeps outside of `untouched`."""
    if _seen is None:
        return
    if event == "open":
        path, mode, flags = (*arguments, None, None)[:3]
        if set(mode or "") & set("wax+") or (flags or 0) & WRITING:
            _seen.append(f"open {path!r} {mode!r} {flags}")
    elif event.startswith(REFUSED):
        _seen.append(f"{event} {arguments!r}"[:300])


_added = False


OFFLINE = constants.HF_HUB_OFFLINE


@contextmanager
def untouched():
    """Fails if anything within it was written, started or called; lets nothing be waited for without end."""
    global _seen, _added
    if not _added:
        sys.addaudithook(_hook)
        _added = True
    constants.HF_HUB_OFFLINE = True  # else published weights that a recipe asks for are asked for
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    _seen = seen = []
    try:
        yield seen
    finally:
        _seen = None
        constants.HF_HUB_OFFLINE = OFFLINE
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not seen, "\n".join(seen)


class Late(BaseException):
    """No `except Exception` keeps it."""


def _late(*_):
    raise Late(f"not done after {SECONDS} seconds")
