"""One process at a time in a run folder; whoever is killed lets go of it."""

import errno
import json
import os
import re
import signal
import time

import harness
import pytest
from harness import dies_at, fork, in_child, wait, watched
from in_process import Here

import sslkit
from sslkit.errors import Held, RunError
from sslkit.folder import Run
from sslkit.keeping import lock
from sslkit.keeping.lock import Lock, holder
from sslkit.study import cores, crew
from sslkit.study.conduct import conduct


def until(true):
    """Wait for another process."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def wakes():
    """A process that waits to be killed."""
    signal.pause()


@pytest.fixture
def held(tmp_path):
    """A folder that a forked process holds, and that process."""
    folder = tmp_path / "run"
    folder.mkdir()

    def hold():
        with Lock(folder) as own:
            own.tell(labels={"done": 3})
            wakes()

    pid = fork(hold)
    until(lambda: (who := holder(folder)) and who.doing)
    yield folder, pid
    os.kill(pid, signal.SIGKILL)
    wait(pid)


def test_it_says_who_holds_it_and_what_they_do(held):
    folder, pid = held
    who = holder(folder)
    assert (who.pid, who.host, who.doing, who.sure) == (pid, os.uname().nodename, {"labels": {"done": 3}}, True)
    assert re.fullmatch(rf"process {pid} on \S+ since \d\d:\d\d", str(who))


def test_another_is_refused_and_harms_nothing(held):
    folder, pid = held
    before = (folder / ".lock").read_bytes()
    with pytest.raises(Held, match=rf"run is being run at this moment, by process {pid} on") as caught:
        Lock(folder).take()
    assert f"sslkit status {folder}" in str(caught.value) and isinstance(caught.value, RunError)
    assert (folder / ".lock").read_bytes() == before and holder(folder).pid == pid


def test_the_same_process_is_refused_too(tmp_path):
    with Lock(tmp_path):
        with pytest.raises(Held):
            Lock(tmp_path).take()
        assert holder(tmp_path).pid == os.getpid()
    assert holder(tmp_path) is None and not (tmp_path / ".lock").exists()
    with Lock(tmp_path):
        pass


def test_looking_does_not_let_go_of_ones_own_lock(tmp_path):
    """Closing any descriptor of a file loses all of a process's locks on it."""
    with Lock(tmp_path):
        holder(tmp_path)

        def other():
            with pytest.raises(Held):
                Lock(tmp_path).take()

        assert in_child(other) == "finished"


def test_a_forked_process_does_not_hold_what_its_parent_held(tmp_path):
    """As data workers that outlive a killed run for a moment."""
    folder = tmp_path / "run"
    folder.mkdir()

    def parent():
        with Lock(folder):
            pid = os.fork()
            if not pid:
                wakes()
            (tmp_path / "worker").write_text(str(pid))
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(parent) == "killed"
    worker = int((tmp_path / "worker").read_text())
    os.kill(worker, 0)  # it lives
    assert holder(folder) is None and (folder / ".lock").exists()
    with Lock(folder):
        assert holder(folder).pid == os.getpid()
    os.kill(worker, signal.SIGKILL)


def test_a_lock_file_that_is_removed_while_another_opens_it(tmp_path, monkeypatch):
    """The next one holds the file that is there, not the one that is gone."""
    first, second = Lock(tmp_path), Lock(tmp_path)
    first.take()
    real, done = os.open, []

    def opened(path, *args):
        descriptor = real(path, *args)
        if not done:
            done.append(True)
            first.release()
        return descriptor

    lock._HELD.clear()  # which would tell it from the other in this process
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        second.take()
    assert os.path.samestat(os.fstat(second._descriptor), (tmp_path / ".lock").stat())
    second.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_where_there_are_no_locks_nobody_is_refused(tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(lock.fcntl, "lockf", no_locks)
    with Lock(tmp_path):
        who = json.loads((tmp_path / ".lock").read_text())
        lock._HELD.clear()  # as another process sees it
        assert holder(tmp_path).pid == who["pid"] == os.getpid() and not holder(tmp_path).sure
        Lock(tmp_path).take()
        lock._HELD.clear()
    assert not (tmp_path / ".lock").exists()


def test_without_the_module_nobody_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    with Lock(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_a_folder_that_may_not_be_written_is_for_the_first_file_to_complain_of(tmp_path, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with Lock(tmp_path):
        assert holder(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 3}', "\0\0"])
def test_a_lock_file_that_cannot_be_read_holds_all_the_same(tmp_path, text):
    folder = tmp_path / "run"
    folder.mkdir()

    def hold():
        with Lock(folder):
            (tmp_path / "holds").touch()
            wakes()

    pid = fork(hold)
    until((tmp_path / "holds").exists)
    (folder / ".lock").write_text(text)
    assert str(holder(folder)) == "a process"
    with pytest.raises(Held, match="by a process"):
        Lock(folder).take()
    os.kill(pid, signal.SIGKILL)
    wait(pid)


# In runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(recipe, out):
    """A run that another process is in the middle of."""
    path = recipe()
    mark = out.parent / "there"

    def stays():
        mark.touch()
        signal.pause()

    def action():
        with watched("step", 5, action=stays):
            sslkit.run(path, out=out, device="cpu")

    pid = fork(action, out.parent / "log")
    until(mark.exists)
    yield path, pid
    os.kill(pid, signal.SIGKILL)
    wait(pid)


def test_a_running_folder_is_not_resumed_a_second_time(busy, out, refused):
    path, pid = busy
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file() and file.name != ".lock"}
    said = refused("run", "--resume", out)
    assert f"{out} is being run at this moment, by process {pid} on" in " ".join(said.split())
    assert "What was saved is kept" not in said  # it did not fail
    with pytest.raises(Held):
        sslkit.run(resume=out, device="cpu")
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file() and file.name != ".lock"}
    os.kill(pid, signal.SIGKILL)
    until(lambda: holder(out) is None)
    done = sslkit.run(resume=out, device="cpu")
    clean = sslkit.run(path, out=out.with_name("clean"), device="cpu")
    assert harness.differences(harness.snapshot(clean.folder), done.folder) == []


def test_it_is_held_from_its_first_moment_to_its_last(recipe, out):
    """When the folder takes its place it is held already, and when the summary says `finished` it still is."""
    seen = []
    with (
        watched("rename", 0, "after", lambda: seen.append(holder(out).pid)),
        watched("finish", 0, "after", lambda: seen.append(holder(out).pid)),
    ):
        sslkit.run(recipe(), out=out, device="cpu")
    assert seen == [os.getpid()] * 2
    assert not (out / ".lock").exists() and holder(out) is None


def test_it_is_let_go_of_when_a_run_fails(recipe, out):
    def fail():
        raise RunError("no")

    with watched("step", 5, action=fail), pytest.raises(RunError):
        sslkit.run(recipe(), out=out, device="cpu")
    assert not (out / ".lock").exists() and holder(out) is None


def test_a_finished_run_is_not_touched(recipe, out):
    sslkit.run(recipe(), out=out, device="cpu")
    before = out.stat().st_mtime_ns
    assert sslkit.run(resume=out, device="cpu").finished
    assert out.stat().st_mtime_ns == before


def test_what_another_has_finished_meanwhile_is_not_done_again(recipe, out, monkeypatch):
    """Between looking at the folder and holding it."""
    path = recipe()
    with watched("save", 1, action=lambda: (_ for _ in ()).throw(RunError("stop"))), pytest.raises(RunError):
        sslkit.run(path, out=out, device="cpu")
    real = Lock.__enter__

    def other():
        Lock.__enter__ = real
        sslkit.run(resume=out, device="cpu")

    def late(self):
        assert in_child(other) == "finished"
        return real(self)

    monkeypatch.setattr(Lock, "__enter__", late)
    with watched("step") as steps:
        assert sslkit.run(resume=out, device="cpu").finished
    assert steps == [0] and Run(out).finished


def test_a_baseline_is_held_by_itself_and_by_its_run(recipe, out):
    seen = []

    def look():
        seen.append((holder(out).pid, (holder(out / "baseline") or lock.Holder()).pid))

    with watched("step", 0, action=look):
        sslkit.run(recipe(), overrides={"baseline": True}, out=out, device="cpu")
    assert seen == [(os.getpid(), os.getpid())]
    assert not list(out.rglob(".lock"))


def test_a_studys_runs_are_held_one_after_another(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crew, "context", Here)
    monkeypatch.setattr(cores, "cores", lambda: 1)
    recipe()
    (tmp_path / "study.toml").write_text(
        'base = "tiny.toml"\nseeds = "0"\n[[variant]]\nname = "other"\nset = { "optimizer.rate" = 0.01 }\n'
    )
    held = []

    def look():
        children = (tmp_path / "runs/studies/study/children").iterdir()
        held.append([child.name for child in children if holder(child)])

    with watched("finish", 0, action=look), watched("finish", 1, action=look):
        outcome = conduct(str(tmp_path / "study.toml"), device="cpu")
    assert not outcome.failures and len(held) == 2 and held[0] != held[1]
    assert all(len(names) == 1 for names in held) and not list(tmp_path.rglob(".lock"))


@pytest.mark.parametrize("point", ["finish", "replace"])
def test_what_a_process_left_that_was_killed_once_all_was_done_is_swept_up(recipe, out, point):
    """Nobody takes the lock of what is finished again: not of a run, nor of the baseline inside it."""
    path = recipe("baseline = true\n")

    assert dies_at(lambda: sslkit.run(path, out=out, device="cpu"), point, 0, "after") == "killed"
    assert in_child(lambda: sslkit.run(resume=out, device="cpu")) == "finished"
    (out / ".lock").write_text("{}")
    sslkit.run(resume=out, device="cpu")
    assert not list(out.rglob(".lock"))


def test_a_finished_run_that_another_process_looks_after_is_left_to_it(held):
    folder, pid = held
    lock.sweep(folder)
    assert holder(folder).pid == pid
