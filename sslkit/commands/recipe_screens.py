"""How the list of shipped recipes looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ..catalog.recipes import RecipeLine, StudyLine
from ..recipe.message import counted
from ..tables import Flow
from .prose import Trimmed


def listing(recipes: Sequence[RecipeLine], studies: Sequence[StudyLine]) -> Iterator[RenderableType]:
    """Recipes, then studies, two lines each: what it is; paper, data, size."""
    names = [one.name for one in recipes] + [one.name for one in studies]
    width = max(map(len, names), default=0) + 2
    yield Trimmed(
        _table("recipes", "  sslkit run NAME, from any folder", width, [(one, recipe_facts(one)) for one in recipes])
    )
    if studies:
        yield Text()
        commands = "  sslkit study NAME, without `studies/`"
        yield Trimmed(_table("studies", commands, width, [(one, study_facts(one)) for one in studies]))


def _table(title: str, command: str, width: int, rows: Sequence[tuple[RecipeLine | StudyLine, list[str]]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title = Text.assemble((title, "bold"), (command, "dim"))
    table.title_justify, table.title_style = "left", ""
    table.add_column(no_wrap=True, min_width=width)
    table.add_column()
    for one, facts in rows:
        table.add_row(Text(f"  {one.name}", style="cyan"), Text(one.about))
        table.add_row("", Flow(facts, "dim"))
    return table


def recipe_facts(one: RecipeLine) -> list[str]:
    """The pieces of a recipe's second line."""
    extends = f"extends {one.extends}" if one.extends else ""
    return [one.paper, one.data, counted(one.generations, "generation"), extends]


def study_facts(one: StudyLine) -> list[str]:
    """The pieces of a study's second line."""
    return [one.paper, f"of {one.base}", counted(one.variants, "variant"), f"seeds {one.seeds}"]
