"""metrics.jsonl: strict JSON, and the same file whether a run was stopped or not."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sslkit import Event, Progress, SslkitError
from sslkit_plugins.tracker.jsonl import Jsonl, strict


def tell(tracker, kind, generation=0, step=0, /, **values):
    tracker.report(Event(kind, Progress(0, generation, step, 10), values))


def read(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def timeless(lines):
    return [{name: value for name, value in line.items() if name not in ("time", "timing")} for line in lines]


@pytest.fixture
def tracker(tmp_path):
    made = Jsonl()
    tell(made, "start", folder=str(tmp_path), resumed=False, recipe="mine", generations=2)
    return made


def test_one_line_per_event(tracker, tmp_path):
    tell(tracker, "step", 1, 5, losses={"supervised": 0.5}, lr=0.1, timing={"images_per_second": 3.0})
    start, step = read(tmp_path)
    assert start.pop("time") <= step.pop("time")
    assert start == {"kind": "start", "generation": 0, "step": 0, "recipe": "mine", "generations": 2}
    assert step == {
        "kind": "step", "generation": 1, "step": 5, "losses": {"supervised": 0.5}, "lr": 0.1,
        "timing": {"images_per_second": 3.0},
    }  # fmt: skip


def test_values_never_hide_where_a_line_belongs(tracker, tmp_path):
    tell(tracker, "generation", 1, 10, step=99, kind="x", time=0, index=1)
    line = read(tmp_path)[-1]
    assert (line["kind"], line["generation"], line["step"], line["index"]) == ("generation", 1, 10, 1)
    assert line["time"] > 0


def test_numbers_that_are_not_finite_become_null(tracker, tmp_path):
    tell(tracker, "step", losses={"a": float("nan"), "b": [float("inf"), -1.5]}, lr=np.float32("-inf"))
    line = read(tmp_path)[-1]
    assert line["losses"] == {"a": None, "b": [None, -1.5]}
    assert line["lr"] is None


def test_strict_takes_what_metrics_may_return(tmp_path):
    made = {"tensor": torch.tensor(2.5), "array": np.int64(3), "flag": True, "path": tmp_path, 4: (1, None)}
    assert strict(made) == {"tensor": 2.5, "array": 3, "flag": True, "path": str(tmp_path), "4": [1, None]}


def test_of_labeling_only_the_end_is_kept(tracker, tmp_path):
    tell(tracker, "labels", done=5, total=10)
    tell(tracker, "labels", done=10, total=10, kept_share=0.5, pseudo_label_accuracy=None, empty_classes=[])
    assert [line.get("kept_share") for line in read(tmp_path)] == [None, 0.5]


def test_what_the_machine_lacked_is_not_kept(tracker, tmp_path):
    """The file is that of a run with room; and a full disk could not take the line."""
    tell(tracker, "warning", message="the disk is full")
    assert [line["kind"] for line in read(tmp_path)] == ["start"]


def test_the_end_does_not_repeat_the_summary(tracker, tmp_path):
    tell(tracker, "end", 1, 10, summary={"wall_seconds": 3}, folder=str(tmp_path))
    assert timeless(read(tmp_path))[-1] == {"kind": "end", "generation": 1, "step": 10}


def steps(tracker, first, last):
    for step in range(first, last):
        tell(tracker, "step", 0, step, losses={"supervised": 1 / (step + 1)}, timing={"seconds_left": step})


def test_a_resumed_run_writes_the_file_of_one_that_never_stopped(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder, stops in ((whole, False), (broken, True)):
        folder.mkdir()
        tracker = Jsonl()
        tell(tracker, "start", folder=str(folder), resumed=False, recipe="mine")
        steps(tracker, 0, 4)
        state = json.loads(json.dumps(tracker.state_dict()))
        if stops:
            steps(tracker, 4, 7)
            tell(tracker, "failure", message="killed", reason="error")
            with (folder / "metrics.jsonl").open("ab") as file:
                file.write(b'{"kind": "st')
            tracker = Jsonl()
            tell(tracker, "start", folder=str(folder), resumed=True, recipe="mine")
            tell(tracker, "baseline", test_accuracy=0.5)  # told again before the checkpoint is laid over
            tracker.load_state_dict(state)
        steps(tracker, 4, 10)
        tell(tracker, "end", summary={}, folder=str(folder))
    assert timeless(read(broken)) == timeless(read(whole))
    assert len(read(whole)) == 12


def test_a_fresh_start_begins_the_file_anew(tracker, tmp_path):
    steps(tracker, 0, 4)
    tell(Jsonl(), "start", folder=str(tmp_path), resumed=False)
    assert [line["kind"] for line in read(tmp_path)] == ["start"]


def test_a_failure_is_written(tracker, tmp_path):
    tell(tracker, "failure", message="loss `a` became nan", reason="error")
    assert read(tmp_path)[-1]["message"] == "loss `a` became nan"


def test_a_file_shorter_than_its_checkpoint_is_left_as_it_is(tracker, tmp_path):
    length = tracker.state_dict()["bytes"]
    tracker.load_state_dict({"bytes": length + 100})
    assert tracker.state_dict() == {"bytes": length}


def test_state_without_a_run():
    tracker = Jsonl()
    assert tracker.state_dict() == {"bytes": 0}
    tracker.load_state_dict({"bytes": 3})
    tracker.report(SimpleNamespace(kind="step", progress=Progress(0), values={}))


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(SslkitError, match=r"metrics\.jsonl could not be written"):
        tell(Jsonl(), "start", folder=str(tmp_path / "gone"), resumed=False)
