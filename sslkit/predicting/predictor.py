"""Images through a finished model, a batch at a time: a thread reads and resizes the next while the model is at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..dataset import Image
from ..environment import determinism
from ..errors import RunError
from ..images.decoding import FLAGS, LARGEST, decode
from ..measuring.finished import Finished
from ..prefetch import one_ahead
from .inputs import Item, reason

PATIENCE = 2.0
"Seconds that one who stops waits for the image that is being read: it may be a list that says nothing."
POSITION = np.zeros(1, np.int64)
"Of an image in its view, which has no noise."


class Answers(NamedTuple):
    """B inputs, of which M could be read."""

    paths: list[str]
    errors: list[str]
    "(B,) why an image could not be read; empty where it could."
    probs: NDArray[np.float32]
    "(M, K) of those that could, in their order."


class Read(NamedTuple):
    """The same before the model."""

    paths: list[str]
    errors: list[str]
    images: Image  # (M, S, S, C)


@dataclass(frozen=True)
class Predictor:
    """A model, and how it is asked."""

    model: Finished
    batch: int
    largest: float = LARGEST
    "Megapixels."

    @classmethod
    def of(cls, model: Finished, batch: int | None = None, largest: float = LARGEST) -> Predictor:
        """By default with the batches of the run's own evaluation. Raises `RunError` for images that no file holds."""
        if model.channels not in FLAGS:
            raise RunError(
                f"the model takes images of {model.channels} channels, and image files are read with "
                f"{', '.join(map(str, FLAGS))}"
            )
        return cls(model, batch or model.classifier.rows, largest)

    def answers(self, items: Iterator[Item]) -> Iterator[Answers]:
        """Batch by batch, in order. What cannot be read is in its place, with the reason."""
        stop = Event()
        batches = one_ahead(self._batches(items, stop), PATIENCE)
        try:
            for read in batches:
                yield Answers(read.paths, read.errors, self._probabilities(read.images))
        finally:
            stop.set()
            batches.close()  # type: ignore[attr-defined]

    def _batches(self, items: Iterator[Item], stop: Event) -> Iterator[Read]:
        while some := list(islice(items, self.batch)):
            yield self._read(some, stop)

    def _read(self, items: list[Item], stop: Event) -> Read:
        """Each image is resized as soon as it is decoded: a batch of large ones would fill memory."""
        spec = self.model.classifier.view.spec
        images, errors = np.empty((len(items), spec.size, spec.size, spec.channels), np.uint8), list[str]()
        there = 0
        for item in items:
            if stop.is_set():
                break
            try:
                images[there] = self._image(item)
            except Exception as error:  # decoders have errors of many kinds for bytes that make no sense
                errors.append(reason(error))
            else:
                errors.append("")
                there += 1
        return Read([item.path for item in items], errors, images[:there])

    def _image(self, item: Item) -> Image:
        """(S, S, C) as evaluation sees it."""
        image = decode(item.read(), self.model.channels, self.largest)
        made: Image = self.model.classifier.view([image], POSITION)[0]
        return made

    def _probabilities(self, images: Image) -> NDArray[np.float32]:
        if not len(images):
            return np.empty((0, len(self.model.classes)), np.float32)
        with determinism(self.model.recipe.settings.deterministic):
            answer: NDArray[Any] = self.model.classifier.answer(torch.from_numpy(images)).numpy()
        return answer
