"""From the bytes of an image file to pixels: by cv2, which is fast, and by PIL where cv2 would get it wrong."""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

import cv2
import numpy as np
from cv2.utils import logging
from PIL import Image as Pil
from PIL import ImageOps, UnidentifiedImageError
from PIL import __version__ as PIL_VERSION

from ..dataset import Image

LARGEST = 100.0
"Megapixels that an image may have: a small file can say that it has billions, and memory would end."
JPEG, END_OF_JPEG, PNG = b"\xff\xd8\xff", b"\xff\xd9", b"\x89PNG\r\n\x1a\n"
GREY_DEEP = "I;16"
"How PIL's modes of 16-bit grey begin; it would clip them at 255, where cv2 scales them."
OPAQUE = (b"\0", b"\2")
"PNG's kinds of colour that have no alpha, and no palette that could: grey and RGB."
BY_PIL = ("JPEG", "MPO", "AVIF")
"PIL's formats that cv2 cuts short without a word, or does not turn upright."
DEEP = ("F", "I")
"PIL's modes whose numbers have no fixed white."
FLAGS = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR_RGB, 4: cv2.IMREAD_COLOR_RGB}
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
DECODERS = f"cv2 {cv2.__version__}, PIL {PIL_VERSION}"
"Of others, the same file may have other pixels."


def decode(data: bytes, channels: int = 3, largest: float = LARGEST) -> Image:
    """An encoded image as (H, W, channels) uint8, turned upright by its EXIF orientation.

    3 channels are RGB, 1 is grey, 4 are RGB with alpha, which is 255 where the image has none. Otherwise what is
    transparent is laid on white. Grey gets equal channels, 16 bits are scaled to 8, and of an animation the first picture
    is taken. What kind of file it is, its content tells. Raises `ValueError`, or what PIL raises, where it is no image,
    only a part of one, or has more than `largest` megapixels.
    """
    if not data:
        raise ValueError("the file is empty")
    if size := plain_size(data):
        check_size(*size, largest)
        image = by_cv2(data, channels)
        if image is not None:
            return image
    return by_header(data, channels, largest)


def check_size(height: int, width: int, largest: float) -> None:
    """Raise `ValueError` for more than `largest` megapixels."""
    if height * width > largest * 1e6:
        raise ValueError(
            f"it has {width:,} x {height:,} pixels, {height * width / 1e6:,.0f} megapixels, and images of at most "
            f"{largest:g} are read"
        )


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a file of the two usual kinds that cv2 gets right; None of any other, at which PIL has a look."""
    if data.startswith(JPEG) and data.endswith(END_OF_JPEG):
        return jpeg_size(data)
    return png_size(data) if data.startswith(PNG) else None


def png_size(data: bytes) -> tuple[int, int] | None:
    """Height and width that a PNG's header says, where nothing before its pixels makes any of them transparent."""
    pixels = data.find(b"IDAT")
    if pixels < 0 or data[12:16] != b"IHDR" or data[25:26] not in OPAQUE or data.find(b"tRNS", 0, pixels) >= 0:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width that a JPEG's frame header says; None where there is none. PIL would take longer than cv2 decodes."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        if marker == 0xFF:  # filling
            at += 1
        else:
            at += 2 + (0 if marker == 0x01 or 0xD0 <= marker <= 0xD9 else struct.unpack_from(">H", data, at + 2)[0])
    return None


def kind_of(data: bytes) -> str:
    """How an image is stored, by its first bytes: `jpeg`, `png`, ...; `unknown`."""
    if data.startswith((JPEG, PNG)):
        return "jpeg" if data.startswith(JPEG) else "png"
    try:
        with unlimited:
            return str(Pil.open(io.BytesIO(data)).format or "unknown").lower()
    except Exception:  # of a file that is none, or is broken
        return "unknown"


class Together:
    """A state of the whole process that several threads want at once: the first one sets it, the last one puts it back."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self.make, self.lock, self.users, self.stack = make, Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.stack.enter_context(self.make())
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.stack.close()


@contextmanager
def unlimited_here() -> Iterator[None]:
    """PIL opens whatever size a header says, which is then checked, and is silent on oddities of what can be read."""
    before, Pil.MAX_IMAGE_PIXELS = Pil.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Pil.MAX_IMAGE_PIXELS = before


@contextmanager
def silent_here() -> Iterator[None]:
    """cv2 logs nothing: what is wrong is said once, with the file's name."""
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


unlimited, silent = Together(unlimited_here), Together(silent_here)


def by_cv2(data: bytes, channels: int) -> Image | None:
    """What cv2 makes of it, or None. Of a JPEG that was cut off, some versions make an image that ends in grey."""
    try:
        with silent:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[channels])
    except cv2.error:
        return None
    return None if image is None else with_channels(np.asarray(image, np.uint8), channels)


def by_header(data: bytes, channels: int, largest: float) -> Image:
    """PIL reads the header, which takes microseconds, and decodes what cv2 cannot be trusted with."""
    with unlimited:
        try:
            opened = Pil.open(io.BytesIO(data))
        except UnidentifiedImageError as error:
            raise ValueError("it is no image of a known kind") from error
        check_size(opened.height, opened.width, largest)
        if opened.mode in DEEP:
            raise ValueError(
                f"its pixels are numbers of 32 bits (PIL's mode {opened.mode}), and which is white is not said"
            )
        grey = opened.mode.startswith(GREY_DEEP)
        unsafe = opened.format in BY_PIL or (opened.has_transparency_data and not grey)
        image = None if unsafe else by_cv2(data, channels)
        if image is None and grey:
            raise ValueError("cv2 cannot decode it, and PIL would clip its 16 bits")
        return by_pil(opened, channels) if image is None else image


def by_pil(opened: Pil.Image, channels: int) -> Image:
    """PIL's image upright, what is transparent on white. Raises `OSError` where the file was cut off."""
    upright = ImageOps.exif_transpose(opened)
    if upright.has_transparency_data and channels != 4:
        layer = upright.convert("RGBA")
        upright = Pil.alpha_composite(Pil.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert(MODES[channels])).reshape(upright.height, upright.width, channels)


def with_channels(image: Image, channels: int) -> Image:
    """(H, W) or (H, W, 1, 3 or 4) as (H, W, channels), by the rules of `decode`. Raises `ValueError` for other shapes."""
    image = image if image.ndim == 3 else image[..., None]
    has = image.shape[-1] if image.ndim == 3 else 0
    if has == channels:
        return image
    if has not in FLAGS:
        raise ValueError(f"its shape is {image.shape}; (height, width), or with 1, 3 or 4 channels, was expected")
    return by_pil(Pil.fromarray(image[..., 0] if has == 1 else image), channels)
