"""A run's stored pseudo-labels in numbers, gone through piece by piece, whatever their number. Without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, mapped
from .folder import RunFolder

ROWS = 1 << 18
"Rows that are looked at together."
BINS = 20
"Of equal width, into which confidences fall."
OUTSIDE = -2
"What the truth of an image is that is known to be of none of the classes: see `sslkit.dataset`."
Counts = NDArray[np.int64]
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"What reading a damaged file raises: it may hold anything."


@dataclass(eq=False)
class Pool:
    """What the pseudo-labels of one generation are, counted by class (K,) and by bin of the teacher's confidence."""

    generation: int
    rows: int
    predicted: Counts
    kept: Counts
    drawn: NDArray[np.float64]
    "How often a pass over the pool draws the class."
    judged: Counts
    "Kept images whose class is known."
    right: Counts
    "Of these, those whose label is right."
    bins: dict[str, Counts] = field(default_factory=dict)
    "`right`, `wrong`, `kept` (of unknown class), `dropped`: images by bin."
    outside: int = 0
    outside_kept: int = 0
    flows: dict[tuple[int, int], int] | None = None
    "Images that changed class since the generation before that has labels: (from, to) -> how many."
    note: str = ""
    "What could not be told."

    @property
    def changed(self) -> int:
        """Images whose class changed."""
        return sum((self.flows or {}).values())


def pools_of(run: RunFolder) -> tuple[list[Pool], list[str]]:
    """Every generation's pseudo-labels, and what is wrong with those that cannot be read."""
    found: list[Pool] = []
    problems: list[str] = []
    truth, note = _truth(run.path)
    before: Column | None = None
    for generation in run.labeled:
        folder = run.path / "labels" / f"generation-{generation}"
        try:
            manifest, shards = _opened(folder)
            pool, before = _counted(generation, len(manifest["classes"]), shards, truth, before)
        except UNREADABLE as error:
            problems.append(f"the pseudo-labels in {folder} cannot be read: {error}")
            continue
        pool.note = note
        found.append(pool)
    return found, problems


def _opened(folder: Path) -> tuple[dict[str, Any], list[dict[str, Column]]]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return manifest, [mapped(folder / shard["file"]) for shard in manifest["shards"]]


def _truth(folder: Path) -> tuple[Column | None, str]:
    try:
        return mapped(folder / "samples" / "samples.safetensors")["truth"], ""
    except FileNotFoundError:
        return None, "The run keeps no list of its unlabeled images, so nothing says which pseudo-labels are right."
    except UNREADABLE as error:
        return (
            None,
            f"The list of the run's unlabeled images is damaged ({error}): which pseudo-labels are right is not known.",
        )


def _counted(
    generation: int, classes: int, shards: list[dict[str, Column]], truth: Column | None, before: Column | None
) -> tuple[Pool, Column]:
    """Counts, and the labels themselves, by which the next generation's changes are told."""
    rows = sum(len(shard["label"]) for shard in shards)
    if truth is not None and len(truth) != rows:
        truth = None
    predicted, kept, judged, right = np.zeros((4, classes), np.int64)
    pool = Pool(generation, rows, predicted, kept, np.zeros(classes), judged, right)
    pool.bins = {name: np.zeros(BINS, np.int64) for name in ("right", "wrong", "kept", "dropped")}
    flows = (
        np.zeros(classes * classes, np.int64)
        if before is not None and len(before) == rows and classes <= 2000
        else None
    )
    labels = np.empty(rows, np.int32)
    for start, part in _pieces(shards):
        label = np.asarray(part["label"])
        labels[start : start + len(label)] = label
        own = None if truth is None else np.asarray(truth[start : start + len(label)])
        _add(pool, part, label, own, classes)
        if flows is not None and before is not None:
            flows += np.bincount(
                before[start : start + len(label)].astype(np.int64) * classes + label, minlength=len(flows)
            )
    if flows is not None:
        ways = [(int(way), int(flows[way])) for way in np.flatnonzero(flows) if way // classes != way % classes]
        pool.flows = {(way // classes, way % classes): number for way, number in ways}
    return pool, labels


def _pieces(shards: list[dict[str, Column]]) -> Iterator[tuple[int, dict[str, Column]]]:
    start = 0
    for shard in shards:
        for at in range(0, len(shard["label"]), ROWS):
            yield start + at, {name: column[at : at + ROWS] for name, column in shard.items()}
        start += len(shard["label"])


def _add(pool: Pool, part: dict[str, Column], label: Column, truth: Column | None, classes: int) -> None:
    weight, copies = np.asarray(part["weight"]), np.asarray(part["copies"])
    kept = (copies > 0) & (weight > 0)
    pool.predicted += np.bincount(label, minlength=classes)
    pool.kept += np.bincount(label[kept], minlength=classes)
    pool.drawn += np.bincount(label[kept], copies[kept], classes)
    bins = np.clip(np.ceil(_confidence(part, label, classes) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    known = np.zeros(len(label), np.bool_) if truth is None else truth >= 0
    right = np.zeros(len(label), np.bool_) if truth is None else truth == label
    pool.judged += np.bincount(label[kept & known], minlength=classes)
    pool.right += np.bincount(label[kept & right], minlength=classes)
    sides = {"right": kept & right, "wrong": kept & known & ~right, "kept": kept & ~known, "dropped": ~kept}
    for name, rows in sides.items():
        pool.bins[name] += np.bincount(bins[rows], minlength=BINS)
    if truth is not None:
        pool.outside += int((truth == OUTSIDE).sum())
        pool.outside_kept += int((kept & (truth == OUTSIDE)).sum())


def _confidence(part: dict[str, Column], label: Column, classes: int) -> NDArray[np.float64]:
    """(M,) the teacher's own probability of the label, whatever was made of it since."""
    if "raw" in part:
        dense = np.take_along_axis(part["raw"], label[:, None], 1)[:, 0]
        return dense.astype(np.float64)
    values, hit = np.asarray(part["raw.values"]), np.asarray(part["raw.classes"]) == label[:, None]
    others = np.minimum(np.asarray(part["raw.rest"]) / max(1, classes - values.shape[1]), values[:, -1])
    found: NDArray[np.float64] = np.where(hit.any(1), (values * hit).sum(1), others).astype(np.float64)
    return found
