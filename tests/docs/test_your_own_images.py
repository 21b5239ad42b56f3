"""`docs/your-own-images.md`: its commands are run one after another, as a new user would, on photos of mixed sizes."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sslkit.cli import cli
from sslkit.registry import names
from sslkit.starting import rules

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from photos import picture, put

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-images.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
QUICK = {
    "sslkit init photos/": "sslkit init photos/ --minutes 0.01",
    "sslkit run photos.toml": "sslkit run photos.toml --set steps=2",
    "sslkit run photos-corrected.toml": "sslkit run photos-corrected.toml --set steps=1 --set baseline=false",
}
"Commands that would take minutes, and how they are made short."
SIZES = ((12, 20), (33, 24), (40, 40), (18, 60), (25, 19))


def photos(root):
    """Two classes by their colour, of sizes that differ, in several formats."""
    numbers = {"labeled/cat": 5, "labeled/dog": 6, "unlabeled": 20, "test/cat": 4, "test/dog": 4}
    for place, count in numbers.items():
        for i in range(count):
            colour = i % 2 if place == "unlabeled" else place.endswith("dog")
            suffix = (".png", ".jpg", ".webp", ".bmp")[i % 4]
            put(root / place / f"{i}{suffix}", picture(3 * len(place) * (i + 1) * 10 + colour, *SIZES[i % 5]))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos")
    first = "unlabeled/0.png"
    (tmp_path / "corrections.csv").write_text(f"id,label\n{first},dog\n")
    return tmp_path


def done(command):
    program, *words = shlex.split(QUICK.get(command, command), comments=True)
    assert program == "sslkit"
    result = CliRunner(env={"COLUMNS": "100"}).invoke(cli, words, prog_name="sslkit")
    assert result.exit_code == 0, (command, result.output)
    return result.output


def test_every_command_runs(here):
    said = {command: done(command) for command in COMMANDS}
    assert set(QUICK) <= set(said)
    for file in (
        "photos.toml",
        "photos-corrected.toml",
        "labels.csv",
        "gallery.html",
        "photos-generation-2.onnx",
        "photos-generation-2",
    ):
        assert Path(file).exists(), sorted(Path().iterdir())
    shown = re.search(r"```text\n(10 classes in.*?)```", PAGE, re.DOTALL)[1]
    told = [line.split()[0] for line in shown.splitlines() if line.strip() and not line.startswith(("note", " "))]
    assert [word for word in told if word[0].isalpha() and word not in said["sslkit init photos/"]] == []


def test_the_four_commands_are_those_of_the_page():
    first = re.search(r"(?:^    sslkit .*\n)+", PAGE, re.MULTILINE)[0]
    assert [
        line.split("#")[0].strip() for line in first.splitlines() if line.split("#")[0].strip() not in COMMANDS
    ] == []


def test_the_rules_are_those_of_the_code():
    listed = rules.__doc__[rules.__doc__.index("- *Size*") :].strip()
    assert listed in PAGE


@pytest.mark.parametrize("name", names("data"))
def test_every_data_plugin_is_in_the_table(name):
    assert f"| `{name}` |" in PAGE
