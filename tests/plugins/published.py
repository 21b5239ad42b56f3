"""Small data sets in exactly the formats that the large ones are published in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from photos import put
from scipy.io import savemat

Pixels = NDArray[np.uint8]
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SYNSETS = {
    "n01440764": "tench, Tinca tinca",
    "n01443537": "goldfish, Carassius auratus",
    "n02102040": "English springer",
}


def noise(count: int, side: int, seed: int = 0, channels: int = 3) -> Pixels:
    """(count, side, side, channels): no two alike, nor turned or mirrored into themselves."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels)).astype(np.uint8)


def in_turn(count: int, classes: int = 10) -> NDArray[np.int64]:
    """0, 1, ..., 9, 0, 1, ...: as many of each class."""
    return np.arange(count) % classes


# CIFAR: a byte or two of labels, then 1,024 bytes of red, of green and of blue, row by row ---------------------------


def records(labels: Sequence[NDArray[np.int64]], pixels: Pixels) -> bytes:
    """Images (N, 32, 32, 3) and one or two columns of labels as CIFAR's binary files have them."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    return np.concatenate([*columns, pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)], 1).tobytes()


def cifar10(root: Path, each: int = 6) -> Pixels:
    """CIFAR-10 with five batches of `each` / 5 of the images of ten classes, and two of each to test on; what was written."""
    root.mkdir(parents=True, exist_ok=True)
    train, test = noise(10 * each, 32), noise(20, 32, 1)
    size = 2 * each
    for number in range(5):
        rows = slice(number * size, (number + 1) * size)
        (root / f"data_batch_{number + 1}.bin").write_bytes(records([in_turn(10 * each)[rows]], train[rows]))
    (root / "test_batch.bin").write_bytes(records([in_turn(20)], test))
    (root / "batches.meta.txt").write_text("\n".join(CIFAR10) + "\n\n")
    return np.concatenate([train, test])


def cifar100(root: Path, each: int = 2) -> Pixels:
    """CIFAR-100 with `each` images of a hundred classes, five of each of twenty coarse ones."""
    root.mkdir(parents=True, exist_ok=True)
    train, fine = noise(100 * each, 32), in_turn(100 * each, 100)
    (root / "train.bin").write_bytes(records([fine // 5, fine], train))
    (root / "test.bin").write_bytes(records([fine[:100] // 5, fine[:100]], train[:100]))
    (root / "fine_label_names.txt").write_text("".join(f"fine_{k}\n" for k in range(100)))
    (root / "coarse_label_names.txt").write_text("".join(f"coarse_{k}\n" for k in range(20)))
    return train


# SVHN, format 2: MATLAB files, X (32, 32, 3, N) and y (N, 1), whose 10 is the digit 0 --------------------------------


def svhn(root: Path, each: int = 6, extra: int = 8) -> Pixels:
    """SVHN with `each` images of ten digits, two of each to test on, and `extra` further ones; the train images."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate({"train": 10 * each, "test": 20, "extra": extra}.items()):
        digit = in_turn(count)
        columns = {"X": noise(count, 32, number).transpose(1, 2, 3, 0), "y": np.where(digit == 0, 10, digit)[:, None]}
        if count:
            savemat(root / f"{name}_32x32.mat", {**columns, "y": columns["y"].astype(np.uint8)}, do_compression=True)
    return noise(10 * each, 32)


# STL-10: 96 x 96, each colour column by column; labels from 1 ---------------------------------------------------------


def stl10(root: Path, each: int = 6, extra: int = 8) -> Pixels:
    """STL-10 with `each` images of ten classes, two of each to test on, `extra` unlabeled ones, and ten folds of half."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate({"train": 10 * each, "test": 20, "unlabeled": extra}.items()):
        (root / f"{name}_X.bin").write_bytes(noise(count, 96, number).transpose(0, 3, 2, 1).tobytes())
        if name != "unlabeled":
            (root / f"{name}_y.bin").write_bytes((in_turn(count) + 1).astype(np.uint8).tobytes())
    (root / "class_names.txt").write_text("\n".join(STL10) + "\n")
    folds = [np.arange(fold % each * 10, 10 * each)[: 5 * each] for fold in range(10)]
    (root / "fold_indices.txt").write_text("".join(" ".join(map(str, fold)) + " \n" for fold in folds))
    return noise(10 * each, 96)


# ImageNet: folders of synsets; a validation set without ---------------------------------------------------------------


def imagenet_train(folder: Path, each: int = 6, suffix: str = ".JPEG") -> None:
    """`each` images of three synsets as in ILSVRC2012_img_train.tar, unpacked."""
    for number, synset in enumerate(SYNSETS):
        for i in range(each):
            put_jpeg(folder / synset / f"{synset}_{10 * i + 3}{suffix}", 10 * number + i)


def imagenet_val(folder: Path, count: int = 6) -> list[str]:
    """Validation images side by side; their synsets in the order of their numbers."""
    for i in range(count):
        put_jpeg(folder / f"ILSVRC2012_val_{i + 1:08}.JPEG", 100 + i)
    return [list(SYNSETS)[(2 * i) % 3] for i in range(count)]


def put_jpeg(path: Path, number: int) -> None:
    """A JPEG file whose name may end in .JPEG."""
    made = put(path.with_suffix(".jpg"), noise(1, 16, number)[0])
    made.rename(path)


def devkit(folder: Path, synsets: Sequence[str]) -> None:
    """ILSVRC2012_devkit_t12/data: numbers of the synsets in an order of its own, and each validation image's."""
    folder.mkdir(parents=True, exist_ok=True)
    order = [*reversed(SYNSETS), "n00001740"]  # and a synset above them, as the published one has, behind the leaves
    children = [0] * len(SYNSETS) + [3]
    columns = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [
        (float(i + 1), wnid, SYNSETS.get(wnid, "entity"), "what it is", float(children[i]))
        for i, wnid in enumerate(order)
    ]
    savemat(folder / "meta.mat", {"synsets": np.array(rows, columns)[:, None]})
    numbers = [order.index(synset) + 1 for synset in synsets]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{number}\n" for number in numbers))


def kaggle(root: Path, each: int = 6) -> None:
    """The layout of the competition's archive: ILSVRC/Data/CLS-LOC, and the solution as a table."""
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    imagenet_train(data / "train", each)
    lines = [
        f"ILSVRC2012_val_{i + 1:08},{synset} 1 2 3 4 {synset} 5 6 7 8 \n"
        for i, synset in enumerate(imagenet_val(data / "val"))
    ]
    (root / "LOC_val_solution.csv").write_text("".join(["ImageId,PredictionString\n", *reversed(lines)]))
    (root / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} {name}\n" for wnid, name in SYNSETS.items()))
