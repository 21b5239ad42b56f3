"""The loader: which rows are drawn, how they are keyed, and that neither workers nor interruptions show."""

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from driving import Bench, added, entry
from hypothesis import given, settings
from hypothesis import strategies as st
from scaled_down import runnable

import sslkit.ahead
from sslkit import Images, hookimpl
from sslkit.ahead import load_steps
from sslkit.errors import DataError, PluginError, SslkitError
from sslkit.loader import Sampler, StreamLoader, ViewMaker
from sslkit.randomness import uniform
from sslkit.recipe import shipped as shipped_recipes
from sslkit.streams import make_streams
from sslkit.types import ViewSpec


def drawn(sampler, batch, steps, start=0):
    return [sampler.rows(np.arange(s * batch, (s + 1) * batch)) for s in range(start, start + steps)]


# The sampler ----------------------------------------------------------------------------------------------------------


def test_each_permutation_covers_all_rows_and_they_differ():
    sampler = Sampler(11, np.ones(40))
    rows = np.concatenate(drawn(sampler, 64, 10))
    passes = rows.reshape(-1, 40)
    assert all(sorted(one) == list(range(40)) for one in passes)
    assert len({tuple(one) for one in passes}) == len(passes)
    assert not np.array_equal(passes[0], np.arange(40))
    assert not np.array_equal(Sampler(12, np.ones(40)).rows(np.arange(40)), passes[0])


def test_ten_labels_fill_a_batch_of_64():
    (rows,) = drawn(Sampler(1, np.ones(10)), 64, 1)
    assert set(np.bincount(rows, minlength=10)) <= {6, 7} and len(rows) == 64


@settings(max_examples=40, deadline=None)
@given(
    copies=st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.3, 5.0]), min_size=1, max_size=12),
    batch=st.integers(1, 9),
    start=st.integers(0, 60),
)
def test_a_sampler_that_starts_anywhere_draws_the_same_rows(copies, batch, start):
    if sum(copies) < 1:
        with pytest.raises(SslkitError, match="no row is left to draw"):
            Sampler(3, np.array(copies))
        return
    whole = np.concatenate(drawn(Sampler(3, np.array(copies)), batch, start + 4))[start * batch :]
    assert np.array_equal(np.concatenate(drawn(Sampler(3, np.array(copies)), batch, 4, start)), whole)
    assert not np.isin(whole, np.flatnonzero(np.array(copies) == 0)).any()


def test_fractions_come_out_as_whole_copies_with_the_right_mean():
    copies = np.array([2.3, 0.0, 1.0, 0.25, 0.45])
    sampler = Sampler(5, copies)
    counts = np.array([np.bincount(sampler._order(epoch), minlength=5) for epoch in range(2000)])
    assert set(counts[:, 0]) == {2, 3} and set(counts[:, 2]) == {1} and not counts[:, 1].any()
    assert set(counts[:, 3]) == {0, 1} and set(counts[:, 4]) == {0, 1}
    # Systematic resampling: each pass has 4 rows, and the mean's error is that of a uniform start.
    assert set(counts.sum(1)) <= {4} and np.allclose(counts.mean(0), copies, atol=0.04)


def test_whole_copies_are_exact():
    rows = np.concatenate(drawn(Sampler(2, np.array([1.0, 3.0, 0.0, 2.0])), 6, 5))
    assert all(sorted(one) == [0, 1, 1, 1, 3, 3] for one in rows.reshape(5, 6))


# Views ----------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Grain:
    """Adds noise of its key to each image."""

    strength: int = 99

    @hookimpl
    def image_transforms(self, view):
        def grain(images, keys):
            noise = uniform(keys, images[0].size).reshape(images.shape) * self.strength
            return (images // 2 + noise).astype(np.uint8)

        return [grain]


def loaded(bench, steps=3, workers=0, start=0):
    return list(bench.arrays(steps, workers, start))


def test_twins_in_a_batch_views_plugins_and_generations_are_keyed_apart(tiny):
    text = """
batch = { labeled = 24 }
[views.other]
stream = "labeled"
[[loss]]
name = "second"
use = "mean_squared"
on = "other"
[[generation]]
[[generation]]
"""
    recipe = added(tiny(text), entry("noise", Grain(), on=("labeled", "other")))
    (arrays,) = loaded(Bench(recipe), 1)
    part = arrays["labeled"]
    images = {view: part["views"][view] for view in ("labeled", "other")}
    same_image = [np.flatnonzero(part["index"] == row) for row in range(10)]
    for view in images.values():
        assert len({image.numpy().tobytes() for image in view}) == 24  # ten labels, 24 rows, no two alike
    assert all(len(rows) >= 2 for rows in same_image)
    assert not any(torch.equal(a, b) for a, b in zip(images["labeled"], images["other"], strict=True))
    again = loaded(Bench(recipe), 1)[0]["labeled"]
    assert torch.equal(again["views"]["labeled"], images["labeled"])
    later = loaded(Bench(recipe, generation=1), 1)[0]["labeled"]
    assert not torch.equal(later["index"], part["index"])
    assert len({base for generation in (0, 1) for view in makers(recipe, generation) for base in view.bases}) == 4
    other_seed = added(tiny(text, overrides={"seed": 1}), entry("noise", Grain(), on=("labeled", "other")))
    assert not torch.equal(loaded(Bench(other_seed), 1)[0]["labeled"]["index"], part["index"])


def makers(recipe, generation):
    bench = Bench(recipe, generation)
    return [view for stream in make_streams(bench.state, bench.data) for view in stream.views]


def test_two_plugins_of_one_kind_draw_apart(tiny):
    views = []
    for names in (("one",), ("two",)):
        recipe = added(tiny(), *(entry("noise", Grain(), name, on=("labeled",)) for name in names))
        views.append(loaded(Bench(recipe), 1)[0]["labeled"]["views"]["labeled"])
    assert not torch.equal(*views)


def flat(steps):
    return [
        (stream, key, value)
        for step in steps
        for stream, part in step.items()
        for key, value in [("index", part["index"]), ("position", part["position"]), *part["views"].items()]
    ]


def equal(one, other):
    pairs = zip(flat(one), flat(other), strict=True)
    return all(a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in pairs)


def test_views_are_equal_for_any_number_of_workers_and_from_any_step_on(shipped):
    bench = Bench(shipped("fixmatch", {"batch.unlabeled": 5, "steps": 5}))
    alone = loaded(bench, 5)
    for workers in (1, 2):
        assert equal(alone, loaded(bench, 5, workers))
    assert equal(alone[3:], loaded(bench, 5, 0, start=3)) and equal(alone[2:], loaded(bench, 5, 1, start=2))
    assert [a["labeled"]["position"].tolist() for a in alone[:2]] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def noisiest(recipe):
    """The last of the generations that look at images through the most noise."""
    sources = {cfg.index: sum(e.section == "noise" and bool(e.on) for e in cfg.entries()) for cfg in recipe.generations}
    return max(sources, key=lambda index: (sources[index], index))


@pytest.mark.parametrize("name", shipped_recipes())
def test_no_shipped_recipes_view_comes_out_constant(name, tmp_path):
    """At the recipe's own size and magnitudes: an emptied image would teach that nothing is a digit."""
    recipe = runnable(name, tmp_path)
    bench = Bench(recipe, noisiest(recipe))
    for arrays in bench.arrays(8):
        for part in arrays.values():
            for view, images in part["views"].items():
                spread = images.flatten(1).float().std(1)
                assert (spread > 1).all(), f"{view}: {(spread <= 1).sum()} of {len(spread)} images are constant"


# Errors ---------------------------------------------------------------------------------------------------------------


def stream_of(read, transforms=(), size=8, count=4):
    spec = ViewSpec("weak", "labeled", size, 3)
    images = Images([str(i) for i in range(count)], read, np.zeros(count, np.int64))
    rows = np.arange(count)
    view = ViewMaker(spec, 0, 0, list(transforms))
    return [StreamLoader("labeled", [images], rows * 0, rows, count, Sampler(0, np.ones(count)), [view])]


def grey(rows):
    return [np.full((8, 8, 3), 7, np.uint8) for _ in rows]


def refuse(rows):
    raise DataError("image 3 of shard 7 is truncated")


def lose(rows):
    raise FileNotFoundError(2, "No such file or directory", "a/b.png")


def burst(images, keys):
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_arrive_with_their_own_type_and_message(workers):
    with pytest.raises(DataError, match=r"^image 3 of shard 7 is truncated$"):
        list(load_steps(stream_of(refuse), 0, 3, workers))
    with pytest.raises(DataError, match=r"^step 0 could not be read: FileNotFoundError: .*'a/b.png'$"):
        list(load_steps(stream_of(lose), 0, 3, workers))
    with pytest.raises(
        PluginError,
        match=r"^\[noise\] fog: its transform on view `weak` raised ZeroDivisionError: by nothing \(test_loader.py, line \d+\)$",
    ):
        list(load_steps(stream_of(grey, [("fog.0", burst)]), 0, 3, workers))
    assert multiprocessing.active_children() == []  # workers end with what they were for


def test_workers_end_where_nobody_waits_for_the_rest():
    steps = load_steps(stream_of(grey), 0, 50, 2)
    next(steps)
    assert len(multiprocessing.active_children()) == 2
    steps.close()
    assert multiprocessing.active_children() == []


def numbered(images, keys):
    """Images that tell which draw they are."""
    return np.broadcast_to((keys % 251).astype(np.uint8)[:, None, None, None], images.shape).copy()


def many(workers, each=lambda number: None, count=60):
    steps = []
    for number, step in enumerate(load_steps(stream_of(grey, [("fog.0", numbered)]), 0, count, workers)):
        part = step["labeled"]
        steps.append((part["index"].tolist(), part["position"].tolist(), part["views"]["weak"].clone()))
        each(number)
    return steps


def alike(one, other):
    pairs = zip(one, other, strict=True)
    return all(a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in pairs)


@pytest.mark.parametrize("ahead, budget", [(8, 1 << 30), (1, 1 << 30), (8, 1)])
def test_memory_that_is_used_again_and_again_holds_the_right_step(monkeypatch, ahead, budget):
    alone = many(0)
    monkeypatch.setattr(sslkit.ahead, "AHEAD", ahead)
    monkeypatch.setattr(sslkit.ahead, "BUDGET", budget)
    assert alike(alone, many(1)) and alike(alone, many(3))
    assert len({images.numpy().tobytes() for _, _, images in alone}) == 60


def test_what_is_made_ahead_fits_the_budget(monkeypatch):
    asked = []
    shared = sslkit.ahead.shared
    monkeypatch.setattr(sslkit.ahead, "shared", lambda tensor, slots: asked.append(slots) or shared(tensor, slots))
    size = 4 * 8 * 8 * 3 + 2 * 4 * 8  # four images, their rows and positions
    monkeypatch.setattr(sslkit.ahead, "BUDGET", 3 * 2 * size)
    many(2, count=4)
    assert set(asked) == {3 + 1}  # three steps ahead for each of two workers, and the one in use


def test_without_forks_the_main_process_makes_the_same_steps(monkeypatch):
    expected = many(2)
    monkeypatch.setattr(sslkit.ahead, "FORKS", False)
    monkeypatch.setattr(sslkit.ahead, "Worker", None)
    assert alike(expected, many(2))


def test_a_worker_that_is_killed_is_said():
    def kill(number):
        if number == 2:
            for worker in multiprocessing.active_children():
                worker.kill()

    with pytest.raises(DataError, match=r"step \d+: a data worker ended with exit code -9 .*workers = 0"):
        many(2, kill)
    assert multiprocessing.active_children() == []


def test_where_the_whole_group_is_asked_to_stop_steps_still_come():
    """SIGTERM ends the workers; the main process makes what it still needs, and saves itself when its step is done."""

    def end(number):
        if number == 2:
            for worker in multiprocessing.active_children():
                worker.terminate()

    assert alike(many(0), many(2, end))


def test_workers_end_with_a_main_process_that_was_killed(tmp_path):
    def main():
        steps = load_steps(stream_of(grey), 0, 1000, 2)
        next(steps)
        (tmp_path / "workers").write_text(" ".join(str(child.pid) for child in multiprocessing.active_children()))
        os.kill(os.getpid(), signal.SIGKILL)

    context = multiprocessing.get_context("fork")
    child = context.Process(target=main)
    child.start()
    child.join()
    workers = [int(pid) for pid in (tmp_path / "workers").read_text().split()]
    assert child.exitcode == -signal.SIGKILL and len(workers) == 2
    while any(alive(pid) for pid in workers):
        time.sleep(0.05)


def alive(pid):
    """Whether a process runs; one that ended and that nobody has asked for counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "transform, got",
    [
        (lambda images, keys: images[:, :4], r"uint8 \(4, 4, 8, 3\)"),
        (lambda images, keys: images / 255, r"float64 \(4, 8, 8, 3\)"),
        (lambda images, keys: images[:2], r"uint8 \(2, 8, 8, 3\)"),
        (lambda images, keys: None, "NoneType"),
    ],
)
def test_a_transform_of_the_wrong_shape_or_type_is_named(transform, got):
    with pytest.raises(
        PluginError,
        match=rf"\[noise\] fog: its transform on view `weak` answered {got}.*uint8 \(4, 8, 8, 3\) was expected",
    ):
        next(load_steps(stream_of(grey, [("fog.1", transform)]), 0, 1, 0))


def resizing(images, keys):
    return np.stack([image[:8, :8] for image in images])


resizing.resizes = True


def test_one_transform_may_resize_and_gets_images_of_any_size():
    sizes = []

    def look(images, keys):
        sizes.extend(image.shape for image in images)
        return resizing(images, keys)

    look.resizes = True
    read = lambda rows: [np.full((9 + i, 12, 3), i, np.uint8) for i in range(len(rows))]  # noqa: E731
    (step,) = load_steps(stream_of(read, [("crop.0", look)]), 0, 1, 0)
    assert sizes == [(9 + i, 12, 3) for i in range(4)] and step["labeled"]["views"]["weak"].shape == (4, 8, 8, 3)
    with pytest.raises(PluginError, match=r"view `weak`: both a\.0 and b\.0 resize; one may"):
        stream_of(grey, [("a.0", resizing), ("b.0", resizing)])
