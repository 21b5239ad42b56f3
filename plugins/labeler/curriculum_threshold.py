"""Curriculum pseudo-labeling: the less of the pool a class has been learned on, the lower its threshold."""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Batch, Facts, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import last_of_each

Mapping = Literal["convex", "linear", "concave"]


def learning_status(label: Tensor, classes: int, warmup: bool = True) -> Tensor:
    """How well each class is learned, by the pool's last confident labels: (N,) integers, -1 for none -> (K,) in 0-1.

    beta_c = n_c / max(max_k n_k, number unset), without `warmup` n_c / max_k n_k (Zhang et al. 2021, sec. 3.1 and 3.2);
    0 while there is none.
    """
    counts = torch.bincount(label + 1, minlength=classes + 1)
    most = counts.max() if warmup else counts[1:].max()
    return counts[1:] / most.clamp(min=1)


def mapped(status: Tensor, mapping: Mapping) -> Tensor:
    """Share of the threshold at a status: x / (2 - x), x, or ln(x + 1) / ln 2 (Zhang et al. 2021, sec. 3.3). (K,) -> (K,).

    Each takes 0 to 0 and 1 to 1, and grows.
    """
    if mapping == "convex":
        return status / (2 - status)
    return status if mapping == "linear" else status.log1p() / math.log(2)


@dataclass(eq=False, kw_only=True)
class CurriculumThreshold:
    """Filter by a threshold for each class, which rises as the pool's images become confident members of that class.

    FlexMatch (Zhang et al. 2021, arXiv 2110.08263, sec. 3): every image's last class with a confidence above `threshold`
    is remembered; a row of a class that has n of the N images is kept above threshold * mapping(n / most). Thresholds
    come from before the step, then its own confident images are noted (the official order). Belongs before
    `hard_labels`. Labels of labeled images are filtered, but not counted. Raises `RecipeError` without unlabeled images.
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
        self.label_ = torch.full((facts.sizes["unlabeled"],), -1, dtype=dtype, device=facts.device)

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """Weight 0 for rows below their class's threshold."""
        if batch is None and len(targets.index) != len(self.label_):
            raise RecipeError(
                f"[[labeler]] curriculum_threshold: was given {len(targets.index)} labels of a pool of {len(self.label_)}"
            )
        label, confidence = targets.label, targets.confidence
        thresholds = self.threshold * mapped(self.status().to(confidence), self.mapping)
        if batch is None or batch.stream == "unlabeled":
            self._note(targets.index, label, confidence >= self.threshold)
        return replace(targets, weight=targets.weight * (confidence >= thresholds[label]).to(targets.weight.dtype))

    def status(self) -> Tensor:
        """How well each class is learned: (K,)."""
        return learning_status(self.label_, self._classes, self.warmup)

    def _note(self, index: Tensor, label: Tensor, confident: Tensor) -> None:
        index, label = index[confident], label[confident]
        last = last_of_each(index, len(self.label_))
        self.label_[index[last].to(self.label_.device)] = label[last].to(self.label_)

    def state_dict(self) -> dict[str, Any]:
        """Each image's last confident class."""
        return {"label": self.label_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.label_.copy_(torch.as_tensor(state["label"]))
