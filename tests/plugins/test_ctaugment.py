"""CTAugment: bins by their rates, rates by how near predictions come, draws and state that resume exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PIL
from PIL import ImageEnhance, ImageFilter, ImageOps

from sslkit import Batch, Progress, Step, View, ViewSpec
from sslkit.errors import RecipeError
from sslkit.testing import check_plugin
from sslkit_plugins.noise.ctaugment import (
    ACTIONS,
    BINS,
    COUNTS,
    CTAugment,
    Policy,
    bin_probabilities,
    distorted,
    draw_policy,
    moved_rates,
    proximity,
    to_bytes,
)
from sslkit_plugins.noise.image_ops import Canvas

PROGRESS = Progress(seed=1, step=3, steps=10, plugin="ctaugment")
NAMES = list(ACTIONS)


def number(name):
    return NAMES.index(name)


def pixels(rows=5, size=16, channels=3, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (rows, size // 4, size // 4, channels))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype(np.uint8)


def test_keeps_its_promises():
    check_plugin(CTAugment, probe="labeled", on=("labeled", "strong"))


# Bins -----------------------------------------------------------------------------------------------------------------


def test_bin_probabilities_by_hand():
    rates = np.ones((len(ACTIONS), BINS))
    rates[number("rotate"), 0] = 0.79 * 1.01 - 0.01  # with 0.01 added, 0.79 of the best one's share
    rates[number("rotate"), 1] = 0.81 * 1.01 - 0.01
    rates[number("posterize"), :7] = 0.5
    chances = bin_probabilities(rates, 0.8, 0.99)
    assert chances[number("rotate"), 0] == 0
    assert chances[number("rotate"), 1] == pytest.approx(0.81 / 15.81)
    assert chances[number("posterize")].tolist() == [0.0] * 7 + [1.0] + [0.0] * 9
    assert chances[number("identity")].tolist() == [1.0] + [0.0] * 16
    assert chances[number("blur")] == pytest.approx(1 / 17)


@given(st.integers(0, 999), st.floats(0, 1), st.floats(0, 0.999))
@settings(max_examples=60, deadline=None)
def test_bins_have_probabilities_whatever_the_rates(seed, threshold, decay):
    rates = np.random.default_rng(seed).random((len(ACTIONS), BINS)) * (seed % 2)
    chances = bin_probabilities(rates, threshold, decay)
    assert (chances >= 0).all() and chances.sum(1) == pytest.approx(1)
    assert not chances[np.arange(BINS) >= COUNTS[:, None]].any()
    policy = draw_policy(20, 3, chances, np.random.default_rng(seed))
    assert (chances[policy.op, policy.bin] > 0).all()
    assert (policy.level * COUNTS[policy.op] >= policy.bin).all()
    assert (policy.level * COUNTS[policy.op] < policy.bin + 1).all()


def test_draws_follow_the_chances():
    rates = np.ones((len(ACTIONS), BINS))
    rates[:, 3] = 0.1
    policy = draw_policy(20_000, 1, bin_probabilities(rates, 0.8, 0.99), np.random.default_rng(0))
    assert np.bincount(policy.op[:, 0]) == pytest.approx(np.full(len(ACTIONS), 20_000 / 19), rel=0.15)
    bins = policy.bin[policy.op == number("blur")]
    assert 3 not in bins and set(bins) == set(range(17)) - {3}
    even = draw_policy(20_000, 1, None, np.random.default_rng(0))
    assert set(even.bin[even.op == number("posterize")]) == set(range(8))
    assert set(even.bin[even.op == number("identity")]) == {0}


# Rates ----------------------------------------------------------------------------------------------------------------


def test_proximity_by_hand():
    probs = torch.tensor([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    near = proximity(probs, torch.tensor([0, 0, 0]))
    torch.testing.assert_close(near, torch.tensor([0.5, 0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(near, probs[:, 0])  # half of all that is missing and misplaced: the probability of the truth


def policy_of(*used):
    """A policy of one round: (operation, bin) for each image."""
    op, bins = (np.array(column)[:, None] for column in zip(*used, strict=True))
    return Policy(op, bins, np.zeros(op.shape), np.zeros((*op.shape, 2)))


def test_rates_by_hand():
    rates = torch.ones(len(ACTIONS), BINS)
    rates[2, 5] = 0.8
    moved = moved_rates(rates, policy_of((2, 5), (0, 1), (0, 1)), torch.tensor([0.5, 0.2, 0.4]), 0.9)
    expected = rates.clone()
    expected[2, 5] = 0.9 * 0.8 + 0.1 * 0.5
    expected[0, 1] = 0.9**2 * 1.0 + (1 - 0.9**2) * 0.3
    torch.testing.assert_close(moved, expected)


@given(st.integers(0, 999), st.integers(1, 12), st.floats(0, 0.999))
@settings(max_examples=60, deadline=None)
def test_rates_stay_shares_and_forget_the_order(seed, rows, decay):
    generator = np.random.default_rng(seed)
    rates = torch.from_numpy(generator.random((len(ACTIONS), BINS))).float()
    policy, near = draw_policy(rows, 2, None, generator), torch.from_numpy(generator.random(rows)).float()
    moved = moved_rates(rates, policy, near, decay)
    assert ((moved >= -1e-6) & (moved <= 1 + 1e-6)).all()
    order = generator.permutation(rows)
    again = moved_rates(rates, Policy(*(part[order] for part in policy)), near[torch.from_numpy(order)], decay)
    torch.testing.assert_close(again, moved)
    untouched = torch.ones_like(rates, dtype=torch.bool)
    untouched[torch.from_numpy(policy.op), torch.from_numpy(policy.bin)] = False
    assert torch.equal(moved[untouched], rates[untouched])


# Operations -----------------------------------------------------------------------------------------------------------

FADED = {
    "auto_contrast": ImageOps.autocontrast, "equalize": ImageOps.equalize, "invert": ImageOps.invert,
    "blur": lambda image: image.filter(ImageFilter.BLUR), "smooth": lambda image: image.filter(ImageFilter.SMOOTH),
}  # fmt: skip
ENHANCED = {
    "brightness": ImageEnhance.Brightness, "color": ImageEnhance.Color, "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}  # fmt: skip


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", [*FADED, *ENHANCED, "posterize", "solarize"])
def test_values_are_pils(name, level):
    """The official code's formulas, on PIL."""
    image = pixels(1)[0]
    given = PIL.fromarray(image)
    if name in FADED:
        expected = PIL.blend(given, FADED[name](given), level)
    elif name in ENHANCED:
        expected = ENHANCED[name](given).enhance(0.1 + 1.9 * level)
    elif name == "posterize":
        expected = ImageOps.posterize(given, 1 + int(level * 7.999))
    else:
        expected = ImageOps.solarize(given, int(level * 255.999))
    made = ACTIONS[name].apply(image, level, Canvas((0, 0, 0)))
    assert np.abs(made.astype(int) - np.asarray(expected)).max() <= 1


def test_places():
    image = pixels(1)[0]
    canvas = Canvas((0, 0, 0), x=0.5, y=0.5)
    for name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y", "identity"):
        assert np.array_equal(ACTIONS[name].apply(image, 0.5, canvas), image), name
    assert np.array_equal(ACTIONS["rescale"].apply(image, 0.0, canvas), image)
    # 0.3 of 16 pixels: the fifth column becomes the first.
    assert np.array_equal(ACTIONS["translate_x"].apply(image, 1.0, canvas)[:, 0], image[:, 5])
    middle = PIL.fromarray(image).crop((4, 4, 12, 12)).resize((16, 16), PIL.Resampling.NEAREST)
    assert np.array_equal(ACTIONS["rescale"].apply(image, 1.0, canvas), np.asarray(middle))
    boxed = (ACTIONS["cutout"].apply(image, 0.999, Canvas((9, 9, 9), x=0.5, y=0.5)) == 9).all(-1)
    assert boxed.sum() == 8 * 8


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_depend_on_themselves_alone(channels):
    images, policy = pixels(8, channels=channels), draw_policy(8, 2, None, np.random.default_rng(3))
    before = images.copy()
    made = distorted(images, policy, (127,) * channels)
    assert np.array_equal(images, before) and not np.array_equal(made, images)
    order = np.array([5, 2, 7])
    part = distorted(images[order], Policy(*(column[order] for column in policy)), (127,) * channels)
    assert np.array_equal(part, made[order])


# The plugin -----------------------------------------------------------------------------------------------------------


class Answers:
    """`forward` that answers the same logits whoever is asked; it keeps who was."""

    def __init__(self, logits):
        self.logits, self.asked = logits, []

    def __call__(self, view, model=None):
        self.asked.append((view, model))
        return type("Outputs", (), {"logits": self.logits})()


def begun(**fields):
    plugin = CTAugment(probe="probe", **fields)
    plugin.begin(None)
    return plugin


def spec(name, stream="unlabeled"):
    return ViewSpec(name, stream, 16, 3)


def floats(rows=6):
    return torch.from_numpy(pixels(rows)).permute(0, 3, 1, 2).float() / 255


def scoped(progress, view):
    """As the engine hands it to `perturb_batch`."""
    return replace(progress, scope=f"/labeled/{view}")


def stepped(plugin, logits, progress=PROGRESS, average=True, truth=None):
    """One step of a plugin: the probe is distorted, the rates move."""
    images = plugin.perturb_batch(floats(), spec("probe", "labeled"), scoped(progress, "probe"))
    index = torch.arange(6)
    batch = Batch("labeled", index, index, {"probe": View("probe", images)}, truth=index % 3, classes=3)
    forward = Answers(logits)
    plugin.after_step(
        Step(batch, None, progress), forward, ("probe",), torch.nn.Identity() if average else None, progress
    )
    return forward.asked


def test_bytes_go_through_unchanged():
    assert np.array_equal(to_bytes(floats()), pixels(6))


def test_the_rates_of_what_the_probe_went_through_move():
    plugin = begun()
    wrong = torch.nn.functional.one_hot((torch.arange(6) + 1) % 3, 3) * 50.0
    assert stepped(plugin, wrong) == [("probe", "average")]
    policy = plugin._probe_policy(6, PROGRESS)
    assert torch.equal(plugin.rates_ < 1, touched(policy))
    again = begun()
    assert stepped(again, torch.nn.functional.one_hot(torch.arange(6) % 3, 3) * 50.0, average=False) == [
        ("probe", "student")
    ]
    assert torch.allclose(again.rates_, torch.ones_like(again.rates_))


def touched(policy):
    cells = torch.zeros(len(ACTIONS), BINS, dtype=torch.bool)
    cells[torch.from_numpy(policy.op), torch.from_numpy(policy.bin)] = True
    return cells


def test_the_probe_gets_what_after_step_thinks_it_got():
    plugin = begun(cutout=4)
    made = plugin.perturb_batch(floats(), spec("probe", "labeled"), scoped(PROGRESS, "probe"))
    expected = distorted(pixels(6), plugin._probe_policy(6, PROGRESS), (127,) * 3)  # and no box
    assert np.array_equal(to_bytes(made), expected)


def test_learned_bins_are_what_other_views_get():
    plugin = begun(ops=1)
    plugin.rates_[:] = 0.1
    plugin.rates_[:, 0] = 1.0
    drawn = []
    for step in range(40):
        progress = replace(PROGRESS, step=step)
        policy = draw_policy(6, 1, bin_probabilities(plugin.rates_.double().numpy(), 0.8, 0.99), progress.numpy())
        made = plugin.perturb_batch(floats(), spec("strong"), progress)
        assert np.array_equal(to_bytes(made), distorted(pixels(6), policy, (127,) * 3))
        drawn.append(policy.bin)
    assert not np.concatenate(drawn).any()


def test_a_box_ends_the_others():
    plugin, plain = begun(cutout=8), begun()
    made, bare = (p.perturb_batch(floats(), spec("strong"), PROGRESS) for p in (plugin, plain))
    boxed = (to_bytes(made) == 127).all(-1) & (to_bytes(bare) != 127).any(-1)
    assert (boxed.sum((1, 2)) > 0).all() and (boxed.sum((1, 2)) <= 64).all()
    outside = ~boxed
    assert np.array_equal(to_bytes(made)[outside], to_bytes(bare)[outside])


def test_resumes_to_the_same_bits():
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(6, 3, generator=generator) for _ in range(6)]
    whole, first, second = begun(), begun(), begun()
    for step in range(6):
        progress = replace(PROGRESS, step=step)
        stepped(whole, logits[step], progress)
        stepped(first if step < 3 else second, logits[step], progress)
        if step == 2:
            second.load_state_dict(first.state_dict())
    assert torch.equal(whole.rates_, second.rates_) and whole.rates_.min() < 1
    one, other = (p.perturb_batch(floats(), spec("strong"), PROGRESS) for p in (whole, second))
    assert torch.equal(one, other)


def test_a_probe_that_nobody_makes_or_distorts_is_refused():
    plugin, index = begun(), torch.arange(6)
    views = {"labeled": View("labeled", floats())}
    batch = Batch("labeled", index, index, views, truth=index % 3, classes=3)
    with pytest.raises(RecipeError, match='`probe = "probe"` is no view of the labeled stream that is made'):
        plugin.after_step(Step(batch, None, PROGRESS), Answers(torch.zeros(6, 3)), ("labeled",), None, PROGRESS)
    batch = replace(batch, views={"probe": View("probe", floats())})
    with pytest.raises(RecipeError, match="this noise is on"):
        plugin.after_step(Step(batch, None, PROGRESS), Answers(torch.zeros(6, 3)), ("labeled",), None, PROGRESS)
