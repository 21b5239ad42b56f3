import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from sslkit import Batch, Outputs, Progress, Step, Targets, View
from sslkit.errors import RecipeError
from sslkit_plugins.loss.cross_entropy import cross_entropy
from sslkit_plugins.loss.divergence import Divergence
from sslkit_plugins.loss.view_divergence import ViewDivergence
from sslkit_plugins.probabilities import divergence, harden, sharpen


def random(rows: int, seed: int, classes: int = 3) -> Tensor:
    return 2 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kl(probs: Tensor, logits: Tensor) -> Tensor:
    return kl_divergence(Categorical(probs=probs), Categorical(logits=logits))


def test_divergence_by_hand() -> None:
    logits = torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.25, 0.75]], dtype=torch.float64).log() + 3
    probs = torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.25, 0.75]], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([0.5 * math.log(4 / 3), 2 * math.log(2), 0], dtype=torch.float64)
    torch.testing.assert_close(divergence(logits, probs, weight), expected)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 999))
def test_divergence_is_what_torch_says_and_never_negative(rows: int, seed: int) -> None:
    logits, probs = random(rows, seed), random(rows, seed + 1).softmax(1)
    weight = torch.rand(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    made = divergence(logits, probs, weight)
    torch.testing.assert_close(made, kl(probs, logits) * weight)
    assert bool((made >= -1e-12).all())
    order = torch.arange(rows).flip(0)
    torch.testing.assert_close(divergence(logits[order], probs[order], weight[order]), made[order])
    torch.testing.assert_close(divergence(probs.log(), probs, weight), torch.zeros(rows, dtype=torch.float64))


def test_divergence_has_the_gradient_of_the_cross_entropy_and_gives_targets_none() -> None:
    probs, weight = random(4, 1).softmax(1), torch.rand(4, dtype=torch.float64)
    gradients = []
    for loss in (divergence, cross_entropy):
        given_ = [random(4, 0).requires_grad_(), probs.clone().requires_grad_(), weight.clone().requires_grad_()]
        loss(*given_).sum().backward()  # type: ignore[no-untyped-call]
        assert given_[1].grad is None and given_[2].grad is None
        gradients.append(given_[0].grad)
    torch.testing.assert_close(*gradients)


# The plugins ------------------------------------------------------------------------------------------------------

LOGITS = {name: random(6, seed) for seed, name in enumerate(("weak", "medium", "strong"))}
WEIGHT = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0, 0.0], dtype=torch.float64)


class Asked:
    """Answers by name, with a gradient for each view."""

    def __init__(self) -> None:
        self.logits = {name: logits.clone().requires_grad_() for name, logits in LOGITS.items()}

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        return Outputs(self.logits[view if isinstance(view, str) else view.name])


def step() -> Step:
    images = torch.zeros(6, 3, 4, 4)
    views = {name: View(name, images) for name in LOGITS}
    made = Targets.of(torch.arange(6), LOGITS["weak"].softmax(1))
    targets = replace(made, probs=harden(made.probs), weight=WEIGHT)
    labeled = Batch("labeled", torch.arange(2), torch.arange(2), {"labeled": View("labeled", images[:2])}, classes=3)
    return Step(labeled, Batch("unlabeled", torch.arange(6), torch.arange(6), views, targets=targets), Progress(0))


@pytest.mark.parametrize(
    ("rows", "weight"),
    [("kept", WEIGHT), ("rejected", torch.tensor([0, 1, 0.5, 0, 1, 1]).double()), ("all", torch.ones(6).double())],
)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_rows_temperature_and_source(rows: str, weight: Tensor, temperature: float) -> None:
    raw = (LOGITS["weak"] / temperature).softmax(1)
    fields = {"rows": rows, "temperature": temperature, "weight": 0.3}
    term = Divergence(source="raw", **fields).loss(step(), Asked(), ("strong",))  # type: ignore[arg-type]
    torch.testing.assert_close(term.value, (kl(raw, LOGITS["strong"]) * weight).sum() / 6)
    assert term.weight == 0.3
    hard = Divergence(**fields).loss(step(), Asked(), ("strong",))  # type: ignore[arg-type]
    own = torch.nn.functional.cross_entropy(LOGITS["strong"], LOGITS["weak"].argmax(1), reduction="none")
    torch.testing.assert_close(hard.value, (own * weight).mean())


def test_the_temperature_is_not_ignored() -> None:
    """Sharpened targets are other ones (USB's UDA passes T to a function that drops it)."""
    values = [
        Divergence(source="raw", temperature=t).loss(step(), Asked(), ("strong",)).value.item() for t in (1.0, 0.4)
    ]
    assert abs(values[0] - values[1]) > 1e-3


def test_kept_and_rejected_rows_are_all_rows() -> None:
    kept, rejected, every = (
        Divergence(source="raw", rows=rows).loss(step(), Asked(), ("strong", "medium")).value  # type: ignore[arg-type]
        for rows in ("kept", "rejected", "all")
    )
    torch.testing.assert_close(kept + rejected, every)


@pytest.mark.parametrize("masked", [True, False])
def test_the_first_view_teaches_the_others(masked: bool) -> None:
    forward = Asked()
    term = ViewDivergence(masked=masked, temperature=0.5).loss(step(), forward, ("weak", "medium", "strong"))
    probs, weight = sharpen(LOGITS["weak"].softmax(1), 0.5), WEIGHT if masked else torch.ones(6).double()
    both = torch.cat([kl(probs, LOGITS["medium"]) * weight, kl(probs, LOGITS["strong"]) * weight])
    torch.testing.assert_close(term.value, both.mean())
    term.value.backward()  # type: ignore[no-untyped-call]
    assert forward.logits["weak"].grad is None
    assert all(bool(forward.logits[name].grad.any()) for name in ("medium", "strong"))  # type: ignore[union-attr]


@pytest.mark.parametrize("on", [("weak",), ("labeled", "weak")])
def test_views_that_cannot_be_compared(on: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="two views or more of one stream"):
        ViewDivergence().loss(step(), Asked(), on)
