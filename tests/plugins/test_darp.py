import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Facts, Progress, Targets, View
from sslkit.errors import RecipeError
from sslkit_plugins import room
from sslkit_plugins.labeler import darp
from sslkit_plugins.labeler.darp import DARP, match_counts, shifted, solve_shift


def random_probs(rows: int, classes: int, seed: int, sharpness: float = 2.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(rows, classes, generator=draw, dtype=torch.float64)).softmax(1)


def facts(counts: tuple[int, ...] = (6, 3, 1), unlabeled: int = 8, **sizes: int) -> Facts:
    names = tuple("abc"[: len(counts)])
    sizes = {"unlabeled": unlabeled, **sizes} if unlabeled else {}
    return Facts(names, counts, sizes, {"labeled": 2, "unlabeled": 4}, 8, 3, torch.device("cpu"))


def batch(rows: list[int], stream: str = "unlabeled") -> Batch:
    index = torch.tensor(rows)
    return Batch(stream, index, index, {"weak": View("weak", torch.zeros(len(rows), 3, 2, 2))}, classes=3)


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 60), st.integers(2, 6), st.integers(0, 999))
def test_rows_stay_probabilities_and_columns_reach_their_counts(rows: int, classes: int, seed: int) -> None:
    probs = random_probs(rows, classes, seed)
    wanted = torch.rand(classes, generator=torch.Generator().manual_seed(seed + 1)).double() + 0.2
    made = match_counts(probs, wanted, 50)
    assert bool((made >= 0).all())
    torch.testing.assert_close(made.sum(1), torch.ones(rows, dtype=torch.float64))
    torch.testing.assert_close(made.sum(0), wanted * rows / wanted.sum(), rtol=1e-6, atol=1e-6)
    order = torch.arange(rows).flip(0)
    torch.testing.assert_close(match_counts(probs[order], wanted, 50), made[order], rtol=1e-6, atol=1e-7)


def test_it_is_the_nearest_in_weighted_divergence() -> None:
    """Any other matrix of the same row and column sums is farther: sum of KL(x || p) / H(p), Kim et al. 2020, eq. 3."""
    probs, wanted = random_probs(12, 3, 0), torch.tensor([6.0, 4, 2], dtype=torch.float64)
    made = match_counts(probs, wanted, 50)
    entropy = -(probs * probs.log()).sum(1)
    cost = lambda x: float(((x * (x / probs).log()).sum(1) / entropy).sum())  # noqa: E731
    for seed in range(50):
        draw = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        step = draw - draw.mean(0, keepdim=True) - draw.mean(1, keepdim=True) + draw.mean()  # keeps all sums
        other = made + 1e-3 * step * made.min() / step.abs().max() * 500
        assert bool((other > 0).all()) and cost(other) > cost(made)


def test_two_rows_by_hand() -> None:
    """Mirrored rows of equal entropy: (a, 1 - a) and (1 - a, a) with 1.5 of the first class is a ratio to find by hand."""
    probs = torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64)
    made = match_counts(probs, torch.tensor([1.5, 0.5]), 50)
    # x = p r / (p r + 1 - p) for one ratio r: 4r / (4r + 1) + r / (r + 4) = 1.5.
    roots = torch.linspace(1, 20, 2_000_001, dtype=torch.float64)
    ratio = roots[((4 * roots / (4 * roots + 1) + roots / (roots + 4)) - 1.5).abs().argmin()]
    expected = torch.stack([4 * ratio / (4 * ratio + 1), ratio / (ratio + 4)])
    torch.testing.assert_close(made[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_what_matches_already_is_unchanged() -> None:
    probs = random_probs(9, 3, 4)
    assert torch.equal(match_counts(probs, probs.sum(0), 50), probs)
    even = torch.full((6, 3), 1 / 3)
    assert torch.equal(match_counts(even, torch.tensor([1.0, 1, 1]), 50), even)


def test_unsure_rows_give_way_first() -> None:
    probs = torch.tensor([[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [0.5, 0.3, 0.2], [0.34, 0.33, 0.33]]).double()
    made = match_counts(probs, torch.tensor([1.2, 1.4, 1.4]), 50)
    change = (made - probs).abs().sum(1)
    assert change[0] < 0.1 * change[1:].min()
    assert made.sum(0).tolist() == pytest.approx([1.2, 1.4, 1.4], abs=1e-6)


def test_sure_and_impossible_rows_end_in_numbers() -> None:
    probs = torch.eye(3)[[0, 0, 0, 1, 2, 2]]
    made = match_counts(probs, torch.tensor([1.0, 1, 1]), 20)
    assert bool(made.isfinite().all())
    torch.testing.assert_close(made.sum(1), torch.ones(6))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    probs, wanted = random_probs(50, 4, 3), torch.tensor([20.0, 15, 10, 5])
    whole = match_counts(probs, wanted, 50)
    monkeypatch.setattr(darp, "CHUNK", 28)  # seven rows of four classes
    torch.testing.assert_close(match_counts(probs, wanted, 50), whole, rtol=1e-7, atol=1e-9)


# The plugin -------------------------------------------------------------------------------------------------------------


def refined(plugin: DARP, rows: list[int], probs: Tensor, step: int) -> Targets:
    targets = Targets.of(torch.tensor(rows), probs)
    return plugin.refine(targets, batch(rows), Progress(0, step=step, steps=10))


def test_it_remembers_from_the_beginning_and_refines_from_its_start_on() -> None:
    plugin = DARP(start=0.5, every=2)
    plugin.begin(facts())
    probs = random_probs(8, 3, 0).float()
    assert torch.equal(refined(plugin, [0, 1, 2, 3], probs[:4], 4).probs, probs[:4])
    assert torch.equal(refined(plugin, [4, 5, 6, 7, 7], probs[[4, 5, 6, 0, 7]], 4).probs[4], probs[7])
    assert torch.equal(plugin.memory_.values, probs) and plugin.memory_.values.element_size() == 4  # of twice the last
    assert torch.equal(refined(plugin, [0, 1], probs[:2], 5).probs, probs[:2])  # begun, but solved at even steps
    made = refined(plugin, [0, 1], probs[:2], 6)
    whole = match_counts(probs, torch.tensor([6.0, 3, 1]), 50)
    torch.testing.assert_close(made.probs, whole[:2], rtol=1e-4, atol=1e-5)
    assert torch.equal(made.raw, probs[:2]) and not made.probs.requires_grad
    before = plugin.shift_.clone()
    refined(plugin, [0, 1], probs[2:4], 7)
    assert torch.equal(plugin.shift_, before)


def test_images_that_were_never_seen_count_for_nothing() -> None:
    plugin = DARP(start=0.0, every=1)
    plugin.begin(facts())
    probs = random_probs(4, 3, 1).float()
    made = refined(plugin, [0, 2, 4, 6], probs, 0)
    torch.testing.assert_close(made.probs.sum(0), torch.tensor([2.4, 1.2, 0.4]), rtol=1e-4, atol=1e-5)


def test_a_pool_is_refined_at_once_and_labels_are_left_alone() -> None:
    plugin = DARP(shares=[1.0, 1.0, 2.0])
    plugin.begin(facts())
    probs = random_probs(8, 3, 2).float()
    pool = plugin.refine(Targets.of(torch.arange(8), probs), None, Progress(0))
    torch.testing.assert_close(pool.probs.sum(0), torch.tensor([2.0, 2, 4]), rtol=1e-4, atol=1e-5)
    labeled = Targets.of(torch.arange(2), probs[:2])
    assert plugin.refine(labeled, batch([0, 1], "labeled"), Progress(0, step=9, steps=10)) is labeled


def test_it_goes_on_with_its_state() -> None:
    plugin, other = DARP(start=0.0, every=2), DARP(start=0.0, every=2)
    plugin.begin(facts()), other.begin(facts())
    probs = random_probs(4, 3, 5).float()
    refined(plugin, [0, 1, 2, 3], probs, 0)
    other.load_state_dict({name: value.clone() for name, value in plugin.state_dict().items()})
    assert torch.equal(refined(plugin, [0, 1], probs[:2], 1).probs, refined(other, [0, 1], probs[:2], 1).probs)


def test_a_class_without_labels_is_not_impossible() -> None:
    plugin = DARP()
    plugin.begin(facts((3, 0, 0)))
    assert plugin._shares.tolist() == pytest.approx([0.6, 0.2, 0.2])


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(RecipeError, match="no unlabeled split whose size is known"):
        DARP().begin(facts(unlabeled=0))
    with pytest.raises(
        RecipeError, match="`shares` has 2 numbers that sum to 3; it takes one for each of the 3 classes"
    ):
        DARP(shares=[1.0, 2.0]).begin(facts())


def test_rows_of_zeros_are_no_images() -> None:
    probs, wanted = random_probs(6, 3, 1), torch.tensor([3.0, 2, 1])
    some = torch.zeros(9, 3).double().index_copy(0, torch.tensor([0, 2, 3, 5, 6, 8]), probs)
    shift = solve_shift(some, wanted, torch.zeros(3), 30)
    torch.testing.assert_close(shift, solve_shift(probs, wanted, torch.zeros(3), 30))


def test_a_pool_that_memory_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "memory_of", lambda device: 10**6)
    with pytest.raises(RecipeError, match=r"darp: the pool's probabilities of 100,000 x 3 takes 1\.2 MB, and cpu has"):
        DARP().begin(facts(unlabeled=100_000))
    DARP().begin(facts(unlabeled=80_000))


def test_shifts_carry_no_gradient() -> None:
    probs = random_probs(4, 3, 0).requires_grad_()
    shift = solve_shift(probs.detach(), torch.tensor([2.0, 1, 1]), torch.zeros(3), 20)
    assert not shifted(probs, shift).requires_grad and float(shift.sum()) == pytest.approx(0, abs=1e-9)
