import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.semi_supervised import LabelSpreading as Spreading
from torch import Tensor

from sslkit import Data, Images, Progress, Targets
from sslkit.errors import DataError
from sslkit_plugins.data.digits import Digits
from sslkit_plugins.metric.accuracy import Accuracy, accuracy, pseudo_label_numbers
from sslkit_plugins.metric.label_spreading import LabelSpreading

END = Progress(0, step=9, steps=9, plugin="digits")


def images(name: str, truth: list[int], pixels: NDArray[np.uint8] | None = None) -> Images:
    shown = np.zeros((len(truth), 4, 4, 3), np.uint8) if pixels is None else pixels
    return Images([f"{name}/{i}" for i in range(len(truth))], lambda rows: [shown[i] for i in rows], np.array(truth))


class Guesses:
    """A model that answers each split with given classes."""

    network = torch.nn.Identity()

    def __init__(self, **answers: list[int]) -> None:
        self.answers = answers

    def __call__(self, split: Images) -> Tensor:
        return torch.eye(3)[self.answers[split.ids[0].split("/")[0]]]


def test_accuracy_by_hand() -> None:
    truth = torch.tensor([0, 1, -1, 2])
    assert accuracy(torch.tensor([0, 2, 0, 2]), truth) == pytest.approx(2 / 3)
    assert accuracy(torch.tensor([0]), torch.tensor([-1])) is None


def test_every_split_whose_truth_is_known() -> None:
    data = Data(
        ("a", "b", "c"), images("labeled", [0]), test=images("test", [0, 1, 2, -1]), validation=images("val", [1, 1])
    )
    model = Guesses(test=[0, 1, 0, 0], val=[1, 0], labeled=[0])
    expected = {"test_accuracy": pytest.approx(2 / 3), "validation_accuracy": 0.5}
    assert Accuracy().measure(model, data, None) == expected
    data = replace(data, test=images("test", [-1, -1, -1, -1]))
    assert Accuracy().measure(model, data, None) == {"validation_accuracy": 0.5}
    assert Accuracy().measure(model, replace(data, validation=None), None) == {}


def stored() -> Targets:
    targets = Targets.of(torch.tensor([3, 1, 0, 2]), torch.eye(3)[[0, 1, 2, 2]])
    return replace(targets, weight=torch.tensor([1.0, 1, 0, 0.5]), copies=torch.tensor([5.0, 1, 1, 0.25]))


def test_pseudo_labels_are_judged_where_they_are_kept_once_each() -> None:
    # Kept: image 3 labeled 0, image 1 labeled 1, image 2 labeled 2; the truth agrees on 3 and 2.
    numbers = pseudo_label_numbers(stored(), torch.tensor([2, 0, 2, 0]))
    assert numbers == {"pseudo_label_accuracy": pytest.approx(2 / 3), "kept_share": 0.75}


def test_pseudo_label_numbers_that_cannot_be_measured_are_left_out() -> None:
    data = Data(("a", "b", "c"), images("labeled", [0]), unlabeled=images("unlabeled", [-1] * 4))
    assert Accuracy().measure(Guesses(), data, stored()) == {"kept_share": 0.75}
    data = replace(data, unlabeled=images("unlabeled", [2, 0, 2, 0]))
    assert Accuracy().measure(Guesses(), data, stored())["pseudo_label_accuracy"] == pytest.approx(2 / 3)
    nothing = replace(stored(), weight=torch.zeros(4))
    assert Accuracy().measure(Guesses(), data, nothing) == {"kept_share": 0}
    assert Accuracy().measure(Guesses(), data, None) == {}


# Label spreading --------------------------------------------------------------------------------------------------


def reference(data: Data) -> float:
    """The same images given to scikit-learn by hand."""

    def pixels(split: Images) -> NDArray[np.float64]:
        return np.stack(split.read(np.arange(len(split))))[..., 0].reshape(len(split), 64) / 255.0

    assert data.unlabeled is not None and data.test is not None
    new = [i for i, name in enumerate(data.unlabeled.ids) if name not in set(data.labeled.ids)]
    x = np.concatenate([pixels(data.labeled), pixels(data.unlabeled)[new]])
    y = np.concatenate([data.labeled.truth, [-1] * len(new)])
    with np.errstate(invalid="ignore"):
        return float(Spreading(kernel="knn", max_iter=1000).fit(x, y).score(pixels(data.test), data.test.truth))


@pytest.mark.parametrize("include_labeled", [True, False])
def test_label_spreading_is_scikit_learns_on_the_very_same_images(include_labeled: bool) -> None:
    data = Digits(include_labeled=include_labeled).open_data(END)
    made = LabelSpreading().measure(data, END)
    assert set(made) == {"label_spreading"}
    assert made["label_spreading"] == pytest.approx(reference(data), abs=1e-9)
    assert 0.7 < made["label_spreading"] < 1


def test_it_is_measured_at_a_generations_end_only() -> None:
    data = Digits().open_data(END)
    assert LabelSpreading().measure(data, replace(END, step=8)) == {}


def test_it_needs_test_images_whose_classes_are_known() -> None:
    data = Data(("a", "b"), images("labeled", [0, 1]), images("unlabeled", [-1, -1]))
    assert LabelSpreading().measure(data, END) == {}
    assert LabelSpreading().measure(replace(data, test=images("test", [-1])), END) == {}


def test_only_test_images_of_known_class_count_and_labels_alone_will_do() -> None:
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    pixels[1] = 255
    data = Data(("a", "b"), images("labeled", [0, 1], pixels[:2]), test=images("test", [0, 1, -1], pixels))
    assert LabelSpreading(neighbors=1).measure(data, END) == {"label_spreading": 1.0}


def test_images_that_no_label_reaches_raise_no_warning() -> None:
    pixels = np.zeros((8, 4, 4, 3), np.uint8)
    pixels[4:] = 255
    data = Data(
        ("a", "b"), images("labeled", [1], pixels[:1]), images("unlabeled", [-1] * 7, pixels[1:]),
        test=images("test", [1, 0], pixels[[0, 7]]),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "label_spreading" in LabelSpreading(neighbors=2).measure(data, END)


@pytest.mark.parametrize("split", ["labeled", "unlabeled", "test"])
def test_images_of_differing_sizes(split: str) -> None:
    def sized(name: str) -> Images:
        shapes = [(4, 4, 3), (5, 4, 3)] if name == split else [(4, 4, 3)] * 2
        return Images(
            [f"{name}/{i}" for i in range(2)], lambda rows: [np.zeros(shapes[i], np.uint8) for i in rows], np.arange(2)
        )

    data = Data(("a", "b"), sized("labeled"), sized("unlabeled"), test=sized("test"))
    with pytest.raises(DataError, match=r"sizes differ, e.g. \(4, 4, 3\) and \(5, 4, 3\)"):
        LabelSpreading().measure(data, END)


def test_splits_of_differing_sizes() -> None:
    small, large = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 6, 6, 3), np.uint8)
    for unlabeled, test in ((small, large), (large, small)):
        data = Data(
            ("a", "b"), images("labeled", [0, 1], small), images("unlabeled", [-1, -1], unlabeled),
            test=images("test", [0, 1], test),
        )  # fmt: skip
        with pytest.raises(DataError, match="the splits' images differ in size"):
            LabelSpreading().measure(data, END)
