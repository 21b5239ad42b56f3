"""SimMatch's bank of labeled embeddings."""

import math
from typing import Any

import pytest
import torch
from banks import Answers, facts, probabilities, rows, step
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Step, Targets
from sslkit.errors import RecipeError
from sslkit_plugins import room
from sslkit_plugins.labeler.instance_similarity import InstanceSimilarity, aggregated, moved_rows, similarity, unfolded

F64 = torch.float64


def test_similarity_by_hand() -> None:
    own, bank = rows(2, 5, 0), rows(3, 5, 1)
    for i in range(2):
        powers = [math.exp(float(own[i] @ bank[j]) / 0.1) for j in range(3)]
        for j in range(3):
            assert similarity(own, bank, 0.1)[i, j].item() == pytest.approx(powers[j] / sum(powers), abs=1e-12)


def test_unfolding_and_aggregation_by_hand() -> None:
    likeness = torch.tensor([[0.5, 0.3, 0.2]], dtype=F64)
    probs, label = torch.tensor([[0.7, 0.1, 0.2]], dtype=F64), torch.tensor([2, 0, 2])
    # Times the probability of each image's class: 0.5 * 0.2, 0.3 * 0.7, 0.2 * 0.2.
    torch.testing.assert_close(unfolded(likeness, probs, label), torch.tensor([[0.10, 0.21, 0.04]], dtype=F64) / 0.35)
    # Classes' likenesses: 0.3, 0, 0.7.
    expected = torch.tensor([[0.63 + 0.03, 0.09, 0.18 + 0.07]], dtype=F64)
    torch.testing.assert_close(aggregated(likeness, probs, label, 0.9), expected)


def test_a_row_whose_class_has_no_labeled_image_keeps_its_likeness() -> None:
    likeness = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=F64)
    probs, label = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=F64), torch.tensor([0, 0])
    assert torch.equal(unfolded(likeness, probs, label), likeness)


@given(st.integers(1, 6), st.integers(1, 9), st.floats(0, 1), st.integers(0, 999))
def test_probabilities_stay_probabilities(count: int, size: int, share: float, seed: int) -> None:
    likeness, probs = similarity(rows(count, 4, seed), rows(size, 4, seed + 1), 0.1), probabilities(count, 3, seed)
    label = torch.randint(0, 3, (size,), generator=torch.Generator().manual_seed(seed))
    order, other = torch.arange(count).flip(0), torch.arange(size).flip(0)
    for made in (likeness, unfolded(likeness, probs, label), aggregated(likeness, probs, label, share)):
        torch.testing.assert_close(made.sum(1), torch.ones(count, dtype=F64))
        assert bool((made >= 0).all())
    torch.testing.assert_close(unfolded(likeness, probs, label)[order], unfolded(likeness[order], probs[order], label))
    torch.testing.assert_close(
        aggregated(likeness[:, other], probs, label[other], share), aggregated(likeness, probs, label, share)
    )


def test_embeddings_are_normalised_over_their_features_and_not_over_the_bank() -> None:
    """A toolkit that has them as columns normalises each feature over all images instead."""
    old, new = rows(3, 7, 0), rows(3, 7, 1)
    made = moved_rows(old, new, 0.7)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(3, dtype=F64))
    mixed = 0.7 * old + 0.3 * new
    for i in range(3):
        torch.testing.assert_close(made[i], mixed[i] / mixed[i].square().sum().sqrt())
    torch.testing.assert_close(moved_rows(old[:1], new[:1], 0.7), made[:1])  # other images do not matter
    assert not torch.allclose(made, torch.nn.functional.normalize(mixed, dim=0))


# The plugin -----------------------------------------------------------------------------------------------------------

ON = ("weak", "strong", "labeled")
INDEX = [([0, 1], [2, 0]), ([3, 3], [1, 1]), ([2, 0], [0, 2]), ([3, 1], [1, 0])]
"Positions and classes of each step's labeled images: after three of them the bank of four is full."


def drive(plugin: InstanceSimilarity, count: int, first: int = 0) -> list[tuple[Step, Answers, Targets, Any]]:
    """Some steps of three unlabeled and two labeled images: targets and terms of each."""
    done = []
    for number in range(first, first + count):
        views = {name: rows(3, 5, 10 * number + i).float() for i, name in enumerate(("weak", "strong", "contrast"))}
        forward = Answers("instance", {**views, "labeled": rows(2, 5, 10 * number + 7).float()})
        made = step(probabilities(3, 3, 90 + number).float(), *INDEX[number % 4])
        targets = plugin.refine(given_of(made), made.unlabeled, forward, ON)
        terms = plugin.loss(made, forward, ON)
        plugin.after_step(made)
        done.append((made, forward, targets, terms))
    return done


def begun(labeled: int = 4, **fields: Any) -> InstanceSimilarity:
    plugin = InstanceSimilarity(**{"width": 5, **fields})
    plugin.begin(facts(labeled))
    return plugin


def given_of(made: Step) -> Targets:
    assert made.unlabeled is not None and made.unlabeled.targets is not None
    return made.unlabeled.targets


def test_the_bank_holds_the_labeled_images_by_position_and_class() -> None:
    plugin = begun()
    done = drive(plugin, 4)
    labeled = [forward.views["labeled"] for _, forward, *_ in done]
    torch.testing.assert_close(plugin.bank_.values[2], labeled[2][0])  # seen once: as it was
    torch.testing.assert_close(plugin.bank_.values[:1], moved_rows(labeled[0][:1], labeled[2][1:], 0.7))
    # Image 3 came twice in one batch, and the last counts; then once more.
    torch.testing.assert_close(plugin.bank_.values[3:], moved_rows(labeled[1][1:], labeled[3][:1], 0.7))
    assert plugin.label_.values.tolist() == [2, 0, 0, 1]
    torch.testing.assert_close(plugin.bank_.values.norm(dim=1), torch.ones(4))


def test_nothing_is_done_before_every_labeled_image_is_in_the_bank() -> None:
    done = drive(begun(), 4)
    assert [bool(terms) for *_, terms in done] == [False, False, False, True]
    assert all(targets is given_of(made) for made, _, targets, _ in done[:3])


def test_labels_and_likenesses_correct_one_another() -> None:
    plugin = begun(weight=0.5)
    drive(plugin, 3)
    bank, label = plugin.bank_.values.clone(), plugin.label_.values.clone()
    ((made, forward, targets, terms),) = drive(plugin, 1, first=3)
    probs, likeness = given_of(made).probs, similarity(forward.views["weak"], bank, 0.1)
    torch.testing.assert_close(targets.probs, aggregated(likeness, probs, label, 0.9))
    torch.testing.assert_close(
        targets.probs, 0.9 * probs + 0.1 * likeness @ torch.nn.functional.one_hot(label, 3).float()
    )
    goal, student = unfolded(likeness, probs, label), similarity(forward.views["strong"], bank, 0.1)
    torch.testing.assert_close(terms[0].value, -(goal * student.log()).sum(1).mean())
    assert terms[0].weight == 0.5 and torch.equal(targets.raw, given_of(made).raw)
    assert set(forward.asked) == set(ON)


def test_the_loss_moves_the_student_alone() -> None:
    plugin = begun()
    drive(plugin, 3)
    views = {name: rows(3, 5, i).float().requires_grad_() for i, name in enumerate(("weak", "strong"))}
    views["labeled"] = rows(2, 5, 9).float().requires_grad_()
    forward, made = Answers("instance", views), step(probabilities(3, 3, 1).float().requires_grad_(), [0, 1], [2, 0])
    targets = plugin.refine(given_of(made), made.unlabeled, forward, ON)
    (term,) = plugin.loss(made, forward, ON)
    term.value.backward()  # type: ignore[no-untyped-call]
    plugin.after_step(made)
    assert views["strong"].grad is not None and views["weak"].grad is None and views["labeled"].grad is None
    assert not targets.probs.requires_grad and not plugin.bank_.values.requires_grad


def test_further_views_of_the_stream_learn_too() -> None:
    plugin = begun()
    drive(plugin, 3)
    one = {name: rows(3, 5, i).float() for i, name in enumerate(("weak", "strong", "contrast"))}
    forward, made = (
        Answers("instance", {**one, "labeled": rows(2, 5, 9).float()}),
        step(probabilities(3, 3, 1), [0], [2]),
    )
    values = []
    for on in (
        ("weak", "strong", "labeled"),
        ("weak", "contrast", "labeled"),
        ("weak", "strong", "contrast", "labeled"),
    ):
        plugin.refine(given_of(made), made.unlabeled, forward, on)
        values.append(plugin.loss(made, forward, on)[0].value)
    torch.testing.assert_close(values[2], (values[0] + values[1]) / 2)


def test_images_promoted_into_the_labeled_stream_find_room() -> None:
    """The stream may be longer than the labeled set was: the bank grows as they come, and waits until it is full again."""
    plugin = begun(labeled=1)
    done = drive(plugin, 5)
    assert plugin.bank_.values.shape == (4, 5) and plugin.label_.values.tolist() == [2, 0, 0, 1]
    assert [bool(terms) for *_, terms in done] == [False, True, False, True, True]


def copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}


@pytest.mark.parametrize(("labeled", "stop"), [(4, 0), (4, 2), (4, 3), (1, 4)])
def test_a_saved_bank_goes_on_to_the_same_bits(labeled: int, stop: int) -> None:
    plugin, other = begun(labeled), begun(labeled)
    drive(plugin, stop)
    saved = copied(plugin.state_dict())
    whole = drive(plugin, 5, first=stop)
    other.load_state_dict(saved)
    resumed = drive(other, 5, first=stop)
    for (_, _, one, terms), (_, _, two, others) in zip(whole, resumed, strict=True):
        assert torch.equal(one.probs, two.probs)
        assert [t.value.item() for t in terms] == [t.value.item() for t in others]
    assert all(
        torch.equal(a, b) for a, b in zip(plugin.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_another_student_begins_with_an_empty_bank() -> None:
    plugin = begun()
    drive(plugin, 4)
    plugin.begin(facts(4))
    assert not plugin.seen_.values.any() and not plugin.bank_.values.any() and plugin.about == ("student",)


def test_the_labeled_streams_own_targets_are_left_alone() -> None:
    made = step(probabilities(2, 3, 0), [0, 1], [2, 0])
    targets = given_of(made)
    assert begun().refine(targets, made.labeled, Answers("instance", {}), ON) is targets


@pytest.mark.parametrize("on", [("weak",), ("weak", "strong"), ("weak", "labeled")])
def test_it_takes_three_kinds_of_view(on: tuple[str, ...]) -> None:
    made = step(probabilities(3, 3, 0), [0, 1], [2, 0])
    with pytest.raises(RecipeError, match=r'on = \["weak", "strong", "labeled"\]'):
        begun().refine(given_of(made), made.unlabeled, Answers("instance", {}), on)


def test_a_labeled_view_is_not_the_one_that_is_corrected() -> None:
    made, on = step(probabilities(3, 3, 0), [0, 1], [2, 0]), ("labeled", "strong", "weak")
    for batch in (made.labeled, made.unlabeled):
        with pytest.raises(
            RecipeError, match=r"names labeled, strong, weak, and labeled is of the labeled stream; first"
        ):
            begun().refine(given_of(made), batch, Answers("instance", {}), on)


def test_what_it_cannot_work_with(monkeypatch: pytest.MonkeyPatch) -> None:
    made = step(probabilities(3, 3, 0), [0, 1], [2, 0])
    with pytest.raises(RecipeError, match=r'labels are made for the whole pool\. Set labels = "step"'):
        begun().refine(given_of(made), None, None, ON)
    with pytest.raises(RecipeError, match="it is not known how many there are"):
        begun(labeled=0)
    monkeypatch.setattr(room, "memory_of", lambda device: 10**9)
    with pytest.raises(RecipeError, match=r"likenesses to labeled images of 3 x 100,000,000 takes 4\.8 GB"):
        begun(labeled=100_000_000)
