"""From the bytes of an image file to RGB: by cv2, which is fast, and by PIL where cv2 would get it wrong."""

import io

import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageOps, UnidentifiedImageError

from sslkit import Image

JPEG, END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
GREY_DEEP = "I;16"
"How PIL's modes of 16-bit grey begin; it would clip them at 255, where cv2 scales them."
DEEP = ("F", "I")
"PIL's modes whose numbers have no fixed white."


def decode(data: bytes) -> Image:
    """An encoded image as (H, W, 3) RGB uint8, turned upright by its EXIF orientation.

    Grey gets three equal channels, 16 bits are scaled to 8, transparent pixels are laid on white, and of an animation
    the first picture is taken. What kind of file it is, its content tells. Raises `ValueError` where it is no image, or
    only a part of one.
    """
    if not data:
        raise ValueError("the file is empty")
    if data.startswith(JPEG) and data.endswith(END_OF_JPEG):
        image = by_cv2(data)
        if image is not None:
            return image
    return by_header(data)


def by_cv2(data: bytes) -> Image | None:
    """What cv2 makes of it, or None. Of a JPEG that was cut off some versions make half a grey image."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


def by_header(data: bytes) -> Image:
    """PIL reads the header, which takes microseconds, and decodes what cv2 cannot be trusted with."""
    try:
        with Pil.open(io.BytesIO(data)) as opened:
            if opened.mode in DEEP:
                raise ValueError(
                    f"its pixels are {opened.mode}, 32-bit numbers without a fixed white: save 8 or 16 bits"
                )
            clear = opened.has_transparency_data and not opened.mode.startswith(GREY_DEEP)
            whole = opened.format not in ("JPEG", "MPO")
            image = by_cv2(data) if whole and not clear else None
            return on_white(opened) if image is None else image
    except UnidentifiedImageError as error:
        raise ValueError("this is no image of a known kind") from error
    except (OSError, SyntaxError, EOFError, Pil.DecompressionBombError) as error:  # PIL has no class of its own for it
        raise ValueError(str(error)) from error


def on_white(opened: Pil.Image) -> Image:
    """PIL's image upright, in RGB, what is transparent on white. Raises `OSError` where its file was cut off."""
    if opened.mode.startswith(GREY_DEEP):
        raise ValueError(f"its pixels are {opened.mode}, which only cv2 decodes, and it could not")
    upright = ImageOps.exif_transpose(opened)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Pil.alpha_composite(Pil.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))
