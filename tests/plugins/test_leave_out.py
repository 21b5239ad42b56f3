"""`leave_out`: images that cannot be read, and copies of what measures, are in no split; which they are is known."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photos import fill, picture, put

import sslkit
from sslkit import Data, Progress
from sslkit.corrections import corrected
from sslkit.errors import DataError, RunError
from sslkit.images import remembered
from sslkit.images.copies import shared
from sslkit.images.scan import scan
from sslkit_plugins.data.dividing import library
from sslkit_plugins.data.dividing.library import Library
from sslkit_plugins.data.image_folder import ImageFolder

Open = Callable[..., Data]
ODD = "we\nird \x1b[31m<b>'\"\udce9.png"
"A name that would break a line, a terminal, a page, and a file in UTF-8."


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes; of five images of the pool one is broken; test and validation folders."""
    root = fill(tmp_path / "photos", **{"train/cat": 5, "train/dog": 4, "extra": 5, "val/cat": 2, "test/cat": 2})
    for number, path in enumerate(sorted(root.rglob("*.png"))):  # all differ
        put(path, picture(number, 12, 10))
    (root / "extra/3.png").write_bytes(b"<html>404</html>")
    return root


@pytest.fixture
def opened(photos: Path) -> Open:
    """`opened(leave_out=[...], ...)`: the data of `photos`."""

    def made(*leave_out: str, seed: int = 0, **said: object) -> Data:
        table = {"root": photos, "unlabeled": "extra", "test": "test", "validation": "val", **said}
        return ImageFolder(**table, leave_out=list(leave_out)).open_data(Progress(seed, plugin="d"))  # type: ignore[arg-type]

    return made


def left(data: Data) -> list[tuple[str, str]]:
    return sorted((one.split, one.id) for one in data.left_out)


def test_nothing_is_looked_at_without_the_setting(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "looks", lambda *_: pytest.fail("it was looked at an image"))
    data = opened()
    assert data.left_out == () and not any("left out" in note for note in data.notes)


def test_unreadable_images_are_in_no_split(opened: Open, photos: Path) -> None:
    (photos / "test/cat/1.png").write_bytes(b"")
    (photos / "train/dog/0.png").write_bytes((photos / "train/dog/0.png").read_bytes()[:40])
    data = opened("unreadable", labels_per_class=2)
    assert left(data) == [("labeled", "train/dog/0.png"), ("test", "test/cat/1.png"), ("unlabeled", "extra/3.png")]
    ids = [sample for images in data.splits.values() for sample in images.ids]
    assert not {"extra/3.png", "test/cat/1.png", "train/dog/0.png"} & set(ids) and len(set(ids)) == 15
    assert [one.reason for one in data.left_out if one.split == "test"] == ["it cannot be read: the file is empty"]
    (note,) = (note for note in data.notes if note.startswith("left out"))
    assert "1 image of labeled that cannot be read, 1 image of unlabeled that" in note and "left_out.json" in note
    assert all(images.read(np.arange(len(images))) for images in data.splits.values())


def test_labels_are_drawn_of_what_is_left(opened: Open, photos: Path) -> None:
    (photos / "train/cat/0.png").write_bytes(b"")
    for seed in range(5):
        assert "train/cat/0.png" not in opened("unreadable", seed=seed, labels_per_class=4).labeled.ids
    with pytest.raises(DataError, match="class `cat` has 4 images"):
        opened("unreadable", labels_per_class=5)


def test_copies_of_what_measures_are_left_out_whatever_they_are_stored_as(opened: Open, photos: Path) -> None:
    test, val, other = picture(100, 12, 10), picture(101, 12, 10), picture(102, 12, 10)
    for path in ("test/cat/0.png", "train/dog/1.bmp", "extra/7.tif", "val/cat/0.png"):
        put(photos / path, test)
    for path in ("val/cat/1.png", "train/cat/1.png"):
        put(photos / path, val)
    for path in ("train/cat/2.png", "extra/0.png"):  # which only train
        put(photos / path, other)
    data = opened("duplicates")
    assert left(data) == [
        ("labeled", "train/cat/1.png"), ("labeled", "train/dog/1.bmp"), ("unlabeled", "extra/7.tif"),
        ("validation", "val/cat/0.png"),
    ]  # fmt: skip
    assert data.test is not None and len(data.test) == 2  # it stays whole
    assert {one.reason for one in data.left_out} == {"the same image is in test", "the same image is in validation"}


def test_an_image_of_another_size_is_no_copy(opened: Open, photos: Path) -> None:
    put(photos / "test/cat/0.png", np.zeros((4, 6, 3), np.uint8))
    put(photos / "train/cat/0.png", np.zeros((6, 4, 3), np.uint8))
    assert left(opened("duplicates")) == []


def test_validation_may_be_the_test_folder(opened: Open) -> None:
    data = opened("unreadable", "duplicates", validation="test")
    assert left(data) == [("unlabeled", "extra/3.png")]
    assert data.validation is not None and len(data.validation) == 2


def test_the_same_image_with_two_labels_is_said(opened: Open, photos: Path) -> None:
    for path in ("train/cat/2.png", "train/dog/2.png"):
        put(photos / path, picture(200, 12, 10))
    (note,) = (note for note in opened("duplicates").notes if "labels that differ" in note)
    assert "`train/cat/2.png`, `train/dog/2.png`" in note


def test_a_class_of_which_nothing_is_left(opened: Open, photos: Path) -> None:
    for path in (photos / "train/dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="leave_out leaves no image of `dog` in `train`"):
        opened("unreadable")


def test_a_list_of_labels_may_name_what_is_left_out(opened: Open, photos: Path) -> None:
    (photos / "train/cat/0.png").write_bytes(b"")
    listing = photos / "labels.txt"
    listing.write_text("train/cat/0.png\ntrain/cat/1.png\ntrain/dog/0.png\n")
    assert list(opened("unreadable", labels_list=listing).labeled.ids) == ["train/cat/1.png", "train/dog/0.png"]


def test_the_error_of_an_unreadable_image_names_the_way_out(opened: Open) -> None:
    data = opened()
    assert data.unlabeled is not None
    with pytest.raises(DataError, match=r'need a new run: `leave_out = \["unreadable"\]` in \[data\]'):
        data.unlabeled.read(np.arange(len(data.unlabeled)))


# What was found is remembered ----------------------------------------------------------------------------------------


def looked(images: sslkit.Images, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many images are decoded when it is looked at all of them."""
    count = []
    one = Library._look
    with monkeypatch.context() as patch:
        patch.setattr(Library, "_look", lambda self, row: count.append(row) or one(self, row))
        scan(images)
    return len(count)


def long_ago(root: Path) -> None:
    """What was changed just now is not remembered."""
    for path in root.rglob("*"):
        if path.is_file():
            remembered.os.utime(path, (1e9, 1e9))


def test_a_second_look_opens_nothing(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked(opened().labeled, monkeypatch) == 9
    assert looked(opened().labeled, monkeypatch) == 9  # as they were changed just now
    long_ago(photos)
    first = scan(opened().labeled)
    assert looked(opened().labeled, monkeypatch) == 0 and scan(opened().labeled) == first
    assert opened().labeled.ids == opened("unreadable").labeled.ids  # what is remembered is no image of the listing


def test_what_changed_is_looked_at_again(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago(photos)
    scan(opened().labeled)
    path = photos / "train/cat/0.png"
    remembered.os.utime(path, (1e9, 1e9 + 1))  # the time alone
    assert looked(opened().labeled, monkeypatch) == 1
    path.write_bytes(path.read_bytes() + b"more")
    remembered.os.utime(path, (1e9, 1e9 + 1))  # the size alone
    assert looked(opened().labeled, monkeypatch) == 1
    put(photos / "train/cat/new.png")
    long_ago(photos)
    remembered.os.utime(path, (1e9, 1e9 + 1))
    assert looked(opened().labeled, monkeypatch) == 1


def test_other_settings_of_decoding_see_other_images(
    opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago(photos)
    scan(opened().labeled)
    assert looked(opened(channels=1).labeled, monkeypatch) == 9
    assert looked(opened(largest=50.0).labeled, monkeypatch) == 9
    assert looked(opened().labeled, monkeypatch) == 0


def test_what_cannot_be_read_is_tried_again(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its permissions may have changed, or the version of a decoder."""
    long_ago(photos)
    pool = opened().unlabeled
    assert pool is not None
    scan(pool)
    assert looked(pool, monkeypatch) == 1


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:-7], lambda data: data[:-9] + b"x" + data[-8:]])
def test_a_damaged_memory_is_as_none(
    opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable
) -> None:
    long_ago(photos)
    first = scan(opened().labeled)
    (file,) = (photos / ".sslkit").iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    assert looked(opened().labeled, monkeypatch) == 9 and scan(opened().labeled) == first
    assert looked(opened().labeled, monkeypatch) == 0


def test_where_nothing_can_be_written_the_users_cache_is_taken(
    opened: Open, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago(photos)
    (photos / ".sslkit").write_text("in the way")  # root may write anywhere, but not below a file
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scan(opened().labeled)
    assert looked(opened().labeled, monkeypatch) == 0 and list((tmp_path / "cache/sslkit/looks").iterdir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos / ".sslkit"))
    assert looked(opened().labeled, monkeypatch) == 9  # nothing is remembered, and nothing is wrong


def test_what_two_processes_find_at_once_is_kept(tmp_path: Path) -> None:
    """Each began before the other wrote."""
    stamp, look = remembered.Stamp(1, 2), sslkit.Look(bytes(range(16)), 3, 4, "png")
    one, other = (remembered.Remembered(str(tmp_path), "key") for _ in range(2))
    one.add(["a\n\udce9"], [stamp], [look], 2)
    other.add(["b"], [stamp], [look._replace(digest=bytes(16))], 2)
    found = remembered.Remembered(str(tmp_path), "key").looks(["a\n\udce9", "b", "c"], [stamp] * 3)
    assert found == [look, look._replace(digest=bytes(16)), None]
    assert [path.name[:6] for path in (tmp_path / ".sslkit").iterdir()] == ["looks-"]


def test_images_that_are_gone_are_forgotten_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SPARE", 1)
    look = sslkit.Look(bytes(16), 3, 4, "png")
    for sample in "abcd":
        remembered.Remembered(str(tmp_path), "key").add([sample], [remembered.Stamp(1, 2)], [look], 1)
    assert remembered.Remembered(str(tmp_path), "key").ids == ["d"]


def test_a_stopped_look_keeps_what_it_found(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago(photos)
    monkeypatch.setattr("sslkit.images.scan.CHUNK", 1)
    one, last = Library._look, opened().labeled.ids[-1]

    def stopped(self: Library, row: int) -> sslkit.Look:
        if self.ids[row] == last:
            raise KeyboardInterrupt
        return one(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(Library, "_look", stopped)
        with pytest.raises(KeyboardInterrupt):
            scan(opened().labeled)
    assert looked(opened().labeled, monkeypatch) == 1


def test_images_that_were_corrected_are_looked_at_as_files(opened: Open) -> None:
    """Those of the pool that joined the labeled ones, too."""
    data = corrected(opened(), {"extra/0.png": "dog", "extra/3.png": "cat", "train/cat/0.png": "dog"}, "by hand")
    looks = scan(data.labeled)
    assert len(looks) == 11 and [look.problem[:11] for look in looks if look.kind != "png"] == ["it is no im"]
    ids = list(data.labeled.ids)
    assert (
        looks[ids.index("extra/0.png")] == scan(opened().unlabeled)[list(opened().unlabeled.ids).index("extra/0.png")]
    )  # type: ignore[arg-type, union-attr]


# Runs ----------------------------------------------------------------------------------------------------------------

RECIPE = """
steps = 2
labels = "none"
batch = {{ labeled = 2, unlabeled = 0 }}
[data]
use = "image_folder"
root = "{root}"
unlabeled = "extra"
leave_out = ["unreadable"]
[model]
name = "test_resnet"
size = 16
[optimizer]
name = "sgd"
rate = 0.1
[views.labeled]
stream = "labeled"
[[loss]]
use = "cross_entropy"
on = "labeled"
"""


def test_a_run_lists_what_it_left_out(photos: Path, tmp_path: Path) -> None:
    """Whatever the names are; and a resumed run says that it finds other data."""
    (photos / "extra" / ODD).write_bytes(b"")
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format(root=photos))
    run = sslkit.run(path, out=tmp_path / "run", device="cpu")
    raw = (run.folder / "left_out.json").read_bytes()
    assert raw.isascii() and b"\x1b" not in raw
    assert sorted(one["id"] for one in json.loads(raw)) == ["extra/3.png", f"extra/{ODD}"]
    assert {one["split"] for one in json.loads(raw)} == {"unlabeled"}

    summary = json.loads((run.folder / "summary.json").read_text())
    (run.folder / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    put(photos / "extra/3.png")
    with pytest.raises(RunError, match=r"data of .* has changed"):
        sslkit.run(resume=run.folder, device="cpu")


def test_images_outside_the_root_are_remembered(
    opened: Open, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ids are whole paths."""
    away = fill(tmp_path / "away", **{"cat": 2, "dog": 2})
    long_ago(away)
    said = {"labeled": str(away), "validation": 0}
    scan(opened(**said).labeled)
    assert looked(opened(**said).labeled, monkeypatch) == 0


def test_other_decoders_see_other_images(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago(photos)
    scan(opened().labeled)
    monkeypatch.setattr(library, "DECODERS", "cv2 of tomorrow")
    assert looked(opened().labeled, monkeypatch) == 9


@pytest.mark.parametrize("include_labeled", [True, False])
@pytest.mark.parametrize("said", [{}, {"labels_per_class": 2}])
def test_no_copy_of_what_is_set_aside_trains(
    opened: Open, photos: Path, include_labeled: bool, said: dict[str, object]
) -> None:
    for path in sorted((photos / "train").rglob("*.png")):
        (photos / "extra" / f"{path.parent.name}{path.name}").write_bytes(path.read_bytes())
        if path.name in ("0.png", "1.png", "2.png"):
            path.with_name(f"more{path.name}").write_bytes(path.read_bytes())

    def at(seed: int, *leave_out: str) -> tuple[Data, list[str]]:
        data = opened(*leave_out, seed=seed, validation=0.4, include_labeled=include_labeled, **said)
        looks = {name: scan(images) for name, images in data.splits.items()}
        return data, [one.split for one in shared(data, looks) if one.other == "validation"]

    assert {split for seed in range(4) for split in at(seed)[1]} == {"labeled", "unlabeled"}
    for seed in range(4):
        data, both = at(seed, "duplicates")
        bare = at(seed)[0]
        assert not both and data.validation is not None and len(data.labeled) == len(bare.labeled)
        gone = {one.id for one in data.left_out}
        assert {one.split for one in data.left_out} == {"validation", "unlabeled"}
        assert gone.isdisjoint(name for images in data.splits.values() for name in images.ids)
        assert gone | {n for s in data.splits.values() for n in s.ids} == {
            n for s in bare.splits.values() for n in s.ids
        }
        told = [note for note in data.notes if note.startswith("left out: ")]
        assert len(told) == 1 and "of validation that training has as well" in told[0]
        assert not any(note.startswith("not used") for note in data.notes)


def test_what_is_remembered_is_not_counted_as_left_out(opened: Open, photos: Path) -> None:
    long_ago(photos)
    said = {"root": photos / "train", "labeled": ".", "unlabeled": None, "validation": 0, "test": None}
    before = opened(**said)
    scan(before.labeled)
    assert (photos / "train" / remembered.FOLDER).is_dir() and opened(**said).notes == before.notes
