"""A threshold relative to labeled images: what counts as sure is what the teacher is sure of there."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Batch, Forward, Targets, hookimpl
from sslkit.errors import RecipeError

from ..probabilities import kept_only
from ..views import is_labeled


def relative_threshold(labeled: Tensor, share: float) -> Tensor:
    """`share` of the mean confidence of labeled rows: (N, K) probabilities -> ().

    Berthelot et al. 2022 (AdaMatch): c_tau, the relative confidence threshold.
    """
    return share * labeled.detach().amax(1).mean()


@dataclass(eq=False, kw_only=True)
class RelativeConfidence:
    """Filter out pseudo-labels that are less sure than a share of the teacher's mean confidence in labeled images.

    AdaMatch (Berthelot et al. 2022, arXiv 2106.04732): early on, or far from the labeled images, a fixed threshold
    would let nothing through. `on` names the labeled views, weakly perturbed; their answers come from the same pass
    that the losses use. Raises `RecipeError` where `on` names none or one of the unlabeled stream, or where labels are
    made for a whole pool.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets pass every threshold."
    timing: ClassVar = "step"
    "A trait: it compares with the labeled images of a step."
    share: Annotated[float, Interval(ge=0, le=1)] = 0.9
    "Share of the labeled images' mean top probability that is enough (the paper's tau)."

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, forward: Forward | None, on: tuple[str, ...]) -> Targets:
        """Weight 0 for rows below the threshold."""
        if batch is None or forward is None:
            raise RecipeError(
                "[[labeler]] relative_confidence: compares with the labeled images of a step, but labels are made for "
                'the whole pool. Set `labels = "step"`, or filter by `confidence`'
            )
        if not on:
            raise RecipeError(
                "[[labeler]] relative_confidence: has no view to compare with. Name the labeled ones in `on`, such as "
                'on = "labeled"'
            )
        if wrong := [view for view in on if not is_labeled(view, batch)]:
            raise RecipeError(
                f"[[labeler]] relative_confidence: `on` names {', '.join(wrong)}, of the unlabeled stream; it takes "
                'views of the labeled stream, which say how sure is sure enough: on = "labeled"'
            )
        threshold = relative_threshold(torch.cat([forward(view).logits.softmax(1) for view in on]), self.share)
        return kept_only(targets, targets.confidence >= threshold)
