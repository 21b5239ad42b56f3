"""Adaptive thresholds: as the teacher gets surer, so must its pseudo-labels be, class by class."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor

from sslkit import Batch, Facts, Targets, hookimpl

from ..memory import moved
from ..probabilities import kept_only


def class_thresholds(level: Tensor, marginal: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Thresholds clamp(level) * marginal / max marginal: (), (K,) -> (K,). Wang et al. 2023 (FreeMatch), eq. 7.

    The level, that of the most expected class, is kept between two bounds first (sec. 5.1: 0.9 and 0.95 on SVHN).
    """
    return level.clamp(low, high) * marginal / marginal.amax()


@dataclass(eq=False, kw_only=True)
class AdaptiveThreshold:
    """Filter by a threshold for each class that follows the teacher's own confidence.

    FreeMatch (Wang et al. 2023, arXiv 2205.07246, eq. 5-8): moving averages of the batches' mean confidence, tau, and
    of their mean prediction, p~, both starting at 1 / K and taking in a step's own batch first; a row of class c is
    kept where its confidence reaches tau * p~(c) / max p~ (Algorithm 1; eq. 8 has > for >=). A whole pool has its own
    means. Labels of labeled images are filtered, but not counted.
    """

    needs: ClassVar = ("confidence",)
    "A trait: one-hot targets pass every threshold."
    about: ClassVar = ("student",)
    "A trait: the averages are of this student's confidence."
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.999
    "Share of the old averages in the new ones."
    low: Annotated[float, Interval(ge=0, le=1)] = 0.0
    "Least tau; the paper's on SVHN is 0.9, where a low one early on lets wrong labels in for good."
    high: Annotated[float, Interval(ge=0, le=1)] = 1.0
    "Greatest tau, which no class's threshold exceeds; the paper's on SVHN is 0.95. It wins over `low`."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """No class is expected more than another, and nobody is sure of anything."""
        classes = len(facts.classes)
        self.level_ = torch.tensor(1 / classes, device=facts.device)
        self.marginal_ = torch.full((classes,), 1 / classes, device=facts.device)

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """Weight 0 for rows below their class's threshold."""
        confidence, label = targets.confidence, targets.label
        level, marginal = confidence.mean(), targets.probs.mean(0)
        if batch is not None:
            if batch.stream == "unlabeled":
                self.level_ = moved(self.level_, level, self.decay)
                self.marginal_ = moved(self.marginal_, marginal, self.decay)
            level, marginal = self.level_.to(confidence), self.marginal_.to(confidence)
        thresholds = class_thresholds(level, marginal, self.low, self.high)
        return kept_only(targets, confidence >= thresholds[label])

    def state_dict(self) -> dict[str, Any]:
        """Both averages."""
        return {"level": self.level_, "marginal": self.marginal_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.level_ = torch.as_tensor(state["level"]).to(self.level_)
        self.marginal_ = torch.as_tensor(state["marginal"]).to(self.marginal_)
