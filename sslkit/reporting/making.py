"""`report`: one HTML file that tells what run folders hold. It needs nothing else, and asks no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..comparison.members import Member, members_of
from ..comparison.studies import is_study
from ..errors import RunError
from ..images.words import counted
from .folder import RunFolder
from .headline import skipped_lines
from .story import story_of_run, story_of_runs
from .writing import MARK, written

FILE = "report.html"
SAID = 8
"Logs with damage that are named one by one."


@dataclass(frozen=True)
class Made:
    """What was written."""

    path: Path
    runs: int
    figures: int
    warnings: tuple[str, ...] = ()
    "What a reader must know: what is unfinished, or could not be read."


def report(*runs: str | Path, out: str | Path | None = None, force: bool = False) -> Path:
    """Write a report of runs, and answer where: `sslkit.report("runs/mine")` makes `runs/mine/report.html`.

    A folder that holds runs, such as a study's, stands for all of them. A file that is there is written anew where it is a
    report, or with `force`. Raises `SslkitError` for everything a user can mend.
    """
    paths = [Path(run) for run in runs]
    return make(paths, place(paths) if out is None else Path(out), force).path


def place(paths: Sequence[Path]) -> Path:
    """Where a report is written that is not told where: in the one folder that it is of, or else in the working folder."""
    return paths[0] / FILE if len(paths) == 1 else Path(FILE)


def make(paths: Sequence[Path], out: Path, force: bool = False) -> Made:
    """Write the page. Raises `RunError` for what is no run, and for a file that is something else; then nothing is left."""
    if not paths:
        raise RunError("no run is named: name a run's folder, or one that holds runs")
    members = _members(paths)
    check_out(out, force)
    alone = len(members) == 1 and not all(map(is_study, paths))
    text = written(story_of_run(RunFolder(members[0])) if alone else story_of_runs(paths, members))
    _put(out, text)
    return Made(out, len(members), text.count('<figure class="plot"'), tuple(_warnings(members)))


def _members(paths: Sequence[Path]) -> list[Member]:
    """The runs; a study whose runs are gone still has its results."""
    try:
        return members_of(paths)
    except RunError:
        if all(map(is_study, paths)):
            return []
        raise


def check_out(out: Path, force: bool) -> None:
    """Raise `RunError` where something lies at `out` that is no report of ours, or no file can be."""
    if out.is_dir():
        raise RunError(f"{out} is a folder: name a file to write, such as {out / FILE}")
    if not out.parent.is_dir():
        raise RunError(f"{out} cannot be written: there is no folder {out.parent}")
    if out.exists() and not force and not _ours(out):
        raise RunError(
            f"{out} is there, and is no report of sslkit's: choose another --out, or overwrite it with --force"
        )


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return f'content="{MARK}"'.encode() in file.read(4096)
    except OSError:
        return False


def _put(out: Path, text: str) -> None:
    """Write the file whole, or not at all."""
    aside = out.with_name(f".{out.name}.writing")
    try:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")
        aside.replace(out)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise RunError(
            f"{out} could not be written ({error.strerror or error}): choose another place with --out"
        ) from error


def _warnings(members: Sequence[Member]) -> list[str]:
    broken = [f"{member.folder}: {member.problem}" for member in members if member.problem]
    unfinished = [str(member.folder) for member in members if not member.problem and not member.finished]
    more = f"{counted(len(unfinished), 'run')} not finished: {', '.join(unfinished[:8])}" if unfinished else ""
    logs = [
        f"{member.folder}: {text.rstrip('.')}"
        for member in members
        if not member.problem
        for text in skipped_lines(RunFolder(member))
    ]
    left = [f"{len(logs) - SAID} more such warnings: the page has them"] if len(logs) > SAID else []
    return [*broken, *([more] if more else []), *logs[:SAID], *left]
