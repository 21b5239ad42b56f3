"""The published files of CIFAR-10-C and ImageNet-C, in the small: read as they are, and refused where they are not."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from natural import Bytes, Foreseen, data_of
from photos import put

from sslkit import Data, Facts, Progress
from sslkit.errors import DataError, MissingData
from sslkit_plugins.metric.corrupting.constants import ALEXNET, SEVERITIES
from sslkit_plugins.metric.corrupting.corrupt import OPERATIONS
from sslkit_plugins.metric.corrupting.published import CIFAR10, KINDS
from sslkit_plugins.metric.corruptions import Corruptions

END = Progress(3, step=9, steps=9, plugin="corruptions")
COUNT = 4  # images of a severity
LABELS = np.array([3, 0, 9, 3])
BLANK = np.zeros((1, 8, 8, 3), np.uint8)
CIFAR = data_of(BLANK, [0], tuple(reversed(CIFAR10)))  # in another order than the files'


def value(label: int, severity: int) -> int:
    """What every pixel of an image is."""
    return 20 * label + severity


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10-C of 4 images."""
    folder = tmp_path_factory.mktemp("CIFAR-10-C")
    values = [value(label, severity) for severity in SEVERITIES for label in LABELS]
    stack = np.broadcast_to(np.array(values, np.uint8)[:, None, None, None], (5 * COUNT, 32, 32, 3))
    for name in OPERATIONS:
        np.save(folder / f"{name}.npy", stack)
    np.save(folder / "labels.npy", np.tile(LABELS, 5).astype(np.uint8))
    return folder


def by_value(images: Bytes) -> np.ndarray:
    """Right up to severity 3, for `CIFAR`'s order of classes; then all are dogs."""
    shown = images[:, 0, 0, 0].astype(int)
    return np.where(shown % 20 <= 3, 9 - shown // 20, 9 - CIFAR10.index("dog"))


def measured(folder: Path, data: Data = CIFAR, model: Foreseen | None = None, **settings: Any) -> dict[str, Any]:
    return Corruptions(folder=folder, **settings).measure(model or Foreseen(by_value, 10, rows=3), data, None, END)


def test_cifars_arrays_are_read_severity_by_severity_with_classes_by_name(cifar: Path) -> None:
    found = measured(cifar, reference=dict.fromkeys(OPERATIONS, 0.8))
    assert list(found["test_corruptions"]) == list(OPERATIONS)  # frost is the published one
    assert found["test_corruptions"]["frost"] == {
        "1": 0, "2": 0, "3": 0, "4": 1, "5": 1, "mean": pytest.approx(0.4), "ce": pytest.approx(0.5),
    }  # fmt: skip
    assert found["test_mce"] == pytest.approx(0.5)
    assert "test_mce_without_frost" not in found
    assert found["test_corruption_error"] == pytest.approx(0.4)


def test_published_images_of_a_name_stand_beside_drawn_ones(cifar: Path) -> None:
    data = replace(CIFAR, test=data_of(np.zeros((2, 32, 32, 3), np.uint8), [0, 1], CIFAR.classes).test)
    reference = dict.fromkeys(OPERATIONS, 0.8)
    model = Foreseen(by_value, 10)
    drawn = Corruptions(reference=reference).measure(model, data, None, END)
    named = replace(END, plugin="published")
    published = Corruptions(reference=reference, folder=cifar).measure(model, data, None, named)
    assert set(drawn) == {"test_corruption_error", "test_mce_without_frost", "test_corruptions"}
    assert set(published) == {"test_published_error", "test_published_mce", "test_published"}
    assert published["test_published_mce"] == pytest.approx(0.5)


def test_published_images_need_no_test_images_of_the_run(cifar: Path) -> None:
    found = measured(cifar, replace(CIFAR, test=None), corruptions=["snow"], severities=[4])
    assert found == {"test_corruption_error": 1.0, "test_corruptions": {"snow": {"4": 1.0, "mean": 1.0, "ce": None}}}


def test_gray_models_are_shown_gray_images_and_some_images_stand_for_all(cifar: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    def named(images: Bytes) -> np.ndarray:
        shapes.append(images.shape)
        return by_value(images)

    data = replace(CIFAR, channels=1)
    found = measured(cifar, data, Foreseen(named, 10), corruptions=["fog"], severities=[1], images=2)
    assert shapes == [(2, 32, 32, 1)]
    assert found["test_corruption_error"] == 0


def test_a_baseline_is_the_reference_of_published_images_too(cifar: Path) -> None:
    dogs = Foreseen(lambda images: np.full(len(images), 9 - CIFAR10.index("dog")), 10)
    found = Corruptions(folder=cifar).measure(Foreseen(by_value, 10), CIFAR, dogs, END)
    assert found["test_mce"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda f: (f / "snow.npy").unlink(), r"corruptions: there is no `.*snow.npy`. Expected are CIFAR-10-C's"),
        (lambda f: (f / "labels.npy").unlink(), r"there is no `.*labels.npy`"),
        (
            lambda f: (f / "snow.npy").write_bytes((f / "snow.npy").read_bytes()[:5000]),
            r"snow.npy` cannot be read .* cut off",
        ),
        (lambda f: (f / "snow.npy").write_bytes(b""), r"snow.npy` cannot be read"),
        (
            lambda f: np.save(f / "snow.npy", np.zeros((20, 32, 32), np.uint8)),
            r"uint8 of shape \(20, 32, 32\), expected",
        ),
        (lambda f: np.save(f / "snow.npy", np.zeros((20, 32, 32, 3))), r"float64 of shape \(20, 32, 32, 3\), expected"),
        (lambda f: np.save(f / "labels.npy", np.full(20, 10)), r"labels.npy` is no list of CIFAR-10's labels"),
        (lambda f: np.save(f / "labels.npy", np.zeros(19, np.uint8)), r"shape \(19,\); expected"),
        (lambda f: np.save(f / "labels.npy", np.zeros(20)), r"labels: float64"),
    ],
)
def test_damaged_arrays_are_refused(break_it: Any, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "snow.npy", np.zeros((20, 32, 32, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.tile(LABELS, 5))
    assert measured(tmp_path, corruptions=["snow"])
    break_it(tmp_path)
    with pytest.raises(DataError, match=said):
        measured(tmp_path, corruptions=["snow"])


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.tile(LABELS, 5))
    (tmp_path / "snow.npy").write_bytes(pickle.dumps(np.zeros(3)))
    with pytest.raises(DataError, match="cannot be read"):
        measured(tmp_path, corruptions=["snow"])


def test_classes_that_are_not_cifars_are_refused(cifar: Path) -> None:
    classes = (*CIFAR10[:8], "ferry", "lorry")
    with pytest.raises(DataError, match=r"without `ship`, `truck`. Measure a model of CIFAR-10's classes"):
        measured(cifar, replace(CIFAR, classes=classes))


# ImageNet-C --------------------------------------------------------------------------------------------------------

SYNSETS = ("n01440764", "n02102040", "n03000684")
IMAGENET = data_of(BLANK, [0], ("saw (n03000684)", "n01440764", "springer (n02102040)"))


def make_imagenet(folder: Path, archives: bool = True, names: tuple[str, ...] = tuple(OPERATIONS)) -> Path:
    """ImageNet-C of three synsets, an image each; its brightness says which."""
    for kind, members in KINDS.items():
        for name in set(members) & set(names):
            for severity in SEVERITIES:
                for number, synset in enumerate(SYNSETS):
                    place = folder / kind / name if archives else folder / name
                    put(
                        place / str(severity) / synset / "ILSVRC2012_val_1.JPEG",
                        np.full((8, 8, 3), 90 * number, np.uint8),
                    )
    return folder


def synset_of(images: Bytes) -> np.ndarray:
    """All are known but the second synset."""
    return np.array([1, 0, 0])[np.round(images[:, 0, 0, 0] / 90).astype(int)]


def test_imagenets_folders_are_read_with_classes_by_synset(tmp_path: Path) -> None:
    make_imagenet(tmp_path)
    model = Foreseen(synset_of, 3, rows=2)
    found = measured(tmp_path, IMAGENET, model, reference=ALEXNET)
    assert found["test_corruption_error"] == pytest.approx(1 / 3)
    assert found["test_mce"] == pytest.approx(np.mean([1 / 3 / error for error in ALEXNET.values()]))
    assert model.asked == 75 * 2


def test_folders_may_lie_without_their_archives(tmp_path: Path) -> None:
    make_imagenet(tmp_path, archives=False, names=("fog",))
    found = measured(tmp_path, IMAGENET, Foreseen(synset_of, 3), corruptions=["fog"])
    assert found["test_corruptions"]["fog"]["3"] == pytest.approx(1 / 3)
    some = replace(IMAGENET, classes=("n01440764", "n99999999"))
    assert measured(tmp_path, some, Foreseen(lambda images: np.zeros(1, int), 2), corruptions=["fog"])[
        "test_corruption_error"
    ] == 0  # of the model's classes alone  # fmt: skip


def test_what_is_not_imagenets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"corruptions: there is no folder `.*nowhere`. Expected are"):
        measured(tmp_path / "nowhere")
    with pytest.raises(MissingData, match=r"has nothing. Expected are CIFAR-10-C's `gaussian_noise.npy`"):
        measured(tmp_path)
    make_imagenet(tmp_path, names=("fog",))
    with pytest.raises(DataError, match=r"whose classes are synsets like `n01440764`; the model's are `truck`"):
        measured(tmp_path)
    with pytest.raises(MissingData, match=r"no images of the model's classes lie in `.*gaussian_noise/1`"):
        measured(tmp_path, IMAGENET, Foreseen(synset_of, 3))
    broken = tmp_path / "weather" / "fog" / "1" / SYNSETS[0] / "ILSVRC2012_val_1.JPEG"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match=r"corruptions: `.*ILSVRC2012_val_1.JPEG` cannot be read"):
        measured(tmp_path, IMAGENET, Foreseen(synset_of, 3), corruptions=["fog"])


def test_a_folder_that_is_not_there_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    facts = Facts(tuple(CIFAR10), (1,) * 10, {"labeled": 10}, {"labeled": 2}, 32, 3, torch.device("cpu"))
    metric = Corruptions(folder=tmp_path / "nowhere")
    with pytest.raises(MissingData, match="there is no folder"):
        metric.begin(facts, Progress(0, plugin="corruptions"))
    metric.begin(replace(facts, sizes={}), Progress(0, plugin="corruptions"))  # composed without data
    Corruptions().begin(facts, Progress(0, plugin="corruptions"))
