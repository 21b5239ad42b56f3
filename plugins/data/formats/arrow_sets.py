"""Data sets of the `datasets` library that lie in a folder; what is asked for is never fetched from elsewhere."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sslkit.errors import DataError, MissingData
from sslkit.images.listing import natural
from sslkit.images.words import shown

INSTALL = "the `datasets` library is not installed: pip install 'sslkit[huggingface]'"
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
PART = re.compile(r"-[0-9]+(-of-[0-9]+)?$")
"How the names of a split's files end where it has several."
WRITTEN = ("dataset_dict.json", "state.json")
"Files of a folder that `save_to_disk` wrote: of several splits, and of one."


def library() -> Any:
    """The `datasets` module. Raises `MissingData` where it is not installed."""
    try:
        import datasets  # late, as it takes seconds
    except ModuleNotFoundError as error:
        raise MissingData(INSTALL) from error
    return datasets


@contextmanager
def offline(datasets: Any) -> Iterator[None]:
    """In the block, the library fetches nothing, and shows bars on a terminal alone.

    `HF_HUB_OFFLINE` in the environment would be read when the libraries are imported, and hold for all that comes later,
    such as weights that a recipe asks for.
    """
    from huggingface_hub import constants

    switches = [(module, name) for module in (constants, datasets.config) for name in OFFLINE if hasattr(module, name)]
    before = [getattr(module, name) for module, name in switches]
    quiet = not sys.stderr.isatty() and not datasets.are_progress_bars_disabled()
    for module, name in switches:
        setattr(module, name, True)
    if quiet:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for (module, name), value in zip(switches, before, strict=True):
            setattr(module, name, value)
        if quiet:
            datasets.enable_progress_bars()


def loaded(root: Path, cache: Path | None) -> dict[str, Any]:
    """The splits of a folder: those that `save_to_disk` wrote, else those of its Arrow and Parquet files, by their names.

    Parquet is unpacked to Arrow in `cache`, or in the library's own cache, once. Raises `DataError` where the folder is none
    of these, or cannot be loaded; `MissingData` without the library.
    """
    files = files_of(root)
    if not files and not any((root / name).is_file() for name in WRITTEN):
        raise DataError(
            f"{shown(str(root))} has neither {shown(WRITTEN[0])} nor {shown(WRITTEN[1])}, which `save_to_disk` writes, nor "
            "files .parquet or .arrow such as `train-00000-of-00001.parquet`"
        )
    datasets = library()
    try:
        with offline(datasets):
            if any((root / name).is_file() for name in WRITTEN):
                return by_split(datasets.load_from_disk(str(root)))
            return {split: opened(datasets, paths, cache) for split, paths in files.items()}
    except Exception as error:  # pyarrow, JSON and the library have errors of many kinds for what is damaged
        raise DataError(f"the data set {shown(str(root))} cannot be loaded: {error or repr(error)}") from error


def by_split(found: Any) -> dict[str, Any]:
    """Data sets by the names of their splits; a single one of no name is `train`."""
    return (
        {str(name): one for name, one in found.items()}
        if isinstance(found, dict)
        else {str(found.split or "train"): found}
    )


def files_of(root: Path) -> dict[str, list[str]]:
    """The Arrow files, or else the Parquet files, below a folder, by the split that their name tells."""
    for suffix in (".arrow", ".parquet"):
        found: defaultdict[str, list[str]] = defaultdict(list)
        for path in sorted(root.glob(f"**/*{suffix}"), key=lambda path: natural(path.as_posix())):
            found[split_of(path)].append(str(path))
        if found:
            return dict(found)
    return {}


def split_of(path: Path) -> str:
    """`train-00000-of-00002.parquet`, `photos-train.arrow`, `train/0000.parquet`: all are of `train`."""
    name = PART.sub("", path.stem).rpartition("-")[2]
    return path.parent.name if name.isdecimal() else name


def opened(datasets: Any, paths: list[str], cache: Path | None) -> Any:
    """One split from its files, mapped into memory."""
    if paths[0].endswith(".parquet"):
        return datasets.Dataset.from_parquet(paths, cache_dir=None if cache is None else str(cache))
    return datasets.concatenate_datasets([datasets.Dataset.from_file(path) for path in paths])
