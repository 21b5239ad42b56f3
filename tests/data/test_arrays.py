"""NumPy's files: which arrays are images and labels, how they are read, and what is refused."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from time import sleep

import numpy as np
import published
import pytest

from sslkit import OUTSIDE, UNKNOWN, Data, Progress
from sslkit.errors import DataError, MissingData
from sslkit.images.scan import scan
from sslkit_plugins.data.arrays import Arrays
from sslkit_plugins.data.formats.numpy_files import Stored


def opened(root: Path, **said: object) -> Data:
    return Arrays(**{"root": root, **said}).open_data(Progress(0, plugin="arrays"))  # type: ignore[arg-type]


def refused(root: Path, kind: type = DataError, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert type(caught.value) is kind
    return str(caught.value)


PIXELS, LABELS = published.noise(12, 10), published.in_turn(12, 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    np.save(folder / "images.npy", PIXELS)
    np.save(folder / "labels.npy", LABELS)
    return folder


def read(data: Data) -> np.ndarray:
    return np.stack(data.labeled.read(np.arange(len(data.labeled))))


def test_images_and_labels_are_those_that_were_written(root: Path) -> None:
    data = opened(root)
    assert data.classes == ("0", "1", "2") and list(data.labeled.ids[:2]) == ["train/00000", "train/00001"]
    np.testing.assert_array_equal(read(data), PIXELS)
    np.testing.assert_array_equal(data.labeled.truth, LABELS)
    assert opened(root, classes=["ant", "bee", "cat"]).classes == ("ant", "bee", "cat")


def test_test_images_alone_measure_and_train_nothing(root: Path) -> None:
    (root / "images.npy").rename(root / "held.npy")
    (root / "labels.npy").rename(root / "held_labels.npy")
    data = opened(root, test="held.npy", test_labels="held_labels.npy", classes=["ant", "bee", "cat"])
    assert data.test is not None and (len(data.labeled), len(data.test), data.unlabeled) == (0, 12, None)
    assert data.notes[0].startswith("labeled: none. There is no `images.npy` in ")
    assert opened(root, test="held.npy", test_labels="held_labels.npy").classes == ("0", "1", "2")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_of_an_npz_file(tmp_path: Path, save: object) -> None:
    save(tmp_path / "all.npz", x=PIXELS, y=LABELS[:, None].astype(np.uint8))  # type: ignore[operator]
    data = opened(tmp_path, images="all.npz:x", labels="all.npz:y")
    np.testing.assert_array_equal(read(data), PIXELS)
    np.testing.assert_array_equal(data.labeled.truth, LABELS)
    np.savez(tmp_path / "x.npz", PIXELS)
    np.testing.assert_array_equal(read(opened(tmp_path, images="x.npz", labels="all.npz:y")), PIXELS)
    several = refused(tmp_path, images="all.npz", labels="all.npz:y")
    assert "several arrays; its arrays are `x`, `y`: say which, as in `all.npz:x`" in several
    assert "no array `xx`" in refused(tmp_path, images="all.npz:xx", labels="all.npz:y")


def test_grey_images_and_channels_that_come_first(root: Path) -> None:
    np.save(root / "grey.npy", PIXELS[..., 0])
    np.testing.assert_array_equal(read(opened(root, images="grey.npy", channels=1))[..., 0], PIXELS[..., 0])
    np.save(root / "first.npy", PIXELS.transpose(0, 3, 1, 2).copy())
    data = opened(root, images="first.npy")
    np.testing.assert_array_equal(read(data), PIXELS)
    assert "`first.npy`: its images are (channels, height, width), as its shape tells" in data.notes


def test_a_shape_that_does_not_tell_where_the_channels_are(root: Path) -> None:
    strips = published.noise(12, 10)[:, :3]  # (12, 3, 10, 3)
    np.save(root / "strips.npy", strips)
    assert 'is (12, 3, 10, 3), which does not tell where the channels are: say axes = "HWC"' in refused(
        root, images="strips.npy"
    )
    np.testing.assert_array_equal(read(opened(root, images="strips.npy", axes="HWC")), strips)
    turned = read(opened(root, images="strips.npy", axes="CHW"))
    np.testing.assert_array_equal(turned, strips.transpose(0, 2, 3, 1))
    assert "no image of it is HW with" in refused(root, images="strips.npy", axes="HW")


def test_labels_below_zero(root: Path) -> None:
    hidden = np.where(np.arange(12) > 8, -1, LABELS)
    np.save(root / "labels.npy", hidden.astype(np.int8))
    np.save(root / "more.npy", published.noise(4, 10, 5))
    np.save(root / "shown.npy", np.array([2, -1, -2, -2]))
    data = opened(root, unlabeled="more.npy", unlabeled_labels="shown.npy", include_labeled=False)
    assert data.unlabeled is not None and len(data.labeled) == 9
    assert list(data.unlabeled.ids) == [
        "train/00009",
        "train/00010",
        "train/00011",
        *(f"unlabeled/{i:05}" for i in range(4)),
    ]
    assert data.unlabeled.truth.tolist() == [UNKNOWN] * 3 + [2, UNKNOWN, OUTSIDE, OUTSIDE]
    assert any(
        "7 images from `images.npy` and `more.npy`" in note and "2 of them of other" in note for note in data.notes
    )
    np.save(root / "labels.npy", np.where(np.arange(12) > 8, -2, LABELS))
    assert "has label -2 for image 9, counted from 0; accepted are -1 to 11, as there can be no more" in refused(root)


def test_arrays_to_measure_on(root: Path) -> None:
    np.save(root / "v.npy", published.noise(4, 10, 7))
    np.save(root / "vy.npy", np.array([0, 1, 2, 0]))
    data = opened(root, validation="v.npy", validation_labels="vy.npy", test="v.npy", test_labels="vy.npy")
    assert data.validation is not None and list(data.validation.ids) == [f"validation/{i:05}" for i in range(4)]
    assert data.test is not None and data.test.truth.tolist() == [0, 1, 2, 0]
    assert "`test` names images, and `test_labels` has to name their labels" in refused(root, test="v.npy")
    np.save(root / "vy.npy", np.array([0, 1, -1, 0]))
    assert "has label -1 for image 2" in refused(root, test="v.npy", test_labels="vy.npy")
    np.save(root / "vy.npy", np.array([0, 1, 7, 0]))
    said = {"test": "v.npy", "test_labels": "vy.npy"}
    assert "has label 7 for image 2, counted from 0; accepted are 0 to 2" in refused(
        root, classes=["a", "b", "c"], **said
    )
    assert "has no image of class `3`, `4`, `5`, `6`, `7`" in refused(root, **said)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (
            PIXELS / np.float32(255),
            "is float32, and images are uint8, from 0 to 255. Of numbers from 0 to 1, save (images * 255)",
        ),
        (
            PIXELS.astype(np.int64),
            "is int64, and images are uint8, from 0 to 255. Where all numbers are from 0 to 255, save",
        ),
        (PIXELS.reshape(12, -1), "is (12, 300), and images are (N, H, W), (N, H, W, C) or (N, C, H, W)"),
        (PIXELS[:, :0], "and images are (N, H, W)"),
        (np.zeros((12, 10, 10, 2), np.uint8), "does not tell where the channels are"),
        (np.asfortranarray(PIXELS), "is stored column by column (Fortran's order): save np.ascontiguousarray(images)"),
    ],
)
def test_arrays_that_are_no_images(root: Path, images: np.ndarray, said: str) -> None:
    np.save(root / "images.npy", images)
    assert said in refused(root)


def test_too_large(root: Path) -> None:
    assert "has images that are too large: it has 10 x 10 pixels" in refused(root, largest=0.00001)


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["images.npy", "images.npz"])
def test_objects_are_refused_and_not_opened(root: Path, name: str) -> None:
    bomb = np.array([Bomb(root / "opened")] * 12, object)
    if name.endswith("z"):
        np.savez(root / name, images=bomb)
    else:
        np.save(root / name, bomb, allow_pickle=True)
    assert "it holds Python objects, which only unpickling could open" in refused(root, images=name)
    assert "it holds Python objects" in refused(root, labels=name)
    assert not (root / "opened").exists()


@pytest.mark.parametrize(
    "labels", [np.zeros(12), np.zeros(11, np.int64), np.zeros((12, 3), np.int64), np.array(["a"] * 12)]
)
def test_labels_that_are_none(root: Path, labels: np.ndarray) -> None:
    np.save(root / "labels.npy", labels)
    assert "and a whole number for each of the 12 images of" in refused(root) and "was expected, (12,)" in refused(root)


def test_files_that_were_cut_off(root: Path) -> None:
    size = (root / "images.npy").stat().st_size
    os.truncate(root / "images.npy", size - 5)
    assert f"it has {size - 5:,} bytes, and an array uint8 (12, 10, 10, 3) has {size:,}" in refused(root)
    for left in (0, 4, 20):
        os.truncate(root / "images.npy", left)
        assert "images.npy` cannot be read: " in refused(root)
    np.savez(root / "x.npz", PIXELS)
    os.truncate(root / "x.npz", 2000)
    assert "x.npz` cannot be read: " in refused(root, images="x.npz")


def test_an_npz_file_that_is_damaged_later(root: Path) -> None:
    np.savez(root / "x.npz", PIXELS)
    images = opened(root, images="x.npz").labeled
    os.truncate(root / "x.npz", 2000)
    with pytest.raises(
        DataError, match=r"the image `train/00000` of `.*x.npz` \(labeled split\) cannot be read: File is not"
    ):
        images.read(np.array([0]))


def test_what_is_not_there(root: Path) -> None:
    assert "Did you mean `data`?" in refused(root.with_name("dta"), MissingData)
    message = refused(root, MissingData, images="image.npy")
    assert f"there is no file `{root / 'image.npy'}`" in message and "Did you mean `images.npy`?" in message


def test_classes_without_an_image(root: Path) -> None:
    np.save(root / "labels.npy", np.where(LABELS == 1, 3, LABELS))
    assert "`labels.npy` has no image of class `1`; labels count from 0 to 3" in refused(root)
    np.save(root / "labels.npy", np.where(LABELS == 1, 2_000_000_000, LABELS))
    assert "has label 2000000000 for image 1, counted from 0; accepted are -1 to 11" in refused(root)
    np.save(root / "labels.npy", LABELS * 0)
    assert "`labels.npy` has one class, 0; a classifier tells classes apart" in refused(root)
    np.save(root / "labels.npy", LABELS * 0 - 1)
    assert "`labels.npy` has no label; a classifier tells" in refused(root)
    np.save(root / "labels.npy", LABELS)
    assert "each name once" in refused(root, classes=["a", "a", "b", "c"])


def test_it_is_recognized(root: Path, tmp_path: Path) -> None:
    found = Arrays.recognize(root)
    assert found is not None and found.settings == {"root": root} and found.certainty == 0.7
    assert Arrays.recognize(tmp_path) is None


def test_what_was_seen_of_one_array_is_not_taken_for_another(tmp_path: Path) -> None:
    """Two arrays of one file have the same ids and the same state of the file."""
    np.savez(tmp_path / "all.npz", x=PIXELS, z=255 - PIXELS, y=LABELS)
    os.utime(tmp_path / "all.npz", (1e9, 1e9))

    def digests(images: str) -> list[bytes]:
        return [look.digest for look in scan(opened(tmp_path, images=images, labels="all.npz:y").labeled)]

    first, second = digests("all.npz:x"), digests("all.npz:z")
    assert not {*first} & {*second} and digests("all.npz:x") == first


@pytest.mark.parametrize(("at", "byte"), [(8, 0xFF), (6, 0x01), (4, 0x97)])
def test_members_that_no_reader_of_zip_files_knows(tmp_path: Path, at: int, byte: int) -> None:
    """A method of packing, encryption, a version: `zipfile` refuses them in other ways than damage."""
    np.savez(tmp_path / "all.npz", x=PIXELS, y=LABELS)
    data = bytearray((tmp_path / "all.npz").read_bytes())
    for head, more in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # a member's own header, and the one in the directory
        data[data.find(head) + at + more] = byte
    (tmp_path / "all.npz").write_bytes(data)
    assert "all.npz:x` cannot be read: " in refused(tmp_path, images="all.npz:x", labels="all.npz:y")


def test_threads_load_an_array_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "all.npz", x=PIXELS, y=LABELS)
    times, load, meet = [], Stored._loaded, Barrier(2)

    def loaded(self: Stored) -> object:
        times.append(self.key)
        sleep(0.05)  # the other thread, which is there already, would begin too
        return load(self)

    images = opened(tmp_path, images="all.npz:x", labels="all.npz:y").labeled
    monkeypatch.setattr(Stored, "_loaded", loaded)
    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(lambda row: (meet.wait(), images.read(np.array([row])))[1], range(2))]
    assert times == ["x"]
    np.testing.assert_array_equal([one for (one,) in found], PIXELS[:2])
