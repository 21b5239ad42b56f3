"""What `shards` costs beside the `webdataset` package, on one tar of small JPEGs, in the same run.

    python bench/shards.py [SAMPLES]

Indexing is what `open_data` does: every member's header, which is remembered, and every label. Both then read and decode every image in the
tar's order, by one process and the same decoder; rounds alternate and the median of each is taken, since machines are
shared. Reading at random, which a stream of samples cannot, is a figure of its own.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from webdataset.tariterators import group_by_keys, tar_file_expander

from sslkit import Images, Progress
from sslkit.images.decoding import decode
from sslkit.images.remembered import FOLDER
from sslkit_plugins.data.shards import Shards

ROUNDS = 3


def write(path: Path, samples: int) -> None:
    """A tar of 64-pixel JPEGs of ten classes."""
    random = np.random.default_rng(0)
    images = [
        cv2.imencode(".jpg", random.integers(0, 256, (64, 64, 3)).astype(np.uint8))[1].tobytes() for _ in range(50)
    ]
    with tarfile.open(path, "w") as tar:
        for i in range(samples):
            for suffix, data in (("jpg", images[i % 50]), ("cls", b"%d" % (i % 10))):
                info = tarfile.TarInfo(f"{i:07}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def first_opened(path: Path) -> Images:
    """The tar's images where nothing is remembered of it."""
    shutil.rmtree(path.parent / FOLDER, ignore_errors=True)
    return opened(path)


def opened(path: Path) -> Images:
    """The tar's images."""
    return Shards(root=path.parent, labeled=path.name).open_data(Progress(0)).labeled


def streamed(path: Path) -> int:
    """The same images by the package."""
    with path.open("rb") as stream:
        samples = group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))
        return sum(len(decode(sample["jpg"])) > 0 and int(sample["cls"]) >= 0 for sample in samples)


def read(images: Images, order: np.ndarray) -> int:
    """Images in an order, one after another."""
    return sum(len(images.read(order[i : i + 1])) for i in range(len(order)))


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(samples: int) -> None:
    """Print samples a second of each, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.tar")
        write(path, samples)
        os.utime(path, (1, 1))  # what was written a moment ago is not remembered
        images = opened(path)
        rows = np.arange(samples)
        shuffled = np.random.default_rng(0).permutation(rows)
        tasks: dict[str, Callable[[], object]] = {
            "shards: index the first time, with labels": lambda: first_opened(path),
            "shards: index after that, with labels": lambda: opened(path),
            "shards: read in order": lambda: read(images, rows),
            "shards: read at random": lambda: read(images, shuffled),
            "webdataset: index and read in order": lambda: streamed(path),
        }
        times: dict[str, list[float]] = {name: [] for name in tasks}
        for _ in range(ROUNDS):
            for name, work in tasks.items():
                times[name].append(seconds(work))
    rates = {name: samples / statistics.median(taken) for name, taken in times.items()}
    for name, rate in rates.items():
        print(f"{name:44} {rate:10,.0f} samples/s")
    index, _, order, _, stream = (1 / rate for rate in rates.values())
    print(
        f"shards: index the first time and read in order, beside webdataset: {stream / (index + order):.2f} times as fast"
    )
    print(f"shards: read in order, beside webdataset: {stream / order:.2f} times as fast")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
