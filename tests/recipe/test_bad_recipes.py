"""Whatever a recipe says, it is accepted, or refused with a message that names a key or a line; nothing else happens."""

import random
import re
import shutil
import tomllib
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import timm
from click.testing import CliRunner
from guard import untouched
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from kitchen import BASE, MORE
from room import furnish
from spoil import settings as typed
from spoil import spoiled_table, spoiled_text

from sslkit import cli
from sslkit.commands.options import overrides
from sslkit.errors import MissingData, RecipeError
from sslkit.hookspecs import SECTIONS
from sslkit.recipe import fields, load, shipped
from sslkit.recipe.model import Settings

KEYS = {
    *fields.hints(Settings),
    *SECTIONS,
    "views",
    "optimizer",
    "pass",
    "generation",
    "extends",
    "on",
    "use",
    "name",
    "rate",
    "stream",
}
STARTS = [BASE, MORE, *(path.read_text().replace('"../', '"') for path in shipped().values())]
"Recipes of a folder below are spoiled where the others lie."
SMALL = [start for start in STARTS if "efficientnet" not in start]
"Those whose models are composed in a moment."
SEEDS = st.integers(0, 2**64 - 1).map(random.Random)
CHANCES = st.one_of(SEEDS, SEEDS, SEEDS, st.randoms(use_true_random=False))
"Even odds, mostly; the last likes extremes, and what fails by it is made smaller."
LONGEST = 120_000  # characters of a message: fifty problems of a few lines
UNREADABLE = ("cannot be read: ", "not valid TOML", "bytes; a recipe has at most", "characters; at most", "is a study")


def entries(message):
    """The problems of a message that counts them, each with its lines; the whole message, if it counts none."""
    if not re.search(r": [\d,]+ problems?\n", message):
        return [message]
    found = re.split(r"\n(?=  \S)", message)[1:]
    return [entry for entry in found if not entry.lstrip().startswith("... and")]


def names_something(entry, own, said, lines):
    """Whether a problem names a line that the recipe has, or a key that it or the recipe's language has."""
    line = re.search(r"\bline (\d+)", entry)
    if line:
        return 1 <= int(line[1]) <= lines
    quoted = re.findall(r"`([^`]*)`", entry.split("\n")[0]) + re.findall(r"\[\[?([\w.]+)\]?\]", entry)
    words = {word for text in quoted for word in re.findall(r"[^\s\[\].=\"']+", text)}
    odd = "`" in own or "``" in entry  # a key that holds what quotes it, or is empty
    return any(word in KEYS or word in said for word in words) or odd


def refused(message, path, data, sets):
    """Asserts that a message helps."""
    text = data.decode("utf-8", "replace")
    own = text + "\n".join(sets)
    said = own + "".join(STARTS)
    assert "Traceback" not in message and len(message) < LONGEST
    assert all(line.isprintable() and len(line) < 2200 for line in message.split("\n")), repr(message)
    if message.startswith("--set ") or (str(path) in message and any(mark in message for mark in UNREADABLE)):
        return
    lines = max(text.count("\n"), *(start.count("\n") for start in STARTS)) + 1
    for entry in entries(message):
        assert names_something(entry, own, said, lines), f"names neither key nor line: {entry}"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with everything that recipes may name, good and bad. What is imported at first use is imported."""
    folder = tmp_path_factory.mktemp("room")
    furnish(folder)
    shipped_files = shipped()["supervised"].parent
    shutil.copytree(shipped_files, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for section in SECTIONS:
        for point in entry_points(group=f"sslkit.{section}"):
            point.load()
    for name in shipped():
        load(name, names=True)
    assert timm.list_models()
    return folder


@pytest.fixture
def without_data(monkeypatch):
    """Recipes are composed, and nothing is trained."""

    def absent(_):
        raise MissingData("not in this test")

    monkeypatch.setattr("sslkit.check.examine.open_data", absent)


def judge(path, sets, tally):
    """Load a recipe as `check` does; the message, if there is one."""
    try:
        load(path, overrides(sets), names=True)
    except RecipeError as error:
        tally["refused"] += 1
        return str(error)
    tally["accepted"] += 1
    return ""


def command(path, sets, tally):
    """The same by the command itself."""
    done = CliRunner().invoke(cli.cli, ["check", str(path), *[part for text in sets for part in ("--set", text)]])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in (0, 2), done.output
    assert "Traceback" not in done.output
    tally["commands accepted" if done.exit_code == 0 else "commands refused"] += 1
    assert bool(done.stderr) == (done.exit_code == 2)
    return done.stderr.removeprefix("error: ")


def throw(count, room, tally):
    """So many spoiled recipes at check's validation."""

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(chance=CHANCES)
    def one(chance):
        run = command if chance.random() > 0.96 else judge
        start = chance.choice(SMALL if run is command else STARTS)
        data = (spoiled_table if chance.random() < 0.7 else spoiled_text)(start, chance)
        sets = typed(chance) if chance.random() > 0.85 else []
        path = room / "spoiled.toml"
        path.write_bytes(data)
        before = sorted(room.iterdir())
        note(f"--set {sets}\n{data[:5000]!r}")
        with untouched():
            message = run(path, sets, tally)
        assert sorted(room.iterdir()) == before
        if message:
            refused(message, path, data, sets)

    one()


def test_five_hundred_spoiled_recipes(room, without_data):
    tally = Counter()
    throw(500, room, tally)
    assert tally.total() >= 500
    assert tally["accepted"] > 20 and tally["refused"] > 200 and tally["commands refused"] > 5


@pytest.mark.torture
def test_twenty_thousand_spoiled_recipes(room, without_data):
    tally = Counter()
    throw(20_000, room, tally)
    print(dict(tally))
    assert tally.total() >= 20_000
    assert tally["accepted"] > 1000 and tally["refused"] > 8000 and tally["commands accepted"] > 20


def test_the_guard_sees_what_is_done(tmp_path):
    """Or else its silence would say nothing."""
    deeds = [
        lambda: (tmp_path / "a").write_text(""), lambda: (tmp_path / "a").unlink(), lambda: (tmp_path / "b").mkdir(),
        lambda: (tmp_path / "b").rmdir(), lambda: (tmp_path / "c").symlink_to("d"), lambda: (tmp_path / "c").rename(tmp_path / "e"),
    ]  # fmt: skip
    for deed in deeds:
        with pytest.raises(AssertionError, match=r"open|os\."), untouched():
            deed()
    with untouched():
        Path(__file__).read_text()


def test_a_message_that_helps_is_told_from_one_that_does_not():
    path = Path("/r.toml")
    refused("/r.toml: 1 problem\n\n  line 1  what", path, b"x = 1\n", [])
    refused("/r.toml: cannot be read: it is a zip archive, not a TOML file", path, b"PK", [])
    for message in ("/r.toml: 1 problem\n\n  what", "/r.toml: 1 problem\n\n  line 999  what", "bad", "x\x1b[2J line 1"):
        with pytest.raises(AssertionError):
            refused(message, path, b"x = 1\n", [])


def test_spoiling_spoils_and_spares():
    """The mutations reach far and keep some recipes sound TOML."""
    made = [spoiled_table(random.Random(seed).choice(STARTS), random.Random(seed)) for seed in range(100)]
    assert len(set(made)) > 90
    parsed = 0
    for data in made:
        try:
            tomllib.loads(data.decode())
            parsed += 1
        except ValueError:
            continue
    assert parsed > 80
