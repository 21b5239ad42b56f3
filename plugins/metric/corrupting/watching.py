"""How models answer images that are changed on the way: piece by piece, the same ones for a model and its reference."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sslkit import Classifier, Images, Progress

from .corrupt import Bytes

Rows = NDArray[np.int64]
Changed = Callable[[Rows, Bytes], Iterable[Bytes]]
"Positions (M,) and images (M, S, S, C) as a model sees them -> the same images changed, one way after another."


def chosen(rows: Rows, number: int) -> Rows:
    """Of positions all, or (`number` above 0) so many, at equal distances."""
    return rows if not 0 < number < len(rows) else rows[np.arange(number) * len(rows) // number]


def of_known_class(images: Images) -> Rows:
    """Positions of images whose class is known."""
    return np.flatnonzero(images.truth >= 0)


def fixed(progress: Progress, name: str) -> int:
    """The key of what is drawn for a corruption or perturbation: the same in all generations, to be compared."""
    return replace(progress, generation=0, step=0).key(name)


def answers(
    models: Sequence[Classifier], images: Images, rows: Rows, changed: Changed
) -> Iterator[tuple[int, Tensor, list[Tensor]]]:
    """Which model, positions (M,), and the classes (M,) it names in each way the images are changed; piece by piece.

    Models that see the images alike are shown the very same changed ones, made once; others, as of another size, each
    those that are made of what it sees.
    """
    for group in groups(models, images, rows):
        for position, made in models[group[0]].batches(images, rows):
            named: dict[int, list[Tensor]] = {number: [] for number in group}
            for shown in changed(position.numpy(), made.numpy()):
                for number in group:
                    named[number].append(models[number].answer(torch.from_numpy(shown)).argmax(1))
            for number in group:
                yield number, position, named[number]


def groups(models: Sequence[Classifier], images: Images, rows: Rows) -> list[list[int]]:
    """Which models see the images alike, judged by the first of them."""
    found: list[tuple[Tensor, list[int]]] = []
    for number, model in enumerate(models):
        _, seen = next(iter(model.batches(images, rows[:1])))
        alike = next((group for first, group in found if torch.equal(first, seen)), None)
        if alike is None:
            found.append((seen, [number]))
        else:
            alike.append(number)
    return [group for _, group in found]
