"""What can go wrong by a user's hand: shown without a traceback, exit code 2.

Every class takes one message, so that an error raised in a data worker arrives unchanged.
"""

import traceback
from pathlib import Path


def told(error: BaseException) -> str:
    """An exception of a plugin's or a library's own, with the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


class SslkitError(Exception):
    """A problem its reader can mend. The message says where, what was received, what is accepted."""

    told = False
    "Whether a run's trackers know: a baseline's failure is its run's, too, and is told once."


class RecipeError(SslkitError):
    """A recipe that cannot be run; the message lists all of its problems."""


class PluginError(SslkitError):
    """A plugin that raised, or that answered something else than its hook promises."""


class MostProbableOnly(SslkitError):
    """All probabilities of a pool were asked for, of which only the most probable are kept (see `sslkit.pool`)."""


class DataError(SslkitError):
    """Data that cannot be used as the recipe asks."""


class MissingData(DataError):
    """Data that is not there: files that were never fetched, a data set that is not installed.

    `open_data` raises it, or lets a `FileNotFoundError` rise, which means the same. `sslkit run` stops as at any error;
    `sslkit check` warns and composes the recipe without data. Data that is there, but cannot be what the recipe asks
    for, is a plain `DataError`: an error for both. `classes`: how many there will be, where that is known without it.
    """

    def __init__(self, message: str, classes: int | None = None) -> None:
        super().__init__(message)
        self.classes = classes


class RunError(SslkitError):
    """A run folder, checkpoint or device that cannot be used, or a run that had to stop."""


class DiskFull(RunError):
    """There is no room to write, or a quota is used up. What was saved before is unharmed; `room` waits for more."""


class Held(RunError):
    """A run folder that another process is running in at this moment."""


class Interrupted(SslkitError):
    """The run was asked to stop; it has saved itself and can be resumed."""
