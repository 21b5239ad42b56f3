"""What the engine costs five methods of different shapes: its step beside a hand-written one of the same passes.

    python bench/methods.py [NAME ...]

Views are made ahead in both, so this is the step alone: labels, mixing, losses, optimizers, averages. Each hand-written
step is what one would write for that method and nothing else; it moves the very same networks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from engine import PREPARED, compare, engine, prepare
from torch import Tensor, nn
from torch.nn import functional

from sslkit.environment import determinism
from sslkit.state import State

COUNT = 4
"Steps of a round."
Arrays = list[dict[str, Any]]


class Hand:
    """What the five share: images, one move of an optimizer, an average, modes of batch-norm."""

    def __init__(self, state: State, arrays: Arrays) -> None:
        self.state, self.arrays, self.steps = state, arrays, state.cfg.settings.steps
        self.student, self.average = state.student, state.average
        assert state.labeled is not None
        self.truth = state.labeled.truth
        self.number = 0
        self.norms = {id(net): norms_of(net) for net in (self.student, self.average, *state.trainables.values()) if net}
        # Buffers that are no number are copied; the rest is averaged in one call.
        self.weights = list(self.student.parameters())
        self.buffers = list(self.student.buffers())

    def images(self, stream: str, view: str) -> Tensor:
        """A view of this step, in 0-1."""
        array = self.arrays[self.number % PREPARED][stream]["views"][view]
        return array.permute(0, 3, 1, 2).float().div_(255)  # type: ignore[no-any-return]

    def labels(self) -> Tensor:
        """Classes of the labeled rows."""
        return self.truth[self.arrays[self.number % PREPARED]["labeled"]["index"]]

    def logits(self, net: Any, images: Tensor) -> Tensor:
        """An answer."""
        return net.model((images - net.mean) / net.std)  # type: ignore[no-any-return]

    def write(self, net: nn.Module, on: bool) -> None:
        """Whether batch-norm writes its statistics."""
        for norm in self.norms[id(net)]:
            norm.track_running_stats = on

    def move(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step down."""
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    @torch.no_grad()
    def follow(self, decay: float = 0.99) -> None:
        """The average, after the student has moved."""
        assert self.average is not None
        share = 1 - min(decay, (1 + self.number) / (10 + self.number))
        torch._foreach_lerp_(list(self.average.parameters()), self.weights, share)
        for mine, theirs in zip(self.average.buffers(), self.buffers, strict=True):
            mine.copy_(theirs)

    def ramp(self) -> float:
        """To 1 at 0.4 of the steps."""
        return min(1.0, (self.number % self.steps) / self.steps / 0.4)

    def rate(self) -> None:
        """cos(7 pi f / 16)."""
        factor = math.cos(7 * math.pi / 16 * (self.number % self.steps) / self.steps)
        for optimizer in (self.state.optimizer, *self.state.optimizers.values()):
            for group in optimizer.param_groups:
                group["lr"] = self.state.cfg.optimizer.rate * factor

    def loop(self, step: Callable[[Hand], None]) -> Callable[[int], None]:
        """So many steps, from the first."""

        def run(count: int) -> None:
            for self.number in range(count):
                self.rate()
                step(self)

        def begun(count: int) -> None:
            for net in (self.student, *self.state.trainables.values()):
                net.train()
                self.write(net, True)
            run(count)

        return begun


def norms_of(net: nn.Module) -> list[Any]:
    """Batch-norm layers."""
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]


def fixmatch(hand: Hand) -> None:
    """One pass over labeled, weak and strong."""
    views = [hand.images("labeled", "labeled"), hand.images("unlabeled", "weak"), hand.images("unlabeled", "strong")]
    labeled, weak, strong = hand.logits(hand.student, torch.cat(views)).split([len(view) for view in views])
    sure, guess = weak.detach().softmax(1).max(1)
    rows = functional.cross_entropy(strong, guess, reduction="none")
    loss = functional.cross_entropy(labeled, hand.labels()) + (rows * (sure >= 0.95)).mean()
    hand.move(loss, hand.state.optimizer)
    hand.follow()


def mean_teacher(hand: Hand) -> None:
    """The average answers one view, the student another and the labeled one."""
    teacher = hand.average
    assert teacher is not None
    teacher.eval()
    for norm in hand.norms[id(teacher)]:
        norm.training, norm.track_running_stats = True, False
    with torch.no_grad():
        target = hand.logits(teacher, hand.images("unlabeled", "taught")).softmax(1)
    hand.write(hand.student, True)
    labeled = hand.logits(hand.student, hand.images("labeled", "labeled"))
    hand.write(hand.student, False)
    learned = hand.logits(hand.student, hand.images("unlabeled", "learned")).softmax(1)
    squared = (learned - target).square().mean()
    hand.move(functional.cross_entropy(labeled, hand.labels()) + 50 * hand.ramp() * squared, hand.state.optimizer)
    hand.follow()


def mixmatch(hand: Hand) -> None:
    """A sharpened guess for two views, everything mixed, one pass over all of it."""
    student = hand.student
    views = [hand.images("labeled", "labeled"), hand.images("unlabeled", "first"), hand.images("unlabeled", "second")]
    hand.write(student, False)
    with torch.no_grad():
        first, second = hand.logits(student, torch.cat(views[1:])).softmax(1).chunk(2)
        guess = ((first + second) / 2).square()
        guess = guess / guess.sum(1, keepdim=True)
        images = torch.cat(views)
        targets = torch.cat([functional.one_hot(hand.labels(), 10).float(), guess, guess])
        share = torch.distributions.Beta(0.75, 0.75).sample((len(images), 1))  # type: ignore[no-untyped-call]
        share = torch.maximum(share, 1 - share)
        partner = torch.randperm(len(images))
        mixed = share[..., None, None] * images + (1 - share[..., None, None]) * images[partner]
        targets = share * targets + (1 - share) * targets[partner]
    hand.write(student, True)
    logits, rows = hand.logits(student, mixed), len(views[0])
    squared = (logits[rows:].softmax(1) - targets[rows:]).square().mean()
    loss = functional.cross_entropy(logits[:rows], targets[:rows]) + 75 * hand.ramp() * squared
    hand.move(loss, hand.state.optimizer)
    hand.follow()


def vat(hand: Hand) -> None:
    """Labeled and clean images; where the answer changes fastest; and the answer there."""
    student, images = hand.student, hand.images("unlabeled", "weak")
    hand.write(student, True)
    labeled = hand.logits(student, hand.images("labeled", "labeled"))
    hand.write(student, False)
    clean = hand.logits(student, images)
    probs = clean.detach().softmax(1)

    def divergence(shifted: Tensor) -> Tensor:
        answer = hand.logits(student, shifted).log_softmax(1)
        return functional.kl_div(answer, probs, reduction="none").sum(1)

    start = torch.randn_like(images)
    shift = (0.01 * start / start.flatten(1).norm(dim=1)[:, None, None, None]).requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(images + shift).sum(), shift)
    direction = gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
    adversarial = divergence(images + 2.25 * direction).mean()
    entropy = -(clean.softmax(1) * clean.log_softmax(1)).sum(1).mean()
    loss = functional.cross_entropy(labeled, hand.labels()) + 0.3 * hand.ramp() * adversarial + 0.06 * entropy
    hand.move(loss, hand.state.optimizer)
    hand.follow()


def meta_pseudo_labels(hand: Hand) -> None:
    """The teacher answers, the student learns from it, and the teacher from what became of the student."""
    student, teacher = hand.student, hand.state.trainables["teacher"]
    views = [hand.images("labeled", "labeled"), hand.images("unlabeled", "weak"), hand.images("unlabeled", "strong")]
    truth = hand.labels()
    labeled, weak, strong = hand.logits(teacher, torch.cat(views)).split([len(view) for view in views])

    @torch.no_grad()
    def measured() -> Tensor:
        student.eval()
        for norm in hand.norms[id(student)]:
            norm.training, norm.track_running_stats = True, False
        return functional.cross_entropy(hand.logits(student, views[0]), truth)

    before = measured()
    student.train()
    hand.write(student, True)
    guess = strong.detach().argmax(1)
    hand.move(functional.cross_entropy(hand.logits(student, views[2]), guess), hand.state.optimizer)
    change = before - measured()
    target = (weak.detach() / 0.7).softmax(1)
    kept = target.amax(1) >= 0.6
    uda = (functional.cross_entropy(strong, target, reduction="none") * kept).mean()
    loss = functional.cross_entropy(labeled, truth, label_smoothing=0.15) + 8 * uda
    hand.move(loss + change * functional.cross_entropy(strong, guess), hand.state.optimizers["teacher"])
    hand.follow()


STEPS = {one.__name__: one for one in (fixmatch, mean_teacher, mixmatch, vat, meta_pseudo_labels)}


def main(*names: str) -> None:
    """All of them, or those named."""
    torch.set_num_threads(1)
    with determinism(True):
        for name in names or STEPS:
            state, arrays = prepare(name, 0)
            compare(name, engine(state, arrays), Hand(state, arrays).loop(STEPS[name]), COUNT)


if __name__ == "__main__":
    main(*sys.argv[1:])
