"""From the bytes of an image file to RGB: by cv2, which is fast, and by PIL where cv2 would get it wrong."""

import io
import warnings

import cv2
import numpy as np
from cv2.utils import logging
from PIL import Image as Pil
from PIL import ImageOps, UnidentifiedImageError

from ..dataset import Image

JPEG, END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
GREY_DEEP = "I;16"
"How PIL's modes of 16-bit grey begin; it would clip them at 255, where cv2 scales them."
DEEP = ("F", "I")
"PIL's modes whose numbers have no fixed white."


def decode(data: bytes) -> Image:
    """An encoded image as (H, W, 3) RGB uint8, turned upright by its EXIF orientation.

    Grey gets three equal channels, 16 bits are scaled to 8, what is transparent is laid on white, and of an animation
    the first picture is taken. What kind of file it is, its content tells. Raises `ValueError`, or what PIL raises,
    where it is no image, or only a part of one.
    """
    if not data:
        raise ValueError("the file is empty")
    if data.startswith(JPEG) and data.endswith(END_OF_JPEG):
        image = by_cv2(data)
        if image is not None:
            return image
    return by_header(data)


def by_cv2(data: bytes) -> Image | None:
    """What cv2 makes of it, or None. Of a JPEG that was cut off, some versions make an image that ends in grey."""
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # what is wrong is said once, with the file's name
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    finally:
        logging.setLogLevel(before)
    return None if image is None else np.asarray(image, np.uint8)


def by_header(data: bytes) -> Image:
    """PIL reads the header, which takes microseconds, and decodes what cv2 cannot be trusted with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities in an image that can be read
        try:
            opened = Pil.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise ValueError("it is no image of a known kind") from error
        if opened.mode in DEEP:
            raise ValueError(
                f"its pixels are numbers of 32 bits (PIL's mode {opened.mode}), and which is white is not said"
            )
        grey = opened.mode.startswith(GREY_DEEP)
        unsafe = opened.format in ("JPEG", "MPO") or (opened.has_transparency_data and not grey)
        image = None if unsafe else by_cv2(data)
        if image is None and grey:
            raise ValueError("cv2 cannot decode it, and PIL would clip its 16 bits")
        return on_white(opened) if image is None else image


def on_white(opened: Pil.Image) -> Image:
    """PIL's image upright, in RGB, what is transparent on white. Raises `OSError` where the file was cut off."""
    upright = ImageOps.exif_transpose(opened)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Pil.alpha_composite(Pil.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))
