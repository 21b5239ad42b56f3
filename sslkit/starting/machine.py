"""The machine at hand, as far as a recipe's proposals depend on it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..tables import size


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What trains."""

    cores: int
    memory: int
    "Bytes of the machine's own memory; 0: not known."
    gpu: str = ""
    "Its name; empty: there is none."
    gpu_memory: int = 0
    "Bytes."

    @property
    def room(self) -> int:
        """Bytes that training may take: half of what there is, where that is known; others live here too."""
        return (self.gpu_memory if self.gpu else self.memory) // 2

    @property
    def words(self) -> str:
        """`2 cores, 16 GB`, or the GPU."""
        own = f"{self.cores} core{'s' * (self.cores != 1)}" + (f", {size(self.memory)}" if self.memory else "")
        return f"{self.gpu} ({size(self.gpu_memory)}), {own}" if self.gpu else f"{own}, no GPU"


def this_machine() -> Machine:
    """The one that this runs on; cores are those that this process may use."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return Machine(cores=cores, memory=memory(), gpu=gpu.name if gpu else "", gpu_memory=gpu.total_memory if gpu else 0)


def memory() -> int:
    """Bytes of memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
