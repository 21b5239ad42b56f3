"""A trained network as metrics see it, and the clean view that labeling and evaluation share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .dataset import Images, Rows
from .loader import ViewMaker
from .network import Network
from .prefetch import one_ahead
from .streams import to_floats
from .types import Outputs

PIECE = 8
"Images that are read before they are resized: a chunk of large ones must not lie in memory as they are."


def chunks(
    images: Images, views: Sequence[ViewMaker], rows: int, positions: Rows | None = None
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """A split in order: positions (M,), and for each view its images (M, H, W, C) uint8. A thread reads one chunk ahead.

    `positions`: of which images, and in which order. The key of a row's noise is its position.
    """
    wanted = np.arange(len(images)) if positions is None else positions
    read = (fitted(images, views, wanted[at : at + rows]) for at in range(0, len(wanted), rows))
    for position, made in one_ahead(read):
        yield (
            torch.from_numpy(position),
            [torch.from_numpy(view.noised(one, position)) for view, one in zip(views, made, strict=True)],
        )


def fitted(images: Images, views: Sequence[ViewMaker], position: Rows) -> tuple[Rows, list[Any]]:
    """Rows (M,) of a split, and for each view its images without noise, as `ViewMaker.fit` makes them."""
    pieces = (images.read(position[at : at + PIECE]) for at in range(0, len(position), PIECE))
    parts = [[view.fit(piece) for view in views] for piece in pieces]
    return position, [joined(each) for each in zip(*parts, strict=True)]


def joined(parts: Sequence[Any]) -> Any:
    """Pieces as one: arrays, or lists of images that a transform resizes."""
    return list(chain.from_iterable(parts)) if isinstance(parts[0], list) else np.concatenate(parts)


class NetworkClassifier:
    """Un-noised, on running statistics, by the clean view; predictions of a split are made once."""

    def __init__(
        self, network: Network, decide: Callable[[Outputs], Tensor], view: ViewMaker, device: torch.device, rows: int
    ) -> None:
        self.network: Network = network
        self.decide, self.view, self.device, self.rows = decide, view, device, rows
        self.ask: Callable[[], None] = lambda: None  # before each answer; raises where work is to stop
        self._known: dict[int, tuple[Images, Tensor]] = {}

    def __call__(self, images: Images) -> Tensor:
        """(N, K) probabilities of a whole split, on the CPU."""
        if id(images) not in self._known:
            # The split is kept beside the answer, so that its id is not given to another.
            self._known[id(images)] = (images, self._predict(images))
        return self._known[id(images)][1]

    def _predict(self, images: Images) -> Tensor:
        return torch.cat([self.answer(made) for _, made in self.batches(images)])

    def batches(self, images: Images, positions: Rows | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """A split piece by piece as the model sees it: positions (M,) and images (M, H, W, C) uint8, on the CPU."""
        return ((position, made) for position, (made,) in chunks(images, [self.view], self.rows, positions))

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """Images of the view (M, H, W, C) uint8 -> (M, K) probabilities, on the CPU."""
        return self.logits(to_floats(images, self.device)).float().softmax(1).cpu()

    def logits(self, images: Tensor) -> Tensor:
        """Images of the view (M, C, H, W), floats in 0-1 on `device` -> the (M, K) logits that are gone by."""
        self.ask()
        self.network.set_mode(noise=False, batch_norm="running", write_stats=False)
        return self.decide(self.network(images))
