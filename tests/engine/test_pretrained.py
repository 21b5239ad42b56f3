"""Weights that others trained: files of every make, and timm's hub where there is no network."""

import subprocess
import sys
from dataclasses import replace

import pytest
import timm
import torch
from click.testing import CliRunner
from driving import CPU, equal_states, network_of
from safetensors.torch import save_file

import sslkit
from sslkit import cli, pretrained
from sslkit.check.examine import examine
from sslkit.errors import RecipeError
from sslkit.network import build_network
from sslkit.opening import open_data
from sslkit.pretrained import missing_weights
from sslkit.state import facts_of, plugins_of

FILE = '[model]\nweights = "w.safetensors"'


def built(recipe, channels=3):
    """A network for images of so many channels."""
    cfg = recipe.generations[0]
    facts = replace(facts_of(cfg, open_data(recipe), CPU), channels=channels)
    torch.manual_seed(0)
    return build_network(cfg, plugins_of(cfg), facts)


def published(path, name="test_resnet", prefix="", **kwargs):
    """A file as timm publishes it: of 1,000 classes, or other ones."""
    torch.manual_seed(7)
    model = timm.create_model(name, **kwargs)
    save_file({prefix + key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return model


def refused(recipe):
    with pytest.raises(RecipeError) as caught:
        built(recipe)
    return str(caught.value)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "module.model.", "_orig_mod."])
def test_files_of_other_classes_and_of_wrappers(tiny, tmp_path, prefix):
    model = published(tmp_path / "w.safetensors", prefix=prefix)
    network = built(tiny(FILE))
    own = {name: value for name, value in network.model.state_dict().items() if not name.startswith("fc.")}
    assert len(own) > 40 and all(torch.equal(value, model.state_dict()[name]) for name, value in own.items())
    assert network.model.fc.weight.shape[0] == 10


def test_a_files_classifier_is_kept_where_it_is_of_as_many_classes(tiny, tmp_path):
    model = published(tmp_path / "w.safetensors", num_classes=10)
    assert torch.equal(built(tiny(FILE)).model.fc.weight, model.fc.weight)


def test_a_runs_own_file_with_heads_beside_the_classifier(tiny, tmp_path):
    other = network_of(tiny(), seed=9)
    tensors = {name: value.contiguous() for name, value in other.state_dict().items()}
    save_file({**tensors, "heads.turn.weight": torch.ones(4, 96)}, tmp_path / "w.safetensors")
    assert equal_states(built(tiny(FILE)), other)


def test_a_folder_that_holds_them(tiny, tmp_path):
    (tmp_path / "exported").mkdir()
    model = published(tmp_path / "exported" / "model.safetensors")
    recipe = tiny('[model]\nweights = "exported"')
    assert torch.equal(built(recipe).model.conv1[0].weight, model.conv1[0].weight)
    assert recipe.generations[0].model.weights == str(tmp_path / "exported" / "model.safetensors")


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_a_first_convolution_of_colours_is_adapted_as_timm_does(tiny, tmp_path, name, channels):
    options = "size = 16\noptions = { img_size = 16 }" if name == "test_vit" else ""
    more = {"img_size": 16} if name == "test_vit" else {}
    published(tmp_path / "w.safetensors", name, **more)
    network = built(tiny(f'{FILE}\nname = "{name}"\n{options}'), channels)
    overlay = {"file": str(tmp_path / "w.safetensors")}
    expected = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, in_chans=channels, **more)
    first = f"{network.model.pretrained_cfg['first_conv']}.weight"
    assert torch.equal(network.model.state_dict()[first], expected.state_dict()[first])
    assert network(torch.rand(2, channels, 16, 16)).logits.shape == (2, 10)


def test_position_embeddings_of_another_size_are_resized_as_timm_does(tiny, tmp_path):
    published(tmp_path / "w.safetensors", "test_vit", img_size=32)
    network = built(tiny(f'{FILE}\nname = "test_vit"\nsize = 16\noptions = {{ img_size = 16 }}'))
    overlay = {"file": str(tmp_path / "w.safetensors")}
    expected = timm.create_model("test_vit", pretrained=True, pretrained_cfg_overlay=overlay, img_size=16)
    assert torch.equal(network.model.pos_embed, expected.pos_embed)


def test_a_file_of_another_model_is_refused_by_what_does_not_fit(tiny, tmp_path):
    published(tmp_path / "w.safetensors", "resnet10t")
    assert "w.safetensors does not fit ResNet: it has no `" in refused(tiny(FILE))
    model = timm.create_model("test_resnet")
    deeper = {**model.state_dict(), "layer1.1.conv1.weight": torch.ones(2, 2, 3, 3)}
    save_file(deeper, tmp_path / "w.safetensors")
    assert "it is of a model with `layer1.1.conv1.weight`" in refused(tiny(FILE))
    del deeper["layer1.1.conv1.weight"], deeper["layer2.0.conv1.weight"]
    save_file(deeper, tmp_path / "w.safetensors")
    said = refused(tiny(FILE))
    assert "it has no `layer2.0.conv1.weight`. Name the model that it is of" in said


def test_a_pickle_is_not_opened_and_how_to_convert_it_works(tiny, tmp_path):
    model = timm.create_model("test_resnet")
    torch.save(model.state_dict(), tmp_path / "w.pth")
    said = refused(tiny('[model]\nweights = "w.pth"'))
    assert "w.pth is a pickle, which may run anything when it is read, and is not opened" in said
    code = said.partition('python -c "')[2].rpartition('"')[0]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    assert torch.equal(built(tiny(FILE)).model.conv1[0].weight, model.conv1[0].weight)


def test_a_file_that_does_not_fit_is_found_before_a_run_begins(tiny, tmp_path):
    """Whichever generation names it: teachers and students have models of their own."""
    published(tmp_path / "w.safetensors", "resnet10t")
    recipe = tiny('[[generation]]\n[[generation]]\nmodel.weights = "w.safetensors"')
    with pytest.raises(RecipeError, match=r"generation 1: .*does not fit"):
        sslkit.run(recipe, out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_each_generation_starts_from_its_own(tiny, tmp_path):
    model = published(tmp_path / "w.safetensors")
    text = '[model]\nfreeze = ["conv1"]\n[[generation]]\nmodel.weights = "w.safetensors"\n[[generation]]\n'
    run = sslkit.run(tiny(text), out=tmp_path / "run", device="cpu")
    same = [torch.equal(run.model(i).model.conv1[0].weight, model.conv1[0].weight) for i in (0, 1)]
    assert same == [True, False]


# The hub --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and nothing that was fetched before."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(pretrained, "WAIT", 1)


def test_without_a_network_a_run_is_refused_before_it_has_a_folder(write_recipe, tmp_path, offline):
    path = write_recipe('[model]\nname = "resnet18"\nsize = 16\npretrained = true')
    done = CliRunner().invoke(cli.cli, ["run", str(path), "--out", str(tmp_path / "run")])
    said = " ".join(done.output.split())
    assert done.exit_code == 2 and not (tmp_path / "run").exists()
    assert "[model] resnet18: its published weights could not be fetched (http://127.0.0.1:9 does not answer" in said
    assert 'Without a network, name a file instead: weights = "model.safetensors"' in said
    assert "Traceback" not in said and "Retrying" not in said


def test_a_file_takes_the_place_of_published_weights(tiny, tmp_path, offline):
    model = published(tmp_path / "w.safetensors")
    assert torch.equal(built(tiny(f"{FILE}\npretrained = true")).model.conv1[0].weight, model.conv1[0].weight)


def test_published_weights_that_are_here_need_no_network(tiny, tmp_path, offline):
    """As the hub's client keeps them."""
    from huggingface_hub import constants

    commit = "0" * 40
    folder = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    assert "the published weights of test_resnet are not here" in missing_weights("test_resnet")
    model = published(folder / "snapshots" / commit / "model.safetensors")
    assert missing_weights("test_resnet") == ""
    network = built(tiny("[model]\npretrained = true"))
    assert torch.equal(network.model.conv1[0].weight, model.conv1[0].weight)
    assert not constants.HF_HUB_OFFLINE  # as it was before


def test_check_without_data_and_network_names_both(write_recipe, offline):
    text = '[model]\nname = "resnet18"\nsize = 16\npretrained = true\n[data]\nuse = "image_folder"\nroot = "nowhere"'
    found = examine(sslkit.recipe.load(write_recipe(text)), CPU)
    (data,) = [one for one in found["warnings"] if one.startswith("the data is not there")]
    (weights,) = [one for one in found["warnings"] if "published weights" in one]
    assert "nowhere" in data
    assert weights.startswith("the published weights of resnet18 are not here, and http://127.0.0.1:9 does not answer")
    assert 'name a file instead: weights = "model.safetensors"' in weights


# timm's own configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "resnet18", "test_vit"])
def test_size_mean_and_deviation_are_timms_where_the_recipe_says_nothing(tiny, name):
    recipe = tiny(f'[model]\nname = "{name}"\n')
    cfg = recipe.generations[0]
    cfg.model_size = None  # `tiny` says 8
    config = timm.get_pretrained_cfg(name)
    network = built(recipe)
    assert network.image_size == config.input_size[-1] > 8
    assert network.normalisation == (tuple(config.mean), tuple(config.std))
    assert torch.allclose(network.mean.flatten(), torch.tensor(config.mean))


def test_check_shows_them(write_recipe):
    path = write_recipe('[model]\nname = "test_efficientnet"\n[data]\nuse = "image_folder"\nroot = "nowhere"')
    path.write_text(path.read_text())
    (path.parent / "tiny.toml").write_text((path.parent / "tiny.toml").read_text().replace("size = 8\n", ""))
    done = CliRunner().invoke(cli.cli, ["check", str(path)], env={"COLUMNS": "300"})
    assert "test_efficientnet · 160 px · mean 0.485 0.456 0.406 · std 0.229 0.224 0.225 ·" in done.output
    model = examine(sslkit.recipe.load(path), CPU)["generations"][0]["model"]
    assert (model["image_size"], model["mean"], model["std"]) == (160, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_check_shows_rates_of_layers(write_recipe):
    text = '[optimizer]\nlayer_decay = 0.75\nbackbone = 0.1\n[data]\nuse = "image_folder"\nroot = "nowhere"'
    done = CliRunner().invoke(cli.cli, ["check", str(write_recipe(text))], env={"COLUMNS": "300"})
    assert "optimizer sgd · rate 0.05 · layer_decay 0.75 · backbone 0.1" in done.output
