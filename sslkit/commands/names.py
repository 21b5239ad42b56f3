"""What a shell completes: names of recipes, studies and plugins. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped recipes, and files."""
    from ..recipe.read import shipped

    return [*matching(shipped(), incomplete), CompletionItem(incomplete, type="file")]


def shipped(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Everything that `sslkit recipes` lists."""
    from ..catalog.shipped import everything

    return matching(everything(), incomplete)


def studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shipped studies, and files."""
    from ..catalog.shipped import STUDY, of_kind

    names = [name.removeprefix(STUDY.folder) for name in of_kind(STUDY)]
    return [*matching(names, incomplete), CompletionItem(incomplete, type="file")]


def plugins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Installed plugins."""
    from ..hookspecs import SECTIONS
    from ..registry import names

    return matching(dict.fromkeys(name for section in SECTIONS for name in names(section)), incomplete)


def matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Those that begin as what was typed."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
