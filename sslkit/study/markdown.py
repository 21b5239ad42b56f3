"""A study's section of a results file. Nothing else in the file is touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError
from ..tables import percent
from .outcome import Outcome
from .words import HEAD, HEAD_GAINS, LEGEND, accuracy_cells, against_words, circumstances, failure_words, gain_cells


def markers(study: str) -> tuple[str, str]:
    """The lines between which a study's section stands."""
    name = re.sub(r"[^\w.]+", "-", study)
    return f"<!-- study {name} begin -->", f"<!-- study {name} end -->"


def section(outcome: Outcome) -> str:
    """The results as Markdown, markers included."""
    begin, end = markers(outcome.study)
    rows = [[_cell(row.name), *accuracy_cells(row), *gain_cells(row)] for row in outcome.rows]
    seeds = [[str(seed), *(percent(row.test.values.get(seed)) for row in outcome.rows)] for seed in outcome.seeds]
    name = _cell(outcome.base.name)
    parts = [
        [f"## Study `{outcome.study}`"],
        ["```console", f"$ {outcome.command}", "```"],
        [circumstances(outcome) + "."],
        _table(["", *HEAD, *HEAD_GAINS], rows),
        [f"- {name} {_cell(against_words(other, one))}" for other, one in outcome.against()]
        + [f"- {_cell(row.name)}: {row.verdict}" for row in outcome.rows if row.verdict],
        ["Final test accuracy by seed:"],
        _table(["seed", *(_cell(row.name) for row in outcome.rows)], seeds),
        *([_cell(line)] for line in (*LEGEND, *outcome.notes)),
        [f"- failed: {_cell(line)}" for line in failure_words(outcome)],
    ]
    return "\n\n".join([begin, *("\n".join(part) for part in parts if part), end])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(line) + " |" for line in [head, ruler, *rows]]


def _cell(text: str) -> str:
    """Text that neither ends a table's cell nor is taken for markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def replaced(text: str, study: str, new: str) -> str:
    """A file's text with the study's section replaced, or added at the end. Raises `ValueError` for half a section."""
    begin, end = markers(study)
    found = text.count(begin), text.count(end)
    if found == (0, 0):
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{new}\n"
    first, last = text.find(begin), text.find(end)
    if found != (1, 1) or last < first:
        raise ValueError(f"needs `{begin}` and `{end}` once each, in this order, or neither")
    return text[:first] + new + text[last + len(end) :]


def read_results(path: Path, study: str) -> str:
    """The text of a results file that a section can be put into. Raises `RunError`, before any hour is spent."""
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        replaced(text, study, "")
    except (OSError, ValueError) as error:
        raise RunError(f"--results {path}: no section can be written there: {error}") from error
    if not path.absolute().parent.is_dir():
        raise RunError(f"--results {path}: there is no folder {path.parent}")
    return text


def write_section(path: Path, outcome: Outcome) -> None:
    """Put the section into the file, whole or not at all; line ends are those of the file."""
    text = read_results(path, outcome.study)
    new = section(outcome)
    if "\r\n" in text:
        new = new.replace("\n", "\r\n")
    aside = path.with_name(f".{path.name}.writing")
    try:
        aside.write_bytes((replaced(text, outcome.study, new)).encode())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(f"--results {path} could not be written ({error})") from error
