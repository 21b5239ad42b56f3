"""Names of models and optimizers: looked up in timm where a run is about to happen, told like any other problem."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

import sslkit
from sslkit import cli
from sslkit.errors import RecipeError
from sslkit.network import check_names
from sslkit.recipe import load


def wrong(path, overrides=None, **more):
    with pytest.raises(RecipeError) as caught:
        load(path, overrides, names=True, **more)
    return str(caught.value)


def test_names_are_told_with_everything_else(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled("rate = 0.1", 'name = "sgdd"\nrate = 0.1')
    path.write_text(path.read_text().replace('"test_resnet"', '"test_resnett"').replace("steps = 100", "stps = 100"))
    lines = path.read_text().splitlines()
    model, optimizer = lines.index('name = "test_resnett"') + 1, lines.index('name = "sgdd"') + 1
    message = wrong("spoiled.toml")
    assert "spoiled.toml: 4 problems" in message and "unknown key or section `stps`" in message
    assert f"  line {model}  [model]: timm has no model `test_resnett`\n" in message and "`test_resnet`?" in message
    assert f"  line {optimizer}  [optimizer]: timm has no optimizer `sgdd`\n" in message and "`sgd`?" in message


def test_names_of_a_table_that_is_wrong_otherwise(kitchen):
    path = kitchen.spoiled('name = "test_resnet"', 'name = "test_resnett"\nsise = 3')
    assert "unknown key `sise`" in wrong(path) and "no model `test_resnett`" in wrong(path)


def test_names_of_one_generation(kitchen):
    path = kitchen.more('[[generation]]\n[[generation]]\nmodel.name = "resnt18"\noptimizer.name = "adamww"\n')
    message = wrong(path)
    assert "timm has no model `resnt18` (generation 1)" in message and "Did you mean `resnet18`?" in message
    assert "timm has no optimizer `adamww` (generation 1)" in message and "--set" not in message
    assert "--set: 1 problem" in wrong(kitchen.base, {"model.name": "resnt18"})


def test_a_name_that_every_generation_replaces_is_not_looked_up(kitchen):
    path = kitchen.spoiled('"test_resnet"', '"nothing"')
    path.write_text(path.read_text() + '[[generation]]\nmodel.name = "resnet18"\n')
    assert load(path, names=True).generations[0].model.name == "resnet18"


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "hf-hub:somebody/something", "local-dir:/models/a"])
def test_names_that_timm_knows(kitchen, name):
    assert load(kitchen.base, {"model.name": name}, names=True).generations[0].model.name == name


def test_weights_that_timm_lacks(kitchen):
    assert "no weights `a9` of its model `resnet18`" in wrong(kitchen.base, {"model.name": "resnet18.a9"})


def test_a_name_that_resembles_none(kitchen):
    message = wrong(kitchen.base, {"model.name": "!", "optimizer.name": "!"})
    assert "`timm.list_models()` lists all" in message and "it has: adabelief, " in message


def test_options_that_timm_refuses(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled("rate = 0.1", "rate = 0.1\noptions = { nestrov = true, lr = 1 }")
    path.write_text(path.read_text().replace('"test_resnet"', '"test_resnet"\noptions = { stem_wdth = 3 }'))
    lines = path.read_text().splitlines()
    model, optimizer = (
        lines.index("options = { stem_wdth = 3 }") + 1,
        lines.index("options = { nestrov = true, lr = 1 }") + 1,
    )
    message = wrong("spoiled.toml")
    assert f"  line {optimizer}  [optimizer] sgd: takes no option `nestrov`\n" in message
    assert "it takes: momentum, dampening, nesterov, " in message and "Did you mean `nesterov`?" in message
    assert f"  line {optimizer}  [optimizer] options: `lr` has a key of its own\n" in message and "`rate`" in message
    assert (
        f"  line {model}  [model] test_resnet: takes no option `stem_wdth`\n" in message and "`stem_width`" in message
    )
    message = wrong(kitchen.base, {"optimizer.options": {"nesterov": True}, "optimizer.momentum": 0.0})
    assert "--set: 1 problem" in message and "[optimizer] sgd: timm refuses its options: Nesterov momentum" in message


def test_options_that_timm_takes(kitchen):
    good = {"optimizer.options": {"nesterov": True, "maximize": True}, "model.options": {"bn_eps": 0.1, "act_layer": "relu"},
            "model.name": "test_efficientnet"}  # fmt: skip
    assert load(kitchen.base, good, names=True).generations[0].model.options["bn_eps"] == 0.1


def test_layer_decay_is_no_option_of_timms_but_a_key(kitchen):
    with pytest.raises(RecipeError, match=r"`layer_decay` has a key of its own\n.*say `layer_decay` in \[optimizer\]"):
        load(kitchen.base, {"optimizer.options": {"layer_decay": 0.9}}, names=True)
    assert load(kitchen.base, {"optimizer.layer_decay": 0.9}, names=True).generations[0].optimizer.layer_decay == 0.9


def test_a_model_plugin_has_no_name_of_timms(kitchen):
    path = kitchen.spoiled('name = "test_resnet"', 'use = "./parts.py:Net"\nname = "mine"')
    assert load(path, names=True).generations[0].model is None


def test_names_of_a_recipe_that_was_loaded_without(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled('"test_resnet"', '"test_resnett"')
    line = path.read_text().splitlines().index('name = "test_resnett"') + 1
    recipe = load("spoiled.toml")
    with pytest.raises(RecipeError, match=f"spoiled.toml: 1 problem\n\n  line {line}  .model.: timm has no model"):
        check_names(recipe.generations)
    check_names(load(kitchen.base).generations)


def test_loading_without_names_imports_no_timm(kitchen):
    code = f"import sys; from sslkit.recipe import load; load({str(kitchen.base)!r}); print('timm' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False", said.stderr


def test_run_and_check_tell_names_with_everything_else(kitchen, tmp_path):
    """They need timm anyway, so one try says all."""
    path = kitchen.spoiled("rate = 0.1", 'name = "sgdd"\nrate = -1')
    with pytest.raises(RecipeError, match=r"(?s)2 problems.*no optimizer `sgdd`.*`rate = -1`"):
        sslkit.run(path, out=tmp_path / "run")
    done = CliRunner().invoke(cli.cli, ["check", str(path)])
    assert done.exit_code == 2 and "2 problems" in done.output
    assert "no optimizer `sgdd`" in done.output and "`rate = -1`" in done.output
