from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sslkit import Batch, Outputs, Progress, Step, Targets, View
from sslkit_plugins.loss.cross_entropy import CrossEntropy, cross_entropy, smooth_hard
from sslkit_plugins.loss.mean_squared import MeanSquared, squared_error


def random_probs(rows: int, classes: int, seed: int) -> Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed)).softmax(1)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.2, 0.3, 0.5]]).log()
    probs = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
    expected = -torch.tensor([0.3, 0.08**0.5, 1.0]).log() * torch.tensor([1.0, 2.0, 0.0])
    torch.testing.assert_close(cross_entropy(logits, probs, torch.tensor([1.0, 2.0, 0.0])), expected)


def test_squared_error_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()
    probs = torch.tensor([[1.0, 0.0], [0.7, 0.3]])
    torch.testing.assert_close(squared_error(logits, probs, torch.tensor([1.0, 0.5])), torch.tensor([0.25, 0.02]))


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(2, 6), st.integers(0, 999))
def test_rows_are_independent_and_at_their_least_at_the_target(rows: int, classes: int, seed: int) -> None:
    probs, weight = random_probs(rows, classes, seed), torch.rand(rows, generator=torch.Generator().manual_seed(seed))
    logits = random_probs(rows, classes, seed + 1).log()
    order = torch.arange(rows).flip(0)
    for loss in (cross_entropy, squared_error):
        made = loss(logits, probs, weight)
        assert bool((made >= 0).all())
        torch.testing.assert_close(loss(logits[order], probs[order], weight[order]), made[order])
        assert bool((loss(probs.log(), probs, weight) <= made + 1e-6).all())


@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
def test_targets_and_weights_get_no_gradient(loss: object) -> None:
    logits, probs, weight = torch.randn(4, 3, requires_grad=True), random_probs(4, 3, 0), torch.ones(4)
    probs.requires_grad_(), weight.requires_grad_()
    loss(logits, probs, weight).sum().backward()  # type: ignore[operator]
    assert probs.grad is None and weight.grad is None
    assert logits.grad is not None and bool(logits.grad.any())


def test_smoothing_touches_hard_rows_only() -> None:
    soft = [0.9, 0.1, 0.0, 0.0]
    saturated = [1.0, 1e-30, 0.0, 0.0]  # a very sure teacher's, not a hard label
    probs = torch.tensor([[0.0, 1.0, 0.0, 0.0], soft, saturated])
    made = smooth_hard(probs, 0.2)
    torch.testing.assert_close(made[0], torch.tensor([0.05, 0.85, 0.05, 0.05]))
    assert torch.equal(made[1:], probs[1:])


@given(st.floats(0, 0.99), st.integers(0, 999))
def test_smoothed_targets_stay_probabilities(smoothing: float, seed: int) -> None:
    probs = torch.cat([random_probs(3, 4, seed), torch.eye(4)])
    made = smooth_hard(probs, smoothing)
    torch.testing.assert_close(made.sum(1), torch.ones(7))
    assert torch.equal(made.argmax(1), probs.argmax(1))


# The plugins ------------------------------------------------------------------------------------------------------

LOGITS = {name: torch.randn(rows, 3) for name, rows in (("labeled", 2), ("weak", 6), ("strong", 6))}


def forward(view: str | View, model: str | None = None) -> Outputs:
    return Outputs(LOGITS[view if isinstance(view, str) else view.name])


def step() -> Step:
    def batch(stream: str, rows: int, *views: str) -> Batch:
        images = torch.zeros(rows, 3, 4, 4)
        return Batch(stream, torch.arange(rows), torch.arange(rows), {v: View(v, images) for v in views}, classes=3)

    targets = Targets.of(torch.arange(6), random_probs(6, 3, 7))
    targets = replace(targets, weight=torch.tensor([1.0, 0, 0.5, 1, 0, 0]))
    labeled = replace(batch("labeled", 2, "labeled"), truth=torch.tensor([2, 0]))
    return Step(labeled, replace(batch("unlabeled", 6, "weak", "strong"), targets=targets), Progress(0))


def rows(name: str, targets: Targets) -> Tensor:
    return -(targets.probs * LOGITS[name].log_softmax(1)).sum(1) * targets.weight


def unlabeled(given_: Step) -> Targets:
    assert given_.unlabeled is not None and given_.unlabeled.targets is not None
    return given_.unlabeled.targets


def test_the_mean_is_over_all_rows_filtered_ones_too() -> None:
    term = CrossEntropy(weight=0.3).loss(step(), forward, ("strong",))
    torch.testing.assert_close(term.value, rows("strong", unlabeled(step())).sum() / 6)
    assert term.weight == 0.3


def test_truth_is_learned_on_the_labeled_stream() -> None:
    term = CrossEntropy().loss(step(), forward, ("labeled",))
    torch.testing.assert_close(term.value, torch.nn.functional.cross_entropy(LOGITS["labeled"], torch.tensor([2, 0])))


def test_views_and_streams_are_one_mean() -> None:
    targets = unlabeled(step())
    both = torch.cat([rows("weak", targets), rows("strong", targets)])
    torch.testing.assert_close(CrossEntropy().loss(step(), forward, ("weak", "strong")).value, both.mean())
    truth = Targets.of(torch.arange(2), torch.eye(3)[[2, 0]])
    mixed = torch.cat([rows("labeled", truth), rows("strong", targets)])
    torch.testing.assert_close(CrossEntropy().loss(step(), forward, ("labeled", "strong")).value, mixed.mean())


def test_batch_ratio_is_the_official_weighting() -> None:
    ratio = CrossEntropy(weighting="batch_ratio")
    plain = CrossEntropy()
    for views, factor in ((("labeled",), 1), (("strong",), 3), (("weak", "strong"), 3), (("labeled", "strong"), 4)):
        expected = plain.loss(step(), forward, views).value * factor
        torch.testing.assert_close(ratio.loss(step(), forward, views).value, expected)


def test_a_views_own_targets_come_first() -> None:
    given_, own = step(), Targets.of(torch.arange(6), torch.eye(3)[[0, 1, 2, 0, 1, 2]])
    mixed = given_.with_views(View("strong", torch.zeros(6, 3, 4, 4), own))
    torch.testing.assert_close(CrossEntropy().loss(mixed, forward, ("strong",)).value, rows("strong", own).mean())


def test_to_truth_passes_a_teachers_labels_by() -> None:
    given_ = step()
    given_.labeled.targets = Targets.of(torch.arange(2), random_probs(2, 3, 9))
    by_teacher = CrossEntropy().loss(given_, forward, ("labeled",)).value
    by_truth = CrossEntropy(to="truth").loss(given_, forward, ("labeled",)).value
    torch.testing.assert_close(by_truth, CrossEntropy().loss(step(), forward, ("labeled",)).value)
    assert by_teacher != by_truth


def test_label_smoothing_of_truth_and_not_of_soft_labels() -> None:
    smoothed = CrossEntropy(label_smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(LOGITS["labeled"], torch.tensor([2, 0]), label_smoothing=0.1)
    torch.testing.assert_close(smoothed.loss(step(), forward, ("labeled",)).value, expected)
    soft = CrossEntropy().loss(step(), forward, ("strong",)).value
    assert torch.equal(smoothed.loss(step(), forward, ("strong",)).value, soft)
    given_ = step()
    assert given_.unlabeled is not None
    given_.unlabeled.targets = Targets.of(torch.arange(6), torch.eye(3).repeat(2, 1))
    assert smoothed.loss(given_, forward, ("strong",)).value != CrossEntropy().loss(given_, forward, ("strong",)).value


def test_mean_squared_is_over_rows_and_classes() -> None:
    targets = unlabeled(step())
    error = (LOGITS["strong"].softmax(1) - targets.probs).square() * targets.weight[:, None]
    term = MeanSquared(weight=50.0).loss(step(), forward, ("strong",))
    torch.testing.assert_close(term.value, error.sum() / 18)
    assert term.weight == 50.0
    other = (LOGITS["weak"].softmax(1) - targets.probs).square() * targets.weight[:, None]
    both = MeanSquared().loss(step(), forward, ("weak", "strong")).value
    torch.testing.assert_close(both, (error.sum() + other.sum()) / 36)


# A student's temperature --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_a_temperature_is_t_squared_times_the_softened_cross_entropy(temperature: float) -> None:
    targets = unlabeled(step())
    logits = LOGITS["strong"].double()
    soft = torch.exp(logits / temperature) / torch.exp(logits / temperature).sum(1, keepdim=True)
    expected = temperature**2 * -((targets.probs * soft.log()).sum(1) * targets.weight).sum() / 6
    term = CrossEntropy(temperature=temperature).loss(step(), forward, ("strong",))
    torch.testing.assert_close(term.value, expected.float())


def test_a_temperature_of_one_changes_no_bit() -> None:
    plain = CrossEntropy().loss(step(), forward, ("weak", "strong")).value
    assert torch.equal(CrossEntropy(temperature=1.0).loss(step(), forward, ("weak", "strong")).value, plain)


def test_gradients_keep_their_size_at_any_temperature() -> None:
    """Hinton et al. 2015, sec. 2: for high T the gradient of T^2 H is (logits - teacher's logits) / K, whatever T."""
    teacher, logits = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    sizes = []
    for temperature in (50.0, 100.0):
        student = logits.clone().requires_grad_()
        targets = replace(Targets.of(torch.arange(6), (teacher / temperature).softmax(1)))
        given_ = step()
        assert given_.unlabeled is not None
        given_ = replace(given_, unlabeled=replace(given_.unlabeled, targets=targets))
        answer = lambda view, model=None, student=student: Outputs(student)  # noqa: E731
        CrossEntropy(temperature=temperature).loss(given_, answer, ("strong",)).value.backward()
        assert student.grad is not None
        sizes.append(student.grad)
    torch.testing.assert_close(sizes[0], sizes[1], rtol=0.05, atol=1e-3)
