"""Pseudo-labels as a file for other tools: CSV, JSON or Parquet, written part by part and put in place when it is whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifacts import committed_file
from ..errors import RunError
from ..images.words import shown
from .cells import guarded
from .columns import Columns, columns_of, parts_of
from .provenance import provenance
from .stored import Stored

Parts = Iterator[Columns]


def write_csv(path: Path, parts: Parts, stored: Stored) -> None:
    """A row for each image, with the columns `generation` and `teacher` behind the truth.

    UTF-8; bytes of ids that are none stand as they are. Texts that a spreadsheet would run begin with an apostrophe.
    """
    source = {"generation": str(stored.generation), "teacher": stored.teacher}
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        for number, columns in enumerate(parts):
            if not number:
                writer.writerow([guarded(name) for name in [*columns, *source]])
            texts = [_cells(values) for values in columns.values()]
            writer.writerows((*row, *source.values()) for row in zip(*texts, strict=True))


def _cells(values: Any) -> list[str]:
    if isinstance(values, np.ndarray):
        return shortest(values)
    return [
        "" if one is None else guarded(one) if isinstance(one, str) else "true" if one else "false" for one in values
    ]


def write_json(path: Path, parts: Parts, stored: Stored) -> None:
    """An object of `provenance` and `labels`, a line for each image; bytes that are no UTF-8 as Python reads them again."""
    with path.open("w", encoding="ascii") as file:
        file.write(f'{{"provenance": {json.dumps(provenance(stored))},\n"labels": [')
        separator = "\n"
        for columns in parts:
            values = zip(*(numbers(column) for column in columns.values()), strict=True)
            for row in values:
                file.write(separator + json.dumps(dict(zip(columns, row, strict=True))))
                separator = ",\n"
        file.write("\n]}\n")


def numbers(values: Any) -> list[Any]:
    """What JSON takes."""
    return list(map(float, shortest(values))) if isinstance(values, np.ndarray) else list(values)


def shortest(values: NDArray[np.float32]) -> list[str]:
    """Numbers as short as they can be said: 0.3 of single precision is not 0.30000001192092896."""
    made: list[str] = values.astype(str).tolist()
    return made


def write_parquet(path: Path, parts: Parts, stored: Stored) -> None:
    r"""The same columns, single-precision; provenance as JSON under the key `sslkit` of the file's metadata.

    Texts are UTF-8 there: a byte that is none stands as `\xff` does in Python.
    """
    import pyarrow as pa
    from pyarrow import parquet

    first = next(parts, None) or columns_of(stored, np.zeros(0, np.int64))
    kinds = {name: _kind(pa, name, values) for name, values in first.items()}
    schema = pa.schema(list(kinds.items()), metadata={"sslkit": json.dumps(provenance(stored))})
    with parquet.ParquetWriter(path, schema) as writer:
        for columns in chain([first], parts):
            made = {name: pa.array(_text(values), kinds[name]) for name, values in columns.items()}
            writer.write_table(pa.table(made, schema=schema))


def _kind(pa: Any, name: str, values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return pa.float32()
    return pa.bool_() if name in ("kept", "outside") else pa.string()


def _text(values: Any) -> Any:
    """Texts without bytes that are no UTF-8."""
    if isinstance(values, np.ndarray):
        return values
    return [
        os.fsencode(one).decode("utf-8", "backslashreplace") if isinstance(one, str) and not one.isascii() else one
        for one in values
    ]


def require_pyarrow() -> None:
    """Raise `RunError` where it is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise RunError(
            "a Parquet file is written by pyarrow, which is not installed: pip install 'sslkit[parquet]'"
        ) from error


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    write: Callable[[Path, Parts, Stored], None]
    require: Callable[[], None] = lambda: None


FORMATS = {"csv": Format(write_csv), "json": Format(write_json), "parquet": Format(write_parquet, require_pyarrow)}
"By their names on the command line, which are their suffixes."


def export(
    stored: Stored,
    form: str | None = None,
    out: Path | None = None,
    kept_only: bool = False,
    done: Callable[[int], None] = lambda number: None,
) -> Path:
    """Write a generation's labels; answers where. `done` is told of rows. Raises `SslkitError`; then nothing is left."""
    form, out = (
        _form(form, out),
        out or Path(f"{stored.run.folder.resolve().name}-labels-{stored.generation}.{form or 'csv'}"),
    )
    FORMATS[form].require()
    refuse_existing(out)

    def parts() -> Parts:
        for count, columns in parts_of(stored, kept_only):
            yield columns
            done(count)

    with committed_file(out) as aside:
        FORMATS[form].write(aside, parts(), stored)
    return out


def _form(form: str | None, out: Path | None) -> str:
    """The format that is asked for, or the one that the file's name says."""
    if form is not None:
        return form
    suffix = out.suffix.lower().removeprefix(".") if out else "csv"
    if suffix not in FORMATS:
        raise RunError(
            f"{shown(str(out))} does not end in {', '.join(f'.{n}' for n in FORMATS)}: say which with --format"
        )
    return suffix


def refuse_existing(path: Path) -> None:
    """Raise `RunError` where something is in the way of a new file, or its folder is not there."""
    if path.exists() or path.is_symlink():
        raise RunError(f"{shown(str(path))} exists already and is never overwritten: choose another --out")
    if not path.parent.is_dir():
        raise RunError(f"{shown(str(path))} cannot be written: there is no folder {shown(str(path.parent))}")
