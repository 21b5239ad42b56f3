"""How plugins look on a terminal: a section's list, and one plugin in full."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..catalog.card import Card, Setting
from ..catalog.plugins import OWN, Line
from ..catalog.writing import example
from ..hookspecs import SECTIONS
from ..recipe.message import listed, shown
from ..recipe.traits import TARGETS
from ..registry import heading
from ..tables import ABSENT
from .prose import Trimmed, highlighted, prose

INDENT = (0, 0, 0, 2)


def grid(*, column: int = 0) -> Table:
    """Columns without lines; the first is never broken."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=column, overflow="fold")
    return table


def section_table(section: str, lines: Sequence[Line], width: int) -> RenderableType:
    """A section's plugins, two lines each: what it does, and where it comes from. `width`: of the longest name."""
    table = grid(column=width + INDENT[-1])
    table.title = Text.assemble((heading(section), "bold"), ("  " + _meaning(section), "dim"))
    table.title_justify = "left"
    table.title_style = ""
    for line in lines:
        what = Text(f"cannot be used: {line.wrong}", style="red") if line.wrong else Text(line.help or ABSENT)
        table.add_row(Text(f"  {line.name}", style="cyan"), what)
        where = line.source if line.package == OWN else f"{line.package} {line.version} · {line.source}"
        table.add_row("", Text(where, style="dim" if line.package == OWN else "magenta", overflow="fold"))
    return Trimmed(table)


def _meaning(section: str) -> str:
    """What plugins of a section do, from the page of hooks."""
    text = (inspect.getdoc(SECTIONS[section]) or "").splitlines()[0]
    return text.partition(": ")[2].partition(". ")[0].rstrip(".")


def describe(card: Card, recipes: Mapping[str, Mapping[str, Any]], studies: Iterable[str]) -> Iterator[RenderableType]:
    """A plugin in full, part by part."""
    package = f"{card.package} {card.version}".strip() or "a file"
    yield Text.assemble((card.use, "bold cyan"), f"  {heading(card.section)}  ", (package, "dim"))
    for place in (card.source, card.file):
        if place != card.use:
            yield Text(place, style="dim", overflow="fold")
    if card.wrong:
        yield Trimmed(Text(f"\ncannot be used: {card.wrong}", style="red"))
    if card.doc:
        yield Text()
        yield from prose(card.doc)
    yield from _titled("settings", settings_table(card.settings) if card.settings else Text("none", style="dim"))
    if card.hooks:
        yield from _titled("hooks", _hooks(card))
    if card.traits:
        yield from _titled("traits", *(Text(line) for line in trait_lines(card.traits)))
    if not card.wrong:
        yield from _in_recipes(card, recipes, studies)


def _in_recipes(
    card: Card, recipes: Mapping[str, Mapping[str, Any]], studies: Iterable[str]
) -> Iterator[RenderableType]:
    """Who uses it, and how."""
    used = [*recipes, *studies]
    yield from _titled("used by", Text(listed(used) if used else "none of the recipes that come with sslkit"))
    origin, text = example(card, recipes)
    yield Text(f"\nin a recipe, {origin}\n", style="bold")
    toml = highlighted(text.rstrip("\n"))
    toml.no_wrap = True
    yield toml


def _titled(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    for part in parts:
        yield Trimmed(Padding(part, INDENT))


def settings_table(settings: Sequence[Setting]) -> Table:
    """Name, default, what it takes with its unit; below that what it means."""
    table = grid()
    table.add_column(max_width=24, overflow="fold")
    table.add_column(overflow="fold")
    for one in settings:
        table.add_row(Text(one.name, style="cyan"), _default(one), Text(one.takes))
        if one.help:
            table.add_row("", "", Text(one.help, style="dim"))
    return table


def _default(setting: Setting) -> Text:
    if setting.required:
        return Text("required", style="yellow")
    return Text(ABSENT if setting.default is None else shown(setting.default))


def _hooks(card: Card) -> Table:
    table = grid()
    table.add_column()
    for hook in card.hooks:
        table.add_row(Text(hook.name, style="cyan"), Text(hook.help))
    return table


TRAITS_SAID = {
    "needs": "needs a plugin that implements `{}`",
    "loses": "its targets no longer tell their {}: what goes by it stands before this",
    "teaches": "the teacher is the {} itself, which answers labelers from its own passes",
    "remembers": "remembers the student's {} to its views, whose rows may not be mixed before",
    "about": "what it learned is of one {}: another one in the next generation begins anew",
    "timing": 'works where labels are made for the {0} alone (labels = "{0}")',
    "acts_on_hard": "`{}` does something to one-hot targets only",
}


def trait_lines(traits: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What a plugin's class says of itself, as sentences."""
    for name, words in traits.items():
        for word in words:
            told = name == "needs" and word in TARGETS
            yield f"needs targets that still tell their {word}" if told else TRAITS_SAID[name].format(word)
