"""Mathematics of probabilities that several plugins share: rows are images, columns classes.

Plugins do not import one another; what more than one of them needs lies here.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional

from sslkit import Targets


def kept_only(targets: Targets, kept: Tensor) -> Targets:
    """The same targets, of weight 0 where `kept` (N,) is false: filters multiply."""
    return replace(targets, weight=targets.weight * kept.to(targets.weight))


def sharpen(probs: Tensor, temperature: float) -> Tensor:
    """p^(1/T) / sum of p^(1/T), computed from logarithms, so that small powers do not vanish all together.

    (N, K) -> (N, K). Of probabilities it is the softmax of their logits / T, whatever the logits were.
    """
    log = probs.log()
    return ((log - log.amax(1, keepdim=True)) / temperature).softmax(1)


def harden(probs: Tensor) -> Tensor:
    """One-hot at the most probable class, the first of equals. (N, K) -> (N, K)."""
    return functional.one_hot(probs.argmax(1), probs.shape[1]).to(probs.dtype)


def divergence(logits: Tensor, probs: Tensor, weight: Tensor) -> Tensor:
    """KL(q || p) = weight * sum over classes of q (log q - log softmax(logits)), by row: (N, K), (N, K), (N,) -> (N,).

    0 log 0 is 0. Neither targets nor weights receive a gradient; the logits receive that of the cross-entropy.
    """
    rows = functional.kl_div(logits.log_softmax(1), probs.detach(), reduction="none").sum(1)
    return rows * weight.detach()
