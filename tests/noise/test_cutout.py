import numpy as np
import pytest

from sslkit import SslkitError, ViewSpec
from sslkit.randomness import row_keys
from sslkit_plugins.noise.cutout import Cutout


def transform(channels=1, **settings):
    (made,) = Cutout(**settings).image_transforms(ViewSpec("strong", "unlabeled", 32, channels))
    return made


def keys(count):
    return row_keys(3, np.arange(count))


def pictures(count, channels=1):
    return np.random.default_rng(0).integers(0, 100, (count, 32, 32, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_box_is_filled_and_the_rest_stays(channels):
    images = pictures(200, channels)
    made = transform(channels, size=16, fill=200)(images, keys(200))
    assert made.shape == images.shape and made.dtype == np.uint8
    for row, image in zip(made, images, strict=True):
        cut = (row == 200).all(-1)
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 8 <= len(rows) <= 16 and 8 <= len(columns) <= 16
        assert np.array_equal(row[~cut], image[~cut])


def test_centres_are_even():
    cut = transform(size=3, fill=255)(pictures(6000), keys(6000))[..., 0] == 255
    inner = cut.mean(0)[1:-1, 1:-1]
    assert abs(inner - 9 / 1024).max() < 6 * np.sqrt(9 / 1024 / 6000)


def test_a_colour():
    made = transform(3, size=8, fill=[1, 2, 255])(pictures(20, 3), keys(20))
    assert ((made == [1, 2, 255]).all(-1).sum((1, 2)) >= 16).all()


def test_a_row_depends_on_its_key_alone():
    images, made = pictures(40), transform()
    before, whole = images.copy(), made(images, keys(40))
    order = np.random.default_rng(1).permutation(40)
    assert np.array_equal(images, before)
    assert np.array_equal(made(images[order], keys(40)[order]), whole[order])
    assert len({row.tobytes() for row in made(images[:1].repeat(40, 0), keys(40))}) > 35


def test_no_view_is_left_blank():
    dot = np.zeros((500, 32, 32, 1), np.uint8)
    dot[:, 10, 10] = 255
    made = transform(size=40, fill=0)(dot, keys(500))
    assert (made.reshape(500, -1) > 0).any(1).all()


def test_a_box_that_hides_everything_is_refused():
    with pytest.raises(SslkitError, match=r"`size = 64` hides all of view `strong`, which has 32 pixels"):
        transform(size=64)
    with pytest.raises(SslkitError, match="2 values"):
        transform(3, fill=[1, 2])
