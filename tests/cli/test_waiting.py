"""Long work says on a terminal how far it is and how long it still takes; elsewhere nothing, and nothing where it is short."""

import io
import sys

import pytest

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
