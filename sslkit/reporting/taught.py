"""What the students learned from: pseudo-labels before and after filters, how sure, how right, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..images.words import counted
from ..tables import ABSENT, count, percent
from .curves import over_time
from .figures import classes_axis, gap, layout
from .folder import RunFolder
from .parts import Choice, Figure, Part, Prose, Section, Table
from .pool import BINS, Pool, pools_of

WAYS = 15
"Ways from a class to another that are listed."
STAGES = (
    ("predicted", "all labels", "dropped"),
    ("kept", "kept by filters", "plain"),
    ("drawn", "drawn in a pass over the pool", "5"),
)
SIDES = (
    ("right", "kept, right"),
    ("wrong", "kept, wrong"),
    ("kept", "kept, of no class or not known"),
    ("dropped", "dropped"),
)


def taught(run: RunFolder) -> Section:
    """Over time, then generation by generation."""
    pools, problems = pools_of(run)
    parts: list[Part] = [*over_time(run), *(Prose(f"{problem}.", "warning") for problem in problems)]
    if pools:
        if pools[-1].note:
            parts.append(Prose(pools[-1].note, "note"))
        parts.append(_overview(run, pools))
        options = [(f"labels that taught {run.title(pool.generation)}", _told(run, pool)) for pool in pools]
        parts.append(
            Choice("Pseudo-labels", options, len(options) - 1) if len(options) > 1 else Choice("Pseudo-labels", options)
        )
    elif not problems:
        parts.append(Prose(_why_none(run), "note"))
    return Section("pseudo-labels", "Pseudo-labels", parts)


def _why_none(run: RunFolder) -> str:
    if run.table.get("labels") == "pool":
        return "No pseudo-labels are stored: they are made when the first generation with a teacher begins."
    if run.table.get("labels") == "step":
        return "The recipe makes its pseudo-labels at each step, from each batch: none are stored that could be counted by class."
    return "The run keeps no pseudo-labels."


def _overview(run: RunFolder, pools: Sequence[Pool]) -> Table:
    head = [
        "taught",
        "images",
        "kept",
        "share kept",
        "right, where known",
        "of no class",
        "of these kept",
        "changed class",
    ]
    rows = []
    for pool in pools:
        judged, kept = int(pool.judged.sum()), int(pool.kept.sum())
        rows.append([
            run.title(pool.generation), count(pool.rows), count(kept), percent(kept / pool.rows, 1) if pool.rows else ABSENT,
            percent(int(pool.right.sum()) / judged, 1) if judged else ABSENT,
            count(pool.outside) if pool.outside else "", count(pool.outside_kept) if pool.outside else "",
            "" if pool.flows is None else f"{count(pool.changed)} ({percent(pool.changed / max(1, pool.rows), 1)})",
        ])  # fmt: skip
    used = [place for place in range(len(head)) if any(row[place] not in ("", ABSENT) for row in rows)]
    keys = [{"generation": str(pool.generation)} for pool in pools]
    return Table([head[i] for i in used], [[row[i] for i in used] for row in rows], "", keys)


def _told(run: RunFolder, pool: Pool) -> list[Part]:
    classes = run.classes if len(run.classes) == len(pool.predicted) else [str(i) for i in range(len(pool.predicted))]
    parts: list[Part] = [_balance(pool, classes), _histogram(pool)]
    if pool.judged.sum():
        parts.append(_precision(pool, classes))
    if pool.flows:
        parts.append(_changes(pool, classes))
    return parts


def _bar(name: str, color: str, values: Sequence[Any], **more: Any) -> dict[str, Any]:
    own = {"color": color, "classes": list(range(len(values)))}
    return {"type": "bar", "name": name, "x": list(range(len(values))), "y": list(values), "meta": own, **more}


def _balance(pool: Pool, classes: Sequence[str]) -> Figure:
    columns = {
        "predicted": pool.predicted.tolist(),
        "kept": pool.kept.tolist(),
        "drawn": [round(one, 1) for one in pool.drawn.tolist()],
    }
    hover = "%{customdata}: %{y:,}"
    data = [
        _bar(name, color, columns[key], customdata=list(classes), hovertemplate=hover) for key, name, color in STAGES
    ]
    rows = [[name, *(count(columns[key][k]) for key, _, _ in STAGES)] for k, name in enumerate(classes)]
    table = Table(["class", *(name for _, name, _ in STAGES)], rows, "", _class_keys(classes))
    says = (
        "How many images have each class as their pseudo-label: before filters, after them, and as often "
        "as a pass over the pool draws them (classes with few are drawn more than once, where the recipe "
        "balances them)."
    )
    return Figure(
        "Class balance, before and after filters",
        data,
        layout("", "images", classes_axis(classes), barmode="group", bargap=gap(len(classes))),
        says,
        table,
    )


def _histogram(pool: Pool) -> Figure:
    edges = [(number + 0.5) / BINS for number in range(BINS)]
    names = [f"{number / BINS:.0%} to {(number + 1) / BINS:.0%}" for number in range(BINS)]
    data = [
        {"type": "bar", "name": name, "x": edges, "y": pool.bins[key].tolist(), "width": 0.94 / BINS, "customdata": names,
         "meta": {"color": "plain" if key == "kept" else key}, "hovertemplate": "%{customdata}: %{y:,}"}
        for key, name in SIDES if pool.bins[key].any()
    ]  # fmt: skip
    shown = [(key, name) for key, name in SIDES if pool.bins[key].any()]
    rows = [
        [names[b], *(count(pool.bins[key][b]) for key, _ in shown)]
        for b in range(BINS)
        if any(pool.bins[key][b] for key, _ in shown)
    ]
    table = Table(["confidence", *(name for _, name in shown)], rows)
    says = "The teacher's own probability of the class that it gave, whatever was made of the label since."
    axes = layout("confidence of the teacher", "images", {"tickformat": ".0%", "range": [0, 1]}, None, barmode="stack")
    return Figure("How sure the teacher was", data, axes, says, table)


def _precision(pool: Pool, classes: Sequence[str]) -> Figure:
    judged, right = pool.judged.tolist(), pool.right.tolist()
    shares = [r / j if j else None for r, j in zip(right, judged, strict=True)]
    data = [
        _bar(
            "right",
            "right",
            shares,
            customdata=list(classes),
            hovertemplate="%{customdata}: %{y:.1%}",
            showlegend=False,
        )
    ]
    rows = [[name, count(judged[k]), percent(shares[k], 1)] for k, name in enumerate(classes)]
    table = Table(["class", "kept, class known", "right"], rows, "", _class_keys(classes))
    axes = layout(
        "",
        "share right",
        classes_axis(classes),
        {"tickformat": ".0%", "range": [0, 1.02]},
        height=280,
        bargap=gap(len(classes)),
    )
    return Figure(
        "Right labels by class",
        data,
        axes,
        "Of the images with this pseudo-label that filters keep, and whose class is known: how many are of it.",
        table,
    )


def _changes(pool: Pool, classes: Sequence[str]) -> Table:
    ways = sorted((pool.flows or {}).items(), key=lambda way: -way[1])
    rows = [[classes[a], classes[b], count(number)] for (a, b), number in ways[:WAYS]]
    more = f"; the {WAYS} most frequent of {counted(len(ways), 'way')}" if len(ways) > WAYS else ""
    keys = [{"class": str(b)} for (_, b), _ in ways[:WAYS]]
    return Table(
        ["was", "is", "images"],
        rows,
        f"Labels that changed since the generation before: {counted(pool.changed, 'image')}{more}.",
        keys,
    )


def _class_keys(classes: Sequence[str]) -> list[dict[str, str]]:
    return [{"class": str(number)} for number in range(len(classes))]
