"""CReST: sure pseudo-labels of rare classes join the labeled set, generation after generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from sslkit import Facts, Labeled, Targets, hookimpl


def promotion_rates(class_counts: Sequence[int], power: float) -> Tensor:
    """Share of each class's pseudo-labels that is promoted, (N_rev(k) / N_1)^power: (K,) counts -> (K,) float64, 0-1.

    Wei et al. 2021 (CReST), sec. 3.2: with classes ranked by their labels, the class of rank r gets the count of rank
    K + 1 - r, so all of the rarest class and the fewest of the most frequent one. Ranks are of counts, whatever the
    order of the classes; equally frequent ones get the mean of what their ranks would give them.
    """
    counts = torch.tensor(class_counts, dtype=torch.float64)
    ranked, order = counts.sort(descending=True, stable=True)
    mirrored = torch.zeros_like(counts)
    mirrored[order] = ranked.flip(0)
    alike = (counts[:, None] == counts[None, :]).to(counts.dtype)
    mirrored = (alike @ mirrored) / alike.sum(1)
    return (mirrored / ranked[0].clamp(min=1)) ** power


def promoted(label: Tensor, confidence: Tensor, kept: Tensor, rates: Tensor) -> Tensor:
    """Positions, ascending, of the surest share `rates[k]` of the rows labeled k: (N,), (N,), (N,) bool, (K,) -> (M,).

    Shares are of the rows kept, rounded down; of equally sure rows the first come first.
    """
    rows = torch.nonzero(kept).squeeze(1)
    rows = rows[confidence[rows].argsort(descending=True, stable=True)]
    chosen = []
    for number, rate in enumerate(rates.tolist()):
        own = rows[label[rows] == number]
        chosen.append(own[: int(rate * len(own) + 1e-9)])
    return torch.cat(chosen).sort().values


@dataclass(eq=False, kw_only=True)
class Promote:
    """Add the surest pseudo-labels of the pool to the labeled set, larger shares of rare classes than of frequent ones.

    Wei et al. 2021 (CReST, arXiv 2102.09559), sec. 3.2: models that learned from few labels of a class find few of its
    images, but those rightly. Of each predicted class the share (N_rev / N_1)^(1/3) is added. Each generation begins
    with the original labels again, so that what an earlier one was wrong about can be mended. A promoted image stays in
    the pool too. Set `include_labeled = false` in [data], or images that are labeled are promoted as well.

    Use it with `labels = "both"`: labels of the pool are for this plugin, those of steps for the student. Without a
    teacher of the pool, as in the first generation, it changes nothing.
    """

    timing: ClassVar = "pool"
    "A trait: it chooses from the whole pool."
    needs: ClassVar = ("confidence",)
    "A trait: of one-hot targets no image is surer than another."
    power: Annotated[float, Ge(0)] = 1 / 3
    "Power alpha of the rates: 0 promotes everything, large ones the rarest class alone."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Rates by the original labels."""
        self._rates = promotion_rates(facts.class_counts, self.power)

    @hookimpl
    def revise_labeled(self, labeled: Labeled, stored: Targets | None) -> Labeled:
        """The labels with the promoted rows behind them, their `origin` 1 and their `index` that of the pool."""
        if stored is None:
            return labeled
        rows = promoted(stored.label, stored.confidence, stored.kept, self._rates)
        index = stored.index[rows]
        return labeled.with_rows(torch.ones_like(index), index, stored.label[rows])
