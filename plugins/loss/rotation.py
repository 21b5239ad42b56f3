"""Rotation prediction: a head that tells by how many quarters an image was turned, which needs no labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Forward, LossTerm, Progress, Step, View, global_mean, hookimpl

from ..heads import feature_width

TURNS = 4
HEAD = "rotation"
"Name of the head among the student's."


def draw_turns(rows: int, generator: torch.Generator) -> Tensor:
    """(rows,) whole numbers from 0 to 3, each as likely."""
    return torch.randint(TURNS, (rows,), generator=generator)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Each image turned counter-clockwise by its number of quarters. (N, C, H, H), (N,) on the CPU -> (N, C, H, H)."""
    result = images.clone()
    for quarters in range(1, TURNS):
        rows = (turns == quarters).nonzero()[:, 0].to(images.device)
        result[rows] = torch.rot90(images[rows], quarters, (2, 3))
    return result


@dataclass(eq=False, kw_only=True)
class Rotation:
    """Turn the images of `on` by 0, 90, 180 or 270 degrees, and let a head of the student's features tell by how much.

    Gidaris et al. 2018 (RotNet, arXiv 1803.07728), eq. 2 and 3; in semi-supervised training Zhai et al. 2019 (S4L),
    Berthelot et al. 2020 (ReMixMatch, sec. 3.3) and Fan et al. 2021 (CRMatch). Each row is turned by a draw of its own,
    after labels are made. The cross-entropy is averaged over all rows; pseudo-labels play no part. Other losses see
    these views turned: give this loss views of its own, in a [[pass]] of their own where labels are read from the
    student's.
    """

    weight: float = 1.0
    "Weight of the term in the objective; ReMixMatch takes 0.5, CRMatch 1."

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """One linear layer, (N, D) -> (N, 4). Raises `RecipeError` where a model does not tell its features' width."""
        return {HEAD: nn.Linear(feature_width(student), TURNS)}

    @hookimpl
    def mix(self, step: Step, on: tuple[str, ...], progress: Progress) -> Step:
        """The step with turned views; targets go with their rows."""
        views = [step.batch_of(name).views[name] for name in on]
        return step.with_views(
            *(View(view.name, turned(view.images, self._turns(view, progress)), view.targets) for view in views)
        )

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...], progress: Progress) -> LossTerm:
        """One term over all views of `on`; by how much each row was turned is drawn as `mix` drew it."""
        logits = torch.cat([forward(view).heads[HEAD] for view in on])
        turns = torch.cat([self._turns(step.batch_of(name).views[name], progress) for name in on])
        rows = functional.cross_entropy(logits, turns.to(logits.device), reduction="none")
        return LossTerm(global_mean(rows), self.weight)

    def _turns(self, view: View, progress: Progress) -> Tensor:
        """The draws of a view at this step: `mix` and `loss` have the same key."""
        return draw_turns(len(view.images), progress.torch(view.name))
