"""The plan of a generation's passes: which views go through which model together, and in which mode."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from .recipe.model import PassTable

WAYS: dict[str, tuple[Literal["batch", "running"], bool, bool]] = {
    "student": ("batch", True, True),
    "teacher": ("running", False, False),
    "average": ("running", False, False),
}
"How a model usually runs: batch-norm's statistics, whether they are written, noise. Further models: as the student."


def completed(table: PassTable) -> PassTable:
    """A pass with what it leaves open filled in."""
    batch_norm, write, noise = WAYS.get(table.model, WAYS["student"])
    batch_norm = table.batch_norm or batch_norm
    return replace(
        table,
        batch_norm=batch_norm,
        write_stats=(write and batch_norm == "batch") if table.write_stats is None else table.write_stats,
        noise=noise if table.noise is None else table.noise,
    )


def plan_passes(passes: list[PassTable], asked: list[str]) -> list[PassTable]:
    """The recipe's passes, completed; student views that none names go through one pass together."""
    plan = [completed(table) for table in passes]
    planned = {view for table in plan if table.model == "student" for view in table.views}
    rest = [view for view in asked if view not in planned]
    return [*plan, completed(PassTable(model="student", views=rest))] if rest else plan
