"""Distance between features: what a strong view's features tell is to differ from what its weak view's tell."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Unit
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Forward, LossTerm, Step, global_mean, hookimpl

from ..heads import embeddings, feature_width
from ..views import batch_of_views

NAME = "[[loss]] feature_distance"


def closeness(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """How much a row's features point the same way, weight * max(0, cosine): (N, D), (N, D), (N,) -> (N,).

    Fan et al. 2021, sec. 3, "FeatDistLoss", in the form of a cosine embedding loss of unlike pairs. Weights receive no
    gradient; both features do.
    """
    return functional.cosine_similarity(one, other, dim=1).clamp(min=0) * weight.detach()


@dataclass(eq=False, kw_only=True)
class FeatureDistance:
    """Push the features of two views of an image apart, while other losses draw their predictions together.

    Fan, Kukleva & Schiele 2021 (CRMatch, arXiv 2112.05825): the classifier then is what becomes invariant, and features
    still tell how an image was changed. A linear head on the features is what is compared. `on` names two views of one
    stream; rows that a filter left out count as zeros in the mean. Raises `RecipeError` for another number of views.
    """

    weight: float = 1.0
    "Weight of the term in the objective; a negative one draws the features together instead."
    head: str = "distance"
    "Name of the head that this plugin puts on the model."
    width: Annotated[int, Ge(0), Unit("dimensions")] = 0
    "Length of what the head answers; 0 takes that of the features, as the paper does."

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """The head: one linear layer."""
        features = feature_width(student)
        return {self.head: nn.Linear(features, self.width or features)}

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all rows."""
        takes = 'it compares two views of the same images, such as on = ["strong", "weak"]'
        weight = batch_of_views(NAME, step, on, takes, exactly=2).targets_of(on[0]).weight
        one, other = (embeddings(forward(view), self.head, NAME) for view in on)
        return LossTerm(global_mean(closeness(one, other, weight)), self.weight)
