"""metrics.jsonl: one JSON object per line, for programs."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sslkit import Event, SslkitError, hookimpl
from sslkit.keeping.room import full, is_full, patiently

FILE = "metrics.jsonl"
ELSEWHERE = {"start": ("folder", "resumed"), "end": ("folder", "summary")}
"Values not repeated here: where the file lies, whether a run was stopped on its way, and what summary.json holds."


def strict(value: Any) -> Any:
    """A value as strict JSON has it: numbers that are not finite become null, what JSON lacks becomes a string."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if getattr(value, "ndim", None) == 0:  # a number in a tensor or an array
        return strict(value.item())
    return str(value)


def line_of(event: Event, seconds: float) -> str | None:
    """The line of an event; None for what is not kept: of labeling, all but the end; of the machine, its troubles."""
    if event.kind == "warning" or (event.kind == "labels" and "kept_share" not in event.values):
        return None
    place = {"kind": event.kind, "generation": event.progress.generation, "step": event.progress.step}
    left_out = (*place, "time", *ELSEWHERE.get(event.kind, ()))
    values = {name: strict(value) for name, value in event.values.items() if name not in left_out}
    return json.dumps({**place, **values, "time": seconds}, allow_nan=False) + "\n"


def write_line(path: Path, line: bytes, anew: bool = False) -> None:
    """Append a line whole or not at all, in one write where there is room: a killed run leaves whole lines.

    Raises `DiskFull` where there is no room, `SslkitError` for any other reason.
    """
    try:
        with path.open("wb" if anew else "ab", buffering=0) as file:
            before = file.tell()
            try:
                written = file.write(line)
                while written < len(line):  # the last bytes that fit: the next write says why
                    written += file.write(line[written:])
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise _failed(path, error) from error


def _sync(path: Path, descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems find out only now that there is no room
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> SslkitError:
    if is_full(error):
        return full(path, error)
    return SslkitError(f"{path} could not be written ({error}); what was saved before is unharmed")


@dataclass(eq=False, kw_only=True)
class Jsonl:
    """Write every event to metrics.jsonl in the run folder.

    On a full disk the run waits for room. A resumed run goes on where its checkpoint was, so that its file is the one of a run that never stopped, but for
    `time` (seconds since 1970) and what is called `timing`.
    """

    def __post_init__(self) -> None:
        self.path_: Path | None = None

    @hookimpl
    def report(self, event: Event) -> None:
        """Append one line."""
        resumed = False
        if event.kind == "start":
            self.path_ = Path(str(event.values.get("folder", "."))) / FILE
            resumed = bool(event.values.get("resumed"))
        line = line_of(event, time.time())
        if self.path_ is None or line is None or (event.kind == "start" and resumed):
            return
        path, text = self.path_, line.encode()
        patiently(lambda: write_line(path, text, anew=event.kind == "start"))

    def state_dict(self) -> dict[str, Any]:
        """How long the file is, once that much is safely on the disk."""
        if self.path_ is None or not self.path_.exists():
            return {"bytes": 0}
        with self.path_.open("rb") as file:
            patiently(partial(_sync, self.path_, file.fileno()))
            return {"bytes": os.fstat(file.fileno()).st_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut off what was written after the checkpoint."""
        if self.path_ is not None and self.path_.exists():
            os.truncate(self.path_, min(int(state["bytes"]), self.path_.stat().st_size))
