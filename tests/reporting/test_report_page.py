"""The page itself: one file that asks for nothing, in which no name is markup; and the command that writes it."""

import json
import re
import subprocess
import sys

import pytest
from made_up import CLASSES, write_run

import sslkit
from sslkit.errors import RunError
from sslkit.pages import as_json, digest, policy
from sslkit.reporting.making import make, report
from sslkit.reporting.parts import Code, Figure, Number, Numbers, Prose, Report, Section, Table
from sslkit.reporting.script import SCRIPT
from sslkit.reporting.writing import numeric, safe, written

HOSTILE = "</script><script>window.hacked=1</script>\u2028<b>&"


def shown(*parts, **more):
    return written(Report(HOSTILE, [HOSTILE], [Section("one", HOSTILE, parts)], **more))


# Safety -----------------------------------------------------------------------------------------------------------


def test_no_text_becomes_markup_wherever_it_stands():
    figure = Figure(
        HOSTILE, [{"type": "bar", "x": [HOSTILE], "y": [1], "name": HOSTILE}], {"xaxis": {"title": HOSTILE}}, HOSTILE
    )
    table = Table([HOSTILE], [[HOSTILE]], HOSTILE, [{"class": HOSTILE}])
    page = shown(Prose(HOSTILE), Code(HOSTILE, HOSTILE), Numbers([Number(HOSTILE, HOSTILE)]), table, figure)
    assert "window.hacked=1</script>" not in page
    assert page.count("<script") == 3 and page.count("</script>") == 3  # the figure's, plotly's, ours
    assert page.count("&lt;script&gt;") > 10


def test_json_ends_no_script_and_no_line():
    text = as_json({"a": HOSTILE})
    assert not set("<>&\u2028") & set(text) and json.loads(text) == {"a": HOSTILE}
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))


def test_what_plotly_gets_is_no_markup_and_no_nan():
    trace = {
        "name": "<b>&",
        "y": [1.23456789, float("nan"), None],
        "hovertemplate": "%{y}<extra></extra>",
        "x": ("a<",),
    }
    made = safe(trace)
    assert made == {
        "name": "&lt;b&gt;&amp;",
        "y": [1.2346, None, None],
        "hovertemplate": "%{y}<extra></extra>",
        "x": ["a&lt;"],
    }


def test_only_our_scripts_may_run():
    page = shown(Prose("text"))
    assert "default-src 'none'" in page and f"'sha256-{digest(SCRIPT)}'" in page
    assert "connect-src" not in page and "http-equiv" in page
    assert policy("a", "b").count("sha256-") == 2
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)", page)


@pytest.mark.parametrize(
    "cell", ["1,234", "95.28%", "+4.72", "–", "1.5 s (20%)", "0.04776", "1.2e-05", "81.00% ± 0.71%"]
)
def test_numbers_stand_at_the_right(cell):
    assert numeric(cell)


@pytest.mark.parametrize("cell", ["student 2", "12 is", "a1", "2 kinds", "=1+1"])
def test_words_stand_at_the_left(cell):
    assert not numeric(cell)


# The command ------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_its_name_and_its_report_lies_in_it(here, report):
    said = report("photos")
    assert "runs/photos/report.html" in said and "MB" in said
    page = (here / "runs" / "photos" / "report.html").read_text()
    assert page.startswith("<!doctype html>") and "Report of photos" in page
    assert "<img src=x" not in page and "&lt;img src=x onerror=hacked=1&gt;" in page


def test_it_is_written_anew_but_over_nothing_else(here, report, refused):
    report("photos", "-o", "mine.html")
    report("photos", "--out", "mine.html")
    (here / "letter.html").write_text("<p>Dear friend")
    assert "is no report" in refused("photos", "-o", "letter.html")
    assert (here / "letter.html").read_text() == "<p>Dear friend"
    report("photos", "-o", "letter.html", "--force")
    assert "Report of photos" in (here / "letter.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/nothing-there"], "runs beside it: runs/old, runs/photos"),
        (["nothing-there"], "runs in runs: runs/old, runs/photos"),
        (["photo"], "Did you mean `runs/photos`?"),
        (["runs/photos/recipe.toml"], "is no run folder"),
        (["photos", "-o", "nowhere/a.html"], "there is no folder nowhere"),
        (["photos", "-o", "runs"], "is a folder"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_is_refused_in_words(here, refused, arguments, words):
    assert words in refused(*arguments)
    assert not list(here.glob("**/*.html"))


def test_a_folder_without_runs_is_refused(here, refused):
    (here / "empty").mkdir()
    assert "holds no run" in refused("empty")


def test_unfinished_and_damaged_runs_are_warned_of(here, report):
    for name, text in (("old", '{"status": "interrupted", "generations": []}'), ("photos", "{")):
        (here / "runs" / name / "summary.json").write_text(text)
    said = report("runs")
    assert "warning: 1 run not finished: runs/old" in said and "photos: summary.json cannot be read" in said
    assert (here / "runs" / "report.html").is_file()


def test_damaged_lines_and_logs_that_are_gone_are_warned_of(here, report):
    with (here / "runs" / "photos" / "metrics.jsonl").open("a") as file:
        file.write("not json\n{\n")
    (here / "runs" / "old" / "metrics.jsonl").unlink()
    assert "warning: runs/photos: 2 damaged lines of metrics.jsonl were skipped" in report("photos")
    assert "warning: runs/old: There is no metrics.jsonl: without it there are no learning curves" in report("old")
    page = (here / "runs" / "old" / "report.html").read_text()
    assert page.index("There is no metrics.jsonl") < page.index('id="setup"')


def test_several_runs_have_one_page_in_the_working_folder(here, report):
    assert "a report of 2 runs: report.html" in report("photos", "old")
    page = (here / "report.html").read_text()
    assert "Report of 2 runs" in page and page.count('<option value="1">old</option>') == 1


def test_a_run_of_an_earlier_version_has_its_page(here, report):
    report("old")
    page = (here / "runs" / "old" / "report.html").read_text()
    assert "before runs kept some" in page and "Robustness was not measured." in page


def test_python_answers_where_the_page_is(here):
    assert sslkit.report("runs/photos") == here.joinpath("runs/photos/report.html").relative_to(here)
    assert sslkit.report("runs/photos", out=here / "b.html") == here / "b.html"
    with pytest.raises(RunError, match="is no run folder"):
        report("runs/nothing")
    with pytest.raises(RunError, match="no run is named"):
        report()


def test_a_page_that_cannot_be_written_leaves_nothing(here, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", _full)
    with pytest.raises(RunError, match="No space left"):
        make([here / "runs" / "photos"], here / "a.html")
    assert not list(here.glob("*.html")) and not list(here.glob(".*writing"))


def _full(path, *args, **more):
    raise OSError(28, "No space left on device")


def test_neither_torch_nor_plotly_is_waited_for(made, tmp_path):
    code = (
        "import sys; from sslkit.reporting.making import make; from pathlib import Path\n"
        f"make([Path({str(made / 'runs' / 'old')!r})], Path({str(tmp_path / 'a.html')!r}))\n"
        "print(sorted({'torch', 'timm', 'plotly', 'cv2', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['plotly']")  # its package, for the file in it: no figure class


def test_many_points_make_a_small_page(tmp_path):
    run = write_run(tmp_path / "run", full=False)
    line = {"kind": "step", "generation": 2, "lr": 0.123456789, "kept_share": 0.8, "timing": {}, "time": 1.0}
    with (run / "metrics.jsonl").open("a") as file:
        for step in range(41, 10_000):
            file.write(
                json.dumps({**line, "step": step, "losses": {"supervised": 1 / step, "distillation": 2 / step}}) + "\n"
            )
    page = make([run], tmp_path / "a.html").path
    assert page.stat().st_size < 5_200_000


def test_labels_of_every_class_are_in_the_filter(photos):
    from sslkit.reporting.story import story_of_run

    one, other = story_of_run(photos).filters
    assert [value for value, _ in one.options] == ["0", "1", "2", "baseline"] and one.many
    assert [name for _, name in other.options] == list(CLASSES)
