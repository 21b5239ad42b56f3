"""Small pictures of a run's unlabeled images, as text that stands in a page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from ..dataset import Image, Images
from ..errors import SslkitError

SIDE = 128
"Pixels of the longer side at most."
QUALITY = 80
"Of JPEG."
TOGETHER = 32
"Images that are read at once."


def thumbnails(images: Images, ids: Sequence[str], rows: Sequence[int], done: Callable[[int], None]) -> dict[int, str]:
    """Row -> data URI, of those that are there and can be read. `rows`: where each id was when it was labeled."""
    places = _places(images, ids, rows)
    found: dict[int, str] = {}
    wanted = list(places.items())
    done(len(rows) - len(wanted))
    for start in range(0, len(wanted), TOGETHER):
        part = wanted[start : start + TOGETHER]
        for (row, _), image in zip(part, _read(images, [place for _, place in part]), strict=True):
            if image is not None:
                found[row] = data_uri(image)
        done(len(part))
    return found


def _places(images: Images, ids: Sequence[str], rows: Sequence[int]) -> dict[int, int]:
    """Row -> position in the data as it is now: images may have come and gone since."""
    count = len(images)
    if all(row < count and images.ids[row] == name for row, name in zip(rows, ids, strict=True)):
        return dict(zip(rows, rows, strict=True))
    by_id = dict(zip(ids, rows, strict=True))
    return {by_id[name]: place for place, name in enumerate(images.ids) if name in by_id}


def _read(images: Images, places: list[int]) -> list[Image | None]:
    """Images, None for those that cannot be read."""
    try:
        return list(images.read(np.array(places, np.int64)))
    except (SslkitError, OSError):
        return [None] if len(places) == 1 else [_read(images, [place])[0] for place in places]


def data_uri(image: Image) -> str:
    """A small JPEG of an image (H, W, C) of 1, 3 or 4 channels (the fourth, transparency, is left out)."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
    pixels = cv2.cvtColor(small[..., :3], cv2.COLOR_RGB2BGR) if small.shape[2] >= 3 else small[..., :1]
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}"
