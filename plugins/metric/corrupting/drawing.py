"""Random numbers of each image by its own key, on whole batches. N images, H x W pixels, C channels.

Row i of what is drawn depends on `keys[i]` alone: on no other image of a batch, and on no size of it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, pdtr

from sslkit import Keys
from sslkit.randomness import row_keys, uniform

Floats = NDArray[np.float32]
HALF = 2.0**-54
"Half of the step between two draws: moves them into the open interval (0, 1)."


def image_keys(base: int, position: NDArray[np.integer]) -> Keys:
    """A key for each image, by its position in the split: (N,) -> (N,)."""
    return row_keys(base, position)


def draws(keys: Keys, *shape: int) -> NDArray[np.float64]:
    """Uniform on (0, 1): (N, *shape)."""
    return (uniform(keys, int(np.prod(shape))) + HALF).reshape(len(keys), *shape)


def between(keys: Keys, low: float, high: float, *shape: int) -> NDArray[np.float64]:
    """Uniform on (low, high): (N, *shape)."""
    return np.asarray(low + (high - low) * draws(keys, *shape))


def normal(keys: Keys, *shape: int) -> NDArray[np.float64]:
    """Of mean 0 and standard deviation 1, by the inverse of the distribution: (N, *shape)."""
    return np.asarray(ndtri(draws(keys, *shape)))


@cache
def _steps(photons: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """P(X <= k) + v for each value v of a byte and k = 0, 1, ..., in one rising line; and where each v begins in it."""
    rates = np.arange(256)[:, None] * photons / 255
    most = int(photons + 12 * np.sqrt(photons) + 20)
    # The last step of each value is whole, so that no draw falls into the next value's.
    below = np.minimum(pdtr(np.arange(most)[None], rates), 1)
    below[:, -1] = 1
    return np.ravel(below + np.arange(256)[:, None]), np.arange(256) * most


def shots(keys: Keys, values: NDArray[np.uint8], photons: float) -> NDArray[np.float64]:
    """Photons that a pixel of a byte's value catches where white ones catch `photons` on average: (N, ...) -> (N, ...)."""
    steps, begin = _steps(photons)
    whole = values.astype(np.int64)
    found = np.searchsorted(steps, draws(keys, *values.shape[1:]) + whole) - begin[whole]
    return np.asarray(np.maximum(found, 0), np.float64)  # a draw near 0 is lost in the sum with a large value


def plasma(keys: Keys, side: int, decay: float) -> Floats:
    """Clouds from 0 to 1 by the diamond-square algorithm, (N, side, side); `decay` is how fast finer parts fade.

    Fournier et al. 1982, on a torus whose side is a power of two. As in the published scripts, what is added at a level
    is the square of what `decay` divides.
    """
    whole = 1 << max(1, int(side - 1).bit_length())
    noise = between(keys, -1, 1, whole, whole)  # each point of the map is set once: its noise lies where it does
    clouds = np.zeros((len(keys), whole, whole))
    step, wibble = whole, 100.0
    while step >= 2:
        half, more = step // 2, wibble**2 * noise
        edge, middle = slice(None, None, step), slice(half, None, step)
        corners = clouds[:, edge, edge]
        pairs = corners + np.roll(corners, -1, 1)
        clouds[:, middle, middle] = (pairs + np.roll(pairs, -1, 2)) / 4 + more[:, middle, middle]
        middles = clouds[:, middle, middle]
        across = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 2)
        clouds[:, edge, middle] = across / 4 + more[:, edge, middle]
        down = middles + np.roll(middles, 1, 2) + corners + np.roll(corners, -1, 1)
        clouds[:, middle, edge] = down / 4 + more[:, middle, edge]
        step, wibble = half, wibble / decay
    clouds -= clouds.min((1, 2), keepdims=True)
    return np.asarray((clouds / clouds.max((1, 2), keepdims=True))[:, :side, :side], np.float32)
