"""Several runs and studies as parts of a report, from folders that are made up: nothing is trained."""

import json
import math
import re
import shutil
from functools import cache

import pytest

from sslkit.comparison.studies import is_study
from sslkit.errors import RunError
from sslkit.recipe import dump, load, with_overrides
from sslkit.reporting.compare_charts import Whose, line, thin
from sslkit.reporting.comparing import filters_of, sections_of_runs, sections_of_studies, sections_of_study
from sslkit.reporting.making import report
from sslkit.reporting.measures import readable, share_ticks
from sslkit.reporting.parts import Choice, Figure, Folded, Prose, Table
from sslkit.reporting.writing import numeric, numeric_columns, safe
from sslkit.study.stats import paired_difference

ENVIRONMENT = {"torch": "2.6.0", "device": "cpu here", "threads": 2, "test_data": "same"}
STEPS = 40


@cache
def recipe_of(seed, overrides):
    """The text of a recipe."""
    return dump(with_overrides(load("noisy_student"), {"seed": seed, **json.loads(overrides)}).table)


@pytest.fixture
def make(tmp_path):
    """`make("name", seed, tests)`: a run folder with a log of its generations."""

    def run(
        name,
        seed=0,
        tests=(0.8, 0.9),
        overrides=None,
        status="finished",
        classes="abc",
        log=True,
        metrics=None,
        **environment,
    ):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text(recipe_of(seed, json.dumps(overrides or {})))
        (folder / "environment.json").write_text(json.dumps({**ENVIRONMENT, **environment}))
        entries = [entry_of(index, test, metrics or {}) for index, test in enumerate(tests)]
        summary = {"generations": entries, "baseline": {"test_accuracy": 0.75}, "seed": seed, "status": status,
                   "wall_seconds": 60.0 + seed}  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))
        card = folder / "models" / "generation-0" / "card.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"facts": {"classes": list(classes)}}))
        if log:
            (folder / "metrics.jsonl").write_text(
                "".join(json.dumps(event) + "\n" for event in events_of(entries, seed))
            )
        return folder

    return run


def entry_of(index, test, metrics):
    labels = (
        {"kept_share": 0.5, "pseudo_label_accuracy": 0.6}
        if index
        else {"kept_share": None, "pseudo_label_accuracy": None}
    )
    more = {"test_accuracy": test, **metrics}
    return {"index": index, "model": "test_resnet", "steps": STEPS, "test_accuracy": test, "validation_accuracy": 0.7, **labels,
            "metrics": more, "timing": {"seconds": 3.5, "worked": 20.0, "waited": 4.0}}  # fmt: skip


def events_of(entries, seed):
    yield {"kind": "start", "generation": 0, "step": 0, "classes": 3, "steps": [STEPS] * len(entries)}
    for entry in entries:
        place = {"generation": entry["index"]}
        for step in range(10, STEPS + 1, 10):
            loss = math.exp(-step / 20) + seed / 10
            yield {
                "kind": "step",
                **place,
                "step": step,
                "losses": {"supervised": loss},
                "lr": 0.1,
                "kept_share": entry["kept_share"],
            }
            yield {
                "kind": "evaluation",
                **place,
                "step": step,
                "metrics": {"test_accuracy": entry["test_accuracy"] * step / STEPS},
            }
        yield {"kind": "generation", **place, "step": STEPS, **entry}


def parts_of(sections, kind, key=None):
    """All parts of a kind, those of choices among them."""
    found = [part for section in sections if key in (None, section.key) for part in section.parts]
    found += [inside for part in found if isinstance(part, Choice) for _, parts in part.options for inside in parts]
    return [part for part in found if isinstance(part, kind)]


def said(sections, key=None):
    return "\n".join(part.text for part in parts_of(sections, Prose, key))


def titled(sections, title):
    return next(figure for figure in parts_of(sections, Figure) if figure.title == title)


def keys(sections):
    return [section.key for section in sections]


@pytest.fixture
def two(make):
    """Two recipes over three seeds."""
    made = [make(f"plain-{seed}", seed, (0.7, 0.8 + seed / 100)) for seed in range(3)]
    noise = {"noise.dropout.rate": 0.25}
    return made + [make(f"less-{seed}", seed, (0.7, 0.75 + seed / 50), noise) for seed in range(3)]


# Several runs -----------------------------------------------------------------------------------------------------


def test_runs_are_told_recipe_by_recipe_with_what_differs(two):
    sections = sections_of_runs(two)
    assert keys(sections) == ["compared", "accuracy", "learning", "generations", "every-run", "time"]
    assert "6 runs of 2 recipes" in said(sections, "compared")
    recipes, differs = parts_of(sections, Table, "compared")
    assert [list(row) for row in recipes.rows] == [["A  plain", "0-2", "3", "3"], ["B  less", "0-2", "3", "3"]]
    assert [list(row) for row in differs.rows] == [["noise.dropout.rate", "0.5", "0.25"]]
    every = parts_of(sections, Table, "every-run")[0]
    assert len(every.rows) == 6 and every.rows[0][0] == "A  plain-0"
    assert [key["run"] for key in every.keys] == ["0"] * 3 + ["1"] * 3


def test_keys_that_decide_nothing_stand_apart(make):
    idle = {"pictures": 3, "workers": 3, "save_every": 7, "log_every": 9}
    sections = sections_of_runs([make("a"), make("b", overrides={**idle, "noise.dropout.rate": 0.25})])
    (differs,) = [part for part in sections[0].parts if isinstance(part, Table) and part.head[0] == "key"]
    assert [row[0] for row in differs.rows] == ["noise.dropout.rate"]
    (folded,) = [part for part in sections[0].parts if isinstance(part, Folded)]
    assert {row[0] for row in folded.parts[0].rows} == {*idle}


def test_a_column_stands_at_one_side():
    table = Table(["key", "A", "B"], [["rate", "0.5", "none"], ["steps", "7", "–"]])
    assert numeric_columns(table) == [False, True, False]


def test_the_difference_is_a_dot_with_its_interval(two):
    expected = paired_difference([0.75, 0.77, 0.79], [0.8, 0.81, 0.82])
    figure = titled(sections_of_runs(two), "Difference to the first recipe")
    (dot,) = figure.data
    assert dot["x"] == pytest.approx([100 * expected.mean])
    assert dot["error_x"]["array"] == pytest.approx([100 * expected.half_width], rel=1e-4)
    assert dot["meta"]["run"] == "1" and dot["meta"]["color"] == 1
    assert figure.layout["yaxis"]["ticktext"] == ["B  less  minus A"]
    assert figure.layout["shapes"][0]["x0"] == 0


def test_seeds_are_dots_joined_by_lines(two):
    figure = titled(sections_of_runs(two), "Final test accuracy")
    lines = [trace for trace in figure.data if trace["mode"] == "lines"]
    assert (lines[0]["x"], lines[0]["y"]) == ([0.8, 0.75], [0, 1])
    assert len(lines) == 3
    dots = [trace for trace in figure.data if "text" in trace]
    assert [trace["x"] for trace in dots] == [[0.8, 0.81, 0.82], [0.75, 0.77, 0.79]]
    assert dots[0]["marker"]["symbol"] != dots[1]["marker"]["symbol"]


def test_learning_curves_have_single_runs_means_and_ranges(two):
    figure = titled(sections_of_runs(two), "Test accuracy while training")
    bands = [trace for trace in figure.data if trace.get("fill") == "toself"]
    thin = [trace for trace in figure.data if not trace.get("fill") and trace.get("showlegend") is False]
    means = [trace for trace in figure.data if trace.get("showlegend", True)]
    assert (len(bands), len(thin), len(means)) == (2, 6, 2)
    mean = means[0]
    assert mean["x"] == [10, 20, 30, 40, None, 50, 60, 70, 80]
    assert mean["y"][-1] == pytest.approx(0.81)
    assert (min(bands[0]["y"][9:]), max(bands[0]["y"][9:])) == pytest.approx((0.2, 0.82))
    assert means[0]["line"]["dash"] != means[1]["line"]["dash"]
    assert [row[:2] for row in map(list, figure.table.rows)] == [["A  plain", "3"], ["B  less", "3"]]


def test_generations_have_a_mean_for_each_recipe(two):
    figure = titled(sections_of_runs(two), "Test accuracy by generation")
    mean = next(trace for trace in figure.data if trace["mode"] == "lines+markers")
    assert mean["x"] == [0, 1] and mean["y"] == pytest.approx([0.7, 0.81])


def test_what_one_generation_has_is_told_recipe_by_recipe(two):
    figure = titled(sections_of_runs(two), "Precision of the pseudo-labels")
    assert figure.layout["yaxis"]["ticktext"] == ["A  plain", "B  less"]
    seeds = [trace for trace in figure.data if trace.get("text", [""])[0] == "seed 0"]
    assert [trace["x"] for trace in seeds] == [[0.6] * 3] * 2 and [trace["y"] for trace in seeds] == [[0] * 3, [1] * 3]
    assert figure.table.rows == [["A  plain", "60.00% ± 0.00"], ["B  less", "60.00% ± 0.00"]]
    assert "generation 1, the only one" in figure.says


def test_runs_that_are_measured_at_a_generations_end_have_no_curve_of_it(make):
    runs = [make("a"), make("b", overrides={"steps": 7})]
    for run in runs:
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        kept = [one for one in log if one["kind"] != "evaluation"]
        (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in kept))
    titles = [figure.title for figure in parts_of(sections_of_runs(runs), Figure)]
    assert "Test accuracy while training" not in titles and "Loss: supervised" in titles
    assert {"Test accuracy by generation", "Validation accuracy by generation"} <= {*titles}


def test_a_point_that_stands_alone_is_a_mark():
    whose = Whose("a", 0)
    assert line(whose, [1, None, 2], [0.5, None, 0.6])["mode"] == "lines+markers"
    assert thin("a", whose, [1, 2, 3, 4], [0.5, 0.6, None, 0.7])["mode"] == "lines+markers"
    assert line(whose, [1, 2, 3, 4], [0.5, 0.6, 0.7, None])["mode"] == "lines"


def test_ranges_of_many_recipes_are_not_laid_over_each_other(make):
    for count, bands in ((3, 3), (4, 0)):
        runs = [make(f"{count}-{n}-{seed}", seed, overrides={"steps": 7 + n}) for n in range(count) for seed in (0, 1)]
        sections = sections_of_runs(runs)
        for title in ("Test accuracy while training", "Test accuracy by generation"):
            traces = titled(sections, title).data
            assert len([trace for trace in traces if trace.get("fill")]) == bands
            assert len([trace for trace in traces if trace.get("opacity") == 0.4]) == 2 * count
        assert ("band reaches" in said(sections, "learning")) == bool(bands)


def test_a_share_that_never_changes_is_told_by_generation_alone(make):
    run = make("a")
    title = "Share of unlabeled images in use"
    assert [figure.title for figure in parts_of(sections_of_runs([run, make("b", 1)]), Figure, "learning")] == [
        "Test accuracy while training", "Loss: supervised"]  # fmt: skip
    log = (run / "metrics.jsonl").read_text().replace('"kept_share": 0.5', '"kept_share": 0.25', 1)
    (run / "metrics.jsonl").write_text(log)
    assert titled(sections_of_runs([run, make("c", 1)])[2:3], title).data


def test_a_legend_of_many_names_makes_a_figure_taller(make):
    heights = [
        titled(sections_of_runs([make(f"{count}-{n}", overrides={"steps": 7 + n}) for n in range(count)]),
               "Test accuracy by generation").layout["height"] for count in (2, 9)
    ]  # fmt: skip
    assert heights[1] > heights[0] + 60


def test_ticks_of_shares_that_are_close_differ(make):
    runs = [make("a", tests=(0.991, 0.993)), make("b", tests=(0.995, 0.992), overrides={"steps": 7})]
    assert titled(sections_of_runs(runs), "Test accuracy by generation").layout["yaxis"]["tickformat"] == ".2~%"
    spans = ([0.1, None, 0.5], [0.9, 0.95], [1.0, 1.0], [0.993, 0.994])
    assert [share_ticks(own) for own in spans] == [".0%", ".1~%", ".0%", ".3~%"]


@pytest.mark.parametrize(
    "measure, words",
    [
        ("test_fgsm_8", "test accuracy under FGSM, epsilon 8/255"),
        ("test_pgd_l2_128", "test accuracy under PGD L2, epsilon 128/255"),
        ("validation_fgsm_1.5", "validation accuracy under FGSM, epsilon 1.5/255"),
        ("test_corruption_error", "test error on corrupted images"),
        ("validation_ece", "validation ECE"),
        ("test_mce_without_frost", "test mCE without frost"),
        ("pseudo_label_coverage", "pseudo-label coverage"),
    ],
)
def test_measures_are_told_in_words(measure, words):
    assert readable(measure) == words


def test_of_many_recipes_everything_that_was_measured_goes_down(make):
    measured = {"test_ece": 0.1, "test_nll": 0.5}
    runs = [make(f"run-{n}", overrides={"steps": 7 + n}, metrics=measured) for n in range(3)]
    (table,) = parts_of(sections_of_runs(runs[:2]), Table, "measures")
    assert (table.head[0], [row[0] for row in table.rows]) == ("measure", ["test ECE", "test NLL"])
    (table,) = parts_of(sections_of_runs(runs), Table, "measures")
    assert list(table.head) == ["recipe", "test ECE", "test NLL"]
    assert table.rows[2] == ["C  run-2", "10.00%", "0.5"] and table.keys[2]["run"] == "2"


def test_a_recipe_of_a_single_generation_is_a_level_line(make):
    runs = [make("a"), make("alone", tests=(0.85,), overrides={"steps": 7})]
    figure = titled(sections_of_runs(runs), "Test accuracy by generation")
    assert [(trace["x"], trace["y"]) for trace in figure.data] == [([0, 1], [0.8, 0.9]), ([0, 1], [0.85, 0.85])]
    assert "single generation" in figure.says
    assert figure.table.rows[1][1:] == ["85.00%", "–"]


def test_one_seed_has_no_interval_and_it_is_said_why(make):
    runs = [make("a"), make("b", overrides={"noise.dropout.rate": 0.25}, tests=(0.8, 0.95))]
    sections = sections_of_runs(runs)
    (dot,) = titled(sections, "Difference to the first recipe").data
    assert "error_x" not in dot and dot["marker"]["symbol"] == "circle-open"
    assert "one pair says nothing about chance" in said(sections, "accuracy")
    assert "Of A, B there is one seed only" in said(sections, "accuracy")


def test_runs_over_other_classes_are_shown_and_not_compared(make):
    runs = [make("a"), make("b", classes="abcd", tests=(0.5, 0.6)), make("c", overrides={"noise.dropout.rate": 0.25})]
    sections = sections_of_runs(runs)
    warning = next(part for part in parts_of(sections, Prose) if part.kind == "warning")
    assert "different classes (A, B: 3 classes (a, b, c); C: 4 classes (a, b, c, d))" in warning.text
    ours = titled(sections, "Difference to the first recipe, 3 classes (a, b, c)")
    assert ours.layout["yaxis"]["ticktext"] == ["B  c  minus A"]
    figures = parts_of(sections, Figure, "accuracy")
    assert [figure.title for figure in figures if figure.title.startswith("Final")] == [
        "Final test accuracy, 3 classes (a, b, c)", "Final test accuracy, 4 classes (a, b, c, d)",
    ]  # fmt: skip
    assert len(figures) == 3
    assert {trace["name"] for trace in titled(sections, "Test accuracy while training").data} == {
        "A  a",
        "B  c",
        "C  b",
    }


def test_one_recipe_over_other_classes_is_not_one(make):
    sections = sections_of_runs([make("run-1", 0), make("run-2", 1, classes="xyz")])
    rows = parts_of(sections, Table, "compared")[0].rows
    assert len(rows) == 2 and len({row[0] for row in rows}) == 2
    assert not [figure for figure in parts_of(sections, Figure) if figure.title.startswith("Difference")]


def test_other_test_images_are_told(make):
    text = said(sections_of_runs([make("a"), make("b", overrides={"steps": 7}, test_data="other")]))
    assert "Not measured on the same test images as a: b" in text


def test_what_is_not_finished_or_damaged_is_told_and_the_rest_stands(make):
    whole, open_, bare, broken = (
        make("whole"),
        make("open", 1, status="interrupted"),
        make("bare", 2, log=False),
        make("broken", 3),
    )
    with (whole / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "gener\nnothing\n')
    (broken / "summary.json").write_text("{")
    sections = sections_of_runs([whole, open_, bare, broken])
    text = said(sections, "compared")
    assert "Skipped in the metrics.jsonl of whole: 2 damaged lines" in text
    assert "Not finished, so without a final result: open (interrupted)" in text
    assert "Without a metrics.jsonl, so without learning curves: bare" in text
    assert f"Damaged: {broken}: summary.json cannot be read" in text
    assert parts_of(sections, Table, "accuracy")[0].rows[0][1] == "2"


def test_unfinished_runs_enter_no_mean(make):
    runs = [make("a", 0, (0.5, 0.6)), make("b", 1, (0.7, 0.8)), make("c", 2, (0.1,), status="running")]
    figure = titled(sections_of_runs(runs), "Test accuracy while training")
    mean = next(trace for trace in figure.data if trace.get("showlegend", True))
    assert mean["y"][-1] == pytest.approx(0.7)
    assert len([trace for trace in figure.data if trace.get("opacity") == 0.4]) == 3


def test_no_finished_run_is_no_error(make):
    sections = sections_of_runs([make("a", status="running"), make("b", 1, (), status="failed")])
    assert "No run is finished" in said(sections, "accuracy")


def test_only_damaged_runs_are_told(make):
    folder = make("a")
    (folder / "recipe.toml").write_text("steps = [")
    assert f"Damaged: {folder}: recipe.toml cannot be read" in said(sections_of_runs([folder]))


def test_a_path_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is no run folder"):
        sections_of_runs([tmp_path / "nothing"])


def test_an_older_summary_says_what_it_can(make):
    folder = make("a", log=False)
    summary = {
        "status": "finished",
        "generations": [{"test_accuracy": 0.5}, {"test_accuracy": 0.6, "metrics": [], "timing": 3}],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "environment.json").unlink()
    sections = sections_of_runs([folder, make("b", 1, sslkit="0.0.1")])
    assert parts_of(sections, Table, "accuracy")[0].rows[0][1] == "2"


ATTACK = {"test_fgsm": {"0": {"accuracy": 0.9}, "4": {"accuracy": 0.5}, "16": {"accuracy": 0.1}}, "test_fgsm_4": 0.5}
FOG, SNOW = {"1": 0.1, "3": 0.5, "mean": 0.2, "ce": None}, {"1": 0.3, "3": None, "mean": 0.3}
CORRUPTED = {
    "test_corruptions": {"gaussian_noise": FOG, "snow": SNOW, "frost (drawn)": {"1": 0.9, "mean": 0.4}},
    "test_nll": 0.321,
}


def test_robustness_is_overlaid_from_summaries_and_kept_evaluations(make):
    plain, other = make("a", metrics=ATTACK), make("b", overrides={"steps": 7})
    weaker = {
        "test_fgsm": {"0": {"accuracy": 0.8}, "2": {"accuracy": 0.3}, "all": {"accuracy": 1}, "8": {"accuracy": None}}
    }
    (other / "evaluations").mkdir()
    kept = {"generation": 1, "weights": "average", "metrics": {**weaker, **CORRUPTED}, "warnings": []}
    (other / "evaluations" / "generation-1-abc.json").write_text(json.dumps(kept))
    (other / "evaluations" / "generation-1-def.json").write_text("{")
    early = {**kept, "generation": 0, "metrics": {"test_fgsm": {"0": {"accuracy": 0.0}}}}
    (other / "evaluations" / "generation-0-abc.json").write_text(json.dumps(early))
    sections = sections_of_runs([plain, other])
    first, second = titled(sections, "Test accuracy under FGSM").data
    assert (first["x"], first["y"]) == ([0, 4, 16], [0.9, 0.5, 0.1])
    assert (second["x"], second["y"]) == ([0, 2], [0.8, 0.3])
    (severities,) = titled(sections, "Test error by severity of corruptions").data
    assert (severities["x"], severities["y"]) == ([1, 3], [0.2, 0.5])
    (corrupted,) = titled(sections, "Test error under corruptions").data
    assert corrupted["x"] == [0.2, 0.3, 0.4] and corrupted["meta"]["color"] == 1
    rows = titled(sections, "Test error under corruptions").layout["yaxis"]["ticktext"]
    assert rows == ["gaussian noise", "snow", "frost (drawn)"]
    assert titled(sections, "Test error by severity of corruptions").layout["xaxis"]["ticktext"] == ["1", "3"]
    measures = {row[0]: list(row[1:]) for row in parts_of(sections, Table, "measures")[0].rows}
    assert measures == {"test accuracy under FGSM, epsilon 4/255": ["50.00%", "–"], "test NLL": ["–", "0.321"]}


def test_filters_name_every_recipe_once(two):
    (own,) = filters_of(sections_of_runs(two))
    assert own.key == "run" and own.options == [("0", "A  plain"), ("1", "B  less")]
    assert filters_of(sections_of_runs(two[:3])) == []


# Studies ----------------------------------------------------------------------------------------------------------


def measured(values, other=None, **more):
    found = None if other is None else paired_difference(values, other, 0.975)
    table = (
        {"mean": found.mean, "half_width": found.half_width, "p": found.p, "pairs": found.pairs, "level": 0.975}
        if found
        else None
    )
    return {"values": {str(i): one for i, one in enumerate(values)}, "difference": table, "expect": None, "paper": None,
            "verdict": None, "verdict_words": None, **more}  # fmt: skip


BASE, WORSE, MIXED = [0.9, 0.91, 0.92], [0.85, 0.86, 0.868], [0.9, 0.93, 0.89]


@pytest.fixture
def study(make, tmp_path):
    """A study's folder: a base, a variant that is worse, one that is undecided, the base's teacher."""
    folder = tmp_path / "noise"
    runs = {name: {str(seed): f"children/{name}{seed}" for seed in range(3)} for name in ("base", "worse", "mixed")}
    for name, tests in (("base", BASE), ("worse", WORSE), ("mixed", MIXED)):
        for seed, test in enumerate(tests):
            make(f"noise/children/{name}{seed}", seed, (0.7 + seed / 100, test), {"noise.dropout.rate": len(name) / 10})
    worse = measured(
        WORSE, BASE, expect="lower", paper=-0.7, verdict="supported", verdict_words="expected lower: supported"
    )
    mixed = measured(
        MIXED, BASE, expect="lower", verdict="undecided", verdict_words="expected lower: undecided at 3 seeds"
    )
    teacher = measured([0.7, 0.71, 0.72], BASE)
    rows = [
        {"name": "base", "kind": "base", "against": None, "measures": {"test_accuracy": measured(BASE)}, "runs": runs["base"]},
        {"name": "worse", "kind": "variant", "against": "base", "measures": {"test_accuracy": worse}, "runs": runs["worse"]},
        {"name": "mixed", "kind": "variant", "against": "base", "measures": {"test_accuracy": mixed}, "runs": runs["mixed"]},
        {"name": "teacher", "kind": "variant", "against": "base", "generation": 0, "measures": {"test_accuracy": teacher},
         "runs": runs["base"]},
    ]  # fmt: skip
    table = {"study": "noise", "finding": "Noise is why students learn.", "source": "Table 6", "command": "sslkit study noise",
             "seeds": [0, 1, 2], "measures": ["test_accuracy"], "rows": rows, "versions": {"torch": ["2.6.0"]},
             "devices": ["cpu"], "notes": ["Generations of the same runs: base, teacher."], "failures": []}  # fmt: skip

    def write(**changes):
        (folder / "results.json").write_text(json.dumps({**table, **changes}))
        return folder

    write.rows = rows
    return write


def test_a_study_tells_its_finding_and_its_verdicts_in_words_with_marks(study):
    sections = sections_of_study(study())
    assert keys(sections)[:3] == ["finding", "differences", "seeds"] and keys(sections)[-1] == "again"
    text = said(sections, "finding")
    assert "Noise is why students learn." in text and "Table 6" in text
    assert "Of 2 comparisons: ✓ 1 supported, ? 1 undecided." in text
    assert not parts_of(sections, Table, "finding")  # the verdicts stand in the table of differences, once
    assert "Generations of the same runs: base, teacher." in text


def test_the_papers_difference_stands_hollow_beside_the_own(study):
    figure = titled(sections_of_study(study()), "Differences of test accuracy")
    *own, paper = figure.data
    assert [trace["name"] for trace in own] == ["worse", "mixed", "teacher"]
    assert paper["x"] == [-0.7] and paper["y"] == [0] and paper["marker"]["symbol"].endswith("-open")
    expected = paired_difference(WORSE, BASE, 0.975)
    assert own[0]["error_x"]["array"] == pytest.approx([100 * expected.half_width], rel=1e-4)
    assert figure.layout["yaxis"]["ticktext"] == ["worse  ✓", "mixed  ?", "teacher"]
    assert [trace["meta"]["color"] for trace in own] == [1, 2, 3]
    legend = said(sections_of_study(study()), "differences")
    assert "97.5% t intervals" in legend and "all 2 comparisons" in legend


def test_the_table_has_every_row_with_its_verdict(study):
    rows = {row[0]: list(row[1:]) for row in parts_of(sections_of_study(study()), Table, "differences")[0].rows}
    assert rows["base"] == ["91.00% ± 1.00", "–", "–", "–", ""]
    assert rows["worse"][1] == "-5.07" and rows["worse"][3:] == ["-0.70", "✓ expected lower: supported"]
    assert rows["mixed"][-1] == "? expected lower: undecided at 3 seeds" and rows["teacher"][-1] == ""


def test_rows_that_are_compared_with_others_than_the_base_say_with_whom(study):
    rows = [*study.rows[:2], {**study.rows[2], "against": "worse"}]
    table = parts_of(sections_of_study(study(rows=rows)), Table, "differences")[0]
    assert list(table.head[2:4]) == ["minus", "difference"]
    assert [row[2] for row in table.rows] == ["", "base", "worse"]
    figure = titled(sections_of_study(study(rows=rows)), "Differences of test accuracy")
    assert [trace["text"] for trace in figure.data[:2]] == [["minus base"], ["minus worse"]]


def test_a_gain_that_is_expected_to_stay_small_has_its_verdict_too(study):
    gain = "40% of the base's gain over its teacher, expected below 50%: yes"
    rows = [study.rows[0], {**study.rows[1], "verdict": f"expected lower: supported; {gain}"}]
    assert f"worse: {gain}" in said(sections_of_study(study(rows=rows)), "finding")


def test_filters_of_a_study_are_its_rows(study):
    (own,) = filters_of(sections_of_study(study()))
    assert own.options == [("0", "base"), ("1", "worse"), ("2", "mixed"), ("3", "teacher")]


def test_rows_that_are_generations_of_the_same_runs_are_drawn_once(study):
    sections = sections_of_study(study())
    figure = titled(sections, "Test accuracy while training")
    assert {trace["name"] for trace in figure.data if trace.get("showlegend", True)} == {
        "base, teacher",
        "worse",
        "mixed",
    }
    by_generation = titled(sections, "Test accuracy by generation")
    assert [row[0] for row in by_generation.table.rows] == ["base, teacher", "worse", "mixed"]
    assert by_generation.table.rows[0][1] == "71.00% ± 1.00"


def test_several_measures_are_a_choice(study):
    rows = [
        {**row, "measures": {**row["measures"], "test_nll": measured([1.5, 2.0, 2.5], [1.0, 1.0, 1.0])}}
        for row in study.rows
    ]
    sections = sections_of_study(study(rows=rows, measures=["test_accuracy", "test_nll"]))
    choice = parts_of(sections, Choice, "differences")[0]
    assert [name for name, _ in choice.options] == ["test accuracy", "test NLL"]
    figure = titled(sections, "Differences of test NLL")
    assert figure.data[0]["x"] == [1.0] and figure.layout["xaxis"]["title"]["text"] == "test NLL"
    assert titled(sections, "Test NLL of every seed").table.rows[0][1] == "1.5"


def test_verdicts_by_several_measures_stand_together(study):
    more = measured(
        [2.0, 2.5, 3.0], [1.0, 1.0, 1.1], expect="higher", verdict="undecided", verdict_words="expected higher: x"
    )
    rows = [*study.rows[:1], {**study.rows[1], "measures": {**study.rows[1]["measures"], "test_nll": more}}]
    (table,) = parts_of(sections_of_study(study(rows=rows, measures=["test_accuracy", "test_nll"])), Table, "finding")
    assert table.head == ["measure", "worse"]
    assert table.rows == [["test accuracy", "✓ -5.07, supported"], ["test NLL", "? +1.467, undecided"]]


HOSTILE = "<b>x</b> %{x} & $a$ <extra></extra>"


def test_names_are_no_markup_of_plotlys(study):
    rows = json.loads(json.dumps(study.rows).replace('"worse"', json.dumps(HOSTILE)))
    figures = parts_of(sections_of_study(study(rows=rows)), Figure)
    assert {trace["name"] for figure in figures for trace in figure.data} >= {HOSTILE}
    for trace in (safe(trace) for figure in figures for trace in figure.data):
        assert "extra" not in trace.get("hovertemplate", "")  # the one text that plotly is given as it is
        assert not re.search(
            r"<b>|%[{]|[$]", json.dumps({key: own for key, own in trace.items() if key != "hovertemplate"})
        )
    assert any(HOSTILE in text for figure in figures for text in figure.layout["yaxis"].get("ticktext", []))
    assert safe({"ticktext": ["100% {a}"]}) == {"ticktext": ["100% {a}"]}


def test_a_very_long_name_leaves_a_plot_room(study):
    name = "x" * 100 + " with 5 epochs"
    rows = json.loads(json.dumps(study.rows).replace('"worse"', json.dumps(name)))
    ticks = titled(sections_of_study(study(rows=rows)), "Differences of test accuracy").layout["yaxis"]["ticktext"]
    assert len(ticks[0]) == 60 and ticks[0].endswith("5 epochs  ✓")


def test_failures_missing_results_and_lost_runs_are_told(study):
    rows = [*study.rows[:2], {**study.rows[2], "measures": {"test_accuracy": measured(MIXED[:1])},
                              "runs": {"0": "children/gone", "1": "children/mixed1"}}]  # fmt: skip
    failures = [{"uses": [["mixed", 1], ["mixed", 2]], "message": "loss became nan\nmore"}]
    sections = sections_of_study(study(rows=rows, failures=failures))
    assert parts_of(sections, Table, "failures")[0].rows == [
        ["mixed", "1", "loss became nan"],
        ["mixed", "2", "loss became nan"],
    ]
    text = said(sections, "finding")
    assert "2 results are missing" in text
    assert "mixed: results of 1 of 3 seeds so far" in text
    assert "Damaged: mixed, seed 0: recipe.toml cannot be read" in text


def test_a_study_of_one_seed_says_why_nothing_is_sure(study):
    rows = [study.rows[0], {**study.rows[1], "measures": {"test_accuracy": measured(WORSE[:1], BASE[:1], expect="lower",
            verdict="undecided", verdict_words="expected lower: undecided at 1 seed, which has no interval")}}]  # fmt: skip
    sections = sections_of_study(study(rows=rows, seeds=[0], notes=[]))
    assert "One seed: no deviations and no intervals" in said(sections, "finding")
    (dot,) = titled(sections, "Differences of test accuracy").data
    assert "error_x" not in dot


def test_results_of_an_earlier_version_are_read(study):
    rows = [{"name": "base", "kind": "base", "test": {"values": {"0": 0.9}, "mean": 0.9}, "to_base": None, "runs": {}},
            {"name": "x", "test": {"values": {"0": 0.8}}, "to_base": {"mean": -0.1, "half_width": None, "p": None, "pairs": 1}},
            "nothing", {"kind": "nameless"}]  # fmt: skip
    folder = study(rows=rows, measures=None, finding=3, failures="x", versions=None)
    sections = sections_of_study(folder)
    assert titled(sections, "Differences of test accuracy").data[0]["x"] == [-10.0]


def test_results_that_cannot_be_read_leave_the_runs(study):
    folder = study()
    assert is_study(folder) and not is_study(folder / "children")
    (folder / "results.json").write_text("{")
    sections = sections_of_study(folder)
    assert "its verdicts are lost" in said(sections, "finding")
    assert "accuracy" in keys(sections)


def test_several_studies_have_a_section_each(study, tmp_path):
    first, second = study(), tmp_path / "iterations"
    shutil.copytree(first, second)
    table = json.loads((second / "results.json").read_text())
    table |= {"study": "iterations", "finding": "Iteration helps.", "rows": study.rows[:2]}
    (second / "results.json").write_text(json.dumps(table))
    sections = sections_of_studies([first, second])
    assert [(own.key, own.title) for own in sections[1:]] == [("study-1", "noise"), ("study-2", "iterations")]
    assert parts_of(sections, Table, "studies")[0].rows == [
        ["noise", "Noise is why students learn.", "✓ 1 supported, ? 1 undecided"],
        ["iterations", "Iteration helps.", "✓ 1 supported"],
    ]
    assert "Noise is why students learn." in said(sections, "study-1") and "Iteration" in said(sections, "study-2")
    (table,) = parts_of(sections, Table, "study-2")
    assert [row[0] for row in table.rows] == ["base", "worse"]
    assert [figure.title for figure in parts_of(sections, Figure)] == ["Differences of test accuracy"] * 2

    made = report(first, second, out=tmp_path / "both.html")
    page = made.read_text()
    assert "<h1>Report of 2 studies</h1>" in page and page.count('<figure class="plot"') == 2
    assert 'data-key="run"' not in page  # rows of one study are no rows of another
    (second / "results.json").write_text("{")
    assert "results.json cannot be read" in said(sections_of_studies([first, second]), "study-2")


def test_an_interval_is_a_number_in_a_table():
    assert numeric("-5.54 to -3.66") and not numeric("4 to some")


def test_everything_in_a_figure_is_json(study, two):
    for section in [*sections_of_study(study()), *sections_of_runs(two)]:
        for figure in parts_of([section], Figure):
            json.dumps([figure.data, figure.layout], allow_nan=False)


def test_plotly_takes_every_figure_as_it_is(study, two, make):
    graph_objects = pytest.importorskip("plotly.graph_objects")
    more = sections_of_runs([make("robust", metrics={**ATTACK, **CORRUPTED}), *two[:1]])
    for figure in parts_of([*sections_of_study(study()), *sections_of_runs(two), *more], Figure):
        made = graph_objects.Figure({"data": figure.data, "layout": figure.layout})  # validates every key and value
        assert len(made.data) == len(figure.data) > 0
        assert figure.says
