"""Folders of small images, as the tests of `image_folder` need them."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

Picture = np.ndarray


def picture(number: int = 0, height: int = 12, width: int = 10, channels: int = 3) -> Picture:
    """Smooth noise of one colour more than the others, which `number` decides."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 100, (3, 3, channels)).astype(np.uint8)
    pixels[..., number % channels] += 120
    return cv2.resize(pixels, (width, height)).reshape(height, width, channels)


def put(path: Path, pixels: Picture | None = None) -> Path:
    """An image file, its folders made where they are missing; cv2 gets RGB, and its suffix says the kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture() if pixels is None else pixels
    done, data = cv2.imencode(path.suffix, pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels)
    assert done
    path.write_bytes(data.tobytes())
    return path


def fill(root: Path, **counts: int) -> Path:
    """`fill(root, **{"train/cat": 3})`: as many images in each folder, 0.png, 1.png, ..., of sizes that differ."""
    for number, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            put(root / folder / f"{i}.png", picture(number + 3 * i, 12 + i % 5, 10 + i % 3))
    return root


def as_nobody(action: Callable[[], object]) -> str:
    """What a child that is not root gets from an action."""
    inside, outside = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.environ["XDG_CACHE_HOME"] = "/nowhere"
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            said = str(action())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(outside, said.encode()[:60_000])
        os._exit(0)
    os.close(outside)
    with os.fdopen(inside, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said
