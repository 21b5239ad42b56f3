"""Where pseudo-labels come from, in words that every format can hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..store import MANIFEST
from .stored import Stored, shown_run


def provenance(stored: Stored) -> dict[str, Any]:
    """Which labels, of which run; who made them, when, with which sslkit."""
    manifest = stored.manifest
    made = datetime.fromtimestamp((stored.path / MANIFEST).stat().st_mtime, UTC)
    said = ("teacher", "recipe", "recipe_name", "seed", "sslkit")
    return {
        "run": shown_run(stored.run),
        "generation": stored.generation,
        **{key: manifest.get(key) for key in said},
        "made": made.isoformat(timespec="seconds"),
    }
