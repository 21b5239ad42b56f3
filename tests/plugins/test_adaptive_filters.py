"""Filters that learn what is sure: a Gaussian's weights, thresholds of each class, one relative to labeled images."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import answering, batch, facts, permuted, probabilities, random_probs, targets
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Targets
from sslkit.errors import RecipeError
from sslkit.testing import check_plugin
from sslkit_plugins.labeler.adaptive_threshold import AdaptiveThreshold, class_thresholds
from sslkit_plugins.labeler.gaussian_weight import GaussianWeight, spread, truncated_gaussian
from sslkit_plugins.labeler.hard_labels import HardLabels
from sslkit_plugins.labeler.relative_confidence import RelativeConfidence, relative_threshold

LEARNING = [GaussianWeight, AdaptiveThreshold]


def begun(kind: type, classes: int = 3, **fields: float) -> GaussianWeight | AdaptiveThreshold:
    plugin: GaussianWeight | AdaptiveThreshold = kind(**fields)
    plugin.begin(facts(classes))
    return plugin


# The Gaussian -----------------------------------------------------------------------------------------------------


def test_truncated_gaussian_by_hand() -> None:
    made = truncated_gaussian(torch.tensor([0.9, 0.5, 0.4, 0.3]), torch.tensor(0.5), torch.tensor(0.01), 2.0)
    expected = [1.0, 1.0, math.exp(-2), math.exp(-8)]  # one deviation below: n^2 / 2 = 2
    torch.testing.assert_close(made, torch.tensor(expected))
    plain = truncated_gaussian(torch.tensor([0.4]), torch.tensor(0.5), torch.tensor(0.01), 1.0)
    torch.testing.assert_close(plain, torch.tensor([math.exp(-0.5)]))


@given(st.integers(0, 999), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 4))
def test_weights_are_in_range_and_grow_with_confidence(seed: int, mean: float, variance: float, n: float) -> None:
    confidence = torch.rand(20, generator=torch.Generator().manual_seed(seed)).sort().values
    made = truncated_gaussian(confidence, torch.tensor(mean), torch.tensor(variance), n)
    assert bool(((made >= 0) & (made <= 1) & made.isfinite()).all())
    assert bool((made.diff() >= 0).all())
    assert bool((made[confidence >= torch.tensor(mean)] == 1).all())


def test_the_variance_is_unbiased() -> None:
    mean, variance = spread(torch.tensor([0.2, 0.4, 0.9]))
    assert mean.item() == pytest.approx(0.5) and variance.item() == pytest.approx((0.09 + 0.01 + 0.16) / 2)
    assert spread(torch.tensor([0.7])).tolist() == pytest.approx([0.7, 0])


def test_equal_confidences_all_count() -> None:
    made = begun(GaussianWeight).refine(targets([[0.7, 0.2, 0.1]] * 9), None)
    torch.testing.assert_close(made.weight, torch.ones(9), atol=1e-2, rtol=0)


def test_mean_and_variance_start_at_1_over_k_and_1() -> None:
    plugin = begun(GaussianWeight, decay=0.9)
    mean, variance = 1 / 3, 1.0
    for seed in range(5):
        probs = random_probs(8, seed=seed)
        sure = probs.amax(1)
        mean, variance = 0.9 * mean + 0.1 * sure.mean().item(), 0.9 * variance + 0.1 * sure.var().item()
        made = plugin.refine(targets(probs), batch(8))
        weights = [1.0 if c > mean else math.exp(-4 * (c - mean) ** 2 / (2 * variance)) for c in sure.tolist()]
        assert made.weight.tolist() == pytest.approx(weights, abs=1e-6)
        assert torch.equal(made.probs, probs)


def test_weight_from_aligned_probabilities_and_label_from_raw_ones() -> None:
    raw = torch.tensor([[0.5, 0.4, 0.1], [0.6, 0.2, 0.2]])
    aligned = torch.tensor([[0.2, 0.7, 0.1], [0.4, 0.3, 0.3]])
    given_ = replace(targets(raw), probs=aligned)
    weighed = begun(GaussianWeight, decay=0.0).refine(given_, batch(2))
    assert weighed.weight[0] == 1 > weighed.weight[1]  # by the raw ones it would be the other way round
    assert HardLabels(source="raw").refine(weighed).probs.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert HardLabels().refine(weighed).probs.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert torch.equal(HardLabels(source="raw").refine(weighed).weight, weighed.weight)
    assert torch.equal(HardLabels(source="raw").refine(weighed).raw, raw)


# Thresholds of each class -----------------------------------------------------------------------------------------


def test_class_thresholds_by_hand() -> None:
    marginal = torch.tensor([0.5, 0.25, 0.25])
    torch.testing.assert_close(class_thresholds(torch.tensor(0.8), marginal), torch.tensor([0.8, 0.4, 0.4]))
    clipped = class_thresholds(torch.tensor(0.5), marginal, 0.9, 0.95)
    torch.testing.assert_close(clipped, torch.tensor([0.9, 0.45, 0.45]))
    torch.testing.assert_close(class_thresholds(torch.tensor(0.99), marginal, 0.9, 0.95)[0], torch.tensor(0.95))


@given(st.integers(0, 999), st.floats(0, 1))
def test_the_most_expected_class_has_the_highest_threshold(seed: int, level: float) -> None:
    marginal = random_probs(1, 5, seed)[0]
    made = class_thresholds(torch.tensor(level), marginal)
    assert bool(((made >= 0) & (made <= level + 1e-6)).all())
    assert made[marginal.argmax()].item() == pytest.approx(level, abs=1e-6)


def test_thresholds_follow_confidence() -> None:
    plugin, sure = begun(AdaptiveThreshold, decay=0.5), targets([[0.9, 0.06, 0.04]] * 4)
    unsure = targets([[0.4, 0.35, 0.25], [0.2, 0.45, 0.35]])
    assert plugin.refine(unsure, batch(2)).weight.tolist() == [1, 1]  # early on nobody has to be sure
    for _ in range(10):
        assert plugin.refine(sure, batch(4)).weight.tolist() == [1] * 4
    kept = plugin.refine(unsure, batch(2)).weight.tolist()
    assert kept == [0, 1]  # the first is of the class that is expected; the other's class is rare, its threshold low


def test_bounds_are_of_the_level() -> None:
    rows = targets([[0.92, 0.08, 0.0], [0.8, 0.1, 0.1]])
    assert begun(AdaptiveThreshold).refine(rows, batch(2)).weight.tolist() == [1, 1]
    assert begun(AdaptiveThreshold, low=0.9, high=0.95).refine(rows, batch(2)).weight.tolist() == [1, 0]


# Relative to labeled images ---------------------------------------------------------------------------------------


def test_relative_threshold_by_hand() -> None:
    assert relative_threshold(torch.tensor([[0.9, 0.1], [0.3, 0.7]]), 0.5).item() == pytest.approx(0.4)


def test_what_is_as_sure_as_labeled_images_is_kept() -> None:
    logits = {"one": torch.tensor([[0.8, 0.2]]).log(), "two": torch.tensor([[0.4, 0.6]]).log()}
    asked: list[str] = []
    given_ = targets([[0.55, 0.45], [0.64, 0.36], [0.0, 1.0]])
    made = RelativeConfidence(share=0.9).refine(given_, batch(3), answering(logits, asked), ("one", "two"))  # 0.9 * 0.7
    assert made.weight.tolist() == [0, 1, 1]
    assert asked == ["one", "two"]  # nothing else is looked at
    given_.weight = torch.tensor([0.5, 0.5, 0.0])
    weight = RelativeConfidence(share=0.9).refine(given_, batch(3), answering(logits), ("one", "two")).weight
    assert weight.tolist() == [0, 0.5, 0]


def test_relative_confidence_needs_a_step_and_a_view() -> None:
    with pytest.raises(RecipeError, match=r"relative_confidence: compares with the labeled images of a step"):
        RelativeConfidence().refine(targets([[0.5, 0.5]]), None, None, ("labeled",))
    with pytest.raises(RecipeError, match=r"relative_confidence: has no view.*on = \"labeled\""):
        RelativeConfidence().refine(targets([[0.5, 0.5]]), batch(1), answering({}), ())
    views = answering({})
    with pytest.raises(
        RecipeError, match="relative_confidence: `on` names weak, of the unlabeled stream; it takes views"
    ):
        RelativeConfidence().refine(targets([[0.5, 0.5]]), batch(1), views, ("labeled", "weak"))


# What all of them keep --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LEARNING)
def test_earlier_filters_are_multiplied(kind: type) -> None:
    given_ = replace(targets(random_probs(6)), weight=torch.tensor([0.0, 0.5, 1, 1, 1, 1]))
    plain = begun(kind).refine(targets(random_probs(6)), batch(6)).weight
    torch.testing.assert_close(begun(kind).refine(given_, batch(6)).weight, plain * given_.weight)


@pytest.mark.parametrize("kind", LEARNING)
def test_labeled_images_are_weighed_and_not_counted(kind: type) -> None:
    plugin = begun(kind)
    plugin.refine(targets(random_probs(8)), batch(8))
    before = deepcopy(plugin.state_dict())
    made = plugin.refine(targets(random_probs(4, seed=2, sure=9.0)), batch(4, "labeled"))
    assert len(made.weight) == 4 and str(plugin.state_dict()) == str(before)


@pytest.mark.parametrize("kind", LEARNING)
def test_a_pool_has_averages_of_its_own(kind: type) -> None:
    pool, fresh = targets(random_probs(40, seed=4)), begun(kind, decay=0.0)
    plugin = begun(kind)
    before = deepcopy(plugin.state_dict())
    made = plugin.refine(pool, None)
    assert str(plugin.state_dict()) == str(before)
    torch.testing.assert_close(made.weight, fresh.refine(pool, batch(40)).weight)  # as one big batch without a past
    assert made.weight.min() < 1


@pytest.mark.parametrize("kind", LEARNING)
@given(probabilities())
def test_rows_in_another_order_weigh_alike(kind: type, probs: Tensor) -> None:
    order, classes = torch.arange(len(probs)).flip(0), probs.shape[1]
    made = begun(kind, classes).refine(targets(probs), batch(len(probs))).weight
    again = begun(kind, classes).refine(permuted(targets(probs), order), batch(len(probs))).weight
    torch.testing.assert_close(again, made[order])
    assert bool(((made >= 0) & (made <= 1)).all())


@pytest.mark.parametrize("kind", LEARNING)
def test_no_gradient_and_nothing_changed_in_place(kind: type) -> None:
    leaf = random_probs(6).requires_grad_()
    given_ = Targets(torch.arange(6), leaf.detach(), leaf.detach(), torch.ones(6), torch.ones(6))
    made = begun(kind).refine(given_, batch(6))
    assert not made.weight.requires_grad and given_.weight.tolist() == [1] * 6


@pytest.mark.parametrize("kind", LEARNING)
def test_state_goes_on_to_the_same_bits(kind: type) -> None:
    one, other = begun(kind), begun(kind)
    for seed in range(4):
        one.refine(targets(random_probs(8, seed=seed)), batch(8))
    other.load_state_dict(deepcopy(one.state_dict()))
    for seed in range(4, 8):
        made = [plugin.refine(targets(random_probs(8, seed=seed)), batch(8)).weight for plugin in (one, other)]
        assert torch.equal(*made)


@pytest.mark.parametrize("plugin", [GaussianWeight(), AdaptiveThreshold(low=0.5), HardLabels(source="raw")])
def test_promises(plugin: object) -> None:
    check_plugin(plugin)


def test_promises_with_labeled_views() -> None:
    check_plugin(RelativeConfidence, on=("labeled",))
