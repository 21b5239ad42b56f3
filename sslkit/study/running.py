"""Makes what is missing of a study: runs, then measurements of them, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import Held, RecipeError, RunError
from ..keeping.lock import Lock
from ..recipe import baseline_of
from ..watching.standing import read_json
from .children import Child, Failure, missing
from .file import Study

Check = Callable[[Child, dict[str, Any]], None]
"Sees every finished run, and may raise."


@dataclass(frozen=True)
class Way:
    """How runs are made."""

    jobs: int
    "So many at a time,"
    threads: int
    "each computing with so many threads."
    device: str | None = None


class Listener(Protocol):
    """Is told how far a study is. `generation`: of a measurement; None: it is of the run itself."""

    def begin(self, child: Child, generation: int | None = None) -> None:
        """It begins, or goes on."""

    def warned(self, child: Child, message: str) -> None:
        """It waits for something, or has waited."""

    def done(self, child: Child, generation: int | None = None) -> None:
        """It is finished."""

    def failed(self, failure: Failure) -> None:
        """It is not, and the others go on."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time runs a study in its folder. Raises `RunError` where another does."""
    lock = Lock(folder)
    try:
        lock.take()
    except Held as error:
        who = str(error).partition("by ")[2].partition(". Nothing")[0]
        raise RunError(
            f"{folder} is in use at this moment, by {who}: a study that runs in it. Wait for it, or choose another --out; "
            "runs that are finished are shared"
        ) from error
    try:
        yield
    finally:
        lock.release()


def run_all(children: list[Child], way: Way, listener: Listener, check: Check) -> list[Failure]:
    """Run what is missing; a failure stops none of the others.

    Raises `Interrupted` when asked to stop: everything is saved then.
    """
    left = missing(children)
    for child in children:
        if child not in left and (summary := child.summary()):
            check(child, summary)
    if not left:
        return []
    from .work import train, written

    jobs: list[Job] = [
        Job(child, None, train, (written(child.recipe), child.folder, way.device), _threads(child, way.threads))
        for child in left
    ]

    def done(job: Job, answer: Any) -> None:
        listener.done(job.child)
        check(job.child, answer)

    return _do(jobs, way, listener, done)


def measure_all(study: Study, children: list[Child], way: Way, listener: Listener) -> list[Failure]:
    """Measure by the study's own metrics what its rows need of finished runs; what was measured once is only read."""
    if study.metrics is None:
        return []
    from .work import measure

    jobs = [
        Job(
            child,
            number,
            measure,
            (child.folder, number, study.metrics, rival and rival.folder, way.device),
            way.threads,
        )
        for child, number, rival in unmeasured(study, children)
    ]

    def done(job: Job, answer: Any) -> None:
        assert job.generation is not None
        job.child.measurements[job.generation] = answer
        listener.done(job.child, job.generation)

    return _do(jobs, way, listener, done)


@dataclass(frozen=True)
class Job:
    """A run that is to be made, or one of its generations that is to be measured."""

    child: Child
    generation: int | None
    call: Callable[..., Any]
    args: tuple[Any, ...]
    threads: int


def _do(jobs: list[Job], way: Way, listener: Listener, done: Callable[[Job, Any], None]) -> list[Failure]:
    if not jobs:
        return []
    from .crew import Work, side_by_side  # with torch, which a finished study does without

    works = {Work(job.call, job.args, job.threads): job for job in jobs}
    failures: list[Failure] = []
    with closing(side_by_side(works, way.jobs)) as events:
        for event in events:
            job = works[event.work]
            if event.kind == "begun":
                listener.begin(job.child, job.generation)
            elif event.kind == "warned":
                listener.warned(job.child, event.value)
            elif event.kind == "done":
                done(job, event.value)
            else:
                failures.append(Failure(job.child, event.value, event.details, job.generation))
                listener.failed(failures[-1])
    return failures


def unmeasured(study: Study, children: list[Child]) -> Iterator[tuple[Child, int, Child | None]]:
    """(run, generation, baseline to compare with) of what no earlier call has measured of finished runs.

    What one has is read into `Child.measurements`. Raises `SslkitError` for metrics that are none.
    """
    if study.metrics is None:
        return
    from ..folder import Run
    from ..measuring.keeping import kept_measurement

    left = missing(children)
    finished = [child for child in children if child not in left]
    baselines = baselines_of(study, finished)
    for child in finished:
        rival = baselines.get(child.uses[0][1])
        beside = None if rival is None else Run(rival.folder)
        for number in sorted(wanted(study, child) - child.measurements.keys()):
            there = kept_measurement(Run(child.folder), number, study.metrics, baseline=beside, recipe=child.recipe)
            if there is not None:
                child.measurements[number] = there.metrics
            else:
                yield child, number, rival


def wanted(study: Study, child: Child) -> set[int]:
    """The generations of a run that rows are of."""
    of_row = {variant.name: variant.generation for variant in study.variants}
    return {child.number(of_row[name]) for name, _ in child.uses}


def baselines_of(study: Study, finished: list[Child]) -> dict[int, Child]:
    """By seed, the supervised baseline that metrics compare with, where it is finished."""
    own = None
    with suppress(RecipeError):  # a recipe without one
        own = baseline_of(study.base.recipe).hash
    names = [one.name for one in study.variants if one.kind == "baseline" or one.recipe.hash == own]
    return {seed: child for child in finished for name, seed in child.uses if name in names}


def _threads(child: Child, usual: int) -> int:
    """A run that has begun goes on with as many threads as before: their number decides how sums are rounded."""
    said = read_json(child.folder / "environment.json").get("threads")
    return said if isinstance(said, int) and said > 0 else usual
