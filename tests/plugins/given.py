"""What the tests of labelers that remember are given: batches, facts, answers."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Facts, Outputs, Targets, View

CPU = torch.device("cpu")


def facts(classes: int = 3, counts: tuple[int, ...] | None = None) -> Facts:
    """Facts of `classes` classes."""
    names = tuple("abcdefgh"[:classes])
    sizes, batch = {"labeled": 6, "unlabeled": 20}, {"labeled": 4, "unlabeled": 8}
    return Facts(names, counts or (2,) * classes, sizes, batch, 16, 3, CPU)


def targets(probs: Tensor | list[list[float]]) -> Targets:
    """Fresh targets."""
    probs = torch.as_tensor(probs)
    return Targets.of(torch.arange(len(probs)), probs)


def batch(rows: int, stream: str = "unlabeled") -> Batch:
    """A batch of a stream with one view, `weak` or `labeled`."""
    name = "weak" if stream == "unlabeled" else "labeled"
    return Batch(stream, torch.arange(rows), torch.arange(rows), {name: View(name, torch.zeros(rows, 3, 4, 4))})


def random_probs(rows: int, classes: int = 3, seed: int = 0, sure: float = 2.0) -> Tensor:
    """Probabilities from random logits."""
    return (sure * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))).softmax(1)


def answering(logits: Mapping[str, Tensor], asked: list[str] | None = None) -> Callable[..., Outputs]:
    """A forward that answers given logits, and notes what it was asked for."""

    def forward(view: str | View, model: str | None = None) -> Outputs:
        name = view if isinstance(view, str) else view.name
        if asked is not None:
            asked.append(name)
        return Outputs(logits[name])

    return forward


@st.composite
def probabilities(draw: st.DrawFn) -> Tensor:
    """(N, K) probabilities, nearly even or nearly one-hot."""
    rows, classes, seed = draw(st.integers(1, 8)), draw(st.integers(2, 6)), draw(st.integers(0, 999))
    return random_probs(rows, classes, seed, draw(st.sampled_from([0.1, 1.0, 10.0, 60.0])))


def permuted(given: Targets, order: Tensor) -> Targets:
    """The same rows in another order."""
    return replace(given, **{name: getattr(given, name)[order] for name in Targets.columns})
