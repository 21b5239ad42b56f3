"""Agreement of a student with itself: its answer to one view is what it learns on others."""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Interval

from sslkit import Forward, LossTerm, Step, global_mean, hookimpl

from ..probabilities import divergence, sharpen
from ..views import batch_of_views


@dataclass(eq=False, kw_only=True)
class ViewDivergence:
    """KL divergence from the student's answer to the first view of `on` to its answers to the others, KL(p1 || pi).

    The first answer is a target: it carries no gradient. Between weak, medium and strong views this is SequenceMatch
    (Nguyen 2023, arXiv 2310.15787). Raises `RecipeError` where `on` names one view, or views of different streams.
    """

    weight: float = 1.0
    "Weight of the term in the objective; may be negative."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 1.0
    "T that sharpens the first view's answer: 1 changes nothing, smaller is harder."
    masked: bool = True
    "Weigh rows as their targets are weighed, so that what the filters rejected teaches nothing; else all rows alike."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all views but the first."""
        first, *others = on
        takes = "it takes two views or more of one stream, the first of which teaches the others"
        batch = batch_of_views("[[loss]] view_divergence", step, on, takes)
        probs = forward(first).logits.detach().softmax(1)
        probs = sharpen(probs, self.temperature) if self.temperature != 1 else probs
        weight = batch.targets_of(first).weight if self.masked else probs.new_ones(len(probs))
        rows = [divergence(forward(view).logits, probs, weight) for view in others]
        return LossTerm(global_mean(torch.cat(rows)), self.weight)
