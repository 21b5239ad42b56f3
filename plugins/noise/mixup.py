"""MixUp: train between images, on targets in the same proportion."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Gt
from torch import Tensor

from sslkit import Progress, SslkitError, Step, Targets, View, hookimpl


def interpolate(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """`share` of the first and the rest of the second. (N, ...), (N, ...), (N,) -> (N, ...)."""
    share = share.to(first).reshape(-1, *[1] * (first.ndim - 1))
    return share * first + (1 - share) * second


def draw_shares(rows: int, alpha: float, closest: bool, each: bool, generator: np.random.Generator) -> Tensor:
    """(rows,) shares from Beta(alpha, alpha): one for each row, or one for all.

    With `closest` they are at least a half (MixMatch, eq. 9), so that a mixed image stays nearest to its own row.
    """
    shares = np.broadcast_to(generator.beta(alpha, alpha, rows if each else 1), (rows,))
    return torch.tensor(np.maximum(shares, 1 - shares) if closest else shares, dtype=torch.float32)


def mixed_targets(targets: Targets, partner: Targets, share: Tensor) -> Targets:
    """`probs` and `weight` in the images' proportion; `raw` stays what the teacher said of a row's own image."""
    return Targets(
        targets.index,
        targets.raw.detach(),
        interpolate(targets.probs, partner.probs, share).detach(),
        interpolate(targets.weight, partner.weight, share).detach(),
        targets.copies,
    )


def concatenated(targets: list[Targets]) -> Targets:
    """All rows of several targets."""
    return Targets(*(torch.cat([getattr(rows, name) for rows in targets]) for name in Targets.columns))


@dataclass(eq=False, kw_only=True)
class MixUp:
    """Replace images and targets by random interpolations (Zhang et al. 2018, eq. 1).

    It runs after labels are made, so teachers see unmixed images. Each view gets targets of its own: on the labeled
    stream from the truth, on the unlabeled stream from the pseudo-labels. MixMatch (Berthelot et al. 2019, eq. 8-15) is
    `closest = true, across = true` with one labeled and two unlabeled views; ICT (Verma et al. 2019) mixes unlabeled
    views alone, `alpha = 0.5`.
    """

    alpha: Annotated[float, Gt(0)] = 0.75
    "Both parameters of the Beta distribution; near 0 hardly anything is mixed, at 1 every share is as likely."
    closest: bool = True
    "Let the larger share be a row's own (lambda = max(lambda, 1 - lambda))."
    draw: Literal["sample", "batch"] = "sample"
    "A share for each row, or one for all rows of a step."
    across: bool = True
    "Mix rows of all views of `on` with each other, as MixMatch does; otherwise each view only within itself."

    @hookimpl
    def mix(self, step: Step, on: tuple[str, ...], progress: Progress) -> Step:
        """The step with mixed views. Views of a stream that is off are passed over.

        Raises `SslkitError` where rows of different image sizes would have to be mixed.
        """
        present = [(step.batch_of(name), name) for name in on if any(name in batch.views for batch in step.batches)]
        views = [batch.views[name] for batch, name in present]
        # A teacher may label the labeled stream as well; what is mixed there is the truth all the same.
        targets = [batch.targets_of(name, truth=batch.truth is not None) for batch, name in present]
        if self.across and views:
            return step.with_views(*self._mixed(views, targets, progress.numpy()))
        alone = [self._mixed([v], [t], progress.numpy(v.name)) for v, t in zip(views, targets, strict=True)]
        return step.with_views(*(view for mixed in alone for view in mixed))

    def _mixed(self, views: list[View], targets: list[Targets], generator: np.random.Generator) -> list[View]:
        """The views, each row mixed with a row drawn from all of them."""
        if len({view.images.shape[1:] for view in views}) > 1:
            sizes = ", ".join(f"{view.name} {tuple(view.images.shape[1:])}" for view in views)
            raise SslkitError(f"mixup: cannot mix views of different sizes: {sizes}; set `across = false`")
        images, answers = torch.cat([view.images for view in views]), concatenated(targets)
        share = draw_shares(len(images), self.alpha, self.closest, self.draw == "sample", generator)
        partner = torch.from_numpy(generator.permutation(len(images)))
        share, partner = share.to(images.device), partner.to(images.device)
        images = interpolate(images, images[partner], share)
        answers = mixed_targets(answers, answers.rows(partner), share)
        ends = list(accumulate(len(view.images) for view in views))
        parts = [slice(start, end) for start, end in pairwise([0, *ends])]
        return [View(view.name, images[rows], answers.rows(rows)) for view, rows in zip(views, parts, strict=True)]
