"""Top-k accuracy: whether the true class is among a model's k first guesses."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Unit
from torch import Tensor

from sslkit import Classifier, Data, hookimpl

from .splits import held_out


def top_accuracy(probs: Tensor, truth: Tensor, k: int) -> float:
    """Share of rows whose true class is among their k most probable. (N, K), (N,) -> a number from 0 to 1.

    Of equal probabilities the class that comes first counts as the more probable one, as in `argmax`.
    """
    guesses = probs.argsort(dim=1, descending=True, stable=True)[:, :k]
    return float((guesses == truth[:, None]).any(1).double().mean())


@dataclass(eq=False, kw_only=True)
class TopAccuracy:
    """Share of images whose true class is among the `k` most probable: `test_top_5_accuracy`, and of validation images.

    Where truth is known. With `k` classes or fewer it would be 100% whatever the model answers: then it is left out,
    and `top_5_note` says so.
    """

    k: Annotated[int, Ge(1), Unit("classes")] = 5
    "Guesses that a model has for each image."

    @hookimpl
    def measure(self, model: Classifier, data: Data) -> dict[str, float | str]:
        """Top-k accuracies of what is there to measure."""
        count, name = len(data.classes), f"top_{self.k}"
        if count <= self.k:
            return {f"{name}_note": f"top-{self.k} accuracy is left out: with {count} classes it is always 100%"}
        return {
            f"{split}_{name}_accuracy": top_accuracy(probs, truth, self.k)
            for split, probs, truth in held_out(model, data)
        }
