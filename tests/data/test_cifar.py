"""CIFAR's binary files: what is read from them, and what is said of files that are not as published."""

import os
from pathlib import Path

import numpy as np
import published
import pytest

from sslkit import Data, Progress
from sslkit.errors import DataError, MissingData
from sslkit_plugins.data.cifar import CIFAR10, CIFAR100, Cifar


def opened(root: Path, **said: object) -> Data:
    return Cifar(**{"root": root, **said}).open_data(Progress(0, plugin="cifar"))  # type: ignore[arg-type]


def refused(root: Path, kind: type = DataError, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    published.cifar10(tmp_path / "cifar")
    return tmp_path / "cifar"


def test_images_and_labels_are_those_that_were_written(root: Path) -> None:
    written = published.cifar10(root)
    data = opened(root)
    assert data.classes == published.CIFAR10 and data.test is not None
    assert list(data.labeled.ids) == [f"train/{i:05}" for i in range(60)]
    assert list(data.test.ids) == [f"test/{i:05}" for i in range(20)]
    np.testing.assert_array_equal(data.labeled.truth, np.arange(60) % 10)
    np.testing.assert_array_equal(np.stack(data.labeled.read(np.arange(60))), written[:60])
    np.testing.assert_array_equal(np.stack(data.test.read(np.arange(20))), written[60:])


def test_a_record_is_a_label_and_then_red_green_blue_row_by_row(root: Path) -> None:
    record = bytearray((root / "data_batch_2.bin").read_bytes())
    record[3073 + 1 + 1024 + 32 * 5 + 7] = 201  # green of row 5, column 7, in the second image
    record[3073] = 9
    (root / "data_batch_2.bin").write_bytes(bytes(record))
    data = opened(root)
    assert data.labeled.truth[13] == 9 and data.labeled.read(np.array([13]))[0][5, 7, 1] == 201


def test_the_folder_that_the_archive_makes_is_found(root: Path) -> None:
    root.rename(root.with_name(CIFAR10.folder))
    assert opened(root.parent).labeled.ids == opened(root.with_name(CIFAR10.folder)).labeled.ids


def test_fine_and_coarse_classes(tmp_path: Path) -> None:
    written = published.cifar100(tmp_path)
    fine, coarse = opened(tmp_path), opened(tmp_path, labels="coarse")
    assert fine.classes[99] == "fine_99" and len(fine.classes) == 100
    assert coarse.classes[19] == "coarse_19" and len(coarse.classes) == 20
    np.testing.assert_array_equal(coarse.labeled.truth, fine.labeled.truth // 5)
    np.testing.assert_array_equal(np.stack(coarse.labeled.read(np.arange(200))), written)
    assert coarse.labeled.ids == fine.labeled.ids


def test_cifar10_has_no_coarse_classes(root: Path) -> None:
    assert refused(root, labels="coarse") == '[data] cifar: labels = "coarse", but CIFAR-10 has fine labels alone'


def test_fewer_images_than_published_are_said(root: Path) -> None:
    assert "train: 60 images, where CIFAR-10 as published has 50,000" in opened(root).notes
    assert any("from CIFAR-10's training images" in note for note in opened(root, labels_per_class=2).notes)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (
            3073 * 12 - 1,
            "has 36,875 bytes, and records of 3,073 bytes each were expected; the published file has 30,730,000",
        ),
        (0, "has 0 bytes, and records of 3,073 bytes each were expected"),
    ],
)
def test_a_file_that_was_cut_off(root: Path, size: int, said: str) -> None:
    os.truncate(root / "data_batch_4.bin", size)
    message = refused(root)
    assert "data_batch_4.bin`" in message and said in message and "fetch it again" in message


def test_a_file_that_is_cut_off_later_ends_no_process(root: Path) -> None:
    images = opened(root).labeled
    os.truncate(root / "data_batch_1.bin", 4000)
    assert len(images.read(np.array([0]))) == 1
    with pytest.raises(
        DataError, match=r"the image `train/00001` of `.*data_batch_1.bin` .*bytes 3,073 to 6,146 .* 4,000"
    ):
        images.read(np.array([1]))


def test_a_file_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: "\n".join(published.CIFAR10))
    assert refused(root) == f"[data] cifar: `{root / 'data_batch_1.bin'}` cannot be read: Permission denied"


def test_a_label_that_no_class_has(root: Path) -> None:
    (root / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    assert "test_batch.bin`: label 10 of image 0, counted from 0; labels from 0 to 9 were expected" in refused(root)


@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin", "batches.meta.txt"])
def test_a_file_that_is_missing(root: Path, name: str) -> None:
    (root / name).rename(root / f"{name}.old")
    message = refused(root, MissingData)
    assert f"there is no file `{root / name}`" in message and "cifar-10-binary.tar.gz" in message


@pytest.mark.parametrize("version", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("inside", [True, False])
def test_pickled_files_are_never_opened(tmp_path: Path, version: object, inside: bool) -> None:
    folder, name = version.pickled  # type: ignore[attr-defined]
    place = tmp_path / folder if inside else tmp_path
    place.mkdir(exist_ok=True)
    for file in (name, "meta", "test"):
        (place / file).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    message = refused(tmp_path, MissingData)
    assert "pickles, which can run any code" in message and f"Fetch {version.archive} instead" in message  # type: ignore[attr-defined]


def test_both_data_sets_in_one_folder(tmp_path: Path) -> None:
    published.cifar10(tmp_path / CIFAR10.folder)
    published.cifar100(tmp_path / CIFAR100.folder)
    assert "has both CIFAR-10 and CIFAR-100: name one in `root`" in refused(tmp_path)
    assert len(opened(tmp_path / CIFAR100.folder).classes) == 100


def test_a_folder_of_another_name(root: Path) -> None:
    message = refused(root.with_name("ciffar"), MissingData)
    assert "there is no folder" in message and "Did you mean `cifar`?" in message
    with pytest.raises(MissingData) as caught:
        opened(root.with_name("nowhere"))
    assert caught.value.classes is None  # 10 or 100: which, only the files tell
    deeper = refused(root.parent, MissingData)
    assert f"Did you mean `{root}`?" in deeper
    (root.parent / "cifar-10-binary.tar.gz").touch()
    assert "unpack it" in refused(root.parent / "cifar-10-binary.tar.gz")


def test_names_of_classes(root: Path) -> None:
    (root / "batches.meta.txt").write_text("cat\ncat\n")
    assert "batches.meta.txt` was expected to have a class's name on each line, each of them once" in refused(root)
    (root / "batches.meta.txt").write_bytes(b"\xff\xfe\xff")
    assert "it is no text in UTF-8" in refused(root)


def test_it_is_recognized(root: Path, tmp_path: Path) -> None:
    found = Cifar.recognize(root)
    assert found is not None and found.settings == {"root": root} and found.certainty == 0.9
    assert Cifar.recognize(tmp_path) is None
    published.cifar100(tmp_path / "cifar-100-binary")
    inside = Cifar.recognize(tmp_path)
    assert inside is not None and inside.settings == {"root": tmp_path / "cifar-100-binary"}
