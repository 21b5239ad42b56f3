"""How a run stands, read from its folder alone: nothing is written, torch is not needed, and files that are half-written
by the process that runs do no harm.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..keeping.lock import FILE as LOCK
from ..keeping.lock import Holder, holder
from ..keeping.run_folders import sound_summary

RECIPE, SUMMARY, METRICS, CHECKPOINTS = "recipe.toml", "summary.json", "metrics.jsonl", "checkpoints"
PLACE = Path("runs")
"Where runs lie that were not told where to."
State = Literal["running", "stopped", "failed", "killed", "finished", "unknown"]
"""`unknown`: its summary says that it runs, and here no lock can tell whether that is still so. `killed`: the summary
says so too, but nobody holds the folder."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint."""

    path: Path
    generation: int
    step: int
    moment: float
    "Seconds since 1970."


@dataclass(frozen=True)
class Standing:
    """How a run stands."""

    folder: Path
    state: State
    holder: Holder | None
    "Who runs in it."
    active: Path
    "Where things happen: the folder, or the baseline inside it."
    saved: Saved | None
    sign: float
    "When it last wrote something, in seconds since 1970; 0 where nothing can be found."

    @property
    def unfinished(self) -> bool:
        """Whether there is something to go on with."""
        return self.state != "finished"

    @property
    def doing(self) -> dict[str, Any]:
        """What its process is at beside training: labeling, waiting for room."""
        inside = holder(self.active) if self.active != self.folder else None
        return {**(self.holder.doing if self.holder else {}), **(inside.doing if inside else {})}

    @property
    def again(self) -> str:
        """How to go on."""
        return f"sslkit run --resume {self.folder}"


def standing(folder: Path) -> Standing:
    """How the run in a folder stands."""
    active = folder / "baseline" if _in_baseline(folder) else folder
    who = holder(folder)
    saved = newest_checkpoint(active)
    return Standing(folder, _state(folder, who), who, active, saved, max(_signs(folder), default=0.0))


def runs_in(place: Path) -> list[Path]:
    """Run folders right in a folder."""
    try:
        return sorted(path for path in place.iterdir() if (path / RECIPE).is_file() and not path.name.startswith("."))
    except OSError:
        return []


def newest_first(runs: Iterable[Standing]) -> list[Standing]:
    """By when they last wrote something."""
    return sorted(runs, key=lambda run: (run.sign, _number(run.folder.name)), reverse=True)


def _number(name: str) -> tuple[int, str]:
    """`mine-10` is newer than `mine-9`, where they are of the same moment."""
    last = re.search(r"(\d+)$", name)
    return int(last[1]) if last else 0, name


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; nothing where it cannot be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_summary(folder: Path) -> dict[str, Any]:
    """A run's summary.json; nothing where it cannot be read, or has not the shape of one."""
    try:
        return sound_summary(read_json(folder / SUMMARY))
    except ValueError:
        return {}


def newest_checkpoint(folder: Path) -> Saved | None:
    """The newest checkpoint that is there (whether it is whole is found out when it is needed)."""
    found = []
    try:
        for path in (folder / CHECKPOINTS).iterdir():
            if match := re.fullmatch(r"generation-(\d+)-step-(\d+)", path.name):
                found.append(Saved(path, int(match[1]), int(match[2]), path.stat().st_mtime))
    except OSError:  # none yet, or one that was dropped this moment
        pass
    return max(found, key=lambda one: (one.generation, one.step), default=None)


def _state(folder: Path, who: Holder | None) -> State:
    status = read_summary(folder).get("status")
    if status == "finished":
        return "finished"
    if who and who.sure:
        return "running"
    if status in ("interrupted", "failed"):
        return "stopped" if status == "interrupted" else "failed"
    return "unknown" if who else "killed"


def _in_baseline(folder: Path) -> bool:
    """Whether the baseline is what is trained, or was when the run ended: the run's own log comes after it."""
    inside = folder / "baseline"
    own = (folder / METRICS).exists() or (folder / CHECKPOINTS).exists()
    return not own and (inside / RECIPE).is_file() and read_summary(inside).get("status") != "finished"


def _signs(folder: Path) -> Iterable[float]:
    """When each file was written that a run writes to as it goes."""
    for inside in (folder, folder / "baseline"):
        for name in (RECIPE, SUMMARY, METRICS, CHECKPOINTS, "labels", "models", LOCK):
            try:
                yield (inside / name).stat().st_mtime
            except OSError:
                continue


def ago(moment: float) -> float:
    """Seconds since then, by this machine's clock; a moment that another machine's clock puts ahead is now."""
    return max(0.0, time.time() - moment)
