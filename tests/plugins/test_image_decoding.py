"""Image files of every kind come out as RGB, upright and whole; broken ones are refused."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, features

from sslkit.images import decoding
from sslkit.images.decoding import decode

RED, GREEN = (255, 0, 0), (0, 200, 50)
HALVES = np.concatenate([np.full((10, 30, 3), RED, np.uint8), np.full((10, 30, 3), GREEN, np.uint8)])
"Red above, green below: shows a wrong order of channels, and a wrong side up."
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8))
KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
EXACT = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **{**EXACT.get(kind, {}), **options})
    return file.getvalue()


def by_cv2(pixels: np.ndarray, suffix: str) -> bytes:
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def assert_close(image: np.ndarray, expected: np.ndarray, by: int = 0) -> None:
    assert image.dtype == np.uint8 and image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= by


@pytest.mark.parametrize("kind", [*KINDS, "JPEG2000"])
def test_colour(kind: str) -> None:
    assert_close(decode(encoded(Image.fromarray(HALVES), kind)), HALVES, 4 if kind == "JPEG" else 0)


def test_colour_of_print() -> None:
    assert_close(decode(encoded(Image.fromarray(HALVES).convert("CMYK"), "JPEG")), HALVES, 4)


@pytest.mark.parametrize(("mode", "kind"), [("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("L", "PPM")])
def test_grey_in_three_equal_channels(mode: str, kind: str) -> None:
    grey = Image.fromarray(HALVES).convert(mode)
    expected = np.repeat(np.asarray(grey.convert("L"))[..., None], 3, axis=2)
    assert_close(decode(encoded(grey, kind)), expected, 3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled(suffix: str, channels: int) -> None:
    """PIL clips 16-bit grey at 255: all but the darkest would be white."""
    deep = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30, 1).repeat(channels, axis=2)
    assert_close(decode(by_cv2(deep, suffix)), (deep / 257).repeat(3 // channels, axis=2), 1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palettes(kind: str) -> None:
    assert_close(decode(encoded(Image.fromarray(HALVES).quantize(4), kind)), HALVES)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_becomes_white(kind: str) -> None:
    """Whatever colour lies below it."""
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:5], alpha[10:] = 128, 0
    expected = HALVES.copy()
    expected[:5], expected[10:] = (255, 127, 127), 255
    assert_close(decode(encoded(Image.fromarray(np.dstack([HALVES, alpha])), kind)), expected, 1)


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_colour_that_stands_for_transparent(mode: str) -> None:
    image = Image.fromarray(HALVES).quantize(4) if mode == "P" else Image.fromarray(HALVES).convert(mode)
    data = encoded(image, "PNG", transparency=image.getpixel((0, 0)))
    made = decode(data)
    assert (made[:10] == 255).all() and (made[10:] != 255).any()


def test_grey_with_alpha() -> None:
    pixels = np.zeros((4, 4, 2), np.uint8)
    pixels[2:, :, 1] = 255
    assert decode(encoded(Image.fromarray(pixels, "LA"), "PNG"))[:, 0, 0].tolist() == [255, 255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_upright_by_exif(kind: str, mode: str) -> None:
    """6: turned by a quarter, so that red comes to lie on the right."""
    exif = Image.Exif()
    exif[274] = 6
    image = Image.fromarray(HALVES).convert(mode if kind != "JPEG" else "RGB")  # which has no alpha
    assert_close(decode(encoded(image, kind, exif=exif)), np.rot90(HALVES, -1), 4 if kind == "JPEG" else 0)


def test_the_first_picture_of_an_animation() -> None:
    frames = [Image.fromarray(np.full((4, 4, 3), colour, np.uint8)).quantize(2) for colour in (RED, GREEN)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(data) == RED).all()


def test_the_suffix_plays_no_part_but_the_content_does() -> None:
    """ImageNet has PNG files called .JPEG; phones write after a JPEG's end."""
    data = encoded(Image.fromarray(HALVES), "JPEG")
    assert_close(decode(data + b"trailer of some maker"), HALVES, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_a_file_that_was_cut_off(kind: str, share: float) -> None:
    """libjpeg would fill the rest with grey."""
    data = encoded(NOISE, kind)
    with pytest.raises((ValueError, OSError, SyntaxError)) as caught:
        decode(data[: int(share * len(data))])
    assert str(caught.value)


def test_a_jpeg_that_was_cut_off_though_cv2_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As versions before 5 do."""
    monkeypatch.setattr(decoding, "by_cv2", lambda data, channels: np.zeros((60, 60, 3), np.uint8))
    with pytest.raises(OSError, match="truncated"):
        decode(encoded(NOISE, "JPEG")[:-500])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"<html>404 Not Found</html>", "no image of a known kind"),
        (b"\xff\xd8\xff\xd9", "no image of a known kind"),
        (encoded(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF"), "32 bits .PIL's mode F."),
    ],
)
def test_no_image(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
def test_more_pixels_than_memory_may_hold(kind: str) -> None:
    """Whoever decodes it, the header is asked first; PIL's own limit and its warnings bother nobody."""
    large = encoded(Image.fromarray(HALVES).resize((60, 40)), kind)
    assert decode(large, largest=0.0024).shape == (40, 60, 3)
    with pytest.raises(ValueError, match=r"60 x 40 pixels.*at most 0.0023"):
        decode(large, largest=0.0023)


def test_a_bomb_is_refused_by_default() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match=r"20,000 x 10,000 pixels, 200 megapixels, and images of at most 100 are read"):
        decode(encoded(Image.new("1", (20_000, 10_000)), "PNG"))
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("restart", [0, 3])
def test_size_of_a_jpeg(restart: int) -> None:
    """Also where segments without a length, or comments, come first."""
    data = encoded(Image.fromarray(HALVES), "JPEG", comment=b"\xff\xc0" * 40, progressive=True)
    assert decoding.jpeg_size(data[:2] + b"\xff" * restart + data[2:]) == (20, 30)
    assert decoding.jpeg_size(b"\xff\xd8\xff\xd9" + bytes(20)) is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_channels(kind: str) -> None:
    grey, alpha = (decode(encoded(Image.fromarray(HALVES), kind), channels) for channels in (1, 4))
    expected = np.array(Image.fromarray(HALVES).convert("L"))[..., None]
    assert_close(grey, expected, 4)
    assert_close(alpha, np.concatenate([HALVES, np.full((20, 30, 1), 255, np.uint8)], 2), 4 if kind == "JPEG" else 0)


def test_alpha_is_kept_where_it_is_asked_for_and_else_laid_on_white() -> None:
    clear = np.dstack([HALVES, np.full((20, 30), 0, np.uint8)])
    data = encoded(Image.fromarray(clear), "PNG")
    assert_close(decode(data, 4), clear)
    assert_close(decode(data, 1), np.full((20, 30, 1), 255, np.uint8))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_of_arrays(shape: tuple[int, ...], channels: int) -> None:
    image = np.full(shape, 255, np.uint8)
    assert_close(decoding.with_channels(image, channels), np.full((5, 4, channels), 255, np.uint8))


def test_an_array_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\(5, 4, 2\); \(height, width\)"):
        decoding.with_channels(np.zeros((5, 4, 2), np.uint8), 3)


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp")])
def test_kind(kind: str, name: str) -> None:
    assert decoding.kind_of(encoded(NOISE, kind)) == name
    assert decoding.kind_of(b"<html>") == "unknown"


def test_decoding_leaves_cv2s_log_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(OSError, match="truncated"):
        decode(encoded(NOISE, "GIF")[:-500])
    assert cv2.utils.logging.getLogLevel() == level
    assert "WARN" not in capfd.readouterr().err


@pytest.mark.skipif(not features.check("avif"), reason="this PIL reads no AVIF")
def test_avif_is_turned_upright() -> None:
    """It says which side is up in a way of its own, which cv2 does not heed."""
    image = Image.fromarray(HALVES)
    exif = image.getexif()
    exif[0x112] = 6
    assert_close(decode(encoded(image, "AVIF", exif=exif, quality=100, subsampling="4:4:4")), np.rot90(HALVES, -1), 8)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "RGB with a transparent colour"])
def test_a_png_is_the_same_without_a_look_by_pil(mode: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"transparency": RED} if " " in mode else {}
    image = Image.fromarray(HALVES).convert("RGB" if options else mode)
    data = encoded(image, "PNG", **options)
    slow = decoding.by_header(data, channels, decoding.LARGEST)
    looked = []
    monkeypatch.setattr(decoding, "by_header", lambda *args: looked.append(args) or slow)
    np.testing.assert_array_equal(decode(data, channels), slow)
    assert bool(looked) == (mode in ("LA", "P", "RGBA") or bool(options))


def test_a_png_that_ends_in_its_header_is_refused() -> None:
    data = encoded(NOISE, "PNG")
    for cut in (decoding.PNG + b"\0\0\0\rIHDR", *(data[:end] for end in range(9, 60))):
        with pytest.raises((ValueError, OSError, SyntaxError)):
            decode(cut + b"IDAT")
