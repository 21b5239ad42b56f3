"""Class balance: every class teaches equally often, scarce ones repeated, abundant ones thinned."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Interval, Unit
from torch import Tensor

from sslkit import Batch, Targets, hookimpl
from sslkit.errors import RecipeError

BINS = 100
"Confidence is cut into steps of 1 / BINS."


def balanced_copies(label: Tensor, confidence: Tensor, kept: Tensor, per_class: int, max_copies: float = 0.0) -> Tensor:
    """How often each row is to be drawn so that each predicted class is drawn `per_class` times.

    Of each class, thresholds go down in steps of 0.01 until `per_class` rows lie above (or none is left below); those n
    rows get `per_class / n` copies each, all others 0. `label`, `confidence`, `kept` (bool): (N,) -> (N,).
    `per_class = 0` takes the mean over the classes that have rows; `max_copies = 0` sets no limit.
    """
    grid = torch.arange(BINS + 1, device=label.device).to(confidence.dtype) / BINS
    step = (torch.bucketize(confidence, grid, right=True) - 1).clamp(0, BINS)
    classes = int(label.max()) + 1 if len(label) else 0
    cells = (label * (BINS + 1) + step)[kept]
    counts = torch.bincount(cells, minlength=classes * (BINS + 1)).view(classes, BINS + 1)
    above = counts.flip(1).cumsum(1).flip(1)  # (K, BINS + 1): rows of a class at or above each threshold
    wanted = per_class or float(above[:, 0].sum() / (above[:, 0] > 0).sum().clamp(min=1))
    # `above` falls with the threshold: the highest one that leaves enough is the last of those that do.
    cut = ((above >= wanted).sum(1) - 1).clamp(min=0)
    count = above.gather(1, cut[:, None]).squeeze(1).clamp(min=1)
    copies = (wanted / count.to(confidence.dtype))[label]
    copies = copies.clamp(max=max_copies) if max_copies else copies
    return torch.where(kept & (step >= cut[label]), copies, 0.0)


@dataclass(eq=False, kw_only=True)
class ClassBalance:
    """Draw each predicted class equally often in the pool: duplicate scarce classes, thin abundant ones at random.

    Xie et al. 2020, sec. 3.1, in the form of the official `filter_unlabel.py`: of each class the most confident images
    down to a threshold on a grid of 0.01, all of them equally often. It counts only what earlier filters kept; a class
    of which nothing was kept stays empty. Works on the whole pool; raises `RecipeError` where labels are made by step.
    """

    needs: ClassVar = ("confidence",)
    "A trait: of one-hot targets no image is surer than another."
    timing: ClassVar = "pool"
    "A trait: a step's batch is too small to balance."
    per_class: Annotated[int, Ge(0), Unit("draws")] = 0
    "Draws of each class in a pass over the pool; 0 takes the mean over the classes present: the pool keeps its size."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.0
    "Smallest top probability that is kept, beside what earlier filters demand; the paper's is 0.3."
    max_copies: Annotated[float, Ge(0), Unit("copies")] = 0.0
    "Most copies of one image, so that a rare class does not repeat a few images for ever; 0 sets no limit."

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """New `copies`; rows that get none lose their weight."""
        if batch is not None:
            raise RecipeError(
                "[[labeler]] class_balance: balances the whole pool, but labels are made at each step. "
                'Set labels = "pool" (or "both", with when = "pool" here), or leave it out'
            )
        kept = targets.kept & (targets.confidence >= self.threshold)
        copies = balanced_copies(targets.label, targets.confidence, kept, self.per_class, self.max_copies)
        return replace(targets, copies=copies, weight=torch.where(copies > 0, targets.weight, 0.0))
