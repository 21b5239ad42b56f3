"""What plugins remember of earlier steps: a moving average, a queue of rows, a buffer with a row for each image.

Each is a small object that plugins make in `begin` and whose tensors they save in `state_dict`. None carries a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor


def moved(old: Tensor, new: Tensor, decay: float | Tensor) -> Tensor:
    """The moving average, decay * old + (1 - decay) * new, without a gradient; a decay for all, or for each element."""
    return torch.lerp(new.detach().to(old), old, decay)


def last_of_each(index: Tensor, rows: int) -> Tensor:
    """Positions in `index` (M,) of the last occurrence of each value below `rows`, in the order of the values.

    A batch may draw an image twice; what is written by row must not depend on which of the two comes first.
    """
    order = torch.full((rows,), -1, dtype=torch.long, device=index.device)
    order.scatter_reduce_(0, index, torch.arange(len(index), device=index.device), "amax")
    return order[order >= 0]


class Queue:
    """The newest rows of several columns, oldest overwritten first: `Queue(512, features=(64,), probs=(10,))`.

    Empty rows are left out of what it answers, so that nothing is compared with zeros.
    """

    def __init__(self, rows: int, device: torch.device | str = "cpu", **columns: tuple[int, ...]) -> None:
        self.rows = rows
        self.columns = {name: torch.zeros(rows, *shape, device=device) for name, shape in columns.items()}
        self.next, self.filled = 0, 0

    def push(self, **columns: Tensor) -> None:
        """Add M rows to every column; of more than it holds the last ones stay."""
        count = len(next(iter(columns.values())))
        place = (self.next + torch.arange(max(0, count - self.rows), count)) % self.rows
        for name, own in self.columns.items():
            own[place.to(own.device)] = columns[name].detach()[-self.rows :].to(own)
        self.next = (self.next + count) % self.rows
        self.filled = min(self.rows, self.filled + count)

    def __len__(self) -> int:
        return self.filled

    def __getitem__(self, name: str) -> Tensor:
        """A column's rows that were filled, in no particular order: (filled, ...)."""
        return self.columns[name][: self.filled]

    def state_dict(self) -> dict[str, Tensor | int]:
        """Every column, and where it goes on."""
        return {**self.columns, "next": self.next, "filled": self.filled}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """What `state_dict` answered."""
        for name, own in self.columns.items():
            own.copy_(torch.as_tensor(state[name]))
        self.next, self.filled = int(state["next"]), int(state["filled"])
