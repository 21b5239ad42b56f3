"""Each operation against PIL's of the same name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from sslkit import SslkitError
from sslkit_plugins.noise.image_ops import INTERPOLATIONS, OPS, Canvas, fill_values, undo_blank

CHANNELS = pytest.mark.parametrize("channels", [1, 3])


def picture(channels, size=32, seed=0):
    """Smooth shapes with some noise, values over the whole range."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(6 * x + 9 * y * (c + 1)) + np.cos(8 * y - 3 * x * c) for c in range(channels)]
    noisy = np.stack(waves, -1) * 60 + 120 + random.normal(0, 12, (size, size, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pillow(image):
    return Pillow.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def pixels(image, like):
    return np.asarray(image).reshape(like.shape)


def apply(name, image, argument=0.0, fill=128, interpolation="nearest", **place):
    canvas = Canvas((fill,) * image.shape[2], INTERPOLATIONS[interpolation], **place)
    before = image.copy()
    made = OPS[name](image, argument, canvas)
    assert np.array_equal(image, before), f"{name} changed its input"
    assert made.shape == image.shape and made.dtype == np.uint8
    return made


@CHANNELS
@pytest.mark.parametrize("name, function", [
    ("auto_contrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize), ("invert", ImageOps.invert),
])  # fmt: skip
def test_plain_ops_are_pils(name, function, channels):
    for seed in range(5):
        image = picture(channels, seed=seed) // 2 + 30
        assert np.array_equal(apply(name, image), pixels(function(pillow(image)), image))


@CHANNELS
@pytest.mark.parametrize("name", ["auto_contrast", "equalize"])
def test_flat_channels_stay(name, channels):
    image = picture(channels)
    image[..., 0] = 7
    assert (apply(name, image)[..., 0] == 7).all()


def test_equalize_leaves_images_too_small_to_count():
    image = picture(1, size=8)
    assert np.array_equal(apply("equalize", image), image)
    assert np.array_equal(np.asarray(ImageOps.equalize(pillow(image)))[..., None], image)


@CHANNELS
@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pils(bits, channels):
    image = picture(channels)
    assert np.array_equal(apply("posterize", image, bits), pixels(ImageOps.posterize(pillow(image), bits), image))


@CHANNELS
@pytest.mark.parametrize("threshold", [0, 1, 100, 127.5, 255, 256])
def test_solarize_is_pils(threshold, channels):
    image = picture(channels)
    assert np.array_equal(
        apply("solarize", image, threshold), pixels(ImageOps.solarize(pillow(image), threshold), image)
    )


@pytest.mark.parametrize("addition", [0, 30, 110, 255])
def test_solarize_add_lightens_the_dark_half(addition):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    made = apply("solarize_add", image, addition).ravel()
    assert (made[128:] == np.arange(128, 256)).all()
    assert (made[:128] == np.minimum(np.arange(128) + addition, 255)).all()


@CHANNELS
@pytest.mark.parametrize("factor", [0.05, 0.1, 0.5, 0.95, 1.0, 1.9, 4.96])
@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_enhancing_is_pils(name, factor, channels):
    image = picture(channels)
    expected = getattr(ImageEnhance, name.capitalize())(pillow(image)).enhance(factor)
    assert np.abs(apply(name, image, factor).astype(int) - pixels(expected, image)).max() <= 1


MOVES = {
    "shear_x": lambda v: (1, v, 0, 0, 1, 0), "shear_y": lambda v: (1, 0, 0, v, 1, 0),
    "translate_x": lambda v: (1, 0, v, 0, 1, 0), "translate_y": lambda v: (1, 0, 0, 0, 1, v),
}  # fmt: skip


def moved(image, name, value, resample, fill):
    source, fill = pillow(image), fill if image.shape[2] == 1 else (fill,) * 3
    if name == "rotate":
        return pixels(source.rotate(value, resample, fillcolor=fill), image)
    return pixels(
        source.transform(source.size, Pillow.Transform.AFFINE, MOVES[name](value), resample, fillcolor=fill), image
    )


@CHANNELS
@pytest.mark.parametrize("name, value", [
    ("rotate", 27.0), ("rotate", -81.0), ("rotate", 90.0), ("shear_x", 0.29), ("shear_x", -0.81), ("shear_y", 0.31),
    ("translate_x", 9.0), ("translate_x", -6.3), ("translate_y", -9.0), ("translate_y", 6.3),
])  # fmt: skip
def test_moves_are_pils(name, value, channels):
    image = picture(channels)
    nearest = apply(name, image, value) != moved(image, name, value, Pillow.Resampling.NEAREST, 128)
    assert nearest.mean() < 0.02, "nearest: only ties may be rounded otherwise"
    made = apply(name, image, value, interpolation="bilinear").astype(int)
    expected = moved(image, name, value, Pillow.Resampling.BILINEAR, 128)
    off = np.abs(made - expected).max(2) > 6
    assert off.mean() < 0.12, "bilinear: only the border may be blended otherwise"


def test_whole_translations_are_exact():
    image = picture(3)
    assert np.array_equal(apply("translate_x", image, 5)[:, :-5], image[:, 5:])
    assert (apply("translate_x", image, 5)[:, -5:] == 128).all()
    assert np.array_equal(apply("translate_y", image, -5)[5:], image[:-5])


def test_fill_is_given_per_channel():
    made = OPS["translate_x"](picture(3), 4, Canvas((1, 2, 3)))
    assert (made[:, -4:] == [1, 2, 3]).all()
    assert (OPS["cutout"](picture(3), 4, Canvas((1, 2, 3)))[12:20, 12:20] == [1, 2, 3]).all()


def test_cutout_fills_a_box_and_loses_what_lies_outside():
    image = np.zeros((32, 32, 1), np.uint8)
    inside = apply("cutout", image, 4, x=0.5, y=0.25)[..., 0] == 128
    assert inside[4:12, 12:20].all() and inside.sum() == 64
    corner = apply("cutout", image, 4, x=0.0, y=0.999)[..., 0] == 128
    assert corner[27:, :4].all() and corner.sum() == 20
    assert not apply("cutout", image, 0).any()


def test_identity():
    assert np.array_equal(apply("identity", picture(3)), picture(3))


@given(st.lists(st.sampled_from(sorted(OPS)), min_size=1, max_size=4), st.floats(0.05, 4), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_any_chain_keeps_shape_and_type(names, factor, channels):
    image = picture(channels, size=12)
    for name in names:
        image = apply(name, image, 1 + int(factor) if name == "posterize" else factor)


def test_flat_rows_are_put_back():
    before = np.stack([picture(3, seed=i) for i in range(3)])
    after = before // 2
    after[1] = [4, 5, 6]
    made = undo_blank(before, after.copy())
    assert np.array_equal(made[1], before[1]) and np.array_equal(made[[0, 2]], after[[0, 2]])


def test_fill_values():
    assert fill_values(9, 3) == (9, 9, 9) and fill_values([9], 3) == (9, 9, 9)
    assert fill_values((125, 123, 114), 1) == (121,) and fill_values([1, 2, 3], 3) == (1, 2, 3)
    with pytest.raises(SslkitError, match="2 values, images have 3 channels"):
        fill_values([1, 2], 3)
