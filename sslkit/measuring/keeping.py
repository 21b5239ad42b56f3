"""Evaluations that are kept in their run's folder, for reports and studies: `RUN/evaluations/generation-N-DIGEST.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..artifacts import write_atomic
from ..errors import RunError
from ..folder import Run
from ..recipe.metrics import parts_of
from ..recipe.model import Recipe
from .evaluate import Bench, Evaluation, number_of, reference_of, rival_of
from .remnant import recipe_of
from .weights import kept

FOLDER = "evaluations"
Sets = str | Path | Sequence[str | Path]
"One set of metrics or several: each a file of `[[metric]]` tables, or the name of a shipped one."


def measured(
    run: Run,
    generation: int,
    metrics: Sets,
    *,
    baseline: Run | None = None,
    device: str | None = None,
    recipe: Recipe | None = None,
) -> Evaluation:
    """What a set of metrics says of a finished generation: as it was kept, else measured now and kept.

    `generation`: negative numbers count from the last finished one. `baseline`: the run whose last model metrics compare
    with, by default the run's own supervised one. A damaged kept file is measured anew. Raises `SslkitError` for what
    keeps it from being measured: among it, a generation that is not there.
    """
    there = kept_measurement(run, generation, metrics, baseline=baseline, recipe=recipe)
    if there is not None:
        return there
    bench = Bench(run, sets=_several(metrics), baseline=baseline, device=device)
    made = bench.measure(bench.number(generation))
    keep(bench, made)
    return made


def kept_measurement(
    run: Run, generation: int, metrics: Sets, *, baseline: Run | None = None, recipe: Recipe | None = None
) -> Evaluation | None:
    """What `measured` would answer, where it is kept: neither data nor a model is opened. `recipe`: the run's, if at hand.

    Raises `SslkitError` where there is no such generation or set of metrics.
    """
    recipe = recipe_of(run)[0] if recipe is None else recipe
    digest = metric_digest(metrics, recipe, reference_of(rival_of(run, baseline)))
    return kept_evaluation(run.folder, number_of(run, recipe, generation), digest)


def metric_digest(metrics: Sets, recipe: Recipe, reference: str = "") -> str:
    """What an evaluation of a run of `recipe` by `metrics` is told apart by, data and models unopened.

    `reference`: the recipe hash of the finished baseline that metrics compare with; empty: there is none.
    """
    return digest_of(parts_of(recipe, sets=_several(metrics)).digest, reference)


def digest_of(parts: str, reference: str = "", weights: str = "") -> str:
    """One digest of metrics and data (`Parts.digest`), the baseline's recipe hash, and weights other than the usual."""
    text = json.dumps([parts, reference, weights])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def keep(bench: Bench, evaluation: Evaluation) -> Path:
    """Write an evaluation beside the run that it is of; an earlier one of the same kind is replaced."""
    usual = kept(bench.run.folder / "models" / f"generation-{evaluation.generation}")[0]
    weights = "" if evaluation.weights == usual else evaluation.weights
    folder = bench.run.folder / FOLDER
    path = folder / _name(evaluation.generation, digest_of(bench.digest, bench.reference, weights))
    try:
        folder.mkdir(exist_ok=True)
        write_atomic(path, json.dumps(asdict(evaluation), indent=1))
    except OSError as error:
        raise RunError(f"{path} could not be written ({error})") from error
    return path


def kept_evaluation(run: Path, generation: int, digest: str) -> Evaluation | None:
    """The kept evaluation of this kind; None where there is none that can be read."""
    return _read(run / FOLDER / _name(generation, digest))


def _name(generation: int, digest: str) -> str:
    return f"generation-{generation}-{digest}.json"


def _several(metrics: Sets) -> Sequence[str | Path]:
    return [metrics] if isinstance(metrics, (str, Path)) else metrics


def _read(path: Path) -> Evaluation | None:
    try:
        table: dict[str, Any] = json.loads(path.read_text())
        made = Evaluation(**{**table, "warnings": tuple(table["warnings"])})
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None
    sound = isinstance(made.generation, int) and isinstance(made.metrics, dict)
    return made if sound else None
