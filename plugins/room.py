"""Matrices that must fit in memory: what cannot fit is refused before a run begins, with what would make it smaller."""

from __future__ import annotations

import os

import torch

from sslkit.errors import RecipeError
from sslkit.tables import size

COPIES = 4
"A matrix, its softmax, its targets and its gradient are in memory at once."


def memory_of(device: torch.device) -> int | None:
    """Bytes of memory that a device has in all; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def require_room(
    plugin: str, what: str, rows: int, columns: int, device: torch.device, way: str, copies: int = COPIES
) -> None:
    """Refuse a float matrix of rows x columns that `device` cannot hold as often as it is in memory.

    That is four times, for one that is made at each step; a buffer has 1 for `copies`. `plugin` and `what` say whose
    matrix it is, `way` what would make it smaller. Raises `RecipeError`.
    """
    needed, there = 4 * copies * rows * columns, memory_of(device)
    if there is not None and needed > there:
        takes = size(needed) + " with its gradient" * (copies > 1)
        raise RecipeError(
            f"{plugin}: {what} of {rows:,} x {columns:,} takes {takes}, and {device} has {size(there)}; {way}"
        )
