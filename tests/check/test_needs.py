"""Memory and disk of a run: counted without computing, and equal to what computing takes."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import sslkit
from sslkit.check.needs import disk, label_bytes, optimizer_bytes, passing_bytes, saved_bytes, state_bytes
from sslkit.check.probe import compose, rehearse
from sslkit.network import build_network
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.state import facts_of, make_optimizer, plugins_of

CPU, META = torch.device("cpu"), torch.device("meta")
SMALL = {
    "steps": 2, "workers": 0, "save_every": 1, "evaluate_every": 1, "tracker": [], "model.size": 16,
    "data.labels_per_class": 1, "data.validation": 40, "data.test": 1000, "batch.labeled": 6,
}  # fmt: skip


def network_on(device, recipe):
    cfg, data = recipe.generations[0], open_data(recipe)
    with device:
        return build_network(cfg, plugins_of(cfg), facts_of(cfg, data, device))


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_vit"])
def test_activations_are_those_that_a_forward_pass_keeps(model, tiny):
    """A batch of 16 on the CPU keeps what two images on the meta device promise, but for a few numbers per channel."""
    recipe = tiny(f'[model]\nname = "{model}"\nsize = 32')
    network, kept = network_on(CPU, recipe), {}
    own = {tensor.data_ptr() for tensor in network.state_dict().values()}
    network.set_mode(noise=True, batch_norm="batch", write_stats=False)
    hold = lambda tensor: kept.setdefault(tensor.untyped_storage().data_ptr(), tensor) is None or tensor  # noqa: E731
    with saved_tensors_hooks(hold, lambda tensor: tensor):
        answer = network(torch.rand(16, 3, 32, 32))
    true = sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in own)
    assert answer.logits.requires_grad and true > 100_000
    assert saved_bytes(network_on(META, recipe), 3) * 16 == pytest.approx(true, rel=0.02)


@pytest.mark.parametrize(("name", "per_parameter"), [("sgd", 4), ("adamw", 8), ("rmsproptf", 8)])
def test_what_optimizers_keep(name, per_parameter, tiny):
    recipe = tiny(f'[optimizer]\nname = "{name}"')
    cfg = recipe.generations[0]
    for device in (CPU, META):
        network = network_on(device, recipe)
        count = sum(parameter.numel() for parameter in network.parameters())
        with device:
            kept = optimizer_bytes(make_optimizer(cfg.optimizer, network))
        assert kept == pytest.approx(per_parameter * count, rel=0.001)  # and a step's number each


def test_frozen_weights_have_no_gradient(tiny):
    data = open_data(tiny())
    whole, part = (compose(tiny(text), data)[0] for text in ("", '[model]\nfreeze = ["layer1", "layer2"]'))
    assert whole.needs.gradients == 4 * whole.parameters and whole.frozen == 0
    assert part.frozen > 0 and part.needs.gradients == 4 * (part.parameters - part.frozen)


def test_what_a_stream_that_is_off_saves():
    recipe = load("noisy_student", {**SMALL, "batch.unlabeled": 12})
    first, second, *_ = (seen.needs for seen in compose(recipe, open_data(recipe)))
    assert second.activations == 3 * first.activations and second.images == 3 * first.images
    assert first.others == 0 and second.others == first.weights and first.labels == 0 < second.labels


def test_half_precision_takes_half():
    full, half = (
        compose(recipe, None)[0].needs
        for recipe in (load("fixmatch", {"precision": precision}) for precision in ("float32", "bfloat16"))
    )
    assert half.activations * 2 == full.activations and half.weights == full.weights


def bytes_below(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


@pytest.mark.parametrize("name", ["noisy_student", "mean_teacher"])
def test_the_disk_that_a_run_takes_is_the_disk_that_was_promised(name, tmp_path):
    """Each part of it, and the whole: what is left at the end is one checkpoint less than the most there ever is."""
    recipe = load(name, {**SMALL, "batch.unlabeled": 12})
    found = rehearse(recipe, open_data(recipe))
    run = sslkit.run(recipe, out=tmp_path / "run", device="cpu")
    for seen in found:
        assert bytes_below(run.folder / "models" / f"generation-{seen.index}") == pytest.approx(
            seen.needs.model, rel=0.1
        )
        if seen.needs.labels:
            assert bytes_below(run.folder / "labels" / f"generation-{seen.index}") == pytest.approx(
                seen.needs.labels, rel=0.1
            )
    checkpoints = list((run.folder / "checkpoints").iterdir())
    assert len(checkpoints) == 2
    assert bytes_below(checkpoints[-1]) == pytest.approx(found[-1].needs.checkpoint, rel=0.1)
    promised = disk(found, baseline=True)
    assert bytes_below(run.folder) == pytest.approx(promised - found[-1].needs.checkpoint, rel=0.1)


def test_a_model_that_cannot_do_without_computing_is_not_known(tiny):
    plugins = """
from dataclasses import dataclass
from torch import nn
from sslkit import hookimpl

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(3, classes)
    def forward(self, x):
        assert len(x) > 2, "two are too few"
        return self.layer(x.mean((2, 3)))

@dataclass(eq=False, kw_only=True)
class Mine:
    @hookimpl
    def build_model(self, facts):
        return Net(len(facts.classes))
"""
    recipe = tiny('[model]\nuse = "./plugins.py:Mine"\nname = "mine"\n', plugins)
    (seen,) = compose(recipe, open_data(recipe))
    assert seen.needs is None and seen.parameters == 40 and disk([seen], baseline=False) is None


def test_a_row_of_labels():
    assert label_bytes(10) == 80 + 28 and label_bytes(1000, 32) == 2 * (32 * 6 + 4) + 28
    assert state_bytes(torch.nn.BatchNorm2d(3)) == 4 * 3 * 4 + 8


def test_labeling_takes_what_its_worst_moment_takes(tiny):
    """Two layers: while the second is applied, its input and its output live, and nothing else does."""
    plugins = """
from dataclasses import dataclass
import torch
from torch import nn
from sslkit import hookimpl

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 32, 1), nn.Conv2d(32, 64, 1), nn.Linear(64, classes)
    def forward(self, x):
        return self.last(self.second(self.first(x)).mean((2, 3)))

@dataclass(eq=False, kw_only=True)
class Mine:
    @hookimpl
    def build_model(self, facts):
        return Net(len(facts.classes))
"""
    network = network_on(META, tiny('[model]\nuse = "./plugins.py:Mine"\nname = "mine"\n', plugins))
    pixels = 32 * 32 * 4
    worst = (32 + 64) * pixels  # and the images themselves, normalised, which a caller holds
    assert worst <= passing_bytes(network, 3) <= worst + 2 * 3 * pixels


def test_memory_is_that_of_labeling_where_that_is_more():
    large, small = (compose(load("supervised", {"label_batch": rows}), None)[0].needs for rows in (4096, 1))
    assert large.labeling > 1000 * small.labeling and large.activations == small.activations
    assert large.memory == large.weights + large.others + large.labeling + large.ahead
    assert small.memory < large.memory
