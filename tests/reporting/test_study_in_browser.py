"""The study of noise, in the small, from its command to its page in a browser: what a person sees of a claim."""

import json

import pytest
from click.testing import CliRunner
from in_process import Here

from sslkit import cli
from sslkit.study import cores, crew

TINY = """
extends = "settings/digits_study"
steps = 2
batch = { labeled = 8, unlabeled = 16 }
model = { size = 8 }
data = { test = 100, validation = 0 }
[[labeler]]
name = "confidence"
threshold = 0.0                      # after two steps nobody is sure of anything
"""
ROWS = 7


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of the finished study, two seeds of each row, and its report."""
    place = tmp_path_factory.mktemp("claim")
    (place / "tiny.toml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(crew, "context", Here)
        patch.setattr(cores, "cores", lambda: 1)
        for words in (
            ["study", "noise", "--base", "tiny.toml", "--seeds", "200,201"],
            ["report", "runs/studies/noise-tiny"],
        ):
            done = CliRunner().invoke(cli.cli, words, prog_name="sslkit")
            assert done.exit_code == 0, done.output
    return place / "runs" / "studies" / "noise-tiny"


def test_the_page_of_a_study_tells_its_claim_and_what_became_of_it(study, chromium):
    rows = json.loads((study / "results.json").read_text())["rows"]
    (path,) = (*study.glob("report.html"), *study.parents[2].glob("report.html"))
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    tab, wrong, asked = context.new_page(), [], []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    words = tab.locator("main").inner_text()
    assert "noise is why" in words and "Xie et al." in words and "undecided at 2 seeds" in words
    assert len(rows) == ROWS and all(row["name"] in words for row in rows)
    forest = tab.locator(".plot", has_text="Differences of test accuracy").first
    forest.scroll_into_view_if_needed()
    forest.locator(".js-plotly-plot svg.main-svg").first.wait_for()
    drawn = forest.locator(".canvas").evaluate("one => one.data.flatMap(trace => trace.x || []).length")
    assert drawn >= ROWS - 1 + 4, "each difference, and four that the paper measured"
    box = forest.bounding_box()
    assert box["width"] > 500 and box["height"] > 200
    tab.locator("#filters input").first.uncheck()
    assert "hidden" in tab.locator("#told").inner_text()
    assert wrong == [] and [url for url in asked if url.startswith("http")] == []
    context.close()
