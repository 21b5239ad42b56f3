"""What can go wrong while a run is under way: said clearly, exit code 2, nothing lost."""

import errno
import json
import math
import os
import re
import sys

import harness
import pytest
import torch
from harness import in_child, newest_checkpoint, watched

import sslkit
from sslkit.errors import DataError, PluginError, RecipeError, RunError, SslkitError
from sslkit.folder import Run
from sslkit.recipe import load

POISON = '''
from dataclasses import dataclass
from pathlib import Path

from sslkit import LossTerm, hookimpl


@dataclass(eq=False, kw_only=True)
class Poison:
    """Becomes {value} at step 3 of generation 1, as long as a file is there."""

    file: str
    weight: float = 1.0

    @hookimpl
    def loss(self, step, forward, progress):
        bad = progress.generation == 1 and progress.step == 3 and Path(self.file).exists()
        value = forward("labeled").logits.square().mean()
        return LossTerm(value * (float("{value}") if bad else 0.1), self.weight)
'''


def poisoned(folder):
    """The plugin's table, and the file that makes it bad."""
    (folder / "poison").touch()
    return f'[[loss]]\nuse = "./plugins.py:Poison"\non = "labeled"\nfile = "{folder / "poison"}"\n'


def events(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# Losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "log_every"), [("nan", 10), ("inf", 1), ("-inf", 10)])
def test_a_loss_that_is_no_number_stops_the_run(recipe, out, value, log_every):
    """Named: the loss, the step, the last good checkpoint. Nothing of it is saved; what was saved can be gone on with."""
    path = recipe(f"log_every = {log_every}\n{poisoned(out.parent)}", POISON.replace("{value}", value))
    with pytest.raises(RunError) as caught:
        sslkit.run(path, out=out, device="cpu")
    said = str(caught.value)
    last = out / "checkpoints/generation-1-step-2"
    assert f"generation 1, step 3: loss `poison` became {value}" in said
    assert f"the last good checkpoint is {last}" in said and "[optimizer] rate" in said
    assert newest_checkpoint(out) == last and not (out / "models/generation-1").exists()
    assert Run(out).summary["status"] == "failed" and len(Run(out).summary["generations"]) == 1
    assert events(out)[-1]["kind"] == "failure" and events(out)[-1]["reason"] == "error"
    assert all(math.isfinite(loss) for line in events(out) for loss in line.get("losses", {}).values())
    tree = harness.artifacts.load_tree(last, "state")["state"]["student"]
    assert all(tensor.isfinite().all() for tensor in tree.values())

    with pytest.raises(RunError, match="step 3: loss `poison`"):  # it is still there
        sslkit.run(resume=out, device="cpu")
    (path.parent / "poison").unlink()
    done = sslkit.run(resume=out, device="cpu")
    clean = sslkit.run(path, out=out.with_name("clean"), device="cpu")
    assert harness.differences(harness.snapshot(clean.folder), done.folder) == []


def test_a_loss_that_is_no_number_at_once(recipe, out, refused):
    """There is no checkpoint to name then."""
    plugins = POISON.replace("{value}", "nan").replace("progress.generation == 1 and progress.step == 3", "True")
    path = recipe(poisoned(out.parent), plugins)
    said = refused("run", path, "--out", out, "--device", "cpu")
    assert "step 0: loss `poison` became nan; no checkpoint was saved before it" in said
    assert not (out / "checkpoints").exists()


def test_weights_that_are_no_numbers_are_not_saved(recipe, out):
    """A step whose loss was finite may leave none: what is saved would be lost."""
    plugins = """
from dataclasses import dataclass
import torch
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Breaks:
    @hookimpl
    def after_step(self, student, progress):
        if progress.generation == 1 and progress.step == 3:
            with torch.no_grad():
                next(student.parameters())[0] = float("inf")
"""
    path = recipe('[[labeler]]\nuse = "./plugins.py:Breaks"\n', plugins)
    with pytest.raises(RunError, match=r"generation 1, step 3: the losses were finite, but `.*` no longer is"):
        sslkit.run(path, out=out, device="cpu")
    assert newest_checkpoint(out) == out / "checkpoints/generation-1-step-2"


def test_a_loss_that_explodes(recipe, out, refused):
    said = refused("run", recipe(), "--out", out, "--device", "cpu", "--set", "optimizer.rate=1e30")
    assert "generation 0, step " in said and ("became" in said or "no longer is" in said)


# Plugins ----------------------------------------------------------------------------------------------------------

HEAD = """
from dataclasses import dataclass, replace
import numpy as np
import torch
from sslkit import LossTerm, Targets, hookimpl

@dataclass(eq=False, kw_only=True)
class Bad:
"""
BAD = {
    "noise that raises": ("noise", "labeled", """
    @hookimpl
    def image_transforms(self, view):
        return [lambda images, keys: images[99]]
""", ["[noise] bad", "`labeled`", "IndexError"]),
    "noise of the wrong shape": ("noise", "labeled", """
    @hookimpl
    def image_transforms(self, view):
        return [lambda images, keys: images[:, :4]]
""", ["[noise] bad", "`labeled`", "(6, 4, 8, 3)", "uint8 (6, 8, 8, 3) was expected"]),
    "noise of the wrong type": ("noise", "labeled", """
    @hookimpl
    def image_transforms(self, view):
        return [lambda images, keys: images / 255]
""", ["[noise] bad", "float64", "uint8 (6, 8, 8, 3) was expected"]),
    "perturbation of the wrong shape": ("noise", "labeled", """
    @hookimpl
    def perturb_batch(self, images):
        return images[:3]
""", ["[noise] bad: hook `perturb_batch`", "(3, 3, 8, 8)", "(6, 3, 8, 8) was expected"]),
    "targets of the wrong shape": ("labeler", None, """
    @hookimpl
    def refine(self, targets):
        return replace(targets, weight=targets.probs)
""", ["[labeler] bad: hook `refine`", "`weight` of shape (40, 3)", "(40,) was expected"]),
    "targets with a gradient": ("labeler", None, """
    @hookimpl
    def refine(self, targets):
        return replace(targets, probs=targets.probs.clone().requires_grad_())
""", ["[labeler] bad: hook `refine`", "`probs` with a gradient"]),
    "labeler that raises": ("labeler", None, """
    @hookimpl
    def refine(self, targets):
        raise KeyError("prior")
""", ["[labeler] bad: hook `refine` raised KeyError: 'prior'"]),
    "loss of the wrong type": ("loss", "labeled", """
    weight: float = 1.0
    @hookimpl
    def loss(self, step, forward):
        return forward("labeled").logits.mean()
""", ["[loss] bad: hook `loss`", "Tensor", "LossTerm or list was expected"]),
    "loss that is no scalar": ("loss", "labeled", """
    weight: float = 1.0
    @hookimpl
    def loss(self, step, forward):
        return LossTerm(forward("labeled").logits.mean(0), self.weight)
""", ["[loss] bad: hook `loss`", "(3,)", "a scalar was expected"]),
    "metric that raises": ("metric", None, """
    @hookimpl
    def measure(self, model):
        return {"x": 1 / 0}
""", ["[metric] bad: hook `measure` raised ZeroDivisionError"]),
    "tracker that raises": ("tracker", None, """
    @hookimpl
    def report(self, event):
        raise ConnectionError("no route")
""", ["[tracker] bad: hook `report` raised ConnectionError: no route"]),
    "state that cannot be saved": ("loss", "labeled", """
    weight: float = 1.0
    @hookimpl
    def loss(self, step, forward):
        return LossTerm(forward("labeled").logits.mean(), self.weight)
    def state_dict(self):
        return {"x": {1, 2}}
    def load_state_dict(self, state):
        pass
""", ["plugins/bad/x", "set", "only tensors and JSON values"]),
}  # fmt: skip


@pytest.mark.parametrize("split", ["labeled", "unlabeled", "test"])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read(recipe, out, refused, split, workers):
    """In a training step, when the pool is labeled, or when the model is measured."""
    plugins = f"""
from dataclasses import dataclass, replace
from stateful import Blobs
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Torn:
    @hookimpl
    def open_data(self, progress):
        data = Blobs().open_data(progress)
        data.{split}.read = self.read
        return data

    def read(self, rows):
        raise OSError("image file is truncated")
"""
    said = refused(
        "run", recipe('[data]\nuse = "./plugins.py:Torn"', plugins), "--set", f"workers={workers}", "--out", out
    )
    told = " ".join(said.split())
    assert f"[data] torn: images of the {split} split could not be read: OSError: image file is truncated" in told


@pytest.mark.parametrize("command", ["run", "check"])
def test_one_class_is_no_classification(recipe, out, refused, command):
    plugins = """
from dataclasses import dataclass, replace
from stateful import Blobs
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Alike:
    @hookimpl
    def open_data(self, progress):
        data = Blobs().open_data(progress)
        for images in data.splits.values():
            images.truth[:] = 0
        return replace(data, classes=("cat",))
"""
    path = recipe('[data]\nuse = "./plugins.py:Alike"', plugins)
    said = " ".join(refused(command, path, *(["--out", out] if command == "run" else [])).split())
    assert "[data]: a classifier tells classes apart, and needs two at least; classes of this data: cat" in said
    assert not out.exists()


@pytest.mark.parametrize("case", BAD)
def test_a_plugin_at_fault_is_named_with_its_hook(recipe, out, refused, case):
    section, on, body, words = BAD[case]
    table = f'[[{section}]]\nuse = "./plugins.py:Bad"\n' + (f'on = "{on}"\n' if on else "")
    said = refused("run", recipe(table, HEAD + body), "--out", out, "--device", "cpu")
    assert [word for word in words if word not in said.replace("\n", " ")] == [], said
    assert "What was saved is kept. If the cause lies outside the recipe and its plugins" in said
    assert said.rstrip().endswith(f"    sslkit run --resume {out}")
    assert Run(out).summary["status"] == "failed"


def test_a_plugin_at_fault_in_a_data_worker(recipe, out):
    section, on, body, words = BAD["noise of the wrong shape"]
    path = recipe(f'[[{section}]]\nuse = "./plugins.py:Bad"\non = "{on}"\n', HEAD + body)
    with pytest.raises(PluginError) as caught:
        sslkit.run(path, overrides={"workers": 1}, out=out, device="cpu")
    assert all(word in str(caught.value) for word in words)


def test_a_baseline_that_fails_is_gone_on_with_as_its_run(recipe, out):
    section, on, body, _ = BAD["noise of the wrong shape"]
    path = recipe(f'[[{section}]]\nuse = "./plugins.py:Bad"\non = "{on}"\n', HEAD + body)
    with pytest.raises(PluginError) as caught:
        sslkit.run(path, overrides={"baseline": True}, out=out, device="cpu")
    assert Run(out / "baseline").summary["status"] == "failed"
    (note,) = caught.value.__notes__
    assert note.endswith(f"    sslkit run --resume {out}")
    (path.parent / "plugins.py").write_text("# edited\n" + HEAD + body)
    with pytest.raises(RunError, match="other contents of these files") as caught:
        sslkit.run(resume=out, device="cpu")
    assert not hasattr(caught.value, "__notes__")  # nothing was begun that could go on


# Disks ------------------------------------------------------------------------------------------------------------


SAVED = ["generation-0-step-4", "generation-1-step-2"]


def went_on(path, out):
    """The run that was stopped in its last save, gone on with; what differs from one that had room."""
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == SAVED
    clean = sslkit.run(path, out=path.parent / "clean", device="cpu")
    done = sslkit.run(resume=out, device="cpu")
    return harness.differences(harness.snapshot(clean.folder), done.folder)


def test_a_full_disk_before_anything_was_saved(recipe, out, refused, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(harness.artifacts, "_sync", full)
    said = refused("run", recipe(), "--out", out, "--device", "cpu")
    assert f"{out} could not be made" in said and "No space left" in said
    assert not out.exists() and not [p for p in out.parent.iterdir() if p.name.startswith(".")]


def test_a_place_where_no_folder_can_be_made(recipe, tmp_path, refused):
    (tmp_path / "file").touch()
    said = refused("run", recipe(), "--out", tmp_path / "file/out", "--device", "cpu")
    assert "could not be made (Not a directory): choose another --out" in said and "Errno" not in said


def test_a_finished_runs_recipe_that_was_edited_is_told(recipe, out, refused, sslkit_cli):
    sslkit.run(recipe(), out=out, device="cpu")
    assert sslkit_cli("run", "--resume", out, "--device", "cpu").exit_code == 0
    text = (out / "recipe.toml").read_text()
    (out / "recipe.toml").write_text(re.sub(r"^rate = .*$", "rate = 0.0625", text, count=1, flags=re.M))
    assert "was edited since the run finished" in refused("run", "--resume", out, "--device", "cpu")


def test_a_baselines_failure_is_told_once(recipe, out):
    path = recipe('baseline = true\n[[tracker]]\nuse = "./plugins.py:Telling"\n', TELLING)
    with harness.watched("step", 1, action=lambda: (_ for _ in ()).throw(RunError("stop"))), pytest.raises(RunError):
        sslkit.run(path, out=out, device="cpu")
    told = (out.parent / "told").read_text().split()
    assert told.count("failure") == 1 and "rehearsal" in told


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_written(recipe):
    """Root may write everywhere, so this is done as nobody, who may write nowhere."""
    made = load(recipe())
    sslkit.run(made, out=made.path.parent / "first", device="cpu")  # so that nothing is left to import

    def as_nobody():
        os.setgid(65534)
        os.setuid(65534)
        with pytest.raises(RunError) as caught:
            sslkit.run(made, out="/var/sslkit-test", device="cpu")
        assert "/var/sslkit-test could not be made" in str(caught.value) and "Permission denied" in str(caught.value)

    log = made.path.parent / "log"
    assert in_child(as_nobody, log) == "finished", log.read_text()


def test_a_run_folder_that_may_no_longer_be_written(recipe, out, monkeypatch):
    """What was saved stays, and the reason is said: here by the first file that is to be written anew."""
    path = recipe()
    with watched("save", 4, action=lambda: (_ for _ in ()).throw(RunError("stop"))), pytest.raises(RunError):
        sslkit.run(path, out=out, device="cpu")

    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(harness.artifacts.Path, "write_text", forbidden)
        with pytest.raises(RunError, match=r"could not be written .*Permission denied"):
            sslkit.run(resume=out, device="cpu")
    assert went_on(path, out) == []


# Resuming what is no run ------------------------------------------------------------------------------------------


def test_resuming_what_is_no_run_folder(tmp_path, refused):
    for folder, why in ((tmp_path / "nothing", "does not exist"), (tmp_path, "has no recipe.toml")):
        assert f"{folder} is no run folder: it {why}" in refused("run", "--resume", folder)


def test_a_damaged_summary(recipe, out, refused, sslkit_cli):
    """Reading it fails with the way to mend it, and that way works."""
    done = sslkit.run(recipe(), out=out, device="cpu")
    expected = harness.snapshot(out)
    (out / "summary.json").write_text('{"generations": [')
    with pytest.raises(RunError, match=rf"summary\.json cannot be read.*sslkit run --resume {out}.*writes it anew"):
        _ = done.summary
    assert sslkit_cli("run", "--resume", out).exit_code == 0
    assert harness.differences(expected, out) == []


def test_a_damaged_recipe_in_the_folder(recipe, out, refused):
    sslkit.run(recipe(), out=out, device="cpu")
    (out / "summary.json").unlink()
    (out / "recipe.toml").write_text("labels = ")
    assert "recipe.toml" in refused("run", "--resume", out) and "not valid TOML" in refused("run", "--resume", out)


# Devices and versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:99", "mps:99", "banana"])
def test_a_device_that_is_not_there(recipe, out, refused, device):
    said = refused("run", recipe(), "--out", out, "--device", device)
    assert f"--device {device} is not to be had here" in said and "there is: cpu" in said
    assert not out.exists()


@pytest.mark.parametrize("error", [
    RuntimeError("operator torchvision::nms does not exist"),
    AttributeError("partially initialized module 'torchvision' has no attribute 'extension'"),
], ids=lambda error: type(error).__name__)  # fmt: skip
def test_a_torchvision_that_does_not_fit_torch(recipe, out, refused, monkeypatch, error):
    """timm imports torchvision, which then fails in one of these ways; nothing but pip can mend it."""

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "timm":
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    said = refused("run", recipe(), "--out", out, "--device", "cpu")
    assert str(error) in said and f"torch {torch.__version__} and torchvision do not fit each other" in said
    assert "pip install --force-reinstall torch torchvision" in said and not out.exists()


# Data and labels --------------------------------------------------------------------------------------------------


def test_more_labels_than_a_class_has(out, refused):
    said = refused("run", "supervised", "--set", "data.labels_per_class=500", "--out", out, "--device", "cpu")
    assert "[data] digits: labels_per_class = 500" in said and 'class "' in said and "Ask for fewer labels" in said
    assert not out.exists()


def test_fewer_labeled_images_than_a_batch(recipe, out):
    """Each image comes several times in a step, as often as the others, and with noise of its own."""
    plugins = (
        HEAD
        + """
    see: str = "seen.txt"
    @hookimpl
    def after_step(self, step):
        images = step.labeled.views["labeled"].images.flatten(1)
        with open(self.see, "a") as file:
            print(len(images.unique(dim=0)), *step.labeled.index.tolist(), file=file)
"""
    )
    seen = out.parent / "seen.txt"
    text = f'[[labeler]]\nuse = "./plugins.py:Bad"\nsee = "{seen}"\n[[noise]]\nuse = "cutout"\nsize = 4\n'
    made = sslkit.run(recipe(text, plugins), overrides={"data.labeled": 3, "batch.labeled": 21}, out=out, device="cpu")
    assert made.summary["status"] == "finished"
    rows = [list(map(int, line.split())) for line in seen.read_text().splitlines()]
    assert len(rows) == 8
    for different, *index in rows:
        assert len(index) == 21 and [index.count(i) for i in range(3)] == [7, 7, 7]
        assert different > 12


PICKY = (
    HEAD
    + """
    empty: int = 0
    @hookimpl
    def refine(self, targets):
        targets = replace(targets, probs=0.1 + 0.7 * torch.eye(3)[targets.index % 3])
        return replace(targets, weight=targets.weight * (targets.label != self.empty))
"""
)


@pytest.mark.parametrize("balance", [False, True])
def test_a_class_without_any_pseudo_label(recipe, out, sslkit_cli, balance):
    """Said, in the output and in the log; the run goes on with the other classes."""
    text = 'tracker = [{ use = "jsonl" }, { use = "console" }]\n[[labeler]]\nuse = "./plugins.py:Bad"\n'
    text += '[[labeler]]\nuse = "class_balance"\n' * balance
    done = sslkit_cli("run", recipe(text, PICKY), "--out", out, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "no pseudo-label is kept for a\n" in done.output
    (labels,) = [line for line in events(out) if line["kind"] == "labels"]
    assert labels["empty_classes"] == ["a"] and labels["kept_share"] == 26 / 40
    stored = Run(out).labels(1)
    assert not stored.kept[stored.label == 0].any()
    assert Run(out).summary["status"] == "finished"


def test_every_pseudo_label_filtered(recipe, out, sslkit_cli):
    """Said; the labels teach alone: the losses on unlabeled images are off."""
    text = 'tracker = [{ use = "jsonl" }, { use = "console" }]\n[[labeler]]\nuse = "confidence"\nthreshold = 1.0\n'
    done = sslkit_cli("run", recipe(text), "--out", out, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "no pseudo-label is kept for a, b, c" in done.output and "0.00% kept" in done.output
    second = Run(out).summary["generations"][1]
    assert second["kept_share"] == 0 and second["pseudo_label_accuracy"] is None
    steps = [line for line in events(out) if line["kind"] == "step" and line["generation"] == 1]
    assert len(steps) == 4 and all(line["losses"].keys() == {"supervised"} for line in steps)


def test_every_pseudo_label_filtered_at_steps(recipe, out):
    text = """
labels = "step"
[[labeler]]
name = "previous_student"
use = "current_student"
[[labeler]]
use = "confidence"
threshold = 1.0
"""
    made = sslkit.run(recipe(text), out=out, device="cpu")
    assert made.summary["status"] == "finished"
    steps = [line for line in events(out) if line["kind"] == "step"]
    assert len(steps) == 8 and all(line["kept_share"] == 0 and line["losses"]["distillation"] == 0 for line in steps)


# Models -----------------------------------------------------------------------------------------------------------

DENSE = {"model.name": "densenet121", "model.size": 32, "model.options": {"growth_rate": 4, "block_config": [1, 1]}}
"A model of timm's that takes no `drop_path_rate`, made small."


def test_a_model_without_stochastic_depth(recipe, out, refused):
    """Named: the model, the argument that it lacks, the plugin that sets it."""
    path = recipe('[[noise]]\nuse = "stochastic_depth"\nname = "depth"\nsurvival = 0.8\n')
    with pytest.raises(RecipeError) as caught:
        sslkit.run(path, overrides=DENSE, out=out, device="cpu")
    assert "[model] densenet121: takes no `drop_path_rate`, which `depth` sets" in str(caught.value)
    assert "enabled = false" in str(caught.value)
    done = sslkit.run(path, overrides={**DENSE, "noise.depth.enabled": False}, out=out.with_name("b"), device="cpu")
    assert done.summary["status"] == "finished"


@pytest.mark.parametrize(("later", "words"), [
    ({"model": {**{k.removeprefix("model."): v for k, v in DENSE.items()}}}, "[model] densenet121: takes no `drop_path_rate`"),
    ({"optimizer.options": {"nesterof": True}}, "[optimizer] sgd: takes no option `nesterof`"),
    ({"noise.cutout.size": 900}, "900"),
])  # fmt: skip
def test_what_a_later_generation_cannot_build_is_said_before_the_first(recipe, out, refused, later, words):
    """All of it at once, before any training, and nothing is made that a corrected recipe would have to fit."""
    text = '[[noise]]\nuse = "stochastic_depth"\n[[noise]]\nuse = "cutout"\nsize = 4\n'
    over = {f"generation.1.{key}": value for key, value in later.items()}
    with pytest.raises(RecipeError) as caught:
        sslkit.run(recipe(text), overrides={"baseline": True, **over}, out=out, device="cpu")
    first, _, line = str(caught.value).splitlines()[:3]
    assert first in ("tiny: 1 problem", "--set: 1 problem") and "generation 1" in line and words in line
    assert not out.exists()
    said = refused(
        "run", recipe(text), "--out", out, *(f"--set=optimizer.options={{ {key} = 1 }}" for key in ["nesterof"])
    )
    assert "[optimizer] sgd: takes no option `nesterof` it takes: " in " ".join(said.split())


@pytest.mark.parametrize(("overrides", "words"), [
    ({"model.name": "test_resnets"}, ["[model]", "no model `test_resnets`", "Did you mean `test_resnet`?"]),
    ({"optimizer.name": "sgdd"}, ["[optimizer]", "sgdd"]),
    ({"model.options": {"colour": "blue"}}, ["[model]", "colour"]),
    ({"optimizer.options": {"colour": "blue"}}, ["[optimizer]", "colour"]),
    ({"generation.1.init": "previous", "generation.1.model.name": "test_vit"}, ["generation 1", "test_vit", "scratch"]),
], ids=str)  # fmt: skip
def test_a_model_or_optimizer_that_cannot_be_made(recipe, out, overrides, words):
    with pytest.raises(SslkitError) as caught:
        sslkit.run(recipe(), overrides=overrides, out=out, device="cpu")
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


# Classes of errors ------------------------------------------------------------------------------------------------


def test_every_error_is_one_that_its_reader_can_mend():
    for kind in (RunError, PluginError, DataError, RecipeError):
        assert issubclass(kind, SslkitError)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            {"generation.3.model.name": "test_resnett"},
            r"no model `test_resnett` \(generation 3\)\n +Did you mean `test_resnet`",
        ),
        ({"optimizer.name": "sgdd"}, r"no optimizer `sgdd`\n +Did you mean `sgd`"),
    ],
)
def test_names_that_timm_lacks_are_refused_before_anything_is_made(tmp_path, setting, words):
    with pytest.raises(SslkitError, match=words):
        sslkit.run("noisy_student", out=tmp_path / "run", overrides=setting)
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_refused_even_if_empty(tmp_path):
    with pytest.raises(SslkitError, match="never overwritten"):
        sslkit.run("noisy_student", out=tmp_path)


TELLING = """
from dataclasses import dataclass
from pathlib import Path
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Telling:
    @hookimpl
    def report(self, event):
        with (Path(__file__).parent / "told").open("a") as file:
            file.write(event.kind + "\\n")
"""
