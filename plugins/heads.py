"""Heads that losses put on the student: they read what its classifier reads."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sslkit import Outputs
from sslkit.errors import RecipeError


def feature_width(student: Any) -> int:
    """D, the width of what the student's classifier reads. `student`: a network as `extend_model` is given it.

    Raises `RecipeError` for a model that does not say it.
    """
    model = getattr(student, "model", student)
    classifier = getattr(model, "get_classifier", lambda: None)()
    width = getattr(classifier, "in_features", None) or getattr(model, "num_features", None)
    if not isinstance(width, int):
        raise RecipeError(f"{type(model).__name__} says neither `get_classifier()` nor `num_features`: no head fits it")
    return width


class Projection(nn.Module):
    """(N, D) -> (N, width), rows of length 1: a perceptron with one hidden layer, leaky ReLU 0.1 between.

    The embeddings that contrastive losses and memories compare by their scalar products.
    """

    def __init__(self, features: int, width: int, hidden: int = 0) -> None:
        super().__init__()
        hidden = hidden or features
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, width))

    def forward(self, features: Tensor) -> Tensor:
        """The embeddings."""
        return functional.normalize(self.layers(features), dim=1)


def embeddings(outputs: Outputs, head: str, plugin: str) -> Tensor:
    """What a head answered, (N, width); with `head = ""` what the classifier reads, (N, D), its rows of length 1.

    `plugin` asks. Raises `RecipeError` where the model has no such head.
    """
    if head in outputs.heads:
        return outputs.heads[head]
    if head or outputs.features is None:
        known = ", ".join(f"`{name}`" for name in outputs.heads) or "none"
        raise RecipeError(
            f'{plugin}: `head = "{head}"`, but the model has no such head (it has {known}). Add a plugin that makes '
            "one, such as [[loss]] graph_contrast, or name its head"
        )
    return functional.normalize(outputs.features, dim=1)
