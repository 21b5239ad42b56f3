"""Logs are read for figures whatever state they are in, and thinned out without losing what stands out."""

import json
import math
import os

import pytest

from sslkit.reporting.reading import downsampled, kept_metrics, read_events


def line(kind, generation=0, step=0, **values):
    return json.dumps({"kind": kind, "generation": generation, "step": step, **values, "time": 1.0}) + "\n"


@pytest.fixture
def log(tmp_path):
    """Writes a run's log, and reads it."""

    def write(*lines):
        (tmp_path / "metrics.jsonl").write_bytes(
            b"".join(one.encode() if isinstance(one, str) else one for one in lines)
        )
        return read_events(tmp_path)

    return write


def test_steps_and_evaluations_are_columns_by_generation(log):
    events = log(
        line("start", steps=[20, 30], classes=3),
        line("step", step=10, losses={"supervised": 2.0}, lr=0.1, kept_share=None, timing={"images_per_second": 9.0}),
        line("step", step=20, losses={"supervised": 1.5}, lr=0.05),
        line("evaluation", step=20, metrics={"test_accuracy": 0.5, "note": "a text", "test_confusion": [[1]]}),
        line("labels", 1, kept_share=0.9),
        line("step", 1, 10, losses={"supervised": 1.0, "consistency": 0.2}, lr=0.1, kept_share=0.9),
    )
    assert events.there and not events.damaged
    assert events.start["classes"] == 3
    assert events.steps[0].step == [10, 20]
    assert events.steps[0].losses == {"supervised": [2.0, 1.5]}
    assert events.steps[0].lr == [0.1, 0.05]
    assert events.steps[0].images_per_second == [9.0, None]
    assert events.steps[1].losses == {"supervised": [1.0], "consistency": [0.2]}
    assert events.steps[1].kept_share == [0.9]
    assert events.evaluations[0].metrics == {"test_accuracy": [0.5]}
    assert [one["kept_share"] for one in events.labels] == [0.9]
    assert events.offsets == {0: 0, 1: 20}


def test_a_loss_that_begins_later_has_no_value_before(log):
    events = log(line("step", step=1, losses={"a": 1.0}), line("step", step=2, losses={"b": 2.0, "a": None}))
    assert events.steps[0].losses == {"a": [1.0, None], "b": [None, 2.0]}


def test_damaged_lines_are_skipped_and_counted(log):
    good = line("step", step=10, losses={"a": 1.0})
    events = log(
        good[:30] + "\n", "not json\n", b"\xff\xfe\n", "[1, 2]\n", '{"kind": "step"}\n', "null\n", "\n",
        '{"kind": "step", "generation": "x", "step": 3}\n', "[" * 100_000 + "\n", good, good[:20],
    )  # fmt: skip
    assert events.damaged == 9
    assert events.steps[0].step == [10]


def test_lines_of_generations_and_steps_that_no_run_has_are_damaged(log):
    events = log(line("step", 10**9, 1), line("step", 0, 10**30), line("step", -1, 1), line("step", 3, 5))
    assert events.damaged == 3
    assert events.offsets == {0: 0, 1: 0, 2: 0, 3: 0}
    assert log(line("start", steps=[10, 10**40]), line("step", 1, 5)).lengths == [0, 5]


def test_values_of_the_wrong_kind_are_missing_values(log):
    events = log(
        '{"kind": "step", "generation": 0, "step": 1, "losses": 3, "lr": "x", "kept_share": true, "timing": []}\n',
        '{"kind": "step", "generation": 0, "step": 2, "losses": {"a": NaN}, "lr": 0.5}\n',
        '{"kind": "evaluation", "generation": 0, "step": 2, "metrics": null}\n',
    )
    assert events.damaged == 0
    assert events.steps[0].lr == [None, 0.5]
    assert events.steps[0].kept_share == [None, None]
    assert events.steps[0].losses == {"a": [None, None]}
    assert events.evaluations[0].step == [2]


def test_a_log_that_goes_back_is_told_by_its_later_lines(log):
    again = [line("step", step=step, losses={"a": value}) for step, value in ((1, 1), (2, 2), (3, 3), (2, 20), (3, 30))]
    events = log(*again, line("evaluation", step=2, metrics={"m": 0.1}), line("evaluation", step=2, metrics={"m": 0.2}))
    assert events.steps[0].step == [1, 2, 3]
    assert events.steps[0].losses["a"] == [1, 20, 30]
    assert events.evaluations[0].metrics == {"m": [0.2]}


def test_a_generations_result_is_its_last_evaluation_once(log):
    result = line("generation", 0, 20, index=0, metrics={"test_accuracy": 0.7})
    assert log(result).evaluations[0].metrics == {"test_accuracy": [0.7]}
    before = line("evaluation", 0, 10, metrics={"test_accuracy": 0.6})
    assert log(before, result).evaluations[0].step == [10, 20]
    same = line("evaluation", 0, 20, metrics={"test_accuracy": 0.7})
    assert log(before, same, result).evaluations[0].step == [10, 20]


def test_without_a_start_generations_are_as_long_as_they_went(log):
    events = log(line("step", 0, 40), line("evaluation", 0, 50, metrics={}), line("step", 2, 10))
    assert events.lengths == [50, 0, 10]
    assert events.offsets == {0: 0, 1: 50, 2: 50}


def test_a_log_that_is_not_there_is_empty(tmp_path):
    events = read_events(tmp_path)
    assert not events.there
    assert not events.steps and events.damaged == 0 and events.offsets == {}
    assert not read_events(tmp_path / "nothing" / "metrics.jsonl").there


def test_few_points_stay_as_they_are():
    assert downsampled([1, 2, 3], [0.5, None, 1.0]) == ([1, 3], [0.5, 1.0])
    assert downsampled([], []) == ([], [])


@pytest.mark.parametrize("most", [4, 10, 800])
def test_many_points_keep_ends_and_extremes_in_order(most):
    xs = list(range(10_000))
    ys = [math.sin(x / 700) for x in xs]
    ys[1234], ys[8765] = 50.0, -70.0
    there, heights = downsampled(xs, ys, most)
    assert 3 <= len(there) <= most
    assert there == sorted(set(there))
    assert (there[0], there[-1]) == (0, 9999)
    assert {50.0, -70.0} <= set(heights)


def test_equal_heights_are_one_point_for_each_stretch():
    there, heights = downsampled(range(1000), [1.0] * 1000, 102)
    assert len(there) == 52
    assert set(heights) == {1.0}


def test_drawn_numbers_are_short():
    assert downsampled([1], [0.123456789])[1] == [0.12346]


def keep(run, generation, digest, age, **metrics):
    path = run / "evaluations" / f"generation-{generation}-{digest}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"generation": generation, "metrics": metrics}))
    os.utime(path, (1e9 - age, 1e9 - age))


def test_values_of_a_measure_are_all_of_one_kind_of_evaluation(tmp_path):
    keep(tmp_path, 0, "few", 10, test_ece=0.1, test_brier=0.2)
    keep(tmp_path, 1, "few", 40, test_ece=0.3, test_brier=0.4)
    keep(tmp_path, 1, "many", 5, test_ece=0.5, test_nll=2.0)
    kept = kept_metrics(tmp_path)
    assert kept == {0: {"test_ece": 0.1, "test_brier": 0.2}, 1: {"test_ece": 0.3, "test_brier": 0.4, "test_nll": 2.0}}
    keep(tmp_path, 0, "many", 20, test_ece=0.7)
    kept = kept_metrics(tmp_path)
    assert [kept[0]["test_ece"], kept[1]["test_ece"]] == [0.7, 0.5], "of kinds that have as many the newest"


def test_what_a_run_measured_itself_is_not_filled_up_by_other_settings(tmp_path):
    keep(tmp_path, 1, "later", 0, test_ece=0.5, test_fgsm=0.6)
    assert kept_metrics(tmp_path, [{"test_ece": 0.1, "test_fgsm": "why it was not measured"}]) == {
        1: {"test_fgsm": 0.6}
    }
