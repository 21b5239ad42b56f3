"""Long work says on a terminal how far it is and how long it still takes; elsewhere nothing, and nothing where it is short."""

import io
import sys

import pytest
from rich.console import Console
from rich.live import Live

from sslkit import waiting
from sslkit.waiting import waited


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("kind", "patience", "shown"), [(Terminal, 0, True), (Terminal, 1e9, False), (io.StringIO, 0, False)]
)
def test_a_bar_on_a_terminal_once_work_takes_its_time(monkeypatch, kind, patience, shown):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", kind())
    monkeypatch.setattr(waiting, "PATIENCE", patience - 1)
    assert list(waited(range(5), "hashing", 5)) == [0, 1, 2, 3, 4]
    said = sys.stderr.getvalue()
    assert ("hashing" in said and "/5" in said and ":" in said) == shown
    assert shown or said == ""


def test_no_bar_below_a_live_view(monkeypatch):
    """A metric that takes its time within a run would write over the run's own picture."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(waiting, "PATIENCE", -1)
    screen = Terminal()
    with Live("steps", console=Console(file=screen), auto_refresh=False):
        assert list(waited(range(5), "attacking", 5)) == [0, 1, 2, 3, 4]
    assert "steps" in screen.getvalue() and sys.stderr.getvalue() == ""
    assert list(waited(range(5), "attacking", 5)) == [0, 1, 2, 3, 4] and "attacking" in sys.stderr.getvalue()


def test_work_within_another_work_has_its_line_below(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(waiting, "PATIENCE", -1)
    with waiting.waiting("measuring", 2, at_once=True) as done:
        for _ in range(2):
            assert list(waited(range(3), "attacking", 3)) == [0, 1, 2]
            waiting._open[0].progress.refresh()
            done(1)
        assert [task.description for task in waiting._open[0].progress.tasks] == ["measuring"], "it is gone when done"
    assert waiting._open == []
    said = sys.stderr.getvalue()
    assert "measuring" in said and "attacking" in said


def test_work_that_fails_leaves_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(OSError, match="full"), waiting.waiting("outer", 1), waiting.waiting("inner", 1):
        raise OSError("full")
    assert waiting._open == []
