"""RandAugment: its arguments against the published ones, its draws against their distribution."""

from collections import Counter

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from sslkit import SslkitError, ViewSpec
from sslkit.randomness import row_keys, uniform
from sslkit_plugins.noise import randaugment
from sslkit_plugins.noise.image_ops import OPS
from sslkit_plugins.noise.randaugment import POOLS, SIGNED, RandAugment, Reach, argument, draw_levels

OFFICIAL = Reach(translate=100, cutout=40)
SHARED = {
    "auto_contrast", "equalize", "rotate", "posterize", "solarize", "color", "contrast", "brightness", "sharpness",
    "shear_x", "shear_y", "translate_x", "translate_y",
}  # fmt: skip
SMALL = {"translate_max": 10.0, "cutout_max": 8.0}


def view(size=32, channels=1):
    return ViewSpec("strong", "unlabeled", size, channels)


def digits(count=64, channels=1):
    images = (load_digits().images[:count] * 255 / 16).round().astype(np.uint8)
    return np.stack([cv2.resize(image, (32, 32)) for image in images])[..., None].repeat(channels, -1)


def transform(channels=1, **settings):
    (made,) = RandAugment(**settings).image_transforms(view(channels=channels))
    return made


def keys(count, base=0):
    return row_keys(base, np.arange(count))


# Arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op, at_10, at_27", [
    ("rotate", 30, 81), ("shear_x", 0.3, 0.81), ("shear_y", 0.3, 0.81), ("translate_x", 100, 270),
    ("translate_y", 100, 270), ("color", 1.9, 4.96), ("contrast", 1.9, 4.96), ("brightness", 1.9, 4.96),
    ("sharpness", 1.9, 4.96), ("posterize", 4, 10), ("solarize", 256, 691), ("solarize_add", 110, 297), ("cutout", 40, 108),
])  # fmt: skip
def test_noisystudent_formulas_are_the_official_ones(op, at_10, at_27):
    formula = POOLS["noisystudent"].formulas[op]
    assert formula(1.0, OFFICIAL) == pytest.approx(at_10)
    assert formula(2.7, OFFICIAL) == pytest.approx(at_27)


@pytest.mark.parametrize("op, level, official, used", [
    ("posterize", 2.7, 10, 8), ("posterize", 0.2, 0, 1), ("solarize", 2.7, 691, 256), ("solarize_add", 2.7, 297, 255),
])  # fmt: skip
def test_undefined_arguments_are_clipped(op, level, official, used):
    assert POOLS["noisystudent"].formulas[op](level, OFFICIAL) == official
    assert argument("noisystudent", op, level, OFFICIAL) == used


def test_factors_above_one_are_not_clipped():
    assert argument("noisystudent", "brightness", 2.7, OFFICIAL) == pytest.approx(4.96)
    assert argument("noisystudent", "rotate", 2.7, OFFICIAL) == pytest.approx(81)


def test_at_27_solarize_and_posterize_leave_the_image():
    image = digits(1)[0]
    for op in ("solarize", "posterize"):
        value = argument("noisystudent", op, 2.7, OFFICIAL)
        assert np.array_equal(OPS[op](image, value, None), image)


def span(pool, op, reach=None):
    """Smallest and largest argument over everything that the pool draws, signs left out."""
    spec = POOLS[pool]
    reach = reach or RandAugment(pool=pool)._reach(spec, 32)
    levels = draw_levels(spec, 10, np.linspace(0, 1, 2001)[:-1])
    values = [argument(pool, op, float(level), reach) for level in levels]
    return min(values), max(values)


@pytest.mark.parametrize("op, low, high", [
    ("rotate", 3, 27), ("shear_x", 0.03, 0.27), ("color", 0.14, 0.86), ("posterize", 4, 7), ("solarize", 26, 231),
    ("translate_x", 0, 8),
])  # fmt: skip
def test_fixmatch_draws_levels_1_to_9(op, low, high):
    assert span("fixmatch", op) == pytest.approx((low, high))
    assert {round(10 * level) for level in draw_levels(POOLS["fixmatch"], 10, np.arange(0, 1, 0.01))} == set(
        range(1, 10)
    )
    assert set(draw_levels(POOLS["fixmatch"], 1, np.arange(0, 1, 0.1))) == {0.1}


@pytest.mark.parametrize("op, low, high", [
    ("rotate", -30, 30), ("shear_x", -0.3, 0.3), ("translate_y", -9.6, 9.6), ("sharpness", 0.05, 0.95),
    ("posterize", 4, 7), ("solarize", 0, 256),
])  # fmt: skip
def test_usb_draws_evenly(op, low, high):
    lowest, highest = span("usb", op)
    assert lowest == pytest.approx(low, abs=0.2) and highest == pytest.approx(high, abs=0.2)


@pytest.mark.parametrize("op, expected", [
    ("rotate", 30), ("shear_x", 0.3), ("translate_x", 0.45 * 32), ("color", 1.9), ("posterize", 4), ("solarize", 256),
    ("solarize_add", 110),
])  # fmt: skip
def test_timm_clips_the_magnitude_at_10(op, expected):
    for magnitude in (10, 27):
        made = transform(pool="timm", magnitude=magnitude)
        assert argument("timm", op, made.magnitude / 10, made.reach) == pytest.approx(expected)
    assert transform(pool="timm", magnitude=27, magnitude_max=30, translate_max=5.0).magnitude == 27


def test_timm_beyond_its_maximum():
    assert argument("timm", "solarize", 2.7, OFFICIAL) == 256
    assert argument("timm", "solarize_add", 2.7, OFFICIAL) == 128


@pytest.mark.parametrize("pool, more", [
    ("noisystudent", {"invert", "solarize_add", "cutout"}), ("fixmatch", {"identity"}), ("usb", {"identity"}),
    ("timm", {"invert", "solarize_add"}),
])  # fmt: skip
def test_operations_of_each_pool(pool, more):
    assert set(POOLS[pool].formulas) == SHARED | more
    assert set(POOLS[pool].formulas) <= set(OPS)


@pytest.mark.parametrize("pool, ops, probability, fill", [
    ("noisystudent", 2, 1, (128,) * 3), ("fixmatch", 2, 0.5, (0,) * 3), ("usb", 3, 1, (0,) * 3), ("timm", 2, 0.5, (128,) * 3),
])  # fmt: skip
def test_defaults_are_the_pools(pool, ops, probability, fill):
    made = transform(channels=3, pool=pool, **(SMALL if pool == "noisystudent" else {}))
    assert (made.ops, made.probability, made.fill) == (ops, probability, fill)
    assert len(made.interpolations) == (2 if pool == "timm" else 1)


def test_official_reach():
    (made,) = RandAugment().image_transforms(view(size=600))
    assert made.reach == OFFICIAL and made.magnitude == 10
    assert transform(pool="fixmatch").reach == pytest.approx((9.6, 8))
    assert transform(pool="usb").reach == pytest.approx((9.6, 8))


def test_fields_override_the_pool():
    made = transform(
        pool="fixmatch", ops=4, probability=1.0, translate_max=3.0, cutout_max=2.0, fill=9, interpolation="bicubic"
    )
    assert (made.ops, made.probability, made.reach) == (4, 1.0, (3, 2))
    assert (made.fill, made.cutout_fill, made.interpolations) == ((9,), (9,), (cv2.INTER_CUBIC,))


def test_a_cutout_may_have_a_value_of_its_own():
    """As FixMatch's code has it: black where nothing is known, grey where something is hidden."""
    fills = [
        (one.fill, one.cutout_fill)
        for given in ({}, {"fill": 0}, {"cutout_fill": 9}, {"fill": 0, "cutout_fill": 127})
        for one in RandAugment(pool="fixmatch", **given).image_transforms(ViewSpec("v", "unlabeled", 32, 1))
    ]
    assert fills == [((0,), (127,)), ((0,), (0,)), ((0,), (9,)), ((0,), (127,))]


# Draws ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def called(monkeypatch):
    """Every (operation, argument, canvas) that a transform applies."""
    seen = []

    def spy(name, op):
        def record(image, value, canvas):
            seen.append((name, value, canvas))
            return op(image, value, canvas)

        return record

    monkeypatch.setattr(randaugment, "OPS", {name: spy(name, op) for name, op in OPS.items()})
    return seen


def test_operations_are_drawn_evenly_and_always_applied(called):
    transform(magnitude=9, **SMALL)(digits(64).repeat(64, 0), keys(4096))
    counts = Counter(name for name, _, _ in called)
    assert sum(counts.values()) == 2 * 4096 and len(counts) == 16
    expected = 2 * 4096 / 16
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_squared < 37.7  # 15 degrees of freedom: exceeded with probability 0.001


def test_half_of_the_signs_are_negative_where_there_are_signs(called):
    transform(magnitude=9, **SMALL)(digits(64).repeat(64, 0), keys(4096))
    for name in POOLS["noisystudent"].formulas:
        values = np.array([value for other, value, _ in called if other == name])
        share = (values < 0).mean()
        assert abs(share - 0.5) < 0.11 if name in SIGNED else share == 0, name


def test_order_and_pairs_are_free(called):
    transform(magnitude=9, **SMALL)(digits(1).repeat(4096, 0), keys(4096))
    first, second = called[:4096], called[4096:]
    pairs = {(a[0], b[0]) for a, b in zip(first, second, strict=True)}
    assert len(pairs) == 16 * 16


@pytest.mark.parametrize("pool, share", [("fixmatch", 0.5), ("timm", 0.5), ("usb", 1.0)])
def test_probability_of_application(pool, share, called):
    transform(pool=pool)(digits(1).repeat(2048, 0), keys(2048))
    applied = [name for name, _, _ in called if name != "cutout"]
    assert len(applied) / (2048 * POOLS[pool].ops) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("pool, half", [("fixmatch", (8, 8)), ("usb", (0, 8))])
def test_every_image_ends_with_a_cutout(pool, half, called):
    transform(pool=pool)(digits(1).repeat(512, 0), keys(512))
    last = called[-512:]
    assert {name for name, _, _ in last} == {"cutout"}
    values = [value for _, value, _ in last]
    assert min(values) == pytest.approx(half[0], abs=0.1) and max(values) == pytest.approx(half[1], abs=0.1)
    places = np.array([(canvas.x, canvas.y) for _, _, canvas in last])
    assert abs(places.mean(0) - 0.5).max() < 0.05 and places.min() < 0.02 and places.max() > 0.98
    assert last[0][2].fill == ((127,) if pool == "fixmatch" else (121,))


def test_probability_zero_changes_nothing():
    images = digits()
    assert np.array_equal(transform(probability=0.0, **SMALL)(images, keys(64)), images)


# What a transform promises --------------------------------------------------------------------------------------------

ALL = pytest.mark.parametrize("settings", [
    SMALL | {"magnitude": 9}, SMALL | {"magnitude": 27, "interpolation": "random"}, {"pool": "fixmatch"}, {"pool": "usb"},
    {"pool": "timm"},
])  # fmt: skip


@ALL
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_depends_on_its_key_alone(settings, channels):
    images, made = digits(64, channels), transform(channels, **settings)
    whole = made(images, keys(64))
    assert whole.shape == images.shape and whole.dtype == np.uint8
    order = np.random.default_rng(0).permutation(64)
    assert np.array_equal(made(images[order], keys(64)[order]), whole[order])
    assert np.array_equal(made(images[5:6], keys(64)[5:6]), whole[5:6])


@ALL
def test_the_input_is_left_alone_and_most_rows_change(settings):
    images = digits(256)
    before = images.copy()
    made = transform(**settings)(images, keys(256))
    assert np.array_equal(images, before)
    assert (made != images).any(axis=(1, 2, 3)).mean() > 0.6


def test_twins_with_different_keys_differ():
    made = transform(magnitude=9, **SMALL)(digits(1).repeat(64, 0), keys(64))
    assert len({row.tobytes() for row in made}) > 45
    same = transform(magnitude=9, **SMALL)(digits(1).repeat(8, 0), keys(1).repeat(8))
    assert len({row.tobytes() for row in same}) == 1


@pytest.mark.parametrize("magnitude", [1, 9, 15, 27])
@pytest.mark.parametrize("channels", [1, 3])
def test_no_view_is_left_blank(magnitude, channels):
    images, made = digits(256, channels), transform(channels, magnitude=magnitude, **SMALL)
    for base in range(4):
        flat = made(images, keys(256, base)).reshape(256, -1, channels)
        assert (flat != flat[:, :1]).any(axis=(1, 2)).all()


@pytest.mark.parametrize("pool", ["fixmatch", "usb", "timm"])
def test_no_view_of_the_other_pools_is_left_blank(pool):
    flat = transform(pool=pool)(digits(1000), keys(1000)).reshape(1000, -1)
    assert (flat != flat[:, :1]).any(1).all()


def test_without_the_guard_views_would_be_blank(monkeypatch):
    monkeypatch.setattr(randaugment, "undo_blank", lambda before, after: after)
    made = transform(magnitude=27, **SMALL)
    flat = np.concatenate([made(digits(256), keys(256, base)).reshape(256, -1) for base in range(4)])
    assert (flat == flat[:, :1]).all(1).any()


def test_draws_of_rounds_are_apart():
    columns = uniform(keys(2000), 2 * randaugment.PER_OP + 3)
    assert abs(np.corrcoef(columns.T) - np.eye(columns.shape[1])).max() < 0.1


# Settings that make no sense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, message", [
    ({}, r"`translate_max = 100` at level 1 reaches 100 pixels, and view `strong` has 32"),
    ({"translate_max": 5.0}, r"`cutout_max = 40`"),
    ({"magnitude": 27, "translate_max": 12.0, "cutout_max": 1.0}, "take less than 11.85"),
    ({"pool": "usb", "magnitude": 5}, "takes no `magnitude`"),
    ({"pool": "timm", "cutout_max": 8.0}, "has no cutout"),
    ({"pool": "fixmatch", "fill": [1, 2]}, "2 values, images have 1 channels"),
])  # fmt: skip
def test_settings_are_refused(settings, message):
    with pytest.raises(SslkitError, match=message):
        transform(**settings)
