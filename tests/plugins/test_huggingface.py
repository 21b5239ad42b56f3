"""`huggingface`: data sets that the `datasets` library wrote, and what is said of those that will not do."""

import json
import os
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import packed
from photos import picture, put

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError, MissingData
from sslkit.images.scan import scan
from sslkit_plugins.data.formats.arrow_sets import split_of
from sslkit_plugins.data.huggingface import HuggingFace

datasets = import_module("datasets")
NAMES = ["owl", "cat", "dog"]
IMAGE = datasets.Image()
PARTS = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
"How an image lies in tables that do not say that it is one."


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reaches a network, shows a bar, or writes into the user's cache."""

    def refuse(*args: object) -> None:
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def stored(number: int) -> dict[str, Any]:
    return {"bytes": packed(picture(number, 8, 8)), "path": None}


def table(labels: list[Any], kind: Any = None, image: Any = IMAGE, images: list[Any] | None = None) -> Any:
    """A data set with these labels."""
    kind = datasets.ClassLabel(names=NAMES) if kind is None else kind
    images = [stored(i) for i in range(len(labels))] if images is None else images
    features = datasets.Features({"image": image, "label": kind})
    return datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three splits of three classes, and images without labels."""
    sets = {
        "train": table([0, 1, 2, 2, 1, 0]), "test": table([2, 1]), "validation": table([0]),
        "more": table([1, None, -1]), "plain": table([0, 1]).remove_columns("label"),
    }  # fmt: skip
    datasets.DatasetDict(sets).save_to_disk(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def opened(root: Path) -> Callable[..., Data]:
    def made(seed: int = 0, **said: object) -> Data:
        return HuggingFace(**{"root": root, **said}).open_data(Progress(seed, plugin="huggingface"))  # type: ignore[arg-type]

    return made


def refused(opened: Callable[..., Data], **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(**said)
    assert str(caught.value).startswith("[data] huggingface: ") and not isinstance(caught.value, MissingData)
    return str(caught.value).removeprefix("[data] huggingface: ")


def whole(images: Images | None) -> list[np.ndarray]:
    assert images is not None
    return images.read(np.arange(len(images)))


def test_every_split_given(opened: Callable[..., Data]) -> None:
    data = opened(unlabeled="more", validation="validation", test="test", include_labeled=False)
    assert data.classes == tuple(NAMES) and data.labeled.truth.tolist() == [0, 1, 2, 2, 1, 0]
    assert list(data.labeled.ids) == [f"train/{i}" for i in range(6)]
    assert data.unlabeled is not None and data.unlabeled.truth.tolist() == [1, UNKNOWN, UNKNOWN]
    assert data.test is not None and data.test.truth.tolist() == [2, 1] and data.validation is not None
    for i, image in enumerate(whole(data.labeled)):
        np.testing.assert_array_equal(image, picture(i, 8, 8))
    assert any("the split `train`" in note for note in data.notes)
    plain = opened(unlabeled="plain", include_labeled=False).unlabeled
    assert plain is not None and plain.truth.tolist() == [UNKNOWN] * 2


def test_a_set_of_one_split(tmp_path: Path, opened: Callable[..., Data]) -> None:
    table([0, 1, 2]).save_to_disk(tmp_path / "one")
    assert len(opened(root=tmp_path / "one").labeled) == 3


def test_labels_that_are_texts_or_numbers(tmp_path: Path, opened: Callable[..., Data]) -> None:
    sets = {"train": table(["b", "a"], datasets.Value("string")), "more": table(["c", "b"], datasets.Value("string"))}
    datasets.DatasetDict(sets).save_to_disk(tmp_path / "texts")
    data = opened(root=tmp_path / "texts", unlabeled="more", include_labeled=False)
    assert data.classes == ("a", "b") and data.labeled.truth.tolist() == [1, 0]
    assert data.unlabeled is not None and data.unlabeled.truth.tolist() == [OUTSIDE, 1]
    table([10, 9, 0], datasets.Value("int64")).save_to_disk(tmp_path / "numbers")
    assert opened(root=tmp_path / "numbers").labeled.truth.tolist() == [2, 1, 0]
    table([1, 0], datasets.Value("int64")).save_to_disk(tmp_path / "few")
    named = opened(root=tmp_path / "few", classes=["cat", "dog"])
    assert named.classes == ("cat", "dog") and named.labeled.truth.tolist() == [1, 0]
    table([0.5, 1.0], datasets.Value("float64")).save_to_disk(tmp_path / "shares")
    assert "row 0 of the split `train`: label = 0.5 is neither" in refused(opened, root=tmp_path / "shares")


def test_images_that_are_arrays_or_files(tmp_path: Path, opened: Callable[..., Data]) -> None:
    arrays = [picture(i, 6, 5) for i in range(2)]
    kinds = {
        "array": (datasets.Array3D((6, 5, 3), "uint8"), arrays),
        "grey": (datasets.Array2D((6, 5), "int32"), [array[..., 0].astype(np.int32) for array in arrays]),
        "bytes": (datasets.Value("binary"), [packed(array) for array in arrays]),
        "paths": (datasets.Value("string"), [f"files/{i}.png" for i in range(2)]),
    }
    for name, (kind, images) in kinds.items():
        table([0, 1], datasets.Value("int64"), kind, images).save_to_disk(tmp_path / name)
        for i in range(2):
            put(tmp_path / name / "files" / f"{i}.png", arrays[i])
        for image, array in zip(whole(opened(root=tmp_path / name).labeled), arrays, strict=True):
            np.testing.assert_array_equal(image, array[..., :1].repeat(3, 2) if name == "grey" else array)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [(datasets.Array2D((2, 2), "int32"), [[0, 256], [0, 0]], "are not whole ones from 0 to 255"),
     (datasets.Array2D((2, 2), "float32"), [[0.0, 1], [0, 0]], "its numbers (float32) are not whole ones"),
     (PARTS, {"bytes": None, "path": "https://example.org/a.png"}, "`https://example.org/a.png`, and nothing is fetched"),
     (PARTS, {"bytes": None, "path": "none.png"}, "No such file"), (IMAGE, {"bytes": b"hello", "path": None}, "no image"),
     (IMAGE, None, "the data set has none there")],
)  # fmt: skip
def test_images_that_cannot_be_read(
    tmp_path: Path, opened: Callable[..., Data], kind: Any, value: Any, said: str
) -> None:
    root = tmp_path / "bad"
    table([1, 0], datasets.Value("int64"), kind, [value, value]).save_to_disk(root)
    with pytest.raises(DataError) as caught:
        opened(root=root).labeled.read(np.array([1]))
    assert f"the image in row 1 of the split `train` of `{root}` (labeled split) cannot be read" in str(caught.value)
    assert said in str(caught.value)


def test_files_of_parquet_and_arrow(tmp_path: Path, opened: Callable[..., Data]) -> None:
    """The same images, whatever they lie in, and Parquet is unpacked where the recipe says."""
    for part, labels in enumerate(([0, 1], [2, 2])):
        (tmp_path / "parquet" / "data").mkdir(parents=True, exist_ok=True)
        table(labels).to_parquet(tmp_path / "parquet" / "data" / f"train-0000{part}-of-00002.parquet")
        table(labels).save_to_disk(tmp_path / f"part{part}")
        (tmp_path / "arrow").mkdir(exist_ok=True)
        (tmp_path / f"part{part}" / "data-00000-of-00001.arrow").rename(
            tmp_path / "arrow" / f"photos-train-0000{part}-of-00002.arrow"
        )
    packed_ = opened(root=tmp_path / "parquet", cache=tmp_path / "unpacked")
    assert packed_.classes == tuple(NAMES) and packed_.labeled.truth.tolist() == [0, 1, 2, 2]
    assert [*(tmp_path / "unpacked").rglob("*.arrow")]
    arrow = opened(root=tmp_path / "arrow")
    assert fingerprint(arrow) == fingerprint(packed_)
    for one, other in zip(whole(arrow.labeled), whole(packed_.labeled), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("path", "split"),
    [("data/train-00000-of-00002.parquet", "train"), ("test.parquet", "test"), ("default/validation/0003.parquet", "validation"),
     ("cifar10-train.arrow", "train"), ("cifar10-train-00001-of-00004.arrow", "train"), ("extra_train-1.arrow", "extra_train")],
)  # fmt: skip
def test_names_of_files_tell_their_split(path: str, split: str) -> None:
    assert split_of(Path(path)) == split


def test_what_will_not_do(opened: Callable[..., Data], root: Path, tmp_path: Path) -> None:
    message = refused(opened, labeled="trian")
    assert (
        message.startswith("`labeled`: there is no split `trian`; there are `train`, `test`")
        and "mean `train`?" in message
    )
    assert "the split `train` has no column `img`; its columns are `image`, `label`" in refused(
        opened, image_column="img"
    )
    assert (
        "has no column `labels`" in (said := refused(opened, label_column="labels")) and "Did you mean `label`?" in said
    )
    assert "several keys name the split `test`" in refused(opened, validation="test", test="test")
    assert "row 1 of the split `more` of" in (said := refused(opened, labeled="more")) and "has no class" in said
    assert "`classes` names `a` more than once" in refused(opened, classes=["a", "a"])
    (tmp_path / "empty").mkdir()
    assert "has neither `dataset_dict.json` nor `state.json`" in refused(opened, root=tmp_path / "empty")
    with pytest.raises(MissingData, match=r"--set data.root=PATH"):
        opened(root=tmp_path / "none")


def test_damaged_sets(opened: Callable[..., Data], root: Path) -> None:
    (arrow,) = (root / "train").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    assert f"the data set `{root}` cannot be loaded: " in refused(opened)
    (root / "dataset_dict.json").write_text("{")
    assert f"the data set `{root}` cannot be loaded: " in refused(opened)


def test_a_file_that_is_cut_off_after_it_was_opened(opened: Callable[..., Data], root: Path) -> None:
    """Which would end the process, as memory beyond a mapped file's end does."""
    data = opened()
    (arrow,) = (root / "train").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(DataError, match="were changed after it was opened"):
        data.labeled.read(np.array([0]))


def test_test_images_alone_can_measure(opened: Callable[..., Data]) -> None:
    data = opened(labeled="none", test="test", label_column="label")
    assert data.classes == tuple(NAMES) and not len(data.labeled)
    assert any("there is no split `none`" in note for note in data.notes)


def test_labels_are_hidden_by_seed(opened: Callable[..., Data]) -> None:
    data = opened(labels_per_class=1, unlabeled="more")
    assert sorted(data.labeled.truth.tolist()) == [0, 1, 2] and data.unlabeled is not None and len(data.unlabeled) == 9


def test_what_others_fetch_is_not_kept_from_them(opened: Callable[..., Data]) -> None:
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    opened()
    refused(opened, labeled="trian")
    assert before == (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)


def test_without_the_library(opened: Callable[..., Data], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingData, match=r"pip install 'sslkit\[huggingface\]'"):
        opened()


def test_recognized(root: Path, tmp_path: Path) -> None:
    seen = HuggingFace.recognize(root)
    assert seen is not None and seen.settings == {
        "root": root,
        "labeled": "train",
        "validation": "validation",
        "test": "test",
    }
    assert HuggingFace(**seen.settings).open_data(Progress(0)).classes == tuple(NAMES)
    one = table([0, 1, 2]).rename_columns({"image": "img", "label": "kind"})
    one.save_to_disk(tmp_path / "one")
    seen = HuggingFace.recognize(tmp_path / "one")
    assert seen is not None and seen.settings == {
        "root": tmp_path / "one",
        "image_column": "img",
        "label_column": "kind",
    }
    assert len(HuggingFace(**seen.settings).open_data(Progress(0)).labeled) == 3
    assert HuggingFace.recognize(tmp_path) is None
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["gone"]}))
    assert HuggingFace.recognize(root) is None


def test_what_was_seen_of_one_column_is_not_taken_for_another(tmp_path: Path) -> None:
    both = table([0, 1, 2]).add_column("depth", [packed(picture(9 + i, 8, 8)) for i in range(3)])
    datasets.DatasetDict({"train": both}).save_to_disk(tmp_path / "set")
    for path in (tmp_path / "set").rglob("*"):
        os.utime(path, (1e9, 1e9))

    def digests(column: str) -> list[bytes]:
        data = HuggingFace(root=tmp_path / "set", image_column=column).open_data(Progress(0, plugin="huggingface"))
        return [look.digest for look in scan(data.labeled)]

    first, second = digests("image"), digests("depth")
    assert all(first + second) and not {*first} & {*second} and digests("image") == first
