"""Weights that others trained: a safetensors file, or what timm publishes on its hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .errors import RecipeError
from .images.words import printable
from .recipe.message import listed

WAIT = 5
"Seconds that the hub has to answer."
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
"Endings of files that torch pickles."
PREFIXES = ("module.", "_orig_mod.", "model.")
"What wrappers put before every name, outermost first; `model.` is a run's own, whose further heads are left out."
RGB = 3
INSTEAD = 'weights = "model.safetensors"'


@contextmanager
def hub() -> Iterator[str]:
    """Timm's hub, asked once and briefly; what it does not answer, as text.

    Its client tries again for most of a minute. Where it cannot be reached, only what was fetched before is looked at.
    """
    from huggingface_hub import constants

    silent = "" if constants.HF_HUB_OFFLINE else unreachable()
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or bool(silent)
    try:
        yield silent
    finally:
        constants.HF_HUB_OFFLINE = before


def unreachable() -> str:
    """Why timm's hub does not answer; empty: it does."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=WAIT)
    except Exception as error:
        return f"{constants.ENDPOINT} does not answer: {error}"
    return ""


def missing_weights(name: str) -> str:
    """What stands in the way of timm's published weights of a model, without fetching them; empty: nothing."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    config = timm.get_pretrained_cfg(name)
    place = config and config.hf_hub_id
    files = ("model.safetensors", "pytorch_model.bin")
    if place and any(isinstance(try_to_load_from_cache(place, file), str) for file in files):
        return ""
    with hub() as silent:
        return f"the published weights of {name} are not here, and {silent}. {or_a_file()}" if silent else ""


def or_a_file() -> str:
    """The way without a network."""
    return f"Without a network, name a file instead: {INSTEAD}"


def load_weights(model: nn.Module, path: Path, channels: int, head: str) -> None:
    """Load a safetensors file into a model; see `fitting_weights`."""
    model.load_state_dict(fitting_weights(model, path, channels, head), strict=False)


def fitting_weights(model: nn.Module, path: Path, channels: int, head: str) -> dict[str, Tensor]:
    """A file's weights by the model's names; `head`: its classifier, which may be missing or of other classes.

    The first convolution is adapted to images of so many `channels`, as timm does. Raises `RecipeError` for a file that
    cannot be read, and for one of another model.
    """
    weights, own = renamed(read_weights(path), model), model.state_dict()
    adapt_first(weights, own, model, channels)
    last = {name for name in {*own, *weights} if name.startswith(f"{head}.") and head}
    wrong = [name for name, tensor in weights.items() if name in own and own[name].shape != tensor.shape]
    absent = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    faults = {
        "has no": [name for name in absent if name not in last],
        "has another shape of": [name for name in wrong if name not in last],
        "is of a model with": [name for name in weights if name not in own and name not in last],
    }
    found = [f"it {said} {listed(f'`{name}`' for name in some[:3])}" for said, some in faults.items() if some]
    if found:
        raise RecipeError(
            f"[model] weights: {printable(str(path))} does not fit {type(model).__name__}: {'; '.join(found)}. "
            "Name the model that it is of: `name`, and `options` where it was built with any"
        )
    return {name: tensor for name, tensor in weights.items() if name in own and name not in wrong}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `RecipeError` where it is none."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        if path.suffix in PICKLES:
            raise RecipeError(
                f"[model] weights: {printable(str(path))} is a pickle, which may run anything when it is read, and is not opened. "
                "Convert it where you trust it:\n"
                f"    python -c \"import torch, safetensors.torch as s; s.save_file(torch.load('{path.name}', "
                f"weights_only=True), '{path.stem}.safetensors')\""
            ) from error
        raise RecipeError(f"[model] weights: {printable(str(path))} cannot be read as safetensors ({error})") from error


def renamed(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights by the names of timm's model: without what wrappers put before them, old names brought up to date."""
    for prefix in PREFIXES:
        inside = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        rest = [name for name in weights if not name.startswith(prefix)]
        if inside and all(name.startswith("heads.") for name in rest):
            weights = inside
    own = model.state_dict()
    if weights.keys() == own.keys() and all(own[name].shape == tensor.shape for name, tensor in weights.items()):
        return weights
    # Timm's models rename what older files hold, and resize position embeddings, by a function of this name.
    newer = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        return dict(newer(dict(weights), model)) if newer else dict(weights)
    except Exception:  # of another model, whose names it does not find
        return dict(weights)


def adapt_first(weights: dict[str, Tensor], own: dict[str, Tensor], model: nn.Module, channels: int) -> None:
    """Give the first convolutions as many channels as the images have, in place."""
    from timm.models import adapt_input_conv

    first = (getattr(model, "pretrained_cfg", None) or {}).get("first_conv") or ()
    for name in (f"{layer}.weight" for layer in ((first,) if isinstance(first, str) else first)):
        saved, mine = weights.get(name), own.get(name)
        if saved is None or mine is None or saved.ndim != mine.ndim or saved.shape[0] != mine.shape[0]:
            continue
        of_colours = saved.shape[1] == RGB * max(1, mine.shape[1] // channels)  # some stems fold pixels into channels
        if of_colours and saved.shape[1] != mine.shape[1] and saved.shape[2:] == mine.shape[2:]:
            weights[name] = adapt_input_conv(channels, saved)
