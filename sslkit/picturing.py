"""Takes the pictures that a run keeps of its images, around a generation's first step. `pictures` says which.

Training is as it would be without: images alone are made again, by the same draws; no model is asked. Plugins and transforms
that are called again are copies, for some remember what they see.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .artifacts import damage
from .dataset import OUTSIDE, UNKNOWN, Image, Rows
from .errors import SslkitError, told
from .folder import role_of
from .hooks import Hooks
from .hookspecs import hooks_of
from .loader import StreamLoader, ViewMaker
from .pictures import (
    BYTES,
    FOLDER,
    GenerationPictures,
    Picture,
    Row,
    StreamPictures,
    ViewPictures,
    encode,
    save_pictures,
)
from .pool_pictures import PoolPictures, class_name
from .state import State
from .streams import to_floats
from .types import Batch, Step, ViewSpec

if TYPE_CHECKING:
    from .session import Session


@contextmanager
def pictured(state: State, session: Session, streams: list[StreamLoader], step: Step) -> Iterator[None]:
    """Around a step: where it is its generation's first, keep what the models saw there.

    Whatever goes wrong with that is a warning, and the run goes on without: on a full disk it does not wait. A folder
    that is there and whole stays as it is. Baselines keep none: their images are their run's.
    """
    count = session.recipe.settings.pictures
    target = session.run.folder / FOLDER / f"generation-{state.cfg.index}"
    if state.step or not count or role_of(session.run.folder) == "baseline" or damage(target) is None:
        yield
        return
    problems: list[str] = []
    with _harmless(state, problems):
        camera = Camera(state, session, streams, step, count, problems)
    yield
    if not problems:
        with _harmless(state, problems):
            save_pictures(target, camera.taken(), BYTES * count)
    for problem in problems:
        what = f"pictures of generation {state.cfg.index}, for reports: {problem}. Training goes on"
        state.hooks.report("warning", state.progress, message=what)


@contextmanager
def _harmless(state: State, problems: list[str]) -> Iterator[None]:
    """Inside, errors end nothing, and draws from the generators that all share are taken back."""
    python, legacy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if state.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            yield
    except SslkitError as error:
        problems.append(str(error))
    except Exception as error:
        problems.append(told(error))
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


class Camera:
    """Made before a step, when plugins are as the step finds them; what the step makes of its labels is seen after it."""

    def __init__(
        self, state: State, session: Session, streams: list[StreamLoader], step: Step, count: int, problems: list[str]
    ) -> None:
        self.state, self.session, self.streams, self.step = state, session, streams, step
        self.count, self.problems = count, problems
        self.encoded: dict[tuple[tuple[int, ...], bytes], Picture] = {}
        self.views = {name: to_bytes(view.images[:count]) for name, view in step.views.items()}
        entries = [entry for entry in state.hooks.entries if {"mix", "perturb_batch"} & set(hooks_of(entry.plugin))]
        self.copies = {entry.name: replace(entry, plugin=deepcopy(entry.plugin)) for entry in entries}

    def encode(self, images: Iterable[Image]) -> list[Picture]:
        """Images as they are kept; the same pixels are encoded once."""
        made = []
        for image in images:
            known = (image.shape, image.tobytes())
            if known not in self.encoded:
                self.encoded[known] = encode(image)
            made.append(self.encoded[known])
        return made

    def taken(self) -> GenerationPictures:
        """All pictures of the generation."""
        mixed = self._mixed()
        batches = {batch.stream: batch for batch in self.step.batches}
        streams = {stream.name: self._stream(stream, batches[stream.name], mixed) for stream in self.streams}
        return GenerationPictures(generation=self.state.cfg.index, streams=streams, **self._labels())

    # The first rows of a step -------------------------------------------------------------------------------------

    def _stream(self, stream: StreamLoader, batch: Batch, mixed: dict[str, Image]) -> StreamPictures:
        rows = batch.index[: self.count].numpy()
        originals = stream.read(rows)
        views = [self._view(maker, batch, originals, mixed) for maker in stream.views]
        return StreamPictures(name=stream.name, rows=self._rows(stream, batch, rows, originals), views=views)

    def _rows(self, stream: StreamLoader, batch: Batch, rows: Rows, originals: list[Image]) -> list[Row]:
        origin, index = stream.origin[rows], stream.index[rows]
        if stream.name == "unlabeled":
            origin = np.ones_like(origin)
        label, confidence, kept = self._targets(batch, len(rows))
        made = []
        for i, picture in enumerate(self.encode(originals)):
            images = self.session.data.unlabeled if origin[i] else self.session.data.labeled
            assert images is not None
            truth = int((self.session.data.hidden_truth if origin[i] else images.truth)[index[i]])
            made.append(
                Row(
                    id=images.ids[int(index[i])],
                    split="unlabeled" if origin[i] else "labeled",
                    label=class_name(self.session.data, label[i]),
                    confidence=confidence[i],
                    kept=kept[i],
                    truth=class_name(self.session.data, truth),
                    outside=truth == OUTSIDE,
                    original=picture,
                )
            )
        return made

    def _targets(self, batch: Batch, count: int) -> tuple[list[int], list[float | None], list[bool]]:
        """Labels (`UNKNOWN` where there are none), confidences, and whether they teach."""
        if batch.truth is not None:
            return batch.truth[:count].tolist(), [None] * count, [True] * count
        if batch.targets is None:
            return [UNKNOWN] * count, [None] * count, [True] * count
        targets = batch.targets.rows(slice(0, count))
        label = targets.label
        return label.tolist(), targets.raw.gather(1, label[:, None])[:, 0].tolist(), targets.kept.tolist()

    def _labels(self) -> dict[str, Any]:
        stored, data = self.state.stored, self.session.data
        if stored is None or data.unlabeled is None:
            return {}
        labels = PoolPictures(self.session.run, self.state.cfg.index, stored, data)
        return labels.taken(self.count, self.encode)

    # What noise does ----------------------------------------------------------------------------------------------

    def _view(self, maker: ViewMaker, batch: Batch, originals: list[Image], mixed: dict[str, Image]) -> ViewPictures:
        name = maker.spec.name
        noises = self._noises(maker)
        return ViewPictures(
            name=name,
            size=maker.spec.size,
            models=self._models(name),
            noises=noises,
            images=self.encode(self.views[name]),
            alone=self._alone(maker, noises, batch, originals),
            mixed=self.encode(mixed[name]) if name in mixed else None,
        )

    def _noises(self, maker: ViewMaker) -> list[str]:
        """The plugins that act on a view's images: transforms come first, whatever their place."""
        moving = [plugin_of(name) for name, _ in maker.transforms]
        on = [n for n, e in self.copies.items() if "perturb_batch" in hooks_of(e.plugin) and maker.spec.name in e.on]
        return list(dict.fromkeys(moving + on))

    def _models(self, view: str) -> list[str]:
        """Who looks at a view at each step."""
        state = self.state
        off = [table for table in state.cfg.passes if table not in state.passes_at_steps()]
        models = [table.model for table in state.plan if view in table.views and table not in off]
        labels = state.label_timing and view in state.asked_by("labeler")
        return list(dict.fromkeys([*models, *(["teacher"] if labels else [])]))

    def _alone(
        self, maker: ViewMaker, noises: list[str], batch: Batch, originals: list[Image]
    ) -> dict[str, list[Picture]]:
        """What each noise does by itself. Where one cannot, none is shown, and that is said."""
        try:
            return {noise: self.encode(self._by(noise, maker, batch, originals)) for noise in noises}
        except Exception as error:
            self.problems.append(f"view `{maker.spec.name}`, each noise alone: {told(error)}")
            return {}

    def _by(self, noise: str, maker: ViewMaker, batch: Batch, originals: list[Image]) -> Image:
        """The rows of a view with the noise of one plugin, by the draws of the step: (M, size, size, C)."""
        own = [(name, deepcopy(transform)) for name, transform in maker.transforms if plugin_of(name) == noise]
        rows = len(originals)
        made = replace(maker, transforms=own)(originals, batch.position[:rows].numpy())
        if noise not in self.copies or not self._perturbs(noise, maker.spec.name):
            return made
        # Draws may depend on how many rows there are: as many as in the step, the first ones again and again.
        again = torch.arange(len(batch.index)) % rows
        spec = ViewSpec(maker.spec.name, maker.spec.stream, made.shape[1], made.shape[3])
        images = to_floats(torch.from_numpy(made), self.state.device)[again]
        hooks = Hooks([self.copies[noise]])
        return to_bytes(hooks.perturb_batch(images, spec, self.step.progress)[:rows])

    def _perturbs(self, noise: str, view: str) -> bool:
        entry = self.copies[noise]
        return "perturb_batch" in hooks_of(entry.plugin) and view in entry.on

    def _mixed(self) -> dict[str, Image]:
        """Views that plugins mix, as they leave them, by the targets that the step has made."""
        mixers = [entry for entry in self.copies.values() if "mix" in hooks_of(entry.plugin)]
        if not mixers:
            return {}
        after = Hooks(mixers).mix(self.step).views
        changed = [name for name, view in self.step.views.items() if after[name] is not view]
        return {name: to_bytes(after[name].images[: self.count]) for name in changed}


def plugin_of(transform: str) -> str:
    """The plugin that a transform of this name is of."""
    return transform.rpartition(".")[0]


def to_bytes(images: Tensor) -> Image:
    """(N, C, H, W) floats in 0-1 -> (N, H, W, C) uint8 on the CPU."""
    rounded = images.detach().float().mul(255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())
