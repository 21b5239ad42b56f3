import pickle

import numpy as np
import pytest

from sslkit import SslkitError, ViewSpec
from sslkit.randomness import row_keys
from sslkit_plugins.noise.albumentations import Albumentations


def transform(name, channels=3, **arguments):
    plugin = Albumentations(transform=name, arguments=arguments)
    (made,) = plugin.image_transforms(ViewSpec("strong", "unlabeled", 32, channels))
    return made


def keys(count, base=0):
    return row_keys(base, np.arange(count))


def pictures(count, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [
    "GaussNoise", "Affine", "CoarseDropout", "ElasticTransform", "RandomBrightnessContrast", "GridDistortion", "HorizontalFlip",
])  # fmt: skip
def test_results_do_not_depend_on_how_batches_are_split(name, channels):
    images, made = pictures(24, channels), transform(name, channels)
    before, whole = images.copy(), made(images, keys(24))
    assert whole.shape == images.shape and whole.dtype == np.uint8 and np.array_equal(images, before)
    for size in (1, 5, 24):
        fresh = transform(name, channels)  # a data worker has one of its own, at another point of its stream
        parts = [fresh(images[i : i + size], keys(24)[i : i + size]) for i in range(0, 24, size)]
        assert np.array_equal(np.concatenate(parts), whole)
    order = np.random.default_rng(1).permutation(24)
    assert np.array_equal(made(images[order], keys(24)[order]), whole[order])


def test_twins_differ_and_steps_differ():
    made, images = transform("GaussNoise", p=1.0), pictures(1).repeat(16, 0)
    assert len({row.tobytes() for row in made(images, keys(16))}) == 16
    assert not np.array_equal(made(images, keys(16)), made(images, keys(16, base=1)))


def test_arguments_are_used():
    images = pictures(400)
    assert np.array_equal(transform("HorizontalFlip", p=1.0)(images, keys(400)), images[:, :, ::-1])
    flipped = (transform("HorizontalFlip")(images, keys(400)) != images).any((1, 2, 3))
    assert abs(flipped.mean() - 0.5) < 0.08  # the library's own default
    grey = np.full((4, 32, 32, 3), 100, np.uint8)
    loud = transform("GaussNoise", p=1.0, std_range=[0.5, 0.5])(grey, keys(4)).astype(float)
    quiet = transform("GaussNoise", p=1.0, std_range=[0.02, 0.02])(grey, keys(4)).astype(float)
    assert loud.std() > 5 * quiet.std() > 0


def test_the_shared_generators_are_left_alone():
    state = np.random.get_state()[1].copy()
    transform("GaussNoise", p=1.0)(pictures(4), keys(4))
    assert np.array_equal(np.random.get_state()[1], state)


def test_it_travels_to_spawned_workers():
    made = transform("Affine", p=1.0)
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again(pictures(4), keys(4)), made(pictures(4), keys(4)))


@pytest.mark.parametrize("name, message", [
    ("GausianBlur", "did you mean `GaussianBlur`"), ("gaussianblur", "did you mean `GaussianBlur`"), ("Compose", "is none"),
    ("BasicTransform", "is none"), ("zzz", "is none of the library's transforms$"),
])  # fmt: skip
def test_names_it_does_not_have(name, message):
    with pytest.raises(SslkitError, match=message):
        transform(name)


@pytest.mark.parametrize("name, arguments, message", [
    ("GaussianBlur", {"blur_limits": [3, 5]}, "takes no argument `blur_limits`; did you mean `blur_limit`"),
    ("HorizontalFlip", {"zzz": 1}, "takes no argument `zzz`; it takes p"),
    ("GaussianBlur", {"blur_limit": "x"}, "GaussianBlur does not take .*blur_limit"),
    ("HorizontalFlip", {"p": 2.0}, "HorizontalFlip does not take"),
    ("RandomCrop", {}, "RandomCrop does not take .*: height: Field required; width: Field required$"),
])  # fmt: skip
def test_arguments_it_does_not_take(name, arguments, message):
    with pytest.raises(SslkitError, match=message):
        transform(name, **arguments)


@pytest.mark.parametrize("name, arguments", [
    ("Resize", {"height": 16, "width": 16}), ("RandomCrop", {"height": 16, "width": 16}), ("PadIfNeeded", {}),
    ("ToFloat", {}), ("ToTensorV2", {}), ("Normalize", {}),
])  # fmt: skip
def test_transforms_that_change_shape_or_type_are_refused(name, arguments):
    with pytest.raises(SslkitError, match=rf"{name} made .* of uint8 \(32, 32, 3\)"):
        transform(name, p=1.0, **arguments)(pictures(2), keys(2))


def test_new_channels_are_refused():
    with pytest.raises(SslkitError, match="ToRGB made"):
        transform("ToRGB", channels=1)(pictures(2, 1), keys(2))
