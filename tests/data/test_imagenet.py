"""ImageNet's layouts: each gives the same images with the same classes."""

import re
import shutil
from pathlib import Path

import numpy as np
import published
import pytest

from sslkit import Data, Progress
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.imagenet import ImageNet

DEVKIT = "ILSVRC2012_devkit_t12/data"


def opened(root: Path, **said: object) -> Data:
    return ImageNet(**{"root": root, **said}).open_data(Progress(0, plugin="imagenet"))  # type: ignore[arg-type]


def refused(root: Path, kind: type = DataError, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As unpacked by hand, validation images side by side, with the development kit."""
    made = tmp_path / "imagenet"
    published.imagenet_train(made / "train")
    published.devkit(made / DEVKIT, published.imagenet_val(made / "val"))
    return made


def truth_of(data: Data) -> dict[str, int]:
    """What each test image shows, by its number."""
    assert data.test is not None
    numbers = [re.search(r"(\d{8})\.", one)[1] for one in data.test.ids]  # type: ignore[index]
    return dict(zip(numbers, data.test.truth.tolist(), strict=True))


def test_synsets_in_order_are_the_classes(root: Path) -> None:
    data = opened(root)
    assert data.classes == tuple(sorted(published.SYNSETS))
    assert np.bincount(data.labeled.truth).tolist() == [6, 6, 6]
    assert data.labeled.ids[0] == "train/n01440764/n01440764_13.JPEG"
    assert data.test is not None and data.test.ids[0] == "val/ILSVRC2012_val_00000001.JPEG"
    assert truth_of(data) == {f"{i + 1:08}": (2 * i) % 3 for i in range(6)}
    assert data.labeled.read(np.array([0]))[0].shape == (16, 16, 3)
    assert "train: 18 images, where ImageNet as published has 1,281,167" in data.notes


def test_the_competitions_layout(root: Path, tmp_path: Path) -> None:
    published.kaggle(tmp_path / "kaggle")
    data, same = opened(tmp_path / "kaggle"), opened(root)
    assert truth_of(data) == truth_of(same) and data.labeled.ids == same.labeled.ids
    assert data.test is not None and same.test is not None and data.test.ids == same.test.ids
    assert data.classes == ("tench (n01440764)", "goldfish (n01443537)", "English springer (n02102040)")


def test_validation_images_in_folders_of_synsets(root: Path) -> None:
    before = truth_of(opened(root))
    for name, k in before.items():
        folder = root / "val" / sorted(published.SYNSETS)[k]
        folder.mkdir(exist_ok=True)
        (root / "val" / f"ILSVRC2012_val_{name}.JPEG").rename(folder / f"ILSVRC2012_val_{name}.JPEG")
    shutil.rmtree(root / DEVKIT)
    assert truth_of(opened(root)) == before


def test_readable_names(root: Path) -> None:
    (root / "synset_words.txt").write_text("".join(f"{one} {words}\n" for one, words in published.SYNSETS.items()))
    assert opened(root).classes[0] == "tench (n01440764)"
    (root / "synset_words.txt").write_text("n01440764 tench, Tinca tinca\n")
    assert "synset_words.txt` has no line for `n01443537`" in refused(root)


def test_a_subset_of_the_synsets(root: Path) -> None:
    shutil.rmtree(root / "train" / "n01443537")
    data = opened(root)
    assert data.classes == ("n01440764", "n02102040")
    assert truth_of(data) == {"00000001": 0, "00000002": 1, "00000004": 0, "00000005": 1}
    assert any("validation images of other synsets (2)" in note for note in data.notes)


def test_a_published_list_of_labels(root: Path, tmp_path: Path) -> None:
    chosen = [
        "train/n01440764/n01440764_23.JPEG",
        "train/n01443537/n01443537_3.JPEG",
        "train/n02102040/n02102040_3.JPEG",
    ]
    (tmp_path / "1percent.txt").write_text("\n".join(chosen))
    data = opened(root, labels_list=tmp_path / "1percent.txt")
    assert list(data.labeled.ids) == chosen and data.unlabeled is not None and len(data.unlabeled) == 18


def test_no_image_is_opened(root: Path) -> None:
    for path in root.glob("*/**/*.JPEG"):
        path.write_bytes(b"")
    assert len(opened(root, labels_per_class=2, validation=0.2).labeled) == 6


def test_nothing_says_what_validation_images_show(root: Path) -> None:
    shutil.rmtree(root / DEVKIT)
    message = refused(root)
    assert "Put LOC_val_solution.csv of the competition's archive in `root`" in message and "meta.mat" in message
    assert opened(root, test=False).test is None


def test_lists_that_are_damaged(root: Path) -> None:
    (root / DEVKIT / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")
    assert "what `ILSVRC2012_val_00000003.JPEG`" in refused(root) and "2 images are" in refused(root)
    (root / DEVKIT / "ILSVRC2012_validation_ground_truth.txt").write_text("1\nx\n")
    assert "ground_truth.txt` was expected to have one of the 4 numbers of synsets on each line" in refused(root)
    (root / DEVKIT / "meta.mat").write_bytes(b"MATLAB 5.0 nothing")
    assert "meta.mat`, which says what the numbers in" in refused(root)
    (root / "LOC_val_solution.csv").write_text("ImageId;PredictionString\n")
    assert "has not the columns ImageId and PredictionString" in refused(root)


def test_folders_of_other_names(root: Path) -> None:
    (root / "train" / "n01440764").rename(root / "train" / "tench")
    assert "`train` has the folders `tench`" in refused(root) and "what `image_folder` reads" in refused(root)


def test_images_of_other_names(root: Path) -> None:
    (root / "val" / "ILSVRC2012_val_00000001.JPEG").rename(root / "val" / "1.JPEG")
    assert "`val` has `1.JPEG`, and names like `ILSVRC2012_val_00000001.JPEG` were expected" in refused(root)


def test_what_is_not_there(root: Path) -> None:
    assert "Did you mean `imagenet`?" in refused(root.with_name("imagnet"), MissingData)
    (root / "val").rename(root / "vals")
    assert "no such folder" in refused(root, MissingData) and "test = false" in refused(root, MissingData)
    (root / "train").rename(root / "trian")
    message = refused(root, MissingData)
    assert "there is no folder `train`" in message and "Did you mean `trian`?" in message


def test_it_is_recognized(root: Path, tmp_path: Path) -> None:
    found = ImageNet.recognize(root)
    assert found is not None and found.settings == {"root": root} and found.certainty == 0.8
    published.kaggle(tmp_path / "kaggle")
    assert ImageNet.recognize(tmp_path / "kaggle") is not None
    shutil.rmtree(root / "val")
    without = ImageNet.recognize(root)
    assert without is not None and without.settings == {"root": root, "test": False}
    assert ImageNet.recognize(tmp_path) is None
