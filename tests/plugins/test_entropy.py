import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from sslkit import Outputs
from sslkit_plugins.loss.entropy import Entropy, entropy


def test_entropy_by_hand() -> None:
    probs = torch.tensor([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(entropy(probs.log()), torch.tensor([1.5 * math.log(2), math.log(3)]))


def test_a_sure_answer_has_none_and_a_finite_gradient() -> None:
    logits = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    made = entropy(logits).sum()
    made.backward()
    assert made == 0 and logits.grad is not None and bool(logits.grad.isfinite().all())


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 999))
def test_entropy_is_within_its_bounds_and_blind_to_order(rows: int, classes: int, seed: int) -> None:
    logits = 5 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    made = entropy(logits)
    assert bool((made >= 0).all()) and bool((made <= math.log(classes) + 1e-5).all())
    torch.testing.assert_close(made, torch.distributions.Categorical(logits=logits).entropy())
    assert torch.equal(entropy(logits.flip(0)), made.flip(0))
    torch.testing.assert_close(entropy(logits.flip(1)), made)


def test_views_are_one_mean_and_its_gradient_sharpens() -> None:
    logits = {name: torch.randn(rows, 3).requires_grad_() for name, rows in (("weak", 4), ("strong", 2))}
    term = Entropy(weight=0.06).loss(lambda view, model=None: Outputs(logits[view]), ("weak", "strong"))
    torch.testing.assert_close(term.value, entropy(torch.cat([logits["weak"], logits["strong"]])).mean())
    assert term.weight == 0.06
    (gradient,) = torch.autograd.grad(term.value, logits["weak"])
    assert bool((entropy(logits["weak"] - gradient) < entropy(logits["weak"])).all())
