"""One page that shows pseudo-labels to a person: pictures by class and confidence, and what to correct."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..artifacts import committed_file
from ..errors import SslkitError
from ..images.words import counted, printable
from ..pages import policy, template
from .choosing import Chosen, chosen
from .export import refuse_existing
from .flows import Change
from .page import PAGE
from .provenance import provenance
from .script import SCRIPT
from .stored import Stored, shown_run
from .style import STYLE
from .thumbnails import thumbnails

MOST = 60
"Images of a class, by default."
Done = Callable[[int], None]


@dataclass(frozen=True)
class Gallery:
    """What was written."""

    path: Path
    images: int
    "Images on the page."
    pictures: int
    "Of these, those that have a picture."
    note: str
    "What is missing, and why."


class Seen(NamedTuple):
    """What the run's data shows."""

    pictures: dict[int, str]
    "By row."
    labeled: dict[str, str]
    "Class by id, of images that are also labeled."
    note: str
    "What is missing, and why."


def write_gallery(
    stored: Stored, out: Path, most: int = MOST, begin: Callable[[int], Done] = lambda total: lambda number: None
) -> Gallery:
    """Write the page. `begin` is told how many images there will be, and answers whom to tell of those that are done.

    Where the data is gone the page has no pictures, and says so. Raises `SslkitError`; then nothing is left.
    """
    refuse_existing(out)
    before = stored.before()
    flipped = Change(before, stored).rows if before else np.zeros(0, np.int64)
    groups = chosen(stored, flipped, most)
    rows = [row for group in groups for row in group.rows.tolist()]
    ids = stored.samples.ids(rows)
    seen = _seen(stored, ids, rows, begin(len(rows)))
    groups_shown = _groups(stored, before, groups, dict(zip(rows, ids, strict=True)), seen)
    context = _context(stored, before, seen, len(rows)) | {"groups": groups_shown}
    with committed_file(out) as aside, aside.open("w", encoding="utf-8") as file:
        for text in template(PAGE).generate(context):
            file.write(text)
    return Gallery(out, len(rows), len(seen.pictures), seen.note)


def _seen(stored: Stored, ids: list[str], rows: list[int], done: Done) -> Seen:
    """The pictures, and which images are labeled too."""
    try:
        images, own, classes = stored.pool, stored.data.labeled, stored.data.classes
    except SslkitError as error:
        return Seen({}, {}, f"There are no pictures, as the run's data cannot be opened: {error}")
    wanted = set(ids)
    labeled = {one: classes[k] for one, k in zip(own.ids, own.truth.tolist(), strict=True) if one in wanted}
    made = thumbnails(images, ids, rows, done)
    lost = len(rows) - len(made)
    note = f"{counted(lost, 'image')} without a picture: no longer there, or not readable" if lost else ""
    return Seen(made, labeled, note)


def _context(stored: Stored, before: Stored | None, seen: Seen, images: int) -> dict[str, Any]:
    """What the page says beside its images."""
    source = provenance(stored)
    maker = (source["teacher"] or {}).get("generation")
    facts = [
        f"labels of generation {stored.generation}",
        f"made by generation {maker}" if maker is not None else "made by weights of a teacher's own",
        stored.teacher,
        source["made"].replace("T", " ").replace("+00:00", " UTC"),
        f"sslkit {source['sslkit'] or __version__}",
    ]
    return {
        "run": shown_run(stored.run),
        "facts": [fact for fact in facts if fact],
        "images": images,
        "pool": len(stored),
        "note": printable(seen.note),
        "labeled": bool(seen.labeled),
        "classes": [{"name": printable(name), "exact": json.dumps(name)} for name in stored.classes],
        "before": before.generation if before else None,
        "generation": stored.generation,
        "style": STYLE,
        "script": SCRIPT,
        "policy": policy(SCRIPT),
        "known": bool((stored.truth >= 0).any()),
    }


def _groups(
    stored: Stored, before: Stored | None, groups: list[Chosen], ids: dict[int, str], seen: Seen
) -> Iterator[dict[str, Any]]:
    """The classes that are shown, each with its cards, made as the page is written."""
    for group in groups:
        cards = (_card(stored, before, group, row, ids[row], seen) for row in group.rows.tolist())
        name = printable(stored.classes[group.number])
        yield {"number": group.number, "name": name, "images": group.images, "shown": len(group.rows), "cards": cards}


def _card(stored: Stored, before: Stored | None, group: Chosen, row: int, sample: str, seen: Seen) -> dict[str, Any]:
    """An image. Its exact id is JSON, in which bytes that are no UTF-8 can stand; what is read is printable."""
    truth, was = int(stored.truth[row]), int(before.label[row]) if before else group.number
    confidence = float(stored.confidence[row])
    return {
        "exact": json.dumps(sample),
        "path": printable(sample),
        "name": printable(PurePosixPath(sample).name or sample),
        "picture": seen.pictures.get(row),
        "labeled": printable(seen.labeled[sample]) if sample in seen.labeled else None,
        "confidence": f"{confidence:.6g}",
        "percent": f"{100 * confidence:.0f}%",
        "kept": bool(stored.kept[row]),
        "was": printable(stored.classes[was]) if was != group.number else None,
        "truth": {-1: None, -2: "none of them"}[truth] if truth < 0 else printable(stored.classes[truth]),
        "wrong": truth not in (-1, group.number),
        "sections": " ".join(
            name for name, rows in (("confident", group.confident), ("doubtful", group.doubtful)) if row in rows
        ),
    }
