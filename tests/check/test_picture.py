"""The picture of a method: what is in it, as JSON and as a tree at any width, and how long a run will take."""

import io
import json
import math
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console

from sslkit import cli
from sslkit.check.clock import generation_seconds
from sslkit.check.composition import Composition
from sslkit.check.examine import examine
from sslkit.check.picture import curves, of_curve, picture
from sslkit.check.probe import META, compose, facts_without
from sslkit.check.rows import BARS, bars
from sslkit.check.seen import Seconds
from sslkit.check.tree import draw
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.tables import size

SMALL = ["data.labels_per_class=1", "data.test=1600", "data.validation=10", "model.size=16", "batch.labeled=6"]
PARTS = ("model", "optimizer", "schedules", "streams", "labels", "passes", "losses", "metrics", "memory")


def drawn(recipe, width=100, encoding="utf-8", data=None):
    """A recipe's tree as text, and its picture."""
    facts = facts_without(recipe.generations[0], META, 10)
    found = picture(recipe, compose(recipe, data), facts, data)
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="sslkit.alike")
    Console(file=file, width=width, highlight=False, markup=False).print(draw(found))
    file.seek(0)
    return file.read(), found


@pytest.fixture(scope="module")
def checked():
    """`sslkit check noisy_student --json`, shrunk: the parsed object."""
    words = [word for setting in [*SMALL, "batch.unlabeled=12"] for word in ("--set", setting)]
    done = CliRunner().invoke(cli.cli, ["check", "noisy_student", "--device", "cpu", "--json", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_json_says_everything(checked):
    assert checked["recipe"] == "noisy_student" and checked["steps"] == checked["baseline_steps"] == 1100
    assert checked["data"]["use"] == "digits" and checked["data"]["images"]["labeled"] == 10
    assert checked["sound"].startswith("every loss is non-zero") and checked["problems"] == []
    assert [len(part) > 0 for part in (checked["notes"], checked["warnings"])] == [True, False]
    for part in checked["generations"]:
        assert all(part[name] for name in PARTS) and part["tried"]
    teacher, student, *_ = checked["generations"]
    assert student["labels"][0]["teacher"] == "previous" and teacher["labels"][0]["teacher"] is None
    names = [plugin["name"] for plugin in student["labels"][0]["plugins"]]
    assert names == ["previous_student", "soft_labels", "confidence", "class_balance"]
    assert student["labels"][0]["plugins"][2]["settings"] == {"threshold": 0.3}
    assert teacher["streams"][1]["off"] == "no teacher yet" and student["streams"][1]["off"] is None
    assert student["streams"][1]["drawn"] == 12 * 300
    (noise,) = student["streams"][1]["views"][0]["noise"]
    assert noise["use"] == "randaugment" and noise["settings"]["magnitude"] == 7
    assert [noise["name"] for noise in student["model"]["noise"]] == ["dropout", "stochastic_depth"]
    (supervised, distillation) = student["losses"]
    assert supervised["terms"][0]["moved"] and distillation["terms"][0]["value"] > 0


def test_json_says_how_long_it_will_take(checked):
    seconds = [part["seconds"] for part in checked["generations"]]
    assert all(second > 0 for second in seconds) and checked["seconds"] > sum(seconds)  # the baseline comes on top
    assert checked["memory"] == max(part["memory"]["total"] for part in checked["generations"])


def test_json_of_a_recipe_that_teaches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [word for setting in SMALL for word in ("--set", setting)]
    done = CliRunner().invoke(cli.cli, ["check", "supervised", "--json", "--set", "loss.supervised.weight=0", *words])
    found = json.loads(done.stdout)
    assert done.exit_code == 2 and "has weight 0" in done.stderr
    assert found["problems"][0]["problem"] == "generation 0: loss `supervised` has weight 0" and found["sound"] == ""
    assert found["seconds"] is None  # nothing that does not work is timed


def test_time_is_that_of_every_part():
    """Labels by the teacher, steps, evaluations: from what each takes."""
    overrides = {"evaluate_every": 100, "data.labels_per_class": 1}
    recipe = load("noisy_student", overrides)
    data, found = open_data(recipe), compose(recipe, None)
    for number, seen in enumerate(found):
        seen.seconds = Seconds(step=0.01 * (number + 1), image=0.001 * (number + 1))
    held_out, pool = 600, 1197
    assert generation_seconds(recipe, found, data) == pytest.approx([
        200 * 0.01 + 2 * held_out * 0.001,
        pool * 0.001 + 300 * 0.02 + 3 * held_out * 0.002,
        pool * 0.002 + 300 * 0.03 + 3 * held_out * 0.003,
        pool * 0.003 + 300 * 0.04 + 3 * held_out * 0.004,
    ])  # fmt: skip


def test_curves_are_what_training_does(tiny):
    recipe = tiny('steps = 101\n[[schedule]]\nuse = "cosine"\npower = 1.0\n[[schedule]]\nuse = "linear_ramp"\n'
                  'on = "supervised.weight"\nname = "ramp"\n')  # fmt: skip
    (seen,) = compose(recipe, None)
    one = Composition(recipe.generations[0], seen)
    rate, weight = curves(one, facts_without(recipe.generations[0], META, 10))
    assert (rate["target"], weight["target"], weight["by"]["name"]) == ("lr", "supervised.weight", "ramp")
    assert rate["values"][0] == pytest.approx(0.05) and all(a >= b for a, b in pairwise(rate["values"]))
    step = round(11 * 100 / 23)
    assert rate["values"][11] == pytest.approx(0.05 * math.cos(math.pi / 2 * step / 101))
    assert weight["values"][0] == 0 and weight["values"][-1] == 1


def test_a_curve_over_more_steps_than_could_be_looked_at():
    found = of_curve(lambda step: float(-abs(step - 7 * 10**12)), 10**14)
    assert len(found["values"]) == 24 and found["highest"] > -(10**9) and found["lowest"] == -(10**14 - 1 - 7 * 10**12)


def test_what_is_tried_is_told(tiny):
    said = []
    examine(tiny("[[generation]]\n[[generation]]\n"), torch.device("cpu"), said.append)
    assert said == ["trying generation 0 of 2", "trying generation 1 of 2"]


def test_bars():
    assert bars([0, 1, 2, 3, 4, 5, 6, 7, 8]) == "▁" + BARS
    assert bars([0, 0]) == "▁▁" and bars([0.5, 0.5]) == "██" and bars([-2, 1]) == "█▄"


def test_an_encoding_that_lacks_characters_gets_others_that_are_like_them(tiny):
    recipe = tiny('[[schedule]]\nuse = "linear_ramp"\non = "lr"\n')
    text, _ = drawn(recipe, encoding="ascii")
    assert "lr __" in text and "+-- model" in text and " - " in text and "?" not in text
    assert "✓ ✗ · – ▁█ é".encode("ascii", "sslkit.alike") == b"+ x - - _# ?"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", ["noisy_student", "mean_teacher"])
def test_the_tree_fits_any_width(name, width):
    text, _ = drawn(load(name), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    words = {word for line in text.splitlines() for word in line.split()}
    assert {"model", "optimizer", "schedule", "stream", "view", "labels", "pass", "loss", "metric", "memory"} <= words


def test_a_generation_that_leaves_something_out_says_so(tiny):
    text = '[[schedule]]\nuse = "cosine"\n[[generation]]\n[[generation]]\nschedule.cosine.enabled = false\n'
    first, second = drawn(tiny(text))[0].split("── generation")[1:]
    assert "├── schedule  lr" in first and "schedule  none" in second and "the rest as before" in second
    assert "model" not in second


def test_generations_that_are_alike_share_a_branch(tiny):
    text, found = drawn(tiny("[[generation]]\n" * 3 + "[[generation]]\nsteps = 9\n"))
    assert "generations 0-2   3 steps each" in text and "generation 3   9 steps" in text
    assert len(found["generations"]) == 4


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "–"), (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (38_400_000, "38 MB"), (1.25e9, "1.2 GB"), (3e13, "30 TB")],
)  # fmt: skip
def test_sizes(number, text):
    assert size(number) == text
