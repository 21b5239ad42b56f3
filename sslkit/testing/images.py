"""Exercises of hooks that open, perturb and mix images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dataset import OUTSIDE, UNKNOWN, Data, Images
from ..randomness import row_keys
from ..types import Progress, Step
from .call import Call, bits
from .teaching import check_targets
from .world import SIZE, World


def open_data(call: Call, world: World) -> Any:
    """Splits with unique ids, known labeled classes, readable images."""
    data = call(progress=Progress(seed=world.step, plugin=world.name))
    call.expect_type(data, Data)
    for name, images in data.splits.items():
        call.expect(len(set(images.ids)) == len(images.ids), f"answered `{name}` with two images of one id")
        call.expect(len(images.truth) == len(images.ids) > 0, f"answered `{name}` empty, or `truth` of another length")
        low = {"labeled": 0, "unlabeled": OUTSIDE}.get(name, UNKNOWN)
        bounded = (images.truth >= low).all() and (images.truth < len(data.classes)).all()
        call.expect(bool(bounded), f"answered `{name}` with a class that does not exist")
        _check_images(call, name, images, data.channels)
    return data


def _check_images(call: Call, name: str, images: Images, channels: int) -> None:
    rows = np.array([len(images) - 1, 0])
    read, again = (call.guarded(images.read, order) for order in (rows, rows[::-1]))
    for image in read:
        fits = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
        call.expect(fits and image.shape[2] == channels, f"reads `{name}` not as (H, W, {channels}) uint8")
    call.expect(bits(read) == bits(again[::-1]), f"reads `{name}` not in the order asked for")


def model_kwargs(call: Call, world: World) -> Any:
    """Arguments by name, for two generations."""
    answers = [call(generation=generation) for generation in (0, 1)]
    for answer in answers:
        call.expect_type(answer, dict)
    return answers


def image_transforms(call: Call, world: World) -> Any:
    """Transforms of two views, each tried on its own."""
    made = []
    for view in world.views_of(*(call.on or ("weak", "strong"))):
        transforms = call(view=view)
        call.expect_type(transforms, list)
        made += [_transformed(call, transform, world) for transform in transforms]
    return made


def _transformed(call: Call, transform: Any, world: World) -> Any:
    """One transform's images: row i must depend on image i and key i alone."""
    pixels, keys = world.pixels(6), row_keys(world.step, np.arange(6))
    images = [image[: SIZE - 3 * (i % 2)] for i, image in enumerate(pixels)]

    def perturbed(rows: list[int]) -> Any:
        given = [images[i].copy() for i in rows] if getattr(transform, "resizes", False) else pixels[rows]
        made = call.guarded(transform, given, keys[rows])
        got = f"{getattr(made, 'dtype', type(made).__name__)} {getattr(made, 'shape', '')}"
        expected = (len(rows), SIZE, SIZE, 3)
        fits = isinstance(made, np.ndarray) and made.dtype == np.uint8 and made.shape == expected
        call.expect(fits, f"has a transform that answers {got}; uint8 {expected} was expected")
        return made.copy()

    whole = perturbed(list(range(6)))
    for rows in ([3, 0, 5, 1, 4, 2], [2], [4, 1]):
        alone = bits(perturbed(rows)) == bits(whole[rows])
        call.expect(alone, "has a transform whose row i depends on more than image i and keys[i]")
    return whole


def perturb_batch(call: Call, world: World) -> Any:
    """Images of the same shape."""
    images = torch.from_numpy(world.random.random((4, 3, SIZE, SIZE), np.float32))
    views = world.views_of(*(call.on or ("strong",)))
    made = [call(images=images.clone(), view=view, progress=world.progress) for view in views]
    for answer in made:
        call.expect_type(answer, Tensor)
        got = f"{answer.dtype} {tuple(answer.shape)}"
        fits = answer.shape == images.shape and answer.dtype == images.dtype
        call.expect(fits, f"answered {got}; {images.dtype} {tuple(images.shape)} was expected")
        call.expect(bool(answer.isfinite().all()), "answered pixels that are not finite")
    return made


def mix(call: Call, world: World) -> Any:
    """A step that keeps its views and streams."""
    before = world.training_step()
    step = call(step=before, on=call.on or ("labeled", "weak"), progress=world.progress)
    call.expect_type(step, Step)
    for old, batch in zip(before.batches, step.batches, strict=True):
        call.expect(set(old.views) <= set(batch.views), "left views out; others may ask for them")
        for name, view in batch.views.items():
            fits = view.images.shape[1:] == (3, SIZE, SIZE) and bool(view.images.isfinite().all())
            call.expect(fits and view.name == name, f"answered view `{name}` of another shape or name, or not finite")
            if view.targets is None:
                call.expect(len(view.images) == len(batch.index), f"gave view `{name}` other rows, but no targets")
            else:
                same = replace(batch, index=view.targets.index)
                check_targets(call, view.targets, same)
                call.expect(len(view.targets.index) == len(view.images), f"gave view `{name}` targets of other rows")
    return step
