"""What a study would run, said without running or writing anything."""

import json
from pathlib import Path

from click.testing import CliRunner

from sslkit import cli
from sslkit.errors import Interrupted

SAME = 'base = "base.toml"\nseeds = "0-2"\n[[variant]]\nname = "same"\nset = { steps = 3 }\n'


def invoke(*args):
    return CliRunner().invoke(cli.cli, ["study", *map(str, args)], prog_name="sslkit")


def files():
    return sorted(str(path) for path in Path().rglob("*"))


def lines(output):
    return [" ".join(line.split()) for line in output.splitlines()]


def test_what_is_finished_says_how_long_the_others_take(write, factory):
    path = write()
    factory.trouble[5] = Interrupted("stopped")  # after seed 0 and the base of seed 1
    assert invoke(path).exit_code == 130
    summaries = sorted(Path("runs/studies/mine").glob("children/*/summary.json"))
    for one in summaries:
        one.write_text(json.dumps({**json.loads(one.read_text()), "wall_seconds": 60.0}))
    before, calls = files(), len(factory.calls)
    done = invoke(path, "--dry-run")
    assert done.exit_code == 0, done.output
    assert (files(), len(factory.calls)) == (before, calls)
    said = lines(done.output)
    assert said[0] == "mine: 9 runs, 4 finished; 5 would be made, 1 at a time, 1 thread each"
    assert any(
        line.startswith("base seeds 0-1 seed 2 1 min") and "2 finished runs of this recipe" in line for line in said
    )
    assert any(line.startswith("no dropout seed 0 seeds 1-2 1 min") for line in said)
    assert any(line.startswith("All that is missing takes about 5 min ") for line in said), done.output


def test_what_is_shared_and_with_which_study(write, factory):
    write()
    assert invoke("mine.toml", "--seeds", "0-1").exit_code == 0
    said = lines(invoke(write(SAME, "other.toml"), "--dry-run").output)
    assert said[0].startswith("other: 6 runs, 4 finished; 2 would be made")
    assert "Run once for all: base, same." in said
    assert "From ../mine: 4 finished runs." in said
    assert not Path("runs/studies/other").exists()


def test_a_trial_where_nothing_is_known(write, factory):
    """Of the real recipe, of three steps."""
    done = invoke(write(), "--seeds", "0", "--dry-run", "--device", "cpu")
    said = lines(done.output)
    assert done.exit_code == 0 and not factory.calls and not Path("runs").exists()
    assert sum("a trial of a few steps" in line for line in said) == 3
    assert any("A trial knows of steps, labels and evaluations" in line for line in said)


def test_nothing_is_missing(write, factory):
    path = write()
    invoke(path, "--seeds", "0")
    assert "Nothing is missing." in invoke(path, "--seeds", "0", "--dry-run").output
