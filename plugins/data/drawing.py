"""Which images of each class are labeled, and which are set aside: drawn by seed, class by class."""

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


def draw(
    truth: Rows, first: Rows, last: Rows, generator: Callable[[int], np.random.Generator]
) -> tuple[Rows, Rows, Rows]:
    """Positions of each class's `first` (K,), of its `last` (K,), and of the rest; each ascending. `truth`: (N,).

    One shuffle of each class, by a generator of its own, gives all three: more of one keeps the ones there were, and
    what happens to one class leaves the others as they are.
    """
    parts: tuple[list[Rows], list[Rows], list[Rows]] = ([], [], [])
    order = np.argsort(truth, kind="stable")
    ends = np.cumsum(np.bincount(truth, minlength=len(first)))
    for k, rows in enumerate(np.split(order, ends[:-1])):
        rows = generator(k).permutation(rows)
        cut = len(rows) - int(last[k])
        for part, some in zip(parts, (rows[: first[k]], rows[cut:], rows[first[k] : cut]), strict=True):
            part.append(some)
    made = [np.sort(np.concatenate(part)).astype(np.int64) for part in parts]
    return made[0], made[1], made[2]
