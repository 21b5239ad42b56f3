"""Pseudo-labels as columns by name, part by part: what every format of an export is written from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from torch import Tensor

from ..dataset import OUTSIDE, Rows
from ..pool import TopK
from .stored import Stored, chunks_of

ROWS = 8192
"Images of a part."
MOST = 100
"Classes that have a column each, where all probabilities are kept; of more, the most probable alone are written."
TOP = 10
"How many of them."
Columns = dict[str, Any]


def parts_of(stored: Stored, kept_only: bool = False) -> Iterator[tuple[int, Columns]]:
    """For each part how many rows were looked at, and its columns: lists, and arrays of numbers."""
    for part in chunks_of(len(stored), ROWS):
        rows = np.arange(part.start, part.stop)
        if kept_only:
            rows = rows[stored.kept[part]]
        yield part.stop - part.start, columns_of(stored, rows)


def columns_of(stored: Stored, rows: Rows) -> Columns:
    """The columns of some rows (M,)."""
    names = np.array([*stored.classes, None], dtype=object)  # the last: not known
    truth, targets = stored.truth[rows], stored.targets
    columns: Columns = {
        "id": stored.samples.ids(rows),
        "label": names[stored.label[rows]].tolist(),
        "confidence": stored.confidence[rows],
        "kept": stored.kept[rows].tolist(),
        "weight": targets.weight.numpy()[rows],
        "copies": targets.copies.numpy()[rows],
        "truth": names[np.where(truth >= 0, truth, -1)].tolist(),
    }
    if stored.any_outside:
        columns["outside"] = (truth == OUTSIDE).tolist()
    return columns | probabilities(stored, rows)


def probabilities(stored: Stored, rows: Rows) -> Columns:
    """The teacher's: `p_CLASS` for each class, or `top_1`, `p_1`, ... and `p_rest`."""
    raw = cast("Tensor | TopK", stored.targets.raw)
    if isinstance(raw, Tensor) and len(stored.classes) <= MOST:
        dense = raw.numpy()[rows]
        return {f"p_{name}": dense[:, number] for number, name in enumerate(stored.classes)}
    if isinstance(raw, Tensor):
        top = TopK.of(raw[rows], TOP)
        classes, values, rest = top.classes.numpy(), top.values.numpy(), top.rest.numpy()
    else:
        classes, values, rest = raw.classes.numpy()[rows], raw.values.numpy()[rows], raw.rest.numpy()[rows]
    names, columns = np.array(stored.classes, dtype=object), Columns()
    for place in range(values.shape[1]):
        columns |= {f"top_{place + 1}": names[classes[:, place]].tolist(), f"p_{place + 1}": values[:, place]}
    return columns | {"p_rest": rest}
