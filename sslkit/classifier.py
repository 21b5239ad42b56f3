"""A trained network as metrics see it, and the clean view that labeling and evaluation share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from .dataset import Images
from .loader import ViewMaker
from .network import Network
from .streams import to_floats
from .types import Outputs


def chunks(images: Images, view: ViewMaker, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A split in order: positions (M,) and images (M, H, W, C) uint8. The key of a row's noise is its position."""
    for start in range(0, len(images), rows):
        position = np.arange(start, min(start + rows, len(images)))
        yield torch.from_numpy(position), torch.from_numpy(view(images.read(position), position))


class NetworkClassifier:
    """Un-noised, on running statistics, by the clean view; predictions of a split are made once."""

    def __init__(
        self, network: Network, decide: Callable[[Outputs], Tensor], view: ViewMaker, device: torch.device, rows: int
    ) -> None:
        self.network: Network = network
        self.decide, self.view, self.device, self.rows = decide, view, device, rows
        self._known: dict[int, tuple[Images, Tensor]] = {}

    def __call__(self, images: Images) -> Tensor:
        """(N, K) probabilities of a whole split, on the CPU."""
        if id(images) not in self._known:
            # The split is kept beside the answer, so that its id is not given to another.
            self._known[id(images)] = (images, self._predict(images))
        return self._known[id(images)][1]

    @torch.no_grad()
    def _predict(self, images: Images) -> Tensor:
        self.network.set_mode(noise=False, batch_norm="running", write_stats=False)
        answers = [
            self.decide(self.network(to_floats(chunk, self.device))).float().softmax(1).cpu()
            for _, chunk in chunks(images, self.view, self.rows)
        ]
        return torch.cat(answers)
