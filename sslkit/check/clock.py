"""Times a few steps of a generation, so that a run's length is known before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch

from ..ahead import FORKS, load_steps
from ..dataset import Data, Images
from ..engine import train_step
from ..evaluation import make_classifier
from ..recipe.model import Recipe
from ..session import Session
from ..state import State
from ..streams import assemble, make_streams
from .seen import GenerationProbe, Seconds

TIMED = 3
"Steps that are timed, after those that were tried: what is loaded or compiled at first use is there by then."
ROWS = 256


def timed(state: State, session: Session) -> Seconds:
    """Steps as training takes them, and images as evaluation does."""
    loading, working = [], []
    steps = load_steps(make_streams(state, session.data), state.step, state.step + TIMED + 1, 0)
    for _ in range(TIMED + 1):  # the first one more: it may still be warming up
        began = time.perf_counter()
        arrays = next(steps)
        loaded = time.perf_counter()
        state.set_rate()
        train_step(state, assemble(state, arrays))
        settle(state.device)
        state.step = min(state.step + 1, state.cfg.settings.steps - 1)  # plugins know no step beyond the last
        loading.append(loaded - began)
        working.append(time.perf_counter() - loaded)
    workers = session.recipe.settings.workers if FORKS else 0
    load, work = median(loading[1:]), median(working[1:])
    return Seconds(step=max(load / workers, work) if workers else load + work, image=per_image(state, session))


def settle(device: torch.device) -> None:
    """Wait for what was asked of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def per_image(state: State, session: Session) -> float:
    """Seconds that evaluating an image takes."""
    split = session.data.test or session.data.validation or session.data.labeled
    few = [Images(split.ids[:rows], split.read, split.truth[:rows]) for rows in (2, ROWS)]
    model = make_classifier(state, session)
    model(few[0])
    began = time.perf_counter()
    model(few[1])
    return (time.perf_counter() - began) / len(few[1])


def generation_seconds(recipe: Recipe, found: Sequence[GenerationProbe], data: Data) -> list[float]:
    """How long each generation will take: its pool's labels, its steps, its evaluations."""
    held_out = sum(len(images) for name, images in data.splits.items() if name in ("validation", "test"))
    lengths = []
    for before, cfg, seen in zip([None, *found[:-1]], recipe.generations, found, strict=True):
        assert seen.seconds is not None
        pool = len(data.unlabeled) if data.unlabeled is not None and "pool" in seen.teachers else 0
        teacher = before.seconds if before is not None and before.seconds is not None else seen.seconds
        every, steps = cfg.settings.evaluate_every, cfg.settings.steps
        evaluations = int(np.ceil(steps / every)) if every else 1
        image = seen.seconds.image * held_out * evaluations
        lengths.append(pool * teacher.image + steps * seen.seconds.step + image)
    return lengths
