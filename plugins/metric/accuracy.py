"""Accuracy: of the model on held-out images, and of the pseudo-labels it was taught with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import Classifier, Data, Targets, hookimpl

from .judging import pseudo_label_numbers


def accuracy(label: Tensor, truth: Tensor) -> float | None:
    """Share of rows whose label is true, among those whose truth is known (>= 0); None without any. (N,), (N,)."""
    known = truth >= 0
    return float((label == truth)[known].double().mean()) if known.any() else None


@dataclass(eq=False, kw_only=True)
class Accuracy:
    """Share of right answers: `test_accuracy` and `validation_accuracy`, where truth is known.

    With stored pseudo-labels also `kept_share`, the share of the pool that passed every filter, and
    `pseudo_label_accuracy` over those images, each counted once however many copies of it are drawn, and none that is
    labeled, too: its label was taught. What cannot be measured (no split, no known truth, nothing kept) is left out.
    """

    @hookimpl
    def measure(self, model: Classifier, data: Data, stored: Targets | None) -> dict[str, float]:
        """Accuracies of what is there to measure."""
        numbers: dict[str, float | None] = {}
        for name in ("test", "validation"):
            images = data.splits.get(name)
            if images is not None and images.known:
                numbers[f"{name}_accuracy"] = accuracy(model(images).argmax(1), torch.as_tensor(images.truth))
        if stored is not None and data.unlabeled is not None:
            numbers |= pseudo_label_numbers(stored, torch.as_tensor(data.hidden_truth))
        return {name: number for name, number in numbers.items() if number is not None}
