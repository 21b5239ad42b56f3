"""Folders are recognized by the names that they usually have; what cannot be trained on is refused with what is expected."""

import sys
import tempfile
from pathlib import Path

import pytest

from sslkit.errors import DataError, PluginError
from sslkit.starting import asking
from sslkit.starting.asking import recognized
from sslkit.starting.recognized import Recognized

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from made import MAKERS
from photos import as_nobody, fill, put

TWO = {"labeled/cat": 3, "labeled/dog": 3}


def settings(root):
    use, answer = recognized(root)
    assert use == "image_folder"
    said = dict(answer.settings)
    assert said.pop("root") == root
    return said


@pytest.mark.parametrize(
    "folders, expected",
    [
        (TWO | {"unlabeled": 4}, {"labeled": "labeled", "unlabeled": "unlabeled"}),
        (
            {"train/cat": 3, "train/dog": 3, "extra/a/b": 4, "val/cat": 1, "val/dog": 1, "test/cat": 1, "test/dog": 1},
            {"labeled": "train", "unlabeled": "extra", "validation": "val", "test": "test"},
        ),
        ({"Labelled/cat": 3, "Labelled/dog": 3, "UNLABELLED": 1}, {"labeled": "Labelled", "unlabeled": "UNLABELLED"}),
        (
            {"train-labeled/cat": 3, "train-labeled/dog": 3, "train unlabeled": 1, "Validation/cat": 1},
            {"labeled": "train-labeled", "unlabeled": "train unlabeled", "validation": "Validation"},
        ),
        ({"cat": 3, "dog": 3, "unlabeled": 4}, {"labeled": ".", "unlabeled": "unlabeled"}),
        ({"cat": 30, "dog": 25}, {"labeled": ".", "validation": 0.2}),
        ({"cat": 30, "dog": 5}, {"labeled": "."}),  # too few to set some aside
        ({"car": 3, "train": 3, "unlabeled": 2}, {"labeled": ".", "unlabeled": "unlabeled"}),  # a train is a class there
        (TWO | {"train/cat": 3, "train/dog": 3}, {"labeled": "labeled"}),  # the more telling name is taken
    ],
    ids=str,
)  # fmt: skip
def test_layouts(tmp_path, folders, expected):
    assert settings(fill(tmp_path, **folders)) == expected


def test_folders_that_are_not_used_are_said(tmp_path):
    root = fill(tmp_path, **TWO, **{"unlabeled": 2, "test": 2, "raw": 1, "validation/cat": 0})
    assert settings(root) == {"labeled": "labeled", "unlabeled": "unlabeled"}
    said = "\n".join(recognized(root)[1].found)
    assert "`test`: not used to measure, as 2 images in it lie in no folder of a class; `sslkit predict`" in said
    assert "`validation`: not used, as there is no image in it" in said
    assert "not used: `raw`" in said


@pytest.mark.parametrize(
    "folders, said",
    [
        ({"labeled/cat": 3}, "`labeled` has one class, `cat`; a classifier needs two"),
        ({"labeled": 3, "unlabeled": 2}, "`labeled` has 3 images and no folder for a class"),
        ({"": 3}, "it has 3 images and no folder for a class"),
        ({"unlabeled": 3}, "no image is labeled"),
        ({"photos/train/cat": 3, "photos/train/dog": 3}, "lie a folder deeper. Did you mean"),
        ({"cat": 3, "dog": 3, "test": 2}, "It lies among the folders of the classes"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_on(tmp_path, folders, said):
    with pytest.raises(DataError) as caught:
        recognized(fill(tmp_path, **folders))
    assert said in str(caught.value)
    assert "Expected are folders like `labeled/CLASS/FILE`" in str(caught.value)


def test_places_that_are_no_folder_of_images(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    (tmp_path / "photos.zip").write_bytes(b"PK")
    (tmp_path / "photos.toml").write_text("")
    for name, said in {
        "empty": "the folder is empty", "notes": "nothing in it that a data plugin knows", "photos.zip": "unpack it",
        "photos.toml": "`sslkit run photos.toml` runs a recipe", "note": "Did you mean `notes`?", "a\0b": "cannot be looked",
        "new\nline": "there is no folder `", "photos.zip/more": "is",
    }.items():  # fmt: skip
        with pytest.raises(DataError) as caught:
            recognized(tmp_path / name)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read():
    """Root may read everything, so a child that is nobody looks."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        root = fill(Path(place), **TWO)
        Path(place).chmod(0o755)
        (root / "labeled" / "cat").chmod(0)
        said = as_nobody(lambda: recognized(root))
        assert (
            said.startswith("DataError: ") and f"`{root}/labeled/cat` cannot be looked into: Permission denied" in said
        )


class Sure:
    answer = Recognized(certainty=0.9, settings={"root": Path("x")})

    @staticmethod
    def recognize(folder):
        if isinstance(Sure.answer, Exception):
            raise Sure.answer
        return Sure.answer


@pytest.fixture
def another(monkeypatch):
    """A second data plugin, which recognizes every folder."""
    own = asking.find
    monkeypatch.setattr(asking, "names", lambda section: ["another", "image_folder"])
    monkeypatch.setattr(
        asking, "find", lambda section, use, folder: Sure if use == "another" else own(section, use, folder)
    )
    return monkeypatch


def test_the_surest_plugin_is_taken_and_the_others_complaints_are_not_heard(tmp_path, another):
    root = fill(tmp_path, **TWO)
    assert recognized(root)[0] == "another"
    another.setattr(Sure, "answer", Recognized(certainty=0.3))
    assert recognized(root)[0] == "image_folder"
    put(tmp_path / "tars" / "cover.png")  # an image beside another format is no reason to refuse
    assert recognized(tmp_path / "tars")[0] == "another"


def test_a_plugin_that_raises_or_answers_nonsense_is_named(tmp_path, another):
    root = fill(tmp_path, **TWO)
    another.setattr(Sure, "answer", KeyError("x"))
    with pytest.raises(PluginError, match=r"\[data\] another: recognize: KeyError"):
        recognized(root)
    another.setattr(Sure, "answer", "yes")
    with pytest.raises(PluginError, match="recognize answered str"):
        recognized(root)


def test_certainty_is_a_share():
    with pytest.raises(ValueError, match="from 0 to 1"):
        Recognized(certainty=2)


@pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"digits", "arrays"}))
def test_every_format_that_is_known_by_its_files(tmp_path, kind):
    MAKERS[kind](tmp_path)
    put(tmp_path / "cover.png")  # what else lies there leads nobody astray
    use, answer = recognized(tmp_path)
    assert use == kind and "use" not in answer.settings
