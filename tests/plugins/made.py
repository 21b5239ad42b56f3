"""A small data set for each data plugin, so that one suite can hold all of them to the same contract."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import published
from photos import fill, picture

EACH = 6
"Images of each class to train on, in every data set made here but `digits`; none of them is hidden by itself."


@dataclass(frozen=True)
class Made:
    """A data set in a folder, and how it is opened: the `[data]` table beside `use`.

    `spoil` makes images of the labeled split unreadable after they were listed, and answers what the message must name.
    """

    fields: dict[str, Any]
    spoil: Callable[[], str] | None = None


def cut(path: Path, to: int = 0) -> Callable[[], str]:
    """A spoiling: the file loses its end, as where a disk is full or a copy was broken off."""

    def spoil() -> str:
        os.truncate(path, to)
        return path.name

    return spoil


def digits(root: Path) -> Made:
    """They come with scikit-learn: there is no file to spoil."""
    return Made({"validation": 20, "test": 1600})


def image_folder(root: Path) -> Made:
    """Three classes and a folder of further images."""
    fill(root, **{f"{split}/{k}": n for split, n in (("train", EACH), ("test", 2)) for k in "abc"}, extra=5)

    def spoil() -> str:
        for path in root.glob("train/*/*"):
            path.write_bytes(path.read_bytes()[:40])
        return str(root / "train")

    return Made({"root": root, "unlabeled": "extra", "test": "test"}, spoil)


def cifar(root: Path) -> Made:
    """CIFAR-10."""
    published.cifar10(root, EACH)
    return Made({"root": root}, cut(root / "data_batch_3.bin", 3073))


def svhn(root: Path) -> Made:
    """With the extra images, which are unlabeled."""
    published.svhn(root, EACH)
    return Made({"root": root}, cut(root / "train_32x32.mat", 5000))


def stl10(root: Path) -> Made:
    """With unlabeled images."""
    published.stl10(root, EACH)
    return Made({"root": root}, cut(root / "train_X.bin", 30_000))


def imagenet(root: Path) -> Made:
    """In folders of synsets, the validation images side by side, and the devkit's list of what they show."""
    published.imagenet_train(root / "train", EACH)
    published.devkit(root / "ILSVRC2012_devkit_t12" / "data", published.imagenet_val(root / "val"))

    def spoil() -> str:
        for path in root.glob("train/*/*"):
            path.write_bytes(path.read_bytes()[:40])
        return str(root / "train")

    return Made({"root": root}, spoil)


def arrays(root: Path) -> Made:
    """Images and labels of three classes as .npy files."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate({"train": 3 * EACH, "test": 6, "unlabeled": 5}.items()):
        np.save(root / f"{name}_images.npy", published.noise(count, 12, number))
        np.save(root / f"{name}_labels.npy", published.in_turn(count, 3))
    fields = {"images": "train_images.npy", "labels": "train_labels.npy", "unlabeled": "unlabeled_images.npy",
              "test": "test_images.npy", "test_labels": "test_labels.npy"}  # fmt: skip
    return Made({"root": root, **fields}, cut(root / "train_images.npy", 600))


def packed(pixels: np.ndarray) -> bytes:
    """An RGB image as a PNG's bytes."""
    done, data = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return data.tobytes()


def shards(root: Path) -> Made:
    """A tar of labeled samples, one of others, one to test on."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate({"train": 3 * EACH, "test": 6, "extra": 5}.items()):
        with tarfile.open(root / f"{name}.tar", "w") as tar:
            for i in range(count):
                for suffix, data in (("png", packed(picture(i + 50 * number))), ("cls", b"%d" % (i % 3))):
                    info = tarfile.TarInfo(f"{i:03}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return Made({"root": root, "test": "test.tar", "unlabeled": "extra.tar"}, cut(root / "train.tar", 1024))


def manifest(root: Path) -> Made:
    """A table beside its images: labeled ones, others, some to test on."""
    fill(root, train=3 * EACH, test=6, extra=5)
    rows = [f"{split}/{i}.png,{'' if split == 'extra' else 'abc'[i % 3]},{'test' if split == 'test' else ''}"
            for split, count in (("train", 3 * EACH), ("test", 6), ("extra", 5)) for i in range(count)]  # fmt: skip
    (root / "images.csv").write_text("\n".join(["path,label,split", *rows]))

    def spoil() -> str:
        for path in root.glob("train/*"):
            path.write_bytes(path.read_bytes()[:40])
        return str(root / "train")

    return Made({"file": root / "images.csv", "root": root}, spoil)


def huggingface(root: Path) -> Made:
    """As `save_to_disk` writes it: labeled images, others, some to test on."""
    import datasets

    names = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["c", "a", "b"])})
    sets = datasets.DatasetDict()
    for number, (split, count) in enumerate({"train": 3 * EACH, "test": 6, "more": 5}.items()):
        images = [{"bytes": packed(picture(i + 50 * number)), "path": None} for i in range(count)]
        rows = {"image": images, "label": [None if split == "more" else i % 3 for i in range(count)]}
        sets[split] = datasets.Dataset.from_dict(rows, features=names)
    datasets.disable_progress_bars()
    sets.save_to_disk(root)

    def spoil() -> str:
        for path in root.glob("train/*.arrow"):
            path.write_bytes(path.read_bytes()[:400])
        return str(root)

    return Made({"root": root, "unlabeled": "more", "test": "test"}, spoil)


MAKERS: dict[str, Callable[[Path], Made]] = {
    make.__name__: make
    for make in (digits, image_folder, cifar, svhn, stl10, imagenet, arrays, shards, manifest, huggingface)
}
"Name of a data plugin -> what makes a data set for it in an empty folder: with `test`, two classes at least, and `EACH`."
