"""Two processes that begin a run in one folder: the slower one is refused, wherever it is when the other's appears."""

import os
import shutil
import signal
import time

import harness
import pytest
from harness import fork, wait

import sslkit
from sslkit import runs
from sslkit.errors import Held, RunError
from sslkit.keeping.lock import Lock, holder

POINTS = ["sslkit.runs.stop_signals", "sslkit.runs.open_data", "sslkit.runs.rehearse", "sslkit.artifacts._sync"]
"Before its lock is looked for, after it, after its last look, and right before its folder is put in place."


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run's folder as the faster one makes it."""
    folder = tmp_path_factory.mktemp("faster") / "out"
    (folder / "baseline").mkdir(parents=True)
    for name in ("recipe.toml", "summary.json", "baseline/recipe.toml"):
        (folder / name).write_text("other = 1\n")
    return folder


@pytest.fixture
def faster(begun, out):
    """`faster(held)`: put the other's folder in place, and in its hands."""
    pids = []

    def appear(held: bool) -> None:
        aside = out.with_name("aside")
        shutil.copytree(begun, aside)
        if held:
            pids.append(fork(lambda: (Lock(out).take(aside), signal.pause())))
            while not (aside / ".lock").exists() or not (aside / ".lock").stat().st_size:
                time.sleep(0.002)
        aside.rename(out)

    yield appear
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        wait(pid)


def inject(monkeypatch, point, action):
    """Call `action` once, right before the function at `point`."""
    module, _, name = point.rpartition(".")
    real, done = getattr(__import__(module, fromlist=[name]), name), []

    def first(*args, **kwargs):
        if not done:
            done.append(action())
        return real(*args, **kwargs)

    monkeypatch.setattr(point, first)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("baseline", ["", "baseline = true\n"])
def test_the_slower_one_is_refused_and_harms_nothing(recipe, out, faster, monkeypatch, point, baseline):
    inject(monkeypatch, point, lambda: faster(held=True))
    with pytest.raises(Held, match=rf"{out} is being run at this moment, by process") as caught:
        sslkit.run(recipe(baseline), out=out, device="cpu")
    assert "--resume" not in str(caught.value) + str(getattr(caught.value, "__notes__", ""))
    assert {path.read_text() for path in out.rglob("*.*") if path.name != ".lock"} == {"other = 1\n"}
    assert holder(out) and [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("point", POINTS)
def test_one_that_has_ended_already_is_not_gone_on_with(recipe, out, faster, monkeypatch, point):
    inject(monkeypatch, point, lambda: faster(held=False))
    with pytest.raises(RunError, match="exists already and is never overwritten"):
        sslkit.run(recipe(), out=out, device="cpu")
    assert {path.read_text() for path in out.rglob("*.*")} == {"other = 1\n"}


def test_a_finished_one_is_not_taken_for_ones_own(recipe, out, monkeypatch):
    """The same recipe, whose results another has made while this one was starting."""
    first = sslkit.run(recipe("steps = 1\n[[generation]]\n"), out=out, device="cpu")
    before = harness.snapshot(out)
    monkeypatch.setattr(runs, "new_folder", lambda *_: out)
    with pytest.raises(RunError, match="exists already"):
        sslkit.run(recipe("steps = 1\n[[generation]]\n"), device="cpu")
    assert harness.snapshot(out) == before and first.finished


def test_a_folder_that_is_being_run_is_said_to_be(recipe, out, faster):
    faster(held=True)
    with pytest.raises(Held, match="is being run at this moment"):
        sslkit.run(recipe(), out=out, device="cpu")
