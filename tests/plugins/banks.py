"""A step of plugins that compare embeddings: forward answers what a test says, and remembers who asked."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sslkit import Batch, Facts, Outputs, Progress, Step, Targets, View

CPU = torch.device("cpu")


def rows(count: int, width: int, seed: int) -> Tensor:
    """Embeddings of length 1, in float64."""
    made = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(made, dim=1)


def probabilities(count: int, classes: int, seed: int) -> Tensor:
    """Rows that sum to one, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(count, classes, generator=generator, dtype=torch.float64)).softmax(1)


def facts(labeled: int = 4, **batch: int) -> Facts:
    """Three classes."""
    batch = {"labeled": 2, "unlabeled": 3} | batch
    return Facts(("a", "b", "c"), (2, 1, 1), {"labeled": labeled, "unlabeled": 9}, batch, 8, 3, CPU)


@dataclass
class Answers:
    """Each view's embeddings, by the head's name."""

    head: str
    views: dict[str, Tensor]
    asked: list[str] = field(default_factory=list)

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        name = view if isinstance(view, str) else view.name
        self.asked.append(name)
        own = self.views[name]
        return Outputs(own.new_zeros(len(own), 3), own, {self.head: own})


def step(probs: Tensor, labeled: list[int], truth: list[int], weight: Tensor | None = None) -> Step:
    """Labeled images by their positions, and as many unlabeled ones as there are rows of targets."""
    targets = Targets.of(torch.arange(len(probs)), probs)
    targets = targets if weight is None else replace(targets, weight=weight)
    images = torch.zeros(len(probs), 3, 4, 4)
    one = Batch(
        "labeled", torch.tensor(labeled), torch.arange(len(labeled)), {"labeled": View("labeled", images[: len(labeled)])},
        torch.tensor(truth), classes=3,
    )  # fmt: skip
    views = {name: View(name, images) for name in ("weak", "strong", "contrast")}
    other = Batch("unlabeled", targets.index, targets.index, views, targets=targets, classes=3)
    return Step(one, other, Progress(0))
