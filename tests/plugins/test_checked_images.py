"""What `sslkit check` says of each split's images: counts, classes, sizes, formats, copies, and what cannot be read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import fill, picture, put
from rich.cells import cell_len

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Look, cli
from sslkit.check.images import of_images, problems_of, split_rows, title_pieces, warnings_of
from sslkit.images.scan import scan

RECIPE = """
steps = 2
labels = "none"
batch = { labeled = 2, unlabeled = 0 }
[data]
use = "image_folder"
root = "photos"
unlabeled = "extra"
test = "test"
include_labeled = false
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


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven labeled images, of which one is in the test folder as well; a pool, and a recipe beside them."""
    monkeypatch.chdir(tmp_path)
    root = fill(tmp_path / "photos", **{"train/cat": 4, "train/owl": 2, "extra": 4, "test/cat": 2})
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        put(path, picture(number, 12 + number, 10))
    put(root / "train/cat/copy.bmp", picture(50, 20, 30))
    put(root / "test/cat/same.png", picture(50, 20, 30))
    (tmp_path / "r.toml").write_text(RECIPE)
    return root


def check(*args: str, width: int = 200) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.cli, ["check", "r.toml", "--device", "cpu", *args], env={"COLUMNS": str(width)})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_every_split_has_its_row(photos: Path) -> None:
    code, text, _ = check()
    assert code == 0
    for row in (
        "├── data           every image can be read · 1 image of labeled in test as well\n",
        "│   ├── labeled    7 images · 2 classes, smallest owl (2), largest cat (5) · 10 x 18 to 30 x 20 px, median 10 x 20 · png 6, bmp 1\n",
        "│   ├── unlabeled  4 images · classes not known · 10 x 12 to 10 x 15 px, median 10 x 14 · png\n",
        "│   └── test       3 images · 1 class, none of owl, largest cat (3) · 10 x 16 to 30 x 20 px, median 10 x 17 · png\n",
    ):
        assert row in text
    assert "warning: 1 image of labeled in test as well (`train/cat/copy.bmp`): what is measured there" in text
    assert '`leave_out = ["duplicates"]`' in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_rows_fit_and_what_they_go_on_with_stands_in_its_column(photos: Path, width: int) -> None:
    lines = check(width=width)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if "── data" in line)
    end = next(number for number, line in enumerate(lines) if "── generation 0" in line)
    assert all(cell_len(line) <= width for line in lines)
    assert [line for line in lines[start + 1 : end] if not re.match(r"│ {3}([├└]── \w+ +\d|│? {10,}\S)", line)] == []
    counts = [re.match(r"(.*?)\d+ image", line) for line in lines[start + 2 : end]]
    assert len({len(one[1]) for one in counts if one}) == 1


def test_json_says_the_same(photos: Path) -> None:
    data = json.loads(check("--json")[1])["data"]
    assert data["looked_at"] and data["images"] == {"labeled": 7, "unlabeled": 4, "test": 3}
    assert data["shared"] == [{"split": "labeled", "other": "test", "images": 1, "named": ["train/cat/copy.bmp"]}]
    assert data["splits"]["labeled"] == {
        "images": 7, "classes": 2, "smallest_class": {"name": "owl", "images": 2},
        "largest_class": {"name": "cat", "images": 5}, "of_other_classes": 0, "of_unknown_class": 0,
        "sizes": {"smallest": [10, 18], "median": [10, 20], "largest": [30, 20]}, "formats": {"png": 6, "bmp": 1},
        "duplicates": 0, "contradictory": [], "unreadable": 0, "unreadable_named": [], "problem": "",
    }  # fmt: skip
    assert (
        data["splits"]["unlabeled"]["smallest_class"] is None and data["splits"]["unlabeled"]["of_unknown_class"] == 4
    )


def test_it_can_do_without(photos: Path) -> None:
    code, text, _ = check("--no-scan")
    assert code == 0 and "├── data           images were not looked at\n" in text
    assert (
        "│   ├── labeled    7 images · 2 classes, smallest owl (2), largest cat (5)\n" in text and "as well" not in text
    )
    data = json.loads(check("--no-scan", "--json")[1])["data"]
    assert not data["looked_at"] and data["splits"]["labeled"]["unreadable"] is None
    assert not (photos / ".sslkit").exists()


def test_all_that_cannot_be_read_is_said_at_once(photos: Path) -> None:
    """And not the first one alone, at which trying the losses would stop."""
    (photos / "train/cat/0.png").write_bytes(b"<html>")
    (photos / "extra" / "a\nb\x1b[2J.png").write_bytes(b"")
    code, text, said = check()
    assert code == 2 and "2 images cannot be read" in text and "✗ 1 cannot be read" in text and "sound" not in text
    assert (
        "error: r: 2 problems" in said
        and "1 image of labeled cannot be read: `train/cat/0.png`. The first: it is" in said
    )
    assert "`extra/a\\nb\\x1b[2J.png`" in said and "\x1b" not in said + text
    assert '`leave_out = ["unreadable"]`' in said
    code, text, _ = check("--set", 'data.leave_out=["unreadable", "duplicates"]')
    assert code == 0 and "every image can be read · no copy of test images in other splits" in text
    assert "1 image of labeled that validation or test has as well, 1 image of unlabeled that cannot be read" in text


# Any plugin's images -----------------------------------------------------------------------------------------------------


def images(values: list[int], truth: list[int], prefix: str = "i") -> Images:
    """An image of one colour for each value; a negative one cannot be read."""

    def read(rows: np.ndarray) -> list[np.ndarray]:
        if any(values[row] < 0 for row in rows):
            raise OSError("no such thing")
        return [np.full((2, 3, 3), values[row], np.uint8) for row in rows]

    return Images([f"{prefix}{row}" for row in range(len(values))], read, np.array(truth))


def found_of(**splits: Images) -> dict:
    data = Data(("a", "b"), **splits)
    return of_images(data, {name: scan(split) for name, split in data.splits.items()})


def test_images_that_are_only_read_are_looked_at_as_arrays() -> None:
    one, same, broken = scan(images([1, 1, -1], [0, 0, 0]))
    assert one == same and one[1:] == (2, 3, "array", "")
    assert broken == Look(b"", 0, 0, "unknown", "no such thing")
    assert one.digest != scan(images([2], [0]))[0].digest


def test_copies_and_labels_that_differ() -> None:
    found = found_of(
        labeled=images([1, 1, 2, 2, 3], [0, 0, 0, 1, 1]), unlabeled=images([1, 9, 3], [UNKNOWN, OUTSIDE, 0]),
        validation=images([3], [1]), test=images([9, 9, 8], [0, 1, 1]),
    )  # fmt: skip
    assert [(one["split"], one["other"], one["images"]) for one in found["shared"]] == [
        ("labeled", "validation", 1), ("unlabeled", "validation", 1), ("unlabeled", "test", 1),
    ]  # fmt: skip
    assert found["splits"]["labeled"]["duplicates"] == 2 and found["splits"]["labeled"]["contradictory"] == ["i2", "i3"]
    assert warnings_of(found)[-1] == "the same image has labels that differ: `i2`, `i3`"
    rows = dict(split_rows(found))
    assert " · ".join(filter(None, rows["unlabeled"])) == (
        "3 images · 1 class, none of b, largest a (1) · 1 of other classes · 1 of unknown class · 3 x 2 px"
    )
    assert rows["labeled"][-2] == "2 the same as another" and rows["validation"][0] == "1 image"


def test_validation_and_test_may_be_the_same_images() -> None:
    found = found_of(labeled=images([1], [0]), validation=images([2, 3], [0, 1]), test=images([2, 3], [0, 1]))
    assert found["shared"] == [] and title_pieces(found)[1] == "no copy of validation or test images in other splits"


def test_many_names_are_counted() -> None:
    found = found_of(labeled=images([-1] * 20, [0] * 20))
    ((problem),) = problems_of(found)
    assert problem["problem"].startswith("20 images of labeled cannot be read: `i0`, `i1`")
    assert "and 12 more. The first: no such thing" in problem["problem"]
