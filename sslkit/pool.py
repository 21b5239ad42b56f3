"""Probabilities of a pool with many classes: of each image the most probable ones, and what remains for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from .errors import MostProbableOnly

CHUNK = 1_000_000
"Probabilities that are written out at once."


def most_probable(classes: int, label_top: int) -> int | None:
    """How many classes of each row a pool keeps by the recipe's `label_top`; None: all, where they are not that many."""
    return label_top if 0 < 2 * label_top < classes else None


@dataclass(eq=False)
class TopK:
    """The `k` most probable of K classes for each of N images, and the remainder, which is spread over the others evenly.

    It answers what a pool is asked for as an (N, K) tensor would (`shape`, `len`, rows by index, `argmax(1)`, `amax(1)`,
    `mean(0)`, `split`) and raises `MostProbableOnly` at everything else: that would need all N * K of them at once.
    """

    classes: Tensor  # (N, k) whole numbers, the most probable first, of equals the lowest
    values: Tensor  # (N, k) their probabilities
    rest: Tensor  # (N,) the sum of all others
    count: int  # K

    requires_grad = False

    @classmethod
    def of(cls, dense: Tensor, k: int) -> TopK:
        """The `k` most probable classes of (N, K) probabilities, k < K."""
        classes = _first_of_equals(dense, k)
        values, order = dense.gather(1, classes).sort(dim=1, descending=True, stable=True)
        rest = dense.scatter(1, classes, 0.0).sum(1)
        small = torch.int16 if dense.shape[1] <= torch.iinfo(torch.int16).max else torch.int32
        return cls(classes.gather(1, order).to(small), values, rest, dense.shape[1])

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Tensor:
        """The rows at an index (M,), or of a slice, with all their classes: (M, K). Of a number: (K,)."""
        classes, values, rest = self.classes[index], self.values[index], self.rest[index]
        # None of the others is more probable than the last of these, whatever was rounded.
        share = torch.minimum(rest / (self.count - values.shape[-1]), values[..., -1])
        rows = share[..., None].expand(*share.shape, self.count)
        return rows.scatter(-1, classes.long(), values)

    def dense(self) -> Tensor:
        """All of it as an (N, K) tensor; see `split`, where that has no room."""
        return self[:]

    def split(self, rows: int) -> Iterator[Tensor]:
        """So many rows after another, with all their classes."""
        return (self[start : start + rows] for start in range(0, len(self), rows))

    def part(self, rows: slice) -> TopK:
        """Some rows, as they are kept: what is mapped into memory stays so."""
        return TopK(self.classes[rows], self.values[rows], self.rest[rows], self.count)

    def map(self, function: Callable[[Tensor], Tensor]) -> TopK:
        """What a function of rows, (M, K) -> (M, K), makes of all of them, chunk by chunk; as many classes are kept."""
        k = self.values.shape[1]
        made = TopK(
            torch.empty_like(self.classes), torch.empty_like(self.values), torch.empty_like(self.rest), self.count
        )
        start = 0
        for rows in self.split(self._chunk):
            part, place = TopK.of(function(rows), k), slice(start, start + len(rows))
            made.classes[place], made.values[place], made.rest[place] = part.classes, part.values, part.rest
            start += len(rows)
        return made

    def mean(self, dim: int) -> Tensor:
        """(K,) over all rows; `dim` is 0."""
        self._require(dim, 0, "mean")
        sums = torch.zeros(self.count, dtype=torch.float64, device=self.device)
        for rows in self.split(self._chunk):
            sums += rows.sum(0, dtype=torch.float64)
        return (sums / len(self)).to(self.dtype)

    def argmax(self, dim: int) -> Tensor:
        """(N,) the most probable class; `dim` is 1."""
        self._require(dim, 1, "argmax")
        return self.classes[:, 0].long()

    def amax(self, dim: int) -> Tensor:
        """(N,) the probability of the most probable class; `dim` is 1."""
        self._require(dim, 1, "amax")
        return self.values[:, 0].contiguous()

    def detach(self) -> TopK:
        """Itself: it carries no gradient."""
        return self

    def to(self, device: torch.device) -> TopK:
        """The same on `device`."""
        return TopK(self.classes.to(device), self.values.to(device), self.rest.to(device), self.count)

    @property
    def shape(self) -> torch.Size:
        """(N, K)."""
        return torch.Size((len(self), self.count))

    @property
    def dtype(self) -> torch.dtype:
        """That of the probabilities."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.values.device

    def __repr__(self) -> str:
        return f"TopK({len(self):,} rows, {self.values.shape[1]} of {self.count:,} classes)"

    # What would need every class of every image -------------------------------------------------------------------

    @property
    def _chunk(self) -> int:
        return max(1, CHUNK // self.count)

    def _require(self, dim: int, only: int, name: str) -> None:
        if dim != only:
            self.refuse(f"{name}({dim})")

    @staticmethod
    def refuse(what: str) -> NoReturn:
        """Say that this cannot be asked, and what can be done."""
        raise MostProbableOnly(
            f"`{what}` needs all probabilities of a pool, which keeps the most probable classes of each image only, as "
            "there are many. Set `label_top = 0` in the recipe to keep them all; in a plugin, take some rows "
            "(`targets.rows(index)`), or change each row by itself (`targets.mapped(function)`, `.probs.map(function)`)"
        )

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        cls.refuse(getattr(function, "__name__", str(function)))

    def __getattr__(self, name: str) -> Any:
        if hasattr(Tensor, name) and not name.startswith("__"):
            self.refuse(name)
        raise AttributeError(f"TopK has no attribute {name!r}")


def probability_of(probs: Tensor | TopK, label: Tensor, rows: slice) -> Tensor:
    """(M,) the probability of each row's label (N,), for some of the rows."""
    wanted = label[rows, None]
    if isinstance(probs, Tensor):
        return probs[rows].gather(1, wanted).squeeze(1)
    values = probs.values[rows]
    hit = probs.classes[rows].long() == wanted
    other = torch.minimum(probs.rest[rows] / (probs.count - values.shape[1]), values[:, -1])
    return torch.where(hit.any(1), (values * hit).sum(1), other)


def _first_of_equals(dense: Tensor, k: int) -> Tensor:
    """The `k` largest of each row, ascending by position, of equals the first (`topk` takes any): (N, K) -> (N, k)."""
    scores = dense.nan_to_num(nan=torch.inf)
    least = scores.topk(k, 1).values[:, -1:]
    more, equal = scores > least, scores == least
    wanted = more | (equal & (equal.cumsum(1) <= k - more.sum(1, keepdim=True)))
    return wanted.nonzero()[:, 1].view(-1, k)


def _refusing(name: str) -> Callable[..., NoReturn]:
    return lambda self, *others: self.refuse(name.strip("_"))


# Python looks for operators on the class, not by `__getattr__`.
for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "radd", "rsub", "rmul", "rtruediv", "rpow", "rmatmul",
              "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "setitem"):  # fmt: skip
    setattr(TopK, f"__{_name}__", _refusing(f"__{_name}__"))
