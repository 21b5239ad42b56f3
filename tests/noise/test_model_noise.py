"""Noise inside the model: what a student is built with, and what timm makes of it."""

import pytest
import timm
import torch

from sslkit_plugins.noise.dropout import Dropout
from sslkit_plugins.noise.stochastic_depth import StochasticDepth, drop_path_rate


def build(*plugins):
    kwargs = {key: value for plugin in plugins for key, value in plugin.model_kwargs().items()}
    # By default the last normalisation of each block starts at zero, and skipping the block would change nothing.
    return timm.create_model("test_resnet", num_classes=10, zero_init_last=False, **kwargs)


def test_kwargs():
    assert Dropout(rate=0.4).model_kwargs() == {"drop_rate": 0.4}
    assert StochasticDepth(survival=0.8).model_kwargs() == {"drop_path_rate": 0.2}
    assert [drop_path_rate(survival) for survival in (1.0, 0.9, 0.5)] == [0.0, 0.1, 0.5]


def test_the_paper_numbers_are_the_defaults():
    assert Dropout().rate == 0.5 and StochasticDepth().survival == 0.8


def test_the_default_models_last_block_survives_as_often_as_the_field_says():
    model = timm.create_model("test_resnet", num_classes=2, **StochasticDepth(survival=0.8).model_kwargs())
    blocks = [block for stage in (model.layer1, model.layer2, model.layer3, model.layer4) for block in stage]
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]
    assert rates == pytest.approx([0.2 * i / (len(rates) - 1) for i in range(len(rates))]) and len(rates) == 4


def test_blocks_of_efficientnets_are_dropped_linearly_up_to_one_minus_survival():
    model = timm.create_model("efficientnet_b0", num_classes=2, **StochasticDepth(survival=0.8).model_kwargs())
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in model.blocks for block in stage]
    expected = [0.2 * i / len(rates) for i in range(len(rates))]
    skips = [block.has_skip for stage in model.blocks for block in stage]
    assert all(abs(a - b) < 1e-6 for a, b, skip in zip(rates, expected, skips, strict=True) if skip)
    assert max(rates) < 0.2


def test_a_student_built_with_them_is_noisy_and_without_them_is_not():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for plugins, noisy in (((Dropout(),), True), ((StochasticDepth(survival=0.5),), True), ((), False)):
        torch.manual_seed(0)
        model = build(*plugins).train()
        with torch.no_grad():
            answers = [model(images) for _ in range(8)]
        assert any(not torch.equal(answers[0], other) for other in answers[1:]) == noisy
        model.eval()
        assert torch.equal(model(images), model(images))
