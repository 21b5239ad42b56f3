"""The command line: what it imports, what it says, how it exits."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.errors import Interrupted, RecipeError, RunError

HEAVY = ("torch", "timm", "numpy", "pydantic", "albumentations", "cv2", "sklearn", "scipy")


@pytest.fixture
def invoke():
    return lambda *args: CliRunner().invoke(cli.cli, list(args), prog_name="sslkit")


@pytest.mark.parametrize(
    "args", [["--help"], ["run", "--help"], ["run"], ["rnu"], ["plugins", "--help"], ["recipes", "--help"]]
)
def test_talking_about_itself_imports_nothing_heavy(args):
    program = (
        "import sys\n"
        "from sslkit.cli import main\n"
        f"sys.argv = ['sslkit', *{args!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_help_lists_every_command_with_its_line(invoke):
    done = invoke("--help")
    assert done.exit_code == 0
    for name, (_, line) in cli.COMMANDS.items():
        assert name in done.output
        assert line in " ".join(done.output.split())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_of_the_table_is_there_and_explains_itself(name, invoke):
    command = getattr(importlib.import_module(cli.COMMANDS[name][0]), name)
    assert isinstance(command, click.Command)
    done = invoke(name, "--help")
    assert done.exit_code == 0
    assert f"Usage: sslkit {name}" in done.output
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("rnu", "Did you mean `run`?"),
        ("chekc", "Did you mean `check`?"),
        ("mine.toml", "Did you mean `sslkit run mine.toml`?"),
        ("zzzzzz", f"Commands: {', '.join(cli.COMMANDS)}."),
    ],
)
def test_an_unknown_command_gets_a_suggestion(word, answer, invoke):
    done = invoke(word)
    assert done.exit_code == 2
    assert f"There is no command `{word}`. {answer}" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecipeError("recipes/mine.toml: 2 problems\n\n  line 31  [[labeler]] confidence: unknown key `x`"), 2),
        (RunError("a long line " * 30 + "[bold]no markup[/bold]"), 2),
        (Interrupted("stopped by SIGINT; everything is saved. Go on with:\n    sslkit run --resume runs/x"), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_said_as_they_are_without_a_traceback(error, code, invoke, monkeypatch):
    def run(*_, **__):
        raise error

    monkeypatch.setitem(sys.modules, "sslkit.runs", SimpleNamespace(run=run))
    done = invoke("run", "mine.toml")
    assert done.exit_code == code
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert (str(error) or "stopped by Ctrl-C") in done.stderr
    assert done.stderr.startswith("error: ") == (code == 2)


def test_a_bug_keeps_its_traceback(invoke, monkeypatch):
    def run(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setitem(sys.modules, "sslkit.runs", SimpleNamespace(run=run))
    assert isinstance(invoke("run", "mine.toml").exception, ZeroDivisionError)
