from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sslkit import Batch, Targets
from sslkit.errors import RecipeError
from sslkit_plugins.labeler.class_balance import ClassBalance, balanced_copies


def slow_copies(
    label: list[int], confidence: list[float], kept: list[bool], per_class: int, max_copies: float, threshold: float = 0
) -> list[float]:
    """One class after another, one threshold of the grid after another, as the official code's description has it."""
    copies = [0.0] * len(label)
    rows_of = {
        k: [i for i in range(len(label)) if label[i] == k and kept[i] and confidence[i] >= threshold]
        for k in set(label)
    }
    present = [rows for rows in rows_of.values() if rows]
    for rows in present:
        wanted = per_class if per_class else sum(map(len, present)) / len(present)
        for hundredths in range(100, -1, -1):
            above = [i for i in rows if confidence[i] >= hundredths / 100]
            if len(above) >= wanted or hundredths == 0:
                for i in above:
                    copies[i] = wanted / len(above)
                    copies[i] = min(copies[i], max_copies) if max_copies else copies[i]
                break
    return copies


Rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100), st.booleans()), min_size=0, max_size=60)


@settings(max_examples=200, deadline=None)
@given(Rows, st.integers(0, 20), st.sampled_from([0.0, 1.0, 2.5]))
def test_against_a_slow_loop(rows: list[tuple[int, int, bool]], per_class: int, max_copies: float) -> None:
    # Doubles, so that the grid's values are the loop's own.
    label, kept = (
        torch.tensor([r[0] for r in rows], dtype=torch.long),
        torch.tensor([r[2] for r in rows], dtype=torch.bool),
    )
    confidence = [r[1] / 100 for r in rows]
    fast = balanced_copies(label, torch.tensor(confidence, dtype=torch.float64), kept, per_class, max_copies)
    slow = slow_copies(label.tolist(), confidence, kept.tolist(), per_class, max_copies)
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))


@settings(max_examples=100, deadline=None)
@given(Rows, st.integers(0, 20), st.randoms(use_true_random=False))
def test_rows_are_judged_by_themselves(rows: list[tuple[int, int, bool]], per_class: int, random: object) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    label, confidence, kept = (torch.tensor([r[i] for r in rows]) for i in range(3))
    columns = label.long(), confidence.float() / 100, kept.bool()
    made = balanced_copies(*columns, per_class)
    torch.testing.assert_close(balanced_copies(*(column[order] for column in columns), per_class), made[order])


def pool(confidences: dict[int, list[float]], classes: int = 3) -> Targets:
    """Rows by class and confidence; what is left is spread over the other classes."""
    rows = []
    for label, tops in confidences.items():
        for top in tops:
            row = [(1 - top) / (classes - 1)] * classes
            row[label] = top
            rows.append(row)
    return Targets.of(torch.arange(len(rows)), torch.tensor(rows))


def test_by_hand() -> None:
    given_ = pool({0: [0.995, 0.968, 0.965, 0.5, 0.4], 1: [0.6]})
    made = ClassBalance(per_class=2).refine(given_, None)
    # Class 0: two rows are wanted; down to 0.96 there are three, each drawn 2/3 times. Class 1: its only row twice.
    torch.testing.assert_close(made.copies, torch.tensor([2 / 3, 2 / 3, 2 / 3, 0, 0, 2]))
    assert made.weight.tolist() == [1, 1, 1, 0, 0, 1]
    assert made.kept.tolist() == [True, True, True, False, False, True]
    assert made.probs is given_.probs


def test_the_threshold_stops_the_walk() -> None:
    made = ClassBalance(per_class=4, threshold=0.6).refine(pool({0: [0.9, 0.6, 0.59, 0.5], 1: [0.55]}), None)
    torch.testing.assert_close(made.copies, torch.tensor([2.0, 2, 0, 0, 0]))


def test_each_class_is_drawn_as_often() -> None:
    generator = torch.Generator().manual_seed(0)
    probs = (torch.randn(500, 5, generator=generator) * 2 + torch.tensor([2.0, 1, 0, 0, -1])).softmax(1)
    made = ClassBalance(per_class=30).refine(Targets.of(torch.arange(500), probs), None)
    drawn = torch.zeros(5).scatter_add(0, made.label, made.copies)
    torch.testing.assert_close(drawn, torch.full((5,), 30.0))


def test_the_mean_keeps_the_pools_size() -> None:
    made = ClassBalance().refine(pool({0: [0.9, 0.8, 0.7, 0.6], 1: [0.9, 0.8]}), None)
    # Three of each of the two classes present; class 2 has none, and counts for nothing.
    torch.testing.assert_close(made.copies, torch.tensor([1.0, 1, 1, 0, 1.5, 1.5]))


def test_earlier_filters_are_respected() -> None:
    given_ = pool({0: [0.9, 0.8], 1: [0.9]})
    given_ = replace(given_, weight=torch.tensor([0.0, 0.5, 1.0]))
    made = ClassBalance(per_class=1).refine(given_, None)
    assert made.copies.tolist() == [0, 1, 1]
    assert made.weight.tolist() == [0, 0.5, 1]


def test_copies_can_be_limited() -> None:
    given_ = pool({0: [0.9], 1: [0.9, 0.9, 0.9]})
    assert ClassBalance(per_class=50).refine(given_, None).copies.tolist() == pytest.approx(
        [50, 50 / 3, 50 / 3, 50 / 3]
    )
    assert ClassBalance(per_class=50, max_copies=1).refine(given_, None).copies.tolist() == [1, 1, 1, 1]


def test_a_threshold_of_the_grid_takes_rows_that_lie_on_it() -> None:
    for hundredths in range(34, 100):
        given_ = pool({0: [hundredths / 100] * 2, 1: [0.99]})
        made = ClassBalance(per_class=2, threshold=hundredths / 100).refine(given_, None)
        assert made.copies.tolist() == [1, 1, 2], hundredths


def test_nothing_kept_stays_empty() -> None:
    made = ClassBalance(threshold=1.0).refine(pool({0: [0.9], 1: [0.8]}), None)
    assert made.copies.tolist() == made.weight.tolist() == [0, 0]


def test_it_balances_pools_only() -> None:
    batch = Batch("unlabeled", torch.arange(1), torch.arange(1), {})
    with pytest.raises(RecipeError, match='Set labels = "pool"'):
        ClassBalance().refine(pool({0: [0.9]}), batch)
