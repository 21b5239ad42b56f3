"""Counter-based randomness: every draw is a function of a key, so nothing needs to be saved or replayed.

A key is a blake2b digest over what the draw belongs to (seed, generation, plugin, stream, view, ...), never Python's
`hash()`, which differs between processes. Rows of a stream are keyed by their *global draw position*: with 40 labels
and batches of 64 the same image comes twice in a batch, and must not get the same augmentation twice.
"""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment: 2**64 / golden ratio, odd


def key(*parts: int | str) -> int:
    """A 64-bit key for what `parts` name; equal parts give equal keys on every machine."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al. 2014): each input bit moves about half of the output bits."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def row_keys(base: int, position: NDArray[np.integer]) -> NDArray[np.uint64]:
    """One key for each row of a batch. `position`: (N,) draw numbers -> (N,) uint64."""
    return _mix((np.asarray(position).astype(np.uint64) + np.uint64(1)) * GOLDEN ^ np.uint64(base))


def uniform(keys: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """`count` draws from [0, 1) for each key: (N,) uint64 -> (N, count). Row i depends on `keys[i]` alone."""
    counters = np.arange(1, count + 1, dtype=np.uint64) * GOLDEN
    return (_mix(keys[:, None] + counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def torch_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own on `device`; torch takes 63 bits."""
    return torch.Generator(device=device).manual_seed(seed >> 1)


def numpy_generator(seed: int) -> np.random.Generator:
    """A numpy generator of its own."""
    return np.random.Generator(np.random.Philox(key=seed))


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what dropout, stochastic depth and weight initialisation draw from.

    `torch.manual_seed` does the same for every backend in 176 us; this takes 1.3 us.
    """
    torch.default_generator.manual_seed(seed >> 1)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed >> 1)
    elif device.type == "mps":
        torch.mps.manual_seed(seed >> 1)
