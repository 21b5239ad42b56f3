"""`sslkit plugins`: what is installed, and one plugin in full."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from . import names
from .group import Group, json_option, list_if_bare


@click.group(cls=Group, invoke_without_command=True)
@json_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins, or show one with its settings, its hooks and the recipes that use it.

    Without a command: the list.
    """
    list_if_bare(ctx, list_, as_json)


@plugins.command("list", short_help="What is installed: name, what it does, package, source.")
@click.option("--section", metavar="SECTION", help="Plugins of one section of a recipe only, such as noise or loss.")
@json_option
def list_(section: str | None = None, as_json: bool = False) -> None:
    """List every installed plugin by its section of a recipe: name, what it does, package and source.

    Plugins of other packages stand beside the built-in ones. One that cannot be used is listed with what is wrong.
    """
    known_section(section)
    from ..catalog.plugins import OWN, lines, strays

    found = lines(section)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.text import Text

    from ..tables import make_console
    from .plugin_screens import section_table
    from .prose import Trimmed

    console = make_console(Console)
    width = max((len(one.name) for one in found), default=0)
    for number, (name, group) in enumerate(groupby(found, lambda one: one.section)):
        console.print(*([] if number == 0 else [""]), section_table(name, list(group), width), sep="\n")
    for stray in strays():
        console.print(Trimmed(Text(f"\nnote: {stray}", style="yellow")))
    if own := next((one for one in found if one.package == OWN), None):
        console.print(Trimmed(Text(f"\n{own.package} {own.version}, but where another package is named", style="dim")))
    if not found:
        console.print(f"No {section or ''} plugin is installed.".replace("  ", " "))


def known_section(section: str | None) -> None:
    """Refuse a section that there is not."""
    from ..hookspecs import SECTIONS
    from ..recipe.message import did_you_mean, listed, sentence

    if section is not None and section not in SECTIONS:
        hint = sentence(f"sections: {listed(SECTIONS)}.", did_you_mean(section, SECTIONS))
        raise click.BadParameter(f"there is no section `{section}`; {hint}", param_hint="'--section'")


@plugins.command(short_help="One plugin in full: help, settings, hooks, recipes.")
@click.argument("name", shell_complete=names.plugins)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the plugin NAME: what it does, where it comes from, settings, hooks, and the recipes that use it.

    NAME is what recipes say in `use`: a name, or a class in a file, such as ./fog.py:Fog. SECTION.NAME is for one section
    where several have a plugin of that name.
    """
    from ..catalog.card import cards
    from ..catalog.recipes import study_users, users

    found = [(card, users(card.section, card.use), study_users(card.section, card.use)) for card in cards(name, Path())]
    if as_json:
        click.echo(json.dumps([as_object(*one) for one in found], indent=2, ensure_ascii=False, default=str))
        refuse_unusable(found)
        return
    from rich.console import Console

    from ..tables import make_console
    from .plugin_screens import describe

    console = make_console(Console)
    for number, one in enumerate(found):
        if number:
            console.rule(style="dim")
        for part in describe(*one):
            console.print(part, soft_wrap=getattr(part, "no_wrap", False) or False)
    refuse_unusable(found)


def refuse_unusable(found: list[Any]) -> None:
    """Exit as an error does where none of what was shown can be used: a script must hear of it too."""
    if all(card.wrong for card, *_ in found):
        raise SystemExit(2)


def as_object(card: Any, recipes: dict[str, Any], studies: Iterable[str]) -> dict[str, Any]:
    """What `--json` says of a plugin."""
    from ..catalog.writing import example

    return {**asdict(card), "recipes": list(recipes), "studies": list(studies), "snippet": example(card, recipes)[1]}
