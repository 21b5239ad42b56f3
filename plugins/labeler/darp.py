"""DARP: pseudo-labels changed as little as possible so that each class is predicted as often as it ought to be."""

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Interval, Unit
from torch import Tensor

from sslkit import Batch, Facts, Progress, Targets, hookimpl
from sslkit.errors import RecipeError

from ..memory import Rows
from ..room import require_room

NAME = "[[labeler]] darp"
CHUNK = 1_000_000
"Probabilities that are computed with at once, in double precision: the pool's buffer itself stays single."
LEAST = 1e-30
"A probability of 0 could never grow, whatever its class lacks."
SUREST = 1e-3
"The smallest entropy: rows that are surer than that weigh 1 / SUREST, or a division by 0 would decide."


def shifted(probs: Tensor, shift: Tensor) -> Tensor:
    """Rows p exp(-H(p) v), normalised: (N, K), (K,) -> (N, K), without a gradient. H(p) is a row's entropy.

    What minimises sum of KL(x || p) / H(p) with prices v on the classes: Kim et al. 2020 (DARP), eq. 3 with
    w_m = 1 / H(p_m), by its Lagrangian. A sure row (H near 0) hardly moves; with v = 0 none does.
    """
    probs = probs.detach()
    moved = _scores(probs.double(), shift.double())[0].softmax(1).to(probs.dtype)
    return torch.where((shift == 0).all(), probs, moved)


def _scores(probs: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The refined rows' logits and the rows' entropies: (N, K) and (N, 1)."""
    log = probs.clamp(min=LEAST).log()
    entropy = -(probs * log).sum(1, keepdim=True).clamp(max=-SUREST)
    return log - entropy * shift, entropy


def solve_shift(probs: Tensor, counts: Tensor, start: Tensor, iterations: int) -> Tensor:
    """The prices v, (K,) in double precision, with which columns of `shifted(probs, v)` sum to `counts`.

    They minimise the dual, sum over rows of logsumexp(log p - H v) / H + v . counts, which is convex and smooth, with
    gradient counts - column sums: Newton's steps from `start`, halved until they go down. Rows of zeros are none;
    `counts` (K,) sum to the number of the others.
    """
    shift, rows = start.double(), float(counts.sum())
    value, gradient, curvature = _dual(probs, counts, shift)
    for _ in range(iterations):
        if float(gradient.abs().max()) <= 1e-9 * rows:
            break
        # All prices alike change nothing: the curvature has that direction of zeros.
        ridge = (1e-9 * curvature.trace() + LEAST) * torch.eye(len(counts), dtype=shift.dtype, device=shift.device)
        direction = torch.linalg.solve(curvature + ridge, -gradient)
        slope, length = float(gradient @ direction), 1.0
        while length > 1e-6:
            there = _dual(probs, counts, shift + length * direction)
            if float(there[0]) <= float(value) + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break  # as far as double precision goes
        shift = shift + length * direction
        value, gradient, curvature = there
    return shift - shift.mean()


def _dual(probs: Tensor, counts: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, gradient and curvature of the dual, rows in chunks; of zeros they are left out."""
    value, sums = shift @ counts.double(), torch.zeros_like(shift)
    curvature = torch.zeros(len(shift), len(shift), dtype=shift.dtype, device=shift.device)
    for rows in probs.split(max(1, CHUNK // len(shift))):  # type: ignore[no-untyped-call]
        scores, entropy = _scores(rows[rows.any(1)].double(), shift)
        made = scores.softmax(1)
        value = value + (scores.logsumexp(1) / entropy.squeeze(1)).sum()
        sums += made.sum(0)
        heavy = made * entropy
        curvature += torch.diag(heavy.sum(0)) - heavy.T @ made
    return value, counts.double() - sums, curvature


def match_counts(probs: Tensor, counts: Tensor, iterations: int) -> Tensor:
    """Probabilities nearest to `probs` whose columns sum to `counts`: (N, K), (K,) -> (N, K), without a gradient.

    Kim et al. 2020 (DARP), eq. 3: minimise sum over rows of KL(x || p) / H(p), so that unsure rows give way first,
    under row sums of 1 and column sums of `counts` (which are scaled to sum to N). Where they are met already nothing
    changes.
    """
    return shifted(probs, prices(probs, counts, iterations))


def prices(probs: Tensor, counts: Tensor, iterations: int) -> Tensor:
    """The prices with which columns of `shifted(probs, prices)` sum to `counts`, which are scaled to sum to N: (K,)."""
    counts = counts.double() * (len(probs) / counts.double().sum())
    return solve_shift(probs.detach(), counts, torch.zeros_like(counts), iterations)


@dataclass(eq=False, kw_only=True)
class DARP:
    """Refine pseudo-labels so that over the whole pool each class has as many as it ought to have.

    Kim et al. 2020 (DARP, arXiv 2007.08844), Algorithm 1. The last probabilities of every unlabeled image are
    remembered, 4 bytes for each image and class; every few steps a factor is found for each class, its price, with
    which the pool's sums are those wanted, and each step's rows are refined by these factors. Belongs before the
    filters. A pool that is labeled as a whole is refined at once.

    Raises `RecipeError` where there is no unlabeled split, or `shares` do not fit the classes.
    """

    about: ClassVar = ("student",)
    "A trait: the probabilities are this student's."
    shares: list[Annotated[float, Ge(0)]] = field(default_factory=list)
    "Share of each class in the pool, in the classes' order; empty takes that of the labels."
    start: Annotated[float, Interval(ge=0, le=1)] = 0.4
    "Share of the generation's steps after which refining begins; the paper's is 0.4: by then answers mean something."
    every: Annotated[int, Ge(1), Unit("steps")] = 10
    "Steps from one search for prices to the next."
    iterations: Annotated[int, Ge(1)] = 30
    "Newton's steps at most; each begins with the last prices, so few are needed."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Nothing was predicted yet, and no class costs anything."""
        if "unlabeled" not in facts.sizes:
            raise RecipeError(
                f"{NAME}: keeps a row for each unlabeled image, but the data has no unlabeled split whose size is "
                "known. Give [data] unlabeled images, or take `distribution_alignment`"
            )
        classes, device = len(facts.classes), facts.device
        if self.shares and (len(self.shares) != classes or not sum(self.shares)):
            raise RecipeError(
                f"{NAME}: `shares` has {len(self.shares)} numbers that sum to {sum(self.shares):g}; it takes one for "
                f"each of the {classes} classes, not all of them 0"
            )
        # A class without a label is not impossible: it counts as if it had one.
        counts = torch.tensor(self.shares or [max(count, 1) for count in facts.class_counts], dtype=torch.float64)
        self._shares = (counts / counts.sum()).to(device)
        way = "take `distribution_alignment`, which remembers no images"
        require_room(NAME, "the pool's probabilities", facts.sizes["unlabeled"], classes, device, way, copies=1)
        self.memory_ = Rows(facts.sizes["unlabeled"], classes, device=device)
        self.shift_ = torch.zeros(classes, dtype=torch.float64, device=device)

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, progress: Progress) -> Targets:
        """Refined `probs`; of labeled images none."""
        if batch is None:
            counts = self._shares.to(targets.probs.device) * len(targets.index)
            shift = prices(targets.probs, counts, self.iterations)
            return targets.mapped(lambda probs: shifted(probs, shift))
        if batch.stream != "unlabeled":
            return targets
        self.memory_.write(targets.index, targets.probs)
        begun = progress.step >= self.start * progress.steps
        if begun and progress.step % self.every == 0:
            self._solve()
        return replace(targets, probs=shifted(targets.probs, self.shift_)) if begun else targets

    def _solve(self) -> None:
        """New prices, from the images that were seen."""
        memory = self.memory_.values
        self.shift_ = solve_shift(memory, self._shares * memory.any(1).sum(), self.shift_, self.iterations)

    def state_dict(self) -> dict[str, Tensor]:
        """Probabilities and prices."""
        return {"memory": self.memory_.values, "shift": self.shift_}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """What `state_dict` answered."""
        self.memory_.load(state["memory"])
        self.shift_.copy_(state["shift"])
