"""What a report tells of a run, section by section, from folders in any state."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from made_up import CLASSES, ROWS, TESTS, labels, truth, write_run

from sslkit.pool import TopK
from sslkit.reporting import pool as pooling
from sslkit.reporting.accuracy import accuracy, wilson
from sslkit.reporting.columns import mapped
from sslkit.reporting.comparing import sections_of_runs
from sslkit.reporting.curves import curves, over_time
from sslkit.reporting.data import data
from sslkit.reporting.figures import whole_axis
from sslkit.reporting.folder import BASELINE, RunFolder
from sslkit.reporting.headline import headline
from sslkit.reporting.parts import Choice, Code, Figure, Folded, Numbers, Pictures, Prose, Section, Table, Tree
from sslkit.reporting.pictures import pictures
from sslkit.reporting.pool import pools_of
from sslkit.reporting.quality import quality
from sslkit.reporting.remarks import remarks
from sslkit.reporting.robustness import robustness
from sslkit.reporting.setup import composition, setup
from sslkit.reporting.story import STORY, story_of_run
from sslkit.reporting.taught import taught
from sslkit.reporting.timing import time


def walk(parts):
    """Parts, and those inside them."""
    for part in parts:
        yield part
        if isinstance(part, Choice):
            for _, inside in part.options:
                yield from walk(inside)
        elif isinstance(part, Folded):
            yield from walk(part.parts)


def said(section):
    """The texts of a section."""
    return "\n".join(part.text for part in walk(section.parts) if isinstance(part, (Prose, Code)))


def figures(section):
    return {part.title: part for part in walk(section.parts) if isinstance(part, Figure)}


@pytest.fixture
def write(tmp_path):
    """`write(tests=(0.5,))`: a run folder of one's own."""
    return lambda **how: RunFolder.of(write_run(tmp_path / "run", **how))


# The result -------------------------------------------------------------------------------------------------------


def test_the_headline_names_teacher_student_and_baseline(photos):
    section = headline(photos)
    text = said(section)
    assert "rises from 70.00% (the teacher) to 90.00% (student 2)" in text
    assert "15.00 points more than the supervised baseline" in text and "reaches 75.00%" in text
    (numbers,) = [part for part in section.parts if isinstance(part, Numbers)]
    assert [one.value for one in numbers.items] == ["70.00%", "80.00%", "90.00%", "75.00%"]
    assert [one.color for one in numbers.items] == ["generation-0", "generation-1", "generation-2", BASELINE]


@pytest.mark.parametrize(
    ("status", "words"),
    [("interrupted", "sslkit run --resume"), ("failed", "no reason is logged"), ("running", "It runs, or was killed")],
)
def test_an_unfinished_run_says_so(write, status, words):
    text = said(headline(write(status=status)))
    assert words in text and "3 of 3 generations are finished" in text


def test_an_accuracy_that_stays_is_told_once(write):
    assert "stays at 65.25%, from the teacher to student 2; 9.75 points less than" in said(
        headline(write(tests=(0.6525, 0.7, 0.652504)))
    )


def test_a_run_whose_baseline_failed_says_why_and_what_was_trained(write):
    run = write(status="failed")
    for path in (run.path / "models", run.path / "evaluations"):
        shutil.rmtree(path)
    (run.path / "metrics.jsonl").unlink()
    (run.path / "summary.json").write_text(json.dumps({"generations": [], "status": "failed"}))
    log = run.path / "baseline" / "metrics.jsonl"
    begun = [line for line in log.read_text().splitlines() if '"kind": "step"' in line or '"kind": "start"' in line]
    failure = {"kind": "failure", "generation": 0, "step": 20, "message": "the loss is <i>not</i> finite"}
    log.write_text("\n".join([*begun, json.dumps(failure)]) + "\n")
    run = RunFolder.of(run.path)
    assert "It failed: its supervised baseline: the loss is <i>not</i> finite" in said(headline(run))
    assert "Its supervised baseline failed: the loss is <i>not</i> finite" in said(remarks(run))
    assert "no confusion matrix: no generation is finished." in said(quality(run))
    assert "supervised baseline: 20 steps logged" in said(time(run))
    assert "once one is, this measures it" in said(robustness(run))


def test_a_run_without_a_finished_generation_has_no_result(write):
    run = write(tests=(), status="interrupted", full=False)
    summary = json.loads((run.path / "summary.json").read_text())
    (run.path / "summary.json").write_text(json.dumps({**summary, "baseline": None}))
    run = RunFolder.of(run.path)
    assert "has no result. No generation is finished yet." in said(headline(run))
    assert "No generation is finished" in said(accuracy(run))
    assert all(section.parts for section in story_of_run(run).sections)


def test_a_lost_summary_is_told_and_the_rest_is_read_from_the_cards(write):
    run = write()
    (run.path / "summary.json").write_text("{")
    run = RunFolder.of(run.path)
    assert "damaged: summary.json cannot be read" in said(headline(run))
    assert [one["test_accuracy"] for one in run.entries.values()] == list(TESTS)


def test_the_interval_of_a_share_is_wilsons():
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # as R's prop.test without correction has it
    assert wilson(1.0, 20)[1] == 1.0 and wilson(0.0, 20)[0] == 0.0


def test_accuracy_has_a_dot_for_each_generation_and_a_line_for_the_baseline(photos):
    section = accuracy(photos)
    data = figures(section)["Accuracy"].data
    dots = [one for one in data if one["mode"] == "markers" and "error_y" in one]
    assert [one["y"] for one in dots] == [[0.7], [0.8], [0.9]]
    assert [one["meta"]["generation"] for one in dots] == ["0", "1", "2"]
    (line,) = [one for one in data if one["name"] == "supervised baseline"]
    assert line["y"] == [0.75] * 3
    (table,) = [part for part in section.parts if isinstance(part, Table)]
    assert table.rows[2][0] == "student 2" and "+20.00" in table.rows[2]
    assert table.keys[-1] == {"generation": BASELINE}


# Learning curves --------------------------------------------------------------------------------------------------


def test_curves_lie_one_behind_another_on_the_steps_of_the_whole_run(photos):
    data = figures(curves(photos))["Loss: supervised"].data
    assert [one["name"] for one in data] == ["teacher", "student 1", "student 2", "supervised baseline"]
    assert [(one["x"][0], one["x"][-1]) for one in data] == [(2, 20), (22, 60), (62, 100), (2, 20)]
    assert data[0]["y"][0] == 1.0
    assert "Loss: distillation" in figures(curves(photos)) and "Learning rate" in figures(curves(photos))


def test_long_curves_are_thinned_out_and_it_is_said(write):
    run = write(every=1)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    step = next(line for line in lines if '"kind": "step"' in line)
    more = [json.dumps({**json.loads(step), "step": 20 + number}) for number in range(1, 5000)]
    (run.path / "metrics.jsonl").write_text("\n".join([*lines[:2], *more]) + "\n")
    figure = figures(curves(RunFolder.of(run.path)))["Loss: supervised"]
    assert sum(len(one["x"]) for one in figure.data) < 1000
    assert "points" in figure.says and "are drawn" in figure.says


def test_a_run_without_a_log_says_so(write):
    run = write(full=False)
    (run.path / "metrics.jsonl").unlink()
    assert "keeps no log" in said(curves(run)) and over_time(run) == []
    assert figures(accuracy(run))


def test_damaged_lines_are_counted(write):
    run = write()
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text() + "not json\n{\n")
    assert "2 damaged lines of metrics.jsonl were skipped" in said(curves(run))
    assert "2 damaged lines of metrics.jsonl were skipped" in said(remarks(run))
    assert "2 damaged lines of metrics.jsonl were skipped" in said(headline(run))


# Pseudo-labels ----------------------------------------------------------------------------------------------------


def brute(stored, known):
    """The same counts, row by row."""
    label, kept = stored.label.tolist(), stored.kept.tolist()
    rows = range(ROWS)
    return {
        "predicted": [sum(label[i] == k for i in rows) for k in range(3)],
        "kept": [sum(label[i] == k and kept[i] for i in rows) for k in range(3)],
        "judged": [sum(label[i] == k and kept[i] and known[i] >= 0 for i in rows) for k in range(3)],
        "right": [sum(label[i] == k and kept[i] and known[i] == k for i in rows) for k in range(3)],
    }


@pytest.mark.parametrize("together", [7, 1000])
def test_pseudo_labels_are_counted_as_row_by_row(photos, monkeypatch, together):
    monkeypatch.setattr(pooling, "ROWS", together)
    pools, problems = pools_of(photos)
    assert problems == [] and [pool.generation for pool in pools] == [1, 2]
    for pool in pools:
        expected = brute(labels(pool.generation), truth())
        assert {name: getattr(pool, name).tolist() for name in expected} == expected
        assert pool.drawn.tolist() == [count * (1 + k / 2) for k, count in enumerate(expected["kept"])]
        assert sum(int(own.sum()) for own in pool.bins.values()) == ROWS
        assert pool.outside == (truth() == -2).sum()
    before, after = labels(1).label, labels(2).label
    assert pools[0].flows is None and pools[1].changed == int((before != after).sum())
    assert pools[1].flows[(1, 0)] == int(((before == 1) & (after == 0)).sum())


def test_confidence_is_the_teachers_even_where_only_the_most_probable_are_kept(tmp_path):
    dense = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    top = TopK.of(dense, 1)
    part = {"raw.classes": top.classes.numpy(), "raw.values": top.values.numpy(), "raw.rest": top.rest.numpy()}
    label = np.array([0, 1])
    assert pooling._confidence(part, label, 4) == pytest.approx([0.5, 0.2])
    assert pooling._confidence({"raw": dense.numpy()}, label, 4) == pytest.approx([0.5, 0.2])


def test_files_are_mapped_as_safetensors_has_them_and_cut_off_ones_are_told(photos, tmp_path):
    path = photos.path / "labels" / "generation-2" / "labels.safetensors"
    found, stored = mapped(path), labels(2)
    assert found["label"].tolist() == stored.label.tolist()
    assert found["raw"].shape == (ROWS, 3) and found["copies"].tolist() == stored.copies.tolist()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="cut off"):
        mapped(cut)
    cut.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no header"):
        mapped(cut)


def test_damaged_pseudo_labels_are_told_and_the_others_shown(write):
    run = write()
    (run.path / "labels" / "generation-1" / "labels.safetensors").write_bytes(b"\0" * 50)
    section = taught(run)
    assert "generation-1 cannot be read" in said(section)
    (choice,) = [part for part in section.parts if isinstance(part, Choice)]
    assert [title for title, _ in choice.options] == ["labels that taught student 2"]


def test_class_balance_and_histograms_are_of_each_generation(photos):
    section = taught(photos)
    (choice,) = [part for part in section.parts if isinstance(part, Choice)]
    assert len(choice.options) == 2 and choice.chosen == 1
    balance = figures(section)["Class balance, before and after filters"]
    assert [one["name"] for one in balance.data] == ["all labels", "kept by filters", "drawn in a pass over the pool"]
    assert all(one["meta"]["classes"] == [0, 1, 2] for one in balance.data)
    assert balance.table.rows[0][0] == CLASSES[0] and balance.table.keys[2] == {"class": "2"}
    assert {"How sure the teacher was", "Right labels by class"} < figures(section).keys()


def test_the_share_in_use_and_the_share_right_are_drawn_over_time(photos):
    (figure,) = over_time(photos)
    ends = {one["name"]: one["y"][-1] for one in figure.data}
    assert ends["student 1: in use"] == 0.8 and ends["student 2: right"] == pytest.approx(0.8)


def test_where_no_labels_are_stored_it_says_why(write):
    run = write(full=False)
    assert "No pseudo-labels are stored" in said(taught(run))
    run.table["labels"] = "step"
    assert "at each step" in said(taught(run))


# Damage -----------------------------------------------------------------------------------------------------------

DAMAGE = (b"[]", b"3", b"{}", b"", b"\x80\x81", b"[" * 100_000)
FILES = ("environment.json", "left_out.json", "models/generation-1/card.json", "evaluations/generation-1-abc.json")


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_named(write, file):
    run = write()
    for damage in DAMAGE[:1] + DAMAGE[2:] if file == "environment.json" else DAMAGE[1:]:
        (run.path / file).write_bytes(damage)
        found = RunFolder.of(run.path)
        assert f"Damaged, and passed over: {file}." in said(remarks(found)), damage[:9]
        assert story_of_run(found).sections


@pytest.mark.parametrize("header", [*DAMAGE[:2], *DAMAGE[3:], b'{"label": 3}', b'{"label": {"dtype": [], "shape": 1}}',
                                    b'{"label": {"dtype": "I64", "shape": [-1], "data_offsets": [0, "8"]}}'])  # fmt: skip
def test_a_tensor_file_with_a_damaged_header_is_damaged(write, header):
    run = write()
    path = run.path / "labels" / "generation-2" / "labels.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="header"):
        mapped(path)
    assert f"{path.parent} cannot be read: labels.safetensors has" in said(taught(run))


def test_pictures_that_hold_something_else_are_damaged_and_the_others_shown(write):
    run = write()
    folder = run.path / "pictures" / "generation-2"
    index = json.loads((folder / "pictures.json").read_text())
    index["pictures"]["changed"][0]["image"] = True
    (folder / "pictures.json").write_text(json.dumps(index))
    sums = json.loads((folder / "checksums.json").read_text())
    sums["pictures.json"] = hashlib.sha256((folder / "pictures.json").read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums))
    section = pictures(run)
    assert "The pictures of generation 2 are damaged" in said(section)
    (choice,) = [part for part in section.parts if isinstance(part, Choice)]
    assert [title for title, _ in choice.options] == ["student 1"]


# Quality ----------------------------------------------------------------------------------------------------------


def test_reliability_and_confusion_come_from_kept_evaluations(photos):
    section = quality(photos)
    reliability = figures(section)["Reliability"]
    assert reliability.data[1]["x"] == [0.45, 0.9] and reliability.data[1]["y"] == [0.4, 0.95]
    matrix = figures(section)["What student 2 takes for what"].data[0]
    assert matrix["z"][0] == pytest.approx([30 / 33, 3 / 33, 0])
    (choice,) = [part for part in section.parts if isinstance(part, Choice)]
    assert [title for title, _ in choice.options] == ["teacher", "student 1", "student 2"] and choice.chosen == 2


def test_bins_of_a_handful_of_images_are_in_the_table_alone(write):
    run = write()
    path = run.path / "evaluations" / "generation-2-abc.json"
    kept = json.loads(path.read_text())
    kept["metrics"]["test_reliability"]["0.1"] = {"images": 0.5, "confidence": 0.05, "accuracy": 1.0}
    path.write_text(json.dumps(kept))
    figure = figures(quality(run))["Reliability"]
    assert 0.05 not in figure.data[-1]["x"]
    assert ["student 2", "5.0%", "100.0%", "0"] in [list(row) for row in figure.table.rows]


def test_what_was_not_measured_names_the_command_that_measures_it(write):
    run = write(full=False)
    assert "no reliability diagram and no confusion matrix" in said(quality(run))
    assert f"sslkit evaluate {run.path} --generation all --keep" in said(quality(run))
    assert "Robustness was not measured." in said(robustness(run))
    assert said(robustness(run)).endswith(f"sslkit evaluate {run.path} --generation all --metrics robustness --keep")


def test_what_was_measured_of_some_generations_names_the_others(write):
    run = write()
    (run.path / "evaluations" / "generation-1-abc.json").unlink()
    (run.path / "baseline" / "models").mkdir()
    text = said(robustness(RunFolder.of(run.path)))
    assert "Robustness was not measured of student 1, supervised baseline." in text
    for folder in (run.path, run.path / "baseline"):
        assert f"sslkit evaluate {folder} --generation all --metrics robustness --keep" in text


def test_a_matrix_of_many_classes_is_a_table_of_pairs(write):
    run = write()
    path = run.path / "evaluations" / "generation-2-abc.json"
    kept = json.loads(path.read_text())
    matrix = np.eye(200, dtype=int) * 3
    matrix[4, 7] = 2
    kept["metrics"]["test_confusion"] = {"classes": [f"c{i}" for i in range(200)], "matrix": matrix.tolist()}
    path.write_text(json.dumps(kept))
    section = quality(run)
    assert "What student 2 takes for what" not in figures(section)
    rows = [part.rows for part in walk(section.parts) if isinstance(part, Table) and "confuses most" in part.caption]
    assert rows == [[["c4", "c7", "2", "40.0%"]]]


def test_robustness_has_curves_corruptions_and_flips(photos):
    found = figures(robustness(photos))
    assert found["Attack: FGSM"].data[0]["x"] == [0, 2, 16] and found["Attack: FGSM"].data[0]["y"] == [0.9, 0.5, 0.1]
    assert found["Error by severity"].data[0]["y"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found["Error by corruption"].data[0]["x"] == ["gaussian noise", "frost (drawn)"]
    assert found["Flips by perturbation"].data[-1]["y"] == [0.05]
    assert "Mean over five severities." in found["Error by corruption"].says
    assert found["Error by severity"].layout["xaxis"]["ticktext"] == ["1", "2", "3", "4", "5"]
    table = found["Error by corruption"].table
    assert table.head[0] == "error" and [row[0] for row in table.rows] == ["gaussian noise", "frost (drawn)"]


def test_a_figure_of_a_single_line_says_whose_it_is(write):
    run = write(tests=(0.7,))
    (run.path / "summary.json").write_text(json.dumps({**run.summary, "baseline": None}))
    shutil.rmtree(run.path / "baseline")
    run = RunFolder.of(run.path)
    for section in (curves(run), robustness(run)):
        for figure in figures(section).values():
            assert figure.layout["showlegend"] and figure.data[0]["name"].startswith("teacher"), figure.title


@pytest.mark.parametrize(("most", "step"), [(0, 1), (4, 1), (31, 10), (94, 20), (100, 20), (499, 100), (12_345, 5000)])
def test_axes_of_counts_have_whole_ticks(most, step):
    axis = whole_axis(most)
    assert axis["dtick"] == step and axis["tick0"] == 0


def test_tables_of_any_name_are_known_by_their_shapes(write):
    run = write()
    path = run.path / "evaluations" / "generation-2-abc.json"
    kept = json.loads(path.read_text())
    kept["metrics"] = {
        "test_mine": {"0": {"accuracy": 0.9}, "1.5": {"accuracy": 0.4}, "worst": {"accuracy": 0.1}},
        "test_published": {"fog": {"1": 0.2, "3": 0.4, "mean": 0.3}}, "test_published_error": 0.3,
        "test_short": {"tilt": {"flips": 0.1}}, "test_short_mfr": 0.8, "test_per_class": {"a": {"accuracy": 1}, "b": 3},
    }  # fmt: skip
    path.write_text(json.dumps(kept))
    section, _ = robustness(run), quality(run)
    found = figures(section)
    assert found["Attack: mine"].data[-1]["x"] == [0, 1.5]
    assert "Mean over 2 severities (1, 3)." in found["Error by corruption, published"].says
    assert "Flips by perturbation, short" in found
    numbers = next(part for part in section.parts if isinstance(part, Table))
    assert numbers.head[-2:] == ["published error", "short mFR"] and numbers.rows[2][-2:] == ["30.0%", "80.0%"]
    assert "error on corrupted images" not in numbers.head
    other = figures(Section("", "", [part for one in sections_of_runs([run.path]) for part in one.parts]))
    assert other["Test accuracy under mine"].table.rows[0][1:] == ["90.00%", "40.00%"]
    assert {"Test error under corruptions, published", "Flips under perturbations, short"} <= {*other}


# Set-up, data, pictures, time -------------------------------------------------------------------------------------


def test_the_composition_is_drawn_from_the_recipe_alone(photos):
    branches = composition(photos.table)
    texts = {one.label: one for one in branches}
    assert "noise: dropout (rate 0.5)" in texts["model"].text and "24 px" in texts["model"].text
    assert texts["unlabeled images"].below[0].text == "cutout (size 8)"
    assert texts["labeled images"].below[0].text == "no noise on its images"  # flip_crop is off
    assert texts["labels"].text == "before training, for the whole pool: confidence (threshold 0.4)"
    assert [(one.label, one.text) for one in texts["steps"].below] == [
        ("generation 0", "steps = 20"), ("generations 1 to 2", "as above"),
    ]  # fmt: skip
    section = setup(photos)
    assert any(isinstance(part, Tree) for part in section.parts)
    assert f"sslkit run {photos.path}/recipe.toml" in said(section)


@pytest.mark.parametrize(
    "table", [{}, {"noise": 3, "model": [], "batch": {"labeled": 1}, "views": 2, "generation": {"a": 1}}]
)
def test_a_recipe_of_another_shape_is_drawn_as_far_as_it_goes(table):
    composition(table)


def test_every_shipped_recipe_can_be_drawn():
    from sslkit.recipe import load, shipped

    for name in shipped():
        drawn = composition(load(name).table)
        assert {"data", "model", "optimizer", "steps"} <= {one.label for one in drawn}, name


def test_data_tells_sizes_and_classes(photos):
    section = data(photos)
    (numbers,) = [part for part in section.parts if isinstance(part, Numbers)]
    assert [one.value for one in numbers.items] == ["12", str(ROWS), "50", "100"]
    figure = figures(section)["Images by class"]
    assert figure.data[0]["y"] == [4, 4, 4]
    assert figure.data[1]["y"] == [int((truth() == k).sum()) for k in range(3)]


def test_pictures_stand_beside_what_noise_made_of_them(photos):
    first, second = [part for part in walk(pictures(photos).parts) if isinstance(part, Pictures)][:2]
    assert [one.caption for one in first.rows[0]][1:] == ["cutout", "flip", "all noise", "mixed"]
    assert "is =1+1" in first.rows[0][0].caption
    assert second.keys == [{"class": "0"}, {"class": "1"}, {"class": "2"}]
    assert second.rows[0][0].caption.endswith("· 90% · is =1+1") and second.rows[1][0].caption.endswith("· right")


def test_a_run_without_pictures_says_why(write):
    run = write(full=False)
    assert "before runs kept some" in said(pictures(run))
    run.table["pictures"] = 0
    assert "pictures = 0" in said(pictures(run))


def test_damaged_pictures_are_told(write):
    run = write()
    (run.path / "pictures" / "generation-1" / "pictures.json").write_text("{")
    assert "damaged" in said(pictures(run))


def test_time_is_divided_among_what_took_it(photos):
    figure = figures(time(photos))["Time by generation"]
    found = {one["name"]: one["x"] for one in figure.data}
    assert found["model"] == [7.0] * 4 and found["waiting for data"] == [1.0] * 4
    assert found["labeling"] == [0.0, 3.0, 3.0, 0.0]
    assert found["evaluating"] == [0.25, 0.5, 0.5, 0.25]
    assert sum(own[1] for own in found.values()) == pytest.approx(13.0)


def test_remarks_tell_warnings_and_what_was_left_out(photos):
    section = remarks(photos)
    assert "look <b>here</b>" in said(section)
    tables = [part for part in walk(section.parts) if isinstance(part, Table)]
    assert tables[0].rows == [["cannot be read: <i>broken</i>", "1"]]


@pytest.mark.parametrize(
    "gone", ["environment.json", "summary.json", "models", "metrics.jsonl", "samples", "labels", "recipe.toml"]
)
def test_a_folder_that_lost_something_still_has_its_story(write, gone):
    run = write()
    path = run.path / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    run = RunFolder.of(run.path)
    assert all(tell(run).parts for tell in STORY)
