"""SVHN's MATLAB files: what is read from them, when, and what is said of files that are not as published."""

import os
from pathlib import Path

import numpy as np
import published
import pytest
from scipy.io import savemat

import sslkit_plugins.data.svhn as svhn
from sslkit import Data, Progress
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.svhn import Svhn


def opened(root: Path, **said: object) -> Data:
    return Svhn(**{"root": root, **said}).open_data(Progress(0, plugin="svhn"))  # type: ignore[arg-type]


def refused(root: Path, kind: type = DataError, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    published.svhn(tmp_path / "svhn")
    return tmp_path / "svhn"


def test_images_and_labels_are_those_that_were_written(root: Path) -> None:
    written = published.svhn(root)
    data = opened(root)
    assert data.classes == tuple("0123456789") and data.unlabeled is None and data.test is not None
    assert data.labeled.ids[:2] == ["train/00000", "train/00001"] and data.test.ids[-1] == "test/00019"
    np.testing.assert_array_equal(data.labeled.truth, np.arange(60) % 10)  # label 10 is the digit 0
    np.testing.assert_array_equal(np.stack(data.labeled.read(np.arange(60))), written)


def test_extra_images_are_unlabeled_or_labeled(root: Path) -> None:
    pool = opened(root, extra="unlabeled", include_labeled=False)
    assert pool.unlabeled is not None and len(pool.labeled) == 60
    assert list(pool.unlabeled.ids) == [f"extra/{i:05}" for i in range(8)]
    np.testing.assert_array_equal(pool.unlabeled.truth, np.arange(8))
    assert any("8 images from SVHN's extra images, 8 of them of a class that is known" in note for note in pool.notes)
    both = opened(root, extra="labeled")
    assert len(both.labeled) == 68 and both.unlabeled is None


def test_images_are_loaded_once_and_not_before_one_is_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    before = svhn.loaded

    def loaded(path: Path, variable: str) -> object:
        asked.append(f"{path.name} {variable}")
        return before(path, variable)

    monkeypatch.setattr(svhn, "loaded", loaded)
    data = opened(root)
    assert asked == ["train_32x32.mat y", "test_32x32.mat y"]
    for _ in range(2):
        data.labeled.read(np.array([0, 5]))
    assert asked[2:] == ["train_32x32.mat X"]


@pytest.mark.parametrize("name", ["train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"])
def test_a_file_that_is_missing(root: Path, name: str) -> None:
    (root / name).unlink()
    message = refused(root, MissingData, extra="unlabeled")
    assert f"there is no file `{root / name}`" in message and "housenumbers" in message
    if name.startswith("extra"):
        assert len(opened(root).labeled) == 60  # nobody asks for it


@pytest.mark.parametrize("size", [0, 100, 5000, -40])
def test_a_file_that_was_cut_off(root: Path, size: int) -> None:
    path = root / "test_32x32.mat"
    size = size if size >= 0 else path.stat().st_size + size
    os.truncate(path, size)
    message = refused(root)
    assert f"`{path}` ({size:,} bytes) cannot be read as the MATLAB file that is published" in message
    assert "Fetch it again" in message


def test_another_kind_of_file(root: Path) -> None:
    savemat(root / "train_32x32.mat", {"X": np.zeros((32, 32, 3, 4), np.float64), "y": np.ones((4, 1))})
    assert "has X double (32, 32, 3, 4) and 4 labels; uint8 (32, 32, 3, 4) was expected" in refused(root)
    savemat(root / "train_32x32.mat", {"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((5, 1), np.uint8)})
    assert "has X uint8 (32, 32, 3, 4) and 5 labels" in refused(root)
    savemat(root / "train_32x32.mat", {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [11]], np.uint8)})
    assert "label 11 of image 1, counted from 0; labels from 1 to 10 were expected" in refused(root)
    savemat(root / "train_32x32.mat", {"y": np.ones((4, 1))})
    assert "it has no variable X" in refused(root)


def test_it_is_recognized(root: Path, tmp_path: Path) -> None:
    found = Svhn.recognize(root)
    assert found is not None and found.settings == {"root": root, "extra": "unlabeled"}
    (root / "extra_32x32.mat").unlink()
    without = Svhn.recognize(root)
    assert without is not None and without.settings == {"root": root}
    assert Svhn.recognize(tmp_path) is None
