"""The run, or the runs, that a word on the command line names: a folder, or one below runs/."""

from __future__ import annotations

from pathlib import Path

MOST = 8
"Runs that are named."


def find_run(name: str) -> Path:
    """Its folder. Raises `RunError` with what may have been meant."""
    from ..errors import RunError
    from ..recipe.message import did_you_mean
    from ..watching.standing import PLACE, RECIPE, runs_in

    for folder in (Path(name), PLACE / name):
        if (folder / RECIPE).is_file():
            return folder
    what = "has no recipe.toml" if Path(name).exists() else "is not there"
    hint = did_you_mean(name, [str(path) for path in runs_in(PLACE)]) or did_you_mean(
        name, [p.name for p in runs_in(PLACE)]
    )
    raise RunError(f"{name} is no run folder: it {what}" + (f"\n  {hint}" if hint else _around(Path(name))))


def _around(path: Path) -> str:
    """Runs beside a path that is not there, or in a folder that is; else those below runs/."""
    from ..watching.standing import PLACE, runs_in

    where = "in it" if path.is_dir() else "beside it"
    for words, folder in ((where, path if path.is_dir() else path.parent), (f"in {PLACE}", PLACE)):
        if found := [str(run) for run in runs_in(folder)]:
            more = f", ... and {len(found) - MOST} more" if len(found) > MOST else ""
            return f"\n  runs {words}: {', '.join(found[:MOST])}{more}"
    return ""


def find_runs(name: str) -> Path:
    """The folder of a run, or one that may hold several. Raises `RunError` with what may have been meant."""
    from ..watching.standing import PLACE

    there = [folder for folder in (Path(name), PLACE / name) if folder.is_dir()]
    return there[0] if there else find_run(name)
