"""Writes the README's pictures: check.svg (what `sslkit check` draws; it is there as text, too), live.svg (a run's live
view), run.svg (its end), report.png (how its report begins, in Chromium by playwright).

python docs/picture.py runs/noisy_student
python docs/picture.py runs/noisy_student report    # report.png alone
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from generate import inserted
from rich.console import Console, RenderableType
from rich.text import Text

from sslkit import Run, report
from sslkit.check.examine import examine
from sslkit.check.tree import draw
from sslkit.recipe import load
from sslkit.screen import Screen
from sslkit.story import Place, Story, Told
from sslkit.tables import results

HERE = Path(__file__).parent
AT = (2, 200)
"The generation and step that the live view is drawn at."


def write(name: str, width: int, command: str, *parts: RenderableType) -> None:
    """A picture of a terminal: a command and what it prints."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "bold"), command), *parts, sep="\n")
    (HERE / name).write_text(console.export_svg(title="sslkit"))


def as_text(width: int, part: RenderableType) -> str:
    """What a pipe gets."""
    console = Console(width=width, file=(file := io.StringIO()), highlight=False)
    console.print(part)
    return file.getvalue()


def live(run: Run) -> Screen:
    """The view of a run as it was at a step of it, from its log."""
    story, steps = Story(), [cfg.settings.steps for cfg in run.recipe().generations]
    if baseline := run.summary["baseline"]:
        story.hear(Told("baseline", Place(), baseline))
    for line in map(json.loads, (run.folder / "metrics.jsonl").read_text().splitlines()):
        at = line.pop("generation"), line.pop("step")
        if at <= AT:
            story.hear(Told(line.pop("kind"), Place(*at, steps[at[0]]), line))
    return Screen(story)


def photograph(folder: str) -> None:
    """How a report begins: what came out, and accuracy by generation. What stands between them is left out."""
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as place, sync_playwright() as play:
        page = report(folder, out=Path(place) / "report.html")
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 1010})
        tab.goto(page.resolve().as_uri(), timeout=180_000)
        tab.evaluate("for (const one of document.querySelectorAll('#setup, #data')) one.hidden = true")
        tab.evaluate("all('.plot').filter((one) => one.closest('#accuracy')).forEach(draw)")
        tab.screenshot(path=HERE / "report.png", timeout=180_000)
        browser.close()


def main(folder: str, only: str = "") -> None:
    """The pictures of the run in `folder`; `report`: that one only."""
    photograph(folder)
    if only == "report":
        return
    run = Run(folder)
    name = run.summary["recipe"]
    tree = draw(examine(load(name), torch.device("cpu")))
    write("check.svg", 104, f"sslkit check {name}", tree)
    readme = HERE.parent / "README.md"
    readme.write_text(inserted(readme.read_text(), "check", f"\n```text\n{as_text(104, tree)}```\n\n"))
    write("live.svg", 76, f"sslkit run {name}", live(run))
    write("run.svg", 76, f"sslkit run recipes/{name}.toml", results(run.summary, f"runs/{name}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
