"""A study's section of a results file. Nothing else in the file is touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError
from ..tables import ABSENT
from .findings import with_finding
from .outcome import Outcome
from .plot import picture
from .terminal import LEFT
from .words import (
    HEAD,
    accuracy_cells,
    against_words,
    by_measure,
    by_seed,
    cell,
    circumstances,
    failure_words,
    gains,
    legend,
    verdict_counts,
)


def titled(study: str, seeds: str | None) -> str:
    """What a study's section is called: seeds that are not the study's own have a section of their own."""
    return f"`{study}`" if seeds is None else f"`{study}`, seeds {seeds}"


def markers(title: str) -> tuple[str, str]:
    """The lines between which a section stands."""
    return f"<!-- study {slug(title)} begin -->", f"<!-- study {slug(title)} end -->"


def slug(title: str) -> str:
    """A title as a name without spaces and marks."""
    return re.sub(r"[^\w.]+", "-", title).strip("-")


def section(outcome: Outcome, title: str, shown: str | None = None) -> str:
    """The results as Markdown, markers included. `title`: what the section is called in its markers, too.

    `shown`: where its picture lies, from the file.
    """
    begin, end = markers(title)
    gain_head, gain_lines = gains(outcome)
    rows = [[row.name, *accuracy_cells(row), *line] for row, line in zip(outcome.rows, gain_lines, strict=True)]
    head, lines = by_seed(outcome)
    name = cell(outcome.base.name)
    parts = [
        [f"## Study {title}"],
        ["```console", f"$ {outcome.command}", "```"],
        [f"**Finding.** {cell(outcome.finding)} **Here:** {verdict_counts(outcome)}."] if outcome.finding else [],
        [circumstances(outcome) + "."],
        _table(["", *HEAD, *gain_head], rows),
        [f"![Differences with their intervals]({shown})"] if shown else [],
        *(
            part
            for measure in outcome.measures[1:]
            for part in ([f"{measure}:"], _table(*by_measure(outcome, measure)))
        ),
        [f"- {name} {cell(against_words(other, one))}" for other, one in outcome.against()]
        + [f"- {cell(row.name)}: {row.verdict}" for row in outcome.rows if row.verdict],
        ["Final test accuracy by seed:"],
        _table(head, lines),
        *([cell(line)] for line in (*legend(outcome), *outcome.notes)),
        [f"- failed: {cell(line)}" for line in failure_words(outcome)],
    ]
    return "\n\n".join([begin, *("\n".join(part) for part in parts if part), end])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as Markdown; columns that nobody fills are left out."""
    used = [i for i in range(len(head)) if i == 0 or any(row[i] != ABSENT for row in rows)]
    ruler = ["---", *(":---" if head[i] in LEFT else "---:" for i in used[1:])]
    lines = [[cell(line[i]) for i in used] for line in [head, *rows]]
    return ["| " + " | ".join(line) + " |" for line in [lines[0], ruler, *lines[1:]]]


def replaced(text: str, title: str, new: str) -> str:
    """A file's text with the section of that title replaced, or added at the end. Raises `ValueError` for half of one."""
    begin, end = markers(title)
    found = text.count(begin), text.count(end)
    if found == (0, 0):
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{new}\n"
    first, last = text.find(begin), text.find(end)
    if found != (1, 1) or last < first:
        raise ValueError(f"needs `{begin}` and `{end}` once each, in this order, or neither")
    return text[:first] + new + text[last + len(end) :]


def read_results(path: Path, title: str) -> str:
    """The text of a results file that a section can be put into. Raises `RunError`, before any hour is spent."""
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        replaced(text, title, "")
    except (OSError, ValueError) as error:
        raise RunError(f"--results {path}: no section can be written there: {error}") from error
    if not path.absolute().parent.is_dir():
        raise RunError(f"--results {path}: there is no folder {path.parent}")
    return text


def write_section(path: Path, outcome: Outcome, title: str) -> None:
    """Put the section into the file, and its line into the file's overview, whole or not at all; beside it the picture.

    Line ends are those of the file. The picture is `NAME/STUDY.svg` beside `NAME.md`.
    """
    text = read_results(path, title)
    drawn = picture(outcome)
    shown = path.with_suffix("") / f"{slug(title)}.svg"
    new = section(outcome, title, f"{shown.parent.name}/{shown.name}" if drawn else None)
    if "\r\n" in text:
        new = new.replace("\n", "\r\n")
    text = replaced(text, title, new)
    if title == titled(outcome.study, None):
        text = with_finding(text, outcome)
    if drawn:
        _write(shown, drawn)
    _write(path, text)


def _write(path: Path, text: str) -> None:
    """Replace a file whole; its folder may be made."""
    aside = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(exist_ok=True)
        aside.write_bytes(text.encode())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(f"--results {path} could not be written ({error})") from error
