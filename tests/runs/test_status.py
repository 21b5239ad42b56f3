"""`sslkit status`: how far a run is, at every moment of its life, from its folder alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import fork, wait, watched
from test_lock import until

import sslkit
from sslkit.commands import status
from sslkit.errors import RunError
from sslkit.keeping.lock import Lock, holder
from sslkit.watching import replay, standing

LOG = 'tracker = [{ use = "jsonl" }]\n'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def look(sslkit_cli):
    """`look(folder)`: what `sslkit status --json` says; it changes nothing."""

    def call(*args):
        before = files("runs")
        done = sslkit_cli("status", *args, "--json")
        assert done.exit_code == 0, done.output
        assert files("runs") == before
        return json.loads(done.output)

    return call


def files(folder):
    return {path: path.stat().st_mtime_ns for path in [Path(folder), *Path(folder).rglob("*")] if path.exists()}


@pytest.fixture
def busy(recipe, tmp_path):
    """`busy("step", 5)`: a run of another process that has stopped at a point; killed at the end."""
    children = []

    def make(point, at, how="before", text=LOG, **overrides):
        mark = tmp_path / f"mark-{len(children)}"

        def stays():
            mark.touch()
            while True:
                signal.pause()

        def action():
            with watched(point, at, how, stays):
                sslkit.run(recipe(text), device="cpu", overrides=overrides)

        children.append(fork(action, tmp_path / "log"))
        until(mark.exists)
        return children[-1]

    yield make
    for pid in children:
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait(pid)


def stop(error, path, at=5):
    def action():
        raise error

    with watched("step", at, action=action), pytest.raises(type(error)):
        sslkit.run(path, device="cpu")


# At every moment --------------------------------------------------------------------------------------------------


def test_in_the_middle_of_a_generation(busy, look, sslkit_cli):
    pid = busy("step", 7)  # of the last generation's four, three are done
    said = look("runs/tiny")
    assert (said["state"], said["process"]["pid"], said["process"]["host"]) == ("running", pid, os.uname().nodename)
    place = {"role": "run", "generation": 1, "generations": 2, "name": "student 1", "model": "test_resnet", "step": 3,
             "steps": 4, "steps_at_risk": 1, "labeling": None, "why": None, "waiting": None, "resume": None}  # fmt: skip
    assert {name: said[name] for name in place} == place
    assert said["losses"].keys() == {"supervised", "distillation"} and said["metrics"]["test_accuracy"] > 0
    assert said["images_per_second"] > 0 and said["seconds_left"] >= 0 and 0 <= said["waited_share"] <= 1
    assert said["checkpoint"]["path"] == "runs/tiny/checkpoints/generation-1-step-2" and said["checkpoint"]["step"] == 2
    assert abs(said["checkpoint"]["time"] - time.time()) < 600 and abs(said["last_sign"] - time.time()) < 600
    assert [entry["index"] for entry in said["finished"]] == [0] and "facts" not in said["finished"][0]
    text = sslkit_cli("status", "runs/tiny").output
    for words in (f"running: process {pid} on ", "generation 2 of 2 · student 1", "3/4 steps", "images/s", "left",
                  "last checkpoint: generation-1-step-2, ", "a kill now would lose 1 step\n", "teacher "):  # fmt: skip
        assert words in text
    assert "go on with" not in text and "\x1b" not in text


def test_while_the_baseline_is_trained(busy, look, sslkit_cli):
    busy("step", 3, baseline=True)
    said = look("runs/tiny")
    assert (said["state"], said["role"], said["name"]) == ("running", "baseline", "supervised baseline")
    assert (said["generation"], said["step"], said["steps"], said["generations"]) == (0, 3, 8, 1)
    assert said["folder"] == "runs/tiny" and said["checkpoint"]["path"].startswith("runs/tiny/baseline/")
    assert "tiny: supervised baseline" in sslkit_cli("status", "runs/tiny").output


def test_after_the_baseline(busy, look):
    busy("step", 10, baseline=True)
    said = look("runs/tiny")
    assert (said["role"], said["generation"], said["step"], said["baseline"]["steps"]) == ("run", 0, 2, 8)


def test_while_labels_are_made(busy, look, sslkit_cli):
    busy("label", 2)  # two of three chunks of 16 are done
    said = look("runs/tiny")
    assert (said["state"], said["generation"], said["name"]) == ("running", 1, "student 1")
    assert said["labeling"] == {"done": 16, "total": 40} or said["labeling"] == {"done": 32, "total": 40}
    text = sslkit_cli("status", "runs/tiny").output
    assert f"{said['labeling']['done']}/40 labels" in text and "generation 2 of 2 · student 1" in text


def test_before_anything_is_trained(busy, look):
    busy("step", 0)
    said = look("runs/tiny")
    assert (said["state"], said["generation"], said["step"], said["steps"]) == ("running", 0, 0, 4)
    assert said["checkpoint"] is None and said["steps_at_risk"] == 0 and said["losses"] == {}


def test_the_moment_it_is_made(busy, look):
    """No log yet."""
    busy("rename", 0, "after")
    said = look("runs/tiny")
    assert (said["state"], said["step"], said["steps"], said["recipe"]) == ("running", 0, 4, "tiny")


def test_while_it_waits_for_room(busy, look, sslkit_cli, recipe, tmp_path):
    pid = busy("step", 6)
    os.kill(pid, signal.SIGKILL)
    until(lambda: holder(tmp_path / "runs/tiny") is None)
    with Lock(tmp_path / "runs/tiny") as lock:
        lock.tell(waiting="the disk is full: x could not be written. Waiting for room")
        said = look("runs/tiny")
        text = sslkit_cli("status", "runs/tiny").output
    assert said["waiting"].startswith("the disk is full: x") and said["seconds_left"] is None
    assert "the disk is full: x could not be written. Waiting for room\n" in text


def test_after_a_kill(busy, look, sslkit_cli, recipe, tmp_path):
    pid = busy("step", 7)
    os.kill(pid, signal.SIGKILL)
    until(lambda: holder(tmp_path / "runs/tiny") is None)
    said = look("runs/tiny")
    assert (said["state"], said["process"], said["steps_at_risk"]) == ("killed", None, 1)
    assert said["resume"] == "sslkit run --resume runs/tiny" and said["images_per_second"] is None
    text = sslkit_cli("status", "runs/tiny").output
    assert "killed: it never said that it ended; last sign of life " in text
    assert "1 step after it will be done again" in text
    assert text.endswith("go on with:\n    sslkit run --resume runs/tiny\n")
    assert sslkit_cli("run", *said["resume"].split()[2:], "--device", "cpu").exit_code == 0
    assert look("runs/tiny")["state"] == "finished"


def test_after_a_stop(recipe, look, sslkit_cli):
    with watched("step", 6, action=lambda: os.kill(os.getpid(), signal.SIGTERM)), pytest.raises(sslkit.SslkitError):
        sslkit.run(recipe(LOG), device="cpu")
    said = look("runs/tiny")
    assert (said["state"], said["why"]) == ("stopped", "stopped by SIGTERM; everything is saved.")
    assert (said["generation"], said["step"], said["steps_at_risk"], said["checkpoint"]["step"]) == (1, 3, 0, 3)
    text = sslkit_cli("status", "runs/tiny").output
    assert re.search(r"^stopped \d+ s ago\nstopped by SIGTERM; everything is saved\.\n", text, re.M)
    assert text.count("go on with") == 1


def test_after_a_failure(recipe, look, sslkit_cli):
    stop(RunError("[loss] mine: it broke"), recipe(LOG))
    said = look("runs/tiny")
    assert (said["state"], said["why"], said["step"]) == ("failed", "[loss] mine: it broke", 1)
    text = sslkit_cli("status", "runs/tiny").output
    assert "\nfailed " in text and "\n[loss] mine: it broke\n" in text and "go on with:\n    sslkit run" in text


def test_after_its_end(recipe, look, sslkit_cli):
    sslkit.run(recipe(LOG), device="cpu")
    said = look("runs/tiny")
    assert (said["state"], said["resume"], said["steps_at_risk"], len(said["finished"])) == ("finished", None, 0, 2)
    text = sslkit_cli("status", "runs/tiny").output
    assert "finished " in text and "points on the teacher" in text and "go on with" not in text


def test_where_no_lock_can_tell(recipe, look, sslkit_cli, monkeypatch, tmp_path):
    stop(RunError("x"), recipe(LOG))
    summary = tmp_path / "runs/tiny/summary.json"
    summary.write_text(summary.read_text().replace("failed", "running"))
    (tmp_path / "runs/tiny/.lock").write_text('{"pid": 3, "host": "far", "since": 0, "doing": {}}\n')

    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_locks)
    assert look("runs/tiny")["state"] == "unknown"
    assert "running or killed (here no lock tells which); last sign" in sslkit_cli("status", "runs/tiny").output


# Files that are missing, or in the making -------------------------------------------------------------------------


KILLED = []


@pytest.fixture
def killed(recipe, busy, tmp_path, tmp_path_factory):
    """A run that was killed in its last generation; made once, and copied."""
    if not KILLED:
        os.kill(busy("step", 7), signal.SIGKILL)
        until(lambda: holder(tmp_path / "runs/tiny") is None)
        KILLED.append(shutil.copytree(tmp_path / "runs/tiny", tmp_path_factory.mktemp("killed") / "tiny"))
    if not (tmp_path / "runs/tiny").exists():
        shutil.copytree(KILLED[0], tmp_path / "runs/tiny")
    return tmp_path / "runs/tiny"


def test_without_a_log(killed, look, sslkit_cli):
    """The checkpoint says where it is, the models' cards what came out, the recipe the rest."""
    (killed / "metrics.jsonl").unlink()
    said = look(killed)
    assert (said["generation"], said["step"], said["steps"], said["model"]) == (1, 2, 4, "test_resnet")
    assert (said["losses"], said["steps_at_risk"], len(said["finished"])) == ({}, 0, 1)
    text = sslkit_cli("status", killed).output
    assert "tiny · 2 generations" in text and "generation 2 of 2" in text and "2/4 steps" in text


LINES = [b'{"kind": "st', b"\0\0\0", b"[]\n", b'{"kind": "step"}\n', b"\xff\xfe\n",
         b'{"kind": "step", "generation": "x", "step": null}\n', b'{"kind": "step", "generation": 99, "step": 1}\n']  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_being_written(killed, look, line):
    with (killed / "metrics.jsonl").open("ab") as file:
        file.write(line)
    assert look(killed)["state"] == "killed"


@pytest.mark.parametrize("name", [
    "summary.json", "environment.json", "recipe.toml", "metrics.jsonl", "models/generation-0/card.json", ".lock",
])  # fmt: skip
def test_a_file_that_is_half_there_or_empty_or_gone(killed, look, sslkit_cli, name):
    path = killed / name
    text = path.read_bytes()
    for change in (lambda: path.write_bytes(text[: len(text) // 2]), lambda: path.write_bytes(b""), path.unlink):
        change()
        if name == "recipe.toml" and not path.exists():
            continue
        said = look(killed)
        assert said["state"] == "killed" and said["checkpoint"]["step"] == 2
        assert sslkit_cli("status", killed).exit_code == 0


def test_of_a_long_log_only_the_end_is_read(killed, look, monkeypatch):
    log = killed / "metrics.jsonl"
    whole = look(killed)
    monkeypatch.setattr(replay, "TAIL", 1200)
    assert log.stat().st_size > 3 * replay.TAIL
    assert look(killed) == whole


def test_a_folder_that_nobody_may_write(killed, look):
    """Only root is in the way of trying it: then it is seen that nothing is opened for writing."""
    opened, real = [], os.open

    def watching(path, flags, *more, **rest):
        opened.append(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        return real(path, flags, *more, **rest)

    try:
        os.open = watching
        assert look(killed)["state"] == "killed"
    finally:
        os.open = real
    assert opened and not any(opened)


def test_it_needs_no_torch(killed):
    program = (
        "import sys\nfrom sslkit.cli import cli\n"
        f"try: cli.main(['status', {str(killed)!r}, '--json'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'pydantic', 'timm') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("}\n[]\n"), done.stdout[-300:] + done.stderr


# Which run --------------------------------------------------------------------------------------------------------


def test_by_default_the_running_one_or_else_the_newest(killed, look, sslkit_cli, tmp_path):
    for name, age in (("older", 1000), ("newer", -1000)):
        shutil.copytree(killed, tmp_path / "runs" / name)
        moment = time.time() - age
        for path in [tmp_path / "runs" / name, *(tmp_path / "runs" / name).rglob("*")]:
            os.utime(path, (moment, moment))
    assert look()["folder"] == "runs/newer"
    text = sslkit_cli("status").output
    assert "runs/tiny · killed · student 1, step 3/4\nruns/older · killed · student 1, step 3/4\n" in text
    with Lock(tmp_path / "runs/older"):
        assert look()["folder"] == "runs/older"


def test_a_name_in_runs_will_do(killed, look):
    assert look("tiny")["folder"] == "runs/tiny"


def test_what_is_no_run_folder(killed, refused, tmp_path):
    assert "tinny is no run folder: it is not there\n  Did you mean `tiny`?" in refused("status", "tinny")
    assert "runs is no run folder: it has no recipe.toml" in refused("status", "runs")
    shutil.rmtree("runs")
    assert "there is no run in runs/" in refused("status")


# Watching ---------------------------------------------------------------------------------------------------------


def test_watching_ends_with_the_run(busy, sslkit_cli, monkeypatch, tmp_path):
    """In a pipe: a line for each change, and the whole of it at the end."""
    pid, slept = busy("step", 7), []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            os.kill(pid, signal.SIGKILL)
            until(lambda: holder(tmp_path / "runs/tiny") is None)

    monkeypatch.setattr(status, "pause", sleep)
    done = sslkit_cli("status", "--watch")
    assert done.exit_code == 0 and len(slept) == 3
    lines = done.output.splitlines()
    assert lines[:2] == ["runs/tiny · running · student 1, step 3/4", "runs/tiny · killed · student 1, step 3/4"]
    assert "go on with:" in lines
    assert [json.loads(line)["state"] for line in sslkit_cli("status", "--watch", "--json").output.splitlines()] == [
        "killed"
    ]


def test_ctrl_c_leaves_the_view_and_nothing_else(busy, sslkit_cli, monkeypatch):
    busy("step", 7)

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "pause", interrupt)
    done = sslkit_cli("status", "--watch")
    assert done.exit_code == 0 and done.output == "runs/tiny · running · student 1, step 3/4\n"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits(killed, sslkit_cli, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = sslkit_cli("status", "runs/tiny").output.splitlines()
    assert max(map(len, lines)) <= width and "…" not in "".join(lines)


def test_it_is_never_taller_than_the_terminal(killed, sslkit_cli, monkeypatch):
    """Where it is redrawn in place, older generations scroll off."""
    for number in range(1, 30):
        shutil.copytree(killed / "models/generation-0", killed / f"models/generation-{number}")
        card = killed / f"models/generation-{number}/card.json"
        card.write_text(json.dumps({**json.loads(card.read_text()), "index": number}))
    monkeypatch.setenv("LINES", "24")
    lines = sslkit_cli("status", "runs/tiny").output.splitlines()
    assert len(lines) < 24 and any(line.startswith("student 29 ") for line in lines)


def test_on_a_terminal_it_has_colors_unless_they_are_unwanted(killed, sslkit_cli, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[31mkilled" in sslkit_cli("status", "runs/tiny").output
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.findall(r"\x1b\[[0-9;]*3[1-7]m", sslkit_cli("status", "runs/tiny").output)


def test_signs_of_life():
    assert standing.ago(time.time() + 1000) == 0
    assert standing.newest_first([]) == []
