"""`kill -9`, anywhere, again and again: the end is the same to the bit."""

import random

import pytest
from harness import LONG, OWN, POINTS, RECIPES, overridden, random_kills

CRITICAL = [
    ("step", 0.3, "before"),  # before the first checkpoint, and in training
    ("step", 0.9, "after"),
    ("tensors", 0.5, "within"),  # half of a checkpoint's tensors are on the disk
    ("rename", 0.4, "before"),  # all of it, under the wrong name
    ("rename", 0.7, "after"),
    ("remove", 0.8, "before"),
]


@pytest.mark.parametrize("name", LONG)
def test_killed_at_critical_points(trial, name):
    run = trial(name)
    for point, share, how in CRITICAL:
        run.kill_at(point, int(run.points[point] * share), how)
        if (run.folder / "summary.json").exists() and '"finished"' in (run.folder / "summary.json").read_text():
            break
    run.finish()


@pytest.mark.parametrize("name", ["pool", "twin"])
def test_killed_in_half_precision(trial, name):
    run = trial(name, precision="bfloat16")
    assert run.kill_at("step", run.points["step"] // 2, "after") == "killed"
    run.finish()


@pytest.mark.parametrize("point", ["label", "refine", "columns"])
@pytest.mark.parametrize("name", ["pool", "both"])
def test_killed_while_labeling(trial, name, point):
    run = trial(name)
    how = {"label": "before", "refine": "after", "columns": "within"}[point]
    assert run.kill_at(point, run.points[point] // 2, how) == "killed"
    run.finish()


@pytest.mark.parametrize("at", range(4))
def test_killed_while_the_folder_is_made(trial, at):
    """There is no folder yet, or there is one that can be resumed."""
    run = trial("twin")
    assert run.kill_at(*[("text", 1, "within"), ("sync", 1), ("rename", 0), ("rename", 0, "after")][at]) == "killed"
    assert run.folder.exists() == (at == 3)
    run.finish()


def test_killed_between_generations(trial):
    """Between a generation's last checkpoint, its model and the next one's first step; each in the same run."""
    run = trial("both")
    assert [run.kill_at(*where) for where in [
        ("model", 0, "before"), ("model", 0, "after"), ("model", 0, "after"), ("label", 0), ("step", 0),
    ]] == ["killed"] * 5  # fmt: skip
    assert run.tree()["step"] == 7 and run.tree()["generation"] == 0
    run.finish()


def test_killed_while_a_model_takes_the_place_of_its_like(trial):
    """A finished generation's model is written again on resuming: for a moment there is none."""
    run = trial("both")
    assert run.kill_at("model", 0, "after") == "killed"
    assert run.kill_at("rename", 1, "before") == "killed"
    assert not (run.folder / "models/generation-0").exists()
    run.finish()


def test_killed_in_the_baseline(trial):
    """A baseline is a run of its own inside: it resumes too, and what it found is in the summary."""
    run = trial("noisy_student")
    assert run.kill_at("step", 5) == "killed"
    assert (run.folder / "baseline").is_dir() and not (run.folder / "checkpoints").exists()
    run.finish()


def test_killed_when_all_is_done_but_said(trial):
    """After the last model; after the last line of the log; and when the summary is about to take its place."""
    run = trial("twin")
    assert run.kill_at("report", run.points["report"] - 1, "before") == "killed"
    assert not run.folder.joinpath("summary.json").read_text().count("finished")
    assert run.kill_at("report", 2, "after") == "killed"
    assert run.kill_at("replace", 1, "before") == "killed"
    run.finish()


@pytest.mark.parametrize(("name", "workers"), [
    ("fixmatch", 2), ("pool", 1), pytest.param("fixmatch", 1, marks=pytest.mark.torture),
    pytest.param("pool", 2, marks=pytest.mark.torture),
])  # fmt: skip
def test_killed_with_data_workers(trial, name, workers):
    """Results of 0, 1 and 2 workers are equal: the reference has none."""
    run = overridden(trial(name), workers=workers)
    assert run.kill_at("step", run.points["step"] // 3, "after") == "killed"
    assert run.kill_at("rename", 3, "before") in ("killed", "finished")
    run.finish(but=["recipe.toml", "baseline/recipe.toml"])


@pytest.mark.torture
@pytest.mark.parametrize(("round", "name"), [(r, name) for name in RECIPES for r in range(6 if name in OWN else 2)])
def test_torture_random_kills(trial, name, round):
    run = trial(name, f"{name}-{round}")
    random_kills(run, random.Random(f"{name} {round}"), 8)


@pytest.mark.torture
@pytest.mark.parametrize("name", ["pool", "both", "twin"])
@pytest.mark.parametrize("point", POINTS)
def test_torture_every_kind_of_point(trial, name, point):
    """Up to six calls of each point, in order, each run after run: one run dies at all of them."""
    run = trial(name, f"{name}-{point}")
    total = run.points[point]
    draws = random.Random(f"{name} {point}")
    for _ in range(min(total, 6)):
        how = draws.choice(["before", "after", "within"])
        if run.kill_at(point, draws.randrange(max(1, total // 2)), how) == "finished":
            break
    run.finish()
