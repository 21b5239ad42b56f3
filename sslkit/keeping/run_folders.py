"""What is a run folder, told by its files alone: nothing heavy is imported for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import RunError

RECIPE = "recipe.toml"
"What makes a folder a run's."


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    return (folder / RECIPE).is_file()


def check_run(folder: Path) -> None:
    """Raise `RunError` for what is no run folder, with what may have been meant."""
    if not is_run(folder):
        raise RunError(f"{folder} {why_no_run(folder)}")


def why_no_run(folder: Path) -> str:
    """What a path is instead, and what there is."""
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        near = [str(path) for path in sorted(folder.parent.iterdir()) if is_run(path)] if folder.parent.is_dir() else []
        return f"is no run folder: it {what}{_there('runs beside it', near)}"
    inside = [str(path) for path in sorted(folder.iterdir()) if is_run(path)]
    return f"is no run folder: it has no {RECIPE}{_there('runs in it', inside)}"


def sound_summary(value: Any) -> dict[str, Any]:
    """A summary.json as it was read. Raises `ValueError` where it has not the shape of one."""
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    if not isinstance(value.get("status"), str):
        raise ValueError("it has no `status`")
    entries, baseline = value.get("generations", []), value.get("baseline")
    if not isinstance(entries, list) or not all(map(_is_result, entries)):
        raise ValueError("its `generations` are no list of results")
    if baseline is not None and not _is_result(baseline):
        raise ValueError("its `baseline` is no result")
    return value


def _is_result(entry: Any) -> bool:
    """Whether a generation's entry has the shape that those who read it count on."""
    if not isinstance(entry, dict) or not isinstance(entry.get("index", 0), int):
        return False
    inside = [entry.get(name) or {} for name in ("metrics", "timing", "selected")]
    return all(isinstance(one, dict) for one in inside) and all(
        isinstance(inside[1].get(name, 0.0), (int, float)) for name in ("waited", "worked")
    )


def _there(what: str, paths: list[str]) -> str:
    more = f", ... and {len(paths) - 8} more" if len(paths) > 8 else ""
    return f"\n    {what}: {', '.join(paths[:8])}{more}" if paths else ""
