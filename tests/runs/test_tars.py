"""`sslkit.images.tars`: files of a tar are read where they lie; what is refused says why."""

import gzip
import io
import multiprocessing
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sslkit.errors import DataError
from sslkit.images import tar_memory, tars
from sslkit.images.tars import Tar, index_tar

FILES = {"a/0.jpg": b"first", "a/0.cls": b"3", "b/long" + "g" * 200 + ".jpg": b"x" * 1500, "ü\n.png": b"", "z": b"end"}
OPEN = Path("/proc/self/fd")


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def write(
    path: Path, files: dict[str, bytes] = FILES, format: int = tarfile.PAX_FORMAT, *others: tarfile.TarInfo
) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in files.items():
            tar.addfile(member(name, len(data)), io.BytesIO(data))
        for info in others:
            tar.addfile(info)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "some.tar")


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        index_tar(path)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_files_are_read_where_they_lie(tmp_path: Path, format: int) -> None:
    tar = index_tar(write(tmp_path / "some.tar", FILES, format))
    assert tar.names == list(FILES) and len(tar) == 5
    assert {name: tar.read(i) for i, name in reversed([*enumerate(tar.names)])} == FILES
    assert tar.sizes.tolist() == [len(data) for data in FILES.values()]
    assert tar.place(3) == f"`ü\\n.png` in `{tmp_path}/some.tar`"


def test_names_of_no_text_and_paths_from_the_folder_itself(tmp_path: Path) -> None:
    strange = os.fsdecode(b"caf\xe9.png")
    tar = index_tar(write(tmp_path / "some.tar", {"./c//0.jpg": b"0", strange: b"1"}, tarfile.GNU_FORMAT))
    assert tar.names == ["c/0.jpg", strange] and tar.read(1) == b"1"


def test_what_is_no_file_is_counted(tmp_path: Path) -> None:
    others = [
        member("folder", kind=tarfile.DIRTYPE), member("link", 0, tarfile.SYMTYPE, "../../etc/passwd"),
        member("hard", 0, tarfile.LNKTYPE, "z"), member("pipe", 0, tarfile.FIFOTYPE), member("disk", 0, tarfile.BLKTYPE),
    ]  # fmt: skip
    tar = index_tar(write(tmp_path / "some.tar", FILES, tarfile.PAX_FORMAT, *others))
    assert tar.names == list(FILES) and tar.skipped == {"links": 2, "devices and the like": 2}


@pytest.mark.parametrize(("name", "what"), [("/etc/passwd", "absolute"), ("a/../../b.jpg", "`..`"), ("..", "`..`")])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, what: str) -> None:
    message = refused(write(tmp_path / "bad.tar", {"fine": b"1"}, tarfile.PAX_FORMAT, member(name)))
    assert what in message and f"`{name}`" in message


def test_every_way_to_be_cut_off(path: Path) -> None:
    """Wherever it is cut, it is refused, but for the padding behind the block that ends it."""
    whole = path.read_bytes()
    tar = index_tar(path)
    end = -(-int(tar.offsets[-1] + tar.sizes[-1]) // 512) * 512
    for size in [*range(1, end, 97), *range(512, end + 1, 512), end + 1, end + 511]:
        path.write_bytes(whole[:size])
        message = refused(path)
        assert "cut off" in message or ("no tar" in message and size < 512), (size, message)
    path.write_bytes(whole[: end + 512])
    assert index_tar(path).names == list(FILES)


def test_damaged_in_the_middle(path: Path) -> None:
    data, tar = bytearray(path.read_bytes()), index_tar(path)
    at = int(tar.offsets[1]) - 512
    data[at : at + 512] = b"\x07" * 512
    path.write_bytes(data)
    message = refused(path)
    assert "damaged behind `a/0.jpg`" in message and f"{at:,} bytes" in message


def test_a_forged_size_that_leads_back_ends(path: Path) -> None:
    info = member("evil.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256, as GNU writes large numbers
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + path.read_bytes())
    assert "is no tar" in refused(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "is empty"), (b"hello" * 300, "is no tar"), (gzip.compress(b"x" * 600, mtime=0), "compressed (gzip)"),
     (b"BZh91AY&SY", "compressed (bzip2)"), (b"\xfd7zXZ\x00", "compressed (xz)"), (b"PK\x03\x04..", "compressed (zip)")],
)  # fmt: skip
def test_what_is_no_plain_tar(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "a\nb.tar"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\\nb.tar") as caught:
        index_tar(path)
    assert said in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.tar")
    assert "directory" in refused(tmp_path)


def test_an_empty_tar_has_no_files(tmp_path: Path) -> None:
    assert len(index_tar(write(tmp_path / "some.tar", {}))) == 0


def test_changed_after_its_index_was_made(path: Path) -> None:
    tar = index_tar(path)
    write(path, {**FILES, "a/0.jpg": b"other"})
    with pytest.raises(ValueError, match="was changed after its index was made"):
        tar.read(0)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        tar.read(0)


def read_all(tar: Tar) -> list[bytes]:
    return [tar.read(i) for i in range(len(tar))]


def test_workers_read_alike(path: Path) -> None:
    tar = index_tar(path)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(read_all, [tar] * 4) == [list(FILES.values())] * 4


@pytest.mark.skipif(not OPEN.exists(), reason="the system does not list what is open")
def test_nothing_stays_open(path: Path) -> None:
    before = sorted(OPEN.iterdir())
    tar = index_tar(path)
    assert read_all(tar) == list(FILES.values()) and sorted(OPEN.iterdir()) == before


# What is remembered ---------------------------------------------------------------------------------------------------


@pytest.fixture
def remembering(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small tars are remembered, too; the list says which were walked through. The tar is older than a moment."""
    walked = list[str]()
    walk = tars.members

    def noted(where: str, *others: Any) -> Iterator[tarfile.TarInfo]:
        walked.append(where)
        return walk(where, *others)

    monkeypatch.setattr(tar_memory, "LARGE", 1)
    monkeypatch.setattr(tars, "members", noted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    os.utime(path, ns=(10**9, 10**9))
    return walked


def alike(one: Tar, other: Tar) -> bool:
    parts = ("path", "names", "stamp", "skipped")
    return read_all(one) == read_all(other) and all(getattr(one, part) == getattr(other, part) for part in parts)


def test_a_large_tar_is_walked_through_once(path: Path, remembering: list[str]) -> None:
    strange = {os.fsdecode(b"caf\xe9.png"): b"1", "\n.png": b"2"}
    write(path, FILES | strange, tarfile.GNU_FORMAT, member("link", 0, tarfile.SYMTYPE, "z"))
    os.utime(path, ns=(10**9, 10**9))
    first = index_tar(path)
    assert alike(first, index_tar(path)) and remembering == [str(path)]
    (kept,) = path.parent.glob(".sslkit/*")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert alike(first, index_tar(path)) and len(remembering) == 2  # damaged: as if it was not there
    kept.write_bytes(b"hello")
    assert alike(first, index_tar(path)) and len(remembering) == 3
    assert alike(first, index_tar(path)) and len(remembering) == 3


def test_what_changed_is_walked_through_again(path: Path, remembering: list[str]) -> None:
    index_tar(path)
    write(path, {"other": b"1"})
    assert index_tar(path).names == ["other"] == index_tar(path).names
    assert len(remembering) == 3  # a change of just now is not remembered: another may follow within the clock's tick


def test_where_nothing_can_be_written_the_users_cache_is_taken(
    path: Path, remembering: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".sslkit").write_text("in the way")
    assert alike(index_tar(path), index_tar(path)) and len(remembering) == 1
    assert len([*(tmp_path / "cache").rglob("*.npz")]) == 1
    (tmp_path / "cache").rename(tmp_path / "moved")
    (tmp_path / "cache").write_text("in the way")
    assert alike(index_tar(path), index_tar(path)) and len(remembering) == 3


def test_small_tars_leave_nothing_behind(path: Path) -> None:
    os.utime(path, ns=(10**9, 10**9))
    index_tar(path)
    assert [*path.parent.iterdir()] == [path]


def test_an_index_that_no_reader_of_zip_files_knows_is_as_none(path: Path, remembering: list[str]) -> None:
    os.utime(path, ns=(10**9, 10**9))
    first = index_tar(path)
    (kept,) = path.parent.glob(".sslkit/*")
    data = bytearray(kept.read_bytes())
    data[data.find(b"PK\x01\x02") + 10] = 99  # a method of packing
    kept.write_bytes(data)
    assert alike(first, index_tar(path)) and len(remembering) == 2
