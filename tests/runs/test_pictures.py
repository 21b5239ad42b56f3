"""What a run keeps of its images: what the student really saw, each noise alone, labels that changed; and nothing else moves."""

import errno
import json
import shutil

import harness
import numpy as np
import pytest
import torch
from small import BASE

import sslkit
import sslkit.picturing as picturing
from sslkit import engine, pictures
from sslkit.artifacts import committed
from sslkit.loader import ViewMaker
from sslkit.opening import open_data
from sslkit.pictures import EXACT, SIDE, GenerationPictures, LabeledPicture, encode, halved, load_pictures
from sslkit.pool_pictures import changed
from sslkit.recipe import load

MORE = """
generation = [{}, {}, {}]

[[noise]]
use = "cutout"
size = 3
on = ["labeled", "unlabeled"]
[[noise]]
name = "dim"
use = "plugins.py:Dim"
on = ["unlabeled"]
[[noise]]
use = "mixup"
on = ["labeled", "unlabeled"]
"""
PLUGINS = """
from dataclasses import dataclass
import torch
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Dim:
    '''Darkens by draws for the whole batch at once, and remembers how often it was asked.'''
    calls_: int = 0

    @hookimpl
    def perturb_batch(self, images, progress):
        self.calls_ += 1
        torch.rand(3)
        shares = torch.randperm(len(images), generator=progress.torch()) / len(images)
        return images * shares.view(-1, 1, 1, 1).to(images)

    def state_dict(self):
        return {"calls": self.calls_}

    def load_state_dict(self, state):
        self.calls_ = state["calls"]
"""


def images(listed):
    return np.stack([one.array() for one in listed])


def as_bytes(floats):
    return (floats * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@pytest.fixture
def path(recipe):
    return recipe(MORE, PLUGINS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with its pictures, and what its first steps were: before mixing, after it, and the streams."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "base.toml").write_text(BASE)
    (folder / "plugins.py").write_text(PLUGINS)
    (folder / "tiny.toml").write_text(f'extends = "base.toml"\n{MORE}')
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        original, losses = engine.train_step, engine.State.losses

        def spying(state, step):
            if state.step == 0:
                seen.append({"step": step, "before": {n: v.images.clone() for n, v in step.views.items()}})
            return original(state, step)

        def hooked(self, step, forward):
            if self.step == 0:
                seen[-1]["mixed"] = {name: view.images.clone() for name, view in step.views.items()}
            return losses(self, step, forward)

        patch.setattr(engine, "train_step", spying)
        patch.setattr(engine.State, "losses", hooked)
        run = sslkit.run(folder / "tiny.toml", overrides={"baseline": False}, out=folder / "run", device="cpu")
    return run, seen, load_pictures(run.folder)


# What the student saw -----------------------------------------------------------------------------------------------------


def test_rows_are_what_the_student_got_in_its_first_step(made):
    _, seen, kept = made
    assert [one.generation for one in kept] == [0, 1, 2] and not any(one.problem for one in kept)
    assert [list(one.streams) for one in kept] == [["labeled"], ["labeled", "unlabeled"], ["labeled", "unlabeled"]]
    for step, generation in zip(seen, kept, strict=True):
        for stream in generation.streams.values():
            (view,) = stream.views
            rows = len(stream.rows)
            assert rows == {"labeled": 6, "unlabeled": 8}[stream.name] and view.models == ["student"]
            np.testing.assert_array_equal(images(view.images), as_bytes(step["before"][view.name])[:rows])
            np.testing.assert_array_equal(images(view.mixed), as_bytes(step["mixed"][view.name])[:rows])
            assert not np.array_equal(images(view.mixed), images(view.images))


def test_beside_them_are_originals_ids_and_labels(made):
    run, seen, kept = made
    data = open_data(run.recipe())
    unlabeled = kept[2].streams["unlabeled"].rows
    batch = seen[2]["step"].unlabeled
    assert [row.id for row in unlabeled] == [data.unlabeled.ids[i] for i in batch.index[:8].tolist()]
    np.testing.assert_array_equal(
        images(row.original for row in unlabeled), np.stack(data.unlabeled.read(batch.index[:8].numpy()))
    )
    stored = run.labels(2).rows(batch.index[:8])
    assert [row.label for row in unlabeled] == [data.classes[k] for k in stored.label.tolist()]
    assert [row.confidence for row in unlabeled] == pytest.approx(stored.raw.amax(1).tolist())
    assert [row.truth for row in unlabeled] == [data.classes[data.hidden_truth[i]] for i in batch.index[:8].tolist()]
    assert all(row.kept and row.split == "unlabeled" and not row.outside for row in unlabeled)
    labeled = kept[2].streams["labeled"].rows
    truth = seen[2]["step"].labeled.truth[:8].tolist()
    assert [row.label for row in labeled] == [row.truth for row in labeled] == [data.classes[k] for k in truth]
    assert {row.split for row in labeled} == {"labeled"} and {row.confidence for row in labeled} == {None}


def test_each_noise_is_shown_alone_by_the_same_draws(made):
    run, seen, kept = made
    data = open_data(run.recipe())
    (view,) = kept[1].streams["unlabeled"].views
    assert view.noises == list(view.alone) == ["flip_crop", "cutout", "dim"]
    batch = seen[1]["step"].unlabeled
    originals = np.stack(data.unlabeled.read(batch.index.numpy()))
    cfg = run.recipe().generations[1]
    for name in ("flip_crop", "cutout"):
        (plugin,) = [entry.plugin for entry in cfg.entries() if entry.name == name]
        spec = sslkit.ViewSpec("unlabeled", "unlabeled", 8, 3)
        alone = ViewMaker(spec, 0, 1, [(f"{name}.0", plugin.image_transforms(spec)[0])])
        expected = alone(list(originals), batch.position.numpy())[:8]
        np.testing.assert_array_equal(images(view.alone[name]), expected)
    progress = sslkit.Progress(0, 1, 0, 4, "dim", "/unlabeled/unlabeled")
    shares = torch.randperm(10, generator=progress.torch()) / 10
    dimmed = as_bytes(torch.from_numpy(originals).permute(0, 3, 1, 2).float() / 255 * shares.view(-1, 1, 1, 1))
    np.testing.assert_array_equal(images(view.alone["dim"]), dimmed[:8])


def test_a_noise_that_cannot_work_alone_is_said_and_a_baseline_keeps_none(path, out, monkeypatch, capsys):
    def fails(self, *args):
        raise ValueError("not without the others")

    monkeypatch.setattr(picturing.Camera, "_by", fails)
    more = {"tracker": [{"use": "console"}], "baseline": True, "steps": 1, "generation": [{}, {}]}
    run = sslkit.run(path, overrides=more, out=out, device="cpu")
    assert not (run.folder / "baseline" / "pictures").exists()
    assert load_pictures(run.folder / "baseline") == load_pictures(out / "nowhere") == []
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: pictures of generation 0, for reports: view `labeled`, each noise alone: ValueError: not" in said
    (view,) = load_pictures(run.folder)[1].streams["unlabeled"].views
    assert view.alone == {} and len(view.images) == 8


def test_labels_that_are_made_at_each_step_are_those_of_that_step(out, monkeypatch):
    """With plugins that remember what they see, and a promoted row."""
    seen = {}
    original = engine.make_targets

    def spying(state, step, forward):
        original(state, step, forward)
        if state.step == 0 and step.unlabeled is not None:
            seen[state.cfg.index] = step.unlabeled.targets

    monkeypatch.setattr(engine, "make_targets", spying)
    run = sslkit.run(harness.RECIPES["both"], out=out, device="cpu")
    kept = load_pictures(run.folder)
    assert [one.problem for one in kept] == [None, None]
    for number, targets in seen.items():
        stream = kept[number].streams["unlabeled"]
        label, rows = targets.label, len(stream.rows)
        assert [row.label for row in stream.rows] == ["abc"[k] for k in label[:rows].tolist()]
        own = targets.raw.gather(1, label[:, None])[:rows, 0].tolist()
        assert [row.confidence for row in stream.rows] == pytest.approx(own)
        assert {model for view in stream.views for model in view.models} == {"student", "teacher"}


# Labels -----------------------------------------------------------------------------------------------------------------


def test_labels_that_changed_are_shown_with_what_they_were(made):
    run, _, kept = made
    data = open_data(run.recipe())
    before, after = run.labels(1), run.labels(2)
    assert kept[1].changed == [] and kept[2].changed
    place = {name: i for i, name in enumerate(data.unlabeled.ids)}
    rows = [place[one.id] for one in kept[2].changed]
    assert sorted(rows) == np.flatnonzero((before.label != after.label).numpy()).tolist()[:24]
    for one, row in zip(kept[2].changed, rows, strict=True):
        assert one.label == data.classes[after.label[row]] and one.before == data.classes[before.label[row]]
        assert one.confidence == pytest.approx(after.raw[row].max().item())
        assert one.confidence_before == pytest.approx(before.raw[row].max().item())
        assert (one.kept, one.kept_before, one.truth) == (True, True, data.classes[data.hidden_truth[row]])
        np.testing.assert_array_equal(one.image.array(), data.unlabeled.read(np.array([row]))[0])


def test_confident_errors_and_the_least_sure_are_shown(made):
    run, _, kept = made
    data = open_data(run.recipe())
    stored = run.labels(2)
    false = stored.label.numpy() != data.hidden_truth
    confidence = stored.confidence.numpy()
    expected = sorted(np.flatnonzero(false), key=lambda row: -confidence[row])[:8]
    assert [one.id for one in kept[2].wrong] == [data.unlabeled.ids[row] for row in expected]
    assert [one.id for one in kept[2].unsure] == [
        data.unlabeled.ids[row] for row in np.argsort(confidence, kind="stable")[:8]
    ]


def test_changes_come_from_every_class_and_those_that_teach_first():
    class Labels:
        def __init__(self, label, confidence, kept):
            self.label, self.confidence, self.kept = map(np.array, (label, confidence, kept))

    before = Labels([9] * 6, [0.0] * 6, [True] * 6)
    after = Labels([0, 0, 0, 1, 9, 0], [0.9, 0.8, 0.7, 0.3, 1.0, 0.99], [True, True, True, True, True, False])
    assert changed(before, after).tolist() == [0, 3, 1, 2, 5]


# Nothing else moves -----------------------------------------------------------------------------------------------------


def test_the_run_is_the_same_without_pictures(made, path, out):
    """A plugin that draws from a generator of all, and one that remembers how often it was asked, are in it."""
    sslkit.run(path, overrides={"pictures": 0, "workers": 1}, out=out, device="cpu")
    assert not (out / "pictures").exists()
    found = [harness.snapshot(folder) for folder in (made[0].folder, out)]
    with_them, without = ({name: one[name] for name in one if not name.startswith("pictures")} for one in found)
    assert with_them.keys() == without.keys()
    assert [name for name in without if without[name] != with_them[name]] == ["recipe.toml"]


def test_the_number_of_workers_does_not_show(made, path, out):
    run = sslkit.run(path, overrides={"workers": 2}, out=out, device="cpu")
    assert load_pictures(run.folder) == made[2]


def test_pictures_do_not_decide_what_a_recipe_is(path):
    hashes = {load(path, overrides={"pictures": count}).hash for count in (0, 8, 64)}
    assert hashes == {load(path).hash}


@pytest.mark.parametrize("count", [-1, 65])
def test_how_many_may_be_asked_for_is_said(path, count):
    with pytest.raises(sslkit.SslkitError, match="0 to 64"):
        load(path, overrides={"pictures": count})


# Stops and troubles -----------------------------------------------------------------------------------------------------


STOPS = {"in the first step": ("step", 0, "before"),
         "while they are written": ("written", 1, "within"), "after the second": ("pictures", 1, "after")}  # fmt: skip


@pytest.mark.parametrize("where", STOPS)
def test_a_run_that_is_killed_and_resumed_has_the_same(made, path, out, where, monkeypatch):
    points = {"pictures": (picturing, "save_pictures"), "written": (pictures, "write_tensors")}
    monkeypatch.setattr(harness, "POINTS", {**harness.POINTS, **points})
    point, at, how = STOPS[where]
    assert harness.dies_at(lambda: sslkit.run(path, out=out, device="cpu"), point, at, how) == "killed"
    there = {file: file.stat().st_mtime_ns for file in out.glob("pictures/generation-*/*")}
    assert len(there) == {"in the first step": 0, "after the second": 6}.get(where, 3)
    run = sslkit.run(resume=out, device="cpu")
    assert load_pictures(run.folder) == made[2]
    assert there == {file: file.stat().st_mtime_ns for file in there}
    assert sorted(file.name for file in out.glob("pictures/*")) == [f"generation-{number}" for number in range(3)]


def test_a_full_disk_is_said_and_not_waited_for(made, path, out, monkeypatch, capsys):
    def fails(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pictures, "write_tensors", fails)
    more = {"tracker": [{"use": "console"}], "steps": 1, "generation": [{}, {}]}
    run = sslkit.run(path, overrides=more, out=out, device="cpu")
    said = " ".join(capsys.readouterr().out.split())
    assert f"pictures of generation 1, for reports: the disk is full: {out}/pictures/generation-1 could not be" in said
    assert said.count("for reports: the disk is full") == 2 and "Waiting for room" not in said
    assert load_pictures(run.folder) == [] and run.finished


def test_an_error_of_the_first_step_is_the_runs_own(path, out, monkeypatch):
    monkeypatch.setattr(engine, "train_step", lambda state, step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sslkit.run(path, out=out, device="cpu")
    assert load_pictures(out) == []


DAMAGE = {
    "cut off": lambda folder: (folder / pictures.IMAGES).write_bytes(b"1234"),
    "gone": lambda folder: (folder / pictures.INDEX).unlink(),
    "no checksums": lambda folder: (folder / "checksums.json").unlink(),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("x")),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_damaged_is_reported_and_the_rest_is_read(made, tmp_path, how):
    folder = tmp_path / "run"
    shutil.copytree(made[0].folder / "pictures", folder / "pictures")
    DAMAGE[how](folder / "pictures" / "generation-1")
    first, second, third = load_pictures(folder)
    assert (first, third) == (made[2][0], made[2][2])
    assert second.generation == 1 and str(folder / "pictures" / "generation-1") in second.problem
    assert "damaged" in second.problem and second.streams == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"format": 7}', "later version"), ('{"format": 1}', "damaged"), ("[]", "damaged"), ("nothing", "damaged"),
     ('{"format": 1, "pictures": {"streams": {}, "changed": [{"id": 3}], "wrong": [], "unsure": []}}', "damaged"),
     ('{"format": 1, "pictures": {"streams": {}, "changed": [{"picture": 99}], "wrong": [], "unsure": []}}', "damaged")],
)  # fmt: skip
def test_an_index_of_another_shape_is_reported(tmp_path, text, said):
    target = tmp_path / "pictures" / "generation-4"
    pictures.save_pictures(target, GenerationPictures(generation=4), 1000)
    blob = (target / pictures.IMAGES).read_bytes()
    with committed(target) as aside:
        (aside / pictures.IMAGES).write_bytes(blob)
        (aside / pictures.INDEX).write_text(text)
    (one,) = load_pictures(tmp_path)
    assert one.generation == 4 and said in one.problem


# Size -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(EXACT, EXACT, 3), (8, 32, 1), (9, 5, 4), (20, 20, 2)])
def test_a_small_image_is_kept_to_the_pixel(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    picture = encode(image)
    assert picture.kind == "image/png" and picture.uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(picture.array(), image[..., :3] if shape[2] >= 3 else image[..., :1])


@pytest.mark.parametrize(("shape", "kept"), [((33, 20, 3), (33, 20, 3)), ((400, 200, 3), (SIDE, 48, 3)),
                                             ((2, 5000, 1), (1, SIDE, 1)), ((224, 224, 4), (SIDE, SIDE, 3))])  # fmt: skip
def test_a_large_image_is_a_jpeg_of_96_pixels_at_most(shape, kept):
    picture = encode(np.full(shape, 77, np.uint8))
    assert picture.kind == "image/jpeg" and picture.array().shape == kept
    assert abs(picture.array().astype(int) - 77).max() <= 2


def test_what_is_too_much_is_halved_until_it_fits(tmp_path):
    chance = np.random.default_rng(0)
    noise = [encode(chance.integers(0, 256, (224, 224, 3), np.uint8)) for _ in range(40)]
    many = [
        LabeledPicture(id=f"{i}", label="a", confidence=0.5, kept=True, truth=None, outside=False, image=image)
        for i, image in enumerate(noise)
    ]
    pictures.save_pictures(tmp_path / "pictures/generation-0", GenerationPictures(generation=0, wrong=many), 100_000)
    (kept,) = load_pictures(tmp_path)
    assert 1 < len(kept.wrong) < 40 and kept.wrong == many[: len(kept.wrong)]
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 110_000


def test_halving_takes_every_list(made):
    half = halved(made[2][2])
    stream = half.streams["unlabeled"]
    (view,) = stream.views
    assert [len(stream.rows), len(view.images), len(view.mixed), *map(len, view.alone.values())] == [4] * 6
    assert stream.rows == made[2][2].streams["unlabeled"].rows[:4]


# Time -------------------------------------------------------------------------------------------------------------------


def test_where_the_time_went_is_written_down(made):
    run = made[0]
    for entry in run.summary["generations"]:
        timing = entry["timing"]
        assert 0 < timing["evaluated"] < timing["seconds"]
        assert timing["waited"] + timing["worked"] + timing["evaluated"] < timing["seconds"] + 1e-6
    said = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    labels = [line for line in said if line["kind"] == "labels"]
    assert len(labels) == 2 and all(line["timing"]["seconds"] > 0 for line in labels)
