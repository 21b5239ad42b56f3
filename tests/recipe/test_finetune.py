"""`finetune_noisy_student`: pretrained weights on a person's own photos, tried with a file of weights and a small model."""

import re
from pathlib import Path

import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from scaled_down import example, fill

import sslkit
from sslkit import cli, pretrained
from sslkit.check.probe import facts_without
from sslkit.decay import rates
from sslkit.network import build_network, without_weights
from sslkit.recipe import load, shipped
from sslkit.recipe.overrides import parse_set
from sslkit.state import plugins_of

NAME = "finetune_noisy_student"
SOURCES = ("paper", "official code", "timm", "ours", "2017", "2019", "2020")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Its example on pictures, from a file of 1,000 classes instead of published weights."""
    folder = tmp_path_factory.mktemp("finetune")
    torch.manual_seed(3)
    save_file(timm.create_model("test_resnet").state_dict(), folder / "w.safetensors")
    text = example(NAME).replace("pretrained = false\n", 'weights = "w.safetensors"\n')
    (folder / "small.toml").write_text(text)
    recipe = load(folder / "small.toml", {"tracker": []})
    assert recipe.generations[2].model.pretrained and "w.safetensors" in recipe.generations[2].model.weights
    fill(folder / "pictures", recipe.table["data"])
    return sslkit.run(recipe, out=folder / "run", device="cpu")


def test_it_runs_from_a_file(run):
    assert run.summary["status"] == "finished" and len(run.summary["generations"]) == 3
    assert all("test_accuracy" in entry for entry in run.summary["generations"])


def test_first_layers_stay_as_they_were_published_and_the_others_move(run):
    """In every generation: students start from the published weights too."""
    weights = load_file(run.folder.parent / "w.safetensors")
    for index in range(3):
        state = run.model(index).model.state_dict()
        same = {name for name in state if name in weights and torch.equal(state[name], weights[name])}
        frozen = {name for name in state if name.startswith(("conv1", "bn1", "layer1"))}
        assert same >= frozen and len(frozen) > 15
        moved = [name for name in state if name.startswith("layer4") and name.endswith("weight")]
        assert any(name not in same for name in moved) and state["fc.weight"].shape[0] == 3


def test_rates_of_the_ten_layers_of_a_resnet18():
    recipe = load(NAME)
    cfg = without_weights(recipe.generations[1])
    facts = facts_without(cfg, torch.device("meta"), 3)
    with facts.device:
        network = build_network(cfg, plugins_of(cfg), facts)
    found = rates(cfg.optimizer, network)
    by_hand = {"fc.weight": 1, "layer4.1.conv2.weight": 0.3 * 0.8, "layer4.0.conv1.weight": 0.3 * 0.8**2,
               "layer3.1.bn1.weight": 0.3 * 0.8**3, "layer2.0.conv1.weight": 0.3 * 0.8**6}  # fmt: skip
    assert {name: found[f"model.{name}"] for name in by_hand} == pytest.approx(by_hand)
    frozen = {name.split(".")[1] for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}


def test_check_without_photos_and_network_says_what_is_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(pretrained, "WAIT", 1)
    done = CliRunner().invoke(cli.cli, ["check", NAME], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    assert "there is no folder" in done.output and "photos/train/CLASS/FILE" in done.output
    assert "the published weights of resnet18 are not here, and http://127.0.0.1:9 does not answer" in done.output
    assert "resnet18 · 160 px · mean 0.485 0.456 0.406 · std 0.229 0.224 0.225" in done.output
    assert "backbone 0.3 · layer_decay 0.8" in done.output


def test_the_way_offline_that_its_head_names(tmp_path):
    (said,) = re.findall(r"--set (\S+)", shipped()[NAME].read_text())
    (tmp_path / "resnet18.safetensors").write_bytes(b"")
    key, value = said.split("=")
    recipe = load(NAME, dict([parse_set(f"{key}={tmp_path / value}")]))
    assert not any(cfg.model.fetched for cfg in recipe.generations)


def test_each_line_with_a_number_says_where_it_comes_from():
    assert load(NAME).warnings == []
    silent = []
    for line in Path(shipped()[NAME]).read_text().splitlines():
        code, _, comment = line.partition("#")
        known = any(word in comment.lower() for word in SOURCES)
        if re.search(r"=.*\d", re.sub(r'"[^"]*"', "", code)) and not known:
            silent.append(line)
    assert silent == []
