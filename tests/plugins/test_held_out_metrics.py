"""Top-k accuracy, accuracy by class, confusion, likelihood, calibration: against scikit-learn, or by hand in float64."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from torch import Tensor

from sslkit import Data, Images, Progress
from sslkit_plugins.metric.accuracy import Accuracy
from sslkit_plugins.metric.calibration import Calibration, expected_calibration_error, reliability
from sslkit_plugins.metric.confusion import Confusion
from sslkit_plugins.metric.likelihood import Likelihood
from sslkit_plugins.metric.per_class import PerClass
from sslkit_plugins.metric.scoring import bin_of, brier_score, negative_log_likelihood, upper_edges
from sslkit_plugins.metric.splits import confusion_matrix
from sslkit_plugins.metric.top_accuracy import TopAccuracy, top_accuracy

END = Progress(0, step=9, steps=9)
CLASSES = tuple("abcdefg")
ALL = [TopAccuracy, PerClass, Confusion, Likelihood, Calibration]


def split(name: str, truth: NDArray[np.int64]) -> Images:
    return Images([f"{name}/{i}" for i in range(len(truth))], lambda rows: [], truth)


class Answers:
    """A model that answers each split with given probabilities."""

    network = torch.nn.Identity()

    def __init__(self, **probs: Tensor) -> None:
        self.probs = probs

    def __call__(self, images: Images) -> Tensor:
        return self.probs[images.ids[0].split("/")[0]]


def guesses(rows: int, classes: int, seed: int = 0) -> tuple[Tensor, NDArray[np.int64]]:
    """Probabilities of a model that is often right, in float32 as models answer, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    logits = torch.from_numpy(random.normal(0, 2, (rows, classes)) + 2 * np.eye(classes)[truth])
    return logits.float().softmax(1), truth


@pytest.fixture
def world() -> tuple[Answers, Data, Tensor, NDArray[np.int64]]:
    """Two hundred test images, forty of them of unknown class, and thirty for validation."""
    probs, truth = guesses(200, 7)
    hidden = truth.copy()
    hidden[::5] = -1
    other, rest = guesses(30, 7, seed=1)
    data = Data(CLASSES, split("labeled", truth[:1]), validation=split("validation", rest), test=split("test", hidden))
    return Answers(test=probs, validation=other), data, probs[hidden >= 0], truth[hidden >= 0]


def measure(metric, model, data):
    """What a run would be told, as JSON has it."""
    known = {"model": model, "data": data, "stored": None, "progress": END}
    code = metric.measure.__func__.__code__
    made = metric.measure(**{name: known[name] for name in code.co_varnames[1 : code.co_argcount]})
    return json.loads(json.dumps(made, allow_nan=False))


# What they answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_top_accuracy_is_scikit_learns(world, k):
    model, data, probs, truth = world
    made = measure(TopAccuracy(k=k), model, data)
    assert made.keys() == {f"test_top_{k}_accuracy", f"validation_top_{k}_accuracy"}
    expected = sklearn.top_k_accuracy_score(truth, probs.double().numpy(), k=k, labels=range(7))
    assert made[f"test_top_{k}_accuracy"] == pytest.approx(expected, abs=1e-12) and 0.3 < expected < 1


def test_the_first_guess_alone_is_accuracy(world):
    model, data, *_ = world
    accuracy = Accuracy().measure(model, data, None)
    assert measure(TopAccuracy(k=1), model, data)["test_top_1_accuracy"] == accuracy["test_accuracy"]


def test_equal_probabilities_are_guessed_in_the_order_of_the_classes():
    """A model that knows nothing is not right always, nor never."""
    probs, truth = torch.full((4, 4), 0.25), torch.arange(4)
    assert [top_accuracy(probs, truth, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(("classes", "k"), [(2, 5), (5, 5), (7, 9)])
def test_as_many_guesses_as_classes_measure_nothing_and_it_is_said(classes, k):
    probs, truth = guesses(9, classes)
    data = Data(CLASSES[:classes], split("labeled", truth), test=split("test", truth))
    made = measure(TopAccuracy(k=k), Answers(test=probs), data)
    assert made == {f"top_{k}_note": f"top-{k} accuracy is left out: with {classes} classes it is always 100%"}


def test_the_confusion_matrix_is_scikit_learns(world):
    model, data, probs, truth = world
    made = measure(Confusion(), model, data)
    expected = sklearn.confusion_matrix(truth, probs.argmax(1), labels=range(7))
    assert made["test_confusion"] == {"classes": list(CLASSES), "matrix": expected.tolist()}
    assert made.keys() == {"test_confusion", "validation_confusion"}
    assert (expected != expected.T).any(), "rows and columns can be told apart"


def test_accuracy_by_class_is_scikit_learns_recall(world):
    model, data, probs, truth = world
    made = measure(PerClass(), model, data)["test_per_class"]
    recall = sklearn.recall_score(truth, probs.argmax(1), labels=range(7), average=None)
    assert list(made) == list(CLASSES)
    assert [row["accuracy"] for row in made.values()] == pytest.approx(recall, abs=1e-12)
    assert [row["images"] for row in made.values()] == np.bincount(truth, minlength=7).tolist()


def test_the_most_frequent_mistakes_of_a_class_come_first():
    matrix = np.array([[5, 1, 3, 0], [0, 9, 0, 0], [2, 2, 0, 1], [0, 0, 0, 0]])
    truth, label = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices((4, 4)))
    data = Data(("a", "b", "c", "d"), split("labeled", truth), test=split("test", truth))
    model = Answers(test=torch.eye(4)[torch.from_numpy(label)])
    made = measure(PerClass(mistakes=2), model, data)["test_per_class"]
    assert made["a"] == {"accuracy": 5 / 9, "images": 9, "mistaken_for": {"c": 3, "b": 1}}
    assert list(made["a"]["mistaken_for"]) == ["c", "b"]
    assert made["b"]["mistaken_for"] == {} and made["b"]["accuracy"] == 1
    assert made["c"] == {"accuracy": 0, "images": 5, "mistaken_for": {"a": 2, "b": 2}}
    assert made["d"] == {"accuracy": None, "images": 0, "mistaken_for": {}}, "absent from the split"


def test_classes_that_share_a_name_keep_rows_of_their_own():
    truth = np.array([0, 1, 1])
    data = Data(("x", "x"), split("labeled", truth), test=split("test", truth))
    made = measure(PerClass(), Answers(test=torch.eye(2)[[0, 1, 0]]), data)["test_per_class"]
    assert {name: row["images"] for name, row in made.items()} == {"0 x": 1, "1 x": 2}


def test_likelihood_is_scikit_learns_log_loss(world):
    model, data, probs, truth = world
    made = measure(Likelihood(), model, data)
    assert made.keys() == {"test_nll", "validation_nll"}
    rows = probs.double().numpy()
    expected = sklearn.log_loss(truth, rows / rows.sum(1, keepdims=True), labels=range(7))
    assert made["test_nll"] == pytest.approx(expected, abs=1e-6)
    assert made["test_nll"] == pytest.approx(-np.log(rows[np.arange(len(truth)), truth]).mean(), abs=1e-12)


def test_knowing_nothing_costs_ln_k_and_knowing_all_costs_nothing():
    truth = torch.arange(8) % 4
    assert negative_log_likelihood(torch.full((8, 4), 0.25), truth) == pytest.approx(math.log(4))
    sure = negative_log_likelihood(torch.eye(4)[truth], truth)
    assert sure == 0 and math.copysign(1, sure) == 1


def test_a_probability_of_exactly_zero_is_finite_and_costs_87_nats():
    probs = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    cost = -math.log(torch.finfo(torch.float32).tiny)
    assert cost == pytest.approx(87.3, abs=0.05)
    assert negative_log_likelihood(probs, torch.tensor([1, 0])) == pytest.approx((cost + math.log(2)) / 2)


def by_hand(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> float:
    """Guo et al. 2017, eq. 3, bin by bin."""
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            total += inside.sum() / len(confidence) * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


@pytest.mark.parametrize("bins", [1, 10, 15, 500])
def test_calibration_by_hand(world, bins):
    model, data, probs, truth = world
    made = measure(Calibration(bins=bins), model, data)
    assert made.keys() == {f"{s}_{name}" for s in ("test", "validation") for name in ("ece", "brier", "reliability")}
    confidence, label = probs.double().max(1)
    expected = by_hand(confidence.numpy(), label.numpy() == truth, bins)
    assert made["test_ece"] == pytest.approx(expected, abs=1e-12) and expected > 0.01


def test_calibration_of_a_table_that_can_be_checked_in_the_head():
    # (0.5, 1]: 0.8 and 0.6, both right: |1 - 0.7|. (0, 0.5]: 0.5 and 0.4, one right: |0.5 - 0.45|. Each holds a half.
    confidence = torch.tensor([0.8, 0.6, 0.5, 0.4], dtype=torch.float64)
    right = torch.tensor([True, True, False, True])
    assert expected_calibration_error(confidence, right, 2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.05)
    assert expected_calibration_error(torch.ones(3), torch.tensor([False] * 3), 15) == 1
    assert expected_calibration_error(torch.ones(3), torch.tensor([True] * 3), 15) == 0


def test_the_brier_score_is_scikit_learns_and_can_be_checked_in_the_head(world):
    model, data, probs, truth = world
    rows = probs.double().numpy()
    expected = sklearn.brier_score_loss(truth, rows / rows.sum(1, keepdims=True), labels=range(7), scale_by_half=False)
    assert measure(Calibration(), model, data)["test_brier"] == pytest.approx(expected, abs=1e-6)
    # 0.3^2 + 0.2^2 + 0.1^2 = 0.14 of a right answer; 0.7^2 + 0.8^2 + 0.1^2 = 1.14 of a wrong one.
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]], dtype=torch.float64)
    assert brier_score(probs, torch.tensor([0, 1])) == pytest.approx((0.14 + 1.14) / 2, abs=1e-15)
    assert brier_score(torch.eye(3)[[0, 1]], torch.tensor([0, 2])) == 1, (
        "0 where it is right, 2 where it is surely wrong"
    )
    assert brier_score(torch.full((2, 4), 0.25), torch.tensor([0, 3])) == 0.75


def test_a_brier_score_of_almost_sure_answers_is_not_lost_in_cancellation():
    probs = torch.tensor([[1 - 1e-9, 1e-9]], dtype=torch.float64)
    assert brier_score(probs, torch.tensor([0])) == pytest.approx(2e-18, rel=1e-6)


def test_likelihood_is_calibrations_where_it_is_asked_for(world):
    model, data, *_ = world
    made = measure(Calibration(nll=True), model, data)
    assert measure(Likelihood(), model, data).items() <= made.items()


def test_the_reliability_curve_of_a_table_that_can_be_checked_in_the_head():
    confidence = torch.tensor([0.8, 0.6, 0.5, 0.4], dtype=torch.float64)
    made = reliability(confidence, torch.tensor([True, True, False, True]), 4)
    assert made == {
        "0.25": {"images": 0, "confidence": None, "accuracy": None},
        "0.50": {"images": 2, "confidence": pytest.approx(0.45), "accuracy": 0.5},
        "0.75": {"images": 1, "confidence": 0.6, "accuracy": 1},
        "1.00": {"images": 1, "confidence": 0.8, "accuracy": 1},
    }


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 120))
@settings(max_examples=100)
def test_the_error_can_be_read_off_the_curve(rows, bins):
    confidence, right = torch.tensor([c for c, _ in rows], dtype=torch.float64), torch.tensor([r for _, r in rows])
    made = reliability(confidence, right, bins)
    assert len(made) == bins and sum(row["images"] for row in made.values()) == len(rows)
    assert all(row["confidence"] <= (m + 1) / bins + 1e-12 for m, row in enumerate(made.values()) if row["images"])
    gaps = (row["images"] * abs(row["accuracy"] - row["confidence"]) for row in made.values() if row["images"])
    expected = expected_calibration_error(confidence, right, bins)
    assert sum(gaps) / len(rows) == pytest.approx(expected, abs=1e-12)


def test_curves_are_made_at_a_generations_end_only(world):
    model, data, *_ = world
    early = Calibration().measure(model, data, replace(END, step=8))
    assert early.keys() == {"test_ece", "validation_ece", "test_brier", "validation_brier"}


@pytest.mark.parametrize(
    ("bins", "first", "last"), [(1, "1.00", "1.00"), (15, "0.07", "1.00"), (1000, "0.001", "1.000")]
)
def test_bins_are_called_by_their_upper_edges(bins, first, last):
    edges = upper_edges(bins)
    assert (edges[0], edges[-1]) == (first, last) and len(set(edges)) == bins
    assert [float(edge) for edge in edges] == sorted(float(edge) for edge in edges)


def test_bins_are_open_below_and_closed_above():
    confidence = torch.tensor([0.0, 0.2, 0.2 + 1e-12, 0.4, 0.8, 1.0], dtype=torch.float64)
    assert bin_of(confidence, 5).tolist() == [0, 0, 1, 1, 3, 4]
    assert bin_of(torch.tensor([1.0, 0.0]), 1).tolist() == [0, 0]


# What is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ALL)
def test_what_cannot_be_measured_is_left_out(metric, world):
    model, data, *_ = world
    both = measure(metric(), model, data)
    alone = measure(metric(), model, replace(data, test=None))
    assert alone == {name: value for name, value in both.items() if name.startswith("validation_")} != {}
    unknown = replace(data, test=split("test", np.full(200, -1)), validation=split("validation", np.array([], int)))
    assert measure(metric(), model, unknown) == {}


@pytest.mark.parametrize("metric", [PerClass, Confusion])
def test_tables_are_made_at_a_generations_end_only(metric, world):
    model, data, *_ = world
    assert metric().measure(model, data, replace(END, step=8)) == {}


def test_images_of_unknown_class_do_not_count(world):
    """The same as a split without them."""
    model, data, probs, truth = world
    known = replace(data, test=split("test", truth))
    for metric in ALL:
        assert measure(metric(), model, data) == measure(
            metric(), Answers(test=probs, validation=model.probs["validation"]), known
        )


def test_two_classes_and_one_image():
    truth = np.array([1])
    data = Data(("a", "b"), split("labeled", truth), test=split("test", truth))
    model = Answers(test=torch.tensor([[1.0, 0.0]]))
    made = {name: value for metric in ALL for name, value in measure(metric(), model, data).items()}
    assert made["test_ece"] == 1 and made["test_nll"] == pytest.approx(87.34, abs=0.01)
    assert made["test_confusion"]["matrix"] == [[0, 0], [1, 0]]
    assert made["test_per_class"]["b"] == {"accuracy": 0, "images": 1, "mistaken_for": {"a": 1}}
    assert "top_5_note" in made


def test_the_confusion_of_many_classes_counts_every_image():
    label, truth = torch.arange(3000) % 1000, torch.arange(3000) % 999
    matrix = confusion_matrix(label, truth, 1000)
    assert matrix.shape == (1000, 1000) and matrix.sum() == 3000
    assert matrix.sum(1).tolist() == torch.bincount(truth, minlength=1000).tolist()
