"""What a generation's pseudo-labels are worth: how many are kept, how many of these are right, of which classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Unit
from torch import Tensor

from sslkit import Data, Progress, Targets, hookimpl
from sslkit.pool import probability_of

from .judging import Counts, Piece, count, coverage, everything, precision, share
from .scoring import bin_of, upper_edges
from .splits import distinct


def teacher_confidence(piece: Piece) -> Tensor:
    """(M,) the teacher's own probability of the label, whatever was made of it since: hard labels are all sure."""
    return probability_of(piece.targets.raw, piece.label, slice(None))


def class_rows(counts: Counts, classes: Sequence[str], images: Tensor | None) -> dict[str, dict[str, Any]]:
    """Class name -> what has its label; `images` (K,) of the pool are truly of it, None where no truth is known."""
    rows: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(distinct(classes)):
        rows[name] = {
            "predicted": int(counts.images[k]),
            "kept": int(counts.kept[k]),
            "draws": round(float(counts.draws[k])),
        }
        if images is not None:
            rows[name] |= {"precision": share(counts.right[k], counts.judged[k]), "images": int(images[k])}
        if counts.outside.any():
            rows[name]["outside_kept"] = int(counts.outside_kept[k])
    return rows


def confidence_rows(counts: Counts, known: bool) -> dict[str, dict[str, int]]:
    """Upper edge of a bin -> its images, those that are kept, and, where any truth is known, those of them that are right."""
    columns = {"images": counts.images, "kept": counts.kept}
    if known:
        columns |= {"judged": counts.judged, "right": counts.right}
    if counts.outside.any():
        columns |= {"outside": counts.outside, "outside_kept": counts.outside_kept}
    return {
        edge: {name: int(column[m]) for name, column in columns.items()}
        for m, edge in enumerate(upper_edges(len(counts.images)))
    }


@dataclass(eq=False, kw_only=True)
class PseudoLabels:
    """The stored pseudo-labels that taught a generation, in numbers and tables. At a generation's end only.

    `pseudo_label_coverage` is the share of the pool that passed every filter, `pseudo_label_precision` the share of right
    labels among these (the numbers that `accuracy` calls `kept_share` and `pseudo_label_accuracy`). Each image counts
    once, however many copies of it are drawn; none is judged that is labeled, too: its label was taught.

    `pseudo_label_per_class` has, of each class, how many images are labeled so (`predicted`), how many of them are
    `kept`, how often these are drawn in a pass over the pool (`draws`), their `precision`, and how many images are truly
    of it (`images`). `pseudo_label_confidence` is a histogram of the teacher's probability of the label, by the upper
    edge of each bin: all `images`, those that are `kept`, and of these how many could be `judged` and are `right`.

    Without any known truth what needs it is left out. Where images are known to be of none of the classes,
    `pseudo_label_outside` counts them, `pseudo_label_outside_kept_share` says how many of them passed, and the tables
    tell them apart; they are not among the judged. Pools of any size are gone through piece by piece.
    """

    bins: Annotated[int, Ge(1), Unit("bins")] = 20
    "Bins of equal width into which the teacher's confidence falls."

    @hookimpl
    def measure(self, data: Data, stored: Targets | None, progress: Progress) -> dict[str, Any]:
        """Numbers and tables, where the generation was taught by stored pseudo-labels."""
        if stored is None or data.unlabeled is None or progress.step < progress.steps:
            return {}
        size, truth = len(data.classes), torch.as_tensor(data.hidden_truth)
        groups = [
            (everything, 1),
            (lambda piece: piece.label, size),
            (lambda piece: (piece.truth + 1).clamp(min=0), size + 1),
            (lambda piece: bin_of(teacher_confidence(piece), self.bins), self.bins),
        ]
        total, by_class, by_truth, by_bin = count(stored, truth, groups)
        known = bool(total.known)
        images = by_truth.images[1:] if known else None
        numbers = {"pseudo_label_coverage": coverage(total), "pseudo_label_precision": precision(total)}
        if total.outside.any():
            numbers["pseudo_label_outside"] = int(total.outside)
            numbers["pseudo_label_outside_kept_share"] = share(total.outside_kept, total.outside)
        return {
            **{name: number for name, number in numbers.items() if number is not None},
            "pseudo_label_per_class": class_rows(by_class, data.classes, images),
            "pseudo_label_confidence": confidence_rows(by_bin, known),
        }
