"""Recipes whose data lies elsewhere now."""

from __future__ import annotations

from pathlib import Path

from .model import Recipe, hash_of


def moved(own: Recipe, given: Recipe) -> bool:
    """Whether recipes differ in nothing but paths of their data; that it is the same, who opens it must look at."""
    data = next(entry.plugin for entry in given.generations[0].entries() if entry.section == "data")
    paths = {key for key in given.table["data"] if isinstance(getattr(data, key, None), Path)}
    hashes = [
        hash_of({**one.table, "data": {key: value for key, value in one.table["data"].items() if key not in paths}})
        for one in (own, given)
    ]
    return hashes[0] == hashes[1]
