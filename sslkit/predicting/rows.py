"""Predictions as text: CSV or lines of JSON, and which of a file's rows are whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..pseudo_labels.cells import guarded, unguarded
from ..pseudo_labels.export import numbers, shortest
from .predictor import Answers


class Row(NamedTuple):
    """A row that was written before."""

    path: str
    failed: bool
    "Whether its image could not be read."


@dataclass(frozen=True)
class Columns:
    """What is said of each image beside its label: K classes."""

    classes: tuple[str, ...]
    top: int = 0
    "How many of the most probable classes; 0: none."
    every: bool = False
    "The probability of each class."

    def ranked(self, probs: NDArray[np.float32]) -> NDArray[np.int64]:
        """(M, top) the most probable classes; of equal ones the first, as in the label."""
        if not self.top:
            return np.empty((len(probs), 0), np.int64)
        return np.argsort(-probs, axis=1, kind="stable")[:, : self.top]


class Format(Protocol):
    """A kind of file that grows row by row, and may be cut off anywhere."""

    @property
    def columns(self) -> Columns:
        """What is said."""

    def header(self) -> bytes:
        """What comes before the first row."""

    def rows(self, answers: Answers) -> list[bytes]:
        """(B,) a row each."""

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        """The header and the rows of a file, but for a last one that is not whole."""

    def row(self, piece: bytes) -> Row:
        """What a row said. Raises `ValueError` where it is none."""


@dataclass(frozen=True)
class Csv:
    """Path, label, confidence, more where it is asked for, and `error`.

    UTF-8; bytes of paths that are none stand as they are. Texts that a spreadsheet would run begin with an apostrophe.
    """

    columns: Columns

    def header(self) -> bytes:
        """The columns' names."""
        wanted = self.columns
        ranks = [name for rank in range(1, wanted.top + 1) for name in (f"top_{rank}", f"p_{rank}")]
        every = [f"p_{name}" for name in wanted.classes] if wanted.every else []
        return line(["path", "label", "confidence", *ranks, *map(guarded, every), "error"])

    def rows(self, answers: Answers) -> list[bytes]:
        """(B,) a row each."""
        cells = iter(self._cells(answers.probs))
        empty = [""] * (2 + 2 * self.columns.top + self.columns.every * len(self.columns.classes))
        return [
            line([guarded(path), *(empty if error else next(cells)), guarded(error)])
            for path, error in zip(answers.paths, answers.errors, strict=True)
        ]

    def _cells(self, probs: NDArray[np.float32]) -> Iterator[tuple[str, ...]]:
        """(M,) what stands between a row's path and its error."""
        names = np.array([guarded(name) for name in self.columns.classes], dtype=object)
        columns = [names[probs.argmax(1)].tolist(), shortest(probs.max(1))] if len(probs) else []
        ranked = self.columns.ranked(probs)
        for classes in ranked.T:
            columns += [names[classes].tolist(), shortest(probs[np.arange(len(probs)), classes])]
        if self.columns.every:
            columns += [shortest(column) for column in probs.T]
        return zip(*columns, strict=True)

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        """Lines, joined where one ends within quotes."""
        piece = b""
        for part in file:
            piece += part
            if part.endswith(b"\n") and piece.count(b'"') % 2 == 0:
                yield piece
                piece = b""

    def row(self, piece: bytes) -> Row:
        """What a row said."""
        text = piece.decode("utf-8", "surrogateescape")
        try:
            (cells,) = csv.reader(io.StringIO(text, newline=""), strict=True)
        except csv.Error as error:
            raise ValueError(str(error)) from error
        return Row(unguarded(cells[0]), bool(cells[-1]))


def line(cells: list[str]) -> bytes:
    """A row of a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Lines:
    """An object a line, in ASCII; bytes of paths that are no UTF-8 as Python reads them again."""

    columns: Columns

    def header(self) -> bytes:
        """None."""
        return b""

    def rows(self, answers: Answers) -> list[bytes]:
        """(B,) a row each."""
        said = iter(self._said(answers.probs))
        asked = {"top": self.columns.top, "probabilities": self.columns.every}
        nothing = dict.fromkeys(("label", "confidence", *(name for name, wanted in asked.items() if wanted)))
        return [
            json.dumps({"path": path, **(nothing if error else next(said)), "error": error or None}).encode() + b"\n"
            for path, error in zip(answers.paths, answers.errors, strict=True)
        ]

    def _said(self, probs: NDArray[np.float32]) -> Iterator[dict[str, Any]]:
        """(M,) what is said of an image."""
        classes = self.columns.classes
        for own, ranked in zip(probs, self.columns.ranked(probs), strict=True):
            label = int(own.argmax())
            row: dict[str, Any] = {"label": classes[label], "confidence": numbers(own[[label]])[0]}
            if self.columns.top:
                pairs = zip(ranked.tolist(), numbers(own[ranked]), strict=True)
                row["top"] = [{"label": classes[one], "probability": value} for one, value in pairs]
            if self.columns.every:
                row["probabilities"] = dict(zip(classes, numbers(own), strict=True))
            yield row

    def pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        """Whole lines."""
        return (piece for piece in file if piece.endswith(b"\n"))

    def row(self, piece: bytes) -> Row:
        """What a row said."""
        found = json.loads(piece)
        if not isinstance(found, dict) or not isinstance(found.get("path"), str):
            raise ValueError("it is no prediction")
        return Row(found["path"], found.get("error") is not None)


FORMATS: dict[str, type[Csv] | type[Lines]] = {"csv": Csv, "jsonl": Lines}
"By their names on the command line."
