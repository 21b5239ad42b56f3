"""Tables in files, CSV and Parquet, as columns of text; and all that can be wrong with those."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslkit.errors import DataError, MissingData
from sslkit.images.words import counted, listed, near, printable, shown
from sslkit.waiting import waiting

PARQUET = b"PAR1"
"How Parquet files begin, whatever they are called."
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"Marks of other encodings."
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
PACE = 10_000
INSTALL = "reading Parquet needs pyarrow, which is not installed: pip install 'sslkit[parquet]'"


@dataclass(frozen=True, eq=False)
class Written:
    """A table's columns by what they hold, N texts each (empty: nothing is there), and where in the file each row is."""

    name: str
    columns: dict[str, list[str]]
    numbers: Sequence[int]

    def number(self, row: int) -> int:
        """A row as messages count it."""
        return self.numbers[row]

    def spot(self, row: int) -> str:
        """How messages name a row."""
        return f"row {self.number(row):,} of {shown(self.name)}"


def written(path: Path, columns: Mapping[str, tuple[str, bool]], separator: str = ",") -> Written:
    """A file's table: `columns` are what is wanted, its name in the file, and whether it has to be there.

    Rows count from 1, which in CSV is the header. Raises `DataError` where the file cannot be read, is no such table, or
    lacks a column; `MissingData` for Parquet without pyarrow.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(4) == PARQUET
        return of_parquet(path, columns) if packed else of_csv(path.name, path.read_bytes(), columns, separator)
    except OSError as error:
        raise DataError(f"{shown(str(path))} cannot be read: {error.strerror or error}") from error


def columns_of(path: Path) -> list[str]:
    """The names of a table's columns; none where that is not to be known at a glance."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
        if head.startswith(PARQUET):
            return [*parquet().ParquetFile(path).schema_arrow.names]
        return next(csv.reader(io.StringIO(head.decode("utf-8-sig", "replace"), newline=""), strict=True), [])
    except (DataError, OSError, ValueError, csv.Error):
        return []


def wanted(name: str, there: Sequence[str], columns: Mapping[str, tuple[str, bool]], hint: str = "") -> dict[str, int]:
    """Where each column is; those are left out that need not be there and are not."""
    for column, needed in columns.values():
        if there.count(column) > 1:
            raise DataError(f"{shown(name)} has {there.count(column)} columns {shown(column)}")
        if needed and column not in there:
            has = f"its columns are {listed(there)}{hint or near(column, there)}"
            raise DataError(f"{shown(name)} has no column {shown(column)}; {has}")
    return {key: there.index(column) for key, (column, _) in columns.items() if column in there}


# CSV ------------------------------------------------------------------------------------------------------------------


def of_csv(name: str, data: bytes, columns: Mapping[str, tuple[str, bool]], separator: str) -> Written:
    """The table of a CSV file's bytes."""
    records = rows_of(name, text_of(name, data), separator)
    header = next(records, None)
    if header is None:
        raise DataError(
            f"{shown(name)} is empty; its first row is to name the columns, {listed(c for c, _ in columns.values())}"
        )
    there = header[1]
    at = wanted(name, there, columns, other_separator(there, separator))
    found: dict[str, list[str]] = {key: [] for key in columns}
    numbers = list[int]()
    for number, record in paced(records, name, data.count(b"\n")):
        if len(record) != len(there):
            raise DataError(
                f"row {number:,} of {shown(name)} has {counted(len(record), 'field')}, and its header {len(there)}; a "
                "text with a comma in it has to stand in quotes"
            )
        numbers.append(number)
        for key, texts in found.items():
            texts.append(record[at[key]] if key in at else "")
    return Written(name, found, numbers)


def paced(records: Iterator[tuple[int, list[str]]], name: str, total: int) -> Iterator[tuple[int, list[str]]]:
    """The rows, under a bar that is told of some thousands at once, as telling takes longer than reading."""
    with waiting(f"reading {printable(name)} (rows)", total) as done:
        for number, record in records:
            yield number, record
            if number % PACE == 0:
                done(PACE)


def text_of(name: str, data: bytes) -> str:
    """Bytes as text. Raises `DataError` for another encoding than UTF-8, and for NUL bytes, which no name has."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            raise DataError(f"{shown(name)} is {encoding}; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (len(data) - len(error.object))
        strange = " ".join(f"{byte:02x}" for byte in data[start : start + 4])
        line = data.count(b"\n", 0, start) + 1
        raise DataError(
            f"line {line:,} of {shown(name)} is not UTF-8, from the bytes {strange}; save it as UTF-8"
        ) from error
    if (nul := text.find("\0")) >= 0:
        raise DataError(f"line {text.count(chr(10), 0, nul) + 1:,} of {shown(name)} has a NUL byte; it is no text")
    return text


def rows_of(name: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with its number. Raises `DataError` where quotes are wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    try:
        for number, record in enumerate(reader, 1):
            if record:
                yield number, record
    except csv.Error as error:
        raise DataError(
            f"row {number + 1:,} of {shown(name)} (line {reader.line_num:,}): wrong quoting ({error}); a text with quotes "
            'in it stands in quotes, and has its own doubled: "a ""b"""'
        ) from error


def other_separator(there: Sequence[str], separator: str) -> str:
    """What to say where the header looks as if something else stood between its columns."""
    for other, word in SEPARATORS.items():
        if other != separator and len(there) == 1 and other in there[0]:
            return f'. Are they separated by {word}? Then set separator = "{other.encode("unicode_escape").decode()}"'
    return ""


# Parquet --------------------------------------------------------------------------------------------------------------


def parquet() -> Any:
    """Pyarrow's module. Raises `MissingData` where it is not installed."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingData(INSTALL) from error
    return parquet


def of_parquet(path: Path, columns: Mapping[str, tuple[str, bool]]) -> Written:
    """The table of a Parquet file."""
    module = parquet()
    try:
        with module.ParquetFile(path, memory_map=True) as file:
            names = [*file.schema_arrow.names]
            at = wanted(path.name, names, columns)
            table = file.read(columns=[names[i] for i in at.values()], use_threads=False)
    except (ValueError, NotImplementedError) as error:  # pyarrow's own are of these kinds
        raise DataError(f"{shown(path.name)} is no Parquet file that can be read: {error}") from error
    found = {key: [""] * len(table) for key in columns}
    for key, i in at.items():
        found[key] = [
            plain(path.name, names[i], row, value) for row, value in enumerate(table[names[i]].to_pylist(), 1)
        ]
    return Written(path.name, found, range(1, len(table) + 1))


def plain(name: str, column: str, row: int, value: object) -> str:
    """A value as text: whole numbers without a point, as tables with gaps have them; empty where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"row {row:,} of {shown(name)}: {column} = {value!r:.40} is neither text nor a number")
