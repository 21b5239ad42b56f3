"""ImageNet's lists: what the synsets are called, and what the validation images show."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslkit.errors import DataError
from sslkit.images.words import counted, shown

from ..dividing.library import reason
from .folders import is_there
from .published import lines

WORDS = ("LOC_synset_mapping.txt", "synset_words.txt")
"Lines like `n01440764 tench, Tinca tinca`."
SOLUTION = "LOC_val_solution.csv"
NUMBERS, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"


def first(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """The first file of one of the names that is there."""
    found = [folder / name for name in names for folder in folders if is_there(folder / name, Path.is_file)]
    return found[0] if found else None


def readable(where: str, folders: Sequence[Path], synsets: tuple[str, ...]) -> tuple[str, ...]:
    """The synsets as classes are called: `tench (n01440764)`, as two of them are cranes; the synset where no list is there."""
    path = first(folders, WORDS)
    if path is None:
        return synsets
    said = {synset: words for synset, _, words in (line.strip().partition(" ") for line in lines(where, path))}
    if missing := [synset for synset in synsets if not said.get(synset)]:
        raise DataError(f"{where}: {shown(str(path))} has no line for {shown(missing[0])}")
    return tuple(f"{said[synset].partition(',')[0].strip()} ({synset})" for synset in synsets)


def val_synsets(where: str, folders: Sequence[Path]) -> dict[int, str]:
    """What the validation images show, by their numbers from 1. Raises `DataError` where no list is there, or it is none."""
    if path := first(folders, [SOLUTION]):
        return by_solution(where, path)
    if path := first(folders, [NUMBERS]):
        return by_devkit(where, path)
    raise DataError(
        f"{where}: the images of `val` lie in no folders of synsets, and no list says what they show. Put {SOLUTION} of the "
        f"competition's archive in `root`, or {NUMBERS} and {META} of the development kit (ILSVRC2012_devkit_t12.tar.gz)"
    )


def by_solution(where: str, path: Path) -> dict[int, str]:
    """Lines like `ILSVRC2012_val_00048981,n03995372 85 1 499 272`: an image, its synset, where it is seen."""
    rows = [*csv.reader(lines(where, path))]
    try:
        if rows[0][:2] != ["ImageId", "PredictionString"]:
            raise ValueError
        return {int(image.rpartition("_")[2]): boxes.split()[0] for image, boxes, *_ in rows[1:]}
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{where}: {shown(str(path))} has not the columns ImageId and PredictionString that are published, as in "
            "`ILSVRC2012_val_00048981,n03995372 85 1 499 272`"
        ) from error


def by_devkit(where: str, path: Path) -> dict[int, str]:
    """Line i is the number of image i's synset, which the table in `meta.mat` beside it knows."""
    meta = path.with_name(META)
    try:
        known = synset_numbers(meta)
    except Exception as error:  # SciPy has errors of many kinds for bytes that make no sense
        raise DataError(
            f"{where}: {shown(str(meta))}, which says what the numbers in {NUMBERS} mean, cannot be read: {reason(error)}"
        ) from error
    try:
        return {i: known[int(line)] for i, line in enumerate(lines(where, path), 1)}
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{where}: {shown(str(path))} was expected to have one of the {counted(len(known), 'number')} of synsets on each "
            f"line; {error}"
        ) from error


def synset_numbers(meta: Path) -> dict[int, str]:
    """The synsets by the numbers that the development kit gives them. Raises whatever SciPy raises."""
    from scipy.io import loadmat

    table: Any = loadmat(str(meta), variable_names=["synsets"], squeeze_me=True)["synsets"]
    return {int(number): str(synset) for number, synset in zip(table["ILSVRC2012_ID"], table["WNID"], strict=True)}
