"""The table of results and the forms of its numbers."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from sslkit import tables
from sslkit.story import Story


def entry(index, test, validation=None, kept=None, right=None, **more):
    return {
        "index": index, "model": "test_resnet", "steps": 250, "test_accuracy": test, "validation_accuracy": validation,
        "kept_share": kept, "pseudo_label_accuracy": right, "metrics": {}, **more,
    }  # fmt: skip


SUMMARY = {
    "generations": [
        entry(0, 0.8056, 0.81, selected={"step": 200, "validation_accuracy": 0.97, "test_accuracy": 0.8111}),
        entry(1, 0.8944, 0.9, 0.912, 0.851, timing={"waited": 1.0, "worked": 9.0}),
        entry(
            2, 0.9528, 0.95, 0.951, 0.921,
            metrics={"test_accuracy": 0.9528, "spreading_test_accuracy": 0.934, "calibration_error": 0.03125},
            selected={"step": 250, "validation_accuracy": 0.95, "test_accuracy": 0.9528},
            timing={"waited": 0.0, "worked": 10.0},
        ),
    ],
    "baseline": {"steps": 750, "test_accuracy": 0.842, "validation_accuracy": 0.84},
    "seed": 4,
    "status": "finished",
    "wall_seconds": 72.3,
}  # fmt: skip


def text_of(renderable, width=100):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def rows_of(renderable):
    lines = [line.split() for line in text_of(renderable).splitlines()]
    return [line for line in lines if line and "─" not in line[0]]


def test_rows_are_teacher_students_baseline_and_rivals():
    assert rows_of(tables.results_table(SUMMARY)) == [
        ["steps", "kept", "right", "val.", "test", "gain"],
        ["teacher", "250", "–", "–", "81.00%", "80.56%"],
        ["student", "1", "250", "91.2%", "85.1%", "90.00%", "89.44%", "+8.88"],
        ["student", "2", "250", "95.1%", "92.1%", "95.00%", "95.28%", "+14.72"],
        ["supervised", "750", "84.00%", "84.20%"],
        ["spreading", "93.40%"],
    ]


def test_columns_without_any_number_are_left_out():
    table = tables.results_table({"generations": [entry(0, 0.5)], "baseline": None})
    assert rows_of(table) == [["steps", "test"], ["model", "250", "50.00%"]]


def test_only_the_last_few_keep_their_names_and_gains():
    rows = rows_of(tables.results_table(SUMMARY, total=3, last=1))
    assert rows[1] == ["student", "2", "250", "95.1%", "92.1%", "95.00%", "95.28%", "+14.72"]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_results_fit_their_width_and_say_everything(width):
    text = text_of(tables.results(SUMMARY, "runs/mine"), width)
    assert max(len(line) for line in text.splitlines()) <= width
    flat = " ".join(text.split())
    for words in (
        "student 2: +14.72 points on the teacher",
        "+11.08 points on the supervised baseline",
        "best on validation images: teacher at step 200",
        "test 81.11%",
        "calibration_error 3.12%",
        "seed 4",
        "1 min 12 s",
        "waited for data 5.0% of the time",
        "runs/mine",
    ):
        assert words in flat
    assert "supervised" in text and "…" not in text


def test_results_of_hardly_anything():
    assert "no generation is finished" in text_of(tables.results({}, "runs/mine"))
    assert "model" in text_of(tables.results({"generations": [{}]}))
    assert rows_of(tables.results_table({"generations": [entry(0, float("nan"), 0.5)]}))[1] == [
        "model",
        "250",
        "50.00%",
    ]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((0, 1, False), "model"), ((0, 1, True), "student"), ((0, 4, False), "teacher"), ((3, 4, False), "student 3"),
     ((0, 2, True), "student 1"), ((1, 2, True), "student 2")],
)  # fmt: skip
def test_names_of_generations(arguments, name):
    assert tables.generation_name(*arguments) == name


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tables.duration(0.4), "0 s"),
        (tables.duration(59.6), "1 min 0 s"),
        (tables.duration(7260), "2 h 1 min"),
        (tables.duration(-3), "0 s"),
        (tables.duration(None), "–"),
        (tables.percent(1), "100.00%"),
        (tables.percent(float("nan")), "–"),
        (tables.percent("x"), "–"),
        (tables.count(1234567), "1,234,567"),
        (tables.points(-0.0125), "-1.25"),
        (tables.value(0.123456), "0.1235"),
        (tables.value("text"), "text"),
    ],
)
def test_forms_of_numbers(made, expected):
    assert made == expected


@given(st.lists(st.text(st.characters(categories=["L", "N"]), max_size=12)), st.integers(12, 80))
def test_flow_keeps_every_piece_and_its_width(pieces, width):
    lines = tables.Flow(pieces).lines(width)
    assert [piece for line in lines for piece in line.split(" · ")] == [piece for piece in pieces if piece]
    assert all(tables.cell_len(line) <= width or " · " not in line for line in lines)


# Metrics that are no numbers --------------------------------------------------------------------------------------

LARGE = {
    "test_confusion": {"classes": ["a", "b"], "matrix": [[7, 1], [2, 8]]},
    "per_seed": [0.123, 0.456],
    "test_per_class": {"a": {"accuracy": 0.777}},
    "top_5_note": "top-5 accuracy is left out: with 3 classes it is always 100%",
    "unknown": None,
}
"Tables, a list, a sentence."


def test_tables_lists_and_sentences_stay_out_of_lines_of_numbers():
    small = {"test_nll": 0.25, "kind": "logistic", "test_top_2_accuracy": 0.875}
    assert Story().scores({**LARGE, **small}) == ["test nll 0.25", "kind logistic", "and 1 more"]


def test_a_line_of_numbers_is_no_longer_than_it_was_by_metrics_that_say_many():
    """Accuracies and shares are always there, of others the first two, each where it comes."""
    others = {f"test_{n}": 0.5 for n in range(5)}
    said = Story().scores({"test_0": 0.5, "test_accuracy": 0.75, **others, "kept_share": 1.0})
    assert said == ["test 0 0.5", "test accuracy 75.00%", "test 1 0.5", "kept share 100.00%", "and 3 more"]
    assert Story().scores({"test_0": 0.5, "test_1": 0.5}) == ["test 0 0.5", "test 1 0.5"]


def test_results_show_numbers_and_sentences_but_no_tables():
    text = text_of(tables.results({"generations": [entry(0, 0.5, metrics={"test_nll": 0.25, **LARGE})]}, "runs/mine"))
    assert "test_nll 0.25" in text and LARGE["top_5_note"] in text
    assert not [word for word in ("matrix", "777", "456", "per_class", "unknown", "{", "[") if word in text]


@pytest.mark.parametrize(
    ("settings", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)
def test_colours_are_off_in_a_pipe_and_where_they_are_not_wanted(settings, coloured, monkeypatch, capsys):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", **settings}.items():
        monkeypatch.setenv(name, value)
    tables.make_console(Console).print(Text("sound", "green"), Text("wrong", "bold red"))
    codes = re.findall(r"\x1b\[([\d;]*)m", capsys.readouterr().out)
    assert any(re.search(r"(^|;)3\d", code) for code in codes) == coloured


def test_the_legend_names_the_columns_that_are_there():
    def legend(**shares):
        summary = {"generations": [entry(0, 0.5), entry(1, 0.6, **shares)]}
        return next(line for line in text_of(tables.results(summary)).splitlines() if "gain: " in line)

    assert legend(kept=0.5).startswith("kept: share of the pseudo-labels · gain: ")
    assert legend(kept=0.5, right=0.9).startswith("kept, right: shares of the pseudo-labels · gain: ")
    assert legend().startswith("gain: ")


SHARES = ("test_accuracy", "error", "test_corruption_error", "kept_share", "test_ece", "test_mce_without_frost", "test_mfr",
          "test_fgsm_2", "test_pgd_l2_128", "test_flip_probability", "pseudo_label_coverage", "accuracy_seen")  # fmt: skip
OTHERS = ("learning_rate", "test_nll", "mean_squared_error", "test_brier", "shared", "terrors", "images_per_second", "")


def test_shares_are_told_by_whole_parts_of_their_names():
    assert [name for name in (*SHARES, *OTHERS) if tables.is_share(name)] == [*SHARES]
