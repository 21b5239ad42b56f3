"""Runs of a study side by side, in processes: shared ones, failing ones, and what becomes of them when it is stopped."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest
from click.testing import CliRunner

from sslkit import Run, cli
from sslkit.errors import Interrupted
from sslkit.keeping import room
from sslkit.keeping.lock import Lock, holder
from sslkit.recipe import with_overrides
from sslkit.study import cores, crew
from sslkit.study.children import plan
from sslkit.study.crew import Work, side_by_side
from sslkit.study.file import load_study
from sslkit.study.running import Way, measure_all, run_all

SMALL = '[set]\n"data.test" = 1600\n"data.validation" = 20\nworkers = 0\n'
TWO = 'base = "base.toml"\nseeds = "0-1"\n' + SMALL
ONE = TWO.replace("0-1", "0")


def invoke(*args):
    return CliRunner().invoke(cli.cli, ["study", *map(str, args)], prog_name="sslkit")


def begin(path):
    """The command in a session of its own, as in a terminal of its own."""
    line = [sys.executable, "-c", "from sslkit.cli import main; main()", "study", str(path), "--device", "cpu"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def training(folder, number, beside=None):
    """Wait until so many processes, `beside` one that was killed, train runs in a study's folder: their numbers."""
    for _ in range(3000):
        held = [holder(child) for child in folder.glob("children/*") if (child / "metrics.jsonl").exists()]
        at_work = [who.pid for who in held if who and who.pid not in (None, beside)]
        if len(at_work) >= number:
            return at_work
        time.sleep(0.1)
    raise AssertionError("nothing trains")


def free(folder):
    """Wait until no run in a study's folder is held any more."""
    for _ in range(600):
        if not any(holder(child) for child in folder.glob("children/*")):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def many(write, monkeypatch):
    """Two cores, whatever this machine has and its environment says of threads."""
    monkeypatch.setattr(cores, "cores", lambda: 2)
    monkeypatch.delenv(cores.THREADS, raising=False)
    return write


def warn(message):
    """What a run does whose disk is full."""
    room.Patience(stop=lambda: None, tell=lambda *_: None, stopped=Interrupted, limit=None).say(message)


def test_what_is_left_of_processes_that_end_in_every_way():
    works = [Work(call, args, 1) for call, args in (
        (len, ("abc",)), (os.kill, (0, None)), (os._exit, (7,)), (os.abort, ()), (warn, ("there is no room",)),
    )]  # fmt: skip
    events = list(side_by_side(works, 2))
    found = {event.work: event for event in events if event.kind not in ("begun", "warned")}
    assert len(found) == len(works) and len(events) == 2 * len(works) + 1
    assert (found[works[0]].kind, found[works[0]].value) == ("done", 3)
    assert all(found[work].kind == "failed" for work in works[1:4])
    assert "TypeError" in found[works[1]].value and "Traceback" in found[works[1]].details
    assert "ended with exit code 7 and told nothing" in found[works[2]].value
    assert "was ended by SIGABRT" in found[works[3]].value
    told = [(event.kind, event.value) for event in events if event.work is works[4]]
    assert told == [("begun", None), ("warned", "there is no room"), ("done", None)]


def test_a_study_in_two_processes_its_metrics_and_what_another_takes_from_it(many, tmp_path):
    """Real runs, of three steps: all that follows is of them."""
    Path("metrics.toml").write_text('[[metric]]\nuse = "calibration"\n')
    path = many('metrics = "metrics.toml"\nmeasures = ["test_accuracy", "test_ece"]\n' + ONE)
    done = invoke(path, "--device", "cpu", "--jobs", "2")
    assert done.exit_code == 0, done.output
    assert "2 at a time, 1 thread each" in done.output
    folder = Path("runs/studies/mine")
    children = plan(load_study(path), folder)
    assert len(children) == 2 and all(child.summary() for child in children)
    environments = [json.loads((child.folder / "environment.json").read_text()) for child in children]
    assert {found["threads"] for found in environments} == {1}
    kept = sorted(folder.glob("children/*/evaluations/*.json"))
    assert len(kept) == 2
    times = [one.stat().st_mtime_ns for one in kept]

    way = Way(1, 1, "cpu")
    assert measure_all(load_study(path), children, way, Deaf()) == []  # nothing is measured again
    assert [one.stat().st_mtime_ns for one in sorted(folder.glob("children/*/evaluations/*.json"))] == times
    for child in children:
        assert 0 <= child.measured(None)["test_ece"] <= 1
        assert "test_ece" not in child.metrics(None)
        assert child.measured(None)["test_accuracy"] == child.metrics(None)["test_accuracy"]

    other = many(ONE, "other.toml")
    runs = {child.folder.name: child for child in plan(load_study(other), Path("runs/studies/other"))}
    assert runs.keys() == {child.folder.name for child in children} and all(child.shared for child in runs.values())
    assert invoke(other, "--device", "cpu").exit_code == 0
    found = json.loads(Path("runs/studies/other/results.json").read_text())
    paths = [place for row in found["rows"] for place in row["runs"].values()]
    assert len(paths) == 2 and all(place.startswith("../mine/children/") for place in paths)
    assert not Path("runs/studies/other/children").exists()


class Deaf:
    """Listens to nothing."""

    def __getattr__(self, name):
        return lambda *args: None


def test_a_measurement_that_fails_leaves_the_run_and_the_others(write, factory):
    study = load_study(write(TWO))
    children = plan(study, Path("runs/studies/mine"))
    assert run_all(children, Way(1, 1), Deaf(), lambda child, summary: None) == []
    Path("metrics.toml").write_text('[[metric]]\nuse = "calibration"\n')
    study = replace(study, metrics="metrics.toml")
    for child in children:  # made-up runs have no model
        for number in range(len(child.recipe.generations)):
            (child.folder / f"models/generation-{number}").mkdir(parents=True)
    failures = measure_all(study, children, Way(1, 1), Deaf())
    assert [failure.child for failure in failures] == children  # one that fails stops none of the others
    for (base, baseline), told in zip((children[:2], children[2:]), (failures[:2], failures[2:]), strict=True):
        assert [failure.generation for failure in told] == [1, 0]
        damage = f"the model in {baseline.folder}/models/generation-0 is damaged (checksums.json cannot be read)"
        assert all(damage in failure.message and not failure.details for failure in told)
        assert told[0].message.startswith("the baseline cannot be compared with: ")
        assert base.summary() and baseline.summary() and not list(base.folder.glob("evaluations/*"))


def test_other_seeds_are_the_recipes_that_overrides_make(write):
    child = plan(load_study(write(), (0, 7)), Path("x"))[-1]
    again = with_overrides(child.recipe, {"seed": 7})
    assert (child.recipe.hash, child.recipe.settings) == (again.hash, again.settings)
    assert [cfg.settings for cfg in child.recipe.generations] == [cfg.settings for cfg in again.generations]


@pytest.mark.parametrize(
    ("there", "said", "runs", "jobs", "gpu", "expected"),
    [
        (8, None, 30, None, False, (8, 1)),
        (8, None, 3, None, False, (3, 2)),
        (8, "4", 30, None, False, (2, 4)),
        (8, "16", 30, None, False, (1, 8)),
        (8, "4", 30, 4, False, (4, 2)),
        (8, None, 30, 2, False, (2, 4)),
        (8, None, 30, None, True, (1, 8)),
        (1, "nonsense", 30, None, False, (1, 1)),
    ],
)
def test_every_core_is_used_and_none_twice(there, said, runs, jobs, gpu, expected, monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: there)
    monkeypatch.setenv("OMP_NUM_THREADS", said) if said else monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cores.share(runs, jobs, gpu) == expected


@pytest.mark.parametrize(("text", "expected"), [("150000 100000\n", 1), ("max 100000\n", 64), ("", 64)])
def test_a_containers_quota_counts(text, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    (tmp_path / "cpu.max").write_text(text)
    assert cores.cores() == expected


@pytest.mark.parametrize(("jobs", "words"), [("0", "0 is not in the range x>=1"), ("99", "may use 1 core, and more")])
def test_jobs_that_cannot_be(jobs, words, write, factory):
    done = invoke(write(), "--jobs", jobs)
    assert done.exit_code == 2 and words in " ".join(done.stderr.split())
    assert not factory.calls


def test_a_studys_folder_that_another_process_uses_is_refused(write, factory):
    path, folder = write(), Path("runs/studies/mine")
    folder.mkdir(parents=True)
    with Lock(folder):
        done = invoke(path)
    assert done.exit_code == 2 and not factory.calls
    assert f"{folder} is in use at this moment, by process {os.getpid()}" in done.stderr
    assert invoke(path).exit_code == 0 and not (folder / ".lock").exists()


def test_a_run_that_has_begun_keeps_its_threads(write, factory, monkeypatch):
    path, seen = write(TWO), []
    real = crew.perform
    monkeypatch.setattr(crew, "perform", lambda work, *rest: (seen.append(work.threads), real(work, *rest)))
    factory.trouble[1] = Interrupted("stopped")
    invoke(path)
    invoke(path)
    assert seen == [1, 2, 1, 1, 1]  # a made-up environment.json says 2


LONG = 'base = "base.toml"\nseeds = "0-1"\n' + SMALL + "steps = 100000\nsave_every = 100000\n"


@contextmanager
def stopped_by(number, folder, everyone):
    """Inside, this process gets a signal once runs in a study's folder train; `everyone`: so does each beside it."""

    def stop():
        try:
            runs = training(folder, 2)
            for pid in [*runs, forkserver._forkserver._forkserver_pid] if everyone else []:
                os.kill(pid, number)
        finally:  # runs that are not as expected must not train on
            if signal.getsignal(number) not in (
                signal.SIG_DFL,
                signal.default_int_handler,
            ):  # else it would end the tests
                os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop)
    thread.start()
    yield
    thread.join()


def test_all_runs_save_themselves_when_the_study_is_stopped(many):
    """By a signal to the study alone, then, when it goes on, by Ctrl-C, which reaches all of its processes."""
    folder, path = Path("runs/studies/mine"), many(LONG)
    for number in (signal.SIGTERM, signal.SIGINT):
        with stopped_by(number, folder, everyone=number == signal.SIGINT):
            done = invoke(path, "--device", "cpu")
        assert done.exit_code == 130, done.output
        last = "0 of 4 runs are finished, and everything is saved. Go on with:\n    sslkit study mine.toml --device cpu"
        assert last in done.output and "failed" not in done.output
        begun = list(folder.glob("children/*"))
        assert len(begun) == 2 and {Run(child).summary["status"] for child in begun} == {"interrupted"}
        assert all(list((child / "checkpoints").iterdir()) for child in begun) and not list(folder.rglob(".lock"))
    assert [event.value for event in side_by_side([Work(len, ("abc",), 1)], 1)] == [None, 3]  # the server lives


@pytest.mark.torture
def test_nothing_is_lost_when_the_study_or_one_of_its_runs_is_killed(write):
    folder = Path("runs/studies/mine")
    study = begin(write(LONG))
    victim, *_ = training(folder, min(2, cores.cores()))
    os.kill(victim, signal.SIGKILL)
    training(folder, min(2, cores.cores()), beside=victim)
    study.kill()
    said, _ = study.communicate(timeout=300)
    assert "was ended by SIGKILL, perhaps for want of memory" in said
    assert free(folder)  # nobody is left behind
    states = sorted(Run(child).summary["status"] for child in folder.glob("children/*"))
    assert "interrupted" in states and not list(folder.glob(".lock.*"))
    again = begin("mine.toml")
    training(folder, min(2, cores.cores()))
    os.killpg(again.pid, signal.SIGINT)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 130 and "everything is saved" in said
