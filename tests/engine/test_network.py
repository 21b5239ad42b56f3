"""The network around a model: normalisation, channels, heads, frozen layers, weight files, weight decay."""

from dataclasses import dataclass, replace

import pytest
import torch
from driving import CPU, Bench, added, entry, equal_states, network_of
from safetensors.torch import save_file
from torch import nn

from sslkit import LossTerm, hookimpl
from sslkit.errors import PluginError, RecipeError, RunError
from sslkit.network import Network, build_network, image_size
from sslkit.state import facts_of, open_data, plugins_of


def built(recipe, channels=3, extra=()):
    """A network for images of so many channels."""
    cfg = added(recipe, *extra).generations[0]
    facts = replace(facts_of(cfg, open_data(recipe), CPU), channels=channels)
    torch.manual_seed(0)
    return build_network(cfg, plugins_of(cfg), facts)


def fed(network, images):
    """What the model inside is given."""
    seen = []
    handle = network.model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    network(images)
    handle.remove()
    return seen[0]


# Images in ------------------------------------------------------------------------------------------------------------


def test_images_are_normalised_by_the_models_own_numbers(tiny):
    network, images = built(tiny()), torch.rand(2, 3, 8, 8)
    config = network.model.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    assert torch.allclose(fed(network, images), (images - mean) / std, atol=1e-6)


def test_images_are_normalised_by_the_recipes_numbers(tiny):
    network = built(tiny("[model]\nmean = [0.1, 0.2, 0.3]\nstd = [0.5, 1.0, 2.0]"))
    images = torch.rand(2, 3, 8, 8)
    expected = (images - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    assert torch.allclose(fed(network, images), expected, atol=1e-6)


def test_grey_images_are_normalised_by_the_mean_over_channels(tiny):
    network = built(tiny("[model]\nmean = [0.1, 0.2, 0.6]\nstd = [0.5, 0.5, 0.5]"), channels=1)
    images = torch.rand(2, 1, 8, 8)
    assert torch.allclose(fed(network, images), (images - 0.3) / 0.5, atol=1e-6)
    assert network(images).logits.shape == (2, 10)


def test_normalisation_is_no_part_of_what_is_saved(tiny):
    assert not {"mean", "std"} & set(built(tiny()).state_dict())


def test_the_size_is_the_recipes_or_the_models_own(tiny):
    assert image_size(tiny().generations[0]) == 8
    cfg = tiny().generations[0]
    cfg.model_size = None
    assert image_size(cfg) == 160  # timm's table of test_resnet


# Answers out ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Heads:
    @hookimpl
    def extend_model(self, student):
        return {"turn": nn.Linear(student.model.get_classifier().in_features, 4)}


def test_heads_read_what_the_classifier_reads(tiny):
    network = built(tiny(), extra=[entry("loss", Heads())]).eval()
    answer = network(torch.rand(2, 3, 8, 8))
    assert answer.logits.shape == (2, 10) and answer.heads["turn"].shape == (2, 4)
    assert torch.allclose(network.model.get_classifier()(answer.features), answer.logits)
    assert torch.allclose(network.heads["turn"](answer.features), answer.heads["turn"])


def test_heads_on_a_model_that_names_no_classifier_are_refused():
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), [0.5] * 3, [0.5] * 3, 2, 2)
    assert network(torch.rand(1, 3, 2, 2)).features is None
    network.heads["turn"] = nn.Linear(2, 2)
    with pytest.raises(PluginError, match="no classifier"):
        network(torch.rand(1, 3, 2, 2))


def test_a_model_with_other_classes_than_the_data_is_named():
    network = Network(nn.Sequential(nn.Flatten(), nn.Linear(12, 7)), [0.5] * 3, [0.5] * 3, 2, 10)
    with pytest.raises(
        PluginError, match=r"^\[model\]: the model answered \(1, 7\) for 1 images; .* \(1, 10\) were expected"
    ):
        network(torch.rand(1, 3, 2, 2))


# Layers that stay -----------------------------------------------------------------------------------------------------


def test_frozen_parameters_stay_and_the_others_move(tiny):
    bench = Bench(tiny('[model]\nfreeze = ["conv1", "layer1"]'))
    before = {name: p.clone() for name, p in bench.state.student.model.named_parameters()}
    bench.train(2)
    for name, parameter in bench.state.student.model.named_parameters():
        frozen = name.startswith(("conv1", "layer1"))
        assert torch.equal(parameter, before[name]) == frozen, name
    optimized = {id(p) for group in bench.state.optimizer.param_groups for p in group["params"]}
    assert id(bench.state.student.model.conv1[0].weight) not in optimized


# Weight files ---------------------------------------------------------------------------------------------------------


def saved(network, path, **changes):
    save_file({**{k: v.contiguous() for k, v in network.model.state_dict().items()}, **changes}, path)


def test_weights_start_from_a_file(tiny, tmp_path):
    other = network_of(tiny(), seed=9)
    saved(other, tmp_path / "w.safetensors")
    assert equal_states(built(tiny('[model]\nweights = "w.safetensors"')), other)


def test_a_classifier_for_other_classes_is_made_afresh(tiny, tmp_path):
    other = network_of(tiny(), seed=9)
    saved(other, tmp_path / "w.safetensors", **{"fc.weight": torch.ones(1000, 256), "fc.bias": torch.ones(1000)})
    network = built(tiny('[model]\nweights = "w.safetensors"'))
    assert network.model.fc.weight.shape[0] == 10 and not (network.model.fc.weight == 1).any()
    assert torch.equal(network.model.conv1[0].weight, other.model.conv1[0].weight)


@pytest.mark.parametrize("content", ["no safetensors", "another model", "another shape"])
def test_files_that_do_not_fit_are_refused(tiny, tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content == "no safetensors":
        path.write_bytes(b"pickled nonsense")
    elif content == "another model":
        save_file({"layers.0.weight": torch.ones(3)}, path)
    else:
        saved(network_of(tiny()), path, **{"conv1.0.weight": torch.ones(7, 3, 3, 3)})
    with pytest.raises(RecipeError, match=r"\[model\] weights: .*w\.safetensors (cannot be read|does not fit)"):
        built(tiny('[model]\nweights = "w.safetensors"'))


# Refusals -------------------------------------------------------------------------------------------------------------


def test_a_model_that_takes_no_drop_path_rate_is_refused_by_the_plugins_name(tiny):
    text = '[model]\nname = "densenet121"\n[[noise]]\nname = "depth"\nuse = "stochastic_depth"'
    with pytest.raises(
        RecipeError, match=r"densenet121: takes no `drop_path_rate`, which `depth` sets.*enabled = false"
    ):
        built(tiny(text))


def test_an_option_that_the_model_does_not_take_is_refused(tiny):
    with pytest.raises(RecipeError, match=r"takes no `depth_of_soul`, which `\[model\] options` sets"):
        built(tiny("[model]\noptions = { depth_of_soul = 3 }"))


def test_an_optimizer_that_timm_does_not_have_is_refused(tiny):
    with pytest.raises(RecipeError, match=r"^\[optimizer\] sdg: timm refuses it"):
        Bench(tiny('[optimizer]\nname = "sdg"'))


# Decay, clipping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["kernels", "all"])
def test_what_decays(tiny, decay):
    bench = Bench(tiny(f'[optimizer]\nweight_decay = 0.01\ndecay = "{decay}"'))
    by_id = {id(p): g["weight_decay"] for g in bench.state.optimizer.param_groups for p in g["params"]}
    for name, parameter in bench.state.student.named_parameters():
        spared = decay == "kernels" and parameter.ndim == 1
        assert by_id[id(parameter)] == (0.0 if spared else 0.01), name


def test_parameters_that_a_model_keeps_from_decay(tiny):
    bench = Bench(
        tiny('[model]\nname = "test_vit"\nsize = 16\noptions = { img_size = 16 }\n[optimizer]\nweight_decay = 0.01')
    )
    by_id = {id(p): g["weight_decay"] for g in bench.state.optimizer.param_groups for p in g["params"]}
    assert by_id[id(bench.state.student.model.pos_embed)] == 0.0
    assert by_id[id(bench.state.student.model.head.weight)] == 0.01


def test_gradients_are_clipped(tiny):
    norms = []
    for clip in (0.0, 0.01):
        bench = Bench(tiny(f"[optimizer]\nclip = {clip}"))
        bench.train(1)
        gradients = [p.grad.flatten() for p in bench.state.student.parameters()]
        norms.append(torch.cat(gradients).norm().item())
    assert norms[0] > 0.1 and norms[1] == pytest.approx(0.01, rel=1e-3)


def test_momentum_and_options_reach_the_optimizer(tiny):
    sgd = Bench(tiny("[optimizer]\nmomentum = 0.7\noptions = { nesterov = true }")).state.optimizer
    assert type(sgd).__name__ == "SGD" and sgd.param_groups[0]["momentum"] == 0.7 and sgd.param_groups[0]["nesterov"]
    adam = Bench(tiny('[optimizer]\nname = "adamw"\noptions = { betas = [0.8, 0.9] }')).state.optimizer
    assert type(adam).__name__ == "AdamW" and tuple(adam.param_groups[0]["betas"]) == (0.8, 0.9)


@dataclass(eq=False)
class Detached:
    @hookimpl
    def loss(self, forward):
        return LossTerm(forward("labeled").logits.detach().square().mean())


def test_losses_without_any_gradient_stop_the_run(tiny):
    recipe = tiny()
    for cfg in recipe.generations:
        cfg.entries = lambda made=cfg.entries: [
            replace(e, plugin=Detached()) if e.section == "loss" else e for e in made()
        ]
    with pytest.raises(RunError, match="generation 0, step 0: `supervised`: no loss has a gradient for the student"):
        Bench(recipe).train(1)
