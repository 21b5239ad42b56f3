"""What is said of a run's speed when its process was stopped for a while, or waited for room on the disk."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch

from sslkit.errors import DiskFull
from sslkit.journal import Journal
from sslkit.keeping import pauses, room
from sslkit.types import LossTerm

STEPS = 100


@pytest.fixture
def run(monkeypatch):
    """`run(pauses)`: all steps but the last ten, a second each, half of it spent waiting; the log's timing then.

    `pauses`: step -> seconds that the process was stopped at it, in the step or in the waiting before it.
    """

    def steps(in_step=(), in_wait=(), between=(), woken=True, at_log=0.0, second=1.0):
        now = [1000.0]
        monkeypatch.setattr(pauses, "clock", lambda: now[0])
        heard = []
        hooks = SimpleNamespace(report=lambda kind, progress, **values: heard.append(values))
        settings = SimpleNamespace(steps=STEPS)
        state = SimpleNamespace(
            step=0, label_timing=None, stored=None, rate=1.0, evaluating=0.0, hooks=hooks, progress=None,
            cfg=SimpleNamespace(settings=settings, optimizer=SimpleNamespace(rate=0.1), index=0),
        )  # fmt: skip
        log = Journal(state, lambda: None)
        batch = SimpleNamespace(index=torch.arange(8))

        def passes(table, step):
            now[0] += second / 2 + dict(table).get(step, 0)
            if woken and step in table:
                os.kill(os.getpid(), signal.SIGCONT)

        with pauses.noticed():
            for step in range(STEPS - 10):
                passes(in_wait, step)
                log.loaded()
                passes(in_step, step)
                log.stepped(SimpleNamespace(unlabeled=None, batches=[batch]), [LossTerm(torch.tensor(1.0), 1.0, "a")])
                state.step += 1
                if step in between:
                    passes(between, step)
                    now[0] -= second / 2
                log.ready()
        now[0] += at_log
        log.log()
        return heard[-1]["timing"], log.totals()

    return steps


def test_undisturbed(run):
    timing, totals = run()
    assert timing == {"images_per_second": 8.0, "waited_share": 0.5, "seconds_left": 10.0}
    assert totals["seconds"] == 90 and totals["waited"] == totals["worked"] == 45


@pytest.mark.parametrize("where", ["in_step", "in_wait", "between"])
@pytest.mark.parametrize("stops", [{5: 3600.0}, {50: 1.0, 51: 7200.0}, {89: 1e6}])
def test_a_pause_does_not_count(run, where, stops):
    timing, totals = run(**{where: stops})
    assert timing == {"images_per_second": 8.0, "waited_share": 0.5, "seconds_left": 10.0}
    assert totals["seconds"] == 90 and totals["waited"] == totals["worked"] == 45


@pytest.mark.parametrize("slow", [{5: 3.0, 50: 400.0}, {0: 100.0}])
def test_a_slow_step_is_no_pause(run, slow):
    """A disk that makes the model wait is what the figures are there for."""
    timing, totals = run(in_wait=slow, woken=False)
    assert totals["seconds"] == 90 + sum(slow.values()) and totals["waited"] == 45 + sum(slow.values())
    assert timing["images_per_second"] == pytest.approx(8 * 90 / totals["seconds"])


def test_what_waking_does_is_left_as_it_was():
    before = signal.getsignal(signal.SIGCONT)
    with pauses.noticed():
        assert signal.getsignal(signal.SIGCONT) is not before
    assert signal.getsignal(signal.SIGCONT) is before


def test_waiting_for_room_does_not_count(run, monkeypatch):
    """As for a line of the log."""
    now = [0.0]
    monkeypatch.setattr(room, "clock", lambda: now[0])
    monkeypatch.setattr(room, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    tries = []

    def write():
        tries.append(now[0])
        if len(tries) < 3:
            raise DiskFull("full")

    with room.patience(lambda: None, lambda message, waits: None, None, None):
        room.patiently(write)  # before this generation
        assert room.seconds_lost() == 6
        before = Journal.log

        def logs(self):
            tries.clear()
            room.patiently(write)
            before(self)

        monkeypatch.setattr(Journal, "log", logs)
        _, totals = run(at_log=6.0)
        assert totals["seconds"] == 90
