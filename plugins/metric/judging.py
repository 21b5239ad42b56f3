"""Pseudo-labels counted and judged by their hidden truth, piece by piece: shared by several metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sslkit import OUTSIDE, Targets


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a pool's labels, (M,) each."""

    targets: Targets
    label: Tensor
    truth: Tensor

    @property
    def kept(self) -> Tensor:
        """Bool: rows that teach anything."""
        return self.targets.kept


Group = tuple[Callable[[Piece], Tensor], int]
"What tells the group of each row of a piece, and how many groups there are; where there is one, nothing is asked."


@dataclass(frozen=True, eq=False)
class Counts:
    """What is in each of G groups of images, (G,) float64; each counts once, however often it is drawn."""

    images: Tensor
    kept: Tensor
    known: Tensor  # whose truth is known
    judged: Tensor  # kept, and their truth is known
    right: Tensor  # of these, the label is true
    outside: Tensor  # known to be of none of the classes
    outside_kept: Tensor
    draws: Tensor  # of those that are kept, in a pass over the pool


def count(stored: Targets, truth: Tensor, groups: Sequence[Group]) -> list[Counts]:
    """Go through a pool's labels once and count them by each grouping.

    `truth`: of the whole unlabeled split, (N,) as `Data.hidden_truth`. Memory does not depend on the pool's size.
    """
    sums = [torch.zeros(8, size, dtype=torch.float64) for _, size in groups]  # exact: whole numbers far below 2^53
    for targets in stored.pieces():
        piece = Piece(targets, targets.label, truth[targets.index])
        for total, (group_of, size) in zip(sums, groups, strict=True):
            group = group_of(piece) if size > 1 else None
            for row, column in zip(total, _columns(piece), strict=True):
                row += column.sum() if group is None else torch.bincount(group, column.double(), size)
    return [Counts(*total) for total in sums]


def _columns(piece: Piece) -> list[Tensor]:
    """What is summed, in the order of `Counts`."""
    kept, known, outside = piece.kept, piece.truth >= 0, piece.truth == OUTSIDE
    judged = kept & known
    right = judged & (piece.label == piece.truth)
    draws = torch.where(kept, piece.targets.copies.double(), 0.0)
    return [torch.ones_like(kept), kept, known, judged, right, outside, kept & outside, draws]


def everything(piece: Piece) -> Tensor:
    """One group of all rows."""
    return torch.zeros_like(piece.label)


def share(part: Tensor, whole: Tensor) -> float | None:
    """A count's share of another; None of nothing."""
    return float(part) / float(whole) if whole else None


def coverage(total: Counts) -> float:
    """The share of the pool that passed every filter."""
    return share(total.kept.sum(), total.images.sum()) or 0.0


def precision(total: Counts) -> float | None:
    """The share of right labels among those that are kept and whose truth is known; None without any."""
    return share(total.right.sum(), total.judged.sum())


def pseudo_label_numbers(stored: Targets, truth: Tensor) -> dict[str, float | None]:
    """How right the kept pseudo-labels are, and how many of them were kept; `truth` is that of the whole pool."""
    (total,) = count(stored, truth, [(everything, 1)])
    return {"pseudo_label_accuracy": precision(total), "kept_share": coverage(total)}
