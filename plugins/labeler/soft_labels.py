"""Soft pseudo-labels: the teacher's probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import Batch, Forward, Targets, hookimpl
from sslkit.errors import RecipeError


def mean_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Probabilities averaged over views: V tensors (N, K) of logits -> (N, K)."""
    return torch.stack([answer.softmax(1) for answer in logits]).mean(0)


@dataclass(eq=False, kw_only=True)
class SoftLabels:
    """Label images by the teacher's probabilities, averaged over the views of `on`.

    One view: Xie et al. 2020, sec. 2; several: Berthelot et al. 2019 (MixMatch, eq. 6). Raises `RecipeError` where none
    of the views shows the stream that is to be labeled.
    """

    @hookimpl
    def label(self, batch: Batch, forward: Forward, on: tuple[str, ...]) -> Targets:
        """The teacher's mean probabilities, all of them kept."""
        views = [view for view in on if view in batch.views]
        if not views:
            raise RecipeError(
                f"[[labeler]] soft_labels: `on` names no view of the {batch.stream} stream, which is to be labeled; "
                f"its views: {', '.join(batch.views) or 'none'}"
            )
        return Targets.of(batch.index, mean_probabilities([forward(view).logits for view in views]))
