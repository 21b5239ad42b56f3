"""A study's differences as a picture: each with its interval, and what was published beside it. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..tables import is_share
from .outcome import Outcome
from .rows import Comparison, Row
from .words import MARKS, level_words, signed

LINE, HEAD, FOOT, NAMES, WIDTH, WORDS = 26, 46, 40, 430, 340, 170
"Pixels: of a row, above and below a panel, and across: names, plot, words."
LONGEST = 62
"Characters of a name that find room."
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .soft { fill: #59636e } .strong { font-weight: 600 }
line { stroke: #8c959f } .zero { stroke: #59636e; stroke-dasharray: 3 3 } .ours { stroke: #0072b2; stroke-width: 3 }
circle { fill: #0072b2 } .paper { fill: none; stroke: #d55e00; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9198a1 } line { stroke: #59636e } .zero { stroke: #9198a1 }
.ours { stroke: #56b4e9 } circle { fill: #56b4e9 } .paper { stroke: #e69f00 } }
"""


@dataclass(frozen=True)
class Scale:
    """From a difference to pixels."""

    low: float
    high: float

    def __call__(self, number: float) -> float:
        """Pixels from the left."""
        return NAMES + WIDTH * (number - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Some six round numbers, zero among them."""
        rough = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(size * unit for size in (1, 2, 5, 10) if size * unit >= rough)
        return [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def picture(outcome: Outcome) -> str | None:
    """The SVG; None where nothing was compared. A panel for each measure, a line for each row."""
    panels, top = [], 30
    for measure in outcome.measures:
        rows = [(row, one) for row in outcome.rows for one in row.comparisons
                if one.measure == measure and one.difference is not None]  # fmt: skip
        if rows:
            panels += _panel(measure, rows, top)
            top += HEAD + LINE * len(rows) + FOOT
    if not panels:
        return None
    title = f"{outcome.study}: differences with {level_words(outcome.level)} intervals"
    width = NAMES + WIDTH + WORDS
    published = any(one.paper is not None for row in outcome.rows for one in row.comparisons)
    key = ["● here", *(["◇ published"] if published else [])]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        _text(10, 22, title, "strong"), _text(width - 10, 22, "   ".join(key), "soft", "end"), *panels, "</svg>\n",
    ])  # fmt: skip


def _panel(measure: str, rows: Sequence[tuple[Row, Comparison]], top: int) -> list[str]:
    """The rows of one measure under its own scale."""
    scale = _scale(measure, rows)
    bottom = top + HEAD + LINE * len(rows)
    unit = "percentage points" if is_share(measure) else "difference"
    parts = [_text(10, top + 20, measure, "strong"), _text(NAMES, top + 20, unit, "soft")]
    for tick in scale.ticks:
        x, kind = scale(tick), ' class="zero"' if abs(tick) < 1e-12 else ""
        parts.append(
            f'<line{kind} x1="{x:.1f}" x2="{x:.1f}" y1="{top + HEAD - 14}" y2="{bottom}" stroke-opacity=".5"/>'
        )
        said = "0" if kind else f"{100 * tick if is_share(measure) else tick:+.6g}"
        parts.append(_text(x, bottom + 16, said, "soft", "middle"))
    for number, (row, one) in enumerate(rows):
        parts += _line(row, one, scale, top + HEAD + LINE * number)
    return parts


def _scale(measure: str, rows: Sequence[tuple[Row, Comparison]]) -> Scale:
    """Every interval, every published difference, and zero."""
    found = [0.0]
    for _, one in rows:
        assert one.difference is not None
        found += [end for end in (one.difference.mean, one.difference.low, one.difference.high) if end is not None]
        found += [_published(measure, one.paper)] if one.paper is not None else []
    room = 0.06 * (max(found) - min(found)) or 0.01
    return Scale(min(found) - room, max(found) + room)


def _published(measure: str, paper: float) -> float:
    return paper / 100 if is_share(measure) else paper


def _line(row: Row, one: Comparison, scale: Scale, y: float) -> list[str]:
    """Who minus whom, the interval, the published difference, the verdict."""
    assert one.difference is not None
    name = f"{row.name} − {row.against}"
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    parts = [_text(NAMES - 14, y + 4, name, "", "end")]
    low, high = one.difference.low, one.difference.high
    if low is not None and high is not None:
        parts.append(f'<line class="ours" x1="{scale(low):.1f}" x2="{scale(high):.1f}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle cx="{scale(one.difference.mean):.1f}" cy="{y}" r="5"/>')
    if one.paper is not None:
        x = scale(_published(one.measure, one.paper))
        parts.append(f'<path class="paper" d="M {x:.1f} {y - 7} l 7 7 l -7 7 l -7 -7 z"/>')
    said = signed(one.difference.mean, one.measure) + (f"  {MARKS[one.verdict]} {one.verdict}" if one.verdict else "")
    return [*parts, _text(NAMES + WIDTH + 14, y + 4, said)]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
