"""What plugins remember of earlier steps: a moving average, a queue of rows, a row for each image.

Each is a small object that plugins make in `begin` and whose tensors they save in `state_dict`. None carries a
gradient, and none makes a step wait for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor


def moved(old: Tensor, new: Tensor, decay: float | Tensor) -> Tensor:
    """The moving average, decay * old + (1 - decay) * new, without a gradient; a decay for all, or for each element."""
    return torch.lerp(new.detach().to(old), old, decay)


PAIRS = 1 << 20
"Rows of a batch are compared in pairs, up to as many of them: larger ones, such as a whole pool, by a table of images."


def last_of_each(index: Tensor, kept: Tensor, images: int) -> Tensor:
    """For each row the last row of the same image, among those that are `kept`: (M,), (M,) bool -> (M,); -1: none.

    `index` is below `images`. A batch may draw an image twice; what is written by row must not depend on which of the
    two a device takes first.
    """
    place = torch.arange(len(index), device=index.device).where(kept, -1)
    if 0 < len(index) ** 2 <= PAIRS:
        return torch.where(index[:, None] == index, place, -1).amax(1)
    table = torch.full((images,), -1, device=index.device)
    return table.scatter_reduce_(0, index, place, "amax")[index]


class Rows:
    """A row for each image, by its position in its data set: `Rows(50_000, 10)` has `values` of (50_000, 10)."""

    def __init__(
        self, rows: int, *shape: int, fill: float = 0, dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        self.fill = fill
        self.values = torch.full((rows, *shape), fill, dtype=dtype, device=device)

    def __len__(self) -> int:
        return len(self.values)

    def read(self, index: Tensor) -> Tensor:
        """The rows of some images: (M,) -> (M, ...)."""
        return self.values[self._here(index)]

    def write(self, index: Tensor, values: Tensor, kept: Tensor | None = None) -> Tensor:
        """Replace the rows of some images, of one that comes twice by its last: (M,), (M, ...) -> (M,) bool.

        Where `kept` (M,) is false a row is left out, as if it were not there. True in the answer are the rows that now
        stand in the buffer, one for each image.
        """
        index, values = self._here(index), self._here(values.detach()).to(self.values.dtype)
        all_of_them = torch.ones_like(index, dtype=torch.bool)
        last = last_of_each(index, all_of_them if kept is None else self._here(kept), len(self))
        written = (last >= 0).view(-1, *[1] * (values.dim() - 1))
        # All rows of an image are written, with what is the last one's: no order among them matters.
        self.values[index] = torch.where(written, values[last.clamp(min=0)], self.values[index])
        return last == torch.arange(len(index), device=index.device)

    def grow(self, rows: int) -> None:
        """Room for further images, where there are more than it was made for."""
        if (more := rows - len(self)) > 0:
            fresh = self.values.new_full((more, *self.values.shape[1:]), self.fill)
            self.values = torch.cat([self.values, fresh])

    def load(self, values: Tensor) -> None:
        """Take over saved `values`, in place."""
        self.values.copy_(torch.as_tensor(values))

    def _here(self, tensor: Tensor) -> Tensor:
        # Copies to the CPU must be waited for: only there is the next operation on them not on the same stream.
        return tensor.to(self.values.device, non_blocking=self.values.is_cuda)


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
        start = (self.next + max(0, count - self.rows)) % self.rows
        for name, own in self.columns.items():
            rows = columns[name].detach()[-self.rows :]
            ahead = min(len(rows), self.rows - start)  # the others go on at the beginning
            own[start : start + ahead] = rows[:ahead]
            own[: len(rows) - ahead] = rows[ahead:]
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
