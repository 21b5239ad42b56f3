"""Listing and looking at a folder of many small images: the first time, and when what was found is remembered.

python bench/indexing.py [IMAGES]
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from sslkit.images.listing import list_images
from sslkit.images.scan import scan
from sslkit_plugins.data.dividing.library import Library
from sslkit_plugins.data.formats.files import Files

CLASSES = 100
HOUR_AGO = time.time() - 3600
"Files that were changed just now are not remembered."


def fill(root: Path, images: int) -> None:
    """As many PNG files of 8 x 8 pixels, all different, in folders of classes."""
    random = np.random.default_rng(0)
    for k in range(CLASSES):
        (root / f"class{k}").mkdir()
    for i in range(images):
        _, data = cv2.imencode(".png", random.integers(0, 256, (8, 8, 3), np.uint8))
        path = root / f"class{i % CLASSES}" / f"{i}.png"
        path.write_bytes(data.tobytes())
        os.utime(path, (HOUR_AGO, HOUR_AGO))


def indexed(root: Path) -> tuple[float, float]:
    """Seconds that listing takes, and looking at what is listed."""
    start = time.perf_counter()
    ids = [name for names in list_images(str(root)).images.values() for name in names]
    listed = time.perf_counter()
    at = str(root)
    library = Library("bench", ids, np.zeros(len(ids), np.int64), **Files(at, ids).asked(), home=at)
    looks = scan(library.images("labeled", np.arange(len(ids))))
    assert len({look.digest for look in looks}) == len(ids) and not any(look.problem for look in looks)
    return listed - start, time.perf_counter() - listed


def main(images: int) -> None:
    """Both times, and the memory that the process has come to."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), images)
        for what in ("first", "again", "again"):
            listing, looking = indexed(Path(folder))
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{what}: {images:,} images: listed in {listing:.2f} s, looked at in {looking:.2f} s; {memory:.0f} MiB"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
