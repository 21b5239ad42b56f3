"""Which images of each class are labeled, and which are set aside: how many, and drawn by seed, class by class."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def apportion(total: int, sizes: Rows) -> Rows:
    """`total` seats for classes of `sizes` (K,), in proportion: whole numbers (K,), largest remainders rounded up.

    None is above its size where `total` is at most the sum of the sizes. Equal remainders go to the first class.
    """
    quotas = sizes * total
    seats: Rows = quotas // sizes.sum()
    left = total - int(seats.sum())
    seats[np.argsort(-(quotas % sizes.sum()), kind="stable")[:left]] += 1
    return seats


def shares(gamma: float, classes: int) -> NDArray[np.float64]:
    """Images of each class beside the most frequent one's: n_k / n_1 = gamma^(-k / (K - 1)), k = 0 to K - 1. (K,).

    The usual long-tailed imbalance (Kim et al. 2020, DARP, sec. 4.1; Wei et al. 2021, CReST): the first class has gamma
    times the images of the last. A gamma below 1 is the same distribution reversed.
    """
    falling = np.power(gamma, -np.arange(classes) / (classes - 1))
    return np.asarray(falling / falling.max(), np.float64)


def counts_of(shares: NDArray[np.float64], most: float) -> Rows:
    """Images of each class where the most frequent one has `most`: rounded down as published, one at least. (K,)."""
    return np.maximum(1, np.floor(shares * most + 1e-6)).astype(np.int64)


def long_tail(counts: Rows, gamma: float) -> Rows:
    """The largest long-tailed part of classes of `counts` (K,): images of each, (K,). Of no class more than it has."""
    tail = shares(gamma, len(counts))
    return np.minimum(counts, counts_of(tail, (counts / tail).min()))


def draw(
    truth: Rows, first: Rows, last: Rows, generator: Callable[[int], np.random.Generator], rest: Rows | None = None
) -> tuple[Rows, Rows, Rows]:
    """Positions of each class's `first` (K,), of its `last` (K,), and of the rest; each ascending. `truth`: (N,).

    `rest` (K,): how many of the rest are taken, where not all of them are.

    One shuffle of each class, by a generator of its own, gives all three: more of one keeps the ones there were, and
    what happens to one class leaves the others as they are.
    """
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    order = np.argsort(truth, kind="stable")
    ends = np.cumsum(np.bincount(truth, minlength=len(first)))
    for k, rows in enumerate(np.split(order, ends[:-1])):
        rows = generator(k).permutation(rows)
        cut = len(rows) - int(last[k])
        end = cut if rest is None else min(cut, int(first[k] + rest[k]))
        for part, some in zip(parts, (rows[: first[k]], rows[cut:], rows[first[k] : end]), strict=True):
            part.append(some)
    made = [np.sort(np.concatenate(part)).astype(np.int64) for part in parts]
    return made[0], made[1], made[2]
