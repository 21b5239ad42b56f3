"""The network around a model: normalisation, channels, heads, frozen layers, weight files, weight decay."""

from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
import torch
from driving import CPU, Bench, added, entry, equal_states, network_of
from safetensors.torch import save_file
from timm.layers import RmsNorm
from torch import nn

from sslkit import LossTerm, hookimpl
from sslkit.decay import spared
from sslkit.errors import PluginError, RecipeError, RunError
from sslkit.network import Network, build_network, image_size
from sslkit.opening import open_data
from sslkit.state import facts_of, plugins_of


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


def modes(network):
    """Of each layer by name: whether it is in training mode."""
    return {name: module.training for name, module in network.model.named_modules()}


@pytest.mark.parametrize("copied", [False, True])
def test_frozen_layers_run_as_in_evaluation(tiny, copied):
    """Their batch-norm neither uses nor writes the batch's statistics, and nothing is dropped inside them."""
    text = '[model]\nfreeze = ["conv1", "bn1", "layer1"]\n[[noise]]\nuse = "stochastic_depth"\nsurvival = 0.5'
    network = Bench(tiny(text)).state.student
    network = deepcopy(network) if copied else network  # as an average is
    before = {name: buffer.clone() for name, buffer in network.model.named_buffers()}
    network.set_mode(noise=True, batch_norm="batch", write_stats=True)
    frozen = {
        name: training for name, training in modes(network).items() if name.startswith(("conv1", "bn1", "layer1"))
    }
    assert not any(frozen.values()) and len(frozen) > 10
    assert all(training for name, training in modes(network).items() if name not in frozen)
    network(torch.rand(6, 3, 16, 16))
    moved = {name for name, buffer in network.model.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved and all(name.startswith(("layer2", "layer3", "layer4")) for name in moved)
    network.set_mode(noise=False, batch_norm="running", write_stats=False)
    assert not any(modes(network).values())


def test_frozen_layers_answer_bit_for_bit_what_they_answered(tiny):
    bench = Bench(tiny('[model]\nfreeze = ["conv1", "bn1", "layer1", "layer2"]\n[[noise]]\nuse = "stochastic_depth"'))
    network, images, seen = bench.state.student, torch.rand(4, 3, 16, 16), []
    network.model.layer2.register_forward_hook(lambda *call: seen.append(call[2].detach().clone()))
    network.set_mode(noise=False, batch_norm="running", write_stats=False)
    network(images)
    bench.train(2)
    seen = seen[:1]
    network.model.layer2.register_forward_hook(lambda *call: seen.append(call[2].detach().clone()))
    network.set_mode(noise=True, batch_norm="batch", write_stats=True)
    network(images)
    assert torch.equal(seen[0], seen[1]) and not seen[1].requires_grad


def test_a_start_of_a_name_that_no_layer_has_is_refused(tiny):
    with pytest.raises(RecipeError, match=r"freeze: no parameter's name starts with `layer9`\n  Did you mean `layer"):
        built(tiny('[model]\nfreeze = ["conv1", "layer9"]'))
    with pytest.raises(RecipeError, match=r"with `stem`\n  they start with conv1, bn1, layer1"):
        built(tiny('[model]\nfreeze = ["stem"]'))


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


@pytest.mark.parametrize("decay", ["kernels", "all_but_norm", "all"])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_what_decays(tiny, name, decay):
    bench = Bench(tiny(f'[model]\nname = "{name}"\n[optimizer]\nweight_decay = 0.01\ndecay = "{decay}"'))
    by_id = {id(p): g["weight_decay"] for g in bench.state.optimizer.param_groups for p in g["params"]}
    norms = {id(p) for m in bench.state.student.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()}
    for name, parameter in bench.state.student.named_parameters():
        spared = {"kernels": parameter.ndim == 1, "all_but_norm": id(parameter) in norms, "all": False}[decay]
        assert by_id[id(parameter)] == (0.0 if spared else 0.01), name
    biases = [p for n, p in bench.state.student.named_parameters() if n.endswith("bias") and id(p) not in norms]
    assert biases and all(by_id[id(bias)] == (0.0 if decay == "kernels" else 0.01) for bias in biases)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(2), nn.GroupNorm(1, 2), nn.LayerNorm(2), nn.RMSNorm(2), RmsNorm(2)])
def test_all_but_norm_spares_every_kind_of_normalisation(layer):
    model = nn.Sequential(nn.Linear(2, 2), layer)
    assert spared(model) == {f"1.{name}" for name, _ in layer.named_parameters()}
    assert spared(layer) == {name for name, _ in layer.named_parameters()}


def test_all_but_norm_leaves_frozen_layers_out_and_keeps_what_a_model_spares(tiny):
    text = '[model]\nfreeze = ["conv1"]\n[optimizer]\nweight_decay = 0.01\ndecay = "all_but_norm"'
    optimizer = Bench(tiny(text)).state.optimizer
    frozen = [p for group in optimizer.param_groups for p in group["params"] if not p.requires_grad]
    assert not frozen
    vit = built(tiny('[model]\nname = "test_vit"\nsize = 16\noptions = { img_size = 16 }'))
    assert "model.pos_embed" in spared(vit)


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


def test_a_copy_in_some_mode_has_modes_of_its_own(tiny):
    network = network_of(tiny("[model]\nsize = 16"))
    network.set_mode(noise=True, batch_norm="batch", write_stats=True)
    twin = deepcopy(network)
    twin.set_mode(noise=False, batch_norm="running", write_stats=False)
    assert not any(module.training for module in twin.modules())
    assert all(module.training for name, module in network.named_modules() if name)
