import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Facts, Targets
from sslkit.errors import RecipeError
from sslkit_plugins.labeler.curriculum_threshold import CurriculumThreshold, class_counts, learning_status, mapped


def facts(unlabeled: int = 6, classes: int = 3) -> Facts:
    sizes = {"labeled": 3, "unlabeled": unlabeled}
    return Facts(tuple(map(str, range(classes))), (1,) * classes, sizes, {}, 8, 3, torch.device("cpu"))


def fresh(unlabeled: int = 6, classes: int = 3, **fields: object) -> CurriculumThreshold:
    plugin = CurriculumThreshold(**fields)  # type: ignore[arg-type]
    plugin.begin(facts(unlabeled, classes))
    return plugin


def batch(index: list[int], stream: str = "unlabeled") -> Batch:
    return Batch(stream, torch.tensor(index), torch.arange(len(index)), {})


def targets(index: list[int], rows: list[tuple[int, float]], classes: int = 3) -> Targets:
    """Rows of a class and its probability, the others alike."""
    probs = torch.stack([torch.full((classes,), (1 - top) / (classes - 1)) for _, top in rows])
    for row, (label, top) in enumerate(rows):
        probs[row, label] = top
    return Targets.of(torch.tensor(index), probs)


# The status and its mapping -----------------------------------------------------------------------------------------


def test_status_by_hand() -> None:
    label = torch.tensor([0, 0, 0, 1, -1, -1, -1, -1], dtype=torch.int16)
    torch.testing.assert_close(
        learning_status(class_counts(label, 3)), torch.tensor([3 / 4, 1 / 4, 0])
    )  # four are unset
    torch.testing.assert_close(learning_status(class_counts(label, 3), warmup=False), torch.tensor([1, 1 / 3, 0]))
    torch.testing.assert_close(learning_status(class_counts(label[:5], 3)), torch.tensor([1, 1 / 3, 0]))  # one is


@pytest.mark.parametrize("warmup", [True, False])
def test_nothing_learned_is_status_0(warmup: bool) -> None:
    assert learning_status(class_counts(torch.full((4,), -1), 3), warmup).tolist() == [0, 0, 0]


def test_mappings_by_hand() -> None:
    status = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(mapped(status, "convex"), torch.tensor([0, 1 / 3, 1]))
    torch.testing.assert_close(mapped(status, "linear"), status)
    torch.testing.assert_close(mapped(status, "concave"), torch.tensor([0, math.log(1.5) / math.log(2), 1]))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).map(sorted))
def test_mappings_grow_from_0_to_1_in_their_order(values: list[float]) -> None:
    status = torch.tensor(values, dtype=torch.float64)
    convex, linear, concave = (mapped(status, name) for name in ("convex", "linear", "concave"))  # type: ignore[arg-type]
    for one in (convex, linear, concave):
        assert bool(((one >= 0) & (one <= 1 + 1e-12)).all()) and bool((one.diff() >= 0).all())
    assert bool((convex <= linear).all()) and bool((linear <= concave + 1e-12).all())


@settings(deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=30), st.booleans())
def test_a_status_is_a_share_and_knows_no_order(labels: list[int], warmup: bool) -> None:
    label = torch.tensor(labels)
    status = learning_status(class_counts(label, 5), warmup)
    assert bool(((status >= 0) & (status <= 1)).all())
    assert torch.equal(learning_status(class_counts(label.flip(0), 5), warmup), status)


# The plugin -----------------------------------------------------------------------------------------------------------


def test_thresholds_evolve_by_hand() -> None:
    """Six images, tau 0.9, convex: each step is judged by what was noted before it."""
    plugin = fresh(threshold=0.9)
    # Nothing is noted: every threshold is 0 and everything passes. 0 and 1 are confident of class 0, 2 of class 1.
    made = plugin.refine(targets([0, 1, 2, 3], [(0, 0.95), (0, 0.9), (1, 0.99), (2, 0.4)]), batch([0, 1, 2, 3]))
    assert made.weight.tolist() == [1, 1, 1, 1]
    assert plugin.label_.values.tolist() == [0, 0, 1, -1, -1, -1]
    torch.testing.assert_close(plugin.status(), torch.tensor([2 / 3, 1 / 3, 0]))  # three are unset
    # Thresholds 0.9 * (1/2, 1/5, 0) = (0.45, 0.18, 0): 0.44 of class 0 fails, 0.4 of class 1 passes.
    made = plugin.refine(targets([3, 4, 5], [(0, 0.44), (0, 0.46), (1, 0.4)]), batch([3, 4, 5]))
    assert made.weight.tolist() == [0, 1, 1]
    assert plugin.label_.values.tolist() == [0, 0, 1, -1, -1, -1]  # none was confident
    # An image changes its class, two more are noted.
    plugin.refine(targets([0, 3, 4], [(2, 0.97), (1, 0.93), (1, 0.92)]), batch([0, 3, 4]))
    assert plugin.label_.values.tolist() == [2, 0, 1, 1, 1, -1]
    torch.testing.assert_close(plugin.status(), torch.tensor([1 / 3, 1, 1 / 3]))
    # Thresholds 0.9 * (1/5, 1, 1/5).
    made = plugin.refine(targets([5, 5, 5], [(1, 0.89), (0, 0.4), (2, 0.4)]), batch([5, 5, 5]))
    assert made.weight.tolist() == [0, 1, 1]


def test_of_an_image_drawn_twice_the_last_confident_row_counts() -> None:
    plugin = fresh()
    plugin.refine(targets([4, 2, 4, 4], [(0, 0.99), (1, 0.99), (2, 0.98), (1, 0.5)]), batch([4, 2, 4, 4]))
    assert plugin.label_.values.tolist() == [-1, -1, 1, -1, 2, -1]


def test_earlier_filters_are_multiplied() -> None:
    given_ = targets([0, 1], [(0, 0.99), (1, 0.99)])
    given_.weight = torch.tensor([0.5, 0.0])
    assert fresh().refine(given_, batch([0, 1])).weight.tolist() == [0.5, 0]


def test_labeled_images_are_filtered_and_not_counted() -> None:
    plugin = fresh(threshold=0.9)
    plugin.refine(targets([0, 1, 2], [(0, 0.95)] * 3), batch([0, 1, 2]))
    made = plugin.refine(targets([3, 4], [(0, 0.8), (1, 0.95)]), batch([3, 4], "labeled"))
    assert made.weight.tolist() == [0, 1]
    assert plugin.label_.values.tolist() == [0, 0, 0, -1, -1, -1]


def test_a_whole_pool_is_a_big_batch() -> None:
    plugin = fresh(unlabeled=2)
    plugin.refine(targets([0, 1], [(0, 0.99), (1, 0.5)]), None)
    assert plugin.label_.values.tolist() == [0, -1]
    with pytest.raises(RecipeError, match="3 labels of a pool of 2"):
        plugin.refine(targets([0, 1, 2], [(0, 0.99)] * 3), None)


def test_a_first_pool_is_filtered_by_what_it_says_itself() -> None:
    """Three are confident of class 0 and one of class 1, two of none: thresholds 0.9 * (1, 1/5, 0)."""
    plugin = fresh(threshold=0.9)
    given_ = targets([0, 1, 2, 3, 4, 5], [(0, 0.95), (0, 0.92), (0, 0.9), (1, 0.99), (0, 0.89), (1, 0.4)])
    assert plugin.refine(given_, None).weight.tolist() == [1, 1, 1, 1, 0, 1]


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 5))
def test_counts_are_those_of_the_pool_whatever_is_drawn_twice(seed: int, steps: int) -> None:
    plugin, generator = fresh(threshold=0.5), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randint(6, (8,), generator=generator)
        probs = (2 * torch.randn(8, 3, generator=generator)).softmax(1)
        plugin.refine(Targets.of(index, probs), batch(index.tolist()))
        assert torch.equal(plugin.status(), learning_status(class_counts(plugin.label_.values, 3)))


def test_no_unlabeled_images() -> None:
    given_ = facts()
    del given_.sizes["unlabeled"]
    with pytest.raises(RecipeError, match="curriculum_threshold: counts the classes of the unlabeled images"):
        CurriculumThreshold().begin(given_)


def test_two_bytes_for_each_image() -> None:
    assert fresh().label_.values.dtype == torch.int16
    assert fresh(classes=40_000).label_.values.dtype == torch.int32


def test_state_goes_on_where_it_was() -> None:
    one, other = fresh(), fresh()
    one.refine(targets([0, 1, 2], [(0, 0.99)] * 3), batch([0, 1, 2]))
    other.load_state_dict(one.state_dict())
    again = targets([3, 4], [(0, 0.9), (1, 0.1)])
    assert torch.equal(other.refine(again, batch([3, 4])).weight, one.refine(again, batch([3, 4])).weight)
    assert torch.equal(other.label_.values, one.label_.values)
    other.begin(facts())
    assert bool((other.label_.values == -1).all())


@settings(deadline=None)
@given(st.integers(0, 999))
def test_a_batch_in_another_order_is_filtered_alike(seed: int) -> None:
    def weights(order: Tensor) -> Tensor:
        plugin = fresh(unlabeled=12, threshold=0.5)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(3):
            index = torch.randperm(12, generator=generator)[:6]
            probs = (2 * torch.randn(6, 3, generator=generator)).softmax(1)
            made = plugin.refine(Targets.of(index[order], probs[order]), batch(index[order].tolist()))
        return made.weight

    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(weights(order), weights(torch.arange(6))[order])
