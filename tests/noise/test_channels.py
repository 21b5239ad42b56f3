"""Noise on images of one, three and four channels: grey stays grey, opacity is moved but never changed in value."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import sslkit
from sslkit import SslkitError, ViewSpec, cli, evaluate
from sslkit.randomness import row_keys
from sslkit_plugins.noise.albumentations import Albumentations
from sslkit_plugins.noise.ctaugment import ACTIONS
from sslkit_plugins.noise.cutout import Cutout
from sslkit_plugins.noise.flip_crop import FlipCrop
from sslkit_plugins.noise.image_ops import OPS, Canvas, fill_values
from sslkit_plugins.noise.randaugment import RandAugment

ARGUMENTS = {
    "posterize": 3,
    "solarize": 100,
    "solarize_add": 60,
    "rotate": 30,
    "cutout": 4,
    "translate_x": 5,
    "translate_y": 5,
}
MOVING = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y", "cutout", "rescale"}
"Operations that move pixels or fill them, opacity with them."


def picture(channels, seed=0):
    """Smooth, with every value of the range, and opacity that varies."""
    rows, columns = np.mgrid[0:16, 0:16]
    waves = [(rows * (3 + k) + columns * (7 - k)) * 3 + 5 * k + seed for k in range(channels)]
    return (np.stack(waves, -1) % 256).astype(np.uint8)


def grey(channels):
    return picture(1).repeat(channels, -1)


def operations(channels):
    """Every operation of both tables as a function of an image."""
    canvas = Canvas(fill_values(128, channels), x=0.4, y=0.6)
    ops = {f"{name}": lambda image, n=name, op=op: op(image, ARGUMENTS.get(n, 0.3), canvas) for name, op in OPS.items()}
    return ops | {
        f"ct {name}": lambda image, action=action: action.apply(image, 0.7, canvas) for name, action in ACTIONS.items()
    }


@pytest.mark.parametrize("name", operations(3))
def test_operations_by_channels(name):
    for channels in (1, 3, 4):
        image = picture(channels)
        before = image.copy()
        made = operations(channels)[name](image)
        assert made.shape == image.shape and made.dtype == np.uint8 and np.array_equal(image, before)
    rgba, rgb = picture(4), picture(3)
    made = operations(4)[name](rgba)
    assert np.array_equal(made[..., :3], operations(3)[name](rgb))
    if name.removeprefix("ct ") not in MOVING:
        assert np.array_equal(made[..., 3], rgba[..., 3])
    else:  # moved as a colour is, and opaque where nothing is known
        solid = np.dstack([rgb, np.full((16, 16, 1), 255, np.uint8)])
        assert (operations(4)[name](solid)[..., 3] == 255).all()
    coloured = operations(3)[name](grey(3))
    assert np.array_equal(coloured, operations(1)[name](grey(1)).repeat(3, -1))


def test_colour_means_nothing_on_grey_images():
    image = picture(1)
    assert np.array_equal(OPS["color"](image, 3.0, Canvas((0,))), image)
    assert np.array_equal(OPS["color"](grey(3), 3.0, Canvas((0, 0, 0))), grey(3))


def test_what_is_filled_is_opaque():
    assert fill_values(7, 4) == (7, 7, 7, 255) and fill_values([1, 2, 3], 4) == (1, 2, 3, 255)
    assert fill_values([1, 2, 3, 4], 4) == (1, 2, 3, 4) and fill_values(7, 1) == (7,) and fill_values(7, 3) == (7, 7, 7)
    with pytest.raises(SslkitError, match="has 2 values, images have 4 channels"):
        fill_values([1, 2], 4)


PLUGINS = {
    **{f"randaugment {pool}": RandAugment(pool=pool, translate_max=4, **({} if pool == "timm" else {"cutout_max": 3}))
       for pool in ("noisystudent", "fixmatch", "usb", "timm")},
    "cutout": Cutout(size=6), "flip_crop pad": FlipCrop(pad=2), "flip_crop resized": FlipCrop(crop="resized"),
    "albumentations values": Albumentations(transform="RandomBrightnessContrast", arguments={"p": 1.0}),
    "albumentations places": Albumentations(transform="Affine", arguments={"p": 1.0, "rotate": [30, 40]}),
}  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_by_channels(name, channels):
    (made,) = PLUGINS[name].image_transforms(ViewSpec("weak", "labeled", 16, channels))
    images = np.stack([picture(channels, seed) for seed in range(12)])
    found = made(list(images) if getattr(made, "resizes", False) else images, row_keys(0, np.arange(12)))
    assert found.shape == images.shape and found.dtype == np.uint8
    assert not np.array_equal(found, images)


def test_albumentations_leaves_opacity_alone():
    images = np.stack([picture(4, seed) for seed in range(4)])
    for name in ("InvertImg", "ToGray", "HueSaturationValue", "GaussianBlur"):
        (made,) = Albumentations(transform=name, arguments={"p": 1.0}).image_transforms(ViewSpec("v", "labeled", 16, 4))
        found = made(images, row_keys(0, np.arange(4)))
        assert np.array_equal(found[..., 3], images[..., 3]) and not np.array_equal(found[..., :3], images[..., :3])
    (made,) = Albumentations(transform="HorizontalFlip", arguments={"p": 1.0}).image_transforms(
        ViewSpec("v", "labeled", 16, 4)
    )
    assert np.array_equal(made(images, row_keys(0, np.arange(4))), images[:, :, ::-1])


@pytest.mark.parametrize("probability", [0.01, 1.0])
def test_albumentations_names_a_transform_that_wants_colours(probability):
    plugin = Albumentations(transform="RGBShift", arguments={"p": probability})
    plugin.image_transforms(ViewSpec("v", "labeled", 16, 3))
    plugin = Albumentations(transform="ChannelDropout", arguments={"p": probability})
    with pytest.raises(SslkitError, match="albumentations: ChannelDropout does not take images of 1 channels"):
        plugin.image_transforms(ViewSpec("v", "labeled", 16, 1))


# From data to evaluation ----------------------------------------------------------------------------------------------

DATA = '''
from dataclasses import dataclass
import numpy as np
from sslkit import Data, Images, hookimpl

@dataclass(eq=False, kw_only=True)
class Stripes:
    """Two classes: lying and standing stripes."""
    channels: int = 4
    "Channels of the images."

    @hookimpl
    def open_data(self, progress):
        def split(name, count):
            truth = np.arange(count) % 2
            def one(i):
                line = np.arange(20) * (20 + 3 * int(i)) % 256
                flat = np.repeat(line[:, None], 24, 1) if truth[i] else np.repeat(np.resize(line, 24)[None], 20, 0)
                return np.stack([(flat + 40 * c) % 256 for c in range(self.channels)], -1).astype(np.uint8)
            return Images([f"{name}{i}" for i in range(count)], lambda rows: [one(i) for i in rows], truth)
        return Data(("lying", "standing"), split("l", 8), split("u", 16), None, split("t", 8), self.channels)
'''
TEXT = """
labels = "pool"
batch = {{ labeled = 4, unlabeled = 4 }}
metric = [{{ use = "accuracy" }}]
[data]
use = "./plugins.py:Stripes"
channels = {channels}
[views.unlabeled]
stream = "unlabeled"
[[noise]]
use = "flip_crop"
pad = 1
[[noise]]
use = "randaugment"
translate_max = 2
cutout_max = 2
[[noise]]
use = "cutout"
size = 3
[[noise]]
use = "albumentations"
transform = "GaussianBlur"
[[noise]]
use = "ctaugment"
probe = "labeled"
[[noise]]
use = "mixup"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"
[[generation]]
[[generation]]
"""


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_from_data_to_evaluation(write_recipe, tmp_path, channels):
    path = write_recipe(TEXT.format(channels=channels), DATA)
    checked = CliRunner().invoke(cli.cli, ["check", str(path)])
    assert checked.exit_code == 0, checked.output
    run = sslkit.run(path, out=tmp_path / "run", device="cpu")
    model = run.model(1)
    assert model.model.conv1[0].weight.shape[1] == channels and model.mean.numel() == channels
    metrics = evaluate(tmp_path / "run", device="cpu").metrics
    assert metrics["test_accuracy"] == run.summary["generations"][1]["test_accuracy"]
    assert model(torch.rand(2, channels, 8, 8)).logits.shape == (2, 2)


def test_four_channels_are_normalised_by_the_colours_and_their_mean():
    from sslkit.network import fit_channels

    assert fit_channels([0.1, 0.2, 0.6], 4) == pytest.approx([0.1, 0.2, 0.6, 0.3])
    assert fit_channels([0.1, 0.2, 0.6], 1) == pytest.approx([0.3]) and fit_channels([0.5] * 4, 4) == [0.5] * 4
