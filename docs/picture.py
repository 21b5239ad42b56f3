"""Writes the README's pictures: check.svg (what `sslkit check` draws; it is there as text, too), live.svg (a run's live
view), run.svg (its end).

python docs/picture.py runs/noisy_student
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import torch
from generate import inserted
from rich.console import Console, RenderableType
from rich.text import Text

from sslkit import Run
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


def main(folder: str) -> None:
    """The pictures of the run in `folder`."""
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
