"""CoMatch's memory of the last steps' embeddings and probabilities."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from banks import CPU, Answers, facts, probabilities, rows, step
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Step, Targets
from sslkit.errors import RecipeError
from sslkit_plugins import room
from sslkit_plugins.labeler.memory_smoothing import MemorySmoothing, smoothed


def test_smoothing_by_hand() -> None:
    own, probs = rows(2, 4, 0), probabilities(2, 3, 1)
    remembered, theirs = rows(5, 4, 2), probabilities(5, 3, 3)
    made = smoothed(probs, own, remembered, theirs, 0.9, 0.2)
    for i in range(2):
        powers = [math.exp(float(own[i] @ remembered[j]) / 0.2) for j in range(5)]
        for k in range(3):
            near = sum(power * float(theirs[j, k]) for j, power in enumerate(powers)) / sum(powers)
            assert made[i, k].item() == pytest.approx(0.9 * float(probs[i, k]) + 0.1 * near, abs=1e-12)


@given(st.integers(1, 6), st.integers(1, 9), st.floats(0, 1), st.sampled_from([0.01, 0.2, 5.0]), st.integers(0, 999))
def test_probabilities_stay_probabilities(count: int, size: int, share: float, temperature: float, seed: int) -> None:
    given_ = rows(count, 4, seed), rows(size, 4, seed + 1), probabilities(size, 3, seed + 2)
    probs = probabilities(count, 3, seed)
    made = smoothed(probs, *given_, share, temperature)
    torch.testing.assert_close(made.sum(1), torch.ones(count, dtype=torch.float64))
    assert bool((made >= 0).all())
    order, other = torch.arange(count).flip(0), torch.arange(size).flip(0)
    torch.testing.assert_close(smoothed(probs[order], given_[0][order], *given_[1:], share, temperature), made[order])
    shuffled = smoothed(probs, given_[0], given_[1][other], given_[2][other], share, temperature)
    torch.testing.assert_close(shuffled, made)  # a memory has no order


def test_the_temperature_and_the_share_are_not_ignored() -> None:
    given_ = probabilities(2, 3, 1), rows(2, 4, 0), rows(5, 4, 2), probabilities(5, 3, 3)
    plain = smoothed(*given_, 0.9, 0.2)
    assert not torch.allclose(plain, smoothed(*given_, 0.9, 0.1))
    assert not torch.allclose(plain, smoothed(*given_, 0.5, 0.2))
    assert torch.equal(smoothed(*given_, 1.0, 0.2), given_[0])


# The plugin -----------------------------------------------------------------------------------------------------------

ON = ("weak", "labeled")


def drive(plugin: MemorySmoothing, count: int, first: int = 0) -> list[tuple[Step, Answers, Targets]]:
    """Some steps of three unlabeled and two labeled images; each with what smoothing made of it."""
    done = []
    for number in range(first, first + count):
        views = {"weak": rows(3, 4, 10 + number).float(), "labeled": rows(2, 4, 50 + number).float()}
        made, forward = (
            step(probabilities(3, 3, 90 + number).float(), [0, 1], [2, number % 3]),
            Answers("projection", views),
        )
        assert made.unlabeled is not None and made.unlabeled.targets is not None
        targets = plugin.refine(made.unlabeled.targets, made.unlabeled, forward, ON)
        plugin.after_step(made)
        done.append((made, forward, targets))
    return done


def begun(**fields: Any) -> MemorySmoothing:
    plugin = MemorySmoothing(**{"batches": 2, **fields})
    plugin.begin(facts())
    return plugin


def given_of(made: Step) -> Targets:
    assert made.unlabeled is not None and made.unlabeled.targets is not None
    return made.unlabeled.targets


def remembered(done: list[tuple[Step, Answers, Targets]]) -> tuple[Tensor, Tensor]:
    """What the rows of some steps are in the memory: before smoothing, labeled ones with their truth."""
    own = [torch.cat([forward.views["weak"], forward.views["labeled"]]) for _, forward, _ in done]
    probs = [torch.cat([given_of(made).probs, torch.eye(3)[made.labeled.truth]]) for made, *_ in done]
    return torch.cat(own), torch.cat(probs)


def test_nothing_is_smoothed_before_the_memory_is_full() -> None:
    done = drive(begun(), 3)
    assert all(targets is given_of(made) for made, _, targets in done[:2])
    assert not torch.equal(done[2][2].probs, given_of(done[2][0]).probs)


def test_labels_lean_to_the_last_steps_rows_as_they_were_before_smoothing() -> None:
    done = drive(begun(), 6)
    for now in range(2, 6):
        made, forward, targets = done[now]
        expected = smoothed(given_of(made).probs, forward.views["weak"], *remembered(done[now - 2 : now]), 0.9, 0.2)
        torch.testing.assert_close(targets.probs, expected)
        assert torch.equal(targets.raw, given_of(made).raw) and not targets.probs.requires_grad


def test_each_view_is_asked_for_once_a_step() -> None:
    assert all(forward.asked == ["weak", "labeled"] for _, forward, _ in drive(begun(), 3))


def test_without_a_labeled_view_it_remembers_unlabeled_rows_alone() -> None:
    plugin, made = begun(), step(probabilities(3, 3, 0).float(), [0, 1], [2, 0])
    for _ in range(3):
        plugin.refine(given_of(made), made.unlabeled, Answers("projection", {"weak": rows(3, 4, 1).float()}), ("weak",))
        plugin.after_step(made)
    assert plugin.queue_ is not None and plugin.queue_.rows == 6


def test_the_labeled_streams_own_targets_are_left_alone() -> None:
    plugin, made = begun(), step(probabilities(2, 3, 0), [0, 1], [2, 0])
    targets = given_of(made)
    assert plugin.refine(targets, made.labeled, Answers("projection", {}), ON) is targets
    plugin.after_step(made)
    assert plugin.queue_ is None


def test_embeddings_in_the_memory_have_no_gradient() -> None:
    plugin, made = begun(), step(probabilities(3, 3, 0).float(), [0, 1], [2, 0])
    views = {"weak": rows(3, 4, 1).float().requires_grad_(), "labeled": rows(2, 4, 2).float().requires_grad_()}
    for _ in range(3):
        targets = plugin.refine(given_of(made), made.unlabeled, Answers("projection", views), ON)
        assert not targets.probs.requires_grad
        plugin.after_step(made)
    assert plugin.queue_ is not None and not plugin.queue_["embeddings"].requires_grad


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_a_saved_memory_goes_on_to_the_same_bits(stop: int) -> None:
    plugin, other = begun(), begun()
    drive(plugin, stop)
    saved = {name: value.clone() if isinstance(value, Tensor) else value for name, value in plugin.state_dict().items()}
    whole = drive(plugin, 4, first=stop)
    other.load_state_dict(saved)
    resumed = drive(other, 4, first=stop)
    assert all(torch.equal(one[2].probs, two[2].probs) for one, two in zip(whole, resumed, strict=True))


def test_another_student_begins_with_an_empty_memory() -> None:
    plugin = begun()
    assert plugin.state_dict() == {} and plugin.about == ("student",)
    drive(plugin, 3)
    plugin.begin(facts())
    assert plugin.queue_ is None


def test_what_it_cannot_work_with(monkeypatch: pytest.MonkeyPatch) -> None:
    made = step(probabilities(3, 3, 0), [0, 1], [2, 0])
    with pytest.raises(RecipeError, match=r'labels are made for the whole pool\. Set labels = "step"'):
        begun().refine(given_of(made), None, None, ON)
    with pytest.raises(RecipeError, match="`on` names no view"):
        begun().refine(given_of(made), made.unlabeled, Answers("projection", {}), ())
    for batch in (made.labeled, made.unlabeled):
        with pytest.raises(RecipeError, match=r'labeled is of the labeled stream; first .*on = \["weak", "labeled"\]'):
            begun().refine(given_of(made), batch, Answers("projection", {}), ("labeled", "weak"))
    with pytest.raises(RecipeError, match=r"has no such head \(it has `own`\)\. Add a plugin that makes one"):
        begun().refine(given_of(made), made.unlabeled, Answers("own", {"weak": rows(3, 4, 0)}), ("weak",))
    monkeypatch.setattr(room, "memory_of", lambda device: 10_000)
    with pytest.raises(RecipeError, match="similarities of a batch and the memory of 1,005 x 3 takes 48 kB"):
        begun(batches=201)
    classes = replace(facts(), classes=tuple(map(str, range(1000))))
    with pytest.raises(RecipeError, match="the memory's probabilities of 10 x 1,000 takes 160 kB"):
        MemorySmoothing(batches=2).begin(classes)


def test_its_memory_lies_where_the_models_are() -> None:
    plugin = begun()
    drive(plugin, 1)
    assert plugin.queue_ is not None and plugin.queue_["probs"].device == CPU
