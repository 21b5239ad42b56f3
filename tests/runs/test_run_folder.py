"""The run folder: what lies where, what it says, and that it can be used again."""

import hashlib
import json
import math
import platform
import re
import shutil
import tomllib

import harness
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from small import BASE

import sslkit
from sslkit.errors import RunError, SslkitError
from sslkit.folder import Run
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.recipe.tables import mixed

FILES = {
    "recipe.toml", "environment.json", "metrics.jsonl", "summary.json",
    *(f"models/generation-{g}/{file}" for g in range(2)
      for file in ("model.safetensors", "model.json", "selected.safetensors", "selected.json", "card.json",
                   "checksums.json")),
    *(f"labels/generation-1/{file}"
      for file in ("labels.safetensors", "manifest.json", "plugins.safetensors", "plugins.json", "checksums.json")),
    "samples/samples.safetensors", "samples/checksums.json",
    *(f"pictures/generation-{g}/{file}" for g in range(2)
      for file in ("images.safetensors", "pictures.json", "checksums.json")),
    *(f"checkpoints/generation-1-step-{step}/{file}" for step in (2, 4)
      for file in ("state.safetensors", "state.json", "checksums.json")),
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run of the smallest recipe, with a baseline."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.toml").write_text(BASE)
    torch.set_num_threads(1)
    return sslkit.run(folder / "tiny.toml", overrides={"baseline": True}, out=folder / "run", device="cpu")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path):
    return json.loads(path.read_text())


def accuracy(network, images, size):
    """Computed anew, from the model and the images alone."""
    pixels = torch.from_numpy(np.stack(images.read(np.arange(len(images))))).permute(0, 3, 1, 2).float() / 255
    assert pixels.shape[-1] == size
    with torch.no_grad():
        return float((network(pixels).logits.argmax(1) == torch.from_numpy(images.truth)).double().mean())


# Layout -----------------------------------------------------------------------------------------------------------


def test_what_lies_where(done):
    files = {str(path.relative_to(done.folder)) for path in done.folder.rglob("*") if path.is_file()}
    assert {file for file in files if not file.startswith("baseline/")} == FILES
    inside = {file.removeprefix("baseline/") for file in files if file.startswith("baseline/")}
    assert {"recipe.toml", "summary.json", "metrics.jsonl", "models/generation-0/model.safetensors"} <= inside
    assert not any(file.startswith("labels") for file in inside)


def test_versions_and_device(done):
    said = read(done.folder / "environment.json")
    assert said["torch"] == torch.__version__.partition("+")[0] or said["torch"] == torch.__version__
    assert said["timm"] == timm.__version__ and said["sslkit"] == sslkit.__version__
    assert said["python"] == platform.python_version() and said["device"].startswith("cpu")
    assert said["threads"] == 1 and said["precision"] == "float32" and said["label_batch"] == 16
    assert said["images"] == {"labeled": 9, "unlabeled": 40, "validation": 12, "test": 12} and said["data"]


def test_the_summary_has_exactly_its_shape(done):
    summary = read(done.folder / "summary.json")
    assert summary == done.summary == Run(done.folder).summary
    assert summary.keys() == {"generations", "baseline", "seed", "status", "wall_seconds", "recipe", "recipe_hash"}
    assert (summary["seed"], summary["status"], summary["recipe"]) == (0, "finished", "tiny")
    assert summary["recipe_hash"] == load(done.folder / "recipe.toml").hash and summary["wall_seconds"] > 0
    entry = {"index", "model", "steps", "test_accuracy", "validation_accuracy", "pseudo_label_accuracy", "kept_share",
             "selected", "metrics", "timing"}  # fmt: skip
    for index, generation in enumerate(summary["generations"]):
        assert generation.keys() == entry
        assert (generation["index"], generation["model"], generation["steps"]) == (index, "test_resnet", 4)
        selected = generation["selected"]
        assert selected.keys() == {"step", "validation_accuracy", "test_accuracy"} and selected["step"] in (2, 4)
        assert generation["validation_accuracy"] == generation["metrics"]["validation_accuracy"]
        assert selected["validation_accuracy"] >= generation["validation_accuracy"]
    first, second = summary["generations"]
    assert first["kept_share"] is None and first["pseudo_label_accuracy"] is None
    assert second["kept_share"] == 1 and 0 <= second["pseudo_label_accuracy"] <= 1


def test_the_baseline_has_all_generations_steps(done):
    baseline = done.summary["baseline"]
    assert baseline["steps"] == 8 and 0 <= baseline["test_accuracy"] <= 1
    inside = Run(done.folder / "baseline")
    assert inside.summary["generations"] == [baseline] and inside.summary["baseline"] is None
    table = tomllib.loads((inside.folder / "recipe.toml").read_text())
    assert table["batch"]["unlabeled"] == 0 and table["labels"] == "none"


def test_the_log_has_every_event_in_order(done):
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    told = [(line["kind"], line["generation"], line["step"]) for line in lines]
    expected = [("start", 0, 0), ("baseline", 0, 0)]
    for g in range(2):
        expected += [("labels", 1, 0)] * g
        expected += [("step", g, 1), ("step", g, 2), ("evaluation", g, 2), ("step", g, 3), ("step", g, 4)]
        expected += [("evaluation", g, 4), ("generation", g, 4)]
    assert told == [*expected, ("end", 1, 4)]
    step = next(line for line in lines if line["kind"] == "step" and line["generation"] == 1)
    assert step["losses"].keys() == {"supervised", "distillation"} and all(map(math.isfinite, step["losses"].values()))
    assert step["lr"] == 0.05 and step["kept_share"] == 1.0
    assert step["timing"].keys() == {"images_per_second", "waited_share", "seconds_left"}


# Models and labels ------------------------------------------------------------------------------------------------


def test_models_and_their_cards(done):
    for g in range(2):
        folder = done.folder / f"models/generation-{g}"
        card = read(folder / "card.json")
        facts = card["facts"]
        assert facts["classes"] == ["a", "b", "c"] and (facts["image_size"], facts["channels"], card["seed"]) == (
            8,
            3,
            0,
        )
        assert {k: v for k, v in card.items() if k not in ("facts", "seed")} == done.summary["generations"][g]
        assert any(name.endswith("conv1.weight") for name in load_file(folder / "model.safetensors"))
        for name, digest in read(folder / "checksums.json").items():
            assert sha256(folder / name) == digest


def test_a_model_answers_as_the_summary_says(done):
    data = open_data(done.recipe())
    for g, entry in enumerate(done.summary["generations"]):
        network = done.model(g)
        assert not network.training and not any(p.requires_grad for p in network.parameters())
        assert accuracy(network, data.test, 8) == entry["test_accuracy"]
        assert accuracy(network, data.validation, 8) == entry["validation_accuracy"]
    last = done.model()
    assert all(torch.equal(a, b) for a, b in zip(last.parameters(), done.model(1).parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(last.parameters(), done.model(0).parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(done.model(-2).parameters(), done.model(0).parameters(), strict=True))
    for index in (2, -3):
        with pytest.raises(RunError, match=f"has 2 finished generations; there is no generation {index}"):
            done.model(index)


def test_the_average_is_what_a_run_exports(recipe, out):
    made = sslkit.run(recipe('[[labeler]]\nuse = "moving_average"\ndecay = 0.5\n'), out=out, device="cpu")
    weights = load_file(out / "models/generation-1/model.safetensors")
    name = next(n for n in weights if n.endswith("conv1.weight") and "average" in n)
    student = weights[name.replace("average", "student")]
    exported = dict(made.model(1).named_parameters())[name.partition("average/")[2]]
    assert torch.equal(exported, weights[name]) and not torch.equal(exported, student)
    assert accuracy(made.model(1), open_data(made.recipe()).test, 8) == made.summary["generations"][1]["test_accuracy"]


def test_the_selected_model_is_kept_beside_the_last(recipe, out):
    """Its own weights give its own numbers."""
    made = sslkit.run(recipe(), overrides={"evaluate_every": 1, "optimizer.rate": 0.3}, out=out, device="cpu", seed=4)
    data, chosen = open_data(made.recipe()), 0
    for g, entry in enumerate(made.summary["generations"]):
        tree = harness.artifacts.load_tree(out / f"models/generation-{g}", "selected")
        network = made.model(g)
        network.load_state_dict(tree["weights"])
        assert accuracy(network, data.test, 8) == entry["selected"]["test_accuracy"]
        assert tree["step"] == entry["selected"]["step"]
        chosen += entry["selected"]["step"] < 4
    assert chosen, "no generation of this seed selects an earlier step: the test shows nothing"


def test_pseudo_labels_name_their_teacher(done):
    folder = done.folder / "labels/generation-1"
    manifest = read(folder / "manifest.json")
    teacher = done.folder / "models/generation-0/model.safetensors"
    assert manifest["teacher"] == {"generation": 0, "sha256": sha256(teacher)}
    assert manifest["recipe"] == done.summary["recipe_hash"] and manifest["seed"] == 0 and manifest["generation"] == 1
    assert (manifest["rows"], manifest["kept"], manifest["classes"]) == (40, 40, ["a", "b", "c"])
    assert manifest["shards"] == [{"file": "labels.safetensors", "rows": 40}] and manifest["top"] is None
    stored = load_file(folder / "labels.safetensors")
    assert stored.keys() == {"index", "raw", "probs", "weight", "copies", "label", "confidence"}
    targets = done.labels(1)
    for name in targets.columns:
        assert torch.equal(getattr(targets, name), stored[name])
    assert torch.equal(targets.label, stored["label"]) and torch.equal(targets.confidence, stored["confidence"])
    assert targets.index.tolist() == list(range(40))


def test_pseudo_labels_of_a_teacher_that_is_no_generations_model_name_its_weights(recipe, out):
    """In its first generation the student labels the pool itself: nobody was finished before."""
    text = '[[labeler]]\nuse = "current_student"\n[[labeler]]\nuse = "previous_student"\nenabled = false\n'
    sslkit.run(recipe(text), out=out, device="cpu")
    first, second = (read(out / f"labels/generation-{g}/manifest.json")["teacher"] for g in range(2))
    assert first["generation"] is None and second["generation"] is None and len(first["sha256"]) == 64
    assert first["sha256"] != second["sha256"]


def test_a_model_is_made_from_its_folder_alone(recipe, out, monkeypatch):
    """The data may be gone, and weights are not fetched twice."""
    fetched = []
    create = timm.create_model
    watch = lambda name, pretrained=False, **kwargs: fetched.append(pretrained) or create(name, **kwargs)  # noqa: E731
    monkeypatch.setattr(timm, "create_model", watch)
    done = sslkit.run(recipe("[model]\npretrained = true"), out=out, device="cpu")
    assert fetched[:3] == [False, True, False]  # rehearsals: both generations, and whether the weights are to be had
    assert fetched[3:] == [True, False, True]  # a student, its model as the next one's teacher, that one's student
    monkeypatch.setattr(sslkit.state.Hooks, "open_data", None)
    made = done.model(0)
    weights = load_file(out / "models/generation-0/model.safetensors")
    assert all(torch.equal(tensor, weights[f"/student/{name}"]) for name, tensor in made.state_dict().items())


def test_what_differs_is_told_without_noise(tmp_path):
    old = {"steps": 3, "generation": [{"steps": 3}], **{f"key{i}": 0 for i in range(20)}}
    said = mixed(tmp_path, old, {"steps": 4, "generation": [{}]}).splitlines()
    assert said[1:3] == ["    steps: 3 -> 4", "    generation.0.steps: 3 -> (absent)"]
    assert len(said) == 1 + 12 + 2 and said[-2] == "    ... and 10 more"


def test_a_run_says_what_it_is(done, tmp_path):
    assert repr(done) == f"<sslkit.Run {str(done.folder)!r}: finished>"
    assert repr(Run(tmp_path)) == f"<sslkit.Run {str(tmp_path)!r}: without a summary>"
    assert {"run", "Run", "hookimpl", "MissingData"} <= set(dir(sslkit))


def test_a_recipe_object_takes_a_seed_and_overrides_too(recipe, out, tmp_path):
    loaded = load(recipe())
    done = sslkit.run(loaded, seed=7, overrides={"steps": 3}, out=out, device="cpu")
    assert done.summary["seed"] == 7 and {g["steps"] for g in done.summary["generations"]} == {3}
    same = sslkit.run(recipe(), seed=7, overrides={"steps": 3}, out=tmp_path / "same", device="cpu")
    assert same.summary["recipe_hash"] == done.summary["recipe_hash"] != loaded.hash


def test_the_time_of_the_baseline_counts(done):
    baseline = read(done.folder / "baseline/summary.json")["wall_seconds"]
    alone = sum(g["timing"]["seconds"] for g in done.summary["generations"])
    assert done.summary["wall_seconds"] > baseline + alone


def test_pseudo_labels_are_the_teachers_answers(done):
    """From the exported model alone."""
    data = open_data(done.recipe())
    pixels = torch.from_numpy(np.stack(data.unlabeled.read(np.arange(40)))).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        probs = done.model(0)(pixels).logits.softmax(1)
    torch.testing.assert_close(done.labels(1).raw, probs, rtol=1e-5, atol=1e-6)
    right = (probs.argmax(1).numpy() == data.unlabeled.truth).mean()
    assert done.summary["generations"][1]["pseudo_label_accuracy"] == right


def test_a_first_generation_has_no_pseudo_labels(done):
    with pytest.raises(RunError, match="keeps no pseudo-labels for generation 0"):
        done.labels(0)


# Folders ----------------------------------------------------------------------------------------------------------


def test_default_folders_are_numbered(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = recipe("steps = 1\n[[generation]]\n")
    folders = [str(sslkit.run(path, device="cpu").folder) for _ in range(3)]
    assert folders == ["runs/tiny", "runs/tiny-2", "runs/tiny-3"]
    assert all((tmp_path / folder / "summary.json").is_file() for folder in folders)


def test_a_name_that_is_no_folder_name(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = recipe("steps = 1\n[[generation]]\n", name="a b: ü?")
    assert str(sslkit.run(odd, device="cpu").folder) == "runs/a_b_ü_"


def test_an_explicit_folder_is_made_with_its_parents(recipe, tmp_path):
    folder = tmp_path / "a/b/c"
    assert sslkit.run(recipe("steps = 1\n[[generation]]\n"), out=folder, device="cpu").folder == folder


@pytest.mark.parametrize("what", ["run", "folder", "file"])
def test_what_is_there_is_never_overwritten(recipe, out, done, what, refused):
    if what == "run":
        shutil.copytree(done.folder, out)
    elif what == "folder":
        out.mkdir()
        (out / "thesis.tex").write_text("mine")
    else:
        out.write_text("mine")
    before = {path: path.read_bytes() for path in [out, *out.rglob("*")] if path.is_file()}
    with pytest.raises(SslkitError, match="exists already and is never overwritten"):
        sslkit.run(recipe(), out=out, device="cpu")
    said = refused("run", recipe(), "--out", out, "--device", "cpu")
    assert re.search(rf"{out} exists already.*another --out", said, re.DOTALL)
    assert (f"sslkit run --resume {out}" in said) == (what == "run")  # only what can be resumed
    assert before == {path: path.read_bytes() for path in [out, *out.rglob("*")] if path.is_file()}


# Again ------------------------------------------------------------------------------------------------------------


def renamed(snapshot):
    """A snapshot without the recipe's name: a file called recipe.toml is a recipe called recipe."""
    text = json.dumps(snapshot)
    for key in ("recipe", "recipe_name"):
        text = text.replace(f'"{key}": "tiny"', f'"{key}": "recipe"')
    return json.loads(text)


def test_the_resolved_recipe_gives_the_same_bits(done, tmp_path):
    again = sslkit.run(done.folder / "recipe.toml", out=tmp_path / "again", device="cpu")
    expected, got = renamed(harness.snapshot(done.folder)), renamed(harness.snapshot(again.folder))
    assert expected.keys() == got.keys()
    assert [name for name in expected if expected[name] != got[name]] == []


def test_seed_and_overrides_are_written_down_and_count(recipe, done, tmp_path):
    options = {"overrides": {"optimizer.rate": 0.01, "steps": 2}, "seed": 7, "device": "cpu"}
    one, two = (sslkit.run(recipe(), out=tmp_path / f"run-{i}", **options) for i in range(2))
    table = tomllib.loads((one.folder / "recipe.toml").read_text())
    assert (table["seed"], table["steps"], table["optimizer"]["rate"]) == (7, 2, 0.01)
    assert one.summary["seed"] == 7 and one.summary["generations"][0]["steps"] == 2
    assert harness.snapshot(one.folder) == harness.snapshot(two.folder)
    other = sslkit.run(recipe(), out=tmp_path / "other", **{**options, "seed": 8})
    assert sha256(other.folder / "models/generation-0/model.safetensors") != (
        sha256(one.folder / "models/generation-0/model.safetensors")
    )
    assert read(other.folder / "environment.json")["data"] == read(one.folder / "environment.json")["data"]


def test_without_a_baseline(recipe, out):
    made = sslkit.run(recipe(), out=out, device="cpu")
    assert made.summary["baseline"] is None and not (out / "baseline").exists()


def test_the_baseline_changes_nothing_else(recipe, out, done):
    made = sslkit.run(recipe(), out=out, device="cpu")
    for g in range(2):
        file = f"models/generation-{g}/model.safetensors"
        assert sha256(made.folder / file) == sha256(done.folder / file)


def test_nothing_to_run():
    with pytest.raises(RunError, match="name a recipe, or a run folder to resume"):
        sslkit.run()


def test_torch_is_left_as_it_was(recipe, out):
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    sslkit.run(recipe(), out=out, device="cpu")
    assert before == (
        torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    )  # fmt: skip
