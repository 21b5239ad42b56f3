"""`shards`: samples of tars as the `webdataset` package has them, and what is said of tars that will not do."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import packed
from photos import picture

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.formats.tar_samples import expanded, split_name
from sslkit_plugins.data.shards import Shards

Files = dict[str, bytes]
Open = Callable[..., Data]


def png(number: int = 0) -> bytes:
    return packed(picture(number, 8, 8))


def write(path: Path, files: Files) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def of_classes(*labels: str, first: int = 0) -> Files:
    """Samples of these classes, an image and a `.cls` each."""
    return {
        name: data
        for i, label in enumerate(labels, first)
        for name, data in ((f"{i:03}.png", png(i)), (f"{i:03}.cls", label.encode()))
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two tars of three classes, one of further images, one to test on."""
    root = tmp_path / "tars"
    write(root / "train-000.tar", of_classes("10", "9", "2"))
    write(root / "train-001.tar", of_classes("9", "2", "10", "9", first=3))
    write(
        root / "extra.tar",
        {"a/0.png": png(20), "a/1.png": png(21), "a/1.cls": b"9\n", "a/2.png": png(22), "a/2.cls": b"77"},
    )
    write(root / "test.tar", of_classes("2", "10"))
    return root


@pytest.fixture
def opened(root: Path) -> Open:
    def made(seed: int = 0, **said: object) -> Data:
        return Shards(**{"root": root, **said}).open_data(Progress(seed, plugin="shards"))  # type: ignore[arg-type]

    return made


def refused(opened: Open, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(**said)
    assert str(caught.value).startswith("[data] shards: ") and not isinstance(caught.value, MissingData)
    return str(caught.value).removeprefix("[data] shards: ")


def whole(images: Images | None) -> list[np.ndarray]:
    assert images is not None
    return images.read(np.arange(len(images)))


# Beside the webdataset package ----------------------------------------------------------------------------------------


def webdataset_reads(path: Path) -> list[dict[str, Any]]:
    """As its `WebDataset` does, but for the file, which that leaves open."""
    from webdataset.tariterators import group_by_keys, tar_file_expander

    with path.open("rb") as stream:
        return [*group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))]


def test_the_same_samples_in_the_same_order_as_webdataset_reads(tmp_path: Path) -> None:
    """Written by it too, with all that it lays beside images, and names that have folders and dots."""
    wds = import_module("webdataset")
    for shard in range(2):
        with wds.TarWriter(str(tmp_path / f"train-{shard:06}.tar")) as sink:
            for i in range(7):
                key = ("", "folder/", "dot.ted/")[i % 3] + f"s{shard}{i}"
                sink.write(
                    {"__key__": key, "png": png(i + 10 * shard), "cls": i % 3, "JSON": {"at": i}, "seg.png": b"mask"}
                )
    pattern = "train-{000000..000001}.tar"
    theirs = [one for path in sorted(tmp_path.glob("*.tar")) for one in webdataset_reads(path)]
    images = Shards(root=tmp_path, labeled=pattern, image="png").open_data(Progress(0)).labeled
    assert len(images) == 14
    assert list(images.ids) == [f"{Path(one['__url__']).name}/{one['__key__']}" for one in theirs]
    assert images.truth.tolist() == [int(one["cls"]) for one in theirs]
    assert [packed(image) for image in whole(images)] == [one["png"] for one in theirs]


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a/b.jpg", "a/b.seg.PNG", "a.b/c.jpg", "a.b/c", "none", ".hidden.jpg", "./a.jpg", "__meta__", "__x__/a.jpg",
     "__x__.jpg", "a/__x__.jpg", "a..jpg", "é/ü.jpg", "a.", "a b.c d"],
)  # fmt: skip
def test_keys_and_suffixes_are_those_of_webdataset(name: str) -> None:
    iterators = import_module("webdataset.tariterators")
    base, suffix = iterators.base_plus_ext(name)
    left_out = base is None or iterators.re.match(r"__[^/]*__($|/)", name)
    assert split_name(name) == (None if left_out else (base, suffix.lower()))


@pytest.mark.parametrize(
    "pattern",
    ["a.tar", "a{0..3}.tar", "a{08..11}", "{a,b}{0..1}", "{a,}x", "{x}", "{3..1}", "{000..12}", "a{1..2}{05..06}.tar"],
)  # fmt: skip
def test_braces_are_those_of_webdataset(pattern: str) -> None:
    braces = import_module("braceexpand")
    assert [*expanded(pattern)] == [*braces.braceexpand(pattern)]


# Classes and splits ---------------------------------------------------------------------------------------------------


def test_every_key_given(opened: Open) -> None:
    data = opened(unlabeled="extra.tar", test="test.tar", include_labeled=False)
    assert data.classes == ("2", "9", "10")
    assert data.labeled.truth.tolist() == [2, 1, 0, 1, 0, 2, 1]
    assert data.labeled.ids[2:4] == ["train-000.tar/002", "train-001.tar/003"]
    assert data.unlabeled is not None and data.unlabeled.truth.tolist() == [UNKNOWN, 1, OUTSIDE]
    assert data.unlabeled.ids[0] == "extra.tar/a/0" and data.test is not None and data.test.truth.tolist() == [0, 2]
    np.testing.assert_array_equal(whole(data.labeled)[4], picture(4, 8, 8))
    assert any("`train*.tar`" in note for note in data.notes)


def test_a_tar_has_one_use(opened: Open, root: Path) -> None:
    data = opened(unlabeled="*.tar", test="test.tar", include_labeled=False)
    assert data.unlabeled is not None and {one.split("/")[0] for one in data.unlabeled.ids} == {"extra.tar"}
    assert "`labeled` and `test` both name `train-001.tar`" in refused(opened, test="train-001.tar")
    assert "`test`" in refused(opened, test="test.tar", validation="test.tar")


def test_a_folder_of_tars_and_a_moved_root(opened: Open, root: Path) -> None:
    inside = root / "inside"
    inside.mkdir()
    for path in root.glob("train*"):
        path.rename(inside / path.name)
    data = opened(labeled="inside")
    assert data.labeled.ids[0] == "inside/train-000.tar/000"
    moved = root.rename(root.parent / "moved")
    assert fingerprint(opened(labeled="inside", root=moved)) == fingerprint(data)


def test_names_of_classes(opened: Open, root: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"class {i}" for i in range(11)))
    write(root / "train-000.tar", of_classes(*map(str, range(11)), "class 4"))
    data = opened(class_names=names, labeled="train-000.tar")
    assert data.classes[4] == "class 4" and data.labeled.truth.tolist() == [*range(11), 4]
    write(root / "train-000.tar", of_classes("1", "11"))
    message = refused(opened, class_names=names)
    assert "`train-000.tar/001`" in message and "11 (they are numbered from 0 to 10)" in message
    assert "class_names: " in refused(opened, class_names=tmp_path / "none.txt")


def test_classes_from_json_and_from_folders(opened: Open, root: Path) -> None:
    files = {
        f"{label}/{i}.{suffix}": data
        for i, label in enumerate(("cat", "dog", "cat"))
        for suffix, data in (("png", png(i)), ("json", json.dumps({"kind": label, "n": i}).encode()))
    }
    write(root / "train-000.tar", files)
    for said in ({"label": "folder"}, {"label": "json", "label_key": "kind"}):
        data = opened(labeled="train-000.tar", **said)
        assert data.classes == ("cat", "dog") and data.labeled.truth.tolist() == [0, 1, 0]
    numbers = opened(labeled="train-000.tar", label="json", label_key="n")
    assert numbers.classes == ("0", "1", "2")
    assert "`train-000.tar/cat/0`" in refused(opened, labeled="train-000.tar", label="json", label_key="other")
    write(root / "train-000.tar", {"0.png": png(), "0.json": b"{"})
    assert "its .json is no JSON" in refused(opened, label="json", label_key="kind")
    write(root / "train-000.tar", {"0.png": png(), "0.json": b'{"kind": [1]}'})
    assert "kind = [1] in its .json is no class" in refused(opened, label="json", label_key="kind")


def test_test_images_alone_can_measure(opened: Open, root: Path) -> None:
    data = opened(labeled="none-*.tar", test="test.tar")
    assert data.classes == ("2", "10") and not len(data.labeled) and data.test is not None and len(data.test) == 2
    assert any("there is no tar `none-*.tar`" in note for note in data.notes)


def test_labels_are_hidden_by_seed(opened: Open) -> None:
    data = opened(labels_per_class=1, unlabeled="extra.tar")
    assert sorted(data.labeled.truth.tolist()) == [0, 1, 2] and data.unlabeled is not None and len(data.unlabeled) == 10


# What will not do -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "said"),
    [({"0.cls": b"1"}, "the sample `0` in `ROOT/train-000.tar` has no image, only `.cls`"),
     ({"0.jpg": b"1", "0.png": b"2", "0.cls": b"1"}, "the sample `0` in `ROOT/train-000.tar` has 2 images, `.jpg`, `.png`"),
     ({"0.png": b"1", "a/0.png": b"", "0.PNG": b"2"}, "the sample `0` in `ROOT/train-000.tar` has two files .png"),
     ({"img.001.png": b"1"}, "names may have no other dots"),
     ({"../0.png": b"1"}, "`ROOT/train-000.tar` has the member `../0.png`: a path with `..`"),
     ({"/0.png": b"1"}, "an absolute path"),
     ({"0.png": b"1", "0.cls": b"\xff\xfe"}, "the sample `0` in `ROOT/train-000.tar`: its .cls is no text"),
     ({"0.png": b"1"}, "the sample `train-000.tar/0` in `ROOT/train-000.tar`: the image is to be labeled, and has no class"),
     ({"0.png": b"1", "0.cls": b"1"}, "there is one class, `1`"),
     ({}, "no image has a label, of 0 images")],
)  # fmt: skip
def test_samples_that_will_not_do(opened: Open, root: Path, files: Files, said: str) -> None:
    write(root / "train-000.tar", files)
    assert said.replace("ROOT", str(root)) in refused(opened, labeled="train-000.tar")


def test_an_unknown_class_to_test_on(opened: Open, root: Path) -> None:
    write(root / "test.tar", of_classes("2", "11"))
    message = refused(opened, test="test.tar")
    assert "`test.tar/001`" in message and "the label `11` is none of the 3 classes, `2`, `9`, `10`" in message


def test_tars_that_will_not_do(opened: Open, root: Path) -> None:
    path = root / "train-001.tar"
    data = path.read_bytes()
    path.write_bytes(data[:3000])
    assert f"the tar `{path}` was cut off" in refused(opened)
    path.write_bytes(gzip.compress(data))
    assert f"`{path}` is compressed (gzip)" in refused(opened)
    path.write_bytes(b"hello" * 999)
    assert f"`{path}` is no tar" in refused(opened)


def test_tars_that_are_not_there(opened: Open, root: Path) -> None:
    assert (
        "there is no tar `trian*.tar`" in (said := refused(opened, labeled="trian*.tar")) and "`train-000.tar`" in said
    )
    assert "there is no `train-002.tar`" in refused(opened, labeled="train-{000..002}.tar")
    assert "`test`: there is no tar `tests.tar`" in refused(opened, test="tests.tar")
    assert "names no tars" in refused(opened, labeled="/elsewhere/*.tar")
    with pytest.raises(MissingData, match=r"--set data.root=PATH"):
        opened(root=root / "none")


def test_a_tar_that_changes_after_it_was_opened(opened: Open, root: Path) -> None:
    data = opened()
    os.utime(root / "train-000.tar", ns=(1, 1))
    with pytest.raises(
        DataError, match=r"`train-000.tar/000` in .*train-000.tar` .labeled split. cannot be read: .*changed"
    ):
        data.labeled.read(np.array([0]))
    assert len(data.labeled.read(np.array([3]))) == 1


def test_what_is_left_out_is_said(opened: Open, root: Path) -> None:
    write(root / "train-000.tar", {**of_classes("9", "2"), "README": b"hello", "._000.png": b"", "__index__": b""})
    assert "left out: files of no sample (3)" in opened().notes


def test_recognized(root: Path, tmp_path: Path) -> None:
    seen = Shards.recognize(root)
    assert seen is not None and seen.settings == {
        "root": root, "labeled": "train-*.tar", "unlabeled": "extra.tar", "test": "test.tar",
    }  # fmt: skip
    assert Shards(**seen.settings).open_data(Progress(0)).classes == ("2", "9", "10")
    assert Shards.recognize(tmp_path) is None


def test_images_that_cannot_be_read_are_left_out(opened: Open, root: Path) -> None:
    write(root / "train-000.tar", {**of_classes("10", "9", "2", "2"), "009.jpg": b"hello", "009.cls": b"2"})
    write(root / "test.tar", of_classes("10", "9", first=0))
    data = opened(test="test.tar", leave_out=["unreadable", "duplicates"])
    assert {one.id for one in data.left_out} == {f"train-000.tar/{key}" for key in ("000", "001", "009")}
    assert "train-000.tar/002" in data.labeled.ids and len(whole(data.labeled)) == 6


def test_tars_whose_names_contain_one_another_are_recognized(tmp_path: Path) -> None:
    for name in ("train.tar", "train.tar.tar"):
        write(tmp_path / name, {"0.png": png(), "0.cls": b"0"})
    found = Shards.recognize(tmp_path)
    assert found is not None and found.settings["labeled"] == "train.tar*.tar"
