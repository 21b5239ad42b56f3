"""Any transform of the albumentations library, by name."""

from __future__ import annotations

import difflib
import inspect
import os
import random
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from sslkit import Image, Keys, SslkitError, Transform, ViewSpec, hookimpl

COLOURS = 3


def load_library() -> Any:
    """albumentations, which takes seconds to import and would ask a server for its newest version."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def transform_names(library: Any) -> list[str]:
    """Names of everything in the library that transforms an image."""
    abstract = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    found = inspect.getmembers(library, lambda x: inspect.isclass(x) and issubclass(x, library.BasicTransform))
    return [name for name, _ in found if name not in abstract]


def suggestion(name: str, known: list[str]) -> str:
    """Did you mean ... ?, or nothing."""
    close = difflib.get_close_matches(name, known, 1) or [k for k in known if k.lower() == name.lower()]
    return f"; did you mean `{close[0]}`?" if close else ""


def reasons(error: Exception) -> str:
    """What the library objects to, in one line: its own errors wrap a report of pydantic's."""
    if isinstance(error.__cause__, ValidationError):
        found = error.__cause__.errors()
        return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in found)
    return str(error)


def build(name: str, arguments: dict[str, Any]) -> Any:
    """The library's transform. Raises `SslkitError` for an unknown name or argument, or a value it does not take."""
    library = load_library()
    names = transform_names(library)
    if name not in names:
        hint = suggestion(name, names)
        raise SslkitError(f'albumentations: `transform = "{name}"` is none of the library\'s transforms{hint}')
    cls = getattr(library, name)
    known = [parameter for parameter in inspect.signature(cls).parameters if parameter != "strict"]
    for argument in arguments:
        if argument not in known:
            hint = suggestion(argument, known) or f"; it takes {', '.join(known)}"
            raise SslkitError(f"albumentations: {name} takes no argument `{argument}`{hint}")
    # Not strict, the library warns of what it cannot use and goes on with its defaults.
    owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
    strict = {"strict": True} if "InitSchema" in vars(owner) else {}
    try:
        return cls(**arguments, **strict)
    except Exception as error:
        raise SslkitError(f"albumentations: {name} does not take {arguments}: {reasons(error)}") from error


@dataclass(frozen=True, eq=False)
class Adapted:
    """One of the library's transforms, on a batch."""

    name: str
    transform: Any
    colours: int | None = None
    "How many channels it sees; None: all."

    def __call__(self, images: Image, keys: Keys) -> Image:
        """(N, H, W, C) uint8 -> the same; row i depends on its image and `keys[i]` alone."""
        made = np.empty_like(images)
        for row, key in enumerate(keys.tolist()):
            made[row] = self._one(images[row], key)
        return made

    def _one(self, image: Image, key: int) -> Image:
        # Left to itself the library draws the same in every data worker, and again in every epoch.
        self.transform.set_random_state(np.random.Generator(np.random.Philox(key=key)), random.Random(key))
        if self.colours is not None:
            rest = image[..., self.colours :]
            return np.dstack([Adapted(self.name, self.transform)._one(image[..., : self.colours].copy(), key), rest])
        try:
            made: Any = self.transform(image=image)["image"]
        except Exception as error:
            if image.shape[2] == COLOURS:
                raise
            raise SslkitError(
                f"albumentations: {self.name} does not take images of {image.shape[2]} channels: {error}"
            ) from error
        if getattr(made, "dtype", None) != np.uint8 or made.size != image.size or made.shape[:2] != image.shape[:2]:
            raise SslkitError(
                f"albumentations: {self.name} made {made.dtype} {tuple(made.shape)} of uint8 {image.shape}; only "
                "transforms that keep an image's shape and type can be used (flip_crop's `resized` crops and resizes)"
            )
        return np.asarray(made, np.uint8).reshape(image.shape)


@dataclass(eq=False, kw_only=True)
class Albumentations:
    """Perturb images by a transform of albumentations (Buslaev et al. 2020), with its own arguments.

    Each image's draws come from its key alone, so results do not depend on workers or batches. The library's own
    default applies most transforms to half of the images: `arguments = { p = 1.0 }` to all. Transforms that change an
    image's shape or type, or that want more than the image (boxes, masks, reference images), cannot be used. Those that
    change values alone leave the fourth channel, opacity, as it is.
    """

    transform: str
    "Name of the library's transform, such as GaussianBlur."
    arguments: dict[str, Any] = field(default_factory=dict)
    "Its arguments, by name."

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Transform]:
        """One transform. Raises `SslkitError` for an unknown name or argument, or channels that it does not take."""
        made = build(self.transform, self.arguments)
        values = isinstance(made, load_library().ImageOnlyTransform)
        adapted = Adapted(self.transform, made, COLOURS if values and view.channels > COLOURS else None)
        if view.channels != COLOURS:  # the first image that it is applied to may come late
            always = build(self.transform, {**self.arguments, "p": 1.0})
            trial = np.random.default_rng(0).integers(0, 256, (1, view.size, view.size, view.channels), dtype=np.uint8)
            replace(adapted, transform=always)(trial, np.zeros(1, np.uint64))
        return [adapted]
