"""Seeds as people write them: "0-9", "0,3,5-7"."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST = 10_000
PART = re.compile(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?")
TAKES = 'it takes numbers and ranges of numbers, each seed once: "0-9" or "0,3,5-7"'


def parse_seeds(text: str) -> tuple[int, ...]:
    """`"0,3,5-7"` -> `(0, 3, 5, 6, 7)`, in the order given. Raises `ValueError` that says what is wrong."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = PART.fullmatch(part.strip())
        if not match:
            raise ValueError(f"{part.strip()!r} is neither a seed nor a range of seeds")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"{part.strip()!r} runs backwards")
        if len(seeds) + last - first >= MOST:
            raise ValueError(f"more than {MOST:,} seeds")
        if twice := seeds.keys() & range(first, last + 1):
            raise ValueError(f"seed {min(twice)} is named twice")
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return tuple(seeds)


def format_seeds(seeds: Iterable[int]) -> str:
    """`(0, 3, 5, 6, 7)` -> `"0, 3, 5-7"`."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
