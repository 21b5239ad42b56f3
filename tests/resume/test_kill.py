"""`kill -9`, anywhere, again and again: the end is the same to the bit."""

import random

import pytest
from harness import POINTS, RECIPES, overridden, random_kills

CRITICAL = [
    ("step", 0.3, "before"),  # before the first checkpoint, and in training
    ("step", 0.9, "after"),
    ("tensors", 0.5, "within"),  # half of a checkpoint's tensors are on the disk
    ("rename", 0.4, "before"),  # all of it, under the wrong name
    ("rename", 0.7, "after"),
    ("remove", 0.8, "before"),
]


@pytest.mark.parametrize("name", RECIPES)
def test_killed_at_critical_points(trial, name):
    run = trial(name)
    for point, share, how in CRITICAL:
        run.kill_at(point, int(run.points[point] * share), how)
        if (run.folder / "summary.json").exists() and '"finished"' in (run.folder / "summary.json").read_text():
            break
    run.finish()


@pytest.mark.parametrize("name", RECIPES)
def test_killed_at_random_moments(trial, name):
    random_kills(trial(name), random.Random(name), 3)


@pytest.mark.parametrize("point", ["label", "refine", "shard"])
@pytest.mark.parametrize("name", ["pool", "both"])
def test_killed_while_labeling(trial, name, point):
    run = trial(name)
    how = {"label": "before", "refine": "after", "shard": "within"}[point]
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
    """Between a generation's last checkpoint, its model, its summary and the next one's first step."""
    for n, at in enumerate(range(1, 4)):
        run = trial("twin", f"run-{n}")
        assert run.kill_at("checksum", _models(run) + at) == "killed"
        run.finish()


def _models(run):
    """A call of `_sha256` about where the first generation ends."""
    return run.points["checksum"] // 2 - 3


def test_killed_in_the_baseline(trial):
    """A baseline is a run of its own inside: it resumes too, and what it found is in the summary."""
    run = trial("noisy_student")
    assert run.kill_at("step", 5) == "killed"
    assert (run.folder / "baseline").is_dir() and not (run.folder / "checkpoints").exists()
    run.finish()


def test_killed_when_all_is_done_but_said(trial):
    """After the last model, before the summary and the last line of the log."""
    run = trial("twin")
    last = run.points["report"] - 1
    for how in ("before", "after"):
        assert run.kill_at("report", last if how == "before" else 0, how) == "killed"
    run.finish()
    again = trial("twin", "again")
    assert again.kill_at("replace", again.points["replace"] - 1, "before") == "killed"
    again.finish()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["noisy_student", "pool"])
def test_killed_with_data_workers(trial, name, workers):
    """Results of 0, 1 and 2 workers are equal: the reference has none."""
    run = overridden(trial(name), workers=workers)
    assert run.kill_at("step", run.points["step"] // 3, "after") == "killed"
    assert run.kill_at("rename", 3, "before") in ("killed", "finished")
    run.finish(but=["recipe.toml", "baseline/recipe.toml"])


@pytest.mark.torture
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("round", range(6))
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
