"""`predict`: the classes of images, as many as there are, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..folder import Run
from ..images.decoding import LARGEST
from ..images.words import shown
from ..measuring.finished import finished_model
from .inputs import Inputs
from .predictor import Answers, Predictor


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image; or why the image could not be read."""

    path: str
    label: str | None
    confidence: float | None
    probabilities: NDArray[np.float32] | None
    "(K,) in the order of the model's classes."
    error: str | None = None


def predict(
    run: str | Path | Run,
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    generation: int = -1,
    *,
    weights: str | None = None,
    device: str | None = None,
    batch: int | None = None,
    largest: float = LARGEST,
    strict: bool = False,
) -> Iterator[Prediction]:
    """The classes of images: `for one in sslkit.predict("runs/mine", "photos"): print(one.path, one.label)`.

    `inputs`: a path or any number of them, an endless iterator too; each is an image file, a folder, or a tar, whose
    images are called `a.tar/member`. Predictions come in their order, as soon as a batch is full, and are those of
    evaluation. `weights`: "average", "student" or "selected"; by default the average where one was kept. `largest`:
    megapixels; a larger image is one that cannot be read. Raises `SslkitError` for everything a user can mend; with
    `strict` also at the first image that cannot be read.
    """
    predictor = Predictor.of(finished_model(run, generation, weights=weights, device=device), batch, largest)
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    items = Inputs.of(os.fspath(path) for path in given).items
    classes = predictor.model.classes
    return (one for answers in predictor.answers(items) for one in predictions(answers, classes, strict))


def predictions(answers: Answers, classes: tuple[str, ...], strict: bool = False) -> Iterator[Prediction]:
    """One for each input. Raises `DataError` in the place of one that cannot be read, if that is asked for."""
    probs = iter(answers.probs)
    for path, error in zip(answers.paths, answers.errors, strict=True):
        if error and strict:
            raise unreadable(path, error)
        if error:
            yield Prediction(path, None, None, None, error)
        else:
            own = next(probs)
            label = int(own.argmax())
            yield Prediction(path, classes[label], float(own[label]), own)


def unreadable(path: str, error: str) -> DataError:
    """What to raise for an image that must be readable."""
    return DataError(f"the image {shown(path)} cannot be read: {error}")
