"""A finished generation's model with all that its user must know, from the run folder alone: no data is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..classifier import NetworkClassifier
from ..environment import choose_device
from ..folder import Run
from ..network import require_timm
from ..recipe.model import Generation, Recipe, hash_of
from .evaluate import EDITED, number_of, read_card, step_of, trained
from .remnant import recipe_of
from .weights import kept


@dataclass(frozen=True)
class Finished:
    """A generation's model, as it was evaluated or with other weights that its run keeps."""

    run: Run
    recipe: Recipe
    index: int
    "The generation, counted from 0."
    weights: str
    "`average`, `student` (its own) or `selected` (of the step that validation images chose)."
    card: dict[str, Any]
    "What the generation says of itself: its results, and what the model is built by."
    classifier: NetworkClassifier
    "The model, and how its answers are decided."
    warnings: tuple[str, ...] = ()
    "What its user must know."

    @property
    def generation(self) -> Generation:
        """The recipe's own words on it."""
        return self.recipe.generations[self.index]

    @property
    def folder(self) -> Path:
        """Where its artifact lies."""
        return model_folder(self.run, self.index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the answers."""
        return tuple(self.card["facts"]["classes"])

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.card["facts"]["channels"])

    @property
    def step(self) -> int:
        """The training step of the weights."""
        return step_of(self.card, self.weights)

    @property
    def metrics(self) -> dict[str, Any]:
        """What the run measured of these very weights; nothing where it measured others."""
        if self.weights == "selected":
            return {name: number for name, number in self.card["selected"].items() if name != "step"}
        return self.card["metrics"] if self.weights == kept(self.folder)[0] else {}


def model_folder(run: Run, index: int) -> Path:
    """Where a finished generation's artifact lies."""
    return run.folder / "models" / f"generation-{index}"


def finished_model(
    run: str | Path | Run, generation: int = -1, *, weights: str | None = None, device: str | None = None
) -> Finished:
    """A finished generation's model; negative numbers count from the last.

    `weights`: "average", "student" or "selected"; by default the average where one was kept. Raises `SslkitError` for
    everything a user can mend.
    """
    require_timm()
    run = run if isinstance(run, Run) else Run(run)
    place: torch.device = choose_device(device)
    recipe, warnings = recipe_of(run)
    index = number_of(run, recipe, generation)
    card = read_card(model_folder(run, index))
    weights = weights or kept(model_folder(run, index))[0]
    classifier = trained(run, recipe, recipe.generations[index], place, card["facts"]["channels"], weights)
    if hash_of(run.table()) != recipe.hash:
        warnings.append(EDITED)
    return Finished(run, recipe, index, weights, card, classifier, tuple(warnings))
