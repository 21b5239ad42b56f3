"""The operations: range, keys, order of severities, and the published constants by hand."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from natural import Bytes, photographs
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.ndimage import zoom as scipy_zoom

from sslkit.errors import DataError
from sslkit_plugins.metric.corrupting.blurs import copied, disk, shrunk
from sslkit_plugins.metric.corrupting.constants import CORRUPTIONS, SEVERITIES, published_side
from sslkit_plugins.metric.corrupting.corrupt import OPERATIONS, as_bytes, check_channels, check_side, corrupted, floats
from sslkit_plugins.metric.corrupting.digital import corners, displacement, elastic_transform
from sslkit_plugins.metric.corrupting.drawing import between, draws, image_keys, normal, plasma, shots
from sslkit_plugins.metric.corrupting.resampling import blurred, trailed, zoomed
from sslkit_plugins.metric.corrupting.weather import other

SHAPES = [(8, 1), (8, 3), (24, 1), (24, 3), (32, 1), (32, 3), (48, 3)]
NAMES = list(OPERATIONS)
RANDOM = [
    "gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "snow", "frost", "fog", "elastic_transform",
]  # fmt: skip
KEYS = image_keys(11, np.arange(40))


# Promises of every operation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_corrupted_images_are_images_of_the_same_shape_and_differ(name: str) -> None:
    for side, channels in [*SHAPES, (224, 3)]:
        images = photographs(3, side, channels)
        before = images.copy()
        for severity in SEVERITIES if side < 224 else (1, 5):
            made = corrupted(name, severity, images, KEYS[:3])
            assert made.shape == images.shape
            assert made.dtype == np.uint8
        assert (made != images).any(), (name, side, channels)
        assert (images == before).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_corrupted_by_its_own_key_whatever_the_batch(name: str, channels: int) -> None:
    images = photographs(9, 24, channels)
    whole = corrupted(name, 4, images, KEYS[:9])
    assert (corrupted(name, 4, images, KEYS[:9]) == whole).all()
    order = np.array([5, 0, 8])
    assert (corrupted(name, 4, images[order], KEYS[order]) == whole[order]).all()
    assert (corrupted(name, 4, images[5:6], KEYS[5:6]) == whole[5:6]).all()
    changes = (corrupted(name, 4, images, KEYS[9:18]) != whole).any()
    assert changes == (name in RANDOM)


def differences(name: str, images: Bytes) -> list[float]:
    """How far each severity is from the images, by the distance that the corruption's severities are meant by.

    The root of the mean squared difference; but the published constants of three corruptions are not ordered by it. More
    frost is less of the image, which may be darker then: the share of what is seen that is not the image counts. Frosted
    glass blurs what it shuffles, which makes it look more alike: how far light is spread counts. Elastic transforms come
    after an affine map of the whole image, which moves it the less the higher the severity: strain counts.
    """
    side = images.shape[1]
    table, keys, scale = CORRUPTIONS[name][published_side(side)], KEYS[: len(images)], side / published_side(side)
    if name == "glass_blur":
        return [spread(side, max(1, round(reach * scale)), times, sigma * scale) for sigma, reach, times in table]
    if name == "elastic_transform":
        fields = [displacement(keys, side, reach, smoothness) for reach, smoothness, _ in table]
        return [float(np.square(np.diff(field, axis=1)).mean()) for field in fields]
    made = [corrupted(name, severity, images, keys) for severity in SEVERITIES]
    return [(unlike if name == "frost" else distance)(images, one) for one in made]


def distance(images: Bytes, made: Bytes) -> float:
    return float(np.sqrt(np.square(made.astype(float) - images).mean((1, 2, 3))).mean())


def unlike(images: Bytes, made: Bytes) -> float:
    pairs = zip(images.reshape(len(images), -1), made.reshape(len(made), -1), strict=True)
    return float(np.mean([1 - np.corrcoef(one, two)[0, 1] for one, two in pairs]))


def spread(side: int, reach: int, times: int, sigma: float) -> float:
    """Mean square of how far light gets: by being shuffled, and by two blurs along two axes."""
    source = copied(KEYS[:8], side, reach, times)
    down, right = source // side - np.arange(side * side) // side, source % side - np.arange(side * side) % side
    return float((down**2 + right**2).mean()) + 4 * sigma**2


@pytest.mark.parametrize(("side", "channels", "count"), [(8, 3, 40), (24, 1, 40), (32, 3, 40), (224, 3, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_a_more_severe_corruption_is_never_less_different(name: str, side: int, channels: int, count: int) -> None:
    # Fog of severity 4 at 224 px is as much as of severity 3, and only rougher, which takes more images to tell.
    found = differences(name, photographs(24 if name == "fog" else count, side, channels))
    assert np.diff(found).min() >= 0, found
    assert found[-1] > found[0]


@pytest.mark.parametrize(("side", "count"), [(24, 20), (32, 20), (224, 3)])
@pytest.mark.parametrize("name", ["glass_blur", "elastic_transform"])
def test_what_is_ordered_by_its_field_changes_images_too_and_stays_in_their_range(
    name: str, side: int, count: int
) -> None:
    """Both move light and mix it: nothing becomes darker or lighter than the image was anywhere."""
    images, keys = photographs(count, side), KEYS[:count]
    made = [corrupted(name, severity, images, keys) for severity in SEVERITIES]
    assert min(distance(images, one) for one in made) > 10  # levels of 255
    assert all((one != other).any((1, 2, 3)).all() for one, other in pairwise(made))
    for one in made:
        assert (one.min((1, 2, 3)) >= images.min((1, 2, 3))).all()
        assert (one.max((1, 2, 3)) <= images.max((1, 2, 3))).all()


def test_an_edge_is_spread_and_a_slope_is_bent_the_more_the_more_severe_it_is() -> None:
    """By the images themselves: how far frosted glass carries light, and how an elastic transform strains a slope.

    An affine map leaves a slope straight: what is not straight in it is elastic.
    """
    edge, slope = np.zeros((40, 32, 32, 1), np.uint8), np.zeros((40, 32, 32, 1), np.uint8)
    edge[:, :, 16:] = 255
    slope += (8 * np.arange(32, dtype=np.uint8))[:, None]
    blurs = [distance_carried(edge, corrupted("glass_blur", severity, edge, KEYS)) for severity in SEVERITIES]
    assert np.diff(blurs).min() > 0, blurs
    assert blurs[-1] > 2 * blurs[0]
    bends = [bent(corrupted("elastic_transform", severity, slope, KEYS)) for severity in SEVERITIES]
    assert np.diff(bends[1:]).min() > 0, bends  # severities 1 and 2 bend it by less than a level
    assert bends[2] > 2 * max(bends[:2])
    assert min(distance(slope, corrupted("elastic_transform", severity, slope, KEYS)) for severity in (1, 2)) > 10


def distance_carried(images: Bytes, made: Bytes) -> float:
    """Of an edge from black to white, in pixels of a row."""
    return float(np.abs(made.astype(float) - images).sum(2).mean() / 255)


def bent(made: Bytes) -> float:
    """Mean square of how far a slope is from straight over 4 pixels, inside, where no border is reflected."""
    inside = made[:, 8:-8, 8:-8].astype(float)
    return float(np.square(inside[:, :, 4:] - 2 * inside[:, :, 2:-2] + inside[:, :, :-4]).mean())


def test_images_of_other_channels_and_tiny_ones_are_refused() -> None:
    with pytest.raises(DataError, match=r"\[\[metric\]\] robust: the images have 4 channels, accepted are 1 .* and 3"):
        check_channels(4, "[[metric]] robust")
    with pytest.raises(DataError, match=r"7 x 7 pixels, accepted are 8 x 8 and more"):
        check_side(7, "[[metric]] robust")
    check_channels(1, "")
    check_side(8, "")


def test_constants_are_those_of_the_nearer_published_size() -> None:
    assert [published_side(side) for side in (8, 24, 32, 64, 84)] == [32] * 5
    assert [published_side(side) for side in (85, 96, 224, 299, 600)] == [224] * 5
    assert all(len(table[side]) == 5 for table in CORRUPTIONS.values() for side in (32, 224))


# Draws -------------------------------------------------------------------------------------------------------------


def test_draws_have_their_distributions() -> None:
    keys = image_keys(3, np.arange(50))
    even, bell = draws(keys, 400), normal(keys, 400)
    assert (even > 0).all() and (even < 1).all() and abs(even.mean() - 0.5) < 0.01
    assert abs(bell.mean()) < 0.02 and abs(bell.std() - 1) < 0.02
    for value, photons in ((0, 5), (255, 3), (100, 60), (200, 500)):
        counts = shots(keys, np.full((50, 400), value, np.uint8), photons)
        rate = value * photons / 255
        assert abs(counts.mean() - rate) <= 4 * np.sqrt(rate / counts.size)
        assert abs(counts.var() - rate) <= 0.05 * rate
        assert (counts == np.round(counts)).all()


def test_clouds_are_those_of_diamonds_and_squares_one_point_at_a_time() -> None:
    keys, side, decay = image_keys(1, np.arange(1)), 8, 2.0
    noise = between(keys, -1, 1, side, side)[0]
    clouds = np.zeros((side, side))
    step, wibble = side, 100.0
    while step > 1:
        half, size = step // 2, wibble * wibble

        def at(row: int, column: int) -> float:
            return float(clouds[row % side, column % side])

        for row in range(half, side, step):
            for column in range(half, side, step):
                four = at(row - half, column - half) + at(row - half, column + half)
                four += at(row + half, column - half) + at(row + half, column + half)
                clouds[row, column] = four / 4 + size * noise[row, column]
        for row in range(0, side, half):
            for column in range(0 if row % step else half, side, step):
                four = at(row - half, column) + at(row + half, column) + at(row, column - half) + at(row, column + half)
                clouds[row, column] = four / 4 + size * noise[row, column]
        step, wibble = half, wibble / decay
    expected = (clouds - clouds.min()) / (clouds.max() - clouds.min())
    assert np.allclose(plasma(keys, side, decay)[0], expected, atol=1e-6)
    assert plasma(keys, 6, decay).shape == (1, 6, 6)


# The published constants by hand -----------------------------------------------------------------------------------


def even_image(value: int, side: int = 224, count: int = 1, channels: int = 3) -> Bytes:
    return np.full((count, side, side, channels), value, np.uint8)


def test_noise_has_its_published_size() -> None:
    for side, deviation in ((32, 0.10), (224, 0.38)):
        images = even_image(128, side, 20 if side == 32 else 1)
        made = floats(corrupted("gaussian_noise", 5, images, KEYS[: len(images)]))
        inside = np.abs(normal(KEYS[: len(images)], *images.shape[1:])) < 1
        shift = np.abs(made - 128 / 255)
        # Of a normal variable 68.3% lie within a deviation of the mean; what is cut off lies outside.
        assert abs((shift[inside]).max() - deviation) < 0.01
        assert abs(inside.mean() - 0.683) < 0.01
    made = corrupted("impulse_noise", 5, even_image(128), KEYS[:1])
    assert abs((made == 0).mean() - 0.135) < 0.005
    assert abs((made == 255).mean() - 0.135) < 0.005
    assert ((made == 0) | (made == 255) | (made == 128)).all()
    made = corrupted("shot_noise", 5, even_image(85), KEYS[:1])  # three photons of a white pixel, one on average here
    assert set(np.unique(made)) == {0, 85, 170, 255}
    assert abs((made == 0).mean() - np.exp(-1)) < 0.005


def test_brightness_and_contrast_by_hand() -> None:
    assert (corrupted("brightness", 1, even_image(100, 32, 1, 1), KEYS[:1]) == 112).all()  # 100 + 0.05 * 255
    colour = np.zeros((1, 224, 224, 3), np.uint8) + np.array([100, 50, 0], np.uint8)
    made = corrupted("brightness", 3, colour, KEYS[:1])[0, 0, 0]
    assert made.tolist() == [176, 88, 0]  # the largest becomes 100 + 0.3 * 255 = 176.5; the ratios stay
    assert corrupted("brightness", 3, even_image(0), KEYS[:1])[0, 0, 0].tolist() == [76] * 3
    halves = even_image(40, 32, 1, 1)
    halves[:, :16] = 200
    made = corrupted("contrast", 5, halves, KEYS[:1])  # 0.15 of the distance from 120
    assert sorted(np.unique(made)) == [108, 132]


def test_pixels_are_joined_as_pil_does() -> None:
    images = photographs(2, 224)
    for severity, share in ((2, 0.5), (5, 0.25)):
        made = corrupted("pixelate", severity, images, KEYS[:2])
        small = [Picture.fromarray(image).resize((int(224 * share),) * 2, Picture.Resampling.BOX) for image in images]
        expected = np.stack([np.asarray(one.resize((224, 224), Picture.Resampling.BOX)) for one in small])
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_jpeg_is_what_another_encoder_makes_of_the_quality() -> None:
    images = photographs(2, 224)
    made = corrupted("jpeg_compression", 5, images, KEYS[:2])
    for image, one in zip(images, made, strict=True):
        written = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 7])[1]
        assert (cv2.imdecode(written, cv2.IMREAD_COLOR)[..., ::-1] == one).mean() > 0.99


def test_a_point_out_of_focus_becomes_a_disk() -> None:
    images = even_image(0, 224, 1, 1)
    images[0, 112, 112] = 255
    made = corrupted("defocus_blur", 1, images, KEYS[:1])[0, :, :, 0]
    line = np.arange(224) - 112
    inside = line[:, None] ** 2 + line[None] ** 2 <= 9
    assert inside.sum() == 29
    assert (made[inside] == 255 // 29).all()
    assert (made[~inside] == 0).all()
    assert abs(disk(10, 0.5).sum() - 1) < 0.02  # the published one is a little more than 1
    small = shrunk(disk(1.5, 0.1), 0.75)
    assert np.isclose(small.sum(), 1)
    assert np.count_nonzero(small > 1e-6) == 9
    assert small[8, 8] > disk(1.5, 0.1)[8, 8]


def test_gaussian_blurs_are_scipys() -> None:
    images = floats(photographs(2, 32))
    expected = [gaussian_filter(image, (1.5, 1.5, 0), mode="nearest", truncate=4) for image in images]
    assert np.allclose(blurred(images, 1.5), expected, atol=1e-5)


def test_zooms_are_scipys_cut_to_the_middle() -> None:
    images = floats(photographs(2, 32))
    for factor in (1.0, 1.04, 1.11, 1.26, 2.25, 3.0):
        box = int(np.ceil(32 / factor))
        top = (32 - box) // 2
        for image, made in zip(images, zoomed(images, factor), strict=True):
            large = scipy_zoom(image[top : top + box, top : top + box], (factor, factor, 1), order=1)
            trim = (large.shape[0] - 32) // 2
            assert np.allclose(made, large[trim : trim + 32, trim : trim + 32], atol=1e-5)
    assert [len(np.arange(*constants)) for constants in CORRUPTIONS["zoom_blur"][224]] == [
        12,
        16,
        11,
        13,
        11,
    ]  # as floats have it


def test_motion_leaves_one_half_of_a_gaussian_behind() -> None:
    image = np.zeros((2, 32, 32, 1), np.float32)
    image[:, 16, 16] = 1
    made = trailed(image, 6, 2, np.array([0.0, 90.0]))
    weights = np.exp(-(np.arange(13) ** 2) / 8)
    weights /= weights.sum()
    assert np.allclose(made[0, 16, 16 - np.arange(13), 0], weights, atol=1e-5)
    assert np.allclose(made[1, 16 - np.arange(13), 16, 0], weights, atol=1e-5)
    assert np.allclose(made.sum((1, 2, 3)), 1, atol=1e-5)


def test_frosted_glass_copies_one_pixel_after_another() -> None:
    side, reach, times = 12, 2, 2
    keys = image_keys(5, np.arange(3))
    moves = np.floor(between(keys, -reach, reach, times, 2, side * side)).astype(int)
    for number in range(3):
        shown = np.arange(side * side).reshape(side, side)
        for down, right in moves[number].reshape(times, 2, side, side):
            for row in range(side - reach, reach, -1):
                for column in range(side - reach, reach, -1):
                    shown[row, column] = shown[row + down[row, column], column + right[row, column]]
        assert (copied(keys, side, reach, times)[number] == shown.ravel()).all()


def test_elastic_transforms_are_scipys() -> None:
    images, keys = floats(photographs(2, 32)), KEYS[:2]
    reach, smoothness, jitter = CORRUPTIONS["elastic_transform"][32][4]
    made = elastic_transform(images, keys, (reach, smoothness, jitter), 1)
    points, moved = corners(other(keys, 1), 32, jitter)
    assert np.abs(moved - points).max() <= jitter * 32
    field = displacement(keys, 32, reach, smoothness)
    noise = between(keys, -1, 1, 32, 32, 2)
    expected = gaussian_filter(noise, (0, smoothness * 32, smoothness * 32, 0), mode="reflect", truncate=3) * reach * 32
    assert np.allclose(field, expected, atol=1e-5)
    rows, columns = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    for number, image in enumerate(images):
        mapped = cv2.warpAffine(
            image, cv2.getAffineTransform(points, moved[number]), (32, 32), borderMode=cv2.BORDER_REFLECT_101
        )
        at = [rows + field[number, :, :, 0], columns + field[number, :, :, 1]]
        expected = np.stack([map_coordinates(mapped[..., c], at, order=1, mode="reflect") for c in range(3)], -1)
        assert np.abs(made[number] - expected).max() < 0.05  # cv2 counts places in 1/32 pixel
        assert np.abs(made[number] - expected).mean() < 0.005


def test_fog_keeps_the_brightest_value_and_lifts_the_rest() -> None:
    images = photographs(3, 32)
    made = corrupted("fog", 3, images, KEYS[:3])
    clouds = plasma(KEYS[:3], 32, 2.5)[..., None]
    brightest = images.max((1, 2, 3), keepdims=True) / 255
    expected = (images / 255 + 0.75 * clouds) * brightest / (brightest + 0.75)
    assert np.abs(made - expected * 255).max() <= 1.01


def test_frost_lies_on_the_image_in_published_shares() -> None:
    dark, light = even_image(0, 32, 2), even_image(100, 32, 2)
    ice = corrupted("frost", 5, dark, KEYS[:2]).astype(int)
    assert ice.max() <= 0.45 * 255
    assert ice.std() > 3  # a texture
    assert np.abs(corrupted("frost", 5, light, KEYS[:2]) - (ice + 75)).max() <= 1


def test_snow_whitens_and_adds_flakes() -> None:
    made = corrupted("snow", 1, even_image(100, 32, 20), KEYS[:20])
    # Between flakes: 0.95 * 100 + 0.05 * max(100, 1.5 * 100 + 127.5).
    values, counts = np.unique(made, return_counts=True)
    assert values[counts.argmax()] == 108
    assert 0 < (made > 200).mean() < (made > 108).mean() < 0.2
    assert (made >= 108).all()


def test_bytes_come_back_as_they_were() -> None:
    values = np.arange(256, dtype=np.uint8)
    assert (as_bytes(floats(values)) == values).all()
