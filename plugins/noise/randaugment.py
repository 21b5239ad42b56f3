"""RandAugment: a few operations in random order, drawn from a pool, all at one magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Interval, Unit
from numpy.typing import NDArray

from sslkit import Image, Keys, SslkitError, Transform, ViewSpec, hookimpl
from sslkit.randomness import uniform

from .image_ops import INTERPOLATIONS, OPS, Byte, Canvas, fill_values, undo_blank


class Reach(NamedTuple):
    """How far the operations with a place go at level 1, in pixels."""

    translate: float
    cutout: float  # half of the box's side


Formula = Callable[[float, Reach], float]

SIGNED = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
LIMITS = {"posterize": (1, 8), "solarize": (0, 256), "solarize_add": (0, 255)}
"Where the operation of that name is defined; arguments outside are clipped."


def _spread(names: str, formula: Formula) -> dict[str, Formula]:
    return dict.fromkeys(names.split(), formula)


_PLAIN = "auto_contrast equalize invert"
_ENHANCE = "color contrast brightness sharpness"
_SHEAR = "shear_x shear_y"
_TRANSLATE = "translate_x translate_y"


@dataclass(frozen=True, eq=False)
class Pool:
    """A published variant of RandAugment. A formula takes the level and answers the operation's argument."""

    formulas: dict[str, Formula]
    ops: int
    probability: float
    levels: Literal["fixed", "integer", "even"]  # magnitude / 10; 0.1 ... (magnitude - 1) / 10; anything in [0, 1)
    signs: bool
    translate: float  # reach at level 1: pixels where above 1, else a share of the width
    cutout: float
    fill: int
    cutout_fill: int | tuple[int, ...]
    interpolation: str
    magnitude_max: float = np.inf
    finish: Formula | None = None  # half of the side of a cutout that ends every image


POOLS = {
    "noisystudent": Pool(
        formulas={
            **_spread(_PLAIN, lambda level, reach: 0),
            "rotate": lambda level, reach: 30 * level,
            "posterize": lambda level, reach: int(4 * level),
            "solarize": lambda level, reach: int(256 * level),
            "solarize_add": lambda level, reach: int(110 * level),
            **_spread(_ENHANCE, lambda level, reach: 1.8 * level + 0.1),
            **_spread(_SHEAR, lambda level, reach: 0.3 * level),
            **_spread(_TRANSLATE, lambda level, reach: reach.translate * level),
            "cutout": lambda level, reach: int(reach.cutout * level),
        },
        ops=2, probability=1, levels="fixed", signs=True, translate=100, cutout=40,
        fill=128, cutout_fill=128, interpolation="nearest",
    ),
    "fixmatch": Pool(
        formulas={
            **_spread("auto_contrast equalize identity", lambda level, reach: 0),
            "rotate": lambda level, reach: int(30 * level),
            "posterize": lambda level, reach: 4 + int(4 * level),
            "solarize": lambda level, reach: 256 - int(256 * level),
            **_spread(_ENHANCE, lambda level, reach: 0.9 * level + 0.05),
            **_spread(_SHEAR, lambda level, reach: 0.3 * level),
            **_spread(_TRANSLATE, lambda level, reach: int(reach.translate * level)),
        },
        ops=2, probability=0.5, levels="integer", signs=True, translate=0.3, cutout=8,
        fill=0, cutout_fill=127, interpolation="nearest", finish=lambda level, reach: reach.cutout,
    ),
    "usb": Pool(
        formulas={
            **_spread("auto_contrast equalize identity", lambda level, reach: 0),
            "rotate": lambda level, reach: 60 * level - 30,
            "posterize": lambda level, reach: int(4 + 4 * level),
            "solarize": lambda level, reach: 256 * level,
            **_spread(_ENHANCE, lambda level, reach: 0.9 * level + 0.05),
            **_spread(_SHEAR, lambda level, reach: 0.6 * level - 0.3),
            **_spread(_TRANSLATE, lambda level, reach: reach.translate * (2 * level - 1)),
        },
        ops=3, probability=1, levels="even", signs=False, translate=0.3, cutout=0.25,
        fill=0, cutout_fill=(125, 123, 114), interpolation="nearest",
        finish=lambda level, reach: reach.cutout * level,
    ),
    "timm": Pool(
        formulas={
            **_spread(_PLAIN, lambda level, reach: 0),
            "rotate": lambda level, reach: 30 * level,
            "posterize": lambda level, reach: int(4 * level),
            "solarize": lambda level, reach: min(256, int(256 * level)),
            "solarize_add": lambda level, reach: min(128, int(110 * level)),
            **_spread(_ENHANCE, lambda level, reach: 1.8 * level + 0.1),
            **_spread(_SHEAR, lambda level, reach: 0.3 * level),
            **_spread(_TRANSLATE, lambda level, reach: reach.translate * level),
        },
        ops=2, probability=0.5, levels="fixed", signs=True, translate=0.45, cutout=0,
        fill=128, cutout_fill=128, interpolation="random", magnitude_max=10,
    ),
}  # fmt: skip


def argument(pool: str, op: str, level: float, reach: Reach) -> float:
    """What an operation is called with at a level (magnitude / 10; for `usb` a draw from [0, 1)), before its sign."""
    low, high = LIMITS.get(op, (-np.inf, np.inf))
    return min(max(POOLS[pool].formulas[op](level, reach), low), high)


def draw_levels(pool: Pool, magnitude: float, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels from draws of [0, 1): (N,) -> (N,)."""
    if pool.levels == "even":
        return draws
    if pool.levels == "integer":
        whole = np.floor(draws * (np.ceil(magnitude) - 1)) + 1
        return np.asarray(np.maximum(whole, 1) / 10)
    return np.full_like(draws, magnitude / 10)


PER_OP = 7
"Draws of an operation: which, whether, level, sign, interpolation, place (x, y)."


@dataclass(frozen=True, eq=False, kw_only=True)
class Augment:
    """The transform of one view: all choices made, all sizes in pixels."""

    pool: str
    ops: int
    probability: float
    magnitude: float
    reach: Reach
    fill: tuple[int, ...]
    cutout_fill: tuple[int, ...]
    interpolations: tuple[int, ...]

    def __call__(self, images: Image, keys: Keys) -> Image:
        """(N, H, W, C) uint8 -> the same; row i depends on its image and `keys[i]` alone."""
        finish = POOLS[self.pool].finish
        draws = uniform(keys, PER_OP * self.ops + 3)
        for i in range(self.ops):
            images = self._round(images, draws[:, i * PER_OP : (i + 1) * PER_OP])
        return images if finish is None else self._finish(images, draws[:, -3:], finish)

    def _round(self, images: Image, draws: NDArray[np.float64]) -> Image:
        """One operation on each row. `draws`: (N, PER_OP)."""
        pool, after = POOLS[self.pool], images.copy()
        names = list(pool.formulas)
        levels = draw_levels(pool, self.magnitude, draws[:, 2])
        for row in np.flatnonzero(draws[:, 1] < self.probability):
            which, _, _, sign, interpolation, x, y = draws[row].tolist()
            op = names[int(which * len(names))]
            value = argument(self.pool, op, float(levels[row]), self.reach)
            if pool.signs and op in SIGNED and sign < 0.5:
                value = -value
            flag = self.interpolations[int(interpolation * len(self.interpolations))]
            canvas = Canvas(self.cutout_fill if op == "cutout" else self.fill, flag, x, y)
            after[row] = OPS[op](images[row], value, canvas)
        return undo_blank(images, after)

    def _finish(self, images: Image, draws: NDArray[np.float64], finish: Formula) -> Image:
        """The cutout that ends every image. `draws`: (N, 3), level and place."""
        after = np.empty_like(images)
        for row, (level, x, y) in enumerate(draws.tolist()):
            canvas = Canvas(self.cutout_fill, x=x, y=y)
            after[row] = OPS["cutout"](images[row], finish(level, self.reach), canvas)
        return undo_blank(images, after)


@dataclass(eq=False, kw_only=True)
class RandAugment:
    """Distort images by randomly drawn operations (Cubuk et al. 2020), as one of four published variants.

    They share a name, not a distribution. Operations are drawn evenly, with replacement:

    | pool           | ops | applied | level                  | operations beside the 13 that all share              |
    |----------------|-----|---------|------------------------|------------------------------------------------------|
    | `noisystudent` | 2   | always  | M/10                   | invert, solarize_add, cutout                         |
    | `fixmatch`     | 2   | p = 0.5 | 0.1 ... (M-1)/10 drawn | identity; every image ends with a cutout of 16 pixels|
    | `usb`          | 3   | always  | [0, 1) drawn           | identity; every image ends with a cutout to W/2      |
    | `timm`         | 2   | p = 0.5 | min(M, 10)/10          | invert, solarize_add                                 |

    The 13 are auto_contrast, equalize, rotate, posterize, solarize, color, contrast, brightness, sharpness, and shear
    and translate in x and y. Arguments at level l (W: the view's width in pixels; +- a sign that is drawn):

    | op              | `noisystudent`, `timm`            | `fixmatch`             | `usb`               |
    |-----------------|-----------------------------------|------------------------|---------------------|
    | rotate          | +-30 l degrees                    | +-int(30 l)            | 60 l - 30           |
    | shear           | +-0.3 l                           | +-0.3 l                | 0.6 l - 0.3         |
    | translate       | +-100 l pixels; `timm` 0.45 W l   | +-int(0.3 W l)         | 0.3 W (2 l - 1)     |
    | color and kin   | 1.8 l + 0.1                       | 0.9 l + 0.05           | 0.9 l + 0.05        |
    | posterize, bits | int(4 l)                          | 4 + int(4 l)           | int(4 + 4 l)        |
    | solarize from   | int(256 l)                        | 256 - int(256 l)       | 256 l               |
    | solarize_add    | int(110 l); `timm` at most 128    |                        |                     |
    | cutout, half    | int(40 l) pixels; `timm` none     | 8 pixels               | W/4 l               |

    Where the official operation is undefined, decided here: bits are clipped to 1-8 (noisystudent asks for 0 below
    M = 2.5, and for 10 at M = 27: the image stays), the threshold of solarize to 256 (691 at M = 27: the image stays,
    as it does from M = 10 on), the addition of solarize_add to 255. Factors above 1 extrapolate and clip, as PIL does
    (4.96 at M = 27); "27 of 30" is no rescaling, arguments are those of l = 2.7. Contrast is measured from the image's
    mean; the official code takes min(255, pixels / 256), a bug. An operation that would leave one flat colour is
    undone. Settings that let a shift or box reach over the whole view are an error.

    Sources: google-research/noisystudent `randaugment.py`; kekmodel/FixMatch-pytorch (enhancing 0.05-0.95, not the
    0.1-1.9 of google-research/fixmatch); microsoft/Semi-supervised-learning; timm `auto_augment.py` (`rand-mM-n2`).
    """

    pool: Literal["noisystudent", "fixmatch", "usb", "timm"] = "noisystudent"
    "The published variant: its operations, their arguments, how they are drawn."
    ops: Annotated[int, Ge(1), Unit("operations")] | None = None
    "Operations per image; by default the pool's own."
    magnitude: Annotated[float, Ge(0)] | None = None
    "Strength M; by default 10; `usb` takes none. Noisy Student: B2 6, B3 12, B4 15, B5 18, B6 24, B7 and L2 27."
    magnitude_max: Annotated[float, Gt(0)] | None = None
    "Above it magnitudes are clipped; by default 10 in `timm` (whose `rand-m27` is a 10 too), nothing in the others."
    probability: Annotated[float, Interval(ge=0, le=1)] | None = None
    "Probability with which a drawn operation is applied; by default the pool's own."
    translate_max: Annotated[float, Ge(0), Unit("pixels")] | None = None
    "Pixels of translation at level 1; by default the pool's own (official: 100, for images of 600 pixels)."
    cutout_max: Annotated[float, Ge(0), Unit("pixels")] | None = None
    "Half the side of the cutout at level 1, in pixels; by default the pool's own (official: 40). `timm` has no cutout."
    fill: Byte | list[Byte] | None = None
    "Value of pixels that nothing is known of, one or one per channel; by default the pool's own (official: 128)."
    cutout_fill: Byte | list[Byte] | None = None
    "Value of what a cutout hides, one or one per channel; by default `fill` where that is said, else the pool's own."
    interpolation: Literal["nearest", "bilinear", "bicubic", "random"] | None = None
    "How moved images are resampled (random: bilinear or bicubic); by default nearest, in `timm` random."

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Transform]:
        """One transform. Raises `SslkitError` where settings contradict the pool or leave nothing of the view."""
        pool = POOLS[self.pool]
        reach, magnitude = self._reach(pool, view.size), self._magnitude(pool)
        self._refuse_blank(pool, view, magnitude, reach)
        fill, cutout_fill = (pool.fill, pool.cutout_fill) if self.fill is None else (self.fill, self.fill)
        cutout_fill = cutout_fill if self.cutout_fill is None else self.cutout_fill
        interpolation = self.interpolation or pool.interpolation
        names = ("bilinear", "bicubic") if interpolation == "random" else (interpolation,)
        transform = Augment(
            pool=self.pool,
            ops=self.ops or pool.ops,
            probability=pool.probability if self.probability is None else self.probability,
            magnitude=magnitude,
            reach=reach,
            fill=fill_values(fill, view.channels),
            cutout_fill=fill_values(cutout_fill, view.channels),
            interpolations=tuple(INTERPOLATIONS[name] for name in names),
        )
        return [transform]

    def _magnitude(self, pool: Pool) -> float:
        if pool.levels == "even" and (self.magnitude is not None or self.magnitude_max is not None):
            raise SslkitError(
                f"randaugment: pool `{self.pool}` draws its levels evenly and takes no `magnitude`: leave it out, "
                "or use another pool (noisystudent, fixmatch, timm)"
            )
        limit = pool.magnitude_max if self.magnitude_max is None else self.magnitude_max
        return min(10 if self.magnitude is None else self.magnitude, limit)

    def _reach(self, pool: Pool, size: int) -> Reach:
        if not pool.cutout and self.cutout_max is not None:
            raise SslkitError(f"randaugment: pool `{self.pool}` has no cutout and takes no `cutout_max`: use `cutout`")
        own = [reach * size if reach <= 1 else reach for reach in (pool.translate, pool.cutout)]
        given = (self.translate_max, self.cutout_max)
        return Reach(*(mine if theirs is None else theirs for theirs, mine in zip(given, own, strict=True)))

    def _refuse_blank(self, pool: Pool, view: ViewSpec, magnitude: float, reach: Reach) -> None:
        """A shift or box as large as the view would leave nothing of any image."""
        level = float(draw_levels(pool, magnitude, np.zeros(1))[0]) if pool.levels == "fixed" else 1
        for name, half in zip(("translate", "cutout"), reach, strict=True):
            if half * level >= view.size:
                raise SslkitError(
                    f"randaugment: `{name}_max = {half:g}` at level {level:g} reaches {half * level:g} pixels, and "
                    f"view `{view.name}` has {view.size}: nothing would be left; take less than {view.size / level:g}"
                )
