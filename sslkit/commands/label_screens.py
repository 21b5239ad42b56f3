"""How pseudo-labels look on a terminal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..images.words import printable
from ..pseudo_labels.applying import Applied
from ..pseudo_labels.corrections import ways
from ..pseudo_labels.flows import Change, Flow
from ..pseudo_labels.gallery import Gallery
from ..pseudo_labels.stored import Stored, shown_run
from ..pseudo_labels.tally import Line, Tally
from ..tables import ABSENT, RULED, count, make_console, percent, size
from ..tables import Flow as Pieces

MOST = 40
"Classes in a table; of more, the largest are shown."
WAYS = 20
"Ways from a class to another in a table."
WIDEST = 32
"Columns of a class's name."
NARROW = 16
"The same beside an image's name."


def ruled(*columns: str, names: int = 1) -> Table:
    """A table as results have it: so many columns of names, then numbers."""
    table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        if number < names:
            table.add_column(column, no_wrap=True, max_width=WIDEST, overflow="ellipsis")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def note(console: Console, text: str, style: str = "dim") -> None:
    """A line that a terminal breaks and a pipe does not."""
    console.print(Text(text, style, overflow="fold"), soft_wrap=not console.is_terminal)


def heading(console: Console, stored: Stored, *more: str) -> None:
    """Which labels."""
    console.print(Pieces([shown_run(stored.run), *more], "bold"))


def show_tally(stored: Stored, source: dict[str, Any], made: Tally) -> None:
    """`labels show`."""
    console = make_console(Console)
    heading(console, stored, f"labels of generation {stored.generation}", f"{count(len(stored))} images")
    console.print(Pieces(_source(source), "dim"))
    console.print()
    known = made.total.accuracy is not None
    table = ruled("", "images", "confidence", "kept", *(["right", "right of kept"] if known else []))
    lines = sorted(made.classes.items(), key=lambda item: -item[1].images) if len(made.classes) > MOST else (
        list(made.classes.items())
    )  # fmt: skip
    for number, (name, line) in enumerate(lines[:MOST], 1):
        table.add_row(printable(name), *_numbers(line, known), end_section=number == min(MOST, len(lines)))
    table.add_row("all", *_numbers(made.total, known), style="bold")
    if made.outside:
        table.add_row("of none of them", *_numbers(made.outside, known), style="dim")
    console.print(table)
    console.print()
    _notes(console, stored, made)


def _notes(console: Console, stored: Stored, made: Tally) -> None:
    if (more := len(made.classes) - MOST) > 0:
        note(console, f"and {more:,} classes with fewer images: --json lists all")
    if never := [printable(name) for name, line in made.classes.items() if not line.kept_share]:
        shown = ", ".join(never[:8]) + (f" and {len(never) - 8:,} more" if len(never) > 8 else "")
        note(console, f"no image teaches: {shown}", "yellow")
    if made.note:
        note(console, f"true classes are not known: {made.note}")
    others = [str(number) for number in stored.there if number != stored.generation]
    if others:
        note(console, f"labels of generation {', '.join(others)} are there, too: --generation N")


def _numbers(line: Line, known: bool) -> list[str]:
    said = [count(line.images), percent(line.confidence, 1), percent(line.kept_share, 1)]
    return said + ([percent(line.accuracy, 1), percent(line.kept_accuracy, 1)] if known else [])


def _source(source: dict[str, Any]) -> list[str]:
    """Who made them, and by what."""
    teacher = source["teacher"] or {}
    number, digest = teacher.get("generation"), str(teacher.get("sha256") or "")[:12]
    who = f"generation {number}" if number is not None else "weights of a teacher's own"
    return [
        f"made by {who}" + (f" ({digest})" if digest else ""),
        f"recipe {printable(str(source['recipe_name'] or ABSENT))} ({str(source['recipe'] or '')[:12]})",
        f"seed {source['seed']}" if source["seed"] is not None else "",
        source["made"].replace("T", " ").replace("+00:00", " UTC"),
        f"sslkit {source['sslkit']}" if source["sslkit"] else "",
    ]


def show_change(change: Change, limit: int) -> None:
    """`labels diff`."""
    console, before, after = make_console(Console), change.before, change.after
    heading(console, after, f"labels of generation {before.generation} and {after.generation}")
    share = percent(len(change.rows) / len(after), 1) if len(after) else ABSENT
    console.print(Pieces([
        f"{count(len(change.rows))} of {count(len(after))} images changed class ({share})",
        f"{count(change.newly_kept)} newly kept",
        f"{count(change.newly_dropped)} newly dropped",
        *_accuracies(change),
    ]))  # fmt: skip
    if not len(change.rows):
        return
    console.print()
    console.print(_flows(change.flows))
    if (more := len(change.flows) - WAYS) > 0:
        note(console, f"and {more:,} ways with fewer images: --json lists all")
    if limit:
        console.print()
        _samples(console, change, limit)


def _accuracies(change: Change) -> list[str]:
    was, is_now = change.accuracy(change.before), change.accuracy(change.after)
    return [] if was is None else [f"right: {percent(was, 1)} before, {percent(is_now, 1)} after"]


def _flows(flows: list[Flow]) -> Table:
    known = any(flow.known for flow in flows)
    table = ruled("from", "to", "images", *(["right before", "right after"] if known else []), names=2)
    for flow in flows[:WAYS]:
        shares = [
            percent(right / flow.known if flow.known else None, 1) for right in (flow.right_before, flow.right_after)
        ]
        table.add_row(printable(flow.source), printable(flow.target), count(flow.images), *(shares if known else []))
    return table


def _samples(console: Console, change: Change, limit: int) -> None:
    known = any(flow.known for flow in change.flows)
    table = ruled("image", "from", "to", "confidence", "kept", *(["is"] if known else []), names=3)
    image, *others = table.columns
    image.max_width, image.overflow, image.no_wrap = None, "fold", False
    for column in others:
        column.max_width, column.overflow = NARROW, "ellipsis"
    for one in change.samples(limit):
        sure = f"{percent(one['confidence_before'], 0)} {percent(one['confidence_after'], 0)}"
        kept = f"{_yes(one['kept_before'])} {_yes(one['kept_after'])}"
        truth = [printable(one["truth"]) if one["truth"] is not None else ABSENT] if known else []
        names = (printable(one[key]) for key in ("id", "before", "after"))
        table.add_row(*names, sure, kept, *truth)
    console.print(table)
    if (more := len(change.rows) - limit) > 0:
        note(console, f"and {more:,} more: --limit N, or all by --json")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def show_export(stored: Stored, path: Path, kept_only: bool) -> None:
    """`labels export`."""
    console = make_console(Console)
    rows = int(stored.kept.sum()) if kept_only else len(stored)
    which = "that teach, " if kept_only else ""
    heading(console, stored, f"labels of generation {stored.generation}")
    note(console, f"{count(rows)} images {which}written to {printable(str(path))} ({size(path.stat().st_size)})", "")


def show_gallery(stored: Stored, made: Gallery) -> None:
    """`labels gallery`."""
    console = make_console(Console)
    heading(console, stored, f"labels of generation {stored.generation}")
    if made.note:
        note(console, f"warning: {made.note}", "yellow")
    what = f"{count(made.images)} of {count(len(stored))} images on a page"
    note(console, f"{what}: {printable(str(made.path))} ({size(made.path.stat().st_size)}). Open it in a browser", "")
    note(
        console, f"corrections that it saves: sslkit labels apply {shlex.quote(shown_run(stored.run))} corrections.csv"
    )


NONE = "none of them"
"What an empty label says."


def document_applied(made: Applied) -> dict[str, Any]:
    """`labels apply`, for programs."""
    return {
        "corrections": str(made.corrections),
        "recipe": str(made.recipe),
        "images": len(made.made),
        "labeled_from_the_pool": sum(1 for one in made.made if one.label and one.confidence is not None),
        "confirmed": sum(one.confirms for one in made.made),
        "changed": [{"from": was, "to": label, "images": number} for was, label, number in ways(made.made)],
        "earlier": made.earlier,
        "left_out_as_confirmed": made.spared,
    }


def show_applied(stored: Stored, path: Path, made: Applied) -> None:
    """`labels apply`, for people."""
    console, said = make_console(Console), document_applied(made)
    changed = ways(made.made)
    heading(console, stored, printable(str(path)), f"{count(len(made.made))} corrections")
    console.print(Pieces([
        f"{count(said['labeled_from_the_pool'])} of the pool are labeled now",
        f"{count(said['confirmed'])} confirmed",
        f"{count(sum(number for _, _, number in changed))} changed",
        f"{count(made.earlier)} of before are kept" if made.earlier else "",
        f"{count(made.spared)} that confirm are left out" if made.spared else "",
    ]))  # fmt: skip
    if changed:
        console.print()
        table = ruled("from", "to", "images", names=2)
        for was, label, number in changed[:WAYS]:
            table.add_row(printable(was), printable(label) or NONE, count(number))
        console.print(table)
    if (more := len(changed) - WAYS) > 0:
        note(console, f"and {more:,} ways with fewer images: --json lists all")
    console.print()
    note(console, f"written: {printable(str(made.corrections))} and {printable(str(made.recipe))}")
    console.print(Text(f"sslkit run {quoted(made.recipe)}", "green"), soft_wrap=True)


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))
