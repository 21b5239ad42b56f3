"""A terminal that closes, a machine that sleeps: nothing is lost, and the end is the same to the bit."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import traceback
import warnings

import harness
import pytest
import torch
from harness import fork, in_child, overridden, wait, watched

import sslkit.ahead
from sslkit import cli, output
from sslkit.folder import Run

WITH_WORKERS = ["recipe.toml", "baseline/recipe.toml"]
"What differs from the reference, which has no workers and no console."


def command(run, *more):
    """The run as it is typed, with a live view and a data worker."""
    return ["sslkit", "run", str(run.job.recipe), "--out", str(run.folder), "--device", "cpu", "--set", "workers=1",
            "--set", "tracker.console.use=console", *more]  # fmt: skip


def on_terminal(words, at, action, log):
    """Type a command in a terminal of its own, and close the terminal when the run calls `action`: how it ended.

    As the interpreter does it at its end, what is left of the output is flushed: exit code 120 if that fails.
    """
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid, master = pty.fork()
    if pid:
        os.close(write)
        while os.read(read, 1):
            _hang_up(master)
        os.close(read)
        return wait(pid)
    code = 1
    try:
        os.close(master) if master >= 0 else None
        os.close(read)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.environ.update(TERM="xterm", COLUMNS="80")
        os.fsync = lambda descriptor: None
        torch.set_num_threads(1)
        sys.argv = words

        def closes():
            os.write(write, b"x")
            os.close(write)
            action()

        with watched("step", at, action=closes):
            cli.main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        log.write_text(traceback.format_exc())
    finally:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()
            except OSError:
                code = 120
        os._exit(code)


def _hang_up(master):
    """What a closed window does: everything that was said is read before, and then nobody is there."""
    os.set_blocking(master, False)
    try:
        while os.read(master, 1 << 16):
            pass
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EIO)
    os.close(master)


def until_it_is_gone():
    """Until writing to the terminal fails: the system has sent the signal then."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.write(1, b".")
        except OSError as error:
            assert error.errno == errno.EIO
            return
        time.sleep(0.001)
    raise AssertionError("the terminal did not close")


def test_a_terminal_that_closes_is_a_wish_to_stop(trial):
    run = trial("twin")
    how = on_terminal(command(run), 4, until_it_is_gone, run.log)
    assert how == "interrupted", run.log.read_text() if run.log.exists() else how
    assert run.tree()["step"] == 5 and Run(run.folder).summary["status"] == "interrupted"
    last = json.loads((run.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert "stopped by SIGHUP" in last["message"] and not (run.folder / ".lock").exists()
    run.finish(but=WITH_WORKERS)


def test_a_run_that_nothing_tells_of_its_closed_terminal_goes_on(trial):
    """Under nohup, or disowned: nobody hears what it says any more, and that is all."""
    run = trial("twin")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        how = on_terminal(command(run), 4, until_it_is_gone, run.log)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert how == "finished", run.log.read_text() if run.log.exists() else how
    run.compare(but=WITH_WORKERS)


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.torture), 2])
def test_a_hangup_reaches_the_whole_group(trial, workers):
    """Data workers too: none of them dies before the main process has taken what it needs to save."""
    run = overridden(trial("fixmatch"), workers=workers)
    sslkit.ahead.Worker.without, original = _fails, sslkit.ahead.Worker.without
    try:
        assert run.stop_at("step", 9, [signal.SIGHUP], group=True) == "interrupted"
    finally:
        sslkit.ahead.Worker.without = original
    assert "stopped by SIGHUP" in run.log.read_text()
    run.finish(but=WITH_WORKERS)


def _fails(worker, step):
    """In place of what makes up for a worker that has ended."""
    raise AssertionError(f"a worker ended with {worker.process.exitcode}")


def test_a_hangup_that_is_ignored(trial):
    run = overridden(trial("twin"), workers=1)

    def under_nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with watched("step", 4, action=lambda: os.kill(0, signal.SIGHUP)):
            run.go_on()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    assert in_child(under_nohup, run.log) == "finished", run.log.read_text()
    run.compare(but=WITH_WORKERS)


# A machine that sleeps --------------------------------------------------------------------------------------------


def stopped_and_woken(run, pauses, looks=0.01):
    """The whole process group stopped in the middle, workers that wait included, for many times what one waits for
    another before it looks whether that is still there.
    """

    def sleeps():
        sslkit.ahead.LOOK = looks
        with watched("step", 4, action=lambda: os.kill(0, signal.SIGSTOP)):
            run.go_on()

    pid = fork(sleeps, run.log)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), run.log.read_text()
    for _ in range(pauses):
        time.sleep(5 * looks)
        os.killpg(pid, signal.SIGCONT)
        time.sleep(looks / 5)
        os.killpg(pid, signal.SIGSTOP)
    os.killpg(pid, signal.SIGCONT)
    return wait(pid)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.torture), 2])
def test_stopped_and_woken_again_it_goes_on_to_the_same_bits(trial, workers):
    run = overridden(trial("fixmatch"), workers=workers)
    assert stopped_and_woken(run, pauses=3) == "finished", run.log.read_text()
    run.compare(but=WITH_WORKERS)


@pytest.mark.torture
@pytest.mark.parametrize("name", [*harness.OWN, "fixmatch", "noisy_student", "meta_pseudo_labels", "remixmatch"])
def test_torture_stopped_and_woken_many_times(trial, name):
    run = overridden(trial(name), workers=2)
    assert stopped_and_woken(run, pauses=50, looks=0.1) == "finished", run.log.read_text()
    run.compare(but=WITH_WORKERS)


def test_ended_while_it_was_stopped(trial):
    """A scheduler that suspends a job and then wants it to end."""
    run = overridden(trial("twin"), workers=1)

    def sleeps():
        with watched("step", 4, action=lambda: os.kill(0, signal.SIGSTOP)):
            run.go_on()

    pid = fork(sleeps, run.log)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.killpg(pid, signal.SIGTERM)
    os.killpg(pid, signal.SIGCONT)
    assert wait(pid) == "interrupted", run.log.read_text()
    run.finish(but=WITH_WORKERS)


# Output that goes away --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "word", "how"), [(1, "--help", "finished"), (2, "rnu", "refused")])
def test_a_closed_pipe_is_forgiven(stream, word, how):
    """The exit code is what it would be otherwise; what was to be said is said to nobody."""
    read, write = os.pipe()
    os.close(read)

    def action():
        os.dup2(write, stream)
        kept = sys.stdout, sys.stderr  # which would close their descriptors when they go
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["sslkit", word]
        try:
            cli.main()
        finally:
            for each in (sys.stdout, sys.stderr, *kept):
                each.flush()

    assert in_child(action) == how
    os.close(write)


def test_forgiven_output_says_what_it_can(tmp_path):
    """Bytes, encoding and buffering are those of the stream before."""

    def action():
        with (tmp_path / "log").open("w", encoding="latin-1", errors="replace") as log:
            sys.stdout = log
            print("before é")
            output.forgive()
            assert sys.stdout is not log and (sys.stdout.encoding, sys.stdout.errors) == ("latin-1", "replace")
            print("after é ☃")
            sys.stdout.flush()

    assert in_child(action) == "finished"
    assert (tmp_path / "log").read_text(encoding="latin-1") == "before é\nafter é ?\n"


@pytest.mark.torture
def test_torture_a_real_interpreter_whose_terminal_closes(trial):
    """All of it in a process of its own, its exit included."""
    run = trial("twin")
    program = "from sslkit.cli import main; main()"
    words = [sys.executable, "-c", program, *command(run, "--set", "steps=100000")[1:]]
    primary, replica = pty.openpty()
    process = subprocess.Popen(
        words, stdin=replica, stdout=replica, stderr=replica, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(replica)
    end = time.monotonic() + 120
    while not re.search(rb"/100,000", os.read(primary, 1 << 16)):
        assert time.monotonic() < end
    os.close(primary)
    assert process.wait(120) == 130
    assert Run(run.folder).summary["status"] == "interrupted"
