"""How measured values are shown: by their form, within the width."""

import io

import pytest
from rich.console import Console

from sslkit.blocks import Blocks, Column
from sslkit.commands import measurements


def text_of(*parts, width=80):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


def confusion(size, name="class", wrong=()):
    """Ten images of each class, all right but for `wrong`: (truth, taken for, how many)."""
    matrix = [[10 * (i == j) for j in range(size)] for i in range(size)]
    for i, j, count in wrong:
        matrix[i][j] += count
        matrix[i][i] -= count
    return {"classes": [f"{name}{i}" for i in range(size)], "matrix": matrix}


def test_numbers_of_no_split_stand_below_each_on_its_line():
    metrics = {"test_nll": 1.5, "pseudo_label_accuracy": 0.875, "kept_share": 0.7247}
    lines = text_of(*measurements.headline(metrics)).splitlines()
    assert lines[-3:] == ["", "pseudo label accuracy 87.50%", "kept share 72.47%"]


def test_a_row_for_each_metric_and_a_column_for_each_split():
    metrics = {"test_accuracy": 0.5, "validation_accuracy": 0.25, "test_nll": 1.5, "kept_share": 0.75, "test_list": [1]}
    lines = [line.split() for line in text_of(*measurements.headline(metrics)).splitlines() if "─" not in line]
    lines = [line for line in lines if line]
    assert lines == [["test", "validation"], ["accuracy", "50.00%", "25.00%"], ["nll", "1.5", "–"],
                     ["kept", "share", "75.00%"]]  # fmt: skip


def test_a_row_for_each_model_metrics_of_test_images_first():
    rows = [("0", {"validation_nll": 2.0, "test_nll": 1.0}), ("1", {"test_nll": 0.5, "table": {}})]
    lines = [line.split() for line in text_of(measurements.headlines(rows)).splitlines() if "─" not in line]
    assert lines == [["test", "nll", "validation", "nll"], ["0", "1", "2"], ["1", "0.5", "–"]]


def test_a_curve_is_one_line_and_its_points_are_no_rows_of_their_own():
    curve = {"0": {"accuracy": 0.75}, "2": {"accuracy": 0.5}, "16": {"accuracy": None}}
    metrics = {"test_nll": 1.0, "test_fgsm_2": 0.5, "test_fgsm_16": None, "test_fgsm": curve, "test_fgsm_3": 0.25}
    numbers = [line.split() for line in text_of(*measurements.headline(metrics)).splitlines()]
    assert ["nll", "1"] in numbers and ["fgsm", "3", "25.00%"] in numbers and len(numbers) == 4
    lines = [line.split() for line in text_of(*measurements.details(metrics)).splitlines()]
    assert lines[1:3] == [["test", "fgsm"], ["0", "2", "16"]] and lines[-1] == ["accuracy", "75.00%", "50.00%", "–"]


def test_a_table_by_class():
    rows = {
        "cat": {"accuracy": 0.9, "images": 1200, "mistaken_for": {"dog": 100, "fox": 20}},
        "dog": {"accuracy": None, "images": 0, "mistaken_for": {}},
    }
    text = text_of(*measurements.details({"test_per_class": rows}))
    assert "test per class" in text and "mistaken for" in text
    assert ["cat", "90.00%", "1,200", "dog", "(100),", "fox", "(20)"] in [line.split() for line in text.splitlines()]
    heading, first = (next(line for line in text.splitlines() if word in line) for word in ("mistaken", "dog (100)"))
    assert heading.index("mistaken for") == first.index("dog (100)")
    assert ["dog", "–", "0"] in [line.split() for line in text.splitlines()]


def test_of_a_long_table_the_lowest_rows():
    rows = {f"c{i}": {"accuracy": (i * 37 % 100) / 100, "images": 5} for i in range(100)}
    text = text_of(*measurements.details({"test_per_class": rows}))
    assert "the 30 of 100 that are lowest in accuracy" in text
    shown = [line.split() for line in text.splitlines() if line.startswith("c")]
    assert [row[1] for row in shown] == [f"{i}.00%" for i in range(30)]


@pytest.mark.parametrize(("size", "name", "width", "words"), [
    (4, "class", 80, ["is / taken for  class0  class1  class2  class3"]),
    (10, "", 60, ["is / taken for"]),
    (12, "a rather long class ", 80, ["is / taken for", "11 a rather long class 11"]),
    (40, "class", 80, ["class2 is taken for class5: 4 times, 40.0% of its images"]),
])  # fmt: skip
def test_a_confusion_matrix_is_shown_as_far_as_its_width_takes_it(size, name, width, words):
    made = confusion(size, name, [(2, 3, 4)] if size < 6 else [(2, 5, 4), (1, 0, 1)])
    text = text_of(*measurements.details({"test_confusion": made}), width=width)
    assert [word for word in words if word not in text] == []
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    if size < 40:
        row = next(line.split() for line in text.splitlines() if line.startswith((f"{name}2 ", f"2 {name}2")))
        assert row.count("6") == 1 and row.count("4") == 1 and row.count(".") == size - 2


def test_the_most_confused_pairs_come_first_and_the_rest_is_counted():
    wrong = [(i, i + 1, 1 + i % 3) for i in range(30)]
    text = text_of(*measurements.matrix("test_confusion", confusion(40, "c", wrong)))
    times = [int(line.split(": ")[1].split()[0]) for line in text.splitlines() if "taken for" in line]
    assert times == [3] * 10 + [2] * 2 and "and 18 pairs of classes more" in text
    assert "no image is taken for another class" in text_of(*measurements.matrix("m", confusion(40)))


def test_tables_of_test_images_stand_for_both_splits_and_other_forms_are_named():
    metrics = {
        "test_per_class": {"a": {"accuracy": 1.0}}, "validation_per_class": {"a": {"accuracy": 0.5}},
        "validation_confusion": confusion(2), "curve": [0.1, 0.2],
    }  # fmt: skip
    text = text_of(*measurements.details(metrics))
    assert "100.00%" in text and "50.00%" not in text and "validation confusion" in text
    assert "more with --json: validation_per_class, curve" in text


def test_brackets_in_names_are_no_markup():
    rows = {"[bold]": {"mistaken_for": {"[/red]": 2}}}
    assert "[bold]" in text_of(*measurements.details({"t": rows})) and "[/red] (2)" in text_of(
        *measurements.details({"t": rows})
    )


# Blocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_blocks_cut_nothing_off_and_repeat_the_rows_names(width):
    columns = [Column(f"column {i}", [f"{i}.{row}" for row in range(3)]) for i in range(12)]
    text = text_of(Blocks(["one", "two", "three"], columns), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert all(text.count(f" {i}.{row}") == 1 for i in range(12) for row in range(3))
    assert (
        text.count("three")
        == len(Blocks(["one", "two", "three"], columns).cut(width))
        == text.count("column 0") + (text.count("two") - 1)
    )


def test_a_wide_column_is_broken_not_cut():
    text = text_of(Blocks(["name"], [Column("head", ["x" * 100])], left=True), width=40)
    assert text.count("x") == 100 and max(map(len, text.splitlines())) <= 40


def test_a_table_of_corruptions_says_what_its_numbers_and_columns_are():
    rows = {"fog": {"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.4, "5": 0.5, "mean": 0.3, "ce": None}}
    first = text_of(*measurements.table("test_corruptions", rows)).splitlines()[0]
    assert first == "test corruptions: errors, a column for each severity"
    assert text_of(*measurements.table("test_per_class", {"a": {"accuracy": 1.0, "images": 3}})).startswith(
        "test per class\n"
    )
