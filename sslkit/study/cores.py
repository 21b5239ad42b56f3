"""How many runs go side by side here, and with how many threads each: every core is used, and none twice."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import RunError

THREADS = "OMP_NUM_THREADS"
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"How a container says what it may use: `200000 100000` are two cores, `max 100000` all."


def cores() -> int:
    """Cores that this process may use: its affinity and its container's quota count."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        there = min(there, max(1, int(quota) // int(period)))
    return there


def threads_said() -> int | None:
    """What the environment says; None where it says nothing, or nothing that can be understood."""
    said = os.environ.get(THREADS, "").partition(",")[0].strip()
    return int(said) if said.isdigit() and int(said) else None


def share(runs: int, jobs: int | None, gpu: bool) -> tuple[int, int]:
    """(runs at a time, threads of each) for so many runs; `jobs`: what was asked for.

    Threads are those that the environment says, as far as there are cores for all.

    Neither depends on how many of them are finished already, as the number of threads decides how sums are rounded.
    Raises `RunError` for more runs at a time than there are cores.
    """
    there = cores()
    if jobs is not None and jobs > there:
        raise RunError(f"--jobs {jobs}: this process may use {there} core{'s' * (there > 1)}, and more runs at a time than "
                       f"cores only take each other's; it takes 1 to {there}")  # fmt: skip
    said = threads_said()
    if jobs is None:
        jobs = 1 if gpu else max(1, min(there // (said or 1), runs))
    room = max(1, there // jobs)
    return jobs, min(said or room, room)
