"""Which images of a pool a run keeps pictures of: those whose label changed, and those that it may be wrong about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .dataset import OUTSIDE, Data, Image, Rows
from .folder import Run
from .pictures import LabeledPicture, Picture
from .pseudo_labels.stored import Stored, labels_folder
from .store import load_labels
from .types import Targets

CHANGED = 3
"Images whose label changed, for each of the others."


class PoolPictures:
    """The labels that teach a generation, beside those of the generation before."""

    def __init__(self, run: Run, generation: int, stored: Targets, data: Data) -> None:
        self.data, manifest = data, {"classes": list(data.classes)}
        self.after = Stored(run, generation, (generation,), stored, manifest)
        self.before: Stored | None = None
        if (folder := labels_folder(run) / f"generation-{generation - 1}").is_dir():
            labels = load_labels(folder, whole=False)[0]
            self.before = Stored(run, generation - 1, (generation,), labels, manifest)

    def taken(self, count: int, encode: Callable[[Iterable[Image]], list[Picture]]) -> dict[str, list[LabeledPicture]]:
        """`count` pictures of each kind, more of changed labels: fields of `GenerationPictures`."""
        chosen = {"wrong": wrong(self.after)[:count], "unsure": unsure(self.after)[:count]}
        if self.before is not None:
            chosen["changed"] = changed(self.before, self.after)[: CHANGED * count]
        together = np.unique(np.concatenate(list(chosen.values())))
        assert self.data.unlabeled is not None
        made = encode(self.data.unlabeled.read(together)) if len(together) else []
        pictures = dict(zip(together.tolist(), made, strict=True))
        return {
            kind: [self._labeled(row, pictures[row], kind == "changed") for row in rows.tolist()]
            for kind, rows in chosen.items()
        }

    def _labeled(self, row: int, image: Picture, compared: bool) -> LabeledPicture:
        assert self.data.unlabeled is not None
        was: dict[str, Any] = {}
        if compared and self.before is not None:
            was = {
                "before": self.data.classes[int(self.before.label[row])],
                "confidence_before": float(self.before.confidence[row]),
                "kept_before": bool(self.before.kept[row]),
            }
        truth = int(self.after.truth[row])
        return LabeledPicture(
            id=self.data.unlabeled.ids[row],
            label=self.data.classes[int(self.after.label[row])],
            confidence=float(self.after.confidence[row]),
            kept=bool(self.after.kept[row]),
            truth=class_name(self.data, truth),
            outside=truth == OUTSIDE,
            image=image,
            **was,
        )


def class_name(data: Data, number: int) -> str | None:
    """The name of a class; None where it is not known, or none of them."""
    return data.classes[number] if number >= 0 else None


def changed(before: Stored, after: Stored) -> Rows:
    """Rows whose label changed: those that teach now first, then the most confident of each new class in turn."""
    rows = np.flatnonzero(before.label != after.label)
    rows = rows[np.lexsort((-after.confidence[rows], ~after.kept[rows]))]
    label, turn = after.label[rows], np.empty(len(rows), np.int64)
    for number in np.unique(label):
        turn[label == number] = np.arange((label == number).sum())
    return rows[np.lexsort((turn, ~after.kept[rows]))]


def wrong(stored: Stored) -> Rows:
    """Rows that teach what is known to be wrong, the most confident first."""
    known = (stored.truth >= 0) | (stored.truth == OUTSIDE)
    rows = np.flatnonzero(stored.kept & known & (stored.label != stored.truth))
    return rows[np.argsort(-stored.confidence[rows], kind="stable")]


def unsure(stored: Stored) -> Rows:
    """Rows that teach, the least confident first."""
    rows = np.flatnonzero(stored.kept)
    return rows[np.argsort(stored.confidence[rows], kind="stable")]
