"""`sslkit check`: is this recipe sound, what does it compose, does every loss teach?"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ..hookspecs import hooks_of
from .options import device_option, overrides, seed_option, set_option

OFF = "off: its stream has no teacher yet"


@click.command()
@click.argument("recipe")
@set_option
@seed_option
@device_option
def check(recipe: str, settings: tuple[str, ...], seed: int | None, device: str | None) -> None:
    """Validate RECIPE, print what it composes, and try every loss for a few steps.

    RECIPE is a file or the name of a shipped recipe. Each loss is looked at before its schedule and with filters opened:
    it must not be zero, must give the student a gradient, and must move its weights.
    """
    from ..environment import choose_device, determinism
    from ..errors import SslkitError
    from ..network import check_names, require_timm
    from ..recipe import load

    loaded = load(recipe, overrides(settings), seed)
    require_timm()
    check_names(loaded.generations)
    from ..probe import compose, probe
    from ..state import open_data

    console = Console()
    place = choose_device(device)
    try:
        data = open_data(loaded)
    except SslkitError as error:
        console.print(Text.assemble(("warning ", "yellow"), f"the data is not to be had: {error}"))
        console.print("composed without it, on no device; the losses could not be tried")
        console.print(describe(loaded, compose(loaded, None), None))
        return
    with determinism(loaded.settings.deterministic):
        found = probe(loaded, data, place)
    console.print(describe(loaded, found, data))
    for text in [*data.notes, *loaded.warnings]:
        console.print(Text(f"note: {text}", "dim"))
    dead = [f"generation {p.index}: loss `{t.name}`" for p in found for t in p.terms.values() if not t.alive]
    if dead:
        raise SslkitError("these losses teach nothing (zero, or without a gradient):\n    " + "\n    ".join(dead))
    console.print(Text("every loss is non-zero and moves the student", "green"))


def describe(recipe: Any, found: list[Any], data: Any) -> Tree:
    """The composition as a tree: generations, streams, views, passes, losses."""
    sizes = ", ".join(f"{len(images):,} {name}" for name, images in data.splits.items()) if data else "data not opened"
    tree = Tree(Text.assemble((recipe.name, "bold"), f"   {sizes}"))
    pairs = list(zip(recipe.generations, found, strict=True))
    for _, group in groupby(pairs, lambda pair: composition(*pair)):
        alike = list(group)
        add_generation(tree, *alike[0], last=alike[-1][0].index)
    return tree


def composition(cfg: Any, seen: Any) -> str:
    """What tells one generation from the next; those that differ in nothing are shown as one."""
    plugins = [(e.section, e.name, e.use, e.on, e.when, vars(e.plugin)) for e in cfg.entries()]
    alive = [(term.name, term.alive) for term in seen.terms.values()]
    return repr((cfg.settings, cfg.model, cfg.optimizer, cfg.views, cfg.passes, plugins, seen.teacher, alive))


def add_generation(tree: Tree, cfg: Any, seen: Any, last: int) -> None:
    """One branch: a generation, or several that are alike."""
    entries, settings = cfg.entries(), cfg.settings
    title = f"generation {cfg.index}" if last == cfg.index else f"generations {cfg.index}-{last}"
    branch = tree.add(
        Text.assemble(
            (title, "bold cyan"),
            f"   {seen.model}, {seen.image_size} px, {seen.parameters:,} parameters, {settings.steps:,} steps, ",
            {"scratch": "from scratch", "previous": "from the previous weights", "continue": "going on"}[settings.init],
        )
    )
    branch.add(row("labels", labels_line(entries, settings, seen)))
    for name, view in cfg.views.items():
        noise = [e.name for e in entries if e.section == "noise" and name in e.on and not on_model(e)]
        rows = getattr(settings.batch, view.stream)
        branch.add(row("view", f"{name}: {rows} {view.stream} images, {' + '.join(noise) or 'no noise'}"))
    model_noise = [e.name for e in entries if e.section == "noise" and on_model(e)]
    branch.add(row("student", " + ".join(model_noise) or "no noise in the model"))
    for table in cfg.passes:
        branch.add(row("pass", pass_line(table)))
    for entry in (e for e in entries if e.section == "schedule"):
        branch.add(row("schedule", f"{entry.name} drives {', '.join(entry.on)}"))
    for entry in (e for e in entries if e.section == "loss"):
        add_loss(branch, entry, seen)


def on_model(entry: Any) -> bool:
    """Whether a noise plugin acts in the model, whatever the view."""
    return "model_kwargs" in hooks_of(entry.plugin)


def row(label: str, text: str | Text) -> Text:
    """A line of the tree: what it is about, in a column of its own."""
    return Text.assemble((f"{label:<9}", "dim"), text)


def labels_line(entries: list[Any], settings: Any, seen: Any) -> str:
    """Who makes pseudo-labels, when, and what becomes of them."""
    if settings.labels == "none":
        return "none are made"
    chain = " > ".join(e.name for e in entries if e.section == "labeler")
    when = {"pool": "for the whole pool, before training", "step": "at each step", "both": "before and at each step"}
    used = "" if seen.used_share is None else f"; an untrained teacher's filters keep {seen.used_share:.0%}"
    nobody = "" if seen.teacher else "; no teacher here yet, so the unlabeled stream is off"
    return f"{when[settings.labels]}: {chain}{nobody}{used}"


def pass_line(table: Any) -> str:
    """A pass and how it runs."""
    words = [f"{table.model}: {' + '.join(table.views)} together"]
    words += [f"{table.batch_norm} statistics"] if table.batch_norm else []
    words += [] if table.write_stats is None else ["writes them" if table.write_stats else "writes none"]
    words += [] if table.noise is None else ["noised" if table.noise else "un-noised"]
    return ", ".join(words)


def add_loss(branch: Tree, entry: Any, seen: Any) -> None:
    """A loss and what was seen of it."""
    what = f"{entry.name}: {entry.use} on {', '.join(entry.on)}"
    terms = [t for t in seen.terms.values() if t.name.partition(".")[0] == entry.name]
    if entry.name in seen.waiting and seen.terms:
        branch.add(row("loss", Text.assemble(what, ("   " + OFF, "dim"))))
    elif not terms:
        branch.add(row("loss", what))
    for term in terms:
        mark = ("✓ moves", "green") if term.alive else ("✗ teaches nothing", "bold red")
        branch.add(row("loss", Text.assemble(f"{what}   {term.value:.3g}, gradient {term.gradient:.2g}  ", mark)))
