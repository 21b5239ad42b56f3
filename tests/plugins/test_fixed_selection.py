import pytest
import torch

from sslkit import Batch, Targets
from sslkit.errors import RecipeError
from sslkit_plugins.labeler.fixed_selection import FixedSelection


def pool(copies: list[float], weight: list[float]) -> Targets:
    made = Targets.of(torch.arange(len(copies)), torch.rand(len(copies), 3, generator=torch.Generator()).softmax(1))
    made.copies, made.weight = torch.tensor(copies), torch.tensor(weight)
    return made


def fresh() -> FixedSelection:
    plugin = FixedSelection()
    plugin.begin()
    return plugin


def test_the_first_pool_passes_and_decides_all_later_ones() -> None:
    plugin = fresh()
    first, later = pool([2.5, 0.5, 3.0, 0.0], [1.0, 1.0, 0.0, 1.0]), pool([0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    assert plugin.refine(first, None) is first
    for _ in range(2):
        made = plugin.refine(later, None)
        assert made.copies.tolist() == [2.5, 0.5, 0.0, 0.0] and made.weight.tolist() == [1.0, 1.0, 0.0, 0.0]
        assert torch.equal(made.probs, later.probs) and torch.equal(made.raw, later.raw)  # relabeled


def test_the_selection_outlives_a_generation_as_state() -> None:
    before, after = fresh(), fresh()
    assert before.state_dict() == {}
    before.refine(pool([1.0, 0.0], [1.0, 1.0]), None)
    after.load_state_dict(before.state_dict())
    assert after.refine(pool([0.0, 4.0], [1.0, 1.0]), None).copies.tolist() == [1.0, 0.0]
    after.begin()  # another run's first generation
    assert after.state_dict() == {} and after.refine(made := pool([0.0, 4.0], [1.0, 1.0]), None) is made


def test_a_step_is_no_pool() -> None:
    batch = Batch("unlabeled", torch.arange(2), torch.arange(2), {})
    with pytest.raises(RecipeError, match='Set labels = "pool"'):
        fresh().refine(pool([1.0, 1.0], [1.0, 1.0]), batch)
