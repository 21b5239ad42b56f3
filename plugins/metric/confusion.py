"""The confusion matrix: which classes a model takes for which."""

from dataclasses import dataclass
from typing import Any

from sslkit import Classifier, Data, Progress, hookimpl

from .splits import confusion_matrix, held_out


@dataclass(eq=False, kw_only=True)
class Confusion:
    """Confusion matrix: `test_confusion` and `validation_confusion`, each with `classes` and `matrix`.

    `matrix[i][j]` is how many images of class i are taken for class j. Where truth is known; at a generation's end
    only.
    """

    @hookimpl
    def measure(self, model: Classifier, data: Data, progress: Progress) -> dict[str, Any]:
        """A matrix for each split that is there to measure."""
        if progress.step < progress.steps:
            return {}
        classes = list(data.classes)
        return {
            f"{split}_confusion": {
                "classes": classes,
                "matrix": confusion_matrix(probs.argmax(1), truth, len(classes)).tolist(),
            }
            for split, probs, truth in held_out(model, data)
        }
