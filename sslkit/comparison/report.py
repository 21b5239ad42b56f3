"""A comparison for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ..study.stats import Spread
from .groups import Group, Versus, versus
from .members import Member, number
from .recipes import differences, files

ENTRY = ("index", "model", "steps", "test_accuracy", "validation_accuracy", "kept_share", "pseudo_label_accuracy")
"What is told of a generation."


def as_json(members: Sequence[Member], groups: Sequence[Group], notes: Sequence[str]) -> str:
    """Strict JSON: runs, recipes, what differs (each recipe's values of a key; several where the key decides nothing)."""
    letters = {id(member): group.letter for group in groups for member in group.members}
    differs = differences(groups) if len(groups) > 1 else {}
    table = {
        "recipes": [_group(group) for group in groups],
        "runs": [_run(member, letters.get(id(member))) for member in members],
        "differs": {
            path: {group.letter: value for group, value in zip(groups, values, strict=True)}
            for path, values in differs.items()
        },
        "files": files(groups),
        "differences": [_versus(one) for one in versus(groups)],
        "notes": list(notes),
    }
    return json.dumps(strict(table), indent=1, allow_nan=False)


def _group(group: Group) -> dict[str, Any]:
    return {
        "letter": group.letter,
        "name": group.name,
        "digest": group.members[0].recipe,
        "runs": [str(member.folder) for member in group.members],
        **{what: _spread(group.spread(what)) for what in ("final", "gain", "baseline")},
    }


def _spread(one: Spread) -> dict[str, Any]:
    return {
        "mean": one.mean,
        "deviation": one.deviation,
        "values": {str(seed): value for seed, value in one.values.items()},
    }


def _run(member: Member, letter: str | None) -> dict[str, Any]:
    return {
        "folder": str(member.folder),
        "name": member.name,
        "recipe": letter,
        "seed": member.seed if member.table else None,
        "status": member.status,
        "problem": member.problem,
        "generations": [_entry(entry) for entry in member.generations],
        "final": member.final,
        "gain": member.gain,
        "baseline": member.baseline,
        "seconds": number(member.summary.get("wall_seconds")),
    }


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    timing = entry.get("timing")
    seconds = number(timing.get("seconds")) if isinstance(timing, dict) else None
    return {**{key: entry.get(key) for key in ENTRY}, "seconds": seconds}


def _versus(one: Versus) -> dict[str, Any]:
    found = one.difference
    return {
        "recipe": one.group.letter, "minus": one.base.letter, "mean": found.mean, "low": found.low, "high": found.high,
        "p": found.p, "paired": one.paired, "seeds": list(one.seeds), "other_test_images": list(one.strangers),
    }  # fmt: skip


def strict(value: Any) -> Any:
    """A value as strict JSON has it: numbers that are not finite are null."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
