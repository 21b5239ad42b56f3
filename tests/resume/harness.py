"""Real processes that are killed: forked from one that has imported everything, stopped anywhere, compared to the bit.

A fork costs milliseconds where a fresh interpreter takes seconds to import torch.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
import timm  # noqa: F401 - imported once, not in every fork
import torch
from sklearn.datasets import load_digits  # noqa: F401

import sslkit.artifacts as artifacts
import sslkit.engine as engine
import sslkit.hooks as hooks
import sslkit.store as store
from sslkit.errors import Interrupted, SslkitError
from sslkit.folder import Run
from sslkit.recipe import load, shipped
from sslkit.runs import run

HERE = Path(__file__).parent
OUTCOMES = {0: "finished", 130: "interrupted", 2: "refused", 1: "crashed", -signal.SIGKILL: "killed"}
TIMES = {"time", "timing", "wall_seconds", "seconds"}
"Keys that hold times, wherever they stand."
ELSEWHERE = {"bytes", "table"}
"A file's length depends on the digits of its times; a checkpoint's recipe is compared as the run's recipe.toml is."


# Recipes ----------------------------------------------------------------------------------------------------------

SMALL = {
    "steps": 6,
    "save_every": 2,
    "evaluate_every": 3,
    "log_every": 4,  # no divisor of save_every: a line must survive a stop between two of them
    "workers": 0,
    "model.size": 8,
    "data.test": 30,
    "data.validation": 30,
    "label_batch": 512,
    "tracker.console.enabled": False,
}
MORE: dict[str, dict[str, Any]] = {"noisy_student": {"labeler.confidence.threshold": 0.1, "generation": [{}, {}, {}]}}
"What makes a shipped recipe small beside that."
SCALES = ("finetune_noisy_student", "noisy_student_imagenet", "noisy_student_svhn", "noisy_student_small_to_large")
"Noisy Student at other sizes."
SHIPPED = [name for name in shipped() if "/" not in name and name not in SCALES]
OWN = {path.stem: path for path in sorted((HERE / "recipes").glob("*.toml"))}
RECIPES: dict[str, str | Path] = {**{name: name for name in SHIPPED}, **OWN}
LONG = [pytest.param(name, marks=pytest.mark.torture) if name in SHIPPED else name for name in RECIPES]
"All of them; the shipped ones, of whose parts the others are made, under torture."


@functools.cache
def small(name: str) -> dict[str, Any]:
    """Overrides that make a recipe of this suite small, and let filters that few rows pass at first keep some."""
    if name in OWN:
        return {}
    found = {**SMALL, "batch.labeled": 8}
    generations = load(name).generations
    for cfg in generations:
        each = len(generations) > 1 and "generation" not in MORE.get(name, {})
        prefix = f"generation.{cfg.index}." if each else ""
        found[f"{prefix}batch.unlabeled"] = min(8, cfg.settings.batch.unlabeled)
        for entry in cfg.entries():
            if entry.section == "labeler" and getattr(entry.plugin, "threshold", 0) > 0.5:
                found[f"labeler.{entry.name}.threshold"] = 0.15
            if entry.use == "randaugment" and getattr(entry.plugin, "translate_max", None):
                found[f"noise.{entry.name}.translate_max"] = 3
    return {**found, **MORE.get(name, {})}


@dataclass(frozen=True, eq=False)
class Job:
    """A recipe with overrides; `begin` in a new folder, `resume` in an old one."""

    recipe: str | Path
    overrides: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, **more: Any) -> Job:
        """A recipe of this suite."""
        return cls(RECIPES[name], tuple({**small(name), **more}.items()))

    def begin(self, folder: Path) -> Run:
        """Run it."""
        return run(self.recipe, overrides=dict(self.overrides), out=folder, device="cpu")

    def go_on(self, folder: Path) -> Run:
        """Begin it, or resume what was begun: what a user does after a crash."""
        return run(resume=folder, device="cpu") if folder.exists() else self.begin(folder)


# Processes --------------------------------------------------------------------------------------------------------


def fork(action: Callable[[], Any], log: Path | None = None) -> int:
    """A child that runs `action` and exits as the command line does; its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fork of a process with threads: numpy's, which sleep
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)  # a group of its own, with its data workers
        said = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # instead of those that pytest put there
        cv2.setNumThreads(0)
        os.fsync = lambda descriptor: None  # a killed process leaves what it wrote to the system, which is not killed
        signal.signal(signal.SIGINT, signal.default_int_handler)
        action()
        code = 0
    except Interrupted as error:
        code = 130
        os.write(2, f"{error}\n".encode())
    except SslkitError as error:
        code = 2
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, limit: float = 120.0) -> str:
    """How a child ended, as a word of `OUTCOMES`."""
    end = time.monotonic() + limit
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return OUTCOMES.get(os.waitstatus_to_exitcode(status), str(os.waitstatus_to_exitcode(status)))
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"the child did not end within {limit} seconds")
        time.sleep(0.002)


def in_child(action: Callable[[], Any], log: Path | None = None) -> str:
    """Run `action` in a child of its own to its end."""
    return wait(fork(action, log))


def killed_after(
    action: Callable[[], Any], seconds: float, log: Path | None = None, number: int = signal.SIGKILL
) -> str:
    """Run `action` in a child that gets a signal after some time; how it ended."""
    pid = fork(action, log)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return OUTCOMES.get(os.waitstatus_to_exitcode(status), "?")
        time.sleep(0.001)
    os.kill(pid, number)
    return wait(pid)


# Points at which a process dies -----------------------------------------------------------------------------------

POINTS: dict[str, tuple[Any, str]] = {
    "step": (engine, "train_step"),
    "assemble": (engine, "assemble"),
    "evaluate": (engine, "evaluate"),
    "label": (hooks.Hooks, "label"),
    "refine": (hooks.Hooks, "refine"),
    "report": (hooks.Hooks, "report"),
    "sync": (artifacts, "_sync"),
    "checksum": (artifacts, "_sha256"),
    "tensors": (artifacts, "save_file"),
    "columns": (store, "write_tensors"),
    "rename": (Path, "rename"),
    "replace": (Path, "replace"),
    "text": (Path, "write_text"),
    "remove": (artifacts.shutil, "rmtree"),
    "save": (Run, "save"),
    "model": (Run, "keep_model"),
    "finish": (Run, "finish"),
}
"Name -> where the function lives that is called there."


def die() -> None:
    """As `kill -9` does it: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(original: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Write half of a file, as a process does that is killed while writing."""
    original(*args, **kwargs)
    path = next(Path(a) for a in args if isinstance(a, Path))
    os.truncate(path, path.stat().st_size // 2)


@contextmanager
def watched(point: str, at: int = -1, how: str = "before", action: Callable[[], Any] = die) -> Iterator[list[int]]:
    """Count the calls of a point, and `action` (die) before, after or within the one of number `at`."""
    owner, name = POINTS[point]
    original = getattr(owner, name)
    count = [0]

    @functools.wraps(original)
    def counting(*args: Any, **kwargs: Any) -> Any:
        number, count[0] = count[0], count[0] + 1
        if number != at:
            return original(*args, **kwargs)
        if how == "before":
            action()
            return original(*args, **kwargs)
        if how == "within" and point in ("tensors", "columns", "text"):
            half_written(original, *args, **kwargs)
            action()
        answer = original(*args, **kwargs)
        action()
        return answer

    setattr(owner, name, counting)
    try:
        yield count
    finally:
        setattr(owner, name, original)


def dies_at(action: Callable[[], Any], point: str, at: int, how: str = "before", log: Path | None = None) -> str:
    """Run `action` in a child that kills itself at a point."""

    def doomed() -> None:
        with watched(point, at, how):
            action()

    return in_child(doomed, log)


def count_points(action: Callable[[], Any]) -> dict[str, int]:
    """How often a run passes each point; `action` runs in this process."""
    counts = {}
    stack = [watched(point) for point in POINTS]
    entered = [(point, manager, manager.__enter__()) for point, manager in zip(POINTS, stack, strict=True)]
    try:
        action()
    finally:
        for point, manager, count in reversed(entered):
            manager.__exit__(None, None, None)
            counts[point] = count[0]
    return counts


# Comparing --------------------------------------------------------------------------------------------------------


def timeless(value: Any) -> Any:
    """A JSON value without what depends on the clock."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES | ELSEWHERE}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def content(path: Path) -> Any:
    """What a file says, comparable between runs."""
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    return hashlib.sha256(path.read_bytes()).hexdigest()


def newest_checkpoint(folder: Path) -> Path | None:
    """Where a run would go on."""
    paths = [path for path in (folder / "checkpoints").glob("generation-*") if path.is_dir()]
    return max(paths, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)], default=None)


def overridden(run: Trial, **overrides: Any) -> Trial:
    """The same run with overrides that must not change what comes out."""
    run.job = Job(run.job.recipe, (*run.job.overrides, *overrides.items()))
    return run


def snapshot(folder: Path) -> dict[str, Any]:
    """Everything of a run folder that must not depend on where it was stopped: file -> what it says.

    Of the checkpoints it is the newest (a stop adds one of its own at its step, so the other may differ). Checksums
    cover files with times in them; what they guard is compared itself.
    """
    found = {}
    newest = {newest_checkpoint(folder), newest_checkpoint(folder / "baseline")}
    for path in sorted(folder.rglob("*")):
        inside = path.parent
        if path.is_dir() or path.name == artifacts.CHECKSUMS:
            continue
        if inside.parent.name == "checkpoints" and inside not in newest and not inside.name.startswith("."):
            continue
        found[str(path.relative_to(folder))] = content(path)
    return found


def differences(expected: dict[str, Any], folder: Path) -> list[str]:
    """Files that differ from what an uninterrupted run left, with what differs in them."""
    got = snapshot(folder)
    lines = [f"{name} is missing" for name in expected.keys() - got.keys()]
    lines += [f"{name} is left over" for name in got.keys() - expected.keys()]
    for name in sorted(expected.keys() & got.keys()):
        if got[name] != expected[name]:
            lines.append(f"{name} differs: {_first(expected[name], got[name])}")
    return lines


def _first(expected: Any, got: Any, path: str = "") -> str:
    """Where two values first differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in {**expected, **got}:
            if expected.get(key) != got.get(key):
                return _first(expected.get(key), got.get(key), f"{path}/{key}")
    if isinstance(expected, list) and isinstance(got, list):
        for i, (a, b) in enumerate(zip(expected, got, strict=False)):
            if a != b:
                return _first(a, b, f"{path}/{i}")
    return f"{path}: {str(expected)[:200]} became {str(got)[:200]}"


REFERENCES: dict[Path, tuple[dict[str, Any], dict[str, int], float]] = {}


def reference(job: Job, root: Path) -> tuple[dict[str, Any], dict[str, int], float]:
    """An uninterrupted run's snapshot, how often it passes each point, and its seconds; made once for each folder."""
    if root not in REFERENCES:
        REFERENCES[root] = _reference(job, root)
    return REFERENCES[root]


def _reference(job: Job, root: Path) -> tuple[dict[str, Any], dict[str, int], float]:
    folder, told = root / "reference", root / "points.json"

    def action() -> None:
        told.write_text(json.dumps(count_points(lambda: job.begin(folder))))

    began = time.monotonic()
    log = root / "reference.log"
    root.mkdir(parents=True, exist_ok=True)
    assert in_child(action, log) == "finished", log.read_text()
    return snapshot(folder), json.loads(told.read_text()), time.monotonic() - began


class Trial:
    """A run that is stopped, and stopped, and in the end compared with one that never was."""

    def __init__(self, job: Job, root: Path, folder: Path) -> None:
        self.job, self.folder = job, folder
        self.expected, self.points, self.seconds = reference(job, root)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.log = folder.with_name(folder.name + ".log")
        self.story: list[str] = []

    def go_on(self) -> None:
        """Begin, or resume."""
        self.job.go_on(self.folder)

    def kill(self, seconds: float, number: int = signal.SIGKILL) -> str:
        """Stop after some time."""
        self.story.append(f"signal {number} after {seconds:.3f} s")
        return self._told(killed_after(self.go_on, seconds, self.log, number))

    def kill_at(self, point: str, at: int, how: str = "before") -> str:
        """Stop at a point."""
        self.story.append(f"killed {how} {point} {at}")
        return self._told(dies_at(self.go_on, point, at, how, self.log))

    def _told(self, outcome: str) -> str:
        said = self.log.read_text() if self.log.exists() else ""
        assert outcome in ("killed", "finished", "interrupted"), f"{self.story}: {outcome}\n{said}"
        return outcome

    def stop_at(self, point: str, at: int, signals: Sequence[int] = (signal.SIGTERM,), group: bool = False) -> str:
        """Ask politely to stop, at a point; `group`: as Ctrl-C does, data workers included."""
        self.story.append(f"signals {list(signals)} at {point} {at}")

        def ask() -> None:
            for number in signals:
                os.kill(0 if group else os.getpid(), number)

        def asked() -> None:
            with watched(point, at, action=ask):
                self.go_on()

        return self._told(in_child(asked, self.log))

    def refused(self, **options: Any) -> str:
        """What is said to an attempt to resume with other options; nothing may change."""
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        with pytest.raises(SslkitError) as caught:
            run(**{"resume": self.folder, "device": "cpu", **options})
        after = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        changed = [p.name for p in {**before, **after} if before.get(p) != after.get(p)]
        # The first two say that the run failed; a killed process leaves its lock file, which the next one removes.
        assert set(changed) <= {"summary.json", "metrics.jsonl", ".lock"}
        return str(caught.value)

    def tree(self) -> dict[str, Any]:
        """The newest checkpoint."""
        path = newest_checkpoint(self.folder)
        assert path is not None
        return artifacts.load_tree(path, "state")

    def finish(self, but: Sequence[str] = (), before: Callable[[], Any] = lambda: None) -> list[str]:
        """Go on to the end, and compare all files but those that are meant to differ; the warnings on the way.

        `before` is called in the process that goes on.
        """
        told = self.log.with_suffix(".warnings")

        def action() -> None:
            before()
            told.write_text(json.dumps(self.job.go_on(self.folder).warnings))

        assert in_child(action, self.log) == "finished", f"{self.story}\n{self.log.read_text()}"
        self.compare(but)
        warned: list[str] = json.loads(told.read_text())
        return warned

    def compare(self, but: Sequence[str] = ()) -> None:
        """Whether the finished run is the uninterrupted one."""
        wrong = [line for line in differences(self.expected, self.folder) if line.split()[0] not in but]
        assert not wrong, f"{self.story}\n" + "\n".join(wrong)


def random_kills(trial: Trial, draws: random.Random, most: int) -> None:
    """Stop a run up to `most` times, by the clock or at a point, then finish it."""
    for _ in range(draws.randint(1, most)):
        if draws.random() < 0.5:
            outcome = trial.kill(draws.uniform(0, trial.seconds))
        else:
            point = draws.choice([point for point, count in trial.points.items() if count])
            how = draws.choice(["before", "after", "within"])
            outcome = trial.kill_at(point, draws.randrange(trial.points[point]), how)
        if outcome == "finished":
            break
    trial.finish()
