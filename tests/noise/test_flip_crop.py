import numpy as np
import pytest

from sslkit import ViewSpec
from sslkit.randomness import row_keys, uniform
from sslkit_plugins.noise.flip_crop import TRIES, FlipCrop, reflected, resized_box


def transform(size=32, channels=3, **settings):
    (made,) = FlipCrop(**settings).image_transforms(ViewSpec("weak", "unlabeled", size, channels))
    return made


def keys(count, base=0):
    return row_keys(base, np.arange(count))


def pictures(count, size=32, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def ramp(count, size=16):
    """Value = column, so that a row tells flip and shift."""
    return np.arange(size, dtype=np.uint8)[None, None, :, None].repeat(count, 0).repeat(size, 1)


def test_flip_only():
    images = pictures(400)
    made = transform(pad=0)(images, keys(400))
    flipped = np.array([np.array_equal(row, image[:, ::-1]) for row, image in zip(made, images, strict=True)])
    kept = np.array([np.array_equal(row, image) for row, image in zip(made, images, strict=True)])
    assert (flipped ^ kept).all() and abs(flipped.mean() - 0.5) < 0.08


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flip_can_be_off_or_certain(flip):
    images = pictures(50)
    made = transform(pad=0, flip=flip)(images, keys(50))
    assert np.array_equal(made, images[:, :, ::-1] if flip else images)


def test_crop_is_that_of_the_reflected_image():
    images = pictures(300)
    made = transform(flip=0.0, pad=4)(images, keys(300))
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    seen = set()
    for row, image in zip(made, padded, strict=True):
        found = [(y, x) for y in range(9) for x in range(9) if np.array_equal(image[y : y + 32, x : x + 32], row)]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > 70  # of 81


def test_shifts_are_even():
    rows = transform(flip=0.0, pad=3, channels=1)(ramp(7000), keys(7000))[:, 8, 8, 0].astype(int) - 8
    counts = np.bincount(rows + 3, minlength=7)
    assert len(counts) == 7 and abs(counts - 1000).max() < 130


@pytest.mark.parametrize("length, shift", [(8, 3), (4, 9), (2, 5), (1, 4)])
def test_reflection_is_numpys(length, shift):
    expected = np.pad(np.arange(length), shift, mode="reflect")
    assert np.array_equal(reflected(np.arange(-shift, length + shift), length), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_a_row_depends_on_its_key_alone(crop, channels):
    images, made = pictures(40, channels=channels), transform(channels=channels, crop=crop)
    whole = made(images, keys(40))
    assert whole.shape == images.shape and whole.dtype == np.uint8
    order = np.random.default_rng(1).permutation(40)
    assert np.array_equal(made(images[order], keys(40)[order]), whole[order])
    assert np.array_equal(made(images[7:8], keys(40)[7:8]), whole[7:8])
    twins = made(images[:1].repeat(40, 0), keys(40))
    assert len({row.tobytes() for row in twins}) > 25


def test_resized_takes_images_of_any_size():
    made = transform(size=24, crop="resized")
    assert made.resizes
    sizes = [(100, 40), (24, 24), (7, 90), (1, 1), (300, 500)]
    images = [np.full((h, w, 3), i, np.uint8) for i, (h, w) in enumerate(sizes)]
    views = made(images, keys(5))
    assert views.shape == (5, 24, 24, 3) and views.dtype == np.uint8
    assert [row.flat[0] for row in views] == list(range(5))


def test_boxes_have_the_area_and_shape_asked_for():
    draws = uniform(keys(2000), 4 * TRIES).reshape(-1, TRIES, 4)
    boxes = np.array([resized_box(200, 300, each, 0.2, 4 / 3) for each in draws])
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 200).all() and (left + width <= 300).all()
    area, ratio = height * width / 60000, width / height
    assert area.min() == pytest.approx(0.2, abs=0.02) and area.max() > 0.8
    assert ratio.min() == pytest.approx(0.75, abs=0.02) and ratio.max() == pytest.approx(4 / 3, abs=0.02)
    assert top.min() == 0 and left.min() == 0 and (top + height).max() == 200 and (left + width).max() == 300


def test_where_no_box_fits_the_centre_is_taken():
    draws = np.full((TRIES, 4), 0.999)
    assert resized_box(30, 300, draws, 0.9, 4 / 3) == (0, 130, 30, 40)
    assert resized_box(300, 30, draws, 0.9, 4 / 3) == (130, 0, 40, 30)


def test_resized_flips():
    image = np.zeros((64, 64, 1), np.uint8)
    image[:, 32:] = 255
    views = transform(channels=1, crop="resized", scale_min=1.0, ratio_max=1.0)([image] * 200, keys(200))
    assert abs((views[:, 0, 0, 0] == 255).mean() - 0.5) < 0.12
    assert (views[:, 0, 0, 0] != views[:, 0, -1, 0]).all()
