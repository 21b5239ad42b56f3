"""Traces and layouts that figures of one run share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .folder import BASELINE, Key

SHARE = ".0%"
"Ticks of an axis of shares."
CLOSE = ".2~%"
"Ticks of shares that are close to each other: 99.3%, 99.35%."
FEW_TICKS = 40
"Classes that are named along an axis; of more, a pointer tells them."


def color(key: Key) -> str:
    """What the page colours a generation by."""
    return key if isinstance(key, str) else f"generation-{key}"


def meta(key: Key, **more: Any) -> dict[str, Any]:
    """Whose a trace is."""
    return {"generation": str(key), "color": color(key), **more}


def line(key: Key, name: str, x: Sequence[Any], y: Sequence[Any], **more: Any) -> dict[str, Any]:
    """A line of a generation, dashed for the baseline."""
    style = {"width": 2, **({"dash": "dash"} if key == BASELINE else {}), **more.pop("line", {})}
    own = {**meta(key), **more.pop("meta", {})}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": style,
        "meta": own,
        **more,
    }


def layout(
    x: str, y: str, xaxis: Mapping[str, Any] | None = None, yaxis: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Two axes with titles; a legend even of a single name, which says whose it is."""
    axes = {"xaxis": {"title": x, **(xaxis or {})}, "yaxis": {"title": y, **(yaxis or {})}}
    return {**axes, "showlegend": True, **more}


def whole_axis(most: float, ticks: int = 5) -> dict[str, Any]:
    """An axis of counts from 0 on: about `ticks` ticks, all of them whole numbers."""
    size = 10 ** max(0, len(str(max(1, int(most) // ticks))) - 1)
    step = next(size * by for by in (1, 2, 5, 10) if size * by * ticks >= most)
    return {"rangemode": "tozero", "tick0": 0, "dtick": step, "tickmode": "linear", "tickformat": ",d"}


def classes_axis(classes: Sequence[str]) -> dict[str, Any]:
    """An axis of classes, by their numbers: names may be alike, or look like numbers."""
    numbers = list(range(len(classes)))
    if len(classes) > FEW_TICKS:
        return {"title": "class", "showticklabels": False, "range": [-0.6, len(classes) - 0.4]}
    short = [name if len(name) <= 18 else f"{name[:17]}…" for name in classes]
    return {
        "title": "class",
        "tickmode": "array",
        "tickvals": numbers,
        "ticktext": short,
        "range": [-0.6, len(classes) - 0.4],
    }


def gap(groups: int) -> float:
    """The room between groups of bars: a few are no walls."""
    return 0.22 if groups > 6 else 0.75 - 0.08 * groups


def share_axis(values: Sequence[float | None], **more: Any) -> dict[str, Any]:
    """An axis of shares that begins near the lowest: differences are to be seen."""
    there = [value for value in values if value is not None]
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    room = max(0.02, 0.08 * (high - low))
    return {
        "tickformat": SHARE if high - low > 0.2 else CLOSE,
        "range": [max(0.0, low - room), min(1.005, high + room)],
        **more,
    }
