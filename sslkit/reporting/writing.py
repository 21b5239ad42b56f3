"""A report as HTML: texts are escaped, numbers shortened, plotly's script put in, and a policy that lets nothing else in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from html import escape
from importlib.resources import files
from itertools import count
from typing import Any

from ..pages import as_json, policy, template
from .page import PAGE
from .parts import Figure, Part, Report, Table
from .reading import rounded
from .script import SCRIPT
from .style import STYLE

MARK = "sslkit report"
"What a report is known by: such a file may be written anew."
MARKUP = ("hovertemplate", "texttemplate")
"Keys of a trace whose texts are plotly's own markup: no name may stand in them."
NUMERIC = re.compile(
    r"[+\-−–<>≈~]?\s?[\d,]*\.?\d+(?:e[+-]?\d+)?\s?(?:%|points?|px|s|min|h|[kMGT]?B|nats)?(?:\s?[±].*|\s\(.*\)|\sto\s[+\-−]?[\d.]+)?|–|"
)
"A cell that stands at the right."


def written(made: Report) -> str:
    """The page."""
    script = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    plotly = script.replace("</script", "<\\/script")
    names = map("figure-{}".format, count(1))
    colors = colors_of(part for section in made.sections for part in section.parts)
    page = str(
        template(PAGE).render(
            report=made, mark=MARK, style=STYLE, script=SCRIPT, plotly=plotly, policy=policy(plotly, SCRIPT, saves=True),
            ids=lambda: next(names), json=json_of, kind_of=lambda one: type(one).__name__,
            numeric_columns=numeric_columns, swatch=partial(swatch, colors),
        )
    )  # fmt: skip
    return page.lstrip()


def json_of(figure: Figure) -> str:
    """A figure's traces and layout for the script."""
    return as_json({"data": [safe(trace) for trace in figure.data], "layout": safe(dict(figure.layout))})


def safe(value: Any, key: str = "") -> Any:
    """What plotly may be given, whose texts have markup, and JSON, which has no NaN."""
    if isinstance(value, str):
        return value if key in MARKUP else unmarked(value)
    if isinstance(value, float):
        return rounded(value) if value - value == 0 else None
    if isinstance(value, dict):
        return {str(name): safe(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [safe(item, key) for item in value]
    return value.item() if hasattr(value, "item") else value


def unmarked(text: str) -> str:
    """A text that plotly shows as it is: it takes `<b>` for markup, `%{x}` for a template, `$x$` for a formula."""
    return escape(text, quote=False).replace("%{", "%&#123;").replace("$", "&#36;")


def numeric(cell: str) -> bool:
    """Whether a cell is a number, with its unit maybe."""
    return NUMERIC.fullmatch(cell) is not None


def numeric_columns(table: Table) -> list[bool]:
    """Of each column, whether its cells are numbers: head and cells of a column stand at the same side."""
    places = range(max([len(table.head), *map(len, table.rows)]))
    return [place > 0 and all(numeric(row[place]) for row in table.rows if place < len(row)) for place in places]


def swatch(colors: Mapping[str, str], value: str, key: str) -> str:
    """The colour beside a filter's option, where figures have one for it."""
    if key == "generation":
        return value if value == "baseline" else f"generation-{value}"
    return colors.get(value, "") if key == "run" else ""


def colors_of(parts: Iterable[Part]) -> dict[str, str]:
    """The colour of each run in the figures of some parts."""
    metas = [trace.get("meta") or {} for part in parts if isinstance(part, Figure) for trace in part.data]
    return {
        str(meta["run"]): str(meta["color"])
        for meta in metas
        if meta.get("run") is not None and meta.get("color") is not None
    }
