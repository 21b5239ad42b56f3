"""Output that is what was asked for, and for which there is no room: exit code 2, and a line on stderr."""

import os
import sys
from pathlib import Path

import pytest

from sslkit import cli, output

sys.path.insert(0, str(Path(__file__).parents[1] / "resume"))
from harness import in_child

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


def to_full(words, tmp_path, narrating=False):
    """How a command ends whose stdout is on a full disk, and what it says on stderr."""
    said = tmp_path / "stderr"

    def action():
        output._NARRATES[0] = narrating
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        kept = sys.stdout, sys.stderr  # which would close their descriptors when they go
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["sslkit", *words]
        try:
            cli.main()
        finally:
            for each in (sys.stdout, sys.stderr, *kept):  # as Python does when it ends: nothing is left over
                each.flush()

    return in_child(action), said.read_text()


@pytest.mark.parametrize(
    "words", ["schema", "recipes show noisy_student", "recipes list --json", "plugins list", "--help"]
)
def test_it_is_said(words, tmp_path):
    how, said = to_full(words.split(), tmp_path)
    assert how == "refused"
    assert (
        said == "error: the output could not be written: no space left on device. What was written of it is not whole\n"
    )


def test_a_runs_narration_is_dropped(tmp_path):
    assert to_full(["--help"], tmp_path, narrating=True) == ("finished", "")
