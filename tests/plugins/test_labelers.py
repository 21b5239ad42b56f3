import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit import Batch, Outputs, Targets, View
from sslkit.errors import RecipeError
from sslkit_plugins.labeler.averaged_student import AveragedStudent
from sslkit_plugins.labeler.confidence import Confidence
from sslkit_plugins.labeler.current_student import CurrentStudent
from sslkit_plugins.labeler.hard_labels import HardLabels, harden
from sslkit_plugins.labeler.previous_student import PreviousStudent
from sslkit_plugins.labeler.sharpen import Sharpen, sharpen
from sslkit_plugins.labeler.soft_labels import SoftLabels, mean_probabilities


def targets(probs: list[list[float]]) -> Targets:
    return Targets.of(torch.arange(len(probs)), torch.tensor(probs))


@st.composite
def probabilities(draw: st.DrawFn) -> Tensor:
    shape = draw(st.tuples(st.integers(1, 8), st.integers(2, 6)))
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 999))))
    return (logits * draw(st.sampled_from([0.1, 1.0, 10.0, 60.0]))).softmax(1)


# Who teaches ------------------------------------------------------------------------------------------------------


def test_who_teaches() -> None:
    student, average, previous = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    assert CurrentStudent().make_teacher(student) is student
    assert AveragedStudent().make_teacher(average) is average
    assert PreviousStudent().make_teacher(previous) is previous
    assert PreviousStudent().make_teacher(None) is None


def test_an_average_that_nobody_keeps() -> None:
    with pytest.raises(RecipeError, match="Add a labeler that implements `average`, such as `moving_average`"):
        AveragedStudent().make_teacher(None)


# Soft labels ------------------------------------------------------------------------------------------------------


def test_mean_probabilities_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0], [0.0, 3.0]]).log_softmax(1)
    second = torch.tensor([[0.2, 0.8], [1.0, 0.0]]).clamp(min=1e-30).log()
    expected = torch.tensor([[0.35, 0.65], [0.5 + 0.5 / (1 + torch.e**3), 0.5 - 0.5 / (1 + torch.e**3)]])
    torch.testing.assert_close(mean_probabilities([first, second]), expected)


class Asked:
    """Answers each view with logits of its own, and remembers who asked."""

    def __init__(self) -> None:
        self.views: list[object] = []

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        self.views.append(view)
        logits = {"weak": [[2.0, 0.0]], "other": [[0.0, 2.0]], "clean": [[1.0, 1.0]]}[str(view)]
        return Outputs(torch.tensor(logits * 3, requires_grad=True))


def batch(*views: str) -> Batch:
    images = torch.zeros(3, 3, 4, 4)
    return Batch("unlabeled", torch.tensor([4, 0, 2]), torch.arange(3), {name: View(name, images) for name in views})


def test_soft_labels_are_the_teachers_probabilities() -> None:
    forward = Asked()
    made = SoftLabels().label(batch("clean", "weak", "other"), forward, ("weak",))
    assert forward.views == ["weak"]
    torch.testing.assert_close(made.probs[0], torch.tensor([2.0, 0.0]).softmax(0))
    assert made.index.tolist() == [4, 0, 2]
    assert made.kept.all() and not made.probs.requires_grad


def test_soft_labels_average_the_views_that_the_batch_has() -> None:
    made = SoftLabels().label(batch("weak", "other"), Asked(), ("weak", "other", "labeled"))
    torch.testing.assert_close(made.probs, torch.full((3, 2), 0.5))


def test_soft_labels_without_a_view() -> None:
    with pytest.raises(RecipeError, match=r"names no view of the unlabeled stream.*its views: weak"):
        SoftLabels().label(batch("weak"), Asked(), ("labeled",))


# Hard labels, sharpening, confidence --------------------------------------------------------------------------------


def test_hard_labels_by_hand() -> None:
    given_ = targets([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    made = HardLabels().refine(given_)
    assert made.probs.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert made.raw is given_.raw


@given(probabilities())
def test_hard_labels_keep_the_label(probs: Tensor) -> None:
    hard = harden(probs)
    assert hard.dtype == probs.dtype
    assert torch.equal(hard.argmax(1), probs.argmax(1))
    assert torch.equal(hard.sum(1), torch.ones(len(probs)))


def test_sharpen_by_hand() -> None:
    probs = torch.tensor([[0.2, 0.3, 0.5]])
    torch.testing.assert_close(sharpen(probs, 0.5), torch.tensor([[0.04, 0.09, 0.25]]) / 0.38)
    torch.testing.assert_close(sharpen(probs, 1.0), probs)
    roots = torch.tensor([[0.2, 0.3, 0.5]]).sqrt()
    torch.testing.assert_close(Sharpen(temperature=2.0).refine(targets(probs.tolist())).probs, roots / roots.sum())


def test_sharpen_survives_what_a_power_would_not() -> None:
    # 0.001 ** (1 / 0.01) and even 0.4 ** 100 vanish in float32.
    probs = torch.full((1, 1000), 0.0006)
    probs[0, 0] = 0.4006
    torch.testing.assert_close(sharpen(probs, 0.01)[0, 0], torch.tensor(1.0))
    assert sharpen(torch.full((1, 1000), 0.001), 0.01).sum() == pytest.approx(1, abs=1e-5)
    assert sharpen(torch.tensor([[0.0, 1.0]]), 0.5).tolist() == [[0, 1]]


@settings(deadline=None)
@given(probabilities(), st.floats(0.01, 100))
def test_sharpened_probabilities_are_probabilities(probs: Tensor, temperature: float) -> None:
    made = sharpen(probs, temperature)
    assert bool((made >= 0).all())
    torch.testing.assert_close(made.sum(1), torch.ones(len(probs)))
    order = torch.arange(len(probs)).flip(0)
    assert torch.equal(sharpen(probs[order], temperature), made[order])
    if temperature <= 1:
        assert bool((made.amax(1) >= probs.amax(1) - 1e-5).all())


@given(probabilities(), st.floats(0.1, 10))
def test_sharpening_is_a_temperature_on_logits(probs: Tensor, temperature: float) -> None:
    logits = probs.double().log() + 5
    torch.testing.assert_close(sharpen(probs.double(), temperature), (logits / temperature).softmax(1))


def test_confidence_by_hand() -> None:
    edges = torch.tensor([[0.94, 0.06], [0.95, 0.05], [0.96, 0.04]])
    assert Confidence().refine(targets(edges.tolist())).weight.tolist() == [0, 1, 1]
    made = Confidence(threshold=0.6).refine(targets([[0.6, 0.4], [0.41, 0.59], [0.0, 1.0]]))
    assert made.weight.tolist() == [1, 0, 1]
    assert made.kept.tolist() == [True, False, True]


def test_confidence_keeps_an_interval() -> None:
    given_ = targets([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9], [1.0, 0.0]])
    assert Confidence(threshold=0.7, below=0.9).refine(given_).weight.tolist() == [0, 1, 0, 0]
    assert Confidence(threshold=0.0, below=1.0).refine(given_).weight.tolist() == [1, 1, 1, 0]


def test_confidence_refuses_an_interval_that_holds_nothing() -> None:
    with pytest.raises(ValueError, match=r"`below = 0\.5` keeps nothing from `threshold = 0\.95` on"):
        Confidence(below=0.5)


def test_confidence_multiplies_what_earlier_filters_left() -> None:
    given_ = targets([[0.9, 0.1], [0.9, 0.1]])
    given_.weight = torch.tensor([0.25, 0.0])
    assert Confidence(threshold=0.5).refine(given_).weight.tolist() == [0.25, 0]


def test_confidence_looks_at_what_earlier_refinements_made() -> None:
    sharpened = Sharpen(temperature=0.5).refine(targets([[0.4, 0.6]]))
    assert Confidence(threshold=0.65).refine(sharpened).weight.tolist() == [1]
