"""`sslkit evaluate` and `sslkit.evaluate`: the same numbers as the run's own, any weights, any metrics, any data."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import BASE, PLUGINS

import sslkit
from sslkit.errors import DataError, RunError, SslkitError
from sslkit.folder import Run
from sslkit.measuring.evaluate import Bench
from sslkit.opening import open_data

AVERAGED = """
[[labeler]]
use = "moving_average"
decay = 0.6
[[generation]]
[[generation]]
steps = 3
"""
OTHERS = f"""
import sys
from dataclasses import dataclass, replace
import numpy as np
from sslkit import Data, Images, hookimpl
sys.path.insert(0, {str(PLUGINS.parent)!r})
from stateful import Blobs

@dataclass(eq=False, kw_only=True)
class Loud(Blobs):
    \"\"\"Says what it does, where JSON is to be said, and can be other data in many ways.\"\"\"
    change: str = "none"
    @hookimpl
    def open_data(self, progress) -> Data:
        print("opening images")
        data = Blobs.open_data(self, progress)
        if self.change == "order":
            data = replace(data, classes=("a", "c", "b"))
        if self.change == "names":
            data = replace(data, classes=("a", "b", "zebra"))
        if self.change == "channels":
            data = replace(data, channels=1)
        if self.change == "unknown":
            data.test.truth = np.full(len(data.test), -1)
        if self.change == "none left":
            data = replace(data, test=None)
        if self.change == "leak":
            data = replace(data, test=data.unlabeled)
        if self.change == "leak in validation":
            data = replace(data, validation=data.labeled)
        return data

@dataclass(eq=False, kw_only=True)
class Sees:
    \"\"\"Answers what it was given.\"\"\"
    @hookimpl
    def measure(self, model, data, stored, baseline, progress) -> dict:
        return {{
            "stored": None if stored is None else len(stored.index),
            "baseline": None if baseline is None else baseline(data.test).tolist(),
            "at": [progress.generation, progress.step, progress.steps],
            "nan": float("nan"),
            "test_lost": float("inf"),
        }}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run with a moving average, pool labels and a baseline."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.toml").write_text(BASE.replace("[[generation]]\n[[generation]]\n", AVERAGED))
    (folder / "others.py").write_text(OTHERS)
    torch.set_num_threads(1)
    return sslkit.run(folder / "tiny.toml", overrides={"baseline": True}, out=folder / "run", device="cpu")


@pytest.fixture
def copy(done, tmp_path):
    """The run, to be spoilt."""
    return shutil.copytree(done.folder, tmp_path / "copy")


@pytest.fixture
def others(done, monkeypatch):
    """The working folder is that of `others.py`."""
    monkeypatch.chdir(done.folder.parent)


def pure(text):
    """Strict JSON: no NaN, no infinity, nothing beside it."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def snapshot(folder):
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")}


def by_hand(run, generation, file, prefix):
    """Test accuracy of weights as they lie in a file, computed from the images alone."""
    network = run.model(generation)
    saved = load_file(run.folder / "models" / f"generation-{generation}" / file)
    network.load_state_dict({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})
    test = open_data(run.recipe()).test
    pixels = torch.from_numpy(np.stack(test.read(np.arange(len(test))))).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        probs = network(pixels).logits.softmax(1)
    truth = torch.from_numpy(test.truth)
    nll = -probs.double()[torch.arange(len(truth)), truth].log().mean().item()
    return float((probs.argmax(1) == truth).double().mean()), nll


# The run's own numbers --------------------------------------------------------------------------------------------


def test_its_numbers_are_the_summarys(done):
    """Bit for bit, of every generation and of the baseline: what was trained is what is measured."""
    for number, entry in enumerate(done.summary["generations"]):
        made = sslkit.evaluate(done, number, device="cpu")
        same = {name: made.metrics[name] for name in entry["metrics"]}
        assert same == entry["metrics"] and {"test_accuracy", "validation_accuracy"} <= same.keys()
        assert (made.generation, made.weights, made.step) == (number, "average", entry["steps"])
    assert same.keys() >= {"pseudo_label_accuracy", "kept_share"}
    alone = sslkit.evaluate(done.folder / "baseline")
    assert alone.metrics["test_accuracy"] == done.summary["baseline"]["test_accuracy"]


def test_the_standard_set_is_complete_and_ends_at_the_last_generation(done):
    made = sslkit.evaluate(str(done.folder))
    assert made.generation == 1 and made.warnings == ()
    assert {"test_nll", "test_ece", "test_per_class", "test_confusion", "top_5_note"} <= made.metrics.keys()
    matrix = np.array(made.metrics["test_confusion"]["matrix"])
    assert np.trace(matrix) / matrix.sum() == made.metrics["test_accuracy"]


def test_the_robustness_set_has_every_figure_of_its_kind(done):
    """Each attack, each corruption, each perturbation, and what is relative to the run's own baseline."""
    quick = {"metric.corruptions.severities": [1, 5], "metric.perturbations.frames": 3, "metric.pgd.steps": 2}
    made = sslkit.evaluate(done, metrics="robustness", overrides=quick, device="cpu").metrics
    clean = made["test_accuracy"]
    for attack in ("fgsm", "pgd"):
        assert list(made[f"test_{attack}"]) == ["0", "2", "4", "8", "16"]
        assert made[f"test_{attack}"]["0"]["accuracy"] == clean
        assert made[f"test_{attack}"]["16"]["accuracy"] == made[f"test_{attack}_16"]
    assert len(made["test_corruptions"]) == 15 and len(made["test_perturbations"]) == 10
    assert made["test_corruptions"]["fog"]["ce"] > 0, "relative to the baseline"
    assert {"test_ece", "test_brier", "test_nll", "test_reliability", "test_flip_probability"} <= made.keys()
    assert made["test_accuracy"] == done.summary["generations"][-1]["test_accuracy"]


@pytest.mark.parametrize(("weights", "file", "prefix"), [
    ("average", "model.safetensors", "/average/"), ("student", "model.safetensors", "/student/"),
    ("selected", "selected.safetensors", "/weights/"),
])  # fmt: skip
def test_each_kind_of_weights_is_what_its_file_holds(done, weights, file, prefix):
    made = sslkit.evaluate(done, 0, weights=weights, metrics=["accuracy", "likelihood"])
    right, nll = by_hand(done, 0, file, prefix)
    assert made.metrics["test_accuracy"] == right
    assert made.metrics["test_nll"] == pytest.approx(nll, abs=1e-6)


def test_the_kinds_of_weights_differ_and_the_selected_ones_are_the_cards(done):
    made = {kind: sslkit.evaluate(done, 1, weights=kind) for kind in ("average", "student", "selected")}
    assert len({made["average"].metrics["test_nll"], made["student"].metrics["test_nll"]}) == 2
    chosen = done.summary["generations"][1]["selected"]
    assert made["selected"].metrics["test_accuracy"] == chosen["test_accuracy"]
    assert made["selected"].step == chosen["step"]


def test_nothing_is_written(done, sslkit_cli):
    before = snapshot(done.folder)
    assert sslkit_cli("evaluate", done.folder, "--generation", "all").exit_code == 0
    assert snapshot(done.folder) == before


def test_an_unfinished_runs_finished_generations(copy, sslkit_cli, refused):
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    shutil.rmtree(copy / "models" / "generation-1")
    said = sslkit_cli("evaluate", copy).output
    assert "generation 0 (teacher)" in said and "the run is not finished" in said
    assert "1 finished generation (0): there is no generation 1; it is not finished yet" in refused(
        "evaluate", copy, "--generation", 1
    )


# Metrics and data -------------------------------------------------------------------------------------------------


def test_metrics_get_labels_baseline_and_the_generations_end(done, others):
    made = sslkit.evaluate(done, 1, metrics=["./others.py:Sees"]).metrics
    assert made["stored"] == 40 and made["at"] == [1, 3, 3] and made["nan"] is None
    probs = sslkit.evaluate(done.folder / "baseline", metrics=["likelihood"]).metrics["test_nll"]
    rows, truth = torch.tensor(made["baseline"], dtype=torch.float64), open_data(done.recipe()).test.truth
    assert -rows[range(len(truth)), truth].log().mean().item() == pytest.approx(probs)
    assert sslkit.evaluate(done, 0, metrics=["./others.py:Sees"]).metrics["stored"] is None
    other = sslkit.evaluate(done, 1, metrics=["./others.py:Sees"], data="./others.py:Loud").metrics
    assert other["stored"] is None, "the labels are of the run's own images"
    assert sslkit.evaluate(done.folder / "baseline", metrics=["./others.py:Sees"]).metrics["baseline"] is None


def test_what_is_no_number_is_seen(done, others, sslkit_cli):
    for args in ((), ("--generation", "all")):
        said = " ".join(sslkit_cli("evaluate", done.folder, "--metric", "./others.py:Sees", *args).output.split())
        assert "not a number" in said.partition("note: ")[0]
        assert "note: not a number (null in --json):" in said and "test lost; the metric answered NaN" in said


def test_a_metric_alone_or_those_of_a_set(done, sslkit_cli):
    assert "alone, or, given --metrics too, beside those of the file" in " ".join(
        sslkit_cli("evaluate", "--help").output.split()
    )
    made = [sslkit_cli("evaluate", done.folder, "--metrics", name, "--json").stdout for name in SETS]
    assert made[0] == made[1] == made[2]


SETS = ("standard", "metrics/standard", "metrics/standard.toml")


FOG = """
from dataclasses import dataclass
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Fog:
    density: float = 0.5
    @hookimpl
    def perturb_batch(self, images):
        return images * (1 - self.density)
"""


def test_a_plugin_of_the_training_that_is_gone_hinders_nothing(recipe, out, tmp_path, sslkit_cli, refused):
    path = recipe('[[noise]]\nuse = "./plugins.py:Fog"\n[[generation]]\nnoise.fog.density = 0.2\n[[generation]]\n', FOG)
    sslkit.run(path, out=out, device="cpu", overrides={"baseline": True})
    before = sslkit.evaluate(out, device="cpu")
    (tmp_path / "plugins.py").unlink()
    made = sslkit.evaluate(out, device="cpu")
    assert made.metrics == before.metrics and before.warnings == ()
    assert len(made.warnings) == 1 and "measuring does without: [[noise]] fog (" in made.warnings[0]
    text = (out / "recipe.toml").read_text()
    (out / "recipe.toml").write_text(text.replace('[[loss]]\nuse = "cross_entropy"', '[[loss]]\nuse = "gone"', 1))
    assert "no loss plugin is called `gone`" in refused("evaluate", out), "it may decide what a model answers"


def test_a_damaged_summary_is_no_unfinished_run(copy, sslkit_cli):
    (copy / "summary.json").write_text('{"gen')
    said = " ".join(sslkit_cli("evaluate", copy).output.split())
    assert "warning: the summary is damaged" in said and "the run is not finished" not in said


def test_a_damaged_baseline_is_said_and_hinders_nothing(copy):
    (copy / "baseline" / "models" / "generation-0" / "model.safetensors").write_bytes(b"x")
    bench = Bench(copy, names=["accuracy"])
    assert bench.measure(1).metrics["test_accuracy"] == Run(copy).summary["generations"][1]["test_accuracy"]
    assert "no supervised baseline" in bench.warnings[0]


def test_a_file_of_metrics_and_settings_by_path(done, tmp_path, sslkit_cli):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[metric]]\nuse = "top_accuracy"\nk = 2\n[[metric]]\nname = "off"\nuse = "confusion"\nenabled = false\n'
    )
    args = ("--metrics", path, "--metric", "calibration", "--set", "metric.top_accuracy.k=1", "--json")
    made = pure(sslkit_cli("evaluate", done.folder, *args).stdout)["evaluations"][0]["metrics"]
    assert made.keys() == {f"{split}_{name}" for split in ("test", "validation") for name in NAMES}


NAMES = ("top_1_accuracy", "ece", "brier", "reliability")


def test_settings_of_the_runs_own_data(done, sslkit_cli):
    made = pure(sslkit_cli("evaluate", done.folder, "--set", "data.unlabeled=7", "--json").stdout)
    assert made["data"]["images"] == {"labeled": 9, "unlabeled": 7, "validation": 12, "test": 12}
    assert made["data"]["own"] is False and made["data"]["settings"]["unlabeled"] == 7


def test_what_plugins_print_is_no_part_of_the_json(done, others, sslkit_cli):
    shown = sslkit_cli("evaluate", done.folder, "--data", "./others.py:Loud", "--json", "--generation", "all")
    made = pure(shown.stdout)
    assert "opening images" in shown.stderr and shown.exit_code == 0
    assert [one["generation"] for one in made["evaluations"]] == [0, 1]
    assert made["data"]["use"].endswith("others.py:Loud") and made["data"]["classes"] == ["a", "b", "c"]
    assert made["seed"] == 0 and made["warnings"] == []


@pytest.mark.parametrize(("change", "words"), [
    ("order", 'in another order: class 1 is "c" in the data and "b" in the model'),
    ("names", 'the model knows "c", the data does not\n    the data has "zebra", the model does not'),
    ("channels", "its images have 1 channel, and the model takes 3"),
    ("unknown", "the class of none of its 12 test images is known"),
    ("none left", "there are no test images"),
])  # fmt: skip
def test_data_that_does_not_fit(done, others, change, words):
    with pytest.raises(DataError) as caught:
        sslkit.evaluate(done, data="./others.py:Loud", overrides={"data.change": change})
    assert words in str(caught.value) and "others.py:Loud" in str(caught.value)


def test_more_classes_than_the_models(done):
    with pytest.raises(DataError, match=r'its classes \(5\) are not .* \(3\)\n    the data has "d", "e", the model'):
        sslkit.evaluate(done, overrides={"data.classes": 5})


def test_images_that_were_trained_on_flatter_and_it_is_said(done, others):
    made = sslkit.evaluate(done, data="./others.py:Loud", overrides={"data.change": "leak"})
    assert "40 of the 40 test images have the ids of images that the run was trained on" in made.warnings[0]
    assert sslkit.evaluate(done, data="./others.py:Loud").warnings == ()
    (said,) = sslkit.evaluate(done, data="./others.py:Loud", overrides={"data.change": "leak in validation"}).warnings
    assert "9 of the 9 validation images have the ids of images that the run was trained on" in said


def test_data_that_has_changed_since_the_run_is_said(copy):
    said = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps({**said, "data": "another"}))
    made = sslkit.evaluate(copy)
    assert "are not those that the run was made with" in made.warnings[0]
    assert "kept_share" not in made.metrics, "labels of other images say nothing"


# What cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("args", "words"), [
    (["--generation", 2], "2 finished generations (0, 1): there is no generation 2\n"),
    (["--generation", -3], "there is no generation -3"),
    (["--metric", "acuracy"], "Did you mean `accuracy`?"),
    (["--metric", "cutout"], "`cutout` is a noise plugin"),
    (["--data", "digit"], "Did you mean `digits`?"),
    (["--data", "digits"], "its classes (10) are not those that the model was trained for (3)"),
    (["--set", "data.labelled=3"], "unknown key `labelled`"),
    (["--set", "metric.calibration.bins=0"], "a whole number of at least 1"),
    (["--set", "noise.flip_crop.pad=2"], "`noise.flip_crop.pad` cannot be changed: the model is trained already"),
    (["--metrics", "standart"], "Did you mean `standard`?"),
    (["--metric", "accuracy", "--set", "metric.accuracy.enabled=false"], "nothing to measure"),
    (["--device", "cuda:99"], "--device cuda:99 is not to be had here"),
], ids=str)  # fmt: skip
def test_what_cannot_be_done_is_said(done, refused, args, words):
    assert words in refused("evaluate", done.folder, *args)


def test_weights_that_were_not_kept(recipe, out, refused, sslkit_cli):
    sslkit.run(recipe(), out=out, device="cpu")
    said = refused("evaluate", out, "--weights", "average")
    assert "keeps no average" in said and "there is: student, selected" in said
    folder = out / "models" / "generation-1"
    sums = json.loads((folder / "checksums.json").read_text())
    for file in ("selected.json", "selected.safetensors"):
        (folder / file).unlink()
        del sums[file]
    (folder / "checksums.json").write_text(json.dumps(sums))
    said = refused("evaluate", out, "--weights", "selected")
    assert "keeps no selected weights" in said and "there is: student" in said
    shown = sslkit_cli("evaluate", out)
    assert shown.exit_code == 0 and "the student's own weights" in shown.output


def test_a_damaged_model(copy, refused):
    (copy / "models" / "generation-1" / "model.safetensors").write_bytes(b"cut")
    said = refused("evaluate", copy)
    assert "generation-1 is damaged (model.safetensors was altered or cut off)" in said
    assert sslkit.evaluate(copy, 0).generation == 0


def test_what_is_no_run_or_has_nothing_yet(done, copy, tmp_path, refused):
    said = refused("evaluate", tmp_path / "nothing")
    assert "is no run folder: it does not exist" in said and f"runs beside it: {copy}" in said
    assert f"it has no recipe.toml\n    runs in it: {copy}" in refused("evaluate", tmp_path)
    assert "it is no folder" in refused("evaluate", copy / "recipe.toml")
    shutil.rmtree(copy / "models")
    said = refused("evaluate", copy)
    assert "has no finished generation yet" in said and f"sslkit run --resume {copy}" in said


def test_generation_is_a_number_or_all(sslkit_cli, done):
    shown = sslkit_cli("evaluate", done.folder, "--generation", "last")
    assert shown.exit_code == 2 and "neither a generation's number (0, 1, ...) nor `all`" in shown.output


@pytest.mark.parametrize("text", ["", "steps = 3\n", "metric = 3\n", '[[metric]]\nuse = "accuracy"\nkk = 1\n', "[["])
def test_a_file_that_is_no_set_of_metrics(done, tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SslkitError, match=r"mine\.toml"):
        sslkit.evaluate(done, metrics=path)


# For people -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_people_see_fits_their_terminal(done, sslkit_cli, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(done.folder.parent)
    one, both = sslkit_cli("evaluate", "run").output, sslkit_cli("evaluate", "run", "--generation", "all").output
    lines = [line for line in (one + both).splitlines() if not line.startswith("note: ")]  # whole in a pipe
    assert max(map(len, lines)) <= width and "…" not in one + both
    for words in ("generation 1 (student 1)", "average weights", "12 test and 12 validation images", "test per class",
                  "mistaken for", "test confusion", "is / taken for", "top-5 accuracy is left out: with 3 classes",
                  "more with --json: validation_reliability, validation_per_class, validation_confusion", "test reliability",
                  "pseudo label per class", "pseudo label confidence"):  # fmt: skip
        assert words in " ".join(one.split()) or words in one
    assert "0 (teacher)" in both and "1 (student 1)" in both and "test accuracy" in " ".join(both.split())


def test_errors_are_runs_errors(tmp_path):
    with pytest.raises(RunError, match="no run folder"):
        sslkit.evaluate(tmp_path)
