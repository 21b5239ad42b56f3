"""What a report is made of, whatever it looks like: sections of prose, figures, tables and pictures.

Texts are plain: whoever writes the page escapes them. What a trace, a table's row or a row of pictures is about is said
by `Keys`, which the page's filters go by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Keys = Mapping[str, str]
"""`generation` (a number, or `baseline`), `class` (the number of a class), `run` (its name)."""


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str
    kind: str = ""
    "`lead`: what a reader takes along; `note` and `warning` stand out."


@dataclass(frozen=True)
class Code:
    """Text as it is: a recipe, a tree, a command."""

    text: str
    caption: str = ""


@dataclass(frozen=True)
class Number:
    """A number that is shown large."""

    label: str
    value: str
    note: str = ""
    color: str = ""
    "As in a trace's `meta`: see `Figure`."


@dataclass(frozen=True)
class Numbers:
    """A few numbers side by side."""

    items: Sequence[Number]


@dataclass(frozen=True)
class Facts:
    """Names with what they are."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Rows under a head; cells are texts, the first column heads its row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    keys: Sequence[Keys] = ()
    "What each row is about; none: the filters leave the table alone."


@dataclass(frozen=True)
class Figure:
    """A plotly figure, without colours of its own: those of light and dark are the page's.

    A trace's `meta` says more of it: its `Keys`; its `color`, which is `baseline`, `generation-N`, `right`, `wrong`,
    `dropped`, `plain` or the number of one in the page's row of colours; `ramp`, a heatmap's; `classes`, the number of
    the class of each of its points.
    """

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

    uri: str
    "A data URI; empty: there is none."
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Pictures:
    """Images, each with its views beside it; as many side by side as there is room."""

    rows: Sequence[Sequence[Picture]]
    caption: str = ""
    keys: Sequence[Keys] = ()
    "What each row is about."


@dataclass(frozen=True)
class Branch:
    """A line of a tree, with those below it."""

    label: str
    text: str = ""
    below: Sequence[Branch] = ()


@dataclass(frozen=True)
class Tree:
    """What is made of what."""

    title: str
    branches: Sequence[Branch]


@dataclass(frozen=True)
class Folded:
    """What is opened by whoever wants to see it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Choice:
    """One of several at a time."""

    label: str
    options: Sequence[tuple[str, Sequence[Part]]]
    chosen: int = 0


Part = Prose | Code | Numbers | Facts | Table | Figure | Pictures | Tree | Folded | Choice


@dataclass(frozen=True)
class Section:
    """One part of the story."""

    key: str
    "Its anchor."
    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Filter:
    """A control that shows some of what there is: what its `key` is in `Keys`."""

    key: str
    label: str
    options: Sequence[tuple[str, str]]
    "(value, what it is called)."
    many: bool = False
    "Several may be chosen at once, and all are at first; else one, or all."


@dataclass(frozen=True)
class Report:
    """A page."""

    title: str
    facts: Sequence[str]
    "What it is of, and when and by what it was made."
    sections: Sequence[Section]
    filters: Sequence[Filter] = ()
