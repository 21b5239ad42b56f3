"""What a report is made of, whatever it looks like: sections of prose, figures, tables and pictures.

Texts are plain: whoever writes the page escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str
    kind: str = ""
    "`note` and `warning` stand out."


@dataclass(frozen=True)
class Code:
    """Text as it is: a recipe, a tree, a command."""

    text: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a head; cells are texts, the first column heads its row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A plotly figure, without colours of its own: those of light and dark are the page's."""

    title: str
    data: Sequence[dict[str, Any]]
    "plotly's traces."
    layout: dict[str, Any]
    "plotly's layout: axis titles, ranges, ticks."
    says: str = ""
    "What it shows, in a sentence or two: read out by screen readers, printed below it."
    table: Table | None = None
    "The same numbers, for who does not see it."


@dataclass(frozen=True)
class Picture:
    """One small image."""

    png: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Pictures:
    """Rows of small images: for each image its original and its views."""

    head: Sequence[str]
    rows: Sequence[Sequence[Picture]]
    caption: str = ""


Part = Prose | Code | Table | Figure | Pictures


@dataclass(frozen=True)
class Section:
    """One part of the story."""

    key: str
    "Its anchor."
    title: str
    parts: Sequence[Part]
