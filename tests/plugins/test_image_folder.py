"""`image_folder`: which images each split has, and what is said of folders that will not do."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photos import fill, picture, put

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError, MissingData
from sslkit.images import listing
from sslkit.images.listing import list_images, natural
from sslkit.images.words import printable
from sslkit.recipe import load
from sslkit_plugins.data.dividing.drawing import apportion, draw
from sslkit_plugins.data.image_folder import ImageFolder

Open = Callable[..., Data]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve images of three classes, of sizes that differ; others without labels, and some to measure on."""
    return fill(
        tmp_path / "photos",
        **{"train/cat": 5, "train/dog": 4, "train/owl": 3, "extra/shots": 4, "extra/dog": 2, "extra/a/b": 1},
        **{"val/cat": 1, "val/dog": 2, "test/dog": 2, "test/owl": 2},
    )


@pytest.fixture
def opened(photos: Path) -> Open:
    """`opened(seed, labeled="train", ...)`: the data of `photos`, or of another root."""

    def made(seed: int = 0, **said: object) -> Data:
        return ImageFolder(**{"root": photos, **said}).open_data(Progress(seed, plugin="image_folder"))  # type: ignore[arg-type]

    return made


def refused(opened: Open, **said: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(**said)
    assert str(caught.value).startswith("[data] image_folder: ") and not isinstance(caught.value, MissingData)
    return str(caught.value).removeprefix("[data] image_folder: ")


def ids(images: Images | None) -> list[str]:
    return [] if images is None else list(images.ids)


def sizes(data: Data) -> dict[str, int]:
    return {name: len(images) for name, images in data.splits.items()}


# Mathematics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "sizes", "seats"),
    [(6, [5, 4, 3], [3, 2, 1]), (5, [5, 4, 3], [2, 2, 1]), (1, [2, 2], [1, 0]), (0, [7, 1], [0, 0]), (9, [6, 3], [6, 3]),
     (3, [100, 1, 1], [3, 0, 0])],
)  # fmt: skip
def test_apportion(total: int, sizes: list[int], seats: list[int]) -> None:
    assert apportion(total, np.array(sizes)).tolist() == seats


def test_a_draw_of_every_class() -> None:
    truth = np.array([1, 0, 1, 0, 0, 1, 1])
    parts = draw(truth, np.array([1, 2]), np.array([1, 0]), np.random.default_rng)
    assert [np.bincount(truth[part], minlength=2).tolist() for part in parts] == [[1, 2], [1, 0], [1, 2]]
    assert sorted(np.concatenate(parts)) == list(range(7))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_more_of_one_part_keeps_what_was_drawn() -> None:
    truth = np.repeat(np.arange(2), 50)
    few, many = (draw(truth, np.array([n, n]), np.array([v, v]), np.random.default_rng) for n, v in ((5, 20), (25, 8)))
    assert set(few[0]) < set(many[0]) and set(many[1]) < set(few[1])
    alone = draw(truth[:60], np.array([5, 5]), np.array([5, 5]), np.random.default_rng)
    assert set(alone[0][alone[0] < 50]) == set(few[0][few[0] < 50])  # the first class, whatever the second has


def test_natural_order() -> None:
    names = ["img10", "img9", "10", "9", "img", "Img9", "img09", "2b", "a"]
    assert sorted(names, key=natural) == ["2b", "9", "10", "Img9", "a", "img", "img09", "img9", "img10"]


def test_names_can_be_shown_and_compared() -> None:
    assert printable("café") == printable("cafe\u0301") == "café"
    assert printable(os.fsdecode(b"caf\xe9 \n")) == "caf\\xe9 \\n"


# Splits -----------------------------------------------------------------------------------------------------------


def test_every_folder_given(opened: Open) -> None:
    data = opened(unlabeled="extra", validation="val", test="test")
    assert data.classes == ("cat", "dog", "owl")
    assert sizes(data) == {"labeled": 12, "unlabeled": 19, "validation": 3, "test": 4}
    assert data.labeled.truth.tolist() == [0] * 5 + [1] * 4 + [2] * 3
    assert ids(data.labeled)[4:6] == ["train/cat/4.png", "train/dog/0.png"]
    assert ids(data.test) == ["test/dog/0.png", "test/dog/1.png", "test/owl/0.png", "test/owl/1.png"]
    assert data.test is not None and data.test.truth.tolist() == [1, 1, 2, 2]
    assert set(ids(data.labeled)) < set(ids(data.unlabeled))  # one file has one id, whatever it is read for


def test_labeled_images_alone(opened: Open) -> None:
    assert sizes(opened()) == {"labeled": 12}


def test_truth_of_unlabeled_images_follows_the_names_of_their_folders(opened: Open) -> None:
    data = opened(unlabeled="extra", include_labeled=False)
    assert data.unlabeled is not None
    truth = dict(zip(data.unlabeled.ids, data.unlabeled.truth.tolist(), strict=True))
    assert truth == {
        "extra/a/b/0.png": -1, "extra/dog/0.png": 1, "extra/dog/1.png": 1, **{f"extra/shots/{i}.png": -1 for i in range(4)},
    }  # fmt: skip


def test_labels_per_class(opened: Open) -> None:
    """The others are unlabeled: their classes are known to metrics, and nobody else."""
    data = opened(labels_per_class=2, include_labeled=False)
    assert np.bincount(data.labeled.truth).tolist() == [2, 2, 2]
    assert data.unlabeled is not None and np.bincount(data.unlabeled.truth).tolist() == [3, 2, 1]
    assert sorted(ids(data.labeled) + ids(data.unlabeled)) == ids(opened().labeled)
    both = opened(labels_per_class=2)
    assert ids(both.unlabeled) == ids(opened().labeled)
    assert both.unlabeled is not None and both.unlabeled.truth.tolist() == opened().labeled.truth.tolist()


def test_the_labeled_folder_may_be_named_as_the_unlabeled_one(opened: Open) -> None:
    data, same = opened(labels_per_class=1), opened(labels_per_class=1, unlabeled="./train/")
    assert fingerprint(data) == fingerprint(same)
    assert ids(opened(unlabeled="train").unlabeled) == ids(opened().labeled)
    assert opened(unlabeled="train", include_labeled=False).unlabeled is None


def test_the_seed_decides(opened: Open) -> None:
    said = {"labels_per_class": 1, "validation": 3}
    assert fingerprint(opened(1, **said)) == fingerprint(opened(1, **said))
    assert len({tuple(ids(opened(seed, **said).labeled)) for seed in range(8)}) > 1
    assert len({tuple(ids(opened(seed, **said).validation)) for seed in range(8)}) > 1
    assert set(ids(opened(1, **said).labeled)) < set(ids(opened(1, labels_per_class=2).labeled))


@pytest.mark.parametrize(("validation", "count"), [(3, 3), (0.25, 3), (0.5, 6), (0, 0), (0.0, 0), (0.01, 0)])
def test_validation_images_are_set_aside_class_by_class(opened: Open, validation: float, count: int) -> None:
    data = opened(validation=validation, labels_per_class=1)
    assert len(ids(data.validation)) == count
    parts = [set(ids(images)) for images in (data.validation, data.unlabeled)]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 12  # nobody trains on them, unlabeled either
    if count == 6:
        assert data.validation is not None and np.bincount(data.validation.truth).tolist() == [3, 2, 1]


def test_without_labels_per_class_all_but_validation_is_labeled(opened: Open) -> None:
    assert sizes(opened(validation=4)) == {"labeled": 8, "validation": 4}


def test_a_link_in_the_pool_brings_no_labeled_or_test_images_into_it(opened: Open, photos: Path) -> None:
    for name, target in {"loop": "..", "test": "../test", "cat": "../train/cat"}.items():
        (photos / "extra" / name).symlink_to(target)
    data = opened(unlabeled="extra", test="test", include_labeled=False)
    assert len(ids(data.unlabeled)) == 7
    assert data.notes[-1].startswith(
        "left out: links into a folder that is used otherwise (2), links back into a folder"
    )


def test_images_of_other_classes_are_known_as_such(opened: Open) -> None:
    data = opened(unlabeled="extra", outside=["shots"])
    assert data.unlabeled is not None
    truth = dict(zip(data.unlabeled.ids, data.unlabeled.truth.tolist(), strict=True))
    assert {truth[f"extra/shots/{i}.png"] for i in range(4)} == {OUTSIDE} and truth["extra/a/b/0.png"] == UNKNOWN
    assert "4 of them of other classes than these" in " ".join(data.notes)
    assert "`shot` is not there; `extra` has `a`, `dog`, `shots`. Did you mean `shots`?" in refused(
        opened, unlabeled="extra", outside=["shot"]
    )
    assert "`dog` is a class of the labeled images" in refused(opened, unlabeled="extra", outside=["dog"])


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.99])
def test_a_fraction_of_each_class_keeps_its_label(opened: Open, fraction: float) -> None:
    data = opened(labels_fraction=fraction)
    assert np.bincount(data.labeled.truth).tolist() == [max(1, int(fraction * n)) for n in (5, 4, 3)]
    more = opened(labels_fraction=min(1.0, fraction + 0.3))
    assert set(data.labeled.ids) <= set(more.labeled.ids)


def test_a_list_says_which_images_keep_their_label(opened: Open, photos: Path) -> None:
    names = ["train/owl/1.png", "train/cat/3.png", "train/cat/0.png", "train/dog/2.png"]
    (photos / "keep.txt").write_text("\ufeff" + "\r\n".join(names) + "\n\n", "utf-8")
    data = opened(labels_list=photos / "keep.txt", validation=3)
    assert ids(data.labeled) == sorted(names) and len(ids(data.validation)) == 3
    assert not set(ids(data.validation)) & set(names)
    assert set(ids(data.unlabeled)) >= set(names) and len(ids(data.unlabeled)) == 12 - 3
    (photos / "keep.txt").write_text("train/cat/99.png")
    assert "1 image that cannot be labeled: `train/cat/99.png`. Ids look like `train/cat/0.png`" in refused(
        opened, labels_list=photos / "keep.txt"
    )
    assert "cannot be read: No such file" in refused(opened, labels_list=photos / "gone.txt")
    (photos / "keep.txt").write_text("train/cat/1.png\ntrain/owl/1.png")
    assert refused(opened, labels_list=photos / "keep.txt").startswith("labels_list names no image of `dog`")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"labels_per_class": 1, "labels_fraction": 0.5}, "labels_per_class and labels_fraction both say which"),
        ({"labels_fraction": 0.5, "gamma_l": 2.0}, "gamma_l = 2 goes with `labels_per_class`, and not with labels_fraction"),
    ],
)  # fmt: skip
def test_ways_to_say_which_labels_that_exclude_one_another(opened: Open, said: dict[str, object], message: str) -> None:
    assert message in refused(opened, **said)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_have_as_many_channels_as_the_recipe_says(opened: Open, channels: int) -> None:
    data = opened(channels=channels)
    assert data.channels == channels
    assert {image.shape[2] for image in data.labeled.read(np.arange(12))} == {channels}


def test_an_image_above_the_limit_is_told_with_its_name(opened: Open) -> None:
    data = opened(largest=0.0001)
    with pytest.raises(DataError, match=r"train/cat/0.png` .labeled split. cannot be read: it has 10 x 12 pixels"):
        data.labeled.read(np.arange(1))


def test_validation_and_test_may_be_the_same(opened: Open) -> None:
    data = opened(validation="test", test="test")
    assert ids(data.validation) == ids(data.test) != []
    assert any("the step is chosen by what it is then measured on" in note for note in data.notes)


def test_a_folder_within_another_is_no_part_of_it(opened: Open) -> None:
    data = opened(unlabeled=".", test="test", validation="val", include_labeled=False)
    assert set(ids(data.unlabeled)) == {name for name in ids(opened(unlabeled="extra").unlabeled) if "extra" in name}


def test_classes_directly_below_the_root(opened: Open, photos: Path) -> None:
    data = opened(root=photos / "train", labeled=".", validation=0.25)
    assert data.classes == ("cat", "dog", "owl") and "cat/0.png" in ids(data.labeled) + ids(data.validation)
    assert data.notes[0] == "labeled: 9 images, 2 to 4 of a class, from `train`"


def test_folders_outside_the_root(opened: Open, photos: Path) -> None:
    near = opened(root=photos / "train", labeled=".", unlabeled="../extra", include_labeled=False).unlabeled
    far = opened(unlabeled=str(photos / "test"), include_labeled=False).unlabeled
    away = opened(root=photos / "train", labeled=".", unlabeled=str(photos / "extra"), include_labeled=False).unlabeled
    assert near is not None and away is not None
    assert ids(near)[0] == "../extra/a/b/0.png" and len(near.read(np.arange(7))) == 7
    assert ids(far)[0] == "test/dog/0.png"
    assert ids(away)[0] == f"{photos}/extra/a/b/0.png" and len(away.read(np.arange(7))) == 7


def test_data_may_move(opened: Open, photos: Path) -> None:
    said = {"unlabeled": "extra", "labels_per_class": 2, "validation": 2, "test": "test"}
    before = fingerprint(opened(**said))
    moved = shutil.move(photos, photos.with_name("elsewhere"))
    assert fingerprint(opened(root=Path(moved), **said)) == before


def test_the_order_is_no_file_systems(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"unlabeled": "extra", "labels_per_class": 2}
    before = fingerprint(opened(**said))

    class Backwards:
        def __init__(self, path: str) -> None:
            self.found = sorted(scan(path), key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.found

        def __exit__(self, *_: object) -> None: ...

    scan = os.scandir
    monkeypatch.setattr(listing.os, "scandir", Backwards)
    assert fingerprint(opened(**said)) == before


def test_nothing_is_opened_before_it_is_read(opened: Open, photos: Path) -> None:
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")
    assert sizes(opened(unlabeled="extra", test="test")) == {"labeled": 12, "unlabeled": 19, "test": 4}


# Reading ----------------------------------------------------------------------------------------------------------


def test_images_of_any_size_in_any_order(opened: Open) -> None:
    images = opened().labeled
    read = images.read(np.array([8, 0, 3]))
    for image, (number, i) in zip(read, [(1, 3), (0, 0), (0, 3)], strict=True):
        np.testing.assert_array_equal(image, picture(number + 3 * i, 12 + i % 5, 10 + i % 3))
    assert len({image.shape for image in images.read(np.arange(12))}) > 3
    read[0][:] = 7
    assert (images.read(np.array([8]))[0] != 7).any()


@pytest.mark.parametrize("data", [b"", b"no image", None])
@pytest.mark.parametrize("split", ["labeled", "unlabeled", "test"])
def test_an_image_that_cannot_be_read_is_named(opened: Open, photos: Path, data: bytes | None, split: str) -> None:
    path = photos / {"labeled": "train/cat/2.png", "unlabeled": "extra/dog/1.png", "test": "test/owl/1.png"}[split]
    images = opened(unlabeled="extra", test="test").splits[split]
    rows = np.array([0, list(images.ids).index(str(path.relative_to(photos)))])
    whole = path.read_bytes()
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        images.read(rows)
    reason = {b"": "the file is empty", None: "No such file"}.get(data, "no image of a known kind")
    assert f"the image `{path}` ({split} split) cannot be read: " in str(caught.value) and reason in str(caught.value)
    assert "Put a readable copy in its place" in str(caught.value)
    path.write_bytes(whole)
    assert len(images.read(rows)) == 2


# Files and folders as they are found ------------------------------------------------------------------------------


def test_files_that_are_no_images_are_counted(opened: Open, photos: Path) -> None:
    for name in ("Thumbs.db", "notes.txt", "more.TXT", ".DS_Store", "._0.png", "README", "clip.heic"):
        (photos / "train/cat" / name).write_bytes(b"x")
    for name in ("__MACOSX/cat/0.png", ".git/0.png", "@eaDir/0.png"):
        put(photos / "train" / name)
    os.mkfifo(photos / "train/cat/pipe.png")
    data = opened()
    assert len(data.labeled) == 12 and data.classes == ("cat", "dog", "owl")
    assert data.notes[-1] == (
        "left out: hidden (3), .txt (2), .db (1), .heic (1), folders @eaDir (1), folders __MACOSX (1), neither files nor "
        "folders (1), without a suffix (1)"
    )


def test_suffixes_of_any_case_and_folders_that_look_like_files(opened: Open, photos: Path) -> None:
    for name in ("A.JPG", "b.Jpeg", "c.webp", "d.bmp", "e.TIFF", "f.ppm", "more.jpg/deep/g.png"):
        path = put(photos / "train/cat" / Path(name).with_suffix(Path(name).suffix.lower()))
        path.rename(photos / "train/cat" / name)
    data = opened()
    assert len(data.labeled) == 19 and "train/cat/more.jpg/deep/g.png" in ids(data.labeled)
    assert all(image.shape == (12, 10, 3) for image in data.labeled.read(np.arange(12))[5:])


def test_links_are_followed_but_not_in_circles(opened: Open, photos: Path) -> None:
    (photos / "train/elk").symlink_to(photos / "train/dog", target_is_directory=True)
    (photos / "train/cat/linked.png").symlink_to(photos / "test/dog/0.png")
    (photos / "train/cat/dead.png").symlink_to(photos / "nowhere.png")
    (photos / "train/cat/self.png").symlink_to("self.png")
    (photos / "train/cat/up").symlink_to(photos / "train", target_is_directory=True)
    (photos / "train/owl/here").symlink_to(".", target_is_directory=True)
    data = opened()
    assert np.bincount(data.labeled.truth).tolist() == [6, 4, 4, 3] and data.classes[2] == "elk"
    assert data.notes[-1] == "left out: links back into a folder above (2), links that lead nowhere (2)"


def test_two_folders_that_lead_to_each_other(tmp_path: Path) -> None:
    fill(tmp_path, **{"a": 1, "b": 1})
    (tmp_path / "a/to_b").symlink_to(tmp_path / "b", target_is_directory=True)
    (tmp_path / "b/to_a").symlink_to(tmp_path / "a", target_is_directory=True)
    found = {"": [], "a": ["a/0.png", "a/to_b/0.png"], "b": ["b/0.png", "b/to_a/0.png"]}
    assert list_images(str(tmp_path)).images == found


def test_names_that_are_no_text(opened: Open, photos: Path) -> None:
    """Neither ids nor classes nor messages stumble over them."""
    folder = photos / "train" / os.fsdecode(b"caf\xe9")
    odd = put(folder / "x.png").rename(folder / os.fsdecode(b"\xff \n'.png"))
    put(photos / "test/cafe\u0301 au lait/<b>.png")
    data = opened(labels_per_class=1)
    assert "caf\\xe9" in data.classes and len(fingerprint(data)) == 32
    place = next(i for i, name in enumerate(data.labeled.ids) if "caf" in name)
    assert data.labeled.read(np.array([place]))[0].shape == (12, 10, 3)
    odd.write_bytes(b"")
    with pytest.raises(DataError, match=re.escape(r"caf\xe9/\xff \n'.png`")) as caught:
        data.labeled.read(np.array([place]))
    str(caught.value).encode()  # what a terminal gets
    said = refused(opened, test="test")
    assert "`test` has `café au lait`" in said and "`caf\\xe9`" in said
    said.encode()


def test_accents_may_be_written_either_way(opened: Open, photos: Path) -> None:
    fill(photos, **{"train/Åse": 2, "test/A\u030ase": 1})
    data = opened(test="test")
    assert data.test is not None and data.classes[data.test.truth[0]] == "Åse"
    fill(photos, **{"train/A\u030ase": 1})
    assert "`train` has several folders `Åse`, whose accents" in refused(opened)


def test_letters_of_either_case_are_two_classes(opened: Open, photos: Path) -> None:
    fill(photos, **{"train/Cat": 2})
    data = opened()
    assert data.classes == ("Cat", "cat", "dog", "owl")
    assert "the classes `Cat`, `cat` differ in upper and lower case alone" in data.notes


def test_numbered_classes_are_in_the_order_of_their_numbers(tmp_path: Path, opened: Open) -> None:
    root = fill(tmp_path / "digits", **{f"train/{k}": 1 for k in range(12)})
    assert opened(root=root).classes == tuple(map(str, range(12)))


# Notes ------------------------------------------------------------------------------------------------------------


def test_notes_say_where_images_come_from(opened: Open, photos: Path) -> None:
    put(photos / "train/loose.png")
    data = opened(labels_per_class=1, validation=3, unlabeled="extra", test="test")
    assert data.notes == (
        "labeled: 3 images, 1 of each class, drawn by seed from the 12 of `train`",
        "unlabeled: 6 images from `train`, their classes hidden from training; 7 images from `extra`, 2 of them of a class "
        "that is known, to metrics alone",
        "validation: 3 images, 1 of each class, set aside from `train` by seed: their labels choose settings and steps, "
        "and train nothing",
        "test: 4 images, none of `cat`, from `test`",
        "left out: images in no class's folder (1)",
    )
    assert opened(validation="val").notes[:3] == (
        "labeled: 12 images, 3 to 5 of a class, from `train`",
        "unlabeled: no images, as the recipe gives neither `unlabeled` nor `labels_per_class`",
        "validation: 3 images, none of `owl`, from `val`",
    )


# What will not do -------------------------------------------------------------------------------------------------


def test_a_root_that_is_not_there(opened: Open, photos: Path) -> None:
    with pytest.raises(MissingData) as caught:
        opened(root=photos.with_name("phots"), unlabeled="extra")
    said = str(caught.value)
    assert f"there is no folder `{photos.with_name('phots')}`" in said and said.endswith("Did you mean `photos`?")
    assert "phots/train/CLASS/FILE (labeled), phots/extra/.../FILE (unlabeled)" in said
    for name in ("no/such/place", "x" * 300, "a\0b"):
        with pytest.raises(MissingData):
            opened(root=photos / name)


def test_a_root_that_is_a_file(opened: Open, photos: Path) -> None:
    (photos / "photos.zip").touch()
    assert "is a file; unpack it, and name the folder" in refused(opened, root=photos / "photos.zip")


@pytest.mark.parametrize("key", ["labeled", "unlabeled", "validation", "test"])
def test_a_folder_that_is_not_there(opened: Open, photos: Path, key: str) -> None:
    said = refused(opened, **{key: "tarin"})
    assert said.startswith(f"`{key}` names `tarin`, but there is no such folder in `{photos}`; ")
    assert said.endswith("its folders are `extra`, `test`, `train`, `val`. Did you mean `train`?")
    assert "`train/cat/0.png` is a file" in refused(opened, **{key: "train/cat/0.png"}).replace(f"{photos}/", "")
    assert "is no such folder" in refused(opened, **{key: "a\0b"})
    assert f"there is no such folder in `{photos}/train`" in refused(opened, **{key: "train/dot"})


def test_a_class_without_images(opened: Open, photos: Path) -> None:
    (photos / "train/elk").mkdir()
    (photos / "train/yak/deep").mkdir(parents=True)
    (photos / "train/yak/deep/notes.txt").touch()
    assert "there is no image in `train/elk`, `train/yak`." in refused(opened)
    (photos / "test/elk").mkdir()
    (photos / "test/gnu").mkdir()
    assert "`train/elk`" in refused(opened, test="test")
    shutil.rmtree(photos / "train/elk")
    shutil.rmtree(photos / "train/yak")
    assert len(ids(opened(test="test").test)) == 4  # an empty folder asks for nothing


def test_images_without_folders_of_classes(opened: Open, photos: Path) -> None:
    said = refused(opened, labeled="extra/shots")
    assert "`extra/shots` has 4 images but no folders" in said and "`extra/shots/CLASS/0.png`" in said
    said = refused(opened, test="extra/shots")
    assert "4 images of `extra/shots` (e.g. `0.png`) in no class's folder" in said and "can be `unlabeled`" in said


def test_one_class_is_none(opened: Open, photos: Path) -> None:
    assert "`extra/a` has one class, `b`; a classifier needs two" in refused(opened, labeled="extra/a")
    (photos / "zip").mkdir()
    shutil.move(photos / "train", photos / "zip/train")
    said = refused(opened, labeled="zip")
    assert said.endswith("Did you mean `zip/train`, which has `cat`, `dog`, `owl`?")


def test_no_image_at_all(opened: Open, photos: Path) -> None:
    for name in ("a.npy", "b.npy"):
        (photos / "arrays").mkdir(exist_ok=True)
        (photos / "arrays" / name).touch()
    assert "`labeled`: there is no image in `arrays`, only .npy (2)" in refused(opened, labeled="arrays")
    assert "`unlabeled`: there is no image in `arrays`" in refused(opened, unlabeled="arrays")


@pytest.mark.parametrize("key", ["validation", "test"])
def test_a_class_that_training_does_not_know(opened: Open, photos: Path, key: str) -> None:
    fill(photos, **{f"{key}ing/dgo": 1, f"{key}ing/cat": 1})
    said = refused(opened, **{key: f"{key}ing"})
    assert (
        f"`{key}ing` has `dgo`, which `train` has not; its classes are `cat`, `dog`, `owl`. Did you mean `dog`?" in said
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("labeled", "test"), ("labeled", "validation"), ("unlabeled", "test"), ("unlabeled", "validation")],
)
def test_a_folder_that_is_to_train_and_to_measure(opened: Open, one: str, other: str) -> None:
    said = refused(opened, **{one: "train", other: "train/."})
    assert f"`{one}` and `{other}` name the same folder, `train`" in said or "`labeled` and" in said


def test_more_labels_than_a_class_has(opened: Open) -> None:
    assert refused(opened, labels_per_class=4) == (
        "labels_per_class = 4, but class `owl` has 3 images in `train`. Ask for fewer labels"
    )
    assert refused(opened, labels_per_class=4, validation=3) == (
        "labels_per_class = 4, but class `owl` has 3 images in `train`, of which validation = 3 takes 1; 1 more class has "
        "too few. Ask for fewer labels or fewer for validation"
    )
    assert len(opened(labels_per_class=3).labeled) == 9


def test_more_validation_images_than_there_are(opened: Open) -> None:
    assert "validation = 12 takes all of the 12 images in `train`" in refused(opened, validation=12)
    assert "class `dog` has 4 images in `train`, of which validation = 11 takes 4; 1 more" in refused(
        opened, validation=11
    )


def test_a_folder_that_may_not_be_looked_into(opened: Open, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def closed(path: str) -> object:
        if path.endswith("dog"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(listing.os, "scandir", closed)
    assert f"the folder `{photos}/train/dog` cannot be looked into: Permission denied" in refused(opened)


# In a recipe ------------------------------------------------------------------------------------------------------

RECIPE = """
steps = 1
[data]
use = "image_folder"
{data}
[model]
name = "test_resnet"
[optimizer]
rate = 0.1
[views.labeled]
stream = "labeled"
[[loss]]
use = "cross_entropy"
on = "labeled"
"""


def test_the_root_lies_at_the_recipe(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photos.with_name("recipe.toml")
    monkeypatch.setenv("HOME", str(photos.parent))
    for root in ("photos", "./photos", "~/photos", str(photos)):
        path.write_text(RECIPE.format(data=f'root = "{root}"\nvalidation = 0.25'))
        table = load(path).table["data"]
        assert Path(table["root"]) == photos and table["validation"] == 0.25


@pytest.mark.parametrize(
    "said", ["", 'root = "x"\nvalidation = 1.0', 'root = "x"\nvalidation = -1', 'root = "x"\nvalidation = true',
             'root = "x"\nlabeled = ""', 'root = "x"\nlabels_per_class = -1', 'root = "x"\nlabelled = "train"'],
)  # fmt: skip
def test_settings_that_will_not_do(tmp_path: Path, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(data=said))
    with pytest.raises(Exception, match=r"1 problem\n") as caught:
        load(path)
    assert "[data] image_folder" in str(caught.value)


def test_a_stated_number_of_classes(opened: Open, tmp_path: Path) -> None:
    assert len(opened(classes=3).classes) == 3
    assert refused(opened, classes=4) == "classes = 4, but `train` has 3 folders"
    with pytest.raises(MissingData) as caught:
        opened(root=tmp_path / "nowhere", classes=1000)
    assert caught.value.classes == 1000  # so that `sslkit check` composes for as many


# Only to measure on -----------------------------------------------------------------------------------------------


def test_test_images_alone_have_classes_and_train_nothing(opened: Open, photos: Path) -> None:
    root = photos.parent / "only"
    fill(root, **{"test/cat": 2, "test/owl": 0, "test/dog": 3})
    data = opened(root=root, test="test")
    assert (data.classes, sizes(data)) == (("cat", "dog", "owl"), {"labeled": 0, "test": 5})
    assert data.notes[0].startswith(f"labeled: none. `labeled` names `train`, but there is no such folder in `{root}`")
    assert data.notes[1:] == ("test: 5 images, none of `owl`, from `test`",)
    assert sizes(opened(root=root / "test", test=".")) == {"labeled": 0, "test": 5}
    assert sizes(opened(root=root, test="test", unlabeled="extra", labels_per_class=3, validation=4)) == sizes(data)
    assert "name the same folder" in refused(opened, root=root, labeled="test", test="test")
    assert "classes = 4, but `test` has 3 folders" in refused(opened, root=root, test="test", classes=4)
    assert "there is no such folder" in refused(opened, labeled="trian", test="test", unlabeled="extra")


def test_a_list_is_said_to_be_one(opened: Open, tmp_path: Path) -> None:
    chosen = [name for name in ids(opened().labeled) if name.endswith("/0.png")]
    (tmp_path / "list.txt").write_text("\n".join(chosen))
    note = opened(labels_list=tmp_path / "list.txt").notes[0]
    assert ", listed in labels_list, of the " in note and "seed" not in note


def test_a_fraction_that_leaves_too_few_says_so(opened: Open) -> None:
    message = refused(opened, labels_fraction=1.0, validation=0.5)
    assert "labels_fraction = 1 takes " in message and message.endswith("Ask for fewer labels or fewer for validation")
