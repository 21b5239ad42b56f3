"""What was found of images, when several processes write it at once, and when there are very many."""

import os
from pathlib import Path

import numpy as np
import pytest
from photos import picture, put

from sslkit import Look
from sslkit.images.listing import list_images
from sslkit.images.remembered import Remembered, Stamp, read
from sslkit.images.scan import scan
from sslkit_plugins.data.dividing.library import Library
from sslkit_plugins.data.formats.files import Files

STAMP, LOOK = Stamp(1, 2), Look(bytes(range(16)), 3, 4, "png")
WRITERS, ROUNDS = 3, 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_write_at_once_leave_no_damage(tmp_path: Path) -> None:
    """Whoever reads meanwhile finds a whole file; nobody's own is lost who writes last."""
    children = []
    for writer in range(WRITERS):
        if not (child := os.fork()):
            for number in range(ROUNDS):
                Remembered(str(tmp_path), "key").add([f"{writer}/{number}"], [STAMP], [LOOK], 100)
            os._exit(0)
        children.append(child)
    Remembered(str(tmp_path), "key").add(["mine"], [STAMP], [LOOK], 100)
    (path,) = (tmp_path / ".sslkit").glob("looks-*")
    while children:
        assert read(path)[0]  # damaged ones would be as if nothing was there
        done, status = os.waitpid(-1, os.WNOHANG)
        assert status == 0
        children = [child for child in children if child != done]
    found = Remembered(str(tmp_path), "key")
    assert found.looks(found.ids, [STAMP] * len(found.ids)) == [LOOK] * len(found.ids)
    assert any(f"{writer}/{ROUNDS - 1}" in found.ids for writer in range(WRITERS))
    assert list((tmp_path / ".sslkit").iterdir()) == [path]


@pytest.mark.torture
def test_of_100_000_files_only_those_that_changed_are_opened_again(tmp_path: Path) -> None:
    data = put(tmp_path / "0/first.png", picture(0, 8, 8)).read_bytes()
    for folder in range(100):
        (tmp_path / str(folder)).mkdir(exist_ok=True)
        for number in range(1000):
            path = tmp_path / str(folder) / f"{number}.png"
            path.write_bytes(data)
            os.utime(path, (1e9, 1e9))
    os.utime(tmp_path / "0/first.png", (1e9, 1e9))
    assert opened_anew(tmp_path) == 100_001
    assert opened_anew(tmp_path) == 0
    for number in range(7):
        os.utime(tmp_path / f"3/{number}.png", (1e9, 1e9 + 1))
    assert opened_anew(tmp_path) == 7


def opened_anew(root: Path) -> int:
    """How many files are read when the folder is listed and looked at."""
    ids = [name for names in list_images(str(root)).images.values() for name in names]
    asked, count = Files(str(root), ids).asked(), []
    fetch = asked.pop("fetch")
    library = Library(
        "test", ids, np.zeros(len(ids), np.int64), lambda row: count.append(row) or fetch(row), **asked, home=str(root)
    )
    assert len(scan(library.images("labeled", np.arange(len(ids))))) == len(ids)
    return len(count)
