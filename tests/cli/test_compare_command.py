"""`sslkit compare`: on run folders that hold a recipe and a summary, without any training."""

import json
import re
import subprocess
import sys
from statistics import fmean, stdev

import pytest
from click.testing import CliRunner
from scipy import stats

from sslkit import cli
from sslkit.comparison.groups import common_name, letter
from sslkit.comparison.members import short_names
from sslkit.recipe import dump, load, with_overrides

ENVIRONMENT = {"torch": "2.6.0", "device": "cpu here", "threads": 2}


@pytest.fixture(scope="module")
def base():
    return load("noisy_student")


@pytest.fixture
def make(tmp_path, base, monkeypatch):
    """`make("name", seed, final, overrides, status=...)`: a run folder `runs/name`."""
    monkeypatch.chdir(tmp_path)

    def run(name, seed=0, final=0.9, overrides=None, status="finished", environment=ENVIRONMENT, generations=2, **more):
        recipe = with_overrides(base, {"seed": seed, **(overrides or {})})
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(dump(recipe.table))
        (folder / "environment.json").write_text(json.dumps(environment))
        tests = [0.8, final][:generations]
        entries = [{"index": i, "model": "test_resnet", "steps": 5, "test_accuracy": test, "validation_accuracy": 0.7,
                    "kept_share": 0.5 if i else None, "pseudo_label_accuracy": 0.6 if i else None,
                    "timing": {"seconds": 3.5}} for i, test in enumerate(tests)]  # fmt: skip
        summary = {"generations": entries, "baseline": {"test_accuracy": 0.75}, "seed": seed, "status": status,
                   "wall_seconds": 75.0, **more}  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return run


def invoke(*args, code=0):
    done = CliRunner().invoke(cli.cli, ["compare", *map(str, args)], prog_name="sslkit")
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.output


def report(*args):
    return json.loads(invoke(*args, "--json"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def rows(text):
    return [line.split() for line in text.splitlines()]


# Recipes ----------------------------------------------------------------------------------------------------------


def test_only_keys_that_differ_are_told_a_column_for_each_recipe(make):
    make("a")
    make("b", overrides={"noise.dropout.rate": 0.25, "labeler.confidence.threshold": 0.95})
    text = invoke("runs/a", "runs/b")
    assert ["noise.dropout.rate", "0.5", "0.25"] in rows(text) and ["what", "differs", "A", "B"] in rows(text)
    assert ["labeler.confidence.threshold", "0.3", "0.95"] in rows(text)
    assert "magnitude" not in text and "files" not in text and "steps" not in text
    found = report("runs/a", "runs/b")
    assert found["differs"] == {
        "noise.dropout.rate": {"A": [0.5], "B": [0.25]}, "labeler.confidence.threshold": {"A": [0.3], "B": [0.95]},
    }  # fmt: skip


def test_a_plugin_that_one_recipe_lacks_is_one_row(make):
    make("a")
    make("b", overrides={"noise": [], "metric.per_class.use": "per_class", "metric.per_class.mistakes": 9})
    text = invoke("runs/a", "runs/b")
    assert ["noise.stochastic_depth", "survival", "=", "0.5", "–"] in rows(text)
    assert "mistakes = 9" in text and "noise.dropout.rate" not in text and "(order)" not in text
    assert report("runs/a", "runs/b")["differs"]["noise.stochastic_depth.survival"] == {"A": [0.5], "B": []}


def test_another_order_of_the_same_plugins(make):
    path = make("a") / "recipe.toml"
    make("b")
    table = load(path).table
    path.write_text(dump({**table, "labeler": table["labeler"][::-1]}))
    text = invoke("runs/a", "runs/b")
    assert [row[:2] for row in rows(text) if row[:1] == ["labeler"]] == [["labeler", "(order)"]]
    assert list(report("runs/a", "runs/b")["differs"]) == ["labeler (order)"]


def test_seeds_trackers_and_workers_make_no_other_recipe(make):
    make("a", 0)
    make("b", 1, overrides={"tracker": [], "workers": 0, "log_every": 99})
    text = invoke("runs/a", "runs/b")
    assert "2 runs, 1 recipe\n" in text and "nothing that decides a result differs but the seed" in text
    assert "note: trackers differ, on which no result depends" in text
    assert report("runs/a", "runs/b")["differs"] == {}


def test_another_number_of_generations_is_a_row(make):
    path = make("a") / "recipe.toml"
    make("b")
    table = load(path).table
    path.write_text(dump({**table, "generation": [{}, {}]}))
    (path.parents[1] / "b" / "recipe.toml").write_text(dump({**table, "generation": [{}, {}, {}]}))
    text = invoke("runs/a", "runs/b")
    assert ["generations", "2", "3"] in rows(text) and "files" not in text
    assert report("runs/a", "runs/b")["differs"] == {"generations": {"A": [2], "B": [3]}}


def test_files_with_other_contents_are_another_recipe_and_said(make):
    for name, digest in (("a", "1f"), ("b", "2e")):
        path = make(name) / "recipe.toml"
        table = load(path).table
        table["noise"][0]["use"] = "/x/fog.py:Fog"
        path.write_text(dump({**table, "files": {"/x/fog.py": digest}}))
    text = invoke("runs/a", "runs/b")
    assert "2 recipes" in text and "no key of the recipes differs: the files that they name do" in text
    assert "note: these files had other contents in some runs: /x/fog.py" in text
    assert report("runs/a", "runs/b")["files"] == ["/x/fog.py"]


# Results ----------------------------------------------------------------------------------------------------------


def test_every_result_of_a_run(make, monkeypatch):
    make("a", 3, 0.95)
    make("b", 4, 0.85)
    monkeypatch.setenv("COLUMNS", "120")
    shown = ["a", "3", "80.00%", "95.00%", "95.00%", "+15.00", "75.00%", "50.0%", "60.0%", "1", "min", "15", "s"]
    assert shown in rows(invoke("runs/a", "runs/b"))
    run = report("runs/a", "runs/b")["runs"][0]
    assert (run["seed"], run["status"], run["final"], run["baseline"], run["seconds"]) == (
        3,
        "finished",
        0.95,
        0.75,
        75,
    )
    assert run["gain"] == pytest.approx(0.15)
    assert run["generations"][1] == {
        "index": 1, "model": "test_resnet", "steps": 5, "test_accuracy": 0.95, "validation_accuracy": 0.7,
        "kept_share": 0.5, "pseudo_label_accuracy": 0.6, "seconds": 3.5,
    }  # fmt: skip


def test_seeds_of_one_recipe_together(make):
    finals = [0.91, 0.95, 0.93]
    for seed, final in enumerate(finals):
        make(f"a-{seed}", seed, final)
    text = invoke(*(f"runs/a-{seed}" for seed in range(3)))
    assert f"93.00% ± {100 * stdev(finals):.2f}" in text and "+13.00 ± 2.00" in text
    (group,) = report(*(f"runs/a-{seed}" for seed in range(3)))["recipes"]
    assert group["final"]["mean"] == pytest.approx(fmean(finals)) and group["name"] == "a"
    assert group["final"]["deviation"] == pytest.approx(stdev(finals))
    assert group["final"]["values"] == {"0": 0.91, "1": 0.95, "2": 0.93} and len(group["runs"]) == 3


OTHER = {"noise.dropout.rate": 0.25}


def two_groups(make, seeds_a, seeds_b, a=(0.9, 0.92, 0.94), b=(0.91, 0.95, 0.94)):
    for seed, final in zip(seeds_a, a, strict=False):
        make(f"a-{seed}", seed, final)
    for seed, final in zip(seeds_b, b, strict=False):
        make(f"b-{seed}", seed, final, OTHER)
    return invoke("runs"), report("runs")["differences"][0]


def test_shared_seeds_are_compared_in_pairs(make):
    text, found = two_groups(make, range(3), range(3))
    test = stats.ttest_rel([0.91, 0.95, 0.94], [0.9, 0.92, 0.94])
    low, high = test.confidence_interval()
    assert (found["recipe"], found["minus"], found["paired"], found["seeds"]) == ("B", "A", True, [0, 1, 2])
    assert (found["low"], found["high"], found["p"]) == pytest.approx((low, high, test.pvalue))
    words = f"B minus A: +1.33 points final (95% interval {100 * low:+.2f} to {100 * high:+.2f}, paired over 3 seeds)"
    assert words in " ".join(text.split())


def test_only_the_shared_seeds_are_pairs(make):
    _, found = two_groups(make, (0, 1, 2), (2, 1, 7))
    assert found["seeds"] == [1, 2] and found["mean"] == pytest.approx((0.95 - 0.92 + 0.91 - 0.94) / 2)


def test_one_shared_seed_has_no_interval(make):
    text, found = two_groups(make, (0, 1), (1, 5))
    assert len([line for line in text.splitlines() if "minus A: " in line and line.endswith(")")]) == 1, "one line"
    assert found["low"] is None and found["p"] is None and found["seeds"] == [1]
    assert "seed 1 alone: one pair says nothing about chance" in " ".join(text.split())


def test_without_shared_seeds_it_is_said_and_not_paired(make):
    text, found = two_groups(make, (0, 1, 2), (3, 4, 5))
    test = stats.ttest_ind([0.91, 0.95, 0.94], [0.9, 0.92, 0.94], equal_var=False)
    assert (found["low"], found["high"]) == pytest.approx(tuple(test.confidence_interval()))
    assert found["paired"] is False and "no seed is shared: not paired, Welch" in " ".join(text.split())


def test_one_run_against_one_of_another_seed(make):
    text, found = two_groups(make, (0,), (1,))
    assert found["low"] is None and found["paired"] is False and "not paired, no interval" in " ".join(text.split())


@pytest.mark.parametrize("key", ["test_data", "data"])
def test_runs_on_other_test_images_are_no_pairs(make, key):
    for seed, (a, b) in enumerate(((0.9, 0.95), (0.92, 0.93), (0.91, 0.96))):
        make(f"a-{seed}", seed, a, environment={**ENVIRONMENT, key: "one", "images": {"test": 9}})
        make(f"b-{seed}", seed, b, OTHER, environment={**ENVIRONMENT, key: "two", "images": {"test": 9}})
    found = report("runs")
    assert found["differences"][0]["paired"] is False and found["differences"][0]["other_test_images"] == [0, 1, 2]
    assert "not measured on the same test images as a-0: b-0; such runs are not compared in pairs" in found["notes"][0]
    assert "their test images are not the same: not paired, Welch" in " ".join(invoke("runs").split())


def test_runs_with_other_training_images_are_pairs_which_is_noted_where_the_recipe_says_the_same(make):
    make("a", environment={**ENVIRONMENT, "test_data": "t", "data": "one"})
    make("b", 0, 0.8, OTHER, environment={**ENVIRONMENT, "test_data": "t", "data": "two"})
    found = report("runs")
    assert found["differences"][0]["paired"] is True
    assert found["notes"] == ["trained on other images than a, by the same [data] and seed: b"]


def test_the_first_one_named_is_the_base(make):
    make("a", 0, 0.9)
    make("b", 0, 0.95, OTHER)
    assert report("runs/b", "runs/a")["differences"][0]["mean"] == pytest.approx(-0.05)


def test_a_run_that_was_made_twice_counts_once(make):
    make("a", 0, 0.9)
    make("a-2", 0, 0.9)
    make("a-3", 0, 0.7)
    text = " ".join(invoke("runs").split())
    assert "more than one run with its recipe and seed, and the same result: a-2 count" in text
    assert "and ANOTHER result: a-3 count" in text
    assert report("runs")["recipes"][0]["final"]["values"] == {"0": 0.9}


def test_conditions_that_were_not_equal(make):
    make("a")
    make("b", 1, environment={**ENVIRONMENT, "torch": "2.7.1", "threads": 8, "data": "another"})
    assert "not made under equal conditions: torch 2.6.0 and 2.7.1; threads 2 and 8" in invoke("runs")


# What is not whole ------------------------------------------------------------------------------------------------


def test_unfinished_and_damaged_runs_are_listed_as_such(make):
    make("a", 0, 0.9)
    make("b", 1, status="interrupted", generations=1)
    (make("c", 2) / "summary.json").write_text('{"gen')
    (make("d", 3) / "recipe.toml").write_text("steps = ")
    (make("e", 4) / "summary.json").unlink()
    (make("f", 5) / "recipe.toml").write_text('seed = "x"')
    (make("g", 6) / "recipe.toml").write_text("day = 2020-01-01")
    (make("h", 7) / "summary.json").write_text('{"status": "finished", "generations": 3, "wall_seconds": NaN}')
    (make("i", 8) / "recipe.toml").write_bytes(b"\xff\xfe")
    text = invoke("runs")
    assert "b (interrupted)" in text and "interrupted" in next(line for line in text.splitlines() if line[:2] == "b ")
    for name, words in (("c", "summary.json"), ("d", "recipe.toml"), ("e", "it is not there"), ("f", "its seed is"),
                        ("g", "recipe.toml"), ("i", "recipe.toml")):  # fmt: skip
        assert any(f"runs/{name}: " in line and words in line for line in text.splitlines() if line[:8] == "damaged:")
    found = {run["name"]: run for run in report("runs")["runs"]}
    assert found["b"]["final"] is None and found["b"]["generations"][0]["test_accuracy"] == 0.8
    assert found["c"]["status"] == "damaged" and found["c"]["problem"] and found["h"]["final"] is None
    assert report("runs")["recipes"][0]["final"]["values"] == {"0": 0.9}


def test_what_is_no_run(make, tmp_path):
    make("a")
    (tmp_path / "empty").mkdir()
    for path, words in (("nothing", "does not exist"), ("empty", "no recipe.toml, and holds no run"),
                        ("runs/a/summary.json", "is no folder")):  # fmt: skip
        assert words in invoke("runs/a", path, code=2)


def test_one_run_alone(make):
    make("a")
    for args in (["runs/a"], ["runs/a", "runs/../runs/a"]):
        assert "error: there is one run only, runs/a: name another" in invoke(*args, code=2)


def test_a_recipe_beside_runs_is_none_of_them(make, tmp_path):
    make("a")
    make("b")
    (tmp_path / "runs" / "mine").mkdir()
    (tmp_path / "runs" / "mine" / "recipe.toml").write_text('extends = "noisy_student"')
    assert len(report("runs")["runs"]) == 2


# Names ------------------------------------------------------------------------------------------------------------


def test_a_study_stands_for_its_runs_which_are_called_by_variant_and_seed(make, tmp_path):
    for number, (overrides, seed) in enumerate([({}, 0), ({}, 1), (OTHER, 0), (OTHER, 1)]):
        make(f"studies/mine/children/{number}f", seed, 0.9 + seed / 100, overrides)
    names = [("base", "0f", "1f"), ("less noise", "2f", "3f")]
    results = {"rows": [{"name": n, "runs": {"0": f"children/{a}", "1": f"children/{b}"}} for n, a, b in names]}
    (tmp_path / "runs" / "studies" / "mine" / "results.json").write_text(json.dumps(results))
    found = report("runs/studies/mine")
    assert [run["name"] for run in found["runs"]] == [
        "base, seed 0",
        "base, seed 1",
        "less noise, seed 0",
        "less noise, seed 1",
    ]
    assert [group["name"] for group in found["recipes"]] == ["base", "less noise"]
    assert found["differences"][0]["seeds"] == [0, 1]
    assert len(report("runs")["runs"]) == 4, "as `runs/*` names it"


def test_a_studys_base_comes_first_and_the_others_in_its_order(make, tmp_path):
    rates = {"base": {}, "zero": {"noise.dropout.rate": 0.0}, "all": {"noise.dropout.rate": 0.75}}
    hashes = {"base": "f", "zero": "c", "all": "a"}
    for name, overrides in rates.items():
        make(f"mine/children/{hashes[name]}", 0, 0.9, overrides)
    rows = [{"name": name, "runs": {"0": f"children/{digest}"}} for name, digest in hashes.items()]
    (tmp_path / "runs" / "mine" / "results.json").write_text(json.dumps({"rows": rows}))
    for place in ("runs/mine", "runs", "runs/mine/children"):
        assert [group["name"] for group in report(place)["recipes"]] == ["base", "zero", "all"]


def test_a_study_has_the_runs_that_it_shares_with_others(make, tmp_path):
    """A run of another study stands in its results by its way from there, and counts once."""
    make("studies/one/children/af", 0, 0.9)
    make("studies/two/children/bf", 0, 0.8, OTHER)
    for study, rows in {
        "one": {"base": "children/af"},
        "two": {"all": "../one/children/af", "less": "children/bf"},
    }.items():
        results = {"rows": [{"name": name, "runs": {"0": path}} for name, path in rows.items()]}
        (tmp_path / "runs" / "studies" / study / "results.json").write_text(json.dumps(results))
    assert [run["name"] for run in report("runs/studies/two")["runs"]] == ["base, seed 0", "less, seed 0"]
    assert len(report("runs/studies")["runs"]) == 2


def test_a_baseline_inside_a_run_is_no_run_beside_it(make):
    make("a")
    make("b")
    make("a/baseline")
    assert [run["name"] for run in report("runs")["runs"]] == ["a", "b"]


def test_names_are_as_long_as_it_takes(tmp_path):
    folders = [tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z"]
    assert short_names(folders) == ["x/run", "y/run", "z"]
    assert common_name(["run", "run-2", "run-3"]) == "run" and common_name(["no noise, seed 3"]) == "no noise"
    assert common_name(["first", "fifth"]) == "first" and common_name(["a_s1", "a_s22"]) == "a"
    for name in ("ns-0", "test100", "soft_labels", "resnet18", "mean-seed"):
        assert common_name([name]) == name and common_name([f"{name}-seed1", f"{name}-seed2"]) == name
    assert common_name(["test100", "test101"]) == "test100" and common_name(["my_test1", "my_test2"]) == "my"
    assert [letter(i) for i in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_many_runs_stay_readable(make, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for number in range(9):
        over = {"noise.dropout.rate": number / 10, "labeler.confidence.threshold": number / 20}
        make(f"noisy_student-{number}", number % 3, 0.9, over)
        make(f"other-{number}", number, 0.8 + number / 100)
    text = invoke("runs")
    assert width_of(text) <= width
    rates = ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.5"]
    assert [word for row in rows(text) if row[:1] == ["noise.dropout.rate"] for word in row[1:]] == rates
    assert all(f"noisy_student-{i}" in text and f"other-{i}" in text for i in range(9))


def width_of(text):
    """Notes, differences and the legend are one line each in a pipe."""
    sentences = re.compile(r"note: |final: |[A-Z]+ minus A: ")
    return max(len(line) for line in text.splitlines() if not sentences.match(line))


def test_many_recipes_of_long_values_are_told_one_by_one(make, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for number in range(8):
        make(f"run-{number}", 0, 0.9, {"model.freeze": [f"stages.{number}.{'x' * 40}"], "workers": number})
    text = invoke("runs")
    assert width_of(text) <= 80
    assert [line for line in text.splitlines() if line.endswith("where it differs from A")] == [
        f"{name}, where it differs from A" for name in "BCDEFGH"
    ]
    assert text.count("   model.freeze: ") == 7 and "workers" not in text, "which decide nothing"


def test_comparing_imports_neither_torch_nor_pydantic(make):
    make("a")
    make("b", 1, 0.8, OTHER)
    program = (
        "import sys\nfrom sslkit.cli import main\nsys.argv = ['sslkit', 'compare', 'runs']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('heavy:', [name for name in ('torch', 'timm', 'pydantic', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n") and "2 recipes" in done.stdout


def test_three_recipes_of_texts_are_told_against_the_first_and_no_quotes_are_broken(make, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for number, name in enumerate(("cross_entropy", "mean_squared", "mean_squared_of_probabilities")):
        make(f"run-{number}", 0, 0.9, {"model.freeze": [name]})
    text = invoke("runs")
    assert "B, where it differs from A" in text and "C, where it differs from A" in text
    for name in ("mean_squared", "mean_squared_of_probabilities"):
        assert f'model.freeze: ["cross_entropy"] -> ["{name}"]' in text
    assert not any(line.endswith(" ") for line in text.splitlines())
