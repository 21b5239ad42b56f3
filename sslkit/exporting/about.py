"""What whoever uses an exported model must know: classes, images, where it comes from, what was measured of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from .. import __version__
from ..images.words import printable
from ..measuring.finished import Finished
from ..network import Network
from ..recipe.model import hash_of
from ..tables import is_brief

COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}
"What the channels of images are."


def about(model: Finished) -> dict[str, Any]:
    """Facts of a model, as JSON has them."""
    network = model.classifier.network
    return {
        "made_by": f"sslkit {__version__}",
        "run": printable(model.run.folder.resolve().name),
        "recipe": printable(model.recipe.name),
        "recipe_hash": hash_of(model.run.table()),
        "seed": model.recipe.settings.seed,
        "generation": model.index,
        "model": model.card["model"],
        "weights": model.weights,
        "step": model.step,
        "weights_sha256": digest(model),
        "teacher": teacher(model),
        "metrics": {name: value for name, value in model.metrics.items() if is_brief(value)},
        "classes": list(model.classes),
        "channels": model.channels,
        "image_size": network.image_size,
        "fit": network.fit,
        "crop_pct": network.crop,
        "mean": numbers(network.mean),
        "std": numbers(network.std),
    }


def numbers(values: Any) -> list[float]:
    """One number per channel, as short as they were written."""
    return [float(f"{value:.7g}") for value in values.flatten().tolist()]


def digest(model: Finished) -> str:
    """SHA-256 of the run's file that the weights are from."""
    name = "selected.safetensors" if model.weights == "selected" else "model.safetensors"
    found: str = json.loads((model.folder / "checksums.json").read_text())[name]
    return found


def teacher(model: Finished) -> dict[str, Any] | None:
    """The generation whose model made the pseudo-labels, and that model's SHA-256; None without such labels."""
    with suppress(OSError, ValueError, LookupError):
        manifest = model.run.folder / "labels" / f"generation-{model.index}" / "manifest.json"
        found: dict[str, Any] = json.loads(manifest.read_text())["teacher"]
        return found
    return None


def preparation(model: Finished, *, normalised: bool) -> str:
    """How an image becomes what the model was trained on. `normalised`: whether mean and deviation are left to do."""
    network = model.classifier.network
    size, colours = network.image_size, COLOURS.get(model.channels, f"{model.channels}-channel")
    last = "subtract the mean and divide by the std of each channel; " if normalised else ""
    return (
        f"Turn the image upright by its EXIF orientation, as {colours}; {square(network)}resize it to {size} x {size} pixels "
        f"(by area where it shrinks, linearly where it grows); divide by 255; {last}channels first."
    )


def square(network: Network) -> str:
    """What becomes of an image of another shape."""
    cut = "" if network.crop == 1 else f" {network.crop:g} times"
    if network.fit == "crop":
        return f"cut the square in its centre whose side is{cut} its shorter side; "
    if network.fit == "squash":
        return f"cut the centre of{cut} its height and width; " if cut else ""
    border = ", ".join(f"{round(255 * value)}" for value in network.normalisation[0])
    return (
        f"take the square around its centre whose side is{cut} its longer side, with a border of {border} (the mean of each "
        "channel) where the image does not reach; "
    )


def given(model: Finished) -> str:
    """What goes into the ONNX model and the torch program."""
    size = model.classifier.network.image_size
    colours = COLOURS.get(model.channels, "of the run's channels")
    return f"images: (N, {model.channels}, {size}, {size}) float32 from 0 to 1, {colours}, not normalised; any N"


def answered(model: Finished) -> str:
    """What comes out of every export."""
    return f"logits: (N, {len(model.classes)}) float32, in the order of the classes; softmax makes them probabilities"
