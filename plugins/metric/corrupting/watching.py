"""How models answer images that are changed on the way: piece by piece, the same ones for a model and its reference."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor

from sslkit import Classifier, Images, Progress

from ..robustness import Rows
from .corrupt import Bytes

Changed = Callable[[Rows, Bytes], Iterable[Bytes]]
"Positions (M,) and images (M, S, S, C) as a model sees them -> the same images changed, one way after another."
Piece = tuple[Tensor, Tensor]
"Positions (M,), and images (M, S, S, C) uint8 as a model sees them."
PIXELS = 32 * 224**2
"Of the images that are changed at once, which takes up to about 150 bytes for each: 240 MB, 32 images of 224 pixels."


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
    for seen in zip_longest(*(pieces(model, images, rows) for model in models)):
        for (position, made), group in alike(seen):
            named: dict[int, list[Tensor]] = {number: [] for number in group}
            for shown in changed(position.numpy(), made.numpy()):
                for number in group:
                    named[number].append(models[number].answer(torch.from_numpy(shown)).argmax(1))
            for number in group:
                yield number, position, named[number]


def pieces(model: Classifier, images: Images, rows: Rows) -> Iterator[Piece]:
    """What a model sees, in pieces of at most so many images that memory is bounded, whatever their size."""
    for position, made in model.batches(images, rows):
        most = max(1, PIXELS // (made.shape[1] * made.shape[2]))
        yield from zip(torch.split(position, most), torch.split(made, most), strict=True)


def alike(seen: Sequence[Piece | None]) -> list[tuple[Piece, list[int]]]:
    """Pieces that are different, each with the numbers of the models that see it; None: a model that is done."""
    found: list[tuple[Piece, list[int]]] = []
    for number, piece in enumerate(seen):
        if piece is None:
            continue
        group = next((group for other, group in found if all(map(torch.equal, other, piece))), None)
        if group is None:
            found.append((piece, [number]))
        else:
            group.append(number)
    return found
