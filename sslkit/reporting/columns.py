"""Columns of safetensors files, mapped into memory as numpy arrays: read as they are touched, without torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]
KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
"numpy's names of safetensors' types."
LONGEST = 100_000_000
"Bytes of a header, as the format bounds it."


def mapped(path: Path) -> dict[str, Column]:
    """The arrays of a file. Raises `ValueError` for what is cut off or no such file, `OSError` where it cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= min(size, LONGEST):
            raise ValueError(f"{path.name} has no header")
        header = _header(file.read(length), path.name)
    found: dict[str, Column] = {}
    for name, said in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, (begin, end), shape = said["dtype"], said["data_offsets"], tuple(said["shape"])
            sound = isinstance(dtype, str) and all(type(one) is int and one >= 0 for one in (begin, end, *shape))
        except (TypeError, LookupError, ValueError, AttributeError):
            sound = False
        if not sound:
            raise ValueError(f"{path.name} has a damaged header: {name} is no array")
        if dtype not in KINDS:
            continue
        kind = np.dtype(KINDS[dtype])
        if 8 + length + end > size or end - begin != kind.itemsize * math.prod(shape):
            raise ValueError(f"{path.name} is cut off")
        found[name] = np.memmap(path, kind, "r", 8 + length + begin, shape) if end > begin else np.zeros(shape, kind)
    return found


def _header(text: bytes, name: str) -> dict[str, Any]:
    """What a file says of its arrays. Raises `ValueError` for anything else."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} has a damaged header") from error
    if not isinstance(header, dict):
        raise ValueError(f"{name} has a damaged header: it is no table")
    return header
