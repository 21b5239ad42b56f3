"""Operations on one image that mean what PIL's of the same name mean, on cv2 and 256-entry lookup tables.

Images are (H, W, C) uint8 arrays: grey (C = 1), colours (3), or colours and their opacity (4). Operations on values leave
opacity as it is; those that move pixels move it with them. No operation changes its input. `OPS` is the table that
RandAugment draws from. Numbers outside an operation's domain must be clipped before (see `randaugment.LIMITS`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from sslkit import Image, SslkitError

Byte = Annotated[int, Interval(ge=0, le=255)]
Table = NDArray[np.uint8]  # (256,) new value of each old one
Matrix = tuple[float, float, float, float, float, float]

COLOURS, OPAQUE = 3, 255
VALUES = np.arange(256)
IDENTITY = VALUES.astype(np.uint8)
LUMA = np.array([[19595, 38470, 7471]], np.float32)  # ITU-R 601 in 1/65536, as PIL's mode "L": exact in float32
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL's filter of that name
INTERPOLATIONS = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


class Canvas(NamedTuple):
    """What an operation needs to know beside its argument."""

    fill: tuple[int, ...]  # (C,) value of pixels that nothing is known of
    interpolation: int = cv2.INTER_NEAREST
    x: float = 0.5  # where a cutout's centre lies, as a share of the width, [0, 1)
    y: float = 0.5  # and of the height


Op = Callable[[Image, float, Canvas], Image]


def fill_values(fill: int | list[int] | tuple[int, ...], channels: int) -> tuple[int, ...]:
    """One value per channel. A grey is repeated; a colour on grey images becomes its mean; both are opaque."""
    values = (fill,) if isinstance(fill, int) else tuple(fill)
    if len(values) == channels:
        return values
    if len(values) == 1:
        values *= min(channels, COLOURS)
    if channels == 1 and len(values) == COLOURS:
        return (round(sum(values) / COLOURS),)
    if len(values) == channels:
        return values
    if channels == COLOURS + 1 and len(values) == COLOURS:
        return (*values, OPAQUE)
    raise SslkitError(
        f"`fill = {list(values)}` has {len(values)} values, images have {channels} channels: give one or 3"
    )


def undo_blank(before: Image, after: Image) -> Image:
    """`after` with the rows that became one flat colour put back. (N, H, W, C), (N, H, W, C) -> (N, H, W, C).

    A view that shows nothing teaches its target to nobody; large shifts and strong contrast make such views of small
    images. `after` is changed in place.
    """
    pixels, channels = after.reshape(len(after), -1), after.shape[-1]
    blank = (pixels[:, channels:] == pixels[:, :-channels]).all(axis=1)  # each pixel equals the one before it
    if blank.any():
        after[blank] = before[blank]
    return after


def on_colours(op: Op) -> Op:
    """An operation that leaves the fourth channel, opacity, as it is."""

    def apply(image: Image, argument: float, canvas: Canvas) -> Image:
        if image.shape[2] <= COLOURS:
            return op(image, argument, canvas)
        return np.dstack([op(np.ascontiguousarray(image[..., :COLOURS]), argument, canvas), image[..., COLOURS:]])

    return apply


# Values: lookup tables, for all channels or each -----------------------------------------------------------


def look_up(image: Image, table: Table) -> Image:
    """Each value replaced by the table's. `table`: (256,), or (1, 256, C) for a table per channel."""
    return np.asarray(cv2.LUT(image, table), np.uint8).reshape(image.shape)


def _by_table(table: Callable[[float], Table]) -> Op:
    """An operation that is a lookup table made from its argument alone."""
    cached = lru_cache(1024)(table)
    return lambda image, argument, canvas: look_up(image, cached(argument))


def posterize_table(bits: float) -> Table:
    """The `bits` highest bits stay (1 to 8)."""
    shift = 8 - int(bits)
    return (VALUES >> shift << shift).astype(np.uint8)


def solarize_table(threshold: float) -> Table:
    """Values from `threshold` (0 to 256) on are inverted."""
    return np.where(threshold > VALUES, VALUES, 255 - VALUES).astype(np.uint8)


def solarize_add_table(addition: float) -> Table:
    """Values below 128 become lighter by `addition`."""
    return np.where(VALUES < 128, np.minimum(VALUES + addition, 255), VALUES).astype(np.uint8)


@lru_cache(4096)
def blend_table(degenerate: int, factor: float) -> Table:
    """Values moved away from `degenerate`, or towards it where `factor` < 1."""
    return blend(np.float32(degenerate), IDENTITY, factor)


def blend(degenerate: NDArray[np.float32] | np.float32, image: Image, factor: float) -> Image:
    """PIL's `Image.blend`, extrapolation included: degenerate + factor * (image - degenerate), clipped, cut off."""
    mixed = degenerate + np.float32(factor) * (image.astype(np.float32) - degenerate)
    return np.minimum(np.maximum(mixed, 0), 255).astype(np.uint8)  # half the time of np.clip


def grey(image: Image) -> Image:
    """(H, W, C) -> (H, W), PIL's mode "L"."""
    if image.shape[2] == 1:
        return image[..., 0]
    luma = cv2.transform(image.astype(np.float32), LUMA)
    return np.asarray((luma + np.float32(0x8000)) / np.float32(0x10000), np.uint8)


def contrast(image: Image, factor: float, canvas: Canvas) -> Image:
    """Away from the image's mean grey."""
    return look_up(image, blend_table(int(cv2.mean(grey(image))[0] + 0.5), factor))


def color(image: Image, factor: float, canvas: Canvas) -> Image:
    """Away from grey; grey images stay as they are."""
    if image.shape[2] == 1:
        return image
    return blend(cv2.cvtColor(grey(image), cv2.COLOR_GRAY2RGB).astype(np.float32), image, factor)


def sharpness(image: Image, factor: float, canvas: Canvas) -> Image:
    """Away from the smoothed image; the outermost pixels stay as they are."""
    degenerate = image.copy()
    degenerate[1:-1, 1:-1] = cv2.filter2D(image, -1, SMOOTH).reshape(image.shape)[1:-1, 1:-1]
    return blend(degenerate.astype(np.float32), image, factor)


@lru_cache(4096)
def stretch_table(low: int, high: int) -> Table:
    """Values from `low` to `high` stretched over the whole range."""
    scale = 255 / (high - low)
    return np.asarray(np.clip(VALUES * scale - low * scale, 0, 255), np.uint8)


def auto_contrast(image: Image, argument: float, canvas: Canvas) -> Image:
    """Each channel's darkest value becomes 0, its lightest 255."""
    ends = [cv2.minMaxLoc(channel)[:2] for channel in cv2.split(image)]
    tables = [stretch_table(int(low), int(high)) if high > low else IDENTITY for low, high in ends]
    return look_up(image, tables[0] if len(tables) == 1 else np.stack(tables, axis=-1)[None])


def equalize_tables(image: Image) -> Table:
    """(1, 256, C): for each channel the table that makes all values about as frequent, as PIL counts it."""
    channels = image.shape[2]
    apart = image.reshape(-1, channels) + 256 * np.arange(channels)
    counts = np.bincount(apart.ravel(), minlength=256 * channels).reshape(channels, 256)
    lightest = counts[np.arange(channels), 255 - np.argmax(counts[:, ::-1] > 0, axis=1)]
    step = (len(apart) - lightest[:, None]) // 255
    tables = (np.cumsum(counts, axis=1) - counts + step // 2) // np.maximum(step, 1)
    tables = np.where(step > 0, np.minimum(tables, 255), VALUES)
    return np.ascontiguousarray(tables.T[None], dtype=np.uint8)


def equalize(image: Image, argument: float, canvas: Canvas) -> Image:
    """Each channel's values become about as frequent; images of less than 256 pixels stay as they are."""
    return look_up(image, equalize_tables(image))


# Places ---------------------------------------------------------------------------------------------------------------


def warp(image: Image, matrix: Matrix, canvas: Canvas) -> Image:
    """Affine transform; `matrix` takes (x, y) of the result to the source, in PIL's coordinates.

    PIL's pixel centres lie at halves, cv2's at whole numbers.
    """
    a, b, c, d, e, f = matrix
    shifted = np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]])
    height, width, _ = image.shape
    flags = canvas.interpolation | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, shifted, (width, height), flags=flags, borderValue=canvas.fill)
    return np.asarray(warped, np.uint8).reshape(image.shape)


def rotate(image: Image, degrees: float, canvas: Canvas) -> Image:
    """Around the centre, counter-clockwise."""
    x, y = image.shape[1] / 2, image.shape[0] / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return warp(image, (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y), canvas)


def shear_x(image: Image, factor: float, canvas: Canvas) -> Image:
    """Row y is moved to the left by `factor` * y pixels."""
    return warp(image, (1, factor, 0, 0, 1, 0), canvas)


def shear_y(image: Image, factor: float, canvas: Canvas) -> Image:
    """Column x is moved up by `factor` * x pixels."""
    return warp(image, (1, 0, 0, factor, 1, 0), canvas)


def translate_x(image: Image, pixels: float, canvas: Canvas) -> Image:
    """To the left."""
    return warp(image, (1, 0, pixels, 0, 1, 0), canvas)


def translate_y(image: Image, pixels: float, canvas: Canvas) -> Image:
    """Up."""
    return warp(image, (1, 0, 0, 0, 1, pixels), canvas)


def cutout(image: Image, half: float, canvas: Canvas) -> Image:
    """A box of 2 * `half` pixels a side is filled; the part of it that lies outside is lost (DeVries & Taylor 2017)."""
    height, width, _ = image.shape
    x, y = int(canvas.x * width), int(canvas.y * height)
    cut = image.copy()
    rows, columns = (slice(max(0, round(c - half)), max(0, round(c + half))) for c in (y, x))
    cut[rows, columns] = canvas.fill
    return cut


def identity(image: Image, argument: float, canvas: Canvas) -> Image:
    """Nothing."""
    return image


OPS: dict[str, Op] = {
    "auto_contrast": on_colours(auto_contrast),
    "equalize": on_colours(equalize),
    "invert": on_colours(_by_table(lambda _: (255 - VALUES).astype(np.uint8))),
    "identity": identity,
    "posterize": on_colours(_by_table(posterize_table)),
    "solarize": on_colours(_by_table(solarize_table)),
    "solarize_add": on_colours(_by_table(solarize_add_table)),
    "brightness": on_colours(lambda image, factor, canvas: look_up(image, blend_table(0, factor))),
    "contrast": on_colours(contrast),
    "color": on_colours(color),
    "sharpness": on_colours(sharpness),
    "rotate": rotate,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "cutout": cutout,
}
"Name -> operation on (image, argument, canvas)."
