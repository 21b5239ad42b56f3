from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sslkit import Facts, Labeled, Targets
from sslkit_plugins.labeler.promote import Promote, promoted, promotion_rates


def test_rates_by_hand() -> None:
    """Wei et al. 2021, sec. 3.2: 8, 4, 2, 1 labels mirrored are 1, 2, 4, 8, over 8, to the third root."""
    expected = [(1 / 8) ** (1 / 3), (2 / 8) ** (1 / 3), (4 / 8) ** (1 / 3), 1.0]
    assert promotion_rates((8, 4, 2, 1), 1 / 3).tolist() == pytest.approx(expected)
    assert promotion_rates((8, 4, 2, 1), 1 / 3)[0].item() == pytest.approx(0.5)


def test_rates_go_by_counts_and_not_by_the_order_of_classes() -> None:
    assert promotion_rates((1, 8, 2, 4), 1.0).tolist() == pytest.approx([1, 1 / 8, 4 / 8, 2 / 8])


def test_equally_frequent_classes_are_treated_alike() -> None:
    assert promotion_rates((4, 4, 4), 1 / 3).tolist() == [1, 1, 1]
    assert promotion_rates((4, 4, 1), 1.0).tolist() == pytest.approx([(1 + 4) / 2 / 4, (1 + 4) / 2 / 4, 1])


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.floats(0, 2), st.randoms())
def test_rates_are_shares_and_follow_a_permutation(counts: list[int], power: float, random: object) -> None:
    rates = promotion_rates(counts, power)
    assert bool((rates >= 0).all()) and bool((rates <= 1 + 1e-12).all())
    order = list(range(len(counts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    torch.testing.assert_close(promotion_rates([counts[i] for i in order], power), rates[order])
    by_count = torch.tensor(counts).argsort(descending=True)
    assert bool((rates[by_count].diff() >= -1e-12).all())  # rarer, more


def test_the_surest_of_each_class_are_promoted() -> None:
    label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2])
    confidence = torch.tensor([0.5, 0.9, 0.9, 0.7, 0.6, 0.8, 0.95, 0.3])
    kept = torch.tensor([True] * 6 + [False] + [True])
    rates = torch.tensor([0.5, 0.5, 1.0])
    assert promoted(label, confidence, kept, rates).tolist() == [1, 2, 5, 7]  # of class 1 two are kept: one
    assert promoted(label, confidence, kept, torch.tensor([0.25, 0.0, 0.0])).tolist() == [1]  # the first of equals
    assert promoted(label, confidence, torch.zeros(8, dtype=torch.bool), rates).tolist() == []


def facts() -> Facts:
    return Facts(("a", "b"), (8, 1), {"unlabeled": 6}, {"labeled": 2, "unlabeled": 2}, 8, 3, torch.device("cpu"))


def pool() -> Targets:
    probs = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6], [0.95, 0.05], [0.6, 0.4]])
    return Targets.of(torch.arange(6), probs)


def labeled() -> Labeled:
    return Labeled(torch.zeros(9, dtype=torch.long), torch.arange(9), torch.tensor([0] * 8 + [1]))


def test_promoted_rows_keep_where_they_come_from() -> None:
    plugin = Promote()
    plugin.begin(facts())
    made = plugin.revise_labeled(labeled(), pool())
    # Half of the four of class 0 (1/8 to the third root), all of class 1.
    assert made.origin.tolist() == [0] * 9 + [1] * 4
    assert made.index.tolist() == [*range(9), 0, 1, 3, 4]
    assert made.truth.tolist() == [0] * 8 + [1] + [0, 1, 1, 0]
    assert made.origin.dtype == made.index.dtype == made.truth.dtype == torch.long


def test_filters_of_the_pool_decide_what_can_be_promoted() -> None:
    plugin = Promote()
    plugin.begin(facts())
    targets = replace(pool(), weight=torch.tensor([0.0, 1, 1, 0, 1, 1]))
    assert plugin.revise_labeled(labeled(), targets).index[9:].tolist() == [1, 4]


def test_without_a_pool_nothing_is_promoted() -> None:
    plugin, given_ = Promote(), labeled()
    plugin.begin(facts())
    assert plugin.revise_labeled(given_, None) is given_
