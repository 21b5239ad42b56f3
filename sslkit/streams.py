"""From a recipe's streams and views to a step's batches: who draws, what is made, what arrives on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .dataset import Data
from .loader import Sampler, StreamLoader, ViewMaker
from .randomness import key
from .recipe.model import CLEAN
from .state import State
from .types import Batch, Progress, Step, View, ViewSpec


def to_floats(images: Tensor, device: torch.device) -> Tensor:
    """(N, H, W, C) uint8 -> (N, C, H, W) floats in 0-1 on `device`, channels last in memory as they came."""
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)


def assemble(state: State, arrays: dict[str, Any]) -> Step:
    """A loader's arrays as a step on the device, perturbed there."""
    batches = {name: make_batch(state, name, part, state.progress) for name, part in arrays.items()}
    labeled = batches["labeled"]
    assert state.labeled is not None
    labeled.truth = state.labeled.truth[labeled.index].to(state.device)
    if state.labeled.weight is not None:
        labeled.weight = state.labeled.weight[labeled.index].to(state.device)
    return Step(labeled, batches.get("unlabeled"), state.progress)


def make_batch(state: State, stream: str, arrays: dict[str, Any], progress: Progress) -> Batch:
    """One stream's rows: uint8 images to floats, then every plugin that perturbs batches."""
    views = {}
    for name, images in arrays["views"].items():
        floats = to_floats(images, state.device)
        spec = ViewSpec(name, stream, images.shape[1], images.shape[3])
        floats = state.hooks.perturb_batch(floats, spec, progress)
        views[name] = View(name, floats)
    index, position = arrays["index"].clone(), arrays["position"].clone()  # the loader's memory is used again
    return Batch(stream, index, position, views, classes=len(state.facts.classes))


def make_view(state: State, spec: ViewSpec) -> ViewMaker:
    """The maker of one view, with the transforms of the plugins on it; `clean` has none."""
    transforms = state.hooks.image_transforms(spec) if spec.name != CLEAN else []
    return ViewMaker(spec, state.seed, state.cfg.index, transforms)


def make_streams(state: State, data: Data) -> list[StreamLoader]:
    """The streams that are on: the unlabeled one needs targets, or a recipe that asks for none."""
    assert state.labeled is not None
    batch = state.cfg.settings.batch
    sources = [data.labeled] + ([data.unlabeled] if data.unlabeled is not None else [])
    ones = np.ones(len(state.labeled.index))
    streams = [_stream(state, "labeled", sources, state.labeled.origin, state.labeled.index, batch.labeled, ones)]
    if batch.unlabeled and data.unlabeled is not None and state.teaches:
        rows = torch.arange(len(data.unlabeled))
        copies = np.ones(len(rows))
        if state.stored is not None and state.cfg.settings.labels == "pool":
            copies = (state.stored.copies * (state.stored.weight > 0)).double().numpy()
        # With nothing above the filters there is nothing to draw: the labels teach alone, as was said after labeling.
        if copies.sum() >= 1:
            args = ([data.unlabeled], torch.zeros_like(rows), rows, batch.unlabeled, copies)
            streams.append(_stream(state, "unlabeled", *args))
    return streams


def _stream(
    state: State, name: str, sources: list[Any], origin: torch.Tensor, index: torch.Tensor, batch: int, copies: Any
) -> StreamLoader:
    views = [make_view(state, spec) for spec in state.views() if spec.stream == name]
    sampler = Sampler(key(state.seed, state.cfg.index, "order", name), copies)
    return StreamLoader(name, sources, origin.numpy(), index.numpy(), batch, sampler, views)
