from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from given import answering, batch, facts, permuted, probabilities, random_probs, targets
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit.errors import RecipeError
from sslkit.testing import check_plugin
from sslkit_plugins.labeler.distribution_alignment import DistributionAlignment, aligned, labeled_marginal


def begun(classes: int = 3, counts: tuple[int, ...] | None = None, **fields: object) -> DistributionAlignment:
    plugin = DistributionAlignment(**fields)  # type: ignore[arg-type]
    plugin.begin(facts(classes, counts))
    return plugin


# The formula ------------------------------------------------------------------------------------------------------


def test_alignment_by_hand() -> None:
    probs = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    made = aligned(probs, torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.25, 0.5]))
    expected = torch.tensor([[1.2, 0.3, 0.05], [0.4, 0.2, 0.3]])
    torch.testing.assert_close(made, expected / expected.sum(1, keepdim=True))


@given(probabilities(), st.integers(0, 999))
def test_aligned_probabilities_are_probabilities(probs: Tensor, seed: int) -> None:
    classes = probs.shape[1]
    target, model = random_probs(2, classes, seed)
    made = aligned(probs, target, model)
    assert bool(((made >= 0) & made.isfinite()).all())
    torch.testing.assert_close(made.sum(1), torch.ones(len(probs)))
    order = torch.arange(len(probs)).flip(0)
    assert torch.equal(aligned(probs[order], target, model), made[order])
    torch.testing.assert_close(aligned(probs, model, model), probs)
    torch.testing.assert_close(aligned(probs, 7 * target, model / 3), made)  # only proportions count


def test_a_class_that_is_never_predicted_or_never_wanted_breaks_nothing() -> None:
    probs = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    even = torch.full((3,), 1 / 3)
    torch.testing.assert_close(aligned(probs, even, torch.tensor([1.0, 0.0, 0.0]))[0], probs[0])
    assert bool(aligned(probs, even, torch.tensor([1.0, 0.0, 0.0])).isfinite().all())
    assert torch.equal(aligned(probs, torch.tensor([0.0, 0.5, 0.5]), even), probs)  # no wanted class in the first row
    assert bool(aligned(torch.full((1, 3), 1e-30), even, torch.full((3,), 0.0)).isfinite().all())


def test_targets_carry_no_gradient() -> None:
    probs, target, model = (random_probs(3, 3, seed).requires_grad_() for seed in range(3))
    assert not aligned(probs, target[0], model[0]).requires_grad


def test_the_labeled_marginal() -> None:
    assert labeled_marginal((1, 3)).tolist() == [0.25, 0.75]
    assert labeled_marginal((0, 0)).tolist() == [0.5, 0.5]


# What is remembered -----------------------------------------------------------------------------------------------


def test_the_average_starts_even_and_takes_in_its_own_batch_first() -> None:
    plugin = begun(decay=0.9)
    model = torch.full((3,), 1 / 3)
    for seed in range(4):
        probs = random_probs(8, seed=seed)
        model = 0.9 * model + 0.1 * probs.mean(0)
        made = plugin.refine(targets(probs), batch(8), None, ())
        torch.testing.assert_close(made.probs, aligned(probs, torch.ones(3), model))
        assert torch.equal(made.raw, probs) and bool((made.weight == 1).all())
    torch.testing.assert_close(plugin.average_["unlabeled"], model)


def test_the_queue_is_the_mean_of_the_last_batches() -> None:
    plugin, seen = begun(memory="queue", batches=3), []
    for seed in range(7):
        probs = random_probs(8, seed=seed)
        seen.append(probs.mean(0))
        made = plugin.refine(targets(probs), batch(8), None, ())
        torch.testing.assert_close(made.probs, aligned(probs, torch.ones(3), torch.stack(seen[-3:]).mean(0)))


def test_alignment_makes_the_mean_what_it_ought_to_be() -> None:
    """A batch whose rows are sure keeps its labels' proportions; soft ones come to the target when it is repeated."""
    probs = random_probs(200, seed=1, sure=0.5) * torch.tensor([3.0, 1.0, 1.0])
    probs = probs / probs.sum(1, keepdim=True)
    made = probs
    for _ in range(50):
        made = aligned(made, torch.tensor([0.2, 0.3, 0.5]), made.mean(0))
    torch.testing.assert_close(made.mean(0), torch.tensor([0.2, 0.3, 0.5]), atol=1e-4, rtol=0)


def test_the_labeled_target_and_its_power() -> None:
    probs, counts = random_probs(8), (6, 3, 1)
    for power in (1.0, 0.5, 0.0):
        made = begun(3, counts, target="labeled", power=power, decay=0.0).refine(targets(probs), batch(8), None, ())
        wanted = torch.tensor(counts).float() ** power
        torch.testing.assert_close(made.probs, aligned(probs, wanted, probs.mean(0)))


@pytest.mark.parametrize("memory", ["average", "queue"])
def test_predictions_on_labeled_views_are_the_target(memory: str) -> None:
    plugin = begun(target="predictions", memory=memory, decay=0.5, batches=2)
    average = {name: torch.full((3,), 1 / 3) for name in ("labeled", "unlabeled")}
    last: dict[str, list[Tensor]] = {"labeled": [], "unlabeled": []}
    for seed in range(4):
        probs, asked = random_probs(8, seed=seed), []
        logits = {name: torch.randn(4, 3) for name in ("one", "two")}
        made = plugin.refine(targets(probs), batch(8), answering(logits, asked), ("one", "two"))
        assert asked == ["one", "two"]
        means = {"labeled": torch.cat(list(logits.values())).softmax(1).mean(0), "unlabeled": probs.mean(0)}
        for name, mean in means.items():
            average[name] = (average[name] + mean) / 2
            last[name].append(mean)
        known = average if memory == "average" else {n: torch.stack(rows[-2:]).mean(0) for n, rows in last.items()}
        torch.testing.assert_close(made.probs, aligned(probs, known["labeled"], known["unlabeled"]))


def test_a_pool_is_aligned_with_its_own_mean_and_remembered_nowhere() -> None:
    probs = random_probs(40)
    for memory in ("average", "queue"):
        plugin = begun(memory=memory)
        before = deepcopy(plugin.state_dict())
        made = plugin.refine(targets(probs), None, None, ())
        torch.testing.assert_close(made.probs, aligned(probs, torch.ones(3), probs.mean(0)))
        assert str(plugin.state_dict()) == str(before)


@pytest.mark.parametrize("memory", ["average", "queue"])
def test_labels_of_labeled_images_are_aligned_and_not_remembered(memory: str) -> None:
    plugin, probs = begun(memory=memory), random_probs(4)
    before = deepcopy(plugin.state_dict())
    first = plugin.refine(targets(probs), batch(4, "labeled"), None, ()).probs  # before any unlabeled batch was seen
    assert bool(first.isfinite().all()) and str(plugin.state_dict()) == str(before)
    plugin.refine(targets(random_probs(8, seed=5)), batch(8), None, ())
    model = plugin.average_["unlabeled"] if memory == "average" else random_probs(8, seed=5).mean(0)
    made = plugin.refine(targets(probs), batch(4, "labeled"), None, ())
    torch.testing.assert_close(made.probs, aligned(probs, torch.ones(3), model))


def test_what_earlier_refinements_made_is_what_is_aligned() -> None:
    probs, raw = random_probs(8), random_probs(8, seed=3)
    made = begun(decay=0.0).refine(replace(targets(probs), raw=raw), batch(8), None, ())
    torch.testing.assert_close(made.probs, aligned(probs, torch.ones(3), probs.mean(0)))


@given(probabilities())
def test_rows_in_another_order_are_aligned_alike(probs: Tensor) -> None:
    order, classes = torch.arange(len(probs)).flip(0), probs.shape[1]
    one, other = (begun(classes, memory="queue") for _ in range(2))
    made = one.refine(targets(probs), batch(len(probs)), None, ())
    again = other.refine(permuted(targets(probs), order), batch(len(probs)), None, ())
    torch.testing.assert_close(again.probs, made.probs[order])


@pytest.mark.parametrize("fields", [{}, {"memory": "queue", "batches": 2}])
@pytest.mark.parametrize("target", ["uniform", "predictions"])
def test_state_goes_on_to_the_same_bits(fields: dict[str, object], target: str) -> None:
    one, other = (begun(target=target, **fields) for _ in range(2))
    forward = answering({"labeled": torch.randn(4, 3)})
    for seed in range(3):
        one.refine(targets(random_probs(8, seed=seed)), batch(8), forward, ("labeled",))
    other.load_state_dict(deepcopy(one.state_dict()))
    for seed in range(3, 6):
        given_ = targets(random_probs(8, seed=seed))
        made = [plugin.refine(given_, batch(8), forward, ("labeled",)).probs for plugin in (one, other)]
        assert torch.equal(*made)


# What cannot be ---------------------------------------------------------------------------------------------------


def test_predictions_need_a_step_and_a_view() -> None:
    plugin = begun(target="predictions")
    with pytest.raises(RecipeError, match=r"compares with labeled images at each step.*Set `labels = \"step\"`"):
        plugin.refine(targets(random_probs(8)), None, None, ("labeled",))
    with pytest.raises(RecipeError, match=r"names no view.*on = \"labeled\""):
        plugin.refine(targets(random_probs(8)), batch(8), answering({}), ())


@pytest.mark.parametrize(
    "fields", [{"target": "labeled", "power": 0.5}, {"memory": "queue", "batches": 2}, {"target": "uniform"}]
)
def test_promises(fields: dict[str, object]) -> None:
    check_plugin(DistributionAlignment, **fields)


@pytest.mark.parametrize("memory", ["average", "queue"])
def test_promises_with_labeled_views(memory: str) -> None:
    check_plugin(DistributionAlignment, on=("labeled",), target="predictions", memory=memory)
