"""Cards of the methods, and the table of all of them: from each recipe, and from what its authors' notes say of it.

A card's composition is what `sslkit check` draws, without what a machine measures; its cost is counted (`rows.py`).
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rows
import torch
from rich.console import Console

from sslkit.check.picture import picture
from sslkit.check.probe import compose
from sslkit.check.tree import draw
from sslkit.hookspecs import hooks_of
from sslkit.opening import open_data
from sslkit.recipe import load, shipped
from sslkit.recipe.model import Entry, Generation, Recipe
from sslkit.state import facts_of

HERE = Path(__file__).parent / "methods"
NOTES = HERE / "notes"
NOTE = "<!-- Written by `python docs/generate.py` from notes/{name}.md and the recipe; do not edit. -->\n"
WIDTH = 100
ARXIV = re.compile(r"\barXiv:?\s?(\d{4}\.\d{4,5})")
SECTIONS = ("When to choose it", "The paper", "What differs from the paper")
PLAIN = ("batch", "optimizer")
PLUGINS = ("noise", "labeler", "loss", "schedule")
UNSAID = ("name", "use", "enabled", "on", "options")
TIMES = {
    "pool": "before training",
    "step": "at each step",
    "both": "before training, and at each step",
    "none": "never",
}


class Notes(NamedTuple):
    """What a person wrote of a method."""

    title: str
    lead: str
    sections: dict[str, str]


def methods() -> list[str]:
    """Recipes with a card: those with notes."""
    return [name for name in shipped() if (NOTES / f"{name}.md").is_file()]


def notes_of(name: str) -> Notes:
    """A method's notes. Raises `ValueError` where a part is missing."""
    text = (NOTES / f"{name}.md").read_text("utf-8")
    head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    title, _, lead = head.strip().partition("\n")
    sections = {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}
    if not title.startswith("# ") or not lead.strip() or tuple(sections) != SECTIONS or not all(sections.values()):
        raise ValueError(f"notes/{name}.md: a title, what it does, and {', '.join(SECTIONS)} are expected")
    return Notes(title.removeprefix("# "), lead.strip(), sections)


def card(name: str) -> str:
    """A method's page."""
    notes, recipe = notes_of(name), load(name)
    linked = ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", notes.sections["The paper"])
    profile = f"cifar10/{name}"
    as_published = f" · [as published on CIFAR-10](../../recipes/{profile}.toml)" if profile in shipped() else ""
    parts = [
        f"# {notes.title}\n", NOTE.format(name=name), notes.lead, "",
        f"`sslkit run {name}` · [the recipe](../../recipes/{name}.toml){as_published}\n",
        "## When to choose it\n", notes.sections["When to choose it"], "",
        "## What it is made of\n", "```text", composition(recipe), "```\n",
        "## What a step costs\n", *costs(name), "",
        "## The paper\n", linked, "",
        "## What differs from the paper\n", notes.sections["What differs from the paper"], "",
        "## Settings\n", *settings(name), "",
    ]  # fmt: skip
    return "\n".join(parts)


def composition(recipe: Recipe) -> str:
    """What `sslkit check` draws before it tries anything, without memory and disk."""
    data = open_data(recipe)
    facts = facts_of(recipe.generations[0], data, torch.device("cpu"))
    console = Console(width=WIDTH, file=(file := io.StringIO()), highlight=False)
    console.print(draw(measureless(picture(recipe, compose(recipe, data), facts, data))))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def measureless(drawn: dict[str, Any]) -> dict[str, Any]:
    """A picture without what depends on the machine."""
    generations = [{**one, "memory": None, "disk": None} for one in drawn["generations"]]
    return {**drawn, "generations": generations, "memory": None, "disk": None}


# Cost -----------------------------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """Rows of a step in a generation of a recipe, at its own batch."""

    formulas: dict[str, tuple[str, str]]
    "Model -> rows through it, rows back."
    forward: int
    total: int


@functools.cache
def costs_of(name: str) -> list[Cost]:
    """Each generation's."""
    recipe, found = load(name), []
    for cfg, counted in zip(recipe.generations, rows.counted(rows.shrunk(name)), strict=True):
        batch = cfg.settings.batch.labeled, cfg.settings.batch.unlabeled
        formulas = {
            role: (rows.formula(n), rows.formula(counted.backward[role])) for role, n in counted.forward.items()
        }
        through, back = (sum(rows.value(both[i], *batch) for both in formulas.values()) for i in (0, 1))
        found.append(Cost(formulas, through, through + 2 * back))
    return found


def costs(name: str) -> Iterator[str]:
    """Rows through each model in a step of l labeled and u unlabeled images, and how that compares with FixMatch's."""
    unit, recipe = costs_of("fixmatch")[0], load(name)
    yield "| generation | l, u | model | rows through it | of them with a way back | relative to FixMatch |"
    yield "|---|---|---|---|---|---|"
    for cfg, cost in zip(recipe.generations, costs_of(name), strict=True):
        batch = cfg.settings.batch
        heads = [str(cfg.index), f"{batch.labeled}, {batch.unlabeled}"]
        for role, (through, back) in cost.formulas.items():
            share = f"{cost.total / unit.total:.2f}" if heads[0] else ""
            yield f"| {' | '.join([*heads, role, through, back, share])} |"
            heads = ["", ""]
    size = load("fixmatch").settings.batch
    yield "\nRows are images that go through a model; one that comes back, with a gradient, counts as two more. A step of"
    yield f"FixMatch's recipe, of {size.labeled} labeled and {size.unlabeled} unlabeled images, is 1.00."
    if any(cfg.settings.labels in ("pool", "both") and cfg.index for cfg in recipe.generations):
        yield "Before a generation each image of the pool goes through the teacher once."


# Settings -------------------------------------------------------------------------------------------------------------


def settings(name: str) -> Iterator[str]:
    """Every number and word of the method: on digits, and as published on CIFAR-10."""
    tables = [load(one).table for one in (name, f"cifar10/{name}") if one in shipped()]
    said = [dict(leaves(table)) for table in tables]
    yield "| setting | digits | CIFAR-10 |" if len(said) > 1 else "| setting | digits |"
    yield "|---|---|---|" if len(said) > 1 else "|---|---|"
    for path in dict.fromkeys(path for one in said for path in one):
        yield f"| `{path}` | {' | '.join(shown(one.get(path)) for one in said)} |"


def leaves(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a recipe says of its steps, optimizer and enabled plugins, by dotted path."""
    generations = table.get("generation") or [{}]
    yield "steps", sum(one.get("steps", table["steps"]) for one in generations)
    for section in PLAIN:
        value = table[section]
        yield from ((f"{section}.{k}", v) for k, v in value.items() if k not in ("options", "clip", "decay"))
    if table.get("step", {}).get("enabled"):
        yield from ((f"step.{key}", value) for key, value in table["step"].items() if key not in UNSAID)
    for section in PLUGINS:
        for one in table.get(section, []):
            if one["enabled"]:
                pairs = [(key, value) for key, value in one.items() if key not in UNSAID]
                yield from ((f"{section}.{one['name']}.{key}", value) for key, value in pairs)


def shown(value: Any) -> str:
    """A setting in a table's cell."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {shown(item)}" for key, item in value.items())
    return "" if value is None else str(value)


# All methods ----------------------------------------------------------------------------------------------------------


def table() -> str:
    """Every method in one line: who teaches, when labels are made, what becomes of them, what is mixed and minimised."""
    head = ["method", "teacher", "labels are made", "refined by", "mixed by", "loss", "rows a step"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name in methods():
        cells = [f"[{notes_of(name).title}]({name}.md)", *line_of(name)]
        lines.append(f"| {' | '.join(cells)} |")
    about = (
        "What each recipe's last generation with unlabeled images is made of. A step has l labeled and u unlabeled "
        "images.\nEach method's page says when to choose it, what it costs, and what differs from its paper.\n"
    )
    return "\n".join(["# Methods\n", NOTE.format(name="*"), about, *lines, ""])


def line_of(name: str) -> list[str]:
    """A method's cells."""
    recipe = load(name)
    cfg = next((one for one in recipe.generations[::-1] if one.settings.batch.unlabeled), recipe.generations[-1])
    cost = costs_of(name)[cfg.index]
    step = [entry.use for entry in cfg.entries() if entry.section == "step"]
    return [
        words(uses(cfg, "make_teacher") or step) or "none",
        TIMES[cfg.settings.labels] if not step else "at each step",
        words(refining(cfg)),
        words(uses(cfg, "mix")),
        words([*uses(cfg, "loss"), *step]),
        ", ".join(f"{role} {through}" for role, (through, _) in cost.formulas.items()),
    ]


def refining(cfg: Generation) -> list[str]:
    """Who changes targets, and who makes them where no plain `soft_labels` does."""
    made = [use for use in uses(cfg, "label") if use != "soft_labels"]
    return [*made, *uses(cfg, "refine"), *uses(cfg, "revise_labeled")]


def uses(cfg: Generation, hook: str) -> list[str]:
    """Plugins with a hook, in order."""
    entries: list[Entry] = cfg.entries()
    return list(dict.fromkeys(entry.use for entry in entries if hook in hooks_of(entry.plugin)))


def words(names: list[str]) -> str:
    """Names in a cell."""
    return ", ".join(f"`{name}`" for name in names)


def cards() -> dict[str, str]:
    """File name below docs/ -> text."""
    return {"methods/README.md": table(), **{f"methods/{name}.md": card(name) for name in methods()}}
