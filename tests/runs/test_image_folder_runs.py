"""Whole runs on folders of images: sizes that differ, grey and colour, broken files, kills, moves."""

import os
import re
import signal
import sys
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import Job, Trial
from small import BASE

import sslkit
import sslkit.opening
from sslkit.errors import DataError, MissingData, RunError
from sslkit.folder import Run
from sslkit.recipe import load

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from photos import fill, picture, put

DATA = """
[data]
use = "image_folder"
root = "photos"
labels_per_class = 3
unlabeled = "extra"
validation = 3
test = "test"
"""
RESIZED = '[[noise]]\nuse = "flip_crop"\ncrop = "resized"\non = "unlabeled"\n'


def write(folder: Path, text: str = RESIZED, data: str = DATA) -> Path:
    """A recipe on `photos` beside it: BASE at 16 pixels. Three classes of 9 to 40 pixels on a side, some grey."""
    root = fill(folder / "photos", **{"train/cat": 6, "train/dog": 5, "train/owl": 7, "test/cat": 3, "test/owl": 4})
    for i in range(12):
        put(root / f"extra/{i % 2}/{i}.png", picture(i, 9 + 2 * i, 30 - 2 * i, channels=1 if i % 3 == 0 else 3))
    put(root / "train/cat/wide.jpg", picture(0, 9, 40))
    base = re.sub(r"\[data\].*?\n\n", "", BASE, flags=re.DOTALL).replace("size = 8", "size = 16")
    (folder / "base.toml").write_text(base + data)
    (folder / "own.toml").write_text(f'extends = "base.toml"\n{text}')
    return folder / "own.toml"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A recipe that several runs are made of, so that they are compared with one and the same."""
    return write(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def trial(shared, tmp_path):
    """A run of it, to be stopped and compared with one that never was."""
    return Trial(Job(shared), shared.parent / "reference", tmp_path / "run")


def differing(trial):
    """What differs from the run that never was stopped, but for the number of workers that its recipe says."""
    found = harness.differences(trial.expected, trial.folder)
    return [line for line in found if not re.match(r"recipe\.toml differs|.*/(recipe|hash): .* became", line)]


def test_views_of_images_of_any_size_whoever_makes_them(tmp_path, out):
    """Without a noise that resizes, by the view's own resizing."""
    path = write(tmp_path, text="")
    one = sslkit.run(path, out=out, device="cpu", overrides={"workers": 0})
    two = sslkit.run(path, out=tmp_path / "two", device="cpu", overrides={"workers": 2})
    assert len(one.labels(1).label) == 9 + 7 + 12
    assert one.labels(1).probs.equal(two.labels(1).probs)
    model = "models/generation-1/model.safetensors"
    assert (one.folder / model).read_bytes() == (two.folder / model).read_bytes()


@pytest.mark.parametrize(("point", "at", "workers"), [("step", 5, 0), ("step", 6, 1), ("label", 1, 0)])
def test_a_killed_run_ends_in_the_same_bits(trial, point, at, workers):
    trial.job = Job(trial.job.recipe, (("workers", workers),))
    assert trial.kill_at(point, at) == "killed"
    trial.go_on()
    assert differing(trial) == []


@pytest.mark.parametrize(
    ("name", "split", "workers"),
    [("train/owl/3.png", "", 0), ("extra/1/5.png", "unlabeled", 1), ("test/cat/2.png", "test", 0)],
)
def test_a_broken_image_stops_the_run_until_it_is_mended(trial, refused, name, split, workers):
    """Whichever split it is of, in a worker or not: exit code 2, its name, and once it is whole the very same run."""
    path, out = trial.job.recipe, trial.folder
    file = path.parent / "photos" / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    try:
        said = " ".join(refused("run", path, "--out", out, "--device", "cpu", "--set", f"workers={workers}").split())
    finally:
        file.write_bytes(whole)
    assert (
        f"the image `{file}` ({split}" in said and "cannot be read: " in said and f"sslkit run --resume {out}" in said
    )
    assert Run(out).summary["status"] == "failed"
    trial.go_on()
    # What was written down when it began is the size of the broken file.
    assert [line for line in differing(trial) if "size of " not in line] == []


def test_a_run_goes_on_with_its_own_images_only(tmp_path, out):
    path = write(tmp_path)
    photos = tmp_path / "photos"
    stop = harness.watched("step", 5, action=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with stop, pytest.raises(sslkit.SslkitError):
        sslkit.run(path, out=out, device="cpu")
    (photos / "extra/0/0.png").rename(photos / "0.png")
    with pytest.raises(RunError, match=r"the data of .* has changed"):
        sslkit.run(resume=out, device="cpu")
    moved = photos.rename(tmp_path / "photo")
    with pytest.raises(MissingData, match=r"there is no folder .* Did you mean `photo`\?"):
        sslkit.run(resume=out, device="cpu")
    moved.rename(photos)
    (photos / "0.png").rename(photos / "extra/0/0.png")
    assert sslkit.run(resume=out, device="cpu").summary["status"] == "finished"


def test_check_tries_every_loss_on_them(shared, sslkit_cli):
    done = sslkit_cli("check", shared)
    said = " ".join(done.output.split())
    assert done.exit_code == 0, done.output
    assert "9 labeled" in said and "12 images from `extra`" in said and "sound: every loss is non-zero" in said


def test_check_composes_without_the_folder(tmp_path, sslkit_cli, refused):
    path = write(tmp_path)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    done = sslkit_cli("check", path)
    said = " ".join(done.output.split())
    assert done.exit_code == 0 and "the data is not there: [data] image_folder: there is no folder" in said
    assert "there is no folder" in refused("run", path, "--out", tmp_path / "out")


def test_check_does_not_forgive_a_folder_that_will_not_do(shared, refused):
    said = " ".join(refused("check", shared, "--set", "data.unlabeled=extr").split())
    assert "`unlabeled` names `extr`" in said and "Did you mean `extra`?" in said


def test_a_recipe_that_wants_unlabeled_images_where_there_are_none(tmp_path, refused):
    data = DATA.replace('unlabeled = "extra"\n', "").replace("labels_per_class = 3\n", "")
    said = " ".join(refused("check", write(tmp_path, data=data)).split())
    assert "the data has no unlabeled images" in said
    assert "no images, as the recipe gives neither `unlabeled` nor `labels_per_class`" in said


def test_a_model_is_measured_on_a_folder_of_test_images_alone_which_no_run_trains_on(shared, tmp_path, monkeypatch):
    run = sslkit.run(shared, out=tmp_path / "run", device="cpu")
    fill(tmp_path / "only", **{"test/cat": 3, "test/dog": 0, "test/owl": 4})
    monkeypatch.chdir(tmp_path)
    only = {"data.root": "only", "data.test": "test"}
    made = sslkit.evaluate(run, data="image_folder", overrides=only, device="cpu")
    assert {"test_accuracy", "test_ece"} <= made.metrics.keys() and "validation_accuracy" not in made.metrics
    text = shared.parent.joinpath("base.toml").read_text()
    text = re.sub(r"\[data\].*?\n\n", "", text + "\n\n", flags=re.DOTALL)
    (tmp_path / "lone.toml").write_text(text + '\n[data]\nuse = "image_folder"\nroot = "only"\ntest = "test"\n')
    with pytest.raises(
        DataError, match=r"no labeled images, and so nothing to train on\n    labeled: none\. `labeled` names `train`"
    ):
        sslkit.run(tmp_path / "lone.toml", out=tmp_path / "no", device="cpu")
    assert not (tmp_path / "no").exists()


def test_files_that_were_changed_meanwhile_are_told(trial, shared):
    """On resume, by the sizes of a split's files; a run that goes on reads none that has other bytes than it had."""
    assert trial.kill_at("step", 5) == "killed"
    path = shared.parent / "photos/extra/0/2.png"
    before = path.read_bytes()
    try:
        put(path, picture(7, 40, 40))
        warned = trial.finish(but=list(trial.expected))
        assert [line.partition(" was ")[0] for line in warned] == ["size of unlabeled image files"]
    finally:
        path.write_bytes(before)


def test_a_file_that_changes_while_a_run_goes_on(tmp_path):
    data = sslkit.opening.open_data(load(write(tmp_path)))
    sizes = data.labeled.sizes()
    assert sizes.tolist() == [(tmp_path / "photos" / name).stat().st_size for name in data.labeled.ids]
    put(tmp_path / "photos" / data.labeled.ids[1], picture(7, 40, 40))
    data.labeled.read(np.array([0, 2]))
    with pytest.raises(DataError, match=r"labeled split. cannot be read: it was changed after the run began: it had"):
        data.labeled.read(np.array([1]))
