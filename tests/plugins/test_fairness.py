import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import answering, facts, random_probs, targets
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Progress, Step, View
from sslkit.errors import RecipeError
from sslkit.testing import check_plugin
from sslkit_plugins.loss.fairness import Fairness, fairness, per_prediction

EVEN = torch.full((3,), 1 / 3)


def step(raw: Tensor, weight: Tensor | None = None) -> Step:
    rows = len(raw)
    made = targets(raw) if weight is None else replace(targets(raw), weight=weight)
    images, index = torch.zeros(rows, 3, 4, 4), torch.arange(rows)
    labeled = Batch("labeled", index[:2], index[:2], {"labeled": View("labeled", images[:2])}, torch.tensor([0, 1]))
    unlabeled = Batch("unlabeled", index, index, {"strong": View("strong", images)}, targets=made, classes=3)
    return Step(labeled, unlabeled, Progress(0))


def begun(**fields: float) -> Fairness:
    plugin = Fairness(**fields)
    plugin.begin(facts())
    return plugin


# The formula ------------------------------------------------------------------------------------------------------


def test_fairness_by_hand() -> None:
    probs = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    marginal, histogram = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.4, 0.4, 0.2])
    # Kept rows predict class 0 twice and class 1 once; their probabilities sum to 1.6, 0.9 and 0.5.
    b = [1.6 / 2 / (0.8 + 0.9), 0.9 / (0.8 + 0.9)]
    ratios = [0.5 / 0.4, 0.3 / 0.4, 0.2 / 0.2]
    expected = (ratios[0] * math.log(b[0]) + ratios[1] * math.log(b[1])) / sum(ratios)
    assert fairness(probs.log(), weight, marginal, histogram).item() == pytest.approx(expected, abs=1e-6)


def test_ratios_by_hand() -> None:
    made = per_prediction(torch.tensor([0.2, 0.3, 0.5]), torch.tensor([0.5, 0.0, 0.5]))
    torch.testing.assert_close(made, torch.tensor([0.4, 0.0, 1.0]) / 1.4)
    assert per_prediction(torch.zeros(3), torch.zeros(3)).tolist() == [0, 0, 0]


@given(st.integers(1, 9), st.integers(2, 6), st.integers(0, 999))
def test_it_is_at_most_zero_whatever_the_order(rows: int, classes: int, seed: int) -> None:
    logits = 3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    marginal, histogram = random_probs(2, classes, seed)
    weight = (random_probs(rows, 2, seed)[:, 0] > 0.3).float()
    value = fairness(logits, weight, marginal, histogram)
    assert bool(value.isfinite()) and value <= 1e-6
    order = torch.arange(rows).flip(0)
    torch.testing.assert_close(fairness(logits[order], weight[order], marginal, histogram), value)
    torch.testing.assert_close(fairness(logits, 5 * weight, marginal, histogram), value)  # a sum or a mean is the same


def test_its_gradient_is_that_of_the_official_code() -> None:
    """There absent classes add log 1e-12, a constant: the slope is the same, to rounding."""
    weight = torch.tensor([1.0, 0, 1, 1, 1, 0])
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.double).requires_grad_()
    marginal, histogram = random_probs(2, 4, 3).double()
    kept = logits[weight.bool()].softmax(1)
    counts = torch.bincount(kept.argmax(1), minlength=4).double()
    assert (counts == 0).any() and (counts > 0).sum() > 1
    scale = torch.where(counts > 0, len(kept) / counts.clamp(min=1), 0.0)
    b = kept.mean(0) * scale / (kept.mean(0) * scale).sum()
    a = marginal / histogram / (marginal / histogram).sum()
    (theirs,) = torch.autograd.grad((a * (b + 1e-12).log()).sum(), logits)
    (ours,) = torch.autograd.grad(fairness(logits, weight, marginal, histogram), logits)
    torch.testing.assert_close(ours, theirs)
    assert ours[weight == 1].any() and not ours[weight == 0].any()


def test_a_negative_weight_draws_towards_the_average_and_a_positive_one_away() -> None:
    """Where all classes are predicted once, b = a is the greatest value (Gibbs): the printed sign moves away from it."""
    level = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    tilted = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    values = [fairness(probs.log(), torch.ones(3), EVEN, EVEN).item() for probs in (level, tilted)]
    assert values[0] == pytest.approx(-math.log(3), abs=1e-6) and values[1] < values[0]


def test_where_nothing_is_kept_it_is_zero_with_a_zero_gradient() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    value = fairness(logits, torch.zeros(4), EVEN, EVEN)
    value.backward()
    assert value.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_neither_weights_nor_averages_get_a_gradient() -> None:
    logits, weight = (2 * torch.eye(4, 3)).requires_grad_(), torch.ones(4, requires_grad=True)  # of several classes
    marginal, histogram = (EVEN.clone().requires_grad_() for _ in range(2))
    fairness(logits, weight, marginal, histogram).backward()
    assert weight.grad is None and marginal.grad is None and histogram.grad is None
    assert logits.grad is not None and logits.grad.any()


# The plugin -------------------------------------------------------------------------------------------------------


def test_averages_are_of_raw_pseudo_labels_filtered_or_not() -> None:
    plugin, marginal, histogram = begun(decay=0.9, weight=0.5), EVEN, EVEN
    for seed in range(4):
        raw, logits = random_probs(6, seed=seed), {"strong": torch.randn(6, 3)}
        weight = torch.tensor([1.0, 1, 0, 1, 0, 1])
        labels = torch.nn.functional.one_hot(raw.argmax(1), 3).float()
        marginal, histogram = 0.9 * marginal + 0.1 * raw.mean(0), 0.9 * histogram + 0.1 * labels.mean(0)
        given_ = step(raw, weight)
        assert given_.unlabeled is not None and given_.unlabeled.targets is not None
        given_.unlabeled.targets.probs = torch.eye(3)[
            [0, 0, 0, 0, 0, 0]
        ]  # what the labelers made of them does not count
        term = plugin.loss(given_, answering(logits), ("strong",))
        torch.testing.assert_close(term.value, fairness(logits["strong"], weight, marginal, histogram))
        assert term.weight == 0.5
        plugin.after_step(given_)
    torch.testing.assert_close(plugin.marginal_, marginal)
    torch.testing.assert_close(plugin.histogram_, histogram)


def test_asked_several_times_in_a_step_it_moves_once() -> None:
    plugin, given_, forward = begun(decay=0.5), step(random_probs(6)), answering({"strong": torch.randn(6, 3)})
    before = deepcopy(plugin.state_dict())
    values = [plugin.loss(given_, forward, ("strong",)).value for _ in range(3)]
    assert torch.equal(values[0], values[2]) and str(plugin.state_dict()) == str(before)
    plugin.after_step(given_)
    assert str(plugin.state_dict()) != str(before)


def test_state_goes_on_to_the_same_bits() -> None:
    one, other = begun(), begun()
    for seed in range(3):
        one.after_step(step(random_probs(6, seed=seed)))
    other.load_state_dict(deepcopy(one.state_dict()))
    given_, forward = step(random_probs(6, seed=9)), answering({"strong": torch.randn(6, 3)})
    assert torch.equal(*(plugin.loss(given_, forward, ("strong",)).value for plugin in (one, other)))


def test_without_pseudo_labels() -> None:
    given_ = step(random_probs(6))
    assert given_.unlabeled is not None
    given_.unlabeled.targets = None
    plugin = begun()
    with pytest.raises(RecipeError, match=r"\[\[loss\]\] fairness: goes by pseudo-labels.*Set `labels = \"step\"`"):
        plugin.loss(given_, answering({"strong": torch.randn(6, 3)}), ("strong",))
    plugin.after_step(given_)
    plugin.after_step(replace(given_, unlabeled=None))
    assert torch.equal(plugin.marginal_, EVEN)


def test_promises() -> None:
    check_plugin(Fairness, weight=0.01)
