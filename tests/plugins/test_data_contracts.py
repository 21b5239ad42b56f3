"""Every data plugin keeps one contract, on a small data set that `made.MAKERS` makes for it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import EACH, MAKERS, Made

from sslkit import Data, Images, Progress
from sslkit.ahead import load_steps
from sslkit.environment import fingerprint
from sslkit.errors import DataError, MissingData
from sslkit.loader import Sampler, StreamLoader, ViewMaker
from sslkit.recipe.documented import field_docs
from sslkit.types import ViewSpec
from sslkit_plugins.data.dividing.splits import Splits

sys.path.append(str(Path(__file__).parents[1] / "resume"))
import harness
from harness import Job, Trial

POINTS = {point.name: point for point in entry_points(group="sslkit.data") if point.value.startswith("sslkit_plugins.")}
PLUGINS = sorted(POINTS.keys() & MAKERS.keys())
DIVIDING = [name for name in PLUGINS if name != "digits"]
"Those whose splits `Splits` makes."
SPOILED = [name for name in PLUGINS if name != "digits"]
"Those that read files."


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """One data set of each plugin, which no test may change."""
    found: dict[str, Made] = {}

    def made(name: str) -> Made:
        if name not in found:
            found[name] = MAKERS[name](tmp_path_factory.mktemp(name))
        return found[name]

    return made


def opened(name: str, made: Made, seed: int = 0, **said: Any) -> Data:
    """The data as a run opens it."""
    return POINTS[name].load()(**made.fields | said).open_data(Progress(seed, plugin=name))  # type: ignore[no-any-return]


def counts(images: Images | None, classes: int) -> list[int]:
    """Images of each class, whose class is known."""
    assert images is not None
    return np.bincount(images.truth[images.truth >= 0], minlength=classes).tolist()


def test_every_installed_data_plugin_is_held_to_the_contract() -> None:
    assert POINTS.keys() == MAKERS.keys(), "tests/plugins/made.py: MAKERS has a data set for each `sslkit.data` plugin"
    for name in DIVIDING:
        assert issubclass(POINTS[name].load(), Splits) and field_docs(POINTS[name].load())


# Ids and pixels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLUGINS)
def test_ids_are_stable(name: str, sets: Callable[[str], Made], tmp_path: Path) -> None:
    made = sets(name)
    data, again = opened(name, made), opened(name, made)
    assert fingerprint(data) == fingerprint(again) and data.notes == again.notes
    for split, images in data.splits.items():
        assert len(set(images.ids)) == len(images.ids) == len(images.truth) > 0
        np.testing.assert_array_equal(images.truth, again.splits[split].truth)
    if "root" in made.fields:
        moved = shutil.copytree(made.fields["root"], tmp_path / "moved")
        elsewhere = opened(name, made, root=moved)
        assert fingerprint(elsewhere) == fingerprint(data)
        assert not any(str(made.fields["root"]) in one for one in data.labeled.ids)


@pytest.mark.parametrize("name", PLUGINS)
def test_an_id_means_the_same_image_whatever_the_splits(name: str, sets: Callable[[str], Made]) -> None:
    made = sets(name)
    seen: dict[str, tuple[int, bytes]] = {}
    for seed in range(2):
        for images in opened(name, made, seed, labels_per_class=2).splits.values():
            rows = np.arange(min(40, len(images)))
            for row, image in zip(rows, images.read(rows), strict=True):
                found = (int(images.truth[row]), image.tobytes())
                assert seen.setdefault(images.ids[row], found) == found


@pytest.mark.parametrize("name", PLUGINS)
def test_random_access_equals_sequential(name: str, sets: Callable[[str], Made]) -> None:
    for images in opened(name, sets(name)).splits.values():
        rows = np.arange(min(50, len(images)))
        whole = images.read(rows)
        assert all(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in whole)
        order = np.random.default_rng(0).permutation(rows)
        for row, image in zip(order, images.read(order), strict=True):
            np.testing.assert_array_equal(image, whole[row])
        (alone,) = images.read(rows[-1:])
        np.testing.assert_array_equal(alone, whole[-1])
        np.testing.assert_array_equal(*images.read(np.array([0, 0])))


@pytest.mark.parametrize("name", PLUGINS)
def test_a_read_image_is_the_readers_own(name: str, sets: Callable[[str], Made]) -> None:
    images = opened(name, sets(name)).labeled
    (before,) = images.read(np.array([0]))
    kept = before.copy()
    before[:] = 255 - before
    np.testing.assert_array_equal(images.read(np.array([0]))[0], kept)


@pytest.mark.parametrize("name", DIVIDING)
@pytest.mark.parametrize("channels", [1, 4])
def test_channels(name: str, channels: int, sets: Callable[[str], Made]) -> None:
    data = opened(name, sets(name), channels=channels)
    assert data.channels == channels
    (image,) = data.labeled.read(np.array([0]))
    assert image.dtype == np.uint8 and image.shape[2] == channels


# Workers, and runs that are stopped -----------------------------------------------------------------------------------


def steps(images: Images, workers: int, stop: int = 5) -> list[tuple[list[int], bytes]]:
    """What a stream of the images holds at each step."""
    view = ViewMaker(ViewSpec("weak", "labeled", 8, 3), 0, 0)
    rows = np.arange(len(images))
    stream = StreamLoader("labeled", [images], np.zeros_like(rows), rows, 8, Sampler(7, np.ones(len(rows))), [view])
    made = load_steps([stream], 0, stop, workers)
    return [(step["labeled"]["index"].tolist(), step["labeled"]["views"]["weak"].numpy().tobytes()) for step in made]


@pytest.mark.parametrize("name", PLUGINS)
def test_no_workers_and_two_are_equal(name: str, sets: Callable[[str], Made]) -> None:
    data = opened(name, sets(name), labels_per_class=2)
    assert data.unlabeled is not None
    assert steps(data.unlabeled, 0) == steps(data.unlabeled, 2)


RECIPE = """
labels = "step"
steps = 4
batch = {{ labeled = 4, unlabeled = 6 }}
save_every = 2
evaluate_every = 4
log_every = 1
workers = 0
baseline = false
metric = []
tracker = [{{ use = "jsonl" }}]

[data]
use = "{name}"
{fields}

[model]
use = "{tiny}:Tiny"
size = 8

[optimizer]
rate = 0.05

[views.labeled]
stream = "labeled"
[views.unlabeled]
stream = "unlabeled"

[[labeler]]
use = "current_student"
[[labeler]]
use = "soft_labels"
on = "unlabeled"

[[loss]]
use = "cross_entropy"
name = "supervised"
on = "labeled"
[[loss]]
use = "cross_entropy"
on = "unlabeled"
"""


def written(name: str, made: Made, folder: Path) -> Path:
    """A recipe of two labels a class on the data set."""
    fields = {**made.fields, "labels_per_class": 2}
    lines = [
        f"{key} = {str(value) if isinstance(value, int | float) else repr(str(value))}" for key, value in fields.items()
    ]
    path = folder / f"{name}.toml"
    path.write_text(
        RECIPE.format(name=name, tiny=Path(harness.__file__).with_name("stateful.py"), fields="\n".join(lines))
    )
    return path


@pytest.mark.parametrize("name", PLUGINS)
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_never_was(
    name: str, sets: Callable[[str], Made], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    trial = Trial(Job(written(name, sets(name), tmp_path)), tmp_path / "reference", tmp_path / "run")
    assert trial.kill_at("step", 3) == "killed"
    trial.finish()


# Broken samples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPOILED)
def test_a_broken_sample_is_reported(name: str, tmp_path: Path) -> None:
    made = MAKERS[name](tmp_path / "data")
    images = opened(name, made).labeled
    assert made.spoil is not None
    named = made.spoil()
    messages = []
    for workers in (0, 2):
        with pytest.raises(DataError) as caught:
            steps(images, workers, 20)
        messages.append(str(caught.value))
        assert (
            f"[data] {name}: the image " in messages[-1] and named in messages[-1] and "labeled split" in messages[-1]
        )
        assert "cannot be read: " in messages[-1]


@pytest.mark.parametrize("name", SPOILED)
def test_images_are_looked_at_and_sound_ones_stay(name: str, tmp_path: Path) -> None:
    made = MAKERS[name](tmp_path / "data")
    whole = opened(name, made, leave_out=["unreadable", "duplicates"])
    assert fingerprint(whole) == fingerprint(opened(name, made)) and not whole.left_out
    looks = whole.labeled.inspect(np.arange(len(whole.labeled)))  # type: ignore[misc]
    images = whole.labeled.read(np.arange(len(whole.labeled)))
    assert [(look.height, look.width) for look in looks] == [image.shape[:2] for image in images]
    assert len({look.digest for look in looks}) == len(looks) and not any(look.problem for look in looks)


@pytest.mark.parametrize("name", DIVIDING)
def test_a_root_of_any_name(name: str, sets: Callable[[str], Made], tmp_path: Path) -> None:
    no_text = b"" if name == "huggingface" else b"\xff"  # its library opens names in UTF-8 alone
    made, odd = sets(name), tmp_path / os.fsdecode(b"a\nb'<i>" + no_text)
    shutil.copytree(made.fields["root"], odd)
    images = opened(name, made, root=odd).labeled
    np.testing.assert_array_equal(images.read(np.array([3]))[0], opened(name, made).labeled.read(np.array([3]))[0])
    with pytest.raises(DataError) as caught:
        opened(name, made, root=odd / "none")
    assert str(caught.value).isprintable()


# Splits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLUGINS)
def test_the_seed_decides(name: str, sets: Callable[[str], Made]) -> None:
    one, same, other = (opened(name, sets(name), seed, labels_per_class=2) for seed in (1, 1, 2))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    assert set(one.labeled.ids) != set(other.labeled.ids)


@pytest.mark.parametrize("name", PLUGINS)
def test_labels_of_each_class(name: str, sets: Callable[[str], Made]) -> None:
    data, more = (opened(name, sets(name), labels_per_class=n) for n in (2, 3))
    classes = len(data.classes)
    assert counts(data.labeled, classes) == [2] * classes and counts(more.labeled, classes) == [3] * classes
    assert data.unlabeled is not None and set(data.labeled.ids) < set(data.unlabeled.ids)
    assert set(data.labeled.ids) < set(more.labeled.ids)
    assert data.test is not None and not set(data.test.ids) & (set(data.labeled.ids) | set(data.unlabeled.ids))


@pytest.mark.parametrize("name", PLUGINS)
def test_without_the_labeled_images(name: str, sets: Callable[[str], Made]) -> None:
    both, alone = (opened(name, sets(name), labels_per_class=2, include_labeled=kept) for kept in (True, False))
    assert both.unlabeled is not None and alone.unlabeled is not None
    assert set(both.unlabeled.ids) == set(alone.unlabeled.ids) | set(both.labeled.ids)
    assert not set(alone.unlabeled.ids) & set(alone.labeled.ids)


@pytest.mark.parametrize("name", DIVIDING)
def test_a_share_and_a_list_of_labels(name: str, sets: Callable[[str], Made], tmp_path: Path) -> None:
    made = sets(name)
    share = opened(name, made, labels_fraction=0.5)
    classes = len(share.classes)
    assert counts(share.labeled, classes) == [EACH // 2] * classes
    (tmp_path / "ids.txt").write_text("\n".join(reversed(share.labeled.ids)))
    said = opened(name, made, seed=5, labels_list=tmp_path / "ids.txt")
    assert said.labeled.ids == share.labeled.ids and said.unlabeled is not None
    (tmp_path / "ids.txt").write_text("no such image")
    with pytest.raises(
        DataError, match=rf"\[data\] {name}: labels_list names 1 image that cannot be labeled: `no such"
    ):
        opened(name, made, labels_list=tmp_path / "ids.txt")


@pytest.mark.parametrize("name", DIVIDING)
def test_validation_images_are_set_aside(name: str, sets: Callable[[str], Made]) -> None:
    data = opened(name, sets(name), validation=0.34, labels_per_class=2)
    classes = len(data.classes)
    assert max(counts(data.validation, classes)) - min(counts(data.validation, classes)) <= 1
    assert data.validation is not None and data.unlabeled is not None
    assert len(data.validation) == round(0.34 * EACH * classes)
    assert not set(data.validation.ids) & (set(data.labeled.ids) | set(data.unlabeled.ids))
    assert any("set aside" in note and note.startswith("validation") for note in data.notes)


@pytest.mark.parametrize("name", DIVIDING)
def test_long_tails(name: str, sets: Callable[[str], Made]) -> None:
    said = {"labels_per_class": 4, "gamma_l": 4.0, "gamma_u": 2.0, "include_labeled": False}
    data, balanced = (opened(name, sets(name), **fields) for fields in (said, {"labels_per_class": 4}))
    made = counts(data.labeled, len(data.classes))
    assert made == sorted(made, reverse=True) and made[0] == 4 and made[-1] == 1
    hidden = [one for one in (data.unlabeled.ids if data.unlabeled else ()) if one in set(balanced.unlabeled.ids)]  # type: ignore[union-attr]
    assert 0 < len(hidden) < len(balanced.unlabeled.ids)  # type: ignore[union-attr]
    assert any("of a class" in note for note in data.notes)


@pytest.mark.parametrize("name", DIVIDING)
def test_more_labels_than_there_are(name: str, sets: Callable[[str], Made]) -> None:
    with pytest.raises(
        DataError, match=rf"^\[data\] {name}: labels_per_class = 99, but class `.*` has {EACH} images in"
    ):
        opened(name, sets(name), labels_per_class=99)


@pytest.mark.parametrize("name", DIVIDING)
def test_a_root_that_is_not_there_is_missing_data(name: str, sets: Callable[[str], Made], tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=rf"^\[data\] {name}: "):
        opened(name, sets(name), root=tmp_path / "photoz")
