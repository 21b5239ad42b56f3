"""What all generations of a run share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from .dataset import Data
from .folder import Run
from .network import Network
from .recipe.model import Entry, Generation, Recipe
from .types import Classifier


@dataclass(eq=False)
class Session:
    """What all generations of a run share."""

    recipe: Recipe
    data: Data
    run: Run
    device: torch.device
    baseline: Classifier | None = None
    baseline_entry: dict[str, Any] | None = None
    baseline_seconds: float = 0.0
    trackers: list[Entry] = field(default_factory=list)
    stop: Callable[[], str | None] = lambda: None
    "Names the signal that asked the run to stop."
    began: float = field(default_factory=time.perf_counter)

    def entries(self, cfg: Generation) -> list[Entry]:
        """A generation's plugins, fresh but for the trackers, which see the whole run."""
        entries = cfg.entries()
        self.trackers = self.trackers or [entry for entry in entries if entry.section == "tracker"]
        kept = iter(self.trackers)
        return [next(kept) if entry.section == "tracker" else entry for entry in entries]

    def network(self, generation: int) -> Network:
        """A finished generation's model, from its artifact."""
        return self.run.network(generation, self.recipe, self.device)
