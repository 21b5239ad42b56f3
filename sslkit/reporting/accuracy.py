"""Accuracy by generation, with the supervised baseline."""

from __future__ import annotations

import math
from typing import Any

from ..tables import count, is_number, percent, points
from .figures import layout, meta, share_axis
from .folder import BASELINE, SPLITS, Key, RunFolder
from .parts import Figure, Part, Prose, Section, Table

LEVEL = 1.959964
"Quantile of the normal distribution that bounds 95% of it."


def wilson(share: float, images: int) -> tuple[float, float]:
    """The 95% interval of a share that was counted on so many images (Wilson 1927)."""
    square = LEVEL**2 / images
    middle = (share + square / 2) / (1 + square)
    half = LEVEL / (1 + square) * math.sqrt(share * (1 - share) / images + square / (4 * images))
    return max(0.0, middle - half), min(1.0, middle + half)


def accuracy(run: RunFolder) -> Section:
    """A figure and its table."""
    keys: list[Key] = [*run.entries, *([BASELINE] if run.baseline else [])]
    numbers = {key: run.metrics(key) for key in keys}
    splits = [split for split in SPLITS if any(is_number(own.get(f"{split}_accuracy")) for own in numbers.values())]
    parts: list[Part] = []
    if not run.entries:
        parts.append(Prose("No generation is finished: there is no result yet.", "note"))
    elif not splits:
        parts.append(Prose("Its metrics measure no accuracy of test or validation images.", "note"))
    else:
        parts.append(_figure(run, keys, numbers, splits))
    if run.entries:
        parts.append(_table(run, keys))
    if len(run.entries) < run.planned and run.entries:
        parts.append(Prose(f"{len(run.entries)} of {run.planned} generations are finished.", "note"))
    return Section("accuracy", "Accuracy by generation", parts)


def _figure(run: RunFolder, keys: list[Key], numbers: dict[Key, dict[str, Any]], splits: list[str]) -> Figure:
    titles = [run.title(key) for key in run.entries]
    data: list[dict[str, Any]] = []
    for split in splits:
        name = f"{split}_accuracy"
        path = [numbers[key].get(name) for key in run.entries]
        style = {"width": 1.5, **({"dash": "dot"} if split != splits[0] else {})}
        data.append({"type": "scatter", "mode": "lines", "x": titles, "y": path, "line": style, "hoverinfo": "skip",
                     "name": f"{split} images", "meta": {"color": "plain"}, "connectgaps": True})  # fmt: skip
    supervised = numbers.get(BASELINE, {}).get(f"{splits[0]}_accuracy")
    if is_number(supervised):
        data.append({"type": "scatter", "mode": "lines", "x": titles, "y": [supervised] * len(titles),
                     "name": "supervised baseline",
                     "line": {"width": 2, "dash": "dash"}, "meta": meta(BASELINE)})  # fmt: skip
    for split in splits:
        data += [_dot(run, key, numbers[key], split, split == splits[0]) for key in run.entries]
    shown = [share for key in keys for split in splits if is_number(share := numbers[key].get(f"{split}_accuracy"))]
    images = _images(run, splits[0])
    if images:
        dots = [numbers[key].get(f"{splits[0]}_accuracy") for key in run.entries]
        shown += [end for share in dots if is_number(share) and 0 <= share <= 1 for end in wilson(share, images)]
    says = f"Each dot is a model at the end of its generation; full ones on {splits[0]} images"
    says += f", hollow ones on {splits[1]} images" if len(splits) > 1 else ""
    says += (
        f". Bars are 95% intervals for the chance of having drawn just these {count(images)} {splits[0]} images."
        if images
        else "."
    )
    axes = layout("", "accuracy", {"type": "category", "categoryarray": titles}, share_axis(shown), height=380)
    return Figure("Accuracy", data, axes, says)


def _dot(run: RunFolder, key: Key, numbers: dict[str, Any], split: str, full: bool) -> dict[str, Any]:
    share, images = numbers.get(f"{split}_accuracy"), _images(run, split)
    made: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "x": [run.title(key)], "y": [share if is_number(share) else None],
        "marker": {"size": 11 if full else 9, "symbol": "circle" if full else "circle-open"}, "meta": meta(key),
        "name": f"{run.title(key)}, {split}", "showlegend": False, "hovertemplate": "%{y:.2%}",
    }  # fmt: skip
    if full and images and is_number(share) and 0 <= share <= 1:
        low, high = wilson(share, images)
        made["error_y"] = {"type": "data", "symmetric": False, "array": [high - share], "arrayminus": [share - low]}
    return made


def _images(run: RunFolder, split: str) -> int:
    sizes = run.sizes.get(split)
    return sizes if isinstance(sizes, int) else 0


def _table(run: RunFolder, keys: list[Key]) -> Table:
    head = [
        "model",
        "steps",
        "labels kept",
        "of these right",
        "validation",
        "test",
        "gain",
        "chosen by validation: step",
        "its test",
    ]
    first = next(iter(run.entries.values())).get("test_accuracy")
    rows = []
    for key in keys:
        entry = run.baseline if isinstance(key, str) else run.entries[key]
        test, found = entry.get("test_accuracy"), entry.get("selected")
        chosen = found if isinstance(found, dict) else {}
        gain = points(test - first) if is_number(test) and is_number(first) and key != min(run.entries) else ""
        shares = [
            entry.get(name) for name in ("kept_share", "pseudo_label_accuracy", "validation_accuracy", "test_accuracy")
        ]
        cells = [percent(share, 1) if place < 2 else percent(share) for place, share in enumerate(shares)]
        rows.append(
            [
                run.title(key),
                count(entry.get("steps")),
                *cells,
                gain,
                count(chosen.get("step")),
                percent(chosen.get("test_accuracy")),
            ]
        )
    used = [place for place in range(len(head)) if place == 0 or any(row[place] not in ("", "–") for row in rows)]
    caption = f"Gain: percentage points on the {run.title(min(run.entries))}." if head.index("gain") in used else ""
    return Table(
        [head[i] for i in used],
        [[row[i] for i in used] for row in rows],
        caption,
        [{"generation": str(key)} for key in keys],
    )
