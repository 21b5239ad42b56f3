"""How the list of shipped recipes looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ..catalog.recipes import MetricsLine, RecipeLine, StudyLine
from ..recipe.message import counted
from ..tables import Flow
from .prose import Trimmed

Row = tuple[str, str, list[str]]
"Name, what it is, facts."


def listing(
    recipes: Sequence[RecipeLine], studies: Sequence[StudyLine], metrics: Sequence[MetricsLine]
) -> Iterator[RenderableType]:
    """Recipes, those of a folder for themselves; studies, sets of metrics. Two lines each: what it is; paper, data, size."""
    folders = dict.fromkeys(one.name.rpartition("/")[0] for one in recipes)
    groups: list[tuple[str, str, list[Row]]] = [
        *(
            (f"recipes{f' for {folder}' * bool(folder)}", "sslkit run NAME", recipe_rows(recipes, folder))
            for folder in folders
        ),
        ("studies", "sslkit study NAME, without `studies/`", [(one.name, one.about, study_facts(one)) for one in studies]),
        ("sets of metrics", "sslkit evaluate RUN --metrics NAME, without `metrics/`",
         [(one.name, one.about, one.metrics) for one in metrics]),
    ]  # fmt: skip
    width = max((len(name) for _, _, rows in groups for name, _, _ in rows), default=0) + 2
    for number, group in enumerate(group for group in groups if group[2]):
        yield from [Text()] * bool(number)
        yield Trimmed(_table(*group, width))


def _table(title: str, command: str, rows: Sequence[Row], width: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title = Text.assemble((title, "bold"), (f"  {command}", "dim"))
    table.title_justify, table.title_style = "left", ""
    table.add_column(no_wrap=True, min_width=width)
    table.add_column()
    for name, about, facts in rows:
        table.add_row(Text(f"  {name}", style="cyan"), Text(about))
        table.add_row("", Flow(facts, "dim"))
    return table


def recipe_rows(recipes: Sequence[RecipeLine], folder: str) -> list[Row]:
    """The recipes of a folder."""
    return [(one.name, one.about, recipe_facts(one)) for one in recipes if one.name.rpartition("/")[0] == folder]


def recipe_facts(one: RecipeLine) -> list[str]:
    """The pieces of a recipe's second line."""
    extends = f"extends {one.extends}" if one.extends else ""
    return [one.paper, one.data, counted(one.generations, "generation"), extends]


def study_facts(one: StudyLine) -> list[str]:
    """The pieces of a study's second line."""
    return [one.paper, f"of {one.base}", counted(one.variants, "variant"), f"seeds {one.seeds}"]
