"""Figures that lay several runs side by side. A trace says whose it is in its `meta`: colours and filters are the page's.

Nothing is told by colour alone: lines have dashes of their own, dots have symbols of their own, intervals are bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .measures import share_ticks
from .reading import rounded

Trace = dict[str, Any]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "triangle-up", "star", "x", "cross", "triangle-down", "pentagon", "hexagram", "bowtie")
PAPER = "diamond-open"
"The symbol of what a paper measured."
BANDS = 3
"Ranges that lie over each other in one figure; more are mud, and every run has its thin line."
HEIGHT, LEGEND = 340, 20
"Pixels of a figure, and of a further line of its legend."
LONGEST = 60
"Characters of a name beside a row."
ROW, AROUND = 34, 130
"Pixels of a row in a figure of rows, and of what is around them."


class Whose(NamedTuple):
    """What a trace is of: a recipe, or a row of a study."""

    name: str
    color: int
    "Its number in every figure."

    @property
    def keys(self) -> dict[str, str]:
        """What filters know it by."""
        return {"run": str(self.color)}

    @property
    def dash(self) -> str:
        """Of its lines."""
        return DASHES[self.color % len(DASHES)]

    @property
    def symbol(self) -> str:
        """Of its dots."""
        return SYMBOLS[self.color % len(SYMBOLS)]


NOBODY = "baseline"
"The colour of what stands for no recipe: the page's grey."


@dataclass(frozen=True)
class Bar:
    """A number with its interval, in a figure of rows."""

    whose: Whose
    mean: float | None
    low: float | None = None
    high: float | None = None
    said: str = ""
    "What stands beside its name: a verdict."
    paper: float | None = None
    other: str = ""
    "What it is compared with, for who points at it."


def trace(name: str, whose: Whose | None, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Trace:
    """A scatter trace."""
    meta = {"color": NOBODY} if whose is None else {"color": whose.color, "name": whose.name, **whose.keys}
    group = {} if whose is None else {"legendgroup": str(whose.color)}
    return {"type": "scatter", "name": name, "x": list(x), "y": list(y), "meta": meta, **group, **more}


def line(whose: Whose, x: Sequence[Any], y: Sequence[Any]) -> Trace:
    """A line with the dashes of its owner; its marks too where a point stands alone, which no line shows."""
    own = trace(whose.name, whose, x, y, mode="lines", line={"width": 2.5, "dash": whose.dash})
    return {**own, **_seen(whose, y, 8)}


def _seen(whose: Whose, y: Sequence[Any], size: int) -> Trace:
    """The marks of a line that has points without neighbours."""
    gaps = [None, *y, None]
    lonely = any(gaps[i] is None and gaps[i + 2] is None for i, own in enumerate(y) if own is not None)
    return {"mode": "lines+markers", "marker": {"size": size, "symbol": whose.symbol}} if lonely else {}


def marked_line(whose: Whose, x: Sequence[Any], y: Sequence[Any]) -> Trace:
    """A line with a mark at each of its points."""
    return {**line(whose, x, y), "mode": "lines+markers", "marker": {"size": 8, "symbol": whose.symbol}}


def thin(name: str, whose: Whose, x: Sequence[Any], y: Sequence[Any]) -> Trace:
    """One run's line among others of its recipe."""
    more = {"showlegend": False, "opacity": 0.4, "line": {"width": 1, "dash": whose.dash}}
    return {**trace(name, whose, x, y, mode="lines", **more), **_seen(whose, y, 5)}


def band(whose: Whose, pieces: Sequence[tuple[Sequence[Any], Sequence[Any], Sequence[Any]]]) -> Trace:
    """From the lowest to the highest; each piece: (x, low, high)."""
    x: list[Any] = []
    y: list[Any] = []
    for xs, low, high in pieces:
        x += [None] * bool(x) + [*xs, *reversed(xs)]
        y += [None] * bool(y) + [*low, *reversed(high)]
    more = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0}, "opacity": 0.25}
    return trace(whose.name, whose, x, y, mode="lines", fill="toself", **more)


def dots(whose: Whose, x: Sequence[Any], y: Sequence[Any], **more: Any) -> Trace:
    """Dots with the symbol of their owner."""
    marker = {"size": 9, "symbol": whose.symbol, **more.pop("marker", {})}
    return trace(whose.name, whose, x, y, mode="markers", marker=marker, **more)


def layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    """Axes with titles; whole names in what a pointer shows."""
    axes = {"xaxis": {"title": {"text": x}, "automargin": True},
            "yaxis": {"title": {"text": y}, "automargin": True}}  # fmt: skip
    merged = {axis: {**own, **more.pop(axis, {})} for axis, own in axes.items()}
    return {**merged, "hoverlabel": {"namelength": -1}, **more}


def tall(traces: Sequence[Trace]) -> int:
    """Pixels of a figure's height: a legend of many names leaves its plot the room that it has."""
    names = {one["name"] for one in traces if one.get("showlegend", True)}
    return HEIGHT + LEGEND * max(0, (len(names) - 1) // 2)


def short(name: str) -> str:
    """A name that leaves room for a plot: of a very long one its beginning and its end."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 16]}…{name[-15:]}"


def row_layout(x: str, names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Names from top to bottom, row `i` at y = i."""
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [*map(short, names)]}
    yaxis = {**ticks, "range": [len(names) - 0.5, -0.5], "zeroline": False}
    return layout(x, "", yaxis=yaxis, height=AROUND + ROW * len(names), **more)


def forest(bars: Sequence[Bar], unit: str = "percentage points") -> tuple[list[Trace], dict[str, Any]]:
    """Differences with their intervals, zero marked; what the paper measured beside them, hollow."""
    traces = [_bar(one, one.mean, row) for row, one in enumerate(bars) if one.mean is not None]
    papers = [(one.paper, row) for row, one in enumerate(bars) if one.paper is not None]
    if papers:
        marker = {"size": 12, "symbol": PAPER, "line": {"width": 2}}
        xs, rows = zip(*papers, strict=True)
        name = "the paper's difference"
        traces.append(trace(name, None, xs, rows, mode="markers", marker=marker, hovertemplate="%{x:+.2f}"))
    zero = {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1}
    names = [f"{one.whose.name}  {one.said}" if one.said else one.whose.name for one in bars]
    dashed = [{**zero, "line": {"width": 1, "dash": "dash"}}]
    return traces, row_layout(
        unit, names, shapes=dashed, showlegend=bool(papers), xaxis={"zeroline": False, "range": _around(bars)}
    )


def _around(bars: Sequence[Bar]) -> list[float]:
    """A range that holds every interval, the paper's differences, and zero."""
    ends = [end for one in bars for end in (one.mean, one.low, one.high, one.paper) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    margin = 0.06 * (high - low) or 1.0
    return [rounded(low - margin), rounded(high + margin)]


def _bar(one: Bar, mean: float, row: int) -> Trace:
    """A dot with its interval; hollow where there is none."""
    if one.low is None or one.high is None:
        marker = {"size": 11, "symbol": "circle-open"}
        return dots(one.whose, [rounded(mean)], [row], marker=marker, showlegend=False, text=[one.other],
                    hovertemplate="%{x:+.2f}, no interval<br>%{text}")  # fmt: skip
    ends = {"array": [rounded(one.high - mean)], "arrayminus": [rounded(mean - one.low)]}
    own = dots(one.whose, [rounded(mean)], [row], marker={"size": 11, "symbol": "circle"}, showlegend=False,
               text=[one.other], hovertemplate=f"%{{x:+.2f}} ({one.low:+.2f} to {one.high:+.2f})<br>%{{text}}")  # fmt: skip
    return {**own, "error_x": {"type": "data", "symmetric": False, "thickness": 2, "width": 6, **ends}}


def by_row(
    rows: Sequence[tuple[Whose, Mapping[int, float]]], unit: str, tickformat: str
) -> tuple[list[Trace], dict[str, Any]]:
    """Each row's dots, one for each seed, and its mean as a stroke; lines join what a seed has in the rows.

    `rows`: (whose, seed -> value).
    """
    traces: list[Trace] = []
    for seed in dict.fromkeys(seed for _, values in rows for seed in values):
        there = [(rounded(values[seed]), row) for row, (_, values) in enumerate(rows) if seed in values]
        if len(there) > 1:
            more = {"opacity": 0.45, "line": {"width": 1}, "showlegend": False, "hoverinfo": "skip"}
            heights, places = zip(*there, strict=True)
            traces.append(trace(f"seed {seed}", None, heights, places, mode="lines", **more))
    for row, (whose, values) in enumerate(rows):
        xs = [rounded(value) for value in values.values()]
        traces.append(dots(whose, xs, [row] * len(xs), text=[f"seed {seed}" for seed in values], showlegend=False,
                           hovertemplate=f"%{{x:{tickformat}}}, %{{text}}"))  # fmt: skip
        if len(xs) > 1:
            marker = {"size": 24, "symbol": "line-ns-open", "line": {"width": 3}}
            traces.append(dots(whose, [rounded(sum(xs) / len(xs))], [row], showlegend=False, marker=marker,
                               hovertemplate=f"mean %{{x:{tickformat}}}"))  # fmt: skip
    names = [whose.name for whose, _ in rows]
    return traces, row_layout(unit, names, xaxis={"tickformat": tickformat}, showlegend=False)


def disturbances(table: Mapping[Whose, Mapping[str, float]], unit: str) -> tuple[list[Trace], dict[str, Any]]:
    """Rows of which several have a share, each with its symbol. `table`: whose -> row -> share."""
    rows = list(dict.fromkeys(row for values in table.values() for row in values))
    tickformat = share_ticks(value for values in table.values() for value in values.values())
    traces = [
        dots(whose, [*map(rounded, values.values())], [rows.index(row) for row in values], hovertemplate="%{x:.2%}")
        for whose, values in table.items()
    ]
    return traces, row_layout(unit, rows, xaxis={"tickformat": tickformat}, showlegend=True)
