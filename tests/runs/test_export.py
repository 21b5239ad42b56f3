"""`sslkit export`: what other tools load answers as the run's own model does, or is not written."""

import errno
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import timm
import torch
from rich.console import Console
from safetensors.torch import save_file
from small import BASE, PLUGINS

import sslkit
from sslkit.artifacts import committed_file
from sslkit.commands import export as command
from sslkit.errors import DiskFull, RunError, SslkitError
from sslkit.exporting import onnx_file, timm_folder, torch_program
from sslkit.exporting.answers import ExportError
from sslkit.exporting.export import FORMATS, export, free, sizes
from sslkit.measuring.finished import finished_model

STRANGE = (
    """
import sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import torch
from torch import nn
from sslkit import Data, MissingData, hookimpl
"""
    + f"sys.path.insert(0, {str(PLUGINS.parent)!r})"
    + '''
from stateful import Blobs, Net

@dataclass(eq=False, kw_only=True)
class Any(Blobs):
    """Images of any number of channels, which print what they do."""
    channels: int = 3
    @hookimpl
    def open_data(self, progress) -> Data:
        print("opening images")
        if Path(__file__).with_name("gone").exists():
            raise MissingData("the images are gone")
        data = Blobs.open_data(self, progress)
        for images in data.splits.values():
            images.read = self.cut(images.read)
        return Data(data.classes, **data.splits, channels=self.channels)
    def cut(self, read):
        return lambda rows: [np.concatenate([one, one], 2)[:, :, : self.channels] for one in read(rows)]

@dataclass(eq=False, kw_only=True)
class Head:
    """A head that decides: alone, or together with the classifier."""
    kind: str = "linear"
    @hookimpl
    def extend_model(self, student) -> dict:
        width, classes = student.model.get_classifier().in_features, student.classes
        linear = nn.Linear(width, classes, bias=self.kind != "unbiased")
        return {"other": nn.Sequential(linear, nn.Tanh()) if self.kind == "bent" else linear}
    @hookimpl
    def decide(self, outputs):
        other = outputs.heads["other"]
        if self.kind == "sure":
            return torch.where(outputs.logits.amax(1, keepdim=True) > 9, other, outputs.logits)
        return (outputs.logits + other) / 2 if self.kind == "both" else other

class Odd(Net):
    def __init__(self, kind, classes, channels):
        super().__init__(classes, channels, 0.3)
        self.kind = kind
    def forward(self, images):
        logits = super().forward(images)
        if self.kind == "bessel":
            return torch.special.bessel_j0(logits.detach()) + logits
        if self.kind == "branch" and logits.sum() > 1e9:
            return -logits
        return logits

@dataclass(eq=False, kw_only=True)
class Made:
    """A model that no tool of others knows."""
    kind: str = "plain"
    @hookimpl
    def build_model(self, kwargs) -> nn.Module:
        return Odd(self.kind, kwargs["num_classes"], kwargs["in_chans"])
'''
)
FULL = OSError(errno.ENOSPC, "No space left on device")


def trained(folder, text="", **overrides):
    """A finished run of a few steps."""
    (folder / "strange.py").write_text(STRANGE)
    (folder / "tiny.toml").write_text(BASE + text)
    return sslkit.run(folder / "tiny.toml", overrides=overrides, out=folder / "mine", device="cpu")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run with an average and weights to begin with; its data and those weights are gone."""
    folder = tmp_path_factory.mktemp("done")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), folder / "begin.safetensors")
    run = trained(
        folder, '[[labeler]]\nuse = "moving_average"\ndecay = 0.6\n',
        **{"model.weights": str(folder / "begin.safetensors"), "model.crop": 0.9, "model.mean": [0.5, 0.4, 0.3],
           "data.use": f"{folder}/strange.py:Any"},
    )  # fmt: skip
    (folder / "begin.safetensors").unlink()
    (folder / "gone").touch()
    return run


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(rows, channels=3, size=8):
    return torch.rand(rows, channels, size, size, generator=torch.Generator().manual_seed(5))


def own(run, generation=-1, weights=None, **shape):
    """What `sslkit evaluate` takes the softmax of: logits of eleven images."""
    classifier = finished_model(run, generation, weights=weights, device="cpu").classifier
    with torch.no_grad():
        return classifier.decide(classifier.network(images(11, **shape)))


def normalised(model, **shape):
    """A timm model's logits of the same images, prepared by the numbers of its card."""
    config = timm.data.resolve_model_data_config(model)
    mean, std = (torch.tensor(config[key]).view(-1, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        return model.eval()((images(11, **shape) - mean) / std)


def same(given, expected):
    """Untrained models answer in thousands: 1e-5 of the largest logit, where it is above 1."""
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-5 * max(1.0, float(expected.abs().max())))


def code(text):
    """What Python code leaves behind."""
    names = {"images": images(11)}
    exec(text, names)
    return names


# Round trips ------------------------------------------------------------------------------------------------------


def test_a_timm_folder_is_loaded_by_the_line_that_is_printed(done, here, sslkit_cli, monkeypatch):
    said = sslkit_cli("export", done.folder)
    assert said.exit_code == 0, said.output
    heading = ("mine · generation 1", "test_resnet", "step 4", "average weights")
    assert all(part in said.output for part in heading)
    assert re.search(r"written +mine-generation-1 \(1\.\d MB: README.md, .*model.safetensors\)", said.output)
    model = code(said.output[said.output.index("import timm") :])["model"]
    same(normalised(model), own(done))
    cfg = model.pretrained_cfg
    assert cfg["label_names"] == ["a", "b", "c"] and cfg["num_classes"] == 3 and cfg["crop_pct"] == 0.9
    assert (cfg["mean"], cfg["std"], tuple(cfg["input_size"])) == ([0.5, 0.4, 0.3], [0.5, 0.5, 0.5], (3, 8, 8))
    monkeypatch.chdir(here / "mine-generation-1")
    monkeypatch.setattr(timm_folder, "knows_folders", lambda: False)
    same(normalised(timm_folder.loaded(Path())), own(done))
    assert timm_folder.lines(".") in Path("README.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL):
        same(normalised(code(block)["model"]), own(done))


def test_the_folder_says_where_its_model_comes_from(done, here):
    stages = []
    made = export(done.folder, "timm", out="there", done=stages.append)
    assert stages == [1] * 4, "as the command's bar counts them"
    facts = json.loads((here / "there" / "config.json").read_text())["sslkit"]
    assert (
        facts
        == made.about
        == json.loads((here / "there" / "README.md").read_text().split("```json")[1].split("```")[0])
    )
    labels = json.loads((done.folder / "labels" / "generation-1" / "manifest.json").read_text())
    assert facts["teacher"] == labels["teacher"] and facts["recipe_hash"] == done.summary["recipe_hash"]
    assert facts["metrics"]["test_accuracy"] == done.summary["generations"][1]["test_accuracy"]
    assert (facts["run"], facts["generation"], facts["weights"], facts["step"]) == ("mine", 1, "average", 4)
    assert "[model] weights" in made.warnings[0], "the file is gone"


@pytest.mark.parametrize("weights", ["student", "selected"])
def test_other_generations_and_weights(done, here, weights):
    made = export(done.folder, None, 0, weights=weights)
    assert made.path.name == f"mine-generation-0-{weights}" and made.about["weights"] == weights
    same(normalised(timm_folder.loaded(made.path)), own(done, 0, weights))
    selected = done.summary["generations"][0]["selected"]
    known = {key: selected[key] for key in ("validation_accuracy", "test_accuracy")}
    assert made.about["metrics"] == (known if weights == "selected" else {}), "the run measured the average"
    assert made.about["step"] == (selected["step"] if weights == "selected" else 4)


def test_an_onnx_model_takes_any_batch_and_says_how_to_use_it(done, here, sslkit_cli):
    import onnxruntime

    said = sslkit_cli("export", done.folder, "--format", "onnx", "--json")
    made = json.loads(said.stdout)
    assert made["path"] == "mine-generation-1.onnx" and made["bytes"] == Path(made["path"]).stat().st_size
    assert made["difference"] < 1e-5 and made["in"].startswith("images: (N, 3, 8, 8) float32 from 0 to 1, RGB")
    session = onnxruntime.InferenceSession(made["path"])
    same(torch.from_numpy(session.run(None, {"images": images(11).numpy()})[0]), own(done))
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, answer.name, answer.shape) == (
        "images",
        ["batch", 3, 8, 8],
        "logits",
        ["batch", 3],
    )
    inside = session.get_modelmeta().custom_metadata_map
    assert json.loads(inside["classes"]) == ["a", "b", "c"] and json.loads(inside["mean"]) == [0.5, 0.4, 0.3]
    assert json.loads(inside["image_size"]) == 8 and "0.9 times its shorter side" in inside["prepare"]
    assert json.loads(inside["sslkit"]) == made["model"]
    text = made["load"].replace("images}", "images.numpy()}")
    same(torch.from_numpy(code(text)["logits"]), own(done))


def test_a_torch_program_takes_any_batch_and_holds_no_pickle(done, here):
    stages = []
    made = export(done.folder, "torch", done=stages.append)
    assert stages == [1] * 4, "as the command's bar counts them"
    same(code(made.load)["logits"], own(done))
    with zipfile.ZipFile(made.path) as archive:
        begin = {name: archive.read(name)[:2] for name in archive.namelist()}
    assert len(begin) > 20 and not [name for name in begin if name.endswith(".pkl")]
    assert not {b"PK", b"\x80\x02"} & set(begin.values())
    facts = {torch_program.FACTS: ""}
    torch.export.load(made.path, extra_files=facts)
    assert json.loads(facts[torch_program.FACTS])["classes"] == ["a", "b", "c"]


def test_the_default_recipe(shipped, here):
    run = sslkit.run(shipped("noisy_student"), out=here / "default", device="cpu")
    shape = {"channels": finished_model(run, device="cpu").channels, "size": 16}
    same(normalised(timm_folder.loaded(export(run).path), **shape), own(run, **shape))
    program = torch.export.load(export(run, "torch").path).module()
    same(program(images(11, **shape)), own(run, **shape))


@pytest.mark.parametrize(("channels", "model", "more"), [
    (1, "test_resnet", {}), (4, "test_efficientnet", {"model.size": 20}),
    (4, "test_vit", {"model.options": {"img_size": 32}, "model.size": 32}),
])  # fmt: skip
def test_any_channels_and_sizes(here, channels, model, more):
    run = trained(here, **{"data.use": "./strange.py:Any", "data.channels": channels, "model.name": model, **more})
    shape = {"channels": channels, "size": more.get("model.size", 8)}
    loaded = timm.create_model(f"local-dir:{export(run).path}", pretrained=True)
    same(normalised(loaded, **shape), own(run, **shape))
    assert tuple(loaded.pretrained_cfg["input_size"]) == (channels, shape["size"], shape["size"])


# What decides -----------------------------------------------------------------------------------------------------


def test_a_linear_head_that_decides_is_folded_into_the_classifier(shipped, here):
    run = sslkit.run(shipped("abc"), out=here / "abc", device="cpu")
    shape = {"channels": finished_model(run, device="cpu").channels, "size": 16}
    expected = own(run, **shape)
    assert not torch.allclose(expected, run.model()(images(11, **shape)).logits), "the classifier answers otherwise"
    same(normalised(timm_folder.loaded(export(run).path), **shape), expected)


def test_a_head_without_bias_is_folded_too(here):
    run = trained(here, '[[loss]]\nuse = "./strange.py:Head"\nkind = "unbiased"\non = "labeled"\n')
    same(normalised(timm_folder.loaded(export(run).path)), own(run))


@pytest.mark.parametrize(("kind", "reason"), [
    ("bent", "the head `other` is no linear layer (Sequential)"),
    ("both", "the decision is not one layer's answer as it is"),
    ("sure", "the decision is not one layer's answer as it is"),
])  # fmt: skip
def test_another_decision_is_refused_with_the_reason(here, refused, kind, reason):
    run = trained(here, f'[[loss]]\nuse = "./strange.py:Head"\nkind = "{kind}"\non = "labeled"\n')
    said = refused("export", run.folder)
    assert reason in said and "[[loss]] head decides" in said and "`--format onnx` and `--format torch`" in said
    assert not list(here.glob("mine-*"))


def test_a_plugins_model_goes_with_its_decision(here, refused):
    """No timm model: refused by default and by name; the graph holds whatever decides. One channel."""
    run = plugin_run(here, 'use = "wide_resnet"\ndepth = 10\nwidth = 1\nsize = 8\n', "both", 1)
    assert "--format onnx " in refused("export", run.folder)
    assert "`timm.create_model` can only build timm's own models" in refused("export", run.folder, "--format", "timm")
    stages = []
    session = onnx_file.session(export(run, "onnx", done=stages.append).path)
    assert stages == [1] * 5
    same(session(images(11, 1)), own(run, channels=1))


def plugin_run(folder, model, head=None, channels=3):
    """A finished run of a model plugin."""
    (folder / "strange.py").write_text(STRANGE)
    text = re.sub(r"\[model\]\n.*?\n\n", f"[model]\n{model}\n", BASE, flags=re.DOTALL)
    text += f'[[loss]]\nuse = "./strange.py:Head"\nkind = "{head}"\non = "labeled"\n' if head else ""
    (folder / "tiny.toml").write_text(text)
    data = {"data.use": "./strange.py:Any", "data.channels": channels}
    return sslkit.run(folder / "tiny.toml", overrides=data, out=folder / "mine", device="cpu")


# Refusals ---------------------------------------------------------------------------------------------------------


def test_an_operator_that_onnx_lacks_is_named(here, refused):
    run = plugin_run(here, 'use = "./strange.py:Made"\nkind = "bessel"\nsize = 8\n')
    said = refused("export", run.folder, "--format", "onnx")
    assert "it uses the operator `prims::bessel_j0`, which has no translation to ONNX" in said
    assert "`--format torch` holds any operator" in said and not list(here.glob("*.onnx*"))


def test_code_that_cannot_be_traced_is_refused(here, refused):
    run = plugin_run(here, 'use = "./strange.py:Made"\nkind = "branch"\nsize = 8\n')
    said = refused("export", run.folder, "--format", "torch")
    assert "cannot be traced by torch.export for any number of images" in said and not list(here.glob("*.pt2"))


@pytest.mark.parametrize("shift", [1.0, float("nan")])
def test_an_export_that_answers_otherwise_leaves_nothing(done, here, refused, monkeypatch, shift):
    """Every format is compared by the same function."""
    loaded = timm_folder.loaded
    monkeypatch.setattr(timm_folder, "loaded", lambda folder: lambda images: loaded(folder)(images) + shift)
    said = refused("export", done.folder, "--out", here / "new" / "it")
    assert "does not answer as the run's model does: logits of 1 images differ by" in said
    assert not list(here.glob("new/*"))  # names with a dot are among them


def test_weights_beside_a_file_go_with_it_or_nothing_does(here):
    with committed_file(here / "large.onnx") as aside:
        aside.write_text("graph")
        aside.with_name("large.onnx.data").write_text("weights")
    assert [one.name for one in sorted(here.iterdir())] == ["large.onnx", "large.onnx.data"]
    assert sizes(here / "large.onnx") == {"large.onnx": 5, "large.onnx.data": 7}
    with pytest.raises(DiskFull), committed_file(here / "other.onnx") as aside:
        aside.write_text("gra")
        raise FULL
    with pytest.raises(ZeroDivisionError), committed_file(here / "other.onnx") as aside:
        raise ZeroDivisionError
    (here / "large.onnx").unlink()
    with pytest.raises(ExportError, match="is there already"):
        free(here / "large.onnx")
    assert [one.name for one in here.iterdir()] == ["large.onnx.data"]


@pytest.mark.parametrize("form", ["timm", "onnx", "torch"])
def test_nothing_is_overwritten(done, here, refused, form):
    name = f"mine-generation-1{FORMATS[form].suffix}"
    (here / name).write_text("mine")
    other = name.replace("-1", "-1-2")
    said = refused("export", done.folder, "--format", form)
    assert f"`{name}` is there already" in said and f"--out {other}" in said and (here / name).read_text() == "mine"


def test_a_name_that_tools_cannot_open_is_refused(done, here, refused):
    for name in ("a\nb", "caf\udce9"):
        assert "choose a name of printable UTF-8 text" in refused("export", done.folder, "--out", name)


def test_a_full_disk_and_a_place_that_cannot_be_written(done, here, refused, monkeypatch):
    (here / "file").write_text("no folder")
    assert "could not be written" in refused("export", done.folder, "--out", here / "file" / "it")

    def fails(*args, **kwargs):
        raise FULL

    monkeypatch.setattr(timm_folder, "save_file", fails)
    monkeypatch.setattr(Path, "write_bytes", fails)
    for form in ("timm", "torch"):
        with pytest.raises(DiskFull, match="the disk is full: it could not be written"):
            export(done, form, out="it")
    assert sorted(path.name for path in here.iterdir()) == ["file"]


def test_a_closed_folder_is_named_as_it_was_given(done, here, monkeypatch):
    def closed(path, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(RunError) as caught:
        export(done, "timm", out="it")
    assert str(caught.value).startswith("it could not be written (Permission denied)")
    assert "Errno" not in str(caught.value) and ".writing" not in str(caught.value)


def test_the_first_line_is_there_before_the_export_begins(done, here, sslkit_cli, monkeypatch):
    def fails(*args):
        raise RunError("not begun")

    monkeypatch.setattr(command, "written", fails)
    assert sslkit_cli("export", done.folder).stderr.startswith(f"exporting {done.folder}\n")
    assert "exporting" not in sslkit_cli("export", done.folder, "--json").stderr


def test_long_lines_hang_below_their_text_on_a_terminal():
    console = Console(force_terminal=True, color_system=None, width=40, file=io.StringIO())
    console.print(command.row(console, "images", "word " * 20))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert len(lines) > 2 and lines[0].startswith("images   word")
    assert all(line.startswith(" " * 9 + "word") for line in lines[1:])


def test_pickles_that_an_older_torch_writes_are_said(here):
    with zipfile.ZipFile(here / "old.pt2", "w") as archive:
        torch.save({}, here / "weights.pt")
        archive.write(here / "weights.pt")
        archive.writestr("graph.json", "{}")
    (said,) = torch_program.pickles(here / "old.pt2")
    assert "wrote pickles into old.pt2: " in said and "weights.pt" in said and "graph" not in said


def test_missing_packages_are_named(done, here, refused, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else name)
    said = refused("export", done.folder, "--format", "onnx")
    assert "--format onnx needs onnxscript, which is not installed" in said and "pip install 'sslkit[onnx]'" in said


def test_what_the_run_does_not_keep(done, here, refused):
    assert "there is no generation 7" in refused("export", done.folder, "--generation", 7)
    assert "is no run folder" in refused("export", here)
    broken = shutil.copytree(done.folder, here / "broken")
    with (broken / "models" / "generation-1" / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert "is damaged" in refused("export", broken)
    assert export(broken, generation=0).path.is_dir()


def test_formats_of_the_command_are_those_that_there_are():
    assert tuple(FORMATS) == command.FORMATS
    assert issubclass(ExportError, SslkitError) and issubclass(DiskFull, RunError)


def test_numbers_that_begin_as_a_pickle_does_are_none(here):
    with zipfile.ZipFile(here / "new.pt2", "w") as archive:
        for name, head in (("zipped", b"PK"), ("pickle", b"\x80\x02"), ("empty", b"")):
            archive.writestr(name, head and head + bytes(9))
    assert torch_program.pickles(here / "new.pt2") == ()
