"""Adversarial robustness: how often a model is right about images that were changed against it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, MinLen, Unit
from torch import Tensor

from sslkit import Classifier, Data, Images, Progress, hookimpl
from sslkit.errors import PluginError
from sslkit.waiting import waiting

from .attacks import NoGradient, fast_gradient, gradient_of, point_in_ball, projected_gradient
from .robustness import Rows, as_floats, chosen, of_known_class, own_name

STEPS = 10
STEP = 255
"How many of the steps that epsilons are counted in make up the range from black to white."


def share_problem(key: str, values: list[float]) -> str:
    """What is wrong with sizes between 0 and 1, and what was probably meant; empty: nothing."""
    shares = [value for value in values if 0 < value < 1]
    if not shares:
        return ""
    meant = [max(1, round(value * STEP)) if 0 < value < 1 else value for value in values]
    several = len(shares) > 1
    return (
        f"`{key}` counts steps of 1/{STEP}, of which the range from black to white has {STEP}; "
        f"{' and '.join(f'{value:g}' for value in shares)} look{'s' * (not several)} like "
        f"{'shares' if several else 'a share'} of that range: write {key} = [{', '.join(f'{m:g}' for m in meant)}]"
    )


@dataclass(eq=False, kw_only=True)
class Adversarial:
    """Accuracy on test images that are changed so that the model errs, none by more than epsilon: FGSM or PGD.

    `test_fgsm_16` is the accuracy at epsilon 16, and `test_fgsm` the table of all epsilons, the curve of Noisy Student's
    figure (arXiv 1911.04252: FGSM at 0, 2, 4, 8 and 16), 0 the images as they are. By `attack` and `norm` the
    names are `test_fgsm`, `test_pgd`, `test_fgsm_l2`, `test_pgd_l2`. A plugin of another `name` answers by that: with
    name = "pgd40" `test_pgd40_16` and the table `test_pgd40`, so that several attacks stand side by side.

    FGSM (Goodfellow et al. 2015, arXiv 1412.6572) adds epsilon times the sign of the loss's gradient to each pixel. PGD
    (Madry et al. 2018, arXiv 1706.06083) takes many small steps, each back into the ball, from a random point of it; it
    is the stronger attack. Both know the model's weights, follow the very logits that evaluation goes by, and change
    the images as the model sees them: resized, before they are normalised, in 0-1. The model answers once, un-noised.
    Accuracy is of the attack's last images, whatever the model says of the clean ones. What withstands these attacks
    need not withstand others: where a gradient is 0, an attack by gradients does nothing, and a note counts such images.

    Measured at a generation's end, in float32, piece by piece: memory does not depend on how many images there are.
    Raises `PluginError` for a model without a gradient.
    """

    attack: Literal["fgsm", "pgd"] = "fgsm"
    "`fgsm`: a single step; `pgd`: `steps` of them, which takes as many times as long, for each epsilon."
    norm: Literal["linf", "l2"] = "linf"
    "What epsilon bounds: the change of each channel of each pixel, or (`l2`) the Euclidean length of an image's change."
    epsilons: Annotated[list[Annotated[float, Ge(0)]], MinLen(1)] = field(default_factory=lambda: [2, 4, 8, 16])
    """Sizes of the change in steps of 1/255, a pixel's whole range being 255: 8 is what others write as 8/255 or 0.031.
    With `l2` lengths of 128, which others write as 0.5, are usual for 32 pixels."""
    steps: Annotated[int, Ge(1), Unit("steps")] = STEPS
    "Of `pgd`: 10 in Noisy Student, 7 to 20 in Madry et al., 40 by default in foolbox."
    step_size: Annotated[float, Ge(0)] = 0.0
    """Of `pgd`, in steps of 1/255. 0: 2.5 epsilon / `steps`, as in Madry et al. (sec. 5), so that any point of the ball
    reaches its edge and can move along it; in foolbox the steps sum to 1.33 epsilon (`l2`: 1.25)."""
    random_start: bool = True
    "Of `pgd`: begin at a random point of the ball, the same one of each image at any batch size; else at the image."
    images: Annotated[int, Ge(0), Unit("images")] = 0
    "How many test images of known class, at equal distances through the split, the same ones always; 0: all."
    batch: Annotated[int, Ge(1), Unit("images")] = 128
    "Images that are attacked at once: a gradient takes as much memory as in training."

    def __post_init__(self) -> None:
        """Refuse units that were mixed up, and settings that nothing would come of. Raises `ValueError`."""
        if problem := share_problem("epsilons", self.epsilons):
            raise ValueError(problem)
        if len({f"{size:g}" for size in self.epsilons}) < len(self.epsilons):
            raise ValueError("`epsilons` says one twice")
        if self.norm == "linf" and max(self.epsilons) > STEP:
            raise ValueError(f"`epsilons`: {max(self.epsilons):g} is more than the {STEP} from black to white")
        if math.isinf(max(*self.epsilons, self.step_size)):
            raise ValueError("`epsilons` and `step_size` are finite")
        if self.attack == "fgsm" and (self.steps, self.step_size, self.random_start) != (STEPS, 0, True):
            raise ValueError(
                "`steps`, `step_size` and `random_start` are of pgd: fgsm takes one step, from the image itself. Leave "
                'them out, or set attack = "pgd"'
            )
        if 0 < self.step_size * self.steps < max(self.epsilons):
            raise ValueError(
                f"`step_size = {self.step_size:g}`: {self.steps} steps of {self.step_size:g}/{STEP} do not reach the edge "
                f"at epsilon {max(self.epsilons):g}; it counts steps of 1/{STEP}, as epsilons do. 0 is 2.5 epsilon / steps"
            )

    @property
    def title(self) -> str:
        """What the attack is called: `fgsm`, `pgd_l2`."""
        return self.attack + ("_l2" if self.norm == "l2" else "")

    @hookimpl
    def measure(self, model: Classifier, data: Data, progress: Progress) -> dict[str, Any]:
        """The accuracies at a generation's end, where the test images' classes are known."""
        if progress.step < progress.steps or data.test is None or not data.test.known:
            return {}
        known = of_known_class(data.test)
        rows = chosen(known, self.images)
        sizes = [0.0, *sorted(size for size in self.epsilons if size)]
        try:
            right, blind = self._right(model, data.test, rows, sizes, progress)
        except NoGradient:
            raise PluginError(
                f"[[metric]] {progress.plugin}: an attack on a model without gradient: its logits do not depend on the "
                "images by anything that can be differentiated (a forward pass under `torch.no_grad()`, a detached or "
                "rounded output). Let the model's forward pass keep the gradient, or leave the metric out "
                "(enabled = false)"
            ) from None
        found = {f"{size:g}": count / len(rows) for size, count in zip(sizes, right, strict=True)}
        title, said = own_name(progress, "adversarial") or self.title, [f"{size:g}" for size in self.epsilons]
        name = f"test_{title}"
        return {
            **{f"{name}_{size}": found[size] for size in said},
            name: {size: {"accuracy": accuracy} for size, accuracy in found.items()},
            **self._note(title, len(rows), len(known), blind),
        }

    def _note(self, title: str, rows: int, known: int, blind: int) -> dict[str, str]:
        """What a reader of the numbers must know beside them."""
        said = []
        if rows < known:
            said.append(f"{title}: of {rows:,} of the {known:,} test images of known class, at equal distances")
        if blind:
            said.append(
                f"{title}: the loss of {blind:,} of {rows:,} images has a gradient of 0, and the attack leaves them "
                "as they are; what looks robust may not be"
            )
        return {f"test_{title}_note": ". ".join(said)} if said else {}

    def _right(
        self, model: Classifier, images: Images, rows: Rows, sizes: list[float], progress: Progress
    ) -> tuple[list[int], int]:
        """How many images are named rightly at each size, and how many have a gradient of 0."""
        right, blind = torch.zeros(len(sizes), dtype=torch.int64), 0
        with waiting(f"attacking test images ({self.title})", len(rows)) as done:
            for position, made in model.batches(images, rows):
                truth = torch.as_tensor(images.truth[position.numpy()])
                right[0] += (model.answer(made).argmax(1) == truth).sum()
                for at in range(0, len(made), self.batch):
                    part = slice(at, at + self.batch)
                    counts, still = self._attacked(model, position[part], made[part], truth[part], sizes[1:], progress)
                    right[1:] += torch.tensor(counts, dtype=torch.int64)
                    blind += still
                    done(len(made[part]))
        return right.tolist(), blind

    def _attacked(
        self, model: Classifier, position: Tensor, made: Tensor, truth: Tensor, sizes: list[float], progress: Progress
    ) -> tuple[list[int], int]:
        """The same of images (M, H, W, C) uint8 that are attacked at once, at sizes above 0."""
        images = as_floats(made, model.device)
        truth = truth.to(model.device)
        gradient = gradient_of(model.logits, images, truth)
        start, right = self._start(position, images, progress), []
        for size in sizes:
            if self.attack == "fgsm":
                changed = fast_gradient(images, gradient, size / STEP, self.norm)
            else:
                step_size = (self.step_size or 2.5 * size / self.steps) / STEP
                changed = projected_gradient(
                    model.logits, images, truth, size / STEP, self.norm, self.steps, step_size, start
                )
            with torch.no_grad():
                right.append(int((model.logits(changed).argmax(1) == truth).sum()))
        return right, int((gradient == 0).flatten(1).all(1).sum())

    def _start(self, position: Tensor, images: Tensor, progress: Progress) -> Tensor | None:
        """Where PGD begins in the ball of size 1: of each image by its position in the split, whatever the batch."""
        if self.attack == "fgsm" or not self.random_start:
            return None
        shape = tuple(images.shape[1:])
        points = [point_in_ball(progress.numpy(f"test/{row}"), shape, self.norm) for row in position.tolist()]
        return torch.from_numpy(np.stack(points)).to(images.device)
