"""How many images there were, and of which classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..images.words import printable
from ..tables import ABSENT, count, is_number
from .columns import mapped
from .figures import classes_axis, gap, layout, whole_axis
from .folder import RunFolder
from .parts import Figure, Number, Numbers, Part, Prose, Section, Table

SPLITS = ("labeled", "unlabeled", "validation", "test")


def data(run: RunFolder) -> Section:
    """Splits, and classes."""
    sizes = {name: size for name in SPLITS if is_number(size := run.sizes.get(name))}
    parts: list[Part] = []
    if sizes:
        parts.append(
            Numbers([Number(f"{name} images", count(size), _share(name, sizes)) for name, size in sizes.items()])
        )
    else:
        parts.append(Prose("Nothing says how many images there were.", "note"))
    notes = run.events.start.get("notes")
    if isinstance(notes, list) and notes:
        parts.append(Prose(" ".join(f"{str(note)[:1].upper()}{printable(str(note))[1:]}." for note in notes)))
    figure = _classes(run)
    return Section("data", "Data", [*parts, *([figure] if figure else [])])


def _share(name: str, sizes: dict[str, Any]) -> str:
    if name == "labeled" and sizes.get("unlabeled"):
        return f"1 for {sizes['unlabeled'] / max(1, sizes['labeled']):,.0f} unlabeled ones"
    return ""


def _classes(run: RunFolder) -> Figure | None:
    """Labels by class, and the true classes of the pool where they were known."""
    facts: dict[str, Any] = next(
        (card["facts"] for card in run.cards.values() if isinstance(card.get("facts"), dict)), {}
    )
    counts = facts.get("class_counts")
    if not isinstance(counts, list) or len(counts) != len(run.classes) or not run.classes:
        return None
    pool = _truth(run, len(counts))
    shown = [("labels", counts, "plain"), *([("unlabeled images that are truly of it", pool, "5")] if pool else [])]
    numbers = list(range(len(counts)))
    traces = [
        {"type": "bar", "name": name, "x": numbers, "y": own, "customdata": run.classes, "hovertemplate": "%{customdata}: %{y:,}",
         "meta": {"color": color, "classes": numbers}, "yaxis": "y" if place == 0 else "y2", "offsetgroup": place}
        for place, (name, own, color) in enumerate(shown)
    ]  # fmt: skip
    rows = [[name, count(counts[k]), count(pool[k]) if pool else ABSENT] for k, name in enumerate(run.classes)]
    table = Table(["class", "labels", "unlabeled, truly of it"], rows, "", [{"class": str(k)} for k in numbers])
    axes = layout(
        "",
        "labels",
        classes_axis(run.classes),
        whole_axis(max((one for one in counts if is_number(one)), default=1)),
        barmode="group",
        bargap=gap(len(counts)),
        height=300,
    )
    if pool:
        axes["yaxis2"] = {
            "title": "unlabeled images",
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            **whole_axis(max(pool)),
        }
    says = (
        "Training never sees the classes of unlabeled images; they are known here, so that pseudo-labels can be judged."
        if pool
        else ""
    )
    return Figure("Images by class", traces, axes, says, table)


def _truth(run: RunFolder, classes: int) -> list[int]:
    try:
        truth = np.asarray(mapped(run.path / "samples" / "samples.safetensors")["truth"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    known = truth[(truth >= 0) & (truth < classes)]
    found: list[int] = np.bincount(known, minlength=classes).tolist()
    return found if len(known) else []
