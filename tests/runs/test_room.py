"""A full disk that gets room again: the run goes on where it can, waits where it cannot, and ends in the same bits."""

import errno
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import harness
import pytest
from harness import watched
from in_process import Here
from safetensors import SafetensorError

import sslkit
from sslkit.errors import DiskFull, Interrupted, RunError
from sslkit.folder import Run
from sslkit.keeping import room
from sslkit_plugins.tracker import jsonl

TELLS = 'tracker = [{ use = "jsonl" }, { use = "console" }]\n'
SAFETENSORS = (
    'Error while serializing: I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }'
)
ERRORS = {
    "no space": OSError(errno.ENOSPC, "No space left on device"),
    "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "safetensors": SafetensorError(SAFETENSORS),
}


CLEAN = {}
"Made once: every test compares with the same."


class Disk:
    """Writing fails while it is full; somebody makes room once the run has slept so many times."""

    def __init__(self, monkeypatch, error=ERRORS["no space"], sleeps=20, log=True):
        self.full, self.error, self.sleeps, self.now = False, error, sleeps, 0.0
        self.on_sleep = lambda: None
        monkeypatch.setattr(room, "sleep", self.sleep)
        monkeypatch.setattr(room, "clock", lambda: self.now)
        for point in ("tensors", "columns", "text", "sync"):
            owner, name = harness.POINTS[point]
            monkeypatch.setattr(owner, name, self.failing(getattr(owner, name)))
        if log:
            monkeypatch.setattr(jsonl, "write_line", self.failing(jsonl.write_line, room.full(jsonl.FILE, self.error)))

    def failing(self, original, error=None):
        def write(*args, **kwargs):
            if self.full and error:
                raise error
            if self.full:
                raise self.error
            return original(*args, **kwargs)

        return write

    def sleep(self, seconds):
        self.now += seconds
        self.sleeps -= 1
        self.on_sleep()
        if self.sleeps == 0:
            self.full = False

    def fill(self):
        self.full = True


@pytest.fixture
def clean(recipe, out, capsys):
    """The recipe's file, and what a run of it leaves that always has room.

    Its labels are refined, so that there is a moment between making and keeping them.
    """
    path = recipe(TELLS + '[[labeler]]\nuse = "confidence"\nthreshold = 0.0\n')
    if not CLEAN:
        CLEAN.update(harness.snapshot(sslkit.run(path, out=out.with_name("clean"), device="cpu").folder))
        capsys.readouterr()
    return path, CLEAN


@pytest.fixture
def disk(monkeypatch):
    return lambda *args, **kwargs: Disk(monkeypatch, *args, **kwargs)


@pytest.mark.parametrize("error", ERRORS)
def test_a_checkpoint_that_does_not_fit_is_said_and_training_goes_on(clean, out, disk, capsys, error):
    """The one after step 2 of the last generation; room is made before the next save, which is the generation's end."""
    path, expected = clean
    made = disk(ERRORS[error], log=False)
    with watched("save", 3, action=made.fill), watched("step", 7, action=lambda: setattr(made, "full", False)):
        sslkit.run(path, out=out, device="cpu")
    said = capsys.readouterr().out
    full = "the disk is full (a quota is used up)" if error == "quota" else "the disk is full"
    place = out / "checkpoints/generation-1-step-2"
    assert f"warning: {full}: {place} could not be written. What was saved before is unharmed. Training goes on" in said
    assert "warning: there is room on the disk again: this checkpoint is saved" in said
    assert made.now == 0, "it did not wait"
    assert harness.differences(expected, out) == []


NEEDED = {
    "a line of the log": ("report", 4),
    "the log's first line": ("report", 0),
    "the end of a generation": ("save", 2),
    "a model": ("model", 0),
    "pseudo-labels": ("refine", 0),
    "the last model": ("model", 1),
    "the summary": ("finish", 0),
}


@pytest.mark.parametrize("what", NEEDED)
def test_where_it_cannot_go_on_it_waits_for_room(clean, out, disk, capsys, what):
    path, expected = clean
    made = disk(sleeps=20)
    with watched(*NEEDED[what], action=made.fill):
        done = sslkit.run(path, out=out, device="cpu")
    said = capsys.readouterr().out
    assert "could not be written. What was saved before is unharmed. Waiting for room, for at most 60 minutes" in said
    assert said.count("Waiting for room") == said.count("there is room on the disk again: going on") == 1
    assert made.sleeps <= 0 and 8 < made.now < 60
    assert harness.differences(expected, out) == []
    assert done.summary["status"] == "finished" and not (out / ".lock").exists()


@pytest.mark.parametrize(("what", "number"), [
    ("a line of the log", signal.SIGINT), ("the end of a generation", signal.SIGHUP),
    ("pseudo-labels", signal.SIGTERM), ("the summary", signal.SIGINT),
])  # fmt: skip
def test_a_signal_ends_the_waiting_with_everything_that_was_saved(clean, out, disk, what, number):
    path, expected = clean
    made = disk(sleeps=-1)
    made.on_sleep = lambda: os.kill(os.getpid(), number)
    with watched(*NEEDED[what], action=made.fill), pytest.raises(Interrupted) as caught:
        sslkit.run(path, out=out, device="cpu")
    assert f"stopped by {number.name} while there was no room; the disk is full: " in str(caught.value)
    assert f"sslkit run --resume {out}" in str(caught.value) and made.now <= 1
    made.full = False
    sslkit.run(resume=out, device="cpu")
    assert harness.differences(expected, out) == []


def test_a_signal_beside_a_full_disk_does_not_begin_to_wait(clean, out, disk):
    path, expected = clean
    made = disk(sleeps=-1)

    def both():
        made.fill()
        os.kill(os.getpid(), signal.SIGTERM)

    with (
        watched("step", 6, action=both),
        pytest.raises(Interrupted, match="stopped by SIGTERM while there was no room"),
    ):
        sslkit.run(path, out=out, device="cpu")
    assert made.now == 0
    made.full = False
    sslkit.run(resume=out, device="cpu")
    assert harness.differences(expected, out) == []


def test_it_waits_an_hour_where_nobody_looks(clean, out, disk):
    path, expected = clean
    made = disk(sleeps=-1)
    with watched("save", 1, action=made.fill), pytest.raises(DiskFull) as caught:
        sslkit.run(path, out=out, device="cpu")
    assert "Nobody made room within 60 minutes" in str(caught.value) and room.LIMIT <= made.now < room.LIMIT + 1
    assert any(f"sslkit run --resume {out}" in note for note in caught.value.__notes__)
    made.full = False
    sslkit.run(resume=out, device="cpu")
    assert harness.differences(expected, out) == []


@pytest.mark.parametrize("terminal", [True, False, None])
def test_on_a_terminal_it_waits_as_long_as_it_takes(monkeypatch, terminal):
    class Stream:
        def isatty(self):
            return terminal

    monkeypatch.setattr("sys.stdout", None if terminal is None else Stream())
    assert room.limit_here() == (None if terminal else 3600)


def test_tries_become_rarer(disk):
    """2, 4, 8, 16, 30, 30 ... seconds apart."""
    made, tries = disk(sleeps=-1), []

    def write():
        tries.append(made.now)
        if len(tries) < 8:
            raise DiskFull("full")
        return "written"

    with room.patience(lambda: None, lambda message, waits: None, None, None) as patience:
        assert room.patiently(write) == "written"
        assert room.seconds_lost() == patience.lost == made.now
    assert [b - a for a, b in itertools.pairwise(tries)] == [2, 4, 8, 16, 30, 30, 30]


def test_what_cannot_even_be_told_does_not_end_the_waiting(disk):
    """A tracker that writes its warnings to the same disk."""
    made, heard = disk(sleeps=3), []
    made.fill()

    def write():
        if made.full:
            raise DiskFull("full")

    def tell(message, waits):
        heard.append((message, waits))
        room.patiently(write)

    with room.patience(lambda: None, tell, None, None):
        room.patiently(write)
    assert [waits for _, waits in heard] == [True, False]


def test_outside_of_a_run_nobody_waits():
    def write():
        raise DiskFull("full")

    for call in (room.patiently, lambda write: room.save_checkpoint(write, needed=False)):
        with pytest.raises(DiskFull):
            call(write)
    assert room.seconds_lost() == 0


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), SafetensorError("invalid header")])
def test_other_errors_are_no_full_disk(error):
    assert not room.is_full(error)


def test_a_line_of_the_log_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    """A disk takes the first bytes of a line, and then no more: Python says so by a number, not by an error."""
    log, line = tmp_path / "metrics.jsonl", b'{"kind": "step"}\n'
    jsonl.write_line(log, line, anew=True)
    real = Path.open

    @contextmanager
    def opened(path, *args, **kwargs):
        with real(path, *args, **kwargs) as file:
            yield Small(file)

    class Small:
        def __init__(self, file):
            self.file, self.left = file, 5

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            if self.left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            written, self.left = self.file.write(data[: self.left]), 0
            return written

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with pytest.raises(DiskFull, match=r"metrics\.jsonl could not be written"):
            jsonl.write_line(log, line)
    assert log.read_bytes() == line
    jsonl.write_line(log, line)
    assert log.read_bytes() == 2 * line


def test_a_log_that_turns_out_not_to_be_on_the_disk(tmp_path, monkeypatch):
    """Network file systems find out at fsync."""
    from sslkit import Event, Progress

    tracker = jsonl.Jsonl()
    tracker.report(Event("start", Progress(0), {"folder": str(tmp_path)}))

    def over_quota(descriptor):
        raise ERRORS["quota"]

    monkeypatch.setattr(os, "fsync", over_quota)
    with pytest.raises(DiskFull, match="quota"):
        tracker.state_dict()


def test_a_full_disk_before_a_resumed_run_has_begun_is_said_at_once(clean, out, disk):
    """Somebody has just typed the command and looks."""
    path, expected = clean
    with watched("save", 1, action=lambda: (_ for _ in ()).throw(RunError("stop"))), pytest.raises(RunError):
        sslkit.run(path, out=out, device="cpu")
    made = disk()
    made.fill()
    with pytest.raises(DiskFull, match=r"summary\.json could not be written"):
        sslkit.run(resume=out, device="cpu")
    assert made.now == 0
    made.full = False
    sslkit.run(resume=out, device="cpu")
    assert harness.differences(expected, out) == []


def test_a_study_says_that_a_run_waits(recipe, tmp_path, disk, capsys, monkeypatch):
    """Its runs have no tracker that talks to people. They run in this process, whose disk can be filled here."""
    from sslkit.study import cores, crew
    from sslkit.study.conduct import conduct

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crew, "context", Here)
    monkeypatch.setattr(cores, "cores", lambda: 1)
    recipe("metric = []\n")
    study = tmp_path / "study.toml"
    study.write_text(
        'base = "tiny.toml"\nseeds = "0"\n[[variant]]\nname = "other"\nset = { "optimizer.rate" = 0.01 }\n'
    )
    made = disk(sleeps=10)
    with watched("save", 1, action=made.fill):
        outcome = conduct(str(study), device="cpu")
    said = " ".join(capsys.readouterr().out.split())
    assert not outcome.failures and made.now > 0
    assert "Waiting for room, for at most 60 minutes" in said and "there is room on the disk again" in said


# A disk that is really full ---------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB of its own; mounting takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-o", "size=48m", "-t", "tmpfs", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(["mount", *options], capture_output=True).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(filler):
    with filler.open("ab", buffering=0) as file:
        try:
            while file.write(b"0" * 4096):
                pass
        except OSError:
            return


@pytest.mark.parametrize("where", [("save", 0), ("report", 5)])
def test_a_disk_that_is_really_full(clean, small_disk, out, disk, monkeypatch, where, capsys):
    """Where nothing can be mounted the same is simulated, as everywhere above."""
    path, expected = clean
    if small_disk is None:
        made, folder = disk(), out
        filling = made.fill
    else:
        folder, filler, slept = small_disk / "out", small_disk / "filler", []
        filling = lambda: fill(filler)  # noqa: E731

        def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 10:
                filler.unlink()

        monkeypatch.setattr(room, "sleep", sleep)
        monkeypatch.setattr(room, "clock", lambda: sum(slept))
    with watched(*where, action=filling):
        sslkit.run(path, out=folder, device="cpu")
    assert "the disk is full" in capsys.readouterr().out
    assert harness.differences(expected, folder) == []
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in lines) and not re.findall("warning", "".join(lines[1:]))
    assert Run(folder).summary["status"] == "finished"
