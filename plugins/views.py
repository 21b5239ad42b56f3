"""What several plugins ask of the views that they compare."""

from __future__ import annotations

from sslkit import Batch, Step
from sslkit.errors import RecipeError


def is_labeled(view: str, batch: Batch) -> bool:
    """Whether a view, of this batch of a step or of the other, is of the labeled stream."""
    return (view in batch.views) == (batch.stream == "labeled")


def batch_of_views(plugin: str, step: Step, on: tuple[str, ...], takes: str, exactly: int | None = None) -> Batch:
    """The batch that all views of `on` are of, two of them or more, or exactly so many.

    Raises `RecipeError` for others: `plugin` says whose `on` it is, `takes` what it would take.
    """
    batch = step.batch_of(on[0])
    if len(on) < 2 or exactly not in (None, len(on)) or any(step.batch_of(view) is not batch for view in on):
        raise RecipeError(f"{plugin}: `on` names {', '.join(on)}; {takes}")
    return batch
