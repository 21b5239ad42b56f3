"""`sslkit evaluate --keep` and what studies and reports read of it: `sslkit.measuring.keeping`."""

import json
import shutil

import pytest
import torch
from small import BASE

import sslkit
from sslkit.errors import RunError
from sslkit.folder import Run
from sslkit.measuring import keeping
from sslkit.measuring.evaluate import reference_of
from sslkit.measuring.keeping import FOLDER, kept_evaluation, kept_measurement, measured, metric_digest

COUNTS = """
from dataclasses import dataclass
from pathlib import Path
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Compares:
    \"\"\"How often the model and the baseline agree.\"\"\"
    scale: float = 1.0
    @hookimpl
    def measure(self, model, data, baseline) -> dict:
        same = None if baseline is None else (model(data.test).argmax(1) == baseline(data.test).argmax(1))
        return {"agreement": -1.0 if same is None else self.scale * float(same.double().mean())}
"""
SET = '[[metric]]\nuse = "./counts.py:Compares"\n[[metric]]\nuse = "accuracy"\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two finished runs, `run` and `rival`, and the set of metrics `mine.toml`."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "tiny.toml").write_text(BASE)
    (folder / "counts.py").write_text(COUNTS)
    (folder / "mine.toml").write_text(SET)
    torch.set_num_threads(1)
    sslkit.run(folder / "tiny.toml", out=folder / "run", device="cpu")
    sslkit.run(folder / "tiny.toml", overrides={"steps": 3, "generation": [{}]}, out=folder / "rival", device="cpu")
    return folder


@pytest.fixture
def run(place, tmp_path):
    """A copy of the run, nothing kept of it."""
    return Run(shutil.copytree(place / "run", tmp_path / "run", ignore=shutil.ignore_patterns(FOLDER)))


def kept_evaluations(folder, others=False):
    """All that can be read, generation by generation; without `others` only what goes with the run's own numbers."""
    places = [path.stem.split("-")[1:] for path in sorted((folder / FOLDER).iterdir())]
    found = [kept_evaluation(folder, int(generation), digest) for generation, digest in places]
    there = [one for one in found if one is not None and (others or one.own)]
    return sorted(there, key=lambda one: one.generation)


def test_what_was_measured_is_kept_and_answered_without_measuring(place, run, monkeypatch):
    sets, rival = place / "mine.toml", Run(place / "rival")
    assert kept_measurement(run, -1, sets, baseline=rival) is None
    made = measured(run, -1, sets, baseline=rival, device="cpu")
    assert 0 <= made.metrics["agreement"] <= 1 and made.generation == 1
    monkeypatch.setattr(keeping, "Bench", lambda *args, **more: pytest.fail("it was measured again"))
    assert measured(run, 1, sets, baseline=rival) == made
    assert kept_measurement(run, 1, [sets], baseline=rival, recipe=run.recipe()) == made
    assert kept_evaluations(run.folder) == [made]


def test_another_baseline_generation_or_set_is_another_evaluation(place, run):
    sets, rival = place / "mine.toml", Run(place / "rival")
    made = measured(run, 1, sets, baseline=rival, device="cpu")
    assert measured(run, 1, sets, device="cpu").metrics["agreement"] == -1
    assert measured(run, 1, sets, baseline=run, device="cpu").metrics["agreement"] == 1
    assert measured(run, 0, sets, baseline=rival, device="cpu").generation == 0
    assert [one.generation for one in kept_evaluations(run.folder)] == [0, 1, 1, 1]
    assert measured(run, 1, sets, baseline=rival) == made


def test_the_digest_counts_content_and_needs_no_run(place, run, tmp_path):
    recipe, twin = run.recipe(), tmp_path / "twin.toml"
    first = metric_digest(place / "mine.toml", recipe)
    assert metric_digest(place / "mine.toml", recipe, reference_of(run)) != first
    shutil.copy(place / "counts.py", tmp_path)
    twin.write_text(SET)
    assert metric_digest(twin, recipe) == first, "the same plugin in another folder is the same"
    assert metric_digest(twin, sslkit.recipe.load(place / "tiny.toml")) == first, "before a run is begun"
    (tmp_path / "counts.py").write_text(COUNTS + "\n# edited\n")
    assert metric_digest(twin, recipe) != first
    assert metric_digest([twin, "standard"], recipe) != metric_digest(twin, recipe)
    other = sslkit.recipe.load(place / "tiny.toml", {"data.unlabeled": 7})
    assert metric_digest(place / "mine.toml", other) != first


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"generation": 1}', "\x00", "[" * 100_000])
def test_a_damaged_kept_file_is_passed_over_and_measured_anew(place, run, text):
    made = measured(run, 1, "standard", device="cpu")
    (path,) = (run.folder / FOLDER).iterdir()
    path.write_text(text)
    assert kept_evaluations(run.folder) == [] and kept_measurement(run, 1, "standard") is None
    assert measured(run, 1, "standard", device="cpu") == made
    assert kept_evaluations(run.folder) == [made]


def test_a_kept_file_of_wrong_things_is_no_evaluation(place, run):
    measured(run, 1, place / "mine.toml", device="cpu")
    (path,) = (run.folder / FOLDER).iterdir()
    for key, value in (("metrics", 3), ("generation", "1"), ("unheard", 1)):
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
        assert kept_evaluations(run.folder) == []


def test_what_is_not_there_is_told(place, run):
    with pytest.raises(RunError, match="there is no generation 2"):
        measured(run, 2, place / "mine.toml")
    with pytest.raises(RunError, match="no run folder"):
        measured(run, 1, place / "mine.toml", baseline=Run(place / "nowhere"))
    summary = json.loads((run.folder / "summary.json").read_text())
    (run.folder / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    with pytest.raises(RunError, match=r"the baseline cannot be compared with: .* is not finished"):
        measured(run, 1, place / "mine.toml", baseline=Run(run.folder))


def test_the_command_keeps_when_asked(place, run, sslkit_cli, refused):
    args = ("evaluate", run.folder, "--generation", "all", "--metrics", place / "mine.toml", "--keep")
    shown = sslkit_cli(*args, "--baseline", place / "rival", "--json")
    told = [one["metrics"] for one in json.loads(shown.stdout)["evaluations"]]
    assert [one.metrics for one in kept_evaluations(run.folder)] == told and len(told) == 2
    assert kept_measurement(run, 0, place / "mine.toml", baseline=Run(place / "rival")) is not None
    assert "nowhere is no run folder" in refused("evaluate", run.folder, "--baseline", place / "nowhere")


def test_other_data_and_other_weights_are_kept_apart(run, sslkit_cli):
    sslkit_cli("evaluate", run.folder, "--metric", "accuracy", "--keep", "--set", "data.unlabeled=7")
    sslkit_cli("evaluate", run.folder, "--metric", "accuracy", "--keep", "--weights", "selected")
    assert kept_evaluations(run.folder) == []
    assert {(one.weights, one.own) for one in kept_evaluations(run.folder, others=True)} == {
        ("student", False), ("selected", False),
    }  # fmt: skip
    shown = sslkit_cli("evaluate", run.folder, "--metric", "accuracy", "--keep", "--weights", "student").stdout
    assert f"kept in {run.folder / FOLDER}: generation-1-" in shown.replace("\n", "")
    (one,) = kept_evaluations(run.folder)
    assert one.own, "the student's own weights are the usual ones where no average is kept"
