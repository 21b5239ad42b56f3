"""Output whose reader may go away: what is said is then lost, and nothing else is.

A terminal that closes makes writing fail (EIO), as a pipe does whose reader has ended (EPIPE) or a full disk under a log
file. Neither may end a run, nor leave text behind that Python would stumble over when it ends. Where the text is what
was asked for, a full disk is an error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

from .errors import SslkitError

GONE = (errno.EIO, errno.EPIPE)


_NARRATES = [False]
"Whether what is said only accompanies what is done."


class Lost(SslkitError):
    """Output that was asked for could not be written."""


class Forgiving(io.FileIO):
    """A file descriptor that takes everything; what nobody can read any more is dropped.

    `product`: what is written is what the command is for. Where there is no room for it that is said, once, and Python
    does not stumble over the rest.
    """

    product = False
    gone = False
    "Whether its reader has gone away."

    def write(self, data: Any) -> int:
        """Write what can be written. Raises `Lost`."""
        try:
            return super().write(data)
        except OSError as error:
            if self.product and not _NARRATES[0] and error.errno not in GONE:
                self.product = False
                why = (error.strerror or str(error)).lower()
                raise Lost(f"the output could not be written: {why}. What was written of it is not whole") from error
            self.gone = error.errno in GONE
            return memoryview(data).nbytes


def narrate() -> None:
    """From here on stdout only tells of what is done, and must not end it: in runs, whatever happens to their log."""
    _NARRATES[0] = True


def forgive() -> None:
    """Let stdout and stderr of this process forgive. Streams that are no files (a test's, a notebook's) stay."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper and os.name != "nt":
            with suppress(OSError):
                stream.flush()
            with suppress(OSError):
                file = Forgiving(stream.fileno(), "wb", closefd=False)
                file.product = name == "stdout"
                raw = io.BufferedWriter(file)
                settings = {
                    key: getattr(stream, key) for key in ("encoding", "errors", "line_buffering", "write_through")
                }
                setattr(sys, name, io.TextIOWrapper(raw, **settings))
