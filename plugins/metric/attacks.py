"""Attacks by the gradient: images changed within a small ball, so that a model's loss on them grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Answer = Callable[[Tensor], Tensor]
"(N, C, H, W) floats in 0-1 -> (N, K) logits."
Norm = Literal["linf", "l2"]

SMALLEST = 1e-12
"Lengths below count as this much, so that no direction is divided by 0."


class NoGradient(Exception):
    """A model's answers do not depend on its images by anything that can be differentiated."""


def gradient_of(answer: Answer, images: Tensor, truth: Tensor) -> Tensor:
    """Of the cross-entropy with the true classes (N,), summed, by the images: (N, C, H, W). No `.grad` is written.

    Where it is no number it counts as 0. Raises `NoGradient`.
    """
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        loss = functional.cross_entropy(answer(leaf).float(), truth, reduction="sum")
        if not loss.requires_grad:
            raise NoGradient
        (gradient,) = torch.autograd.grad(loss, leaf, allow_unused=True)
    if gradient is None:  # weights have one, and images were cut off on the way
        raise NoGradient
    return gradient.nan_to_num(0.0)


def by_image(numbers: Tensor, like: Tensor) -> Tensor:
    """A number for each image (N,), to be multiplied with (N, C, H, W)."""
    return numbers.view(-1, *[1] * (like.dim() - 1))


def direction_of(gradient: Tensor, norm: Norm) -> Tensor:
    """The change of size 1 by which a loss of this gradient grows fastest: its signs, or itself at length 1.

    Divided by the largest entry first, as squares of a small gradient, of a model that is sure, would vanish.
    """
    if norm == "linf":
        return gradient.sign()
    largest = gradient.abs().flatten(1).amax(1).clamp(min=torch.finfo(gradient.dtype).tiny)
    gradient = gradient / by_image(largest, gradient)
    return gradient / by_image(gradient.flatten(1).norm(dim=1).clamp(min=SMALLEST), gradient)


def within(images: Tensor, clean: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """The nearest images in the ball around clean ones, and then in 0-1, which never leads out of the ball again."""
    change = images - clean
    if norm == "linf":
        return (clean + change.clamp(-epsilon, epsilon)).clamp(0, 1)
    shrink = (epsilon / change.flatten(1).norm(dim=1).clamp(min=SMALLEST)).clamp(max=1)
    return (clean + change * by_image(shrink, change)).clamp(0, 1)


def fast_gradient(images: Tensor, gradient: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """One step as long as the ball is wide: x + epsilon sign(gradient). `epsilon`: in 0-1.

    FGSM, Goodfellow et al. 2015 (arXiv 1412.6572), sec. 4; with "l2" it is called the fast gradient method.
    """
    return within(images + epsilon * direction_of(gradient, norm), images, epsilon, norm)


def projected_gradient(
    answer: Answer, images: Tensor, truth: Tensor, epsilon: float, norm: Norm, steps: int, step_size: float,
    start: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Steps up the loss, each back into the ball: PGD, Madry et al. 2018 (arXiv 1706.06083), sec. 2.1.

    `epsilon`, `step_size`: in 0-1. `start`: a point in the ball of size 1 for each image (N, C, H, W), scaled to this
    one; None: the images themselves.
    """
    made = images if start is None else (images + epsilon * start).clamp(0, 1)
    for _ in range(steps):
        direction = direction_of(gradient_of(answer, made, truth), norm)
        made = within(made + step_size * direction, images, epsilon, norm)
    return made


def point_in_ball(generator: np.random.Generator, shape: tuple[int, ...], norm: Norm) -> NDArray[np.float32]:
    """A point drawn evenly from the ball of size 1.

    Uniform numbers from -1 to 1; with "l2" n coordinates of a point on the sphere of n + 2 (Voelker et al. 2017).
    """
    if norm == "linf":
        return generator.random(shape, np.float32) * 2 - 1
    size = int(np.prod(shape))
    sphere = generator.standard_normal(size + 2)
    point: NDArray[np.float32] = (sphere / np.linalg.norm(sphere))[:size].reshape(shape).astype(np.float32)
    return point
