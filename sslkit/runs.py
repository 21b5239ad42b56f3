"""`run`: from a recipe to a finished run folder, or from an unfinished one to its end."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from .check.forewarn import forewarn
from .check.probe import rehearse
from .check.seen import GenerationProbe
from .dataset import Data
from .engine import fit
from .environment import choose_device, determinism, environment, stop_signals
from .errors import Interrupted, RunError, SslkitError
from .folder import RECIPE, Run, role_of
from .hooks import Hooks
from .keeping.lock import check_free, sweep
from .keeping.pauses import noticed
from .keeping.room import limit_here, patience
from .measuring.evaluate import trained
from .network import check_names, require_timm
from .opening import open_data
from .recipe import baseline_of, load, with_overrides
from .recipe.model import Recipe, hash_of
from .recipe.moved import moved
from .recipe.tables import mixed
from .session import Session
from .types import Classifier, Progress


def new_folder(out: str | Path | None, name: str) -> Path:
    """`out`, which must be new, or `runs/NAME`, `runs/NAME-2`, ...: nothing is ever written over."""
    if out is not None:
        if not str(out):
            raise RunError("--out is empty: name the run folder that is to be made")
        refuse_existing(Path(out))
        return Path(out)
    slug = re.sub(r"[^\w.-]+", "_", name) or "run"
    numbers = iter(range(2, 1_000_000))
    folder = Path("runs") / slug
    while folder.exists():
        folder = Path("runs") / f"{slug}-{next(numbers)}"
    return folder


def refuse_existing(folder: Path) -> None:
    """Raise `Held` where another process runs in what was to be a new folder, `RunError` where it is there at all."""
    check_free(folder)
    if folder.exists() or folder.is_symlink():
        begun = f", or go on with `sslkit run --resume {folder}`" if (folder / RECIPE).exists() else ""
        raise RunError(f"{folder} exists already and is never overwritten: choose another --out{begun}")


def run(
    recipe: str | Path | Recipe | None = None,
    *,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    device: str | None = None,
) -> Run:
    """Run a recipe (a file, or the name of a shipped one) to its end, or go on with an unfinished run folder.

    Raises `SslkitError` for everything a user can mend; the run folder then holds all that was done, and `resume` goes
    on from there in the same bits.
    """
    require_timm()
    place, elsewhere = choose_device(device), None
    if resume is not None:
        loaded, elsewhere = _to_resume(Path(resume), recipe, overrides, seed)
        folder = Path(resume)
        if Run(folder).finished:
            check_unedited(folder)
            sweep(folder)
            return Run(folder)
    elif recipe is None:
        raise RunError("nothing to run: name a recipe, or a run folder to resume")
    else:
        loaded = _loaded(recipe, overrides, seed)
        check_names(loaded.generations)
        folder = new_folder(out, loaded.name)
    with stop_signals() as stop, noticed(), determinism(loaded.settings.deterministic):
        data = None if elsewhere is None else open_data(elsewhere)
        return _run_in(folder, loaded, place, stop, data, new=resume is None)


def check_unedited(folder: Path) -> None:
    """Raise `RunError` where a finished run's recipe is not the one that its results are of."""
    run = Run(folder)
    known = run.summary.get("recipe_hash")
    if known is not None and known != hash_of(run.table()):
        raise RunError(
            f"{folder / RECIPE} was edited since the run finished, whose results are those of the recipe as it was: "
            "restore it, or begin a new run with the edited one"
        )


def _to_resume(folder: Path, recipe: Any, overrides: Any, seed: int | None) -> tuple[Recipe, Recipe | None]:
    """The folder's own recipe, and one that opens its data where it lies now, where that is said to be elsewhere.

    Otherwise one given beside it must be the same.
    """
    own = Run(folder).recipe()
    if recipe is not None or overrides or seed is not None:
        given = _loaded(recipe if recipe is not None else folder / RECIPE, overrides, seed)
        if given.hash != own.hash:
            if not moved(own, given):
                raise RunError(mixed(folder, own.table, given.table))
            return own, given
    return own, None


def _loaded(recipe: str | Path | Recipe, overrides: dict[str, Any] | None, seed: int | None) -> Recipe:
    """A recipe with what was said beside it."""
    if not isinstance(recipe, Recipe):
        return load(recipe, overrides, seed, names=True)
    said = {**(overrides or {}), **({} if seed is None else {"seed": seed})}
    return with_overrides(recipe, said) if said else recipe


def _run_in(
    folder: Path, recipe: Recipe, device: torch.device, stop: Any, data: Data | None = None, new: bool = False
) -> Run:
    """A run folder's work, by this process alone; nothing where it is done.

    `new`: a folder that is not there yet. One that another process makes meanwhile is refused, not gone on with.
    """
    if not new and _done(folder, recipe):
        sweep(folder)
        return Run(folder)
    run = Run(folder)
    with run.lock:
        if not new and _done(folder, recipe):  # by a process that has let go of it since
            return run
        session, found = open_session(run, recipe, device, stop, data, new)
        try:
            if role_of(folder) != "baseline":  # which is part of what is said of its run
                forewarn(session, found)
            with patience(stop, partial(_say, session), run.interrupted, limit_here()):
                _train(session)
        except SslkitError as error:
            _failed(session, error)
            raise
    return run


def _done(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder's run is finished. Raises `RunError` where it was begun with another recipe."""
    if not (folder / RECIPE).exists():
        return False
    written = Run(folder).table()
    # As it was written, digests of plugin files and weights included: those may have been edited since.
    if hash_of(written) != recipe.hash:
        raise RunError(mixed(folder, written, recipe.table))
    return Run(folder).finished


def _train(session: Session) -> None:
    """Baseline first, as a run of its own inside: metrics may compare with it."""
    recipe, folder = session.recipe, session.run.folder / "baseline"
    if recipe.settings.baseline:
        child = _run_in(folder, baseline_of(recipe), session.device, session.stop, session.data)
        session.baseline_entry = child.summary["generations"][-1]
        session.baseline_seconds = child.summary["wall_seconds"]
        session.baseline = classifier_of(child, session)
        session.began = time.perf_counter()
    fit(session)


def _say(session: Session, message: str, waits: bool) -> None:
    """Tell the trackers, and those who look from outside, how it stands with the disk."""
    session.run.lock.tell(**({"waiting": message} if waits else {}))
    Hooks(session.trackers).report("warning", Progress(session.recipe.settings.seed), message=message)


def open_session(
    run: Run, recipe: Recipe, device: torch.device, stop: Any, data: Data | None, new: bool
) -> tuple[Session, list[GenerationProbe]]:
    """A run folder with its recipe and environment written down, and what is composed: nothing, where it was begun.

    The folder is this process's when it answers: its lock was taken when it was found, or before it was put in place.
    """
    if new:
        refuse_existing(run.folder)
    data = data or open_data(recipe)
    run.environment = environment(device, data, recipe)
    session = Session(recipe, data, run, device, stop=stop)
    if not new and (run.folder / RECIPE).exists():
        run.write_summary(session, "running")
        return session, []
    found = rehearse(recipe, data)
    try:
        run.create(session)
    except RunError:
        run.lock.release()  # what it holds is aside; now it can be seen who has the folder
        refuse_existing(run.folder)
        raise
    return session, found


def classifier_of(run: Run, session: Session) -> Classifier:
    """A finished run's last model as metrics see it."""
    recipe = run.recipe()
    return trained(run, recipe, recipe.generations[-1], session.device, session.data.channels)


def _failed(session: Session, error: SslkitError) -> None:
    """Write down that the run stopped, tell the trackers, and say how it may go on."""
    reason = "interrupted" if isinstance(error, Interrupted) else "error"
    if reason == "error":  # one note: a baseline's failure comes here again as its run's, which is what resumes
        error.__notes__ = [
            "What was saved is kept. If the cause lies outside the recipe and its plugins (a full disk, a file that is "
            f"gone), mend it and go on with:\n    sslkit run --resume {session.run.folder}"
        ]
    # Where there is no room even for this, what went wrong before must still be said.
    with suppress(SslkitError):
        session.run.write_summary(session, "interrupted" if reason == "interrupted" else "failed")
    if not error.told:
        error.told = True
        with suppress(SslkitError):
            Hooks(session.trackers).report(
                "failure", Progress(session.recipe.settings.seed), message=str(error), reason=reason
            )
