"""Errors on corrupted images, relative to a reference model's: by hand, and whatever the pieces."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from natural import Bytes, Foreseen, data_of, photographs
from torch import Tensor

from sslkit import Data, Images, Progress
from sslkit.errors import DataError
from sslkit_plugins.metric.corrupting import watching
from sslkit_plugins.metric.corrupting.constants import ALEXNET, SEVERITIES
from sslkit_plugins.metric.corrupting.corrupt import OPERATIONS, corrupted
from sslkit_plugins.metric.corrupting.drawing import image_keys
from sslkit_plugins.metric.corrupting.scores import mean_of, relative, why_absent
from sslkit_plugins.metric.corruptions import Corruptions

END = Progress(3, generation=2, step=9, steps=9, plugin="corruptions")
CELLS = list(product(OPERATIONS, SEVERITIES))
TRUTH = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
DATA = data_of(photographs(10, 8, 1), TRUTH)


def scripted(wrong: dict[tuple[str, int], int]) -> Foreseen:
    """A model that errs on so many of the ten images, in the order in which they are asked for."""
    counts = iter(wrong.values())

    def named(images: Bytes) -> np.ndarray:
        classes, errors = np.array(TRUTH), next(counts)
        classes[:errors] = (classes[:errors] + 1) % 3
        return classes

    return Foreseen(named, 3)


def by_brightness(images: Bytes) -> np.ndarray:
    """A model that looks: dark, medium or light."""
    return np.digitize(images.mean((1, 2, 3)), [90, 120])


def measured(model: Foreseen, data: Data = DATA, baseline: Foreseen | None = None, **settings: Any) -> dict[str, Any]:
    return Corruptions(**settings).measure(model, data, baseline, END)


def test_mean_corruption_error_by_hand() -> None:
    mine = {cell: 1 + (i % 4) for i, cell in enumerate(CELLS)}
    theirs = {cell: 2 + (i % 7) for i, cell in enumerate(CELLS)}
    found = measured(scripted(mine), baseline=scripted(theirs))
    ratios = {
        name: sum(mine[name, s] for s in SEVERITIES) / sum(theirs[name, s] for s in SEVERITIES) for name in OPERATIONS
    }
    drawn = ratios.pop("frost")
    assert found["test_mce_without_frost"] == pytest.approx(sum(ratios.values()) / 14)
    published = [errors for (name, _), errors in mine.items() if name != "frost"]  # drawn frost is of no mean
    assert found["test_corruption_error"] == pytest.approx(np.mean(published) / 10)
    assert np.mean(published) != np.mean(list(mine.values()))
    table = found["test_corruptions"]
    assert list(table) == [name if name != "frost" else "frost (drawn)" for name in OPERATIONS]
    assert table["fog"] == {
        **{str(s): mine["fog", s] / 10 for s in SEVERITIES},
        "mean": pytest.approx(sum(mine["fog", s] for s in SEVERITIES) / 50),
        "ce": pytest.approx(ratios["fog"]),
    }
    assert table["frost (drawn)"]["ce"] == pytest.approx(drawn)
    assert "test_mce" not in found


def test_errors_are_those_of_a_loop_over_images() -> None:
    found = measured(Foreseen(by_brightness, 3), corruptions=["snow", "fog", "gaussian_noise"], severities=[2, 5])
    images = photographs(10, 8, 1)
    for name, severity in product(("snow", "fog", "gaussian_noise"), (2, 5)):
        keys = image_keys(replace(END, generation=0, step=0).key(name), np.arange(10))
        named = [by_brightness(corrupted(name, severity, images[i : i + 1], keys[i : i + 1]))[0] for i in range(10)]
        wrong = np.mean(np.array(named) != TRUTH)
        assert found["test_corruptions"][name][str(severity)] == pytest.approx(wrong)
    assert "test_mce_without_frost" not in found  # of three corruptions it would be something else


def test_the_pieces_of_a_split_change_nothing() -> None:
    whole = measured(Foreseen(by_brightness, 3))
    assert measured(Foreseen(by_brightness, 3, rows=3)) == whole
    again = Corruptions().measure(Foreseen(by_brightness, 3), DATA, None, replace(END, generation=0, step=5, steps=5))
    assert again == whole  # every generation is shown the same images
    other = Corruptions().measure(Foreseen(by_brightness, 3), DATA, None, replace(END, seed=4))
    assert other != whole


def test_some_images_stand_for_all_at_equal_distances() -> None:
    truth = [0, 1, -1, 0, 1, 2, -1, 1, 2, 0]
    data = data_of(photographs(10, 8, 1), truth)
    seen: list[int] = []

    def named(images: Bytes) -> np.ndarray:
        seen.append(len(images))
        return np.zeros(len(images), np.int64)

    found = measured(Foreseen(named, 3), data, corruptions=["contrast"], severities=[1], images=4)
    assert seen == [4]  # of rows 0, 3, 5, 8 of class 0, 0, 2, 2
    assert found["test_corruption_error"] == 0.5
    assert measured(Foreseen(named, 3), data, corruptions=["contrast"], images=99)["test_corruption_error"] == 5 / 8


def test_drawn_frost_alone_has_no_mean_and_it_is_said() -> None:
    found = measured(Foreseen(by_brightness, 3), corruptions=["frost"])
    assert set(found) == {"test_corruptions", "test_corruptions_note"}
    assert "frost (drawn)" in found["test_corruptions_note"]
    both = measured(Foreseen(by_brightness, 3), corruptions=["frost", "fog"])
    assert both["test_corruption_error"] == both["test_corruptions"]["fog"]["mean"]


def test_a_name_of_its_own_tells_two_metrics_apart() -> None:
    wrong = {cell: 1 + i % 4 for i, cell in enumerate(CELLS)}
    plain = measured(scripted(wrong), reference=dict.fromkeys(OPERATIONS, 0.5))
    named = Corruptions(reference=dict.fromkeys(OPERATIONS, 0.5)).measure(
        scripted(wrong), DATA, None, replace(END, plugin="drawn")
    )
    assert set(plain) == {"test_corruption_error", "test_mce_without_frost", "test_corruptions"}
    assert set(named) == {"test_drawn_error", "test_drawn_mce_without_frost", "test_drawn"}
    assert list(named.values()) == list(plain.values())
    without = Corruptions().measure(scripted(wrong), DATA, None, replace(END, plugin="drawn"))
    assert set(without) == {"test_drawn_error", "test_drawn", "test_drawn_note"}


def test_without_a_reference_there_is_no_mean_corruption_error_and_a_sentence_says_why() -> None:
    found = measured(Foreseen(by_brightness, 3))
    assert "test_mce_without_frost" not in found
    assert "mCE) is left out" in found["test_corruptions_note"]
    assert "baseline = true" in found["test_corruptions_note"]
    assert {row["ce"] for row in found["test_corruptions"].values()} == {None}


def test_a_reference_without_errors_measures_nothing() -> None:
    theirs = {cell: 0 if cell[0] == "fog" else 1 for cell in CELLS}
    found = measured(scripted(dict.fromkeys(CELLS, 1)), baseline=scripted(theirs))
    assert found["test_corruptions"]["fog"]["ce"] is None
    assert found["test_corruptions"]["snow"]["ce"] == pytest.approx(1)
    assert "the reference's figure for fog is 0" in found["test_corruptions_note"]
    assert "test_mce_without_frost" not in found


def test_a_table_of_errors_can_be_the_reference() -> None:
    table = dict.fromkeys(OPERATIONS, 0.5)
    baseline = Foreseen(by_brightness, 3)
    found = measured(scripted(dict.fromkeys(CELLS, 2)), baseline=baseline, reference=table)
    assert found["test_mce_without_frost"] == pytest.approx(0.4)
    assert found["test_corruptions"]["frost (drawn)"]["ce"] is None  # its figure is of photographs
    assert baseline.asked == 0
    found = measured(scripted(dict.fromkeys(CELLS, 2)), reference={"fog": 0.5})
    assert "test_mce_without_frost" not in found
    assert found["test_corruptions"]["fog"]["ce"] == pytest.approx(0.4)


def test_alexnets_errors_are_of_imagenets_classes() -> None:
    with pytest.raises(
        DataError, match=r'corruptions: reference = "alexnet" has errors on the 1,000 classes .* the model has 3'
    ):
        measured(Foreseen(by_brightness, 3), reference="alexnet")
    data = replace(DATA, classes=tuple(f"class {i}" for i in range(1000)))
    found = measured(scripted(dict.fromkeys(CELLS, 5)), data, reference="alexnet")
    expected = np.mean([0.5 / error for name, error in ALEXNET.items() if name != "frost"])
    assert found["test_mce_without_frost"] == pytest.approx(expected)
    by_severity = [0.69528, 0.82542, 0.93554, 0.98138, 0.99452]  # as published for this one
    assert ALEXNET["gaussian_noise"] == pytest.approx(np.mean(by_severity))


def test_a_baseline_is_measured_once_in_a_run() -> None:
    metric, baseline = Corruptions(), Foreseen(by_brightness, 3)
    first = metric.measure(Foreseen(by_brightness, 3), DATA, baseline, END)
    assert baseline.asked == 75
    assert first["test_mce_without_frost"] == 1
    assert metric.measure(Foreseen(by_brightness, 3), DATA, baseline, replace(END, generation=3)) == first
    assert baseline.asked == 75
    another = Foreseen(lambda images: np.zeros(len(images), np.int64), 3)
    assert metric.measure(Foreseen(by_brightness, 3), DATA, another, END)["test_mce_without_frost"] != 1


def test_a_baseline_that_sees_another_size_is_shown_images_of_it() -> None:
    shapes: set[tuple[int, ...]] = set()

    def named(images: Bytes) -> np.ndarray:
        shapes.add(images.shape[1:3])
        return by_brightness(images)

    baseline = Foreseen(named, 3, rows=4, side=12)
    found = measured(Foreseen(by_brightness, 3), baseline=baseline)
    assert shapes == {(12, 12)}
    assert baseline.asked == 3 * 75
    alone = measured(Foreseen(by_brightness, 3, side=12))
    assert found["test_corruptions"]["snow"]["ce"] == pytest.approx(
        found["test_corruptions"]["snow"]["mean"] / alone["test_corruptions"]["snow"]["mean"]
    )


def test_models_are_compared_by_all_images_not_by_the_first() -> None:
    """A black image looks the same in any size and fit: the one behind it does not."""
    pixels = photographs(10, 8, 1).copy()
    pixels[0] = 0

    class Upside(Foreseen):
        def batches(self, images: Images, positions: Any = None) -> Iterator[tuple[Tensor, Tensor]]:
            return ((position, made.flip(1)) for position, made in super().batches(images, positions))

    def by_top(images: Bytes) -> np.ndarray:
        return images[:, :4].astype(int).sum((1, 2, 3)) // 7 % 3

    data = data_of(pixels, TRUTH)
    found = measured(Foreseen(by_top, 3), data, Upside(by_top, 3), corruptions=["contrast"])
    alone = measured(Upside(by_top, 3), data, corruptions=["contrast"])
    own = found["test_corruptions"]["contrast"]
    assert own["mean"] != alone["test_corruption_error"]
    assert own["ce"] == pytest.approx(own["mean"] / alone["test_corruption_error"])


@pytest.mark.parametrize("rows", [2, 3, 10, 100])
def test_a_reference_whose_pieces_are_others_is_measured_whole(rows: int) -> None:
    found = measured(Foreseen(by_brightness, 3, rows=4), baseline=Foreseen(by_brightness, 3, rows=rows))
    assert {row["ce"] for row in found["test_corruptions"].values()} == {1.0}


def test_large_pieces_are_changed_in_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def named(images: Bytes) -> np.ndarray:
        seen.append(len(images))
        return by_brightness(images)

    whole = measured(Foreseen(by_brightness, 3), corruptions=["snow", "fog"])
    monkeypatch.setattr(watching, "PIXELS", 4 * 8 * 8 + 1)
    baseline = Foreseen(named, 3)
    found = measured(Foreseen(named, 3), baseline=baseline, corruptions=["snow", "fog"])
    assert sorted(set(seen)) == [2, 4]
    assert baseline.asked == 3 * 10
    assert found["test_corruption_error"] == whole["test_corruption_error"]
    assert found["test_corruptions"]["snow"] == {**whole["test_corruptions"]["snow"], "ce": 1.0}


def test_nothing_is_measured_before_the_end_or_where_no_class_is_known() -> None:
    model = Foreseen(by_brightness, 3)
    assert Corruptions().measure(model, DATA, None, replace(END, step=8)) == {}
    assert measured(model, replace(DATA, test=None)) == {}
    assert measured(model, data_of(photographs(10, 8, 1), [-1] * 10)) == {}
    assert model.asked == 0


def test_what_cannot_be_measured_is_refused_at_the_first_evaluation(tmp_path: Path) -> None:
    first = replace(END, step=1)
    for settings, data in (
        ({"folder": tmp_path / "nowhere"}, DATA),
        ({"reference": "alexnet"}, DATA),
        ({}, replace(DATA, channels=4)),
    ):
        with pytest.raises(DataError):
            Corruptions(**settings).measure(Foreseen(by_brightness, 3), data, None, first)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"severities": [1, 1]}, "`severities` says one twice"),
        ({"corruptions": ["fog", "fog"]}, "`corruptions` says one twice"),
        ({"severities": [1], "reference": "alexnet"}, "`reference` has mean errors over all five severities"),
        ({"reference": {"rain": 0.5}}, "`reference` names rain; corruptions are gaussian_noise"),
        ({"reference": {"fog": 0.5, "snow": 82.0}}, "`reference` says snow = 82; its figures are shares"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Corruptions(**settings)


def test_ratios_and_means_where_something_is_missing() -> None:
    assert relative([0.2, 0.4], [0.4, 0.8]) == pytest.approx(0.5)
    assert relative([0.2], [0.0]) is None
    assert relative([0.2], []) is None
    assert mean_of([0.5, 1.0]) == 0.75
    assert mean_of([0.5, None]) is None
    assert mean_of([]) is None


def test_why_there_is_no_mean_is_said_as_it_is() -> None:
    assert "gives no figure for fog" in why_absent("mCE", True, ["fog"], given=True)
    assert why_absent("mCE", True, ["fog"], given=False).endswith("the reference's figure for fog is 0")
    assert "--baseline OTHER" in why_absent("mCE", False, [], given=False)
