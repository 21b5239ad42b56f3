"""`sslkit run`: what it passes on, what it refuses, what it prints of a finished run."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.commands.run import finished

SUMMARY = {
    "generations": [{"index": 0, "steps": 5, "test_accuracy": 0.75}, {"index": 1, "steps": 5, "test_accuracy": 0.8125}],
    "baseline": None,
    "seed": 3,
    "status": "finished",
}


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Every call of `sslkit.runs.run`, which here only says that it is done."""
    heard = []

    def run(recipe=None, **options):
        heard.append((recipe, options))
        folder = options["resume"] or tmp_path
        if options["resume"]:
            (folder / "summary.json").write_text(json.dumps(SUMMARY))
        return SimpleNamespace(folder=folder, summary=SUMMARY)

    monkeypatch.setitem(sys.modules, "sslkit.runs", SimpleNamespace(run=run))
    return heard


def invoke(*args):
    return CliRunner().invoke(cli.cli, ["run", *map(str, args)], prog_name="sslkit")


def test_options_reach_the_run(calls):
    done = invoke(
        "mine.toml", "--set", "labeler.confidence.threshold=0.5", "--set", "init=previous", "--set", "steps = 3",
        "--out", "somewhere", "--seed", 7, "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    overrides = {"labeler.confidence.threshold": 0.5, "init": "previous", "steps": 3}
    options = {"seed": 7, "overrides": overrides, "out": Path("somewhere"), "resume": None, "device": "cpu"}
    assert calls == [("mine.toml", options)]


def test_what_is_not_said_is_left_to_the_recipe(calls):
    invoke("mine.toml")
    assert calls == [("mine.toml", {"seed": None, "overrides": None, "out": None, "resume": None, "device": None})]


def test_the_last_setting_of_a_key_counts(calls):
    invoke("mine.toml", "--set", "steps=3", "--set", "steps=4")
    assert calls[0][1]["overrides"] == {"steps": 4}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Name a RECIPE to run, or a run folder to go on with"),
        (("a.toml", "--out", "x", "--resume", "y"), "give one of them"),
        (("a.toml", "--seed", "-1"), "--seed"),
        (("a.toml", "--set", "steps"), "steps"),
        (("a.toml", "--stes", "3"), "--stes"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused_before_anything_runs(args, message, calls):
    done = invoke(*args)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not calls


@pytest.mark.parametrize("recipe", [(), ("mine.toml",)])
def test_resume_works_with_and_without_the_recipe(recipe, calls, tmp_path):
    (tmp_path / "summary.json").write_text('{"status": "interrupted"}')
    done = invoke(*recipe, "--resume", tmp_path)
    assert done.exit_code == 0
    assert calls[0][0] == (recipe[0] if recipe else None)
    assert calls[0][1]["resume"] == tmp_path
    assert done.output == ""  # the run's own tracker has said it


def test_a_finished_run_prints_its_table_again(calls, tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    done = invoke("--resume", tmp_path)
    assert done.exit_code == 0
    for word in ("teacher", "75.00%", "student 1", "81.25%", "+6.25"):
        assert word in done.output
    assert str(tmp_path) in done.output.replace("\n", "")


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"status": "running"}'])
def test_what_cannot_be_read_is_not_finished(text, tmp_path):
    if text is not None:
        (tmp_path / "summary.json").write_text(text)
    assert not finished(tmp_path)
