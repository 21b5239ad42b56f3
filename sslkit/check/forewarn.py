"""What is said before a run begins: the room and memory that it will take, and what looks unintended."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..hooks import Hooks
from ..session import Session
from ..state import facts_of
from ..tables import size
from ..types import Progress
from .guards import guards
from .needs import disk
from .seen import GenerationProbe


def forewarn(session: Session, found: Sequence[GenerationProbe]) -> None:
    """Tell the trackers, before anything is trained; nothing is said of a run that was begun before."""
    if not found:
        return
    recipe, folder = session.recipe, session.run.folder
    facts = facts_of(recipe.generations[0], session.data, session.device)
    needed, free = disk(found, recipe.settings.baseline), free_at(folder)
    short = [] if needed is None or needed <= free else [
        f"the run takes about {size(needed)} of disk, but {size(free)} are free at {folder}: make room, or choose "
        "another --out"
    ]  # fmt: skip
    known = [one.needs.memory for one in found if one.needs is not None]
    session.entries(recipe.generations[0])  # makes the trackers, which see the whole run
    Hooks(session.trackers).report(
        "rehearsal", Progress(recipe.settings.seed), recipe=recipe.name, disk=needed, free=free,
        memory=max(known) if len(known) == len(found) else None,
        warnings=[*recipe.warnings, *guards(recipe, found, facts, session.data), *short],
    )  # fmt: skip


def free_at(folder: Path) -> int:
    """Bytes that are free where a folder will be."""
    there = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    return shutil.disk_usage(there).free
