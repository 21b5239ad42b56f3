"""WRN-28-2: the published size, and the details that the literature's numbers hang on."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import leaky_relu

from sslkit import SslkitError
from sslkit.network import build_network
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.state import facts_of, plugins_of
from sslkit.testing import check_plugin
from sslkit_plugins.model.wide_resnet import WideResNet, parameters_of
from sslkit_plugins.step.meta_pseudo_labels import with_fresh_weights

KWARGS = {"num_classes": 10, "in_chans": 3}


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_plugin_keeps_its_promises():
    check_plugin(WideResNet)


def test_the_published_number_of_parameters():
    assert size(WideResNet().build_model(KWARGS)) == parameters_of(28, 2, 10) == 1_467_610


@pytest.mark.parametrize(
    ("depth", "width", "classes", "channels"), [(10, 1, 10, 3), (16, 4, 7, 1), (28, 8, 100, 3), (40, 2, 10, 3)]
)
def test_the_number_of_parameters_by_hand(depth, width, classes, channels):
    with torch.device("meta"):
        model = WideResNet(depth=depth, width=width).build_model({"num_classes": classes, "in_chans": channels})
    assert size(model) == parameters_of(depth, width, classes, channels)


def test_a_fresh_teacher_begins_as_the_student_does():
    """Not by torch's own initialisation: every layer has the same spread, and other weights."""
    torch.manual_seed(0)
    student = WideResNet(depth=16, width=2).build_model(KWARGS)
    teacher = with_fresh_weights(student)
    for (name, own), other in zip(student.named_parameters(), teacher.parameters(), strict=True):
        if own.dim() > 1:
            assert not torch.equal(own, other)
            assert other.std().item() == pytest.approx(own.std().item(), rel=0.15), name
        else:
            assert torch.equal(own, other), name


def test_wrn_28_8_is_the_one_of_cifar_100():
    """The literature says 23.4 million."""
    assert round(parameters_of(28, 8, 100) / 1e6, 1) == 23.4


@pytest.mark.parametrize("depth", [11, 12, 27, 29])
def test_another_depth_is_refused(depth):
    with pytest.raises(SslkitError, match=r"6 n \+ 4 layers; take (10|16|28)"):
        WideResNet(depth=depth).build_model(KWARGS)


def test_shapes():
    model = WideResNet(depth=10, width=1).build_model(KWARGS)
    images, seen = torch.randn(4, 3, 32, 32), []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    assert model(images).shape == (4, 10)
    assert seen == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert model(torch.randn(2, 3, 17, 20)).shape == (2, 10)
    assert model.get_classifier().in_features == model.num_features == 64


def test_batch_norm_and_slope():
    """As TensorFlow's 0.999 and 1e-3; LeakyReLU lets a tenth of what is negative through."""
    model = WideResNet(depth=10, width=1).build_model(KWARGS)
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.001, 1e-3)} and len(norms) == 7
    model(torch.randn(8, 3, 8, 8) + 5)
    assert 0 < norms[0].running_var.sub(1).abs().max() < 0.1
    assert model.slope == 0.1 and all(block.slope == 0.1 for block in model.blocks)


def test_a_block_by_hand():
    """x + conv(bend(norm(conv(bend(norm(x)))))) ; the first block passes by what is bent, others what comes in."""
    torch.manual_seed(0)
    model = WideResNet(depth=16, width=1).build_model(KWARGS).double().eval()
    x = torch.randn(2, 16, 6, 6, dtype=torch.float64)
    for number, block in enumerate(model.blocks[:2]):
        for norm in (block.norm1, block.norm2):
            norm.running_mean.normal_()
            norm.weight.data.normal_()
        bent = leaky_relu(block.norm1(x), 0.1)
        inner = block.conv2(leaky_relu(block.norm2(block.conv1(bent)), 0.1))
        assert block.shortcut is None
        assert torch.equal(block(x), (bent if number == 0 else x) + inner)
    strided = model.blocks[2]
    bent = leaky_relu(strided.norm1(x), 0.1)
    inner = strided.conv2(leaky_relu(strided.norm2(strided.conv1(bent)), 0.1))
    assert torch.equal(strided(x), strided.shortcut(x) + inner) and strided(x).shape == (2, 32, 3, 3)


def test_weights_begin_as_he_says():
    torch.manual_seed(0)
    model = WideResNet().build_model(KWARGS)
    for block in model.blocks[-3:]:
        weight = block.conv2.weight
        assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * len(weight))), rel=0.02)
    assert not model.classifier.bias.any()


def test_dropout_is_what_the_noise_asks_for():
    model = WideResNet(depth=10, width=1, block_drop_rate=0.25).build_model({**KWARGS, "drop_rate": 0.5})
    rates = sorted(layer.p for layer in model.modules() if isinstance(layer, nn.Dropout))
    assert rates == [0.25, 0.25, 0.25, 0.5]
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(model.eval()(images), model(images)) and not torch.equal(model.train()(images), model(images))
    assert not any(isinstance(m, nn.Dropout) for m in WideResNet(depth=10).build_model(KWARGS).modules())
    with pytest.raises(SslkitError, match="takes no `drop_path_rate`"):
        WideResNet().build_model({**KWARGS, "drop_path_rate": 0.1})


def test_in_a_recipe_it_normalises_as_cifar_and_has_features(tmp_path):
    path = tmp_path / "wide.toml"
    path.write_text('extends = "supervised"\n[model]\nuse = "wide_resnet"\ndepth = 10\nwidth = 1\nsize = 16\n')
    recipe = load(path)
    (cfg,) = recipe.generations
    network = build_network(cfg, plugins_of(cfg), facts_of(cfg, open_data(recipe), torch.device("cpu")))
    assert network.mean.flatten().tolist() == pytest.approx([0.4914, 0.4822, 0.4465])
    assert network.std.flatten().tolist() == pytest.approx([0.2471, 0.2435, 0.2616])
    answer = network(torch.rand(3, 3, 16, 16))
    assert answer.features.shape == (3, 64) and answer.logits.shape == (3, 10)
    grey = WideResNet(mean=[0.5], std=[0.2]).build_model({"num_classes": 2, "in_chans": 1})
    assert grey.pretrained_cfg == {"mean": [0.5], "std": [0.2]}
