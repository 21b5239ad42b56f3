"""STL-10's binary files: what is read from them, and what is said of files that are not as published."""

import os
from pathlib import Path

import numpy as np
import published
import pytest

from sslkit import UNKNOWN, Data, Progress
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.stl10 import Stl10


def opened(root: Path, **said: object) -> Data:
    return Stl10(**{"root": root, **said}).open_data(Progress(0, plugin="stl10"))  # type: ignore[arg-type]


def refused(root: Path, kind: type = DataError, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    published.stl10(tmp_path / "stl10_binary")
    return tmp_path / "stl10_binary"


def test_images_and_labels_are_those_that_were_written(root: Path) -> None:
    written = published.stl10(root)
    data = opened(root, include_labeled=False)
    assert data.classes == published.STL10 and data.test is not None and data.unlabeled is not None
    np.testing.assert_array_equal(data.labeled.truth, np.arange(60) % 10)  # the file counts from 1
    np.testing.assert_array_equal(np.stack(data.labeled.read(np.arange(60))), written)
    assert list(data.unlabeled.ids) == [f"unlabeled/{i:05}" for i in range(8)]
    assert (data.unlabeled.truth == UNKNOWN).all()
    np.testing.assert_array_equal(np.stack(data.unlabeled.read(np.arange(8))), published.noise(8, 96, 2))


def test_pixels_are_stored_column_by_column(root: Path) -> None:
    pixels = np.zeros((60, 3, 96, 96), np.uint8)
    pixels[1, 2, 7, 5] = 200  # blue of column 7, row 5
    (root / "train_X.bin").write_bytes(pixels.tobytes())
    (image,) = opened(root).labeled.read(np.array([1]))
    assert image[5, 7].tolist() == [0, 0, 200] and image.sum() == 200


def test_the_unlabeled_images_can_be_left_out(root: Path) -> None:
    (root / "unlabeled_X.bin").unlink()
    assert "unlabeled_X.bin" in refused(root, MissingData)
    assert opened(root, unlabeled=False).unlabeled is None


@pytest.mark.parametrize("fold", [0, 7])
def test_a_fold_keeps_its_labels(root: Path, fold: int) -> None:
    data = opened(root, fold=fold, include_labeled=False)
    numbers = [int(one) for one in (root / "fold_indices.txt").read_text().split("\n")[fold].split()]
    assert list(data.labeled.ids) == [f"train/{i:05}" for i in sorted(numbers)] and len(numbers) == 30
    assert data.unlabeled is not None and len(data.unlabeled) == 30 + 8
    assert not set(data.labeled.ids) & set(data.unlabeled.ids)
    assert any(f"fold {fold} of STL-10's training images" in note for note in data.notes)
    assert any("30 of them of a class that is known, to metrics alone" in note for note in data.notes)


def test_folds_that_are_none(root: Path) -> None:
    for text in ("1 2 3\n", "\n".join(["0 1 99"] * 10), "\n".join(["0 1 1"] * 10), "\n".join(["a b"] * 10)):
        (root / "fold_indices.txt").write_text(text)
        assert "line 4 was expected to have the numbers of fold 3's training images, from 0 to 59" in refused(
            root, fold=3
        )
    (root / "fold_indices.txt").unlink()
    assert "fold_indices.txt" in refused(root, MissingData, fold=3)
    assert len(opened(root).labeled) == 60


def test_a_file_that_was_cut_off(root: Path) -> None:
    os.truncate(root / "train_X.bin", 96 * 96 * 3 * 5 + 1)
    message = refused(root)
    assert (
        "has 138,241 bytes, and records of 27,648 bytes each" in message and "published file has 138,240,000" in message
    )
    os.truncate(root / "train_X.bin", 96 * 96 * 3 * 5)
    assert "train_y.bin` has 60 bytes, one for each label, and" in refused(root) and "has 5 images" in refused(root)


@pytest.mark.parametrize("label", [0, 11])
def test_a_label_that_no_class_has(root: Path, label: int) -> None:
    (root / "test_y.bin").write_bytes(bytes([1] * 19 + [label]))
    assert f"label {label} of image 19, counted from 0; labels from 1 to 10 were expected" in refused(root)


@pytest.mark.parametrize("name", ["train_X.bin", "train_y.bin", "test_X.bin", "class_names.txt"])
def test_a_file_that_is_missing(root: Path, name: str) -> None:
    (root / name).unlink()
    assert f"there is no file `{root / name}`" in refused(root, MissingData)


def test_labels_that_are_empty(root: Path) -> None:
    os.truncate(root / "test_y.bin", 0)
    assert "test_y.bin` has 0 bytes" in refused(root)


def test_the_folder_that_the_archive_makes_is_found(root: Path) -> None:
    assert opened(root.parent).labeled.ids == opened(root).labeled.ids


def test_it_is_recognized(root: Path, tmp_path: Path) -> None:
    found = Stl10.recognize(tmp_path)
    assert found is not None and found.settings == {"root": root} and found.certainty == 0.9
    (root / "unlabeled_X.bin").unlink()
    without = Stl10.recognize(root)
    assert without is not None and without.settings == {"root": root, "unlabeled": False}
    assert Stl10.recognize(tmp_path / "none") is None
