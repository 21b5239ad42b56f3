"""Output whose reader may go away: what is said is then lost, and nothing else is.

A terminal that closes makes writing fail (EIO), as a pipe does whose reader has ended (EPIPE) or a full disk under a log
file. Neither may end a run, nor leave text behind that Python would stumble over when it ends.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

GONE = (errno.EIO, errno.EPIPE)


class Forgiving(io.FileIO):
    """A file descriptor that takes everything; what cannot be written is dropped."""

    def write(self, data: Any) -> int:
        """Write what can be written."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def forgive() -> None:
    """Let stdout and stderr of this process forgive. Streams that are no files (a test's, a notebook's) stay."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper and os.name != "nt":
            with suppress(OSError):
                stream.flush()
            with suppress(OSError):
                raw = io.BufferedWriter(Forgiving(stream.fileno(), "wb", closefd=False))
                settings = {
                    key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")
                }
                setattr(sys, name, io.TextIOWrapper(raw, **settings))
