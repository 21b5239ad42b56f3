"""What a shell completes, without importing what takes seconds."""

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from sslkit.cli import cli
from sslkit.hookspecs import SECTIONS
from sslkit.recipe import shipped
from sslkit.registry import names


def completed(*words):
    *args, incomplete = words
    found = ShellComplete(cli, {}, "sslkit", "_SSLKIT_COMPLETE").get_completions(list(args), incomplete)
    return [item.value for item in found if item.type == "plain"], any(item.type == "file" for item in found)


def test_commands_are_completed():
    assert {"recipes", "plugins", "run"} <= set(completed("")[0])
    assert completed("plugins", "")[0] == ["list", "show"] and completed("recipes", "c")[0] == ["copy"]


@pytest.mark.parametrize("command", ["run", "check"])
def test_recipes_are_completed_beside_files(command):
    assert completed(command, "") == (list(shipped()), True)
    assert completed(command, "fix") == (["fixmatch"], True)


def test_shipped_recipes_and_studies_are_completed_by_their_names():
    assert completed("recipes", "copy", "mean")[0] == ["mean_teacher"]
    assert "studies/noisy_student" in completed("recipes", "show", "stud")[0]
    assert completed("study", "noisy") == (["noisy_student"], True)


def test_plugins_are_completed():
    assert set(completed("plugins", "show", "")[0]) == {name for section in SECTIONS for name in names(section)}
    assert completed("plugins", "show", "rand")[0] == ["randaugment"]


def test_completion_imports_nothing_heavy():
    program = (
        "import sys\nfrom click.shell_completion import ShellComplete\nfrom sslkit.cli import cli\n"
        "complete = ShellComplete(cli, {}, 'sslkit', 'X').get_completions\n"
        "assert complete(['run'], 'fix') and complete(['plugins', 'show'], 'rand') and complete([], 'r')\n"
        "print([name for name in ('torch', 'timm', 'numpy', 'pydantic', 'albumentations') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
