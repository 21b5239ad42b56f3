"""CTAugment: distortions whose magnitudes are learned from what the model still recognises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, NamedTuple

import cv2
import numpy as np
import torch
from annotated_types import Ge, Interval, Unit
from numpy.typing import NDArray
from torch import Tensor, nn

from sslkit import Facts, Forward, Image, Progress, Step, ViewSpec, hookimpl
from sslkit.errors import RecipeError

from ..memory import moved
from .image_ops import OPS, SMOOTH, Byte, Canvas, Op, blend, fill_values, on_colours, undo_blank, warp

Floats = NDArray[np.float64]

BINS = 17
"Bins of an operation's magnitude, as the official code has them; `posterize` has 8, `identity` needs none."
RING = np.pad(np.zeros((3, 3)), 1, constant_values=1 / 16).astype(np.float32)
"PIL's filter BLUR."


class Action(NamedTuple):
    """An operation at a level from 0 to 1."""

    apply: Op
    bins: int = BINS


def _faded(op: Op) -> Action:
    """The image moved towards what an operation makes of it."""
    return Action(lambda image, level, canvas: blend(image.astype(np.float32), op(image, 0, canvas), level))


def _named(name: str, argument: Callable[[float, int], float], bins: int = BINS) -> Action:
    """An operation of the table that RandAugment has too. `argument`: of a level and the image's width."""
    op = OPS[name]
    return Action(lambda image, level, canvas: op(image, argument(level, image.shape[1]), canvas), bins)


def _filtered(kernel: NDArray[np.floating[Any]], border: int) -> Action:
    """Towards a smoothed image, whose outermost `border` pixels stay, as in PIL."""
    inner = slice(border, -border)

    def smooth(image: Image, argument: float, canvas: Canvas) -> Image:
        smoothed = image.copy()
        smoothed[inner, inner] = cv2.filter2D(image, -1, kernel).reshape(image.shape)[inner, inner]
        return smoothed

    return _faded(on_colours(smooth))


def _rescale(image: Image, level: float, canvas: Canvas) -> Image:
    """The middle of the image, up to half of its side, in its full size."""
    height, width, _ = image.shape
    cut = level / 4
    return warp(image, (1 - 2 * cut, 0, cut * width, 0, 1 - 2 * cut, cut * height), canvas)


ACTIONS: dict[str, Action] = {
    "auto_contrast": _faded(OPS["auto_contrast"]),
    "blur": _filtered(RING, 2),
    "brightness": _named("brightness", lambda level, width: 0.1 + 1.9 * level),
    "color": _named("color", lambda level, width: 0.1 + 1.9 * level),
    "contrast": _named("contrast", lambda level, width: 0.1 + 1.9 * level),
    "cutout": _named("cutout", lambda level, width: (1 + int(level * width * 0.499)) // 2),
    "equalize": _faded(OPS["equalize"]),
    "identity": _named("identity", lambda level, width: 0, 1),
    "invert": _faded(OPS["invert"]),
    "posterize": _named("posterize", lambda level, width: 1 + int(level * 7.999), 8),
    "rescale": Action(_rescale),
    "rotate": _named("rotate", lambda level, width: round((2 * level - 1) * 45)),
    "sharpness": _named("sharpness", lambda level, width: 0.1 + 1.9 * level),
    "shear_x": _named("shear_x", lambda level, width: (2 * level - 1) * 0.3),
    "shear_y": _named("shear_y", lambda level, width: (2 * level - 1) * 0.3),
    "smooth": _filtered(SMOOTH, 1),
    "solarize": _named("solarize", lambda level, width: int(level * 255.999)),
    "translate_x": _named("translate_x", lambda level, width: (2 * level - 1) * 0.3 * width),
    "translate_y": _named("translate_y", lambda level, width: (2 * level - 1) * 0.3 * width),
}
"Name -> what it does to an image (H, W, C) at a level, and in how many bins its levels are learned."
COUNTS = np.array([action.bins for action in ACTIONS.values()])


def bin_probabilities(rates: Floats, threshold: float, decay: float) -> Floats:
    """With which probability each bin is drawn: in proportion to its rate, but not below a share of the best one's.

    (O, B) -> (O, B), rows sum to 1. Berthelot et al. 2020, sec. 3.2.2: m is 0 below the threshold. As the official
    code has it, 1 - decay is added first and the threshold is of the largest, so that no operation loses all bins.
    Bins that an operation does not have are 0.
    """
    share = np.where(np.arange(rates.shape[1]) < COUNTS[:, None], rates + (1 - decay), 0)
    share = share / share.max(1, keepdims=True)
    share[share < threshold] = 0
    return np.asarray(share / share.sum(1, keepdims=True))


class Policy(NamedTuple):
    """What is done to N images, in rounds."""

    op: NDArray[np.int64]  # (N, rounds) number of the operation in `ACTIONS`
    bin: NDArray[np.int64]  # (N, rounds)
    level: Floats  # (N, rounds) in the bin, of [0, 1)
    place: Floats  # (N, rounds, 2) where a box lies, as shares of width and height


def draw_policy(rows: int, rounds: int, chances: Floats | None, generator: np.random.Generator) -> Policy:
    """Operations evenly, then bins by their chances (O, B), evenly where there are none, then levels evenly in them."""
    draws = generator.random((rows, rounds, 5))
    op = (draws[..., 0] * len(ACTIONS)).astype(np.int64)
    if chances is None:
        bins = (draws[..., 1] * COUNTS[op]).astype(np.int64)
    else:
        reached = chances.cumsum(1)[op]  # sums end at 1, but for rounding
        bins = (draws[..., 1, None] * reached[..., -1:] >= reached).sum(-1)
    return Policy(op, bins, (bins + draws[..., 2]) / COUNTS[op], draws[..., 3:])


def distorted(images: Image, policy: Policy, fill: tuple[int, ...]) -> Image:
    """(N, H, W, C) uint8 -> the same, one round of operations after another. `fill`: what boxes are filled with."""
    names, black = list(ACTIONS), fill_values(0, images.shape[-1])
    for number in range(policy.op.shape[1]):
        after = images.copy()
        rounds = (policy.op[:, number], policy.level[:, number], policy.place[:, number])
        for row, (op, level, (x, y)) in enumerate(zip(*(part.tolist() for part in rounds), strict=True)):
            name = names[op]
            canvas = Canvas(fill if name == "cutout" else black, x=x, y=y)
            after[row] = ACTIONS[name].apply(images[row], level, canvas)
        images = undo_blank(images, after)
    return images


def proximity(probs: Tensor, truth: Tensor) -> Tensor:
    """How near a prediction is to its label, 1 - sum over classes of |p - y| / 2: (N, K), (N,) -> (N,) in 0-1.

    Berthelot et al. 2020, sec. 3.2.2, with the sum of the official code; the paper's text divides it by the number of
    classes too, and then of ten classes no rate could fall below 0.9, above every threshold.
    """
    return 1 - (probs - nn.functional.one_hot(truth, probs.shape[1])).abs().sum(1) / 2


def moved_rates(rates: Tensor, policy: Policy, near: Tensor, decay: float) -> Tensor:
    """Rates after N images with a policy: m <- decay * m + (1 - decay) * omega for each bin that was used.

    (O, B), (N,) -> (O, B). A bin that n operations used moves n times at once, towards the mean of what these brought:
    so the order of the batch does not count.
    """
    cells = torch.from_numpy(policy.op * rates.shape[1] + policy.bin).flatten()
    each = near.to(rates)[:, None].expand(policy.op.shape).flatten()
    used = torch.bincount(cells, minlength=rates.numel()).view_as(rates)
    total = torch.bincount(cells, each, minlength=rates.numel()).to(rates).view_as(rates)
    return moved(rates, torch.where(used > 0, total / used.clamp(min=1), rates), decay**used)


def to_bytes(images: Tensor) -> Image:
    """(N, C, H, W) floats in 0-1 -> (N, H, W, C) uint8 on the CPU."""
    rounded = (images * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())


@dataclass(eq=False, kw_only=True)
class CTAugment:
    """Distort images by random operations, as strongly as the model still recognises labeled ones so distorted.

    Control theory augment (Berthelot et al. 2020, ReMixMatch, arXiv 1911.09785, sec. 3.2.2; FixMatch's is the same).
    Each of 19 operations has its range of magnitudes cut into bins with a learned rate. Images get `ops` operations at
    magnitudes from bins whose rate is near the best. The view `probe`, of the labeled stream, gets bins evenly drawn:
    how near the moving average (the student, where none is kept) comes to the truth there moves the rates after each
    step. Give the probe a pass that disturbs nobody: [[pass]] model = "average", views = ["probe"].

    Its magnitudes change at every step, so it works in the main process and not in data workers: about 10 microseconds
    of a CPU core for each image and operation, and on a GPU a way back and forth. Beside the official code: `translate`
    goes by shares of the width, as the paper's table says (the code moves by 0.3 pixels at most), `rescale` always
    resamples linearly and draws no method, an operation that would leave one flat colour is undone. Raises
    `RecipeError` where no probe is made.
    """

    about: ClassVar = ("student",)
    "A trait: the rates say what this student recognises."
    probe: str
    "View of the labeled stream, one of `on`, from which the rates are learned."
    ops: Annotated[int, Ge(1), Unit("operations")] = 2
    "Operations per image, drawn evenly, with replacement."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.8
    "Bins whose rate is below this share of the best one's are not drawn."
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.99
    "Share of the old rate in the new one, for each image of the probe that used the bin."
    cutout: Annotated[int, Ge(0), Unit("pixels")] = 0
    "Side of a box that is hidden last in every image but the probe's, as in FixMatch (16 of 32); 0 hides nothing."
    fill: Byte | list[Byte] = 127
    "Value inside boxes, one or one per channel. Pixels that nothing is known of become black."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Every bin as good as any other."""
        self.rates_ = torch.ones(len(ACTIONS), BINS)

    @hookimpl
    def perturb_batch(self, images: Tensor, view: ViewSpec, progress: Progress) -> Tensor:
        """Distorted images."""
        fill = fill_values(self.fill, view.channels)
        if view.name == self.probe:
            policy = self._probe_policy(len(images), progress)
        else:
            chances = bin_probabilities(self.rates_.double().numpy(), self.threshold, self.decay)
            policy = draw_policy(len(images), self.ops, chances, progress.numpy())
        after = distorted(to_bytes(images), policy, fill)
        if self.cutout and view.name != self.probe:
            after = self._ended(after, progress.numpy("cutout"), fill)
        return torch.from_numpy(after).to(images.device).permute(0, 3, 1, 2).to(images.dtype).div_(255)

    def _probe_policy(self, rows: int, progress: Progress) -> Policy:
        """What was done to the probe of a step, whoever asks: its draws belong to the step, not to a view."""
        return draw_policy(rows, self.ops, None, replace(progress, scope="").numpy("probe"))

    def _ended(self, images: Image, generator: np.random.Generator, fill: tuple[int, ...]) -> Image:
        """The images with a box each."""
        places = generator.random((len(images), 2)).tolist()
        cut = [
            OPS["cutout"](image, self.cutout / 2, Canvas(fill, x=x, y=y))
            for image, (x, y) in zip(images, places, strict=True)
        ]
        return undo_blank(images, np.stack(cut))

    @hookimpl
    def after_step(
        self, step: Step, forward: Forward, on: tuple[str, ...], average: nn.Module | None, progress: Progress
    ) -> None:
        """The rates move."""
        if self.probe not in on or self.probe not in step.labeled.views:
            raise RecipeError(
                f'[[noise]] {progress.plugin}: `probe = "{self.probe}"` is no view of the labeled stream that is made '
                "and that this noise is on. Declare it, name it in `on`, and let somebody look at it: [[pass]] "
                f'model = "average", views = ["{self.probe}"]'
            )
        answer = forward(self.probe, "average" if average is not None else "student").logits.detach()
        assert step.labeled.truth is not None
        near = proximity(answer.softmax(1), step.labeled.truth).cpu()
        policy = self._probe_policy(len(near), progress)
        self.rates_ = moved_rates(self.rates_, policy, near, self.decay)

    def state_dict(self) -> dict[str, Any]:
        """The rates."""
        return {"rates": self.rates_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.rates_ = torch.as_tensor(state["rates"]).clone()
