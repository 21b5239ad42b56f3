"""Image files of every broken and every odd kind, in folders: found, named, left out, and never in the way of the others."""

import io
import os
import struct
import sys
import tempfile
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from photos import as_nobody, fill, picture, put
from PIL import Image

from sslkit import Data, Images, Look, Progress
from sslkit.errors import DataError
from sslkit.images import decoding
from sslkit.images.decoding import Together
from sslkit.images.scan import scan
from sslkit_plugins.data.image_folder import ImageFolder

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def huge_png() -> bytes:
    """A file of some bytes that claims two billion pixels on each side."""
    head = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    return (
        decoding.PNG
        + struct.pack(">I", len(head))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\x10IDAT"
        + bytes(30)
    )


def huge_jpeg() -> bytes:
    """Its frame header says 65,535 x 65,535."""
    data = bytearray(encoded(NOISE, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(data)


BROKEN = {
    **{
        f"cut off.{kind.lower()}": encoded(NOISE, kind)[:-300] for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")
    },
    **{f"header.{kind.lower()}": encoded(NOISE, kind)[:30] for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")},
    "empty.jpg": b"",
    "page.jpg": b"<!DOCTYPE html><html>404 Not Found</html>",
    "zeros.png": bytes(500),
    "signature.png": decoding.PNG,
    "huge.png": huge_png(),
    "huge.jpg": huge_jpeg(),
    "floats.tif": encoded(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF"),
    "integers.tif": encoded(Image.fromarray(np.ones((3, 3), np.int32)), "TIFF"),
    "script.svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", **{"train/cat": 2, "train/dog": 2, "pool": 1})


def opened(root: Path, *leave_out: str) -> Data:
    return ImageFolder(root=root, unlabeled="pool", include_labeled=False, leave_out=list(leave_out)).open_data(  # type: ignore[arg-type]
        Progress(0, plugin="d")
    )


def pool(root: Path) -> Images:
    images = opened(root).unlabeled
    assert images is not None
    return images


def looks(images: Images) -> dict[str, Look]:
    return dict(zip([Path(name).name for name in images.ids], scan(images), strict=True))


def test_each_broken_file_is_found_among_sound_ones(folder: Path) -> None:
    for name, data in BROKEN.items():
        (folder / "pool" / name).write_bytes(data)
    found = looks(pool(folder))
    assert {name for name, look in found.items() if look.problem} == set(BROKEN) and "0.png" in found
    assert all(look.problem.isprintable() and "Error" not in look.problem for look in found.values())
    said = {name: found[name].problem for name in ("empty.jpg", "page.jpg", "huge.png", "huge.jpg", "integers.tif")}
    assert said["empty.jpg"] == "the file is empty" and said["page.jpg"] == "it is no image of a known kind"
    assert "4,295 megapixels" in said["huge.jpg"] and "2,147,483,647 x 2,147,483,647" in said["huge.png"]
    assert "32 bits" in said["integers.tif"]


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_file_is_named_and_can_be_left_out(name: str, folder: Path) -> None:
    (folder / "pool" / name).write_bytes(BROKEN[name])
    images = pool(folder)
    with pytest.raises(DataError, match="cannot be read") as caught:
        images.read(np.arange(len(images)))
    assert f"pool/{name}` (unlabeled split)" in str(caught.value)
    data = opened(folder, "unreadable")
    assert [one.id for one in data.left_out] == [f"pool/{name}"] and data.unlabeled is not None
    assert len(data.unlabeled.read(np.arange(len(data.unlabeled)))) == 1


ODD = {
    "deep.png": cv2.imencode(".png", np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30))[1].tobytes(),
    "print.jpg": encoded(NOISE.convert("CMYK"), "JPEG"),
    "palette.png": encoded(NOISE.quantize(4), "PNG", transparency=0),
    "moving.gif": encoded(NOISE.quantize(8), "GIF", save_all=True, append_images=[NOISE.rotate(90).quantize(8)]),
    "moving.webp": encoded(NOISE, "WEBP", save_all=True, append_images=[NOISE.rotate(90)]),
    "bits.png": encoded(NOISE.convert("1"), "PNG"),
    "clear.webp": encoded(NOISE.convert("RGBA"), "WEBP"),
    "named wrongly.jpg": encoded(NOISE, "PNG"),
    "one pixel.gif": encoded(NOISE.resize((1, 1)).quantize(2), "GIF"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_sound(name: str, folder: Path) -> None:
    (folder / "pool" / name).write_bytes(ODD[name])
    images = pool(folder)
    look = looks(images)[name]
    (image,) = images.read(np.array([list(images.ids).index(f"pool/{name}")]))
    assert not look.problem and image.shape == (look.height, look.width, 3)
    assert look.kind == {"named wrongly.jpg": "png"}.get(name, Path(name).suffix[1:].replace("jpg", "jpeg"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_the_same_whichever_way_it_was_held(orientation: int, kind: str, folder: Path) -> None:
    """Turned back, and stored with the orientation that turns it upright."""
    upright = np.asarray(NOISE)
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright), 7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(
        Image.fromarray(np.ascontiguousarray(turned)), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})
    )
    (folder / "pool" / f"held.{kind.lower()}").write_bytes(data)
    (folder / "pool" / "upright.png").write_bytes(encoded(NOISE, "PNG"))
    found = looks(pool(folder))
    assert found[f"held.{kind.lower()}"].digest == found["upright.png"].digest


def test_the_same_image_stored_in_any_way_is_one(folder: Path) -> None:
    pixels = picture(7, 9, 11)
    for suffix in (".png", ".bmp", ".tif", ".ppm"):
        put(folder / f"pool/same{suffix}", pixels)
    found = [look for name, look in looks(pool(folder)).items() if name.startswith("same")]
    assert len({look.digest for look in found}) == 1 and len({look.kind for look in found}) == 4


# Between indexing and reading ----------------------------------------------------------------------------------------


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def became_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def became_a_dead_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def became_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(gone, "No such file"), (cut, ""), (became_a_folder, "Is a directory"), (became_a_dead_link, "No such file"),
     (became_a_loop, "symbolic links")],
)  # fmt: skip
def test_a_file_that_changes_after_it_was_listed(spoil: Callable[[Path], None], said: str, folder: Path) -> None:
    images = pool(folder)
    os.utime(folder / "pool/0.png", (1e9, 1e9))
    (before,) = scan(images)  # and is remembered
    assert not before.problem
    spoil(folder / "pool/0.png")
    (after,) = scan(images)
    assert after.problem and said in after.problem
    with pytest.raises(DataError, match=r"pool/0.png` \(unlabeled split\) cannot be read") as caught:
        images.read(np.array([0]))
    assert after.problem in str(caught.value)


def test_a_file_that_is_another_image_after_it_was_listed(folder: Path) -> None:
    images = pool(folder)
    (before,) = scan(images)
    put(folder / "pool/0.png", picture(99, 30, 30))
    (after,) = scan(images)
    assert (after.height, after.width) == (30, 30) and after.digest != before.digest


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root may become another")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    """Nothing can be written beside the images either, by whom they do not belong to."""
    top = Path(tempfile.gettempdir()).resolve()
    for parent in [folder, *(one for one in folder.parents if top in one.parents)]:
        parent.chmod(0o755)
    (folder / "pool/1.png").write_bytes(b"x")
    (folder / "pool/1.png").chmod(0)
    said = as_nobody(lambda: [look.problem for look in scan(pool(folder))])
    assert said == "['', 'Permission denied']" and not (folder / ".sslkit").exists()
    assert as_nobody(lambda: [one.id for one in opened(folder, "unreadable").left_out]) == "['pool/1.png']"


# Several threads at once ------------------------------------------------------------------------------------------------


def test_what_threads_want_of_the_whole_process_is_put_back_by_the_last() -> None:
    """PIL's limit, Python's filters of warnings, cv2's log: whoever ends first must not spoil it for the others."""
    limit, filters, level = Image.MAX_IMAGE_PIXELS, list(warnings.filters), cv2.utils.logging.getLogLevel()
    inside, ended = threading.Event(), threading.Event()

    def first() -> None:
        with decoding.unlimited, decoding.silent:
            inside.set()
            assert ended.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with decoding.unlimited, decoding.silent:
        ended.set()
        thread.join()
        assert Image.MAX_IMAGE_PIXELS is None and cv2.utils.logging.getLogLevel() == 0
    assert (limit, filters, level) == (Image.MAX_IMAGE_PIXELS, list(warnings.filters), cv2.utils.logging.getLogLevel())


def test_an_error_inside_puts_it_back_as_well() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(KeyError), Together(decoding.unlimited_here):
        raise KeyError
    assert limit == Image.MAX_IMAGE_PIXELS
