"""Evaluations that are kept in their run's folder, for reports and studies: `RUN/evaluations/generation-N-DIGEST.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..artifacts import write_atomic
from ..errors import RunError
from .evaluate import Evaluation

FOLDER = "evaluations"


def digest_of(metrics: Sequence[Mapping[str, Any]], data: Mapping[str, Any], reference: str = "") -> str:
    """What an evaluation is told apart by: resolved `[[metric]]` and `[data]` tables, and the baseline's recipe hash."""
    text = json.dumps([list(map(dict, metrics)), dict(data), reference], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def keep(run: Path, evaluation: Evaluation, digest: str) -> Path:
    """Write an evaluation beside the run that it is of; an earlier one of the same kind is replaced."""
    folder = run / FOLDER
    path = folder / f"generation-{evaluation.generation}-{digest}.json"
    try:
        folder.mkdir(exist_ok=True)
        write_atomic(path, json.dumps(asdict(evaluation), indent=1))
    except OSError as error:
        raise RunError(f"{path} could not be written ({error})") from error
    return path


def kept_evaluation(run: Path, generation: int, digest: str) -> Evaluation | None:
    """The kept evaluation of this kind; None where there is none that can be read."""
    return _read(run / FOLDER / f"generation-{generation}-{digest}.json")


def kept_evaluations(run: Path) -> list[Evaluation]:
    """Everything that was kept of a run, generation by generation, the newest last."""
    paths = sorted((run / FOLDER).glob("generation-*.json"), key=lambda path: path.stat().st_mtime)
    found = [one for one in map(_read, paths) if one is not None]
    return sorted(found, key=lambda one: one.generation)


def _read(path: Path) -> Evaluation | None:
    try:
        table = json.loads(path.read_text())
        return Evaluation(**{**table, "warnings": tuple(table["warnings"])})
    except (OSError, ValueError, TypeError, LookupError):
        return None
