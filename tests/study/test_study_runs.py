"""Which runs a study makes, shares, reuses and goes on with; what becomes of those that fail."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.errors import Interrupted, RunError
from sslkit.recipe import baseline_of, dump, load
from sslkit.study.children import plan
from sslkit.study.file import load_study

FOLDER = Path("runs/studies/mine")


def invoke(*args):
    return CliRunner().invoke(cli.cli, ["study", *map(str, args)], prog_name="sslkit")


def results(folder=FOLDER):
    return json.loads((folder / "results.json").read_text())


def rows(folder=FOLDER):
    return {row["name"]: row for row in results(folder)["rows"]}


def test_a_study_from_its_file_to_its_results(write, factory):
    done = invoke(write())
    assert done.exit_code == 0, done.output
    assert [kind for kind, _, _ in factory.calls] == ["out"] * 9  # base, variant and baseline, three seeds
    assert all(folder.parent == FOLDER / "children" for _, folder, _ in factory.calls)
    found = rows()
    assert list(found) == ["base", "no dropout", "supervised baseline", "rival"]
    base, bare, baseline, rival = found.values()
    assert base["test"]["mean"] == pytest.approx(0.91)
    assert base["test"]["deviation"] == pytest.approx(0.01)
    assert base["selected"]["mean"] == pytest.approx(0.90)  # of the last generation, which is best on validation
    assert base["teacher"]["mean"] == pytest.approx(0.81)
    assert base["gain"]["mean"] == pytest.approx(0.10)
    assert base["gain"]["pairs"] == 3
    assert base["measures"]["test_accuracy"]["difference"] is None
    assert bare["measures"]["test_accuracy"]["difference"]["mean"] == pytest.approx(-0.06)
    assert bare["measures"]["test_accuracy"]["difference"]["half_width"] == pytest.approx(0.0, abs=1e-9)
    assert bare["gain_ratio"] == pytest.approx(0.4)  # a gain of 0.04 of 0.10
    assert bare["verdict"] == "expected lower: undecided at 3 seeds, whose differences are all equal"
    assert baseline["measures"]["test_accuracy"]["difference"]["mean"] == pytest.approx(-0.10)
    assert baseline["teacher"]["mean"] is None
    assert rival["test"]["values"] == {"0": 0.85, "1": 0.85, "2": 0.85}
    assert rival["measures"]["test_accuracy"]["difference"]["mean"] == pytest.approx(-0.06)
    against = results()["base_minus"]
    assert {name: round(one["mean"], 6) for name, one in against.items()} == {
        "its teacher": 0.1, "supervised baseline": 0.1, "rival": 0.06,
    }  # fmt: skip
    assert against["rival"]["low"] == pytest.approx(0.06 - 0.01 / 3**0.5 * 4.302653, rel=1e-5)
    for words in (
        "91.00% ± 1.00",
        "+10.00",
        "40%",
        "-6.00",
        "base minus rival: +6.00 points (95% interval +3.52 to +8.48",
    ):
        assert words in done.output


def test_children_are_the_recipes_with_their_seed_and_without_baseline_or_live_view(write, factory):
    invoke(write(), "--seeds", "4")
    recipes = {recipe.hash: recipe for recipe in factory.recipes.values()}
    base = load("base.toml", seed=4)
    assert {base.hash, baseline_of(base).hash} < recipes.keys()
    assert len(recipes) == 3
    assert all(folder.name == recipe.hash for folder, recipe in factory.recipes.items())
    for recipe in recipes.values():
        assert not recipe.settings.baseline
        trackers = {table["use"]: table["enabled"] for table in recipe.table["tracker"]}
        assert trackers == {"console": False, "jsonl": True}


def test_the_device_and_the_folder_reach_the_runs(write, factory):
    assert invoke(write(), "--seeds", "0", "--device", "cpu", "--out", "here").exit_code == 0
    assert {device for _, _, device in factory.calls} == {"cpu"}
    assert all(folder.parts[:2] == ("here", "children") for _, folder, _ in factory.calls)


def test_identical_runs_are_made_once(write, factory):
    text = 'base = "base.toml"\nseeds = "0-1"\n'
    text += '[[variant]]\nname = "same"\nset = { steps = 3 }\n[[variant]]\nname = "again"\nrecipe = "base.toml"\n'
    done = invoke(write(text))
    assert len(factory.calls) == 4  # base and baseline, two seeds
    found = rows()
    assert found["same"]["runs"] == found["again"]["runs"] == found["base"]["runs"]
    assert found["same"]["test"] == found["base"]["test"]
    assert "(also same, seed 0, again, seed 0)" in done.output
    assert "The same recipe, run once for all: base, same, again." in done.output


def test_a_variant_that_is_the_baseline_shares_it(write, factory):
    path = write()
    Path("alone.toml").write_text(dump(baseline_of(load("base.toml")).table))
    path.write_text('base = "base.toml"\nseeds = "0"\n[[variant]]\nname = "alone"\nrecipe = "alone.toml"\n')
    invoke(path)
    assert len(factory.calls) == 2
    assert rows()["alone"]["runs"] == rows()["supervised baseline"]["runs"]


def test_without_a_baseline_in_the_base_there_is_none(write, factory):
    invoke(write('base = "base.toml"\nseeds = "0-1"\nset = { baseline = false }\n'))
    assert len(factory.calls) == 2
    assert list(rows()) == ["base"]


def test_a_finished_study_only_reads(write, factory):
    path = write()
    first = invoke(path)
    calls, text = list(factory.calls), (FOLDER / "results.json").read_text()
    again = invoke(path)
    assert again.exit_code == 0
    assert factory.calls == calls
    assert (FOLDER / "results.json").read_text() == text
    assert again.output.split("\n\n", 1)[1] == first.output.split("\n\n", 1)[1]  # the same tables
    assert "9 runs, 9 finished" in again.output


def test_more_seeds_reuse_what_is_there(write, factory):
    path = write()
    invoke(path, "--seeds", "0-1")
    invoke(path)
    assert len(factory.calls) == 9


def test_unfinished_runs_are_gone_on_with(write, factory):
    path = write()
    factory.trouble[2] = Interrupted("stopped by SIGINT")
    stopped = invoke(path, "--seeds", "0-1", "--device", "cpu")
    assert stopped.exit_code == 130
    assert "stopped; 1 of 6 runs are finished" in stopped.stderr
    assert "Go on with:\n    sslkit study mine.toml --seeds 0-1 --device cpu\n" in stopped.stderr
    assert len(factory.calls) == 2
    done = invoke(path, "--seeds", "0-1", "--device", "cpu")
    assert done.exit_code == 0
    assert [kind for kind, _, _ in factory.calls] == ["out", "out", "resume", "out", "out", "out", "out"]
    assert factory.calls[1][1] == factory.calls[2][1]


def test_ctrl_c_between_two_runs(write, factory):
    factory.trouble[1] = KeyboardInterrupt()
    stopped = invoke(write())
    assert stopped.exit_code == 130
    assert "Go on with:\n    sslkit study mine.toml\n" in stopped.stderr


def test_a_run_killed_before_its_first_summary_is_begun_anew(write, factory):
    path = write()
    child = plan(load_study(path), FOLDER)[0]
    child.folder.mkdir(parents=True)
    for name in ("recipe.toml", "environment.json", ".summary.json.writing"):
        (child.folder / name).write_text("half")
    assert invoke(path).exit_code == 0
    assert factory.calls[0] == ("out", child.folder, None)


def test_a_folder_with_work_in_it_is_never_removed(write, factory):
    path = write()
    child = plan(load_study(path), FOLDER)[0]
    (child.folder / "models").mkdir(parents=True)
    (child.folder / "recipe.toml").write_text("")
    invoke(path)
    assert (child.folder / "models").is_dir()


def test_a_failing_run_is_reported_and_the_others_go_on(write, factory, nan):
    path = write()
    factory.trouble[3] = nan  # the baseline of seed 0
    factory.trouble[4] = ZeroDivisionError("in a library")  # the base of seed 1
    done = invoke(path)
    assert done.exit_code == 1
    assert len(factory.calls) == 9
    assert "became NaN at step 2" in done.output
    assert "failed: supervised baseline, seed 0: loss `supervised` became NaN at step 2" in done.output
    assert "failed: base, seed 1: ZeroDivisionError: in a library" in done.output
    assert "Traceback" in done.stderr
    assert "NaN" not in done.stderr  # nobody needs a traceback for what a message explains
    found = rows()
    assert found["supervised baseline"]["test"]["values"].keys() == {"1", "2"}
    assert found["no dropout"]["measures"]["test_accuracy"]["difference"]["pairs"] == 2  # seeds 0 and 2
    assert found["supervised baseline"]["measures"]["test_accuracy"]["difference"]["pairs"] == 1  # seed 2
    assert [one["uses"] for one in results()["failures"]] == [[["supervised baseline", 0]], [["base", 1]]]
    assert invoke(path).exit_code == 0  # what failed is tried again
    assert [kind for kind, _, _ in factory.calls[9:]] == ["resume", "resume"]


def test_when_everything_fails_there_are_dashes(write, factory, nan):
    factory.trouble = dict.fromkeys(range(1, 10), nan)
    done = invoke(write())
    assert done.exit_code == 1
    assert rows()["base"]["test"]["mean"] is None
    assert "–" in done.output


def test_a_summary_that_cannot_be_read_fails_its_run_only(write, factory):
    path = write()
    invoke(path)
    factory.calls[0][1].joinpath("summary.json").write_text('{"status"')
    factory.trouble[10] = RunError("summary.json cannot be read")
    done = invoke(path)
    assert done.exit_code == 1
    assert "failed: base, seed 0: summary.json cannot be read" in done.output


def test_one_seed_has_no_interval_and_says_why(write, factory):
    done = invoke(write(), "--seeds", "1")
    assert "One seed: no deviations and no intervals, which need at least two." in done.output
    assert "base minus its teacher: +10.00 points (1 pair: no interval)" in done.output
    assert "interval +" not in done.output
    assert "±" not in done.output.split("test: accuracy")[0]
    row = rows()["no dropout"]
    assert row["measures"]["test_accuracy"]["difference"]["mean"] == pytest.approx(-0.06)
    assert row["measures"]["test_accuracy"]["difference"]["half_width"] is None
    assert row["verdict"] == "expected lower: undecided at 1 seed, which has no interval"


def test_a_reference_that_nobody_reports_is_said_after_the_first_run(write, factory):
    path = write('base = "base.toml"\nreferences = ["rivals"]\n')
    done = invoke(path)
    assert done.exit_code == 2
    assert len(factory.calls) == 1
    assert "`rivals`, which no metric of the base reports" in done.stderr
    assert "there are: test_accuracy, rival. Did you mean `rival`?" in done.stderr
    path.write_text('base = "base.toml"\nreferences = ["mixture"]\n')
    assert '`set = { "metric.mixture.use" = "mixture" }`' in invoke(path).stderr
    assert len(factory.calls) == 1  # said at once: the first run is there


def test_a_folder_of_another_study_is_refused(write, factory):
    invoke(write(), "--seeds", "0", "--out", "here")
    calls = len(factory.calls)
    done = invoke(write(name="other.toml"), "--seeds", "0", "--out", "here")
    assert done.exit_code == 2
    assert "here holds the results of the study mine, which are never overwritten" in done.stderr
    assert len(factory.calls) == calls


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "STUDY"),
        (("mine.toml", "--seeds", "3-1"), "'3-1' runs backwards; it takes numbers and ranges"),
        (("mine.toml", "--seeds", "0,0"), "seed 0 is named twice"),
        (("mine.toml", "--out", "base.toml"), "cannot be used as a study's folder"),
        (("mine.toml", "--results", "no/where.md"), "there is no folder no"),
        (("mine.toml", "--results", "half.md"), "once each, in this order, or neither"),
        (("mine.toml", "--results", "."), "no section can be written there"),
        (("mine.toml", "--device", "abacus"), "--device abacus is not to be had here"),
        (("nothing.toml",), "no such study"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(args, words, write, factory):
    write()
    Path("half.md").write_text("<!-- study mine begin -->\n")
    done = invoke(*args)
    assert done.exit_code == 2
    assert words in re.sub(r"[\s│]+", " ", done.stderr)
    assert not factory.calls
