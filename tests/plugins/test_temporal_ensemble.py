from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Facts, Outputs, Progress, Step, Targets, View
from sslkit.errors import RecipeError
from sslkit_plugins import room
from sslkit_plugins.labeler.temporal_ensemble import TemporalEnsemble, unbiased

FACTS = Facts(("a", "b", "c"), (1, 1, 1), {"labeled": 3, "unlabeled": 5}, {}, 4, 3, torch.device("cpu"))


def begun(decay: float = 0.6, facts: Facts = FACTS) -> TemporalEnsemble:
    plugin = TemporalEnsemble(decay=decay)
    plugin.begin(facts)
    return plugin


def batch(*index: int, stream: str = "unlabeled", views: tuple[str, ...] = ("weak",)) -> Batch:
    images = torch.zeros(len(index), 3, 4, 4)
    rows = torch.tensor(index)
    return Batch(stream, rows, rows, {name: View(name, images) for name in views}, classes=3)


def remember(plugin: TemporalEnsemble, index: tuple[int, ...], *probs: Tensor) -> None:
    """A step in which the student answers `probs` to each view."""
    names = [f"view{i}" for i in range(len(probs))]
    rows = batch(*index, views=tuple(names))
    plugin.label(rows, tuple(names))
    answers = {name: Outputs(p.log().requires_grad_()) for name, p in zip(names, probs, strict=True)}
    step = Step(batch(0, stream="labeled"), rows, Progress(0))
    plugin.after_step(step, lambda view, model=None: answers[view.name], tuple(names))  # type: ignore[union-attr]


def random_probs(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed)).softmax(1)


def test_an_image_that_was_never_seen_has_weight_0_and_nothing_to_say() -> None:
    targets = begun().label(batch(0, 4), ("weak",))
    assert targets.weight.tolist() == [0, 0] and targets.copies.tolist() == [1, 1]
    torch.testing.assert_close(targets.probs, torch.full((2, 3), 1 / 3))


def test_the_first_target_is_the_first_answer() -> None:
    """Without the division it would be four tenths of it: what a buffer of zeros is known to do wrong."""
    plugin, probs = begun(), random_probs(2, 0)
    remember(plugin, (3, 1), probs)
    targets = plugin.label(batch(1, 3, 0), ("weak",))
    torch.testing.assert_close(targets.probs[:2], probs[[1, 0]])
    assert targets.weight.tolist() == [1, 1, 0]


def test_averages_by_hand() -> None:
    """Laine & Aila 2017, Algorithm 2, one image by a loop of its own in float64; it is skipped now and then."""
    plugin, memory, count = begun(0.6), torch.zeros(3, dtype=torch.float64), 0
    for step in range(7):
        probs = random_probs(2, step)
        remember(plugin, (2, 0) if step != 3 else (1, 0), probs)
        if step != 3:
            memory, count = 0.6 * memory + 0.4 * probs[0].double(), count + 1
        targets = plugin.label(batch(2), ("weak",))
        torch.testing.assert_close(targets.probs[0].double(), memory / (1 - 0.6**count), atol=1e-6, rtol=0)
        assert torch.equal(targets.raw, targets.probs)
    assert plugin.memory_.values.any(1).tolist() == [True, True, True, False, False]


def test_of_an_image_drawn_twice_the_last_answer_counts_once() -> None:
    probs = random_probs(3, 1)
    plugin = begun()
    remember(plugin, (4, 2, 4), probs)
    torch.testing.assert_close(plugin.memory_.values.sum(1), torch.tensor([0, 0, 0.4, 0, 0.4]))
    torch.testing.assert_close(plugin.label(batch(4), ("weak",)).probs[0], probs[2])


def test_several_views_are_averaged() -> None:
    plugin, one, other = begun(0.0), random_probs(2, 1), random_probs(2, 2)
    remember(plugin, (0, 1), one, other)
    torch.testing.assert_close(plugin.label(batch(0, 1), ("weak",)).probs, (one + other) / 2)


def test_nothing_carries_a_gradient_and_labels_need_no_forward_pass() -> None:
    plugin = begun()
    remember(plugin, (0, 1), random_probs(2, 0))
    assert not plugin.memory_.values.requires_grad and not plugin.label(batch(0), ("weak",)).probs.requires_grad
    assert plugin.make_teacher(student := torch.nn.Linear(1, 1)) is student


def test_it_takes_four_bytes_for_each_image_and_class() -> None:
    plugin = begun()
    assert sum(tensor.nbytes for tensor in plugin.state_dict().values()) == 4 * 5 * 3


def test_state_goes_on_where_it_was() -> None:
    plugin, other = begun(), begun()
    remember(plugin, (0, 1), random_probs(2, 0))
    other.load_state_dict({name: tensor.clone() for name, tensor in plugin.state_dict().items()})
    for one in (plugin, other):
        remember(one, (1, 2), random_probs(2, 1))
    assert torch.equal(plugin.memory_.values, other.memory_.values)


def test_what_it_refuses() -> None:
    with pytest.raises(RecipeError, match=r"\[\[labeler\]\] temporal_ensemble: .* no unlabeled split"):
        begun(facts=replace(FACTS, sizes={"labeled": 3}))
    with pytest.raises(RecipeError, match=r"the labeled stream is to be labeled"):
        begun().label(batch(0, stream="labeled"), ("weak",))
    plugin, rows = begun(), batch(0)
    plugin.label(rows, ("weak",))
    mixed = replace(
        rows, views={"weak": View("weak", torch.zeros(1, 3, 4, 4), Targets.of(rows.index, torch.eye(3)[:1]))}
    )
    with pytest.raises(RecipeError, match=r"`weak` is mixed"):
        step = Step(batch(0, stream="labeled"), mixed, Progress(0))
        plugin.after_step(step, lambda view, model=None: Outputs(view), ("weak",))


def test_a_pool_that_memory_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "memory_of", lambda device: 10**6)
    with pytest.raises(RecipeError, match=r"temporal_ensemble: the averages of 100,000 x 3 takes 1\.2 MB, and cpu has"):
        begun(facts=replace(FACTS, sizes={"unlabeled": 100_000}))


def test_a_step_without_its_view_is_passed_over() -> None:
    plugin = begun()
    for unlabeled in (None, batch(0, views=("other",))):
        plugin.label(batch(0), ("weak",))
        plugin.after_step(Step(batch(0, stream="labeled"), unlabeled, Progress(0)), None, ("weak",))  # type: ignore[arg-type]
    assert not plugin.memory_.values.any()


@given(st.integers(1, 6), st.floats(0, 0.999), st.integers(0, 999))
def test_averages_stay_probabilities_whatever_the_order(steps: int, decay: float, seed: int) -> None:
    plugin, flipped = begun(decay), begun(decay)
    index, order = (0, 3, 1), [2, 1, 0]
    for step in range(steps):
        probs = random_probs(3, seed + step)
        remember(plugin, index, probs)
        remember(flipped, (1, 3, 0), probs[order])
    targets = plugin.label(batch(*index), ("weak",))
    assert bool((targets.probs >= 0).all()) and torch.equal(plugin.memory_.values, flipped.memory_.values)
    torch.testing.assert_close(targets.probs.sum(1), torch.ones(3), atol=1e-5, rtol=0)


@given(st.integers(1, 40), st.floats(0, 0.9999))
def test_what_is_divided_by_is_the_papers_1_minus_a_to_the_t(count: int, decay: float) -> None:
    memory = torch.zeros(1, 3, dtype=torch.float64)
    for step in range(count):
        memory = decay * memory + (1 - decay) * random_probs(1, step).double()
    torch.testing.assert_close(unbiased(memory), memory / (1 - decay**count), rtol=1e-5, atol=1e-6)
