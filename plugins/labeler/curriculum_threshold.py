"""Curriculum pseudo-labeling: the less of the pool a class has been learned on, the lower its threshold."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Batch, Facts, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import Rows
from ..probabilities import kept_only

Mapping = Literal["convex", "linear", "concave"]


def class_counts(label: Tensor, classes: int) -> Tensor:
    """How many rows have no label, and each class: (N,) integers, -1 for none -> (1 + K,)."""
    return torch.bincount(label + 1, minlength=classes + 1)


def learning_status(counts: Tensor, warmup: bool = True) -> Tensor:
    """How well each class is learned, by the `class_counts` of the last confident labels: (1 + K,) -> (K,) in 0-1.

    beta_c = n_c / max(max_k n_k, number unset), without `warmup` n_c / max_k n_k (Zhang et al. 2021, sec. 3.1 and 3.2);
    0 while there is none.
    """
    most = counts.max() if warmup else counts[1:].max()
    return counts[1:] / most.clamp(min=1)


def mapped(status: Tensor, mapping: Mapping) -> Tensor:
    """Share of the threshold at a status: x / (2 - x), x, or ln(x + 1) / ln 2. (K,) -> (K,).

    Zhang et al. 2021, sec. 3.3. Each takes 0 to 0 and 1 to 1, and grows.
    """
    if mapping == "convex":
        return status / (2 - status)
    return status if mapping == "linear" else status.log1p() / math.log(2)


@dataclass(eq=False, kw_only=True)
class CurriculumThreshold:
    """Filter by a threshold for each class, which rises as the pool's images become confident members of that class.

    FlexMatch (Zhang et al. 2021, arXiv 2110.08263, sec. 3): every image's last class with a confidence above
    `threshold` is remembered; a row of a class that has n of the N images is kept above threshold * mapping(n / most).
    Thresholds come from before the step, then its own confident images are noted (the official order); a whole pool is
    noted first. Belongs before `hard_labels`. Labels of labeled images are filtered, but not counted. Raises
    `RecipeError` without unlabeled images.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets pass every threshold."
    about: ClassVar = ("student",)
    "A trait: another student has everything to learn."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.95
    "Top probability at which an image counts for its class; the threshold of the class that is learned best."
    mapping: Mapping = "convex"
    "How thresholds grow with a class's share: slowly at first (`convex`), in proportion, or fast at first (`concave`)."
    warmup: bool = True
    "Compare with the images that count for no class yet, so that thresholds rise from 0 while these are the most."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """No image counts for a class yet."""
        if "unlabeled" not in facts.sizes:
            raise RecipeError(
                "[[labeler]] curriculum_threshold: counts the classes of the unlabeled images, and the data has none. "
                "Ask [data] for some, or filter by `confidence`"
            )
        self._classes = len(facts.classes)
        dtype = torch.int16 if self._classes < 2**15 else torch.int32
        self.label_ = Rows(facts.sizes["unlabeled"], fill=-1, dtype=dtype, device=facts.device)
        self._counts = class_counts(self.label_.values, self._classes)

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """Weight 0 for rows below their class's threshold."""
        if batch is None and len(targets.index) != len(self.label_):
            raise RecipeError(
                f"[[labeler]] curriculum_threshold: was given {len(targets.index)} labels of a pool of "
                f"{len(self.label_)}"
            )
        label, confidence = targets.label, targets.confidence
        if batch is None:
            self._note(targets.index, label, confidence >= self.threshold)
            self._counts = class_counts(self.label_.values, self._classes)
        thresholds = self.threshold * mapped(self.status().to(confidence), self.mapping)
        if batch is not None and batch.stream == "unlabeled":
            old = self.label_.read(targets.index)
            noted = self._note(targets.index, label, confidence >= self.threshold)
            change = self._members(self.label_.read(targets.index)) - self._members(old)
            self._counts = self._counts + (change * noted[:, None]).sum(0)
        return kept_only(targets, confidence >= thresholds[label])

    def status(self) -> Tensor:
        """How well each class is learned: (K,)."""
        return learning_status(self._counts, self.warmup)

    def _note(self, index: Tensor, label: Tensor, confident: Tensor) -> Tensor:
        """Each confident image's class; the rows that tell it, (M,) bool."""
        return self.label_.write(index, label, confident)

    def _members(self, label: Tensor) -> Tensor:
        """One-hot rows of no class and each class, as integers: (M,) -> (M, 1 + K)."""
        return (label[:, None] == torch.arange(-1, self._classes, device=label.device)).long()

    def state_dict(self) -> dict[str, Any]:
        """Each image's last confident class."""
        return {"label": self.label_.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.label_.load(state["label"])
        self._counts = class_counts(self.label_.values, self._classes)
