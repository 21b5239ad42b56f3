"""Flips in sequences of frames: the sequences by hand, and the flip rate relative to a reference model's."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from natural import Bytes, Foreseen, data_of, photographs

from sslkit import Data, Progress
from sslkit.errors import DataError
from sslkit_plugins.metric.corrupting.corrupt import floats
from sslkit_plugins.metric.corrupting.drawing import image_keys
from sslkit_plugins.metric.corrupting.resampling import trailed
from sslkit_plugins.metric.corrupting.scores import flips
from sslkit_plugins.metric.corrupting.sequences import SEQUENCES, frames_of, sequence
from sslkit_plugins.metric.perturbations import Perturbations

END = Progress(3, generation=2, step=9, steps=9, plugin="perturbations")
KEYS = image_keys(11, np.arange(40))
STILL = {
    "gaussian_noise": 0,
    "shot_noise": 0,
    "zoom_blur": 0,
    "brightness": 15,
    "translate": 7,
    "rotate": 15,
    "tilt": 15,
    "scale": 15,
}
"Frames of 32 pixels that show the image as it is."


def frames(name: str, images: Bytes, most: int = 0) -> list[Bytes]:
    return list(sequence(name, images, KEYS[: len(images)], most))


# Sequences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SEQUENCES))
def test_frames_are_images_drawn_by_their_own_keys(name: str) -> None:
    for side, channels in ((8, 1), (24, 1), (32, 3)):
        images = photographs(5, side, channels)
        made = frames(name, images)
        assert len(made) == frames_of(name, side)
        assert all(frame.shape == images.shape and frame.dtype == np.uint8 for frame in made)
        alone = list(sequence(name, images[3:4], KEYS[3:4]))
        assert all((one == frame[3:4]).all() for one, frame in zip(alone, made, strict=True))
    if name in STILL:
        assert np.abs(made[STILL[name]].astype(int) - images).max() <= 1


@pytest.mark.parametrize("name", list(SEQUENCES))
def test_neighbouring_frames_differ_a_little(name: str) -> None:
    made = frames(name, photographs(10, 32))
    pairs = [(made[0], frame) for frame in made[1:]] if SEQUENCES[name].from_first else list(pairwise(made))
    steps = [np.abs(one.astype(float) - two).mean() for one, two in pairs]
    assert min(steps) > 0
    assert max(steps) < 20
    if not SEQUENCES[name].from_first:
        assert max(steps) < np.abs(made[0].astype(float) - made[-1]).mean()


def test_sequences_are_as_long_as_published() -> None:
    published = {"motion_blur": (21, 31), "translate": (16, 41)}
    for name in SEQUENCES:
        assert (frames_of(name, 32), frames_of(name, 224)) == published.get(name, (31, 31))
        assert frames_of(name, 24, 5) == 5
        assert frames_of(name, 32, 99) == frames_of(name, 32)


def test_fewer_frames_are_the_middle_ones_or_the_first_ones() -> None:
    images = photographs(2, 32)
    for name in ("translate", "rotate", "snow", "gaussian_noise"):
        whole, some = frames(name, images), frames(name, images, 4)
        begin = (len(whole) - 4) // 2 if SEQUENCES[name].middle else 0
        assert all((one == two).all() for one, two in zip(whole[begin : begin + 4], some, strict=True))


def test_steps_have_their_published_size() -> None:
    images = photographs(2, 32)
    moved = frames("translate", images)
    assert (moved[10][:, :, 3:] == images[:, :, :-3]).all()
    assert (moved[10][:, :, :3] == 0).all()
    assert (moved[0][:, :, :25] == images[:, :, 7:]).all()
    gray = np.full((1, 32, 32, 1), 100, np.uint8)
    assert [frame[0, 0, 0, 0] for frame in frames("brightness", gray)][::15] == [42, 100, 157]  # 100 -+ 15 * 3.825
    turned = frames("rotate", images)
    assert not (turned[0] == turned[30]).all()
    point = np.zeros((1, 33, 33, 1), np.uint8)
    point[0, 16, 30] = 255
    lit = np.argwhere(frames("rotate", point)[30][0, :, :, 0])  # 15 degrees, 14 pixels from the middle
    assert np.abs(lit.mean(0) - [16 + 14 * np.sin(np.pi / 12), 16 + 14 * np.cos(np.pi / 12)]).max() < 0.6
    assert np.argwhere(frames("scale", point)[0][0, :, :, 0])[:, 1].mean() == pytest.approx(16 + 14 * 0.7, abs=0.6)
    noisy = frames("gaussian_noise", np.full((4, 32, 32, 3), 128, np.uint8))
    assert noisy[5].std() == pytest.approx(0.02 * 255, abs=0.3)
    assert not (noisy[5] == noisy[6]).all()
    blurs = frames("motion_blur", images)
    assert (
        blurs[20] == np.floor(trailed(floats(images), 6, 1.8, np.zeros(2)) * 255 + 1e-3)
    ).all()  # horizontal at last


def test_a_tilt_is_a_turn_about_both_axes_seen_from_one_diagonal_away() -> None:
    side, angle = 33, np.deg2rad(15 * 0.75)
    point = np.zeros((1, side, side, 1), np.uint8)
    point[0, 8, 26] = 255
    x, y, z = 26 - side / 2, 8 - side / 2, 0.0
    x, z = np.cos(angle) * x - np.sin(angle) * z, np.sin(angle) * x + np.cos(angle) * z
    y, z = np.cos(angle) * y - np.sin(angle) * z, np.sin(angle) * y + np.cos(angle) * z
    far = np.sqrt(2) * side
    expected = [far * y / (z + far) + side / 2, far * x / (z + far) + side / 2]
    lit = np.argwhere(frames("tilt", point)[30][0, :, :, 0])
    assert np.abs(lit.mean(0) - expected).max() < 0.6


def test_a_zoom_blur_is_the_mean_of_all_its_zooms() -> None:
    slope = np.broadcast_to((60 + 4 * np.arange(32)).astype(np.uint8)[None, None, :, None], (1, 32, 32, 1))
    zooms = 1 + 0.004 * np.arange(31)
    expected = 60 + 4 * (15.5 + ((np.arange(32) - 15.5)[:, None] / zooms).mean(1))
    assert np.abs(frames("zoom_blur", slope)[30][0, 8, :, 0] - expected).max() <= 1.01


# Flips -------------------------------------------------------------------------------------------------------------


def test_flips_are_counted_from_frame_to_frame_or_from_the_first() -> None:
    answers = torch.tensor([[0, 0, 1, 1, 0], [2, 1, 1, 1, 1]])
    assert flips(answers, from_first=False) == 2 + 1
    assert flips(answers, from_first=True) == 2 + 4
    assert flips(answers[:, :1], from_first=False) == 0


LENGTHS = {name: frames_of(name, 8) for name in SEQUENCES}
DATA = data_of(photographs(4, 8, 1), [0, 1, 2, 0])


def scripted(answers: dict[str, list[list[int]]]) -> Foreseen:
    """A model that names classes by perturbation, image and frame."""
    columns = iter([[rows[i][t] for i in range(4)] for rows in answers.values() for t in range(len(rows[0]))])
    return Foreseen(lambda images: np.array(next(columns)), 3)


def script(flipping: Callable[[int, int], int]) -> dict[str, list[list[int]]]:
    """The second image's class changes with the frame as `flipping` (perturbation, frame) says; the others stay."""
    return {
        name: [[0] * length, [flipping(number, t) for t in range(length)], [1] * length, [2] * length]
        for number, (name, length) in enumerate(LENGTHS.items())
    }


def by_hand(answers: dict[str, list[list[int]]]) -> dict[str, float]:
    """The probabilities of a flip, as the paper sums them up."""
    found = {}
    for name, rows in answers.items():
        noise, total = name in ("gaussian_noise", "shot_noise"), 0.0
        for row in rows:
            total += sum(row[t] != (row[0] if noise else row[t - 1]) for t in range(1, len(row))) / (len(row) - 1)
        found[name] = total / len(rows)
    return found


def measured(model: Foreseen, data: Data = DATA, baseline: Foreseen | None = None, **settings: Any) -> dict[str, Any]:
    return Perturbations(**settings).measure(model, data, baseline, END)


def test_mean_flip_rate_by_hand() -> None:
    mine, theirs = script(lambda number, t: t // (number + 2) % 2), script(lambda number, t: t % 3)
    found = measured(scripted(mine), baseline=scripted(theirs))
    own, other = by_hand(mine), by_hand(theirs)
    assert own["translate"] == pytest.approx(1 / 4 / 15)  # one flip of one image in four, at frame 8 of 16
    assert other["translate"] == pytest.approx(1 / 4)
    assert found["test_flip_probability"] == pytest.approx(np.mean(list(own.values())))
    assert found["test_mfr"] == pytest.approx(np.mean([own[name] / other[name] for name in own]))
    assert found["test_perturbations"] == {
        name: {"flips": pytest.approx(own[name]), "rate": pytest.approx(own[name] / other[name])} for name in SEQUENCES
    }


def by_looking(images: Bytes) -> np.ndarray:
    return (images.astype(int).sum((1, 2, 3)) // 40) % 3


def test_the_pieces_of_a_split_change_nothing() -> None:
    whole = measured(Foreseen(by_looking, 3), frames=6)
    assert 0 < whole["test_flip_probability"] < 1
    assert measured(Foreseen(by_looking, 3, rows=3), frames=6) == whole
    again = Perturbations(frames=6).measure(Foreseen(by_looking, 3), DATA, None, replace(END, generation=0))
    assert again == whole


def test_some_perturbations_frames_and_images_are_enough() -> None:
    seen: list[int] = []

    def named(images: Bytes) -> np.ndarray:
        seen.append(len(images))
        return by_looking(images)

    found = measured(Foreseen(named, 3), perturbations=["tilt", "snow"], frames=3, images=2)
    assert seen == [2] * 6
    assert list(found["test_perturbations"]) == ["tilt", "snow"]
    assert "test_mfr" not in found
    assert "test_perturbations_note" not in found


def test_images_of_unknown_class_flip_too() -> None:
    data = data_of(photographs(4, 8, 1), [-1] * 4)
    assert measured(Foreseen(by_looking, 3), data, frames=4) == measured(Foreseen(by_looking, 3), frames=4)


def test_without_a_reference_there_is_no_mean_flip_rate_and_a_sentence_says_why() -> None:
    found = measured(Foreseen(by_looking, 3), frames=3)
    assert "test_mfr" not in found
    assert "mean flip rate (mFR) is left out" in found["test_perturbations_note"]
    steady = Foreseen(lambda images: np.zeros(len(images), np.int64), 3)
    found = measured(Foreseen(by_looking, 3), baseline=steady, frames=3)
    assert {row["rate"] for row in found["test_perturbations"].values()} == {None}
    assert "the reference's figure for gaussian_noise, shot_noise" in found["test_perturbations_note"]


def test_a_table_can_be_the_reference_and_a_baseline_is_measured_once() -> None:
    found = measured(Foreseen(by_looking, 3), reference=dict.fromkeys(SEQUENCES, 0.5))
    assert found["test_mfr"] == pytest.approx(2 * found["test_flip_probability"])
    metric, baseline = Perturbations(frames=3), Foreseen(by_looking, 3)
    for generation in (1, 2):
        metric.measure(Foreseen(by_looking, 3), DATA, baseline, replace(END, generation=generation))
        assert baseline.asked == 30


def test_a_name_of_its_own_tells_two_metrics_apart() -> None:
    named = replace(END, plugin="short")
    model, baseline = Foreseen(by_looking, 3), Foreseen(by_looking, 3, rows=3)
    found = Perturbations().measure(model, DATA, baseline, named)
    assert set(found) == {"test_short_flip_probability", "test_short_mfr", "test_short"}
    assert found["test_short_mfr"] == 1  # of a baseline that answers alike, in pieces of its own
    without = Perturbations(frames=3).measure(model, DATA, None, named)
    assert set(without) == {"test_short_flip_probability", "test_short", "test_short_note"}


def test_models_of_other_sizes_are_shown_frames_of_their_own() -> None:
    sides: set[int] = set()

    def named(images: Bytes) -> np.ndarray:
        sides.add(images.shape[1])
        return by_looking(images)

    found = measured(Foreseen(by_looking, 3), baseline=Foreseen(named, 3, rows=3, side=96), perturbations=["translate"])
    assert sides == {96}
    alone = measured(Foreseen(by_looking, 3, side=96), perturbations=["translate"])
    flipped = found["test_perturbations"]["translate"]
    assert flipped["rate"] == pytest.approx(flipped["flips"] / alone["test_flip_probability"])


def test_nothing_is_measured_before_the_end_or_without_test_images() -> None:
    model = Foreseen(by_looking, 3)
    assert Perturbations().measure(model, DATA, None, replace(END, step=8)) == {}
    assert measured(model, replace(DATA, test=None)) == {}
    with pytest.raises(DataError, match=r"\[\[metric\]\] perturbations: the images have 2 channels"):
        measured(model, replace(DATA, channels=2))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frames": 1}, "nothing flips within one frame"),
        ({"perturbations": ["tilt", "tilt"]}, "`perturbations` says one twice"),
        (
            {"frames": 5, "reference": dict.fromkeys(SEQUENCES, 0.5)},
            "sequences as long as published.*Leave `frames` out",
        ),
        ({"reference": {"shear": 0.5}}, "`reference` names shear; perturbations are gaussian_noise"),
    ],
)
def test_settings_that_nothing_would_come_of_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Perturbations(**settings)
