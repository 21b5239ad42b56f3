"""Virtual adversarial training: the answer stays the same in the direction in which it would change most."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional

from sslkit import Forward, LossTerm, Progress, Step, View, global_mean, hookimpl
from sslkit.errors import RecipeError

from ..probabilities import divergence


def unit(direction: Tensor) -> Tensor:
    """Each image's direction at length 1, over all of its pixels: (N, ...) -> (N, ...). Zeros stay zeros.

    Divided by the largest entry first, as squares of a small gradient would vanish.
    """
    rows = direction.flatten(1)
    rows = rows / rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(rows.dtype).tiny)
    return functional.normalize(rows, dim=1).view_as(direction)


def adversarial_direction(
    answer: Callable[[Tensor], Tensor], images: Tensor, logits: Tensor, start: Tensor, xi: float, iterations: int = 1
) -> Tensor:
    """Where each image's answer changes fastest: a unit vector for each image, (N, C, H, W), without a gradient.

    Power iterations from `start`: d <- unit(gradient by d of KL(p(x) || p(x + xi unit(d)))), Miyato et al. 2018,
    sec. 3.3 and Algorithm 1. They approach the dominant eigenvector of the divergence's second derivative, up to sign.
    `answer`: images -> (N, K) logits; `logits`: what it answers to `images`. No `.grad` is written.
    """
    probs, ones = logits.detach().softmax(1), logits.new_ones(len(logits))
    direction = unit(start)
    for _ in range(iterations):
        shift = (xi * direction).requires_grad_()
        rows = divergence(answer(images + shift), probs, ones)
        (gradient,) = torch.autograd.grad(rows.sum(), shift)
        direction = unit(gradient)
    return direction


def is_rounded(logits: Tensor) -> bool:
    """Whether logits have only the digits that bfloat16 has."""
    return bool(logits.any()) and torch.equal(logits, logits.bfloat16().to(logits.dtype))


@dataclass(eq=False, kw_only=True)
class VirtualAdversarial:
    """KL(p(x) || p(x + r)) over all rows of the views of `on`, r the direction in which the answer changes fastest.

    Miyato et al. 2018 (arXiv 1704.03976), sec. 3.2, and Algorithm 1; no gradient flows through p(x) or r. Each view
    costs a further forward and backward pass for each power iteration, and a forward pass for x + r, all in the mode of
    the view's own [[pass]]: set `write_stats = false` there, and let no dropout be in it, whose changes would drown the
    direction's. Needs no targets (`labels = "none"`).

    Raises `RecipeError` with `precision = "bfloat16"`, in which the answers to x and x + xi d hardly differ.
    """

    weight: float = 1.0
    "Weight of the term in the objective; 0.3 in Oliver et al. 2018, ramped up."
    epsilon: Annotated[float, Gt(0)] = 3.0
    """Length of r over all pixels of an image, of values in 0-1. Published numbers are of images in -1 to 1, twice as
    far apart: 6 there is 3 here. For equal change of a pixel it grows as the image's side: 3 * 24 / 32 at 24 pixels."""
    xi: Annotated[float, Gt(0)] = 0.1
    """Length, over all pixels of an image in 0-1, of the step that feels for the direction. The papers' 1e-6 is below
    what float32 resolves, and 0.01 below what TF32 does, to which GPUs round the inputs of convolutions unless told not
    to: the direction would be little better than chance. Much longer steps leave the range in which the second
    derivative holds."""
    iterations: Annotated[int, Ge(1)] = 1
    "Power iterations; one is enough in the paper."

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...], progress: Progress) -> LossTerm:
        """One term over all views of `on`."""
        rows = [self._rows(step.batch_of(name).views[name], forward, progress) for name in on]
        return LossTerm(global_mean(torch.cat(rows)), self.weight)

    def _rows(self, view: View, forward: Forward, progress: Progress) -> Tensor:
        """The divergence of each image of a view."""
        logits = forward(view).logits
        if progress.step == 0 and is_rounded(logits):  # once: a look at numbers waits for the device
            raise RecipeError(
                "[[loss]] virtual_adversarial: feels for small changes of the student's answers, which are rounded to "
                'bfloat16. Set precision = "float32"'
            )

        def answer(images: Tensor) -> Tensor:
            return forward(View(view.name, images)).logits  # by its name it runs as the view's own pass does

        images = view.images.detach()
        draw = progress.torch(view.name, images.device)
        start = torch.randn(images.shape, generator=draw, device=images.device, dtype=images.dtype)
        direction = adversarial_direction(answer, images, logits, start, self.xi, self.iterations)
        probs, ones = logits.detach().softmax(1), logits.new_ones(len(logits))
        return divergence(answer(images + self.epsilon * direction), probs, ones)
