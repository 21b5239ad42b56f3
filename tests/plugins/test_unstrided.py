import pytest
import torch
from torch import nn

from sslkit import SslkitError
from sslkit_plugins.model.unstrided import Unstrided, strided, unstride


def sides(model: nn.Module, layers: list[str], size: int) -> list[int]:
    """Pixels on a side that come out of some layers."""
    seen: list[int] = []
    for name in layers:
        model.get_submodule(name).register_forward_hook(lambda *call: seen.append(call[2].shape[-1]))
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, size, size))
    return seen


STAGES = [f"blocks.{i}" for i in range(7)]


def test_efficientnet_for_small_images_as_the_official_code_has_it() -> None:
    """Stages 1 and 2 keep the image's size: 4 x 4 pixels are left of 32 instead of one."""
    import timm

    model = Unstrided(architecture="tf_efficientnet_b0").build_model({"num_classes": 10})
    plain = timm.create_model("tf_efficientnet_b0", num_classes=10)
    assert sides(model, ["conv_stem", *STAGES], 32) == [16, 16, 16, 16, 8, 8, 4, 4]
    assert sides(plain, ["conv_stem", *STAGES], 32) == [16, 16, 8, 4, 2, 2, 1, 1]
    assert [tuple(p.shape) for p in model.parameters()] == [tuple(p.shape) for p in plain.parameters()]


@pytest.mark.parametrize("layer", ["maxpool", "layer2", "layer3"])
def test_a_resnets_shortcuts_follow(layer: str) -> None:
    """Its shortcut shrinks by a pool, which goes altogether, or the sum would be of different sizes."""
    model = Unstrided(architecture="test_resnet", layers=[layer]).build_model({"num_classes": 3})
    assert sides(model, ["layer4"], 64) == [4]
    assert not any(name.startswith(layer) for name in strided(model))


def test_only_layers_that_shrink_are_touched() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2, 2))
    assert list(strided(model)) == ["0", "2", "3"]
    unstride(model, ["2", "3"])
    assert list(strided(model)) == ["0"] and isinstance(model[3], nn.Identity) and isinstance(model[2], nn.MaxPool2d)
    assert model(torch.rand(1, 3, 8, 8)).shape == (1, 4, 4, 4)
    with pytest.raises(KeyError, match="1"):
        unstride(model, ["1"])


def test_normalisation_and_options_reach_the_model() -> None:
    plugin = Unstrided(architecture="test_efficientnet", mean=[0.1, 0.2, 0.3], options={"bn_momentum": 0.01})
    model = plugin.build_model({"num_classes": 3, "drop_rate": 0.5})
    assert model.pretrained_cfg["mean"] == [0.1, 0.2, 0.3]
    assert tuple(model.pretrained_cfg["std"]) == (0.229, 0.224, 0.225)
    assert model.bn1.momentum == 0.01 and model.drop_rate == 0.5 and model.classifier.out_features == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"architecture": "tf_efficientnet_bo"},
            r"timm has no model `tf_efficientnet_bo`; did you mean `tf_efficientnet",
        ),
        ({"architecture": "test_resnet"}, r"no layer of test_resnet with a stride .* `blocks.1`; there are: conv1"),
        ({"architecture": "test_vit", "options": {"depth_of_soul": 3}}, r"timm refuses test_vit .*depth_of_soul"),
    ],
)
def test_refusals(fields: dict[str, object], said: str) -> None:
    with pytest.raises(SslkitError, match=said):
        Unstrided(**fields).build_model({"num_classes": 3})  # type: ignore[arg-type]
