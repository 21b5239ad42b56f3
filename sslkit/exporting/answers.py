"""A model's answers as one module, and whether what was exported answers the same."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..classifier import NetworkClassifier
from ..errors import SslkitError
from ..measuring.finished import Finished

ROWS = (1, 2, 7)
"Batch sizes that an export is compared on."
LIMIT = 1e-3
"Largest difference from the run's own logits, as a share of the largest of them: what another arithmetic may round."
TINY = 1e-3
"Logits that are all smaller are not compared by their own size."


class ExportError(SslkitError):
    """A model that cannot be written as asked."""


class Answering(nn.Module):
    """(N, C, S, S) floats in 0-1 -> (N, K) logits: normalisation, model and whatever decides, as one module."""

    def __init__(self, classifier: NetworkClassifier) -> None:
        super().__init__()
        self.network = classifier.network.to(memory_format=torch.contiguous_format).eval()
        self.decide = classifier.decide

    def forward(self, images: Tensor) -> Tensor:
        """What evaluation takes the softmax of."""
        return self.decide(self.network(images))


def made_up(model: Finished, rows: int) -> Tensor:
    """(rows, C, S, S) images of noise, floats in 0-1."""
    size = model.classifier.network.image_size
    return torch.rand((rows, model.channels, size, size), generator=torch.Generator().manual_seed(rows))


def traced(model: Finished) -> torch.export.ExportedProgram:
    """The model as a graph, for any number of images. Raises `ExportError` where its code cannot be traced."""
    batch = {0: torch.export.Dim("batch", min=1)}
    try:
        with hushed():
            return torch.export.export(
                Answering(model.classifier), (made_up(model, 2),), dynamic_shapes=(batch,), strict=False
            )
    except SslkitError:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise ExportError(
            f"{model.card['model']} cannot be traced by torch.export for any number of images: its code asks what only "
            f"one batch can answer ({type(error).__name__}: {said})\n"
            "    `sslkit predict` and `sslkit.Run(...).model()` run it as it is"
        ) from error


@torch.no_grad()
def compared(model: Finished, answer: Callable[[Tensor], Tensor], what: str) -> float:
    """How far an export's logits are from the run's own at most, as a share of the largest of them.

    `answer`: the export, (N, C, S, S) -> (N, K). Raises `ExportError` where they are not the same.
    """
    own, largest = Answering(model.classifier), 0.0
    for rows in ROWS:
        images = made_up(model, rows)
        expected, given = own(images), answer(images)
        if given.shape != expected.shape:
            raise ExportError(
                f"{what} answers {tuple(given.shape)} for {rows} images, not {tuple(expected.shape)}; {KEPT}"
            )
        found, scale = float((given - expected).abs().max()), float(expected.abs().max()) + TINY
        if not found <= LIMIT * scale:  # what is no number is no match either
            raise ExportError(
                f"{what} does not answer as the run's model does: logits of {rows} images differ by {found:.2g}, and "
                f"{LIMIT * scale:.2g} is what rounding may explain; {KEPT}"
            )
        largest = max(largest, found / scale)
    return largest


KEPT = "nothing was written"


@contextmanager
def hushed() -> Iterator[None]:
    """Without the logs and warnings of libraries, whose reader is not the person who exports."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
