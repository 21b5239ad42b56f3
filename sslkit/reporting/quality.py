"""How far a model's confidence can be believed, and what it takes for what."""

from __future__ import annotations

import shlex
from typing import Any

from ..tables import ABSENT, count, is_number, metric_words, percent
from .figures import FEW_TICKS, classes_axis, color, gap, layout, meta
from .folder import BASELINE, SPLITS, Key, RunFolder
from .measures import rows_of
from .parts import Choice, Code, Figure, Part, Prose, Section, Table

HEADS = {
    "ece": "expected calibration error",
    "brier": "Brier score",
    "nll": "negative log-likelihood, nats",
    "top5_accuracy": "right among the first five",
}
"What belongs to no figure, by its name without the split."
MOST_CLASSES = 120
"Classes of a matrix that is drawn; of more, the most confused pairs are listed."
WRITTEN = 20
"Classes of a matrix whose counts stand in it."
PAIRS = 30


def quality(run: RunFolder) -> Section:
    """Reliability, confusion, accuracy by class; of the test images, or else of validation images."""
    keys: list[Key] = [*run.entries, *([BASELINE] if run.baseline else [])]
    found = {key: _of_split(run.metrics(key)) for key in keys}
    parts: list[Part] = [part for part in (_scores(run, found), _reliability(run, found)) if part is not None]
    matrices = {key: own["confusion"] for key, own in found.items() if is_matrix(own.get("confusion"))}
    if matrices:
        options = [(run.title(key), [_confusion(run, key, matrix)]) for key, matrix in matrices.items()]
        last = max((place for place, key in enumerate(matrices) if key != BASELINE), default=0)
        parts.append(Choice("Who is taken for whom", options, last))
    parts += [part for part in (_by_class(run, found),) if part is not None]
    absent = {"reliability": "reliability diagram", "confusion": "confusion matrix"}
    missing = [what for name, what in absent.items() if not any(name in own for own in found.values())]
    if missing:
        why = "the recipe's metrics do not measure them" if keys else "no generation is finished"
        text = f"There is no {' and no '.join(missing)}: {why}."
        parts += [Prose(text, "note"), *(adding(run, "") if keys else [])]
    return Section("quality", "Calibration and confusion", parts)


def adding(run: RunFolder, how: str) -> list[Part]:
    """The command that measures what is missing, and its like for the baseline."""
    folders = [run.path, *([run.path / BASELINE] if (run.path / BASELINE / "models").is_dir() else [])]
    text = "\n".join(f"sslkit evaluate {shlex.quote(str(folder))} --generation all{how} --keep" for folder in folders)
    return [Code(text, "While the data is there, this adds it:")]


def _of_split(metrics: dict[str, Any]) -> dict[str, Any]:
    """Measures by their name without the split: of test images where there are any."""
    split = next((one for one in SPLITS if any(name.startswith(f"{one}_") for name in metrics)), SPLITS[0])
    return {name.removeprefix(f"{split}_"): own for name, own in metrics.items() if name.startswith(f"{split}_")}


def is_matrix(measured: Any) -> bool:
    """Whether a value counts classes that are taken for classes."""
    if (
        not isinstance(measured, dict)
        or not isinstance(measured.get("classes"), list)
        or not isinstance(measured.get("matrix"), list)
    ):
        return False
    rows, size = measured["matrix"], len(measured["classes"])
    return len(rows) == size and all(
        isinstance(row, list) and len(row) == size and all(map(is_number, row)) for row in rows
    )


def _scores(run: RunFolder, found: dict[Key, dict[str, Any]]) -> Table | None:
    names = [name for name in HEADS if any(is_number(own.get(name)) for own in found.values())]
    if not names:
        return None
    rows = [
        [run.title(key), *(metric_words(name, own[name]) if is_number(own.get(name)) else ABSENT for name in names)]
        for key, own in found.items()
    ]
    return Table(["model", *(HEADS[name] for name in names)], rows, "", [{"generation": str(key)} for key in found])


def _reliability(run: RunFolder, found: dict[Key, dict[str, Any]]) -> Figure | None:
    data: list[dict[str, Any]] = [{
        "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "as sure as right", "hoverinfo": "skip",
        "line": {"width": 1, "dash": "dot"}, "meta": {"color": "baseline"},
    }]  # fmt: skip
    rows, about = [], []
    for key, own in found.items():
        bins = [
            one
            for one in rows_of(own.get("reliability")).values()
            if is_number(one.get("confidence")) and is_number(one.get("accuracy"))
        ]
        if not bins:
            continue
        data.append(_curve(run, key, bins))
        rows += [
            [run.title(key), percent(one["confidence"], 1), percent(one["accuracy"], 1), count(one.get("images"))]
            for one in bins
        ]
        about += [{"generation": str(key)} for _ in bins]
    if len(data) == 1:
        return None
    says = (
        "Below the dotted line a model is surer than it is right. A dot is a bin of images, its size how "
        "many there are; bins of less than 1% of the images are in the table alone."
    )
    axes = layout(
        "mean confidence",
        "share right",
        {"tickformat": ".0%", "range": [0, 1.02]},
        {"tickformat": ".0%", "range": [0, 1.05]},
        height=420,
    )
    return Figure("Reliability", data, axes, says, Table(["model", "confidence", "right", "images"], rows, "", about))


def _curve(run: RunFolder, key: Key, bins: list[dict[str, Any]]) -> dict[str, Any]:
    """A model's bins; those of a handful of images say nothing, and are left to the table."""
    numbers = [one["images"] if is_number(one.get("images")) else 1 for one in bins]
    least, most = sum(numbers) / 100, max(numbers)
    told = [(one, number) for one, number in zip(bins, numbers, strict=True) if number >= least]
    return {
        "type": "scatter", "mode": "lines+markers", "name": run.title(key), "x": [one["confidence"] for one, _ in told],
        "y": [one["accuracy"] for one, _ in told], "customdata": [number for _, number in told], "meta": meta(key),
        "marker": {"size": [round(5 + 12 * (number / most) ** 0.5, 1) for _, number in told]},
        "line": {"width": 1.5, **({"dash": "dash"} if key == BASELINE else {})},
        "hovertemplate": "sure %{x:.1%}, right %{y:.1%}, %{customdata:,} images",
    }  # fmt: skip


def _confusion(run: RunFolder, key: Key, measured: dict[str, Any]) -> Part:
    classes, matrix = [str(name) for name in measured["classes"]], measured["matrix"]
    size = len(classes)
    wrong = sorted(
        ((matrix[i][j], i, j) for i in range(size) for j in range(size) if i != j and matrix[i][j]), reverse=True
    )[:PAIRS]
    pairs = [[classes[i], classes[j], count(number), percent(number / sum(matrix[i]), 1)] for number, i, j in wrong]
    table = Table(
        ["is", "is taken for", "images", "share of its images"], pairs, "", [{"class": str(i)} for _, i, _ in wrong]
    )
    if size > MOST_CLASSES:
        return Table(table.head, table.rows, f"The pairs that {run.title(key)} confuses most.", table.keys)
    shares = [[number / sum(row) if sum(row) else None for number in row] for row in matrix]
    axis = {**classes_axis(classes), "constrain": "domain"}
    trace: dict[str, Any] = {
        "type": "heatmap", "z": shares, "zmin": 0, "zmax": 1, "xgap": 1, "ygap": 1,
        "meta": {"classes": list(range(size)), "names": classes, "counts": matrix, "color": color(key)},
        "colorbar": {"tickformat": ".0%", "len": 0.8},
        "hovertemplate": "%{customdata[0]:,} of %{customdata[1]} taken for %{customdata[2]} (%{z:.1%})<extra></extra>",
        **(_counts(matrix) if size <= WRITTEN else {}),
    }  # fmt: skip
    axes: dict[str, Any] = {"xaxis": {**axis, "title": "taken for"},
                            "yaxis": {**axis, "title": "is", "autorange": "reversed", "scaleanchor": "x"},
            "height": min(760, 260 + 26 * min(size, FEW_TICKS))}  # fmt: skip
    axes["yaxis"].pop("range")
    says = "Rows are the truth; a row's colours are shares of its images. The filter by class frames one."
    return Figure(f"What {run.title(key)} takes for what", [trace], axes, says, table)


def _counts(matrix: list[list[int]]) -> dict[str, Any]:
    """Numbers in a matrix's cells, where there are any images."""
    return {"text": [[str(number) if number else "" for number in row] for row in matrix], "texttemplate": "%{text}"}


def _by_class(run: RunFolder, found: dict[Key, dict[str, Any]]) -> Figure | None:
    keys = [key for key, own in found.items() if rows_of(own.get("per_class"))]
    if not keys:
        return None
    models = [key for key in keys if key != BASELINE]
    shown = [*dict.fromkeys([*models[:1], *models[-1:]]), *([BASELINE] if BASELINE in keys else [])]
    tables = {key: found[key]["per_class"] for key in shown}
    names = list(next(iter(tables.values())))
    data = []
    for key, own in tables.items():
        shares = [own.get(name, {}).get("accuracy") for name in names]
        data.append({"type": "bar", "name": run.title(key), "x": list(range(len(names))), "y": shares, "customdata": names,
                     "meta": meta(key, classes=list(range(len(names)))), "hovertemplate": "%{customdata}: %{y:.1%}"})  # fmt: skip
    rows = [[name, *(percent(tables[key].get(name, {}).get("accuracy"), 1) for key in shown)] for name in names]
    table = Table(["class", *map(run.title, shown)], rows, "", [{"class": str(number)} for number in range(len(names))])
    axes = layout(
        "",
        "accuracy",
        classes_axis(names),
        {"tickformat": ".0%", "range": [0, 1.02]},
        barmode="group",
        bargap=gap(len(names)),
    )
    return Figure(
        "Accuracy by class",
        data,
        axes,
        "The share of each class's images that are recognised, by the first and the last model, and the supervised baseline.",
        table,
    )
