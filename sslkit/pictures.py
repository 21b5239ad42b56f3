"""What a run keeps of its images, so that a report can show them when the data is gone.

RUN/pictures/generation-N/ is written once, right after the generation's first step, and never again. It holds a few
hundred kB at most, whatever the data: `images.safetensors`, all images one behind another, and `pictures.json`, which says
what each of them is. Read them by `load_pictures(run_folder)`:

- `streams["labeled"]`, `streams["unlabeled"]`: the first rows of that step, `rows[i]` with its id and label, and for each
  of `views` what a model really saw of these rows (`images[i]`), with one noise alone (`alone[noise][i]`), and after
  mixing (`mixed[i]`). A view with one noise has the same image twice: it is kept once.
- `changed`: images whose pseudo-label is another than in the generation before. Those that teach now come first, the most
  confident of each new class in turn.
- `wrong`: images that teach, and whose class is known to be another: the most confident. `unsure`: of those that teach,
  the least confident. Both only where there are pseudo-labels of the pool.

A `Picture` is a PNG where it is of 32 pixels at most, and then of the very pixels (of 4 channels, the colours alone). A
larger one is a JPEG of 96 pixels at most on its longer side. Where all would be more bytes than a folder may have, the
second half of every list is left out until they fit.

A folder that is damaged, or of a later version, comes with its `problem` and without pictures; nothing is raised. A
supervised baseline keeps none, and a run none whose recipe says `pictures = 0`, or that was made before there was this.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .artifacts import committed, damage, write_tensors
from .dataset import Image

FOLDER, IMAGES, INDEX = "pictures", "images.safetensors", "pictures.json"
FORMAT = 1
EXACT, SIDE = 32, 96
"Pixels on the longer side: up to which an image is kept as it is, and that a larger one is shrunk to."
QUALITY = 85
"Of JPEG."
BYTES = 50_000
"Of a folder's images, for each of the rows that the recipe asks for: 400 kB by default."


LISTS = ("changed", "wrong", "unsure")


@dataclass(frozen=True)
class Picture:
    """A small image, encoded."""

    data: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        """Its media type."""
        return "image/png" if self.data.startswith(b"\x89PNG") else "image/jpeg"

    @property
    def uri(self) -> str:
        """As it stands in a page."""
        return f"data:{self.kind};base64,{b64encode(self.data).decode()}"

    def array(self) -> Image:
        """(H, W, C) uint8 of 1 or 3 channels."""
        pixels = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("it is no image")
        made = pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]
        return np.ascontiguousarray(made, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Row:
    """An image of a stream in the first step."""

    id: str
    split: str
    "Where it lies: a pseudo-label may have brought an image of the unlabeled split into the labeled stream."
    label: str | None
    "What the losses go by: of the labeled stream the truth, else the pseudo-label; None: nobody labels this stream."
    confidence: float | None
    "The teacher's own probability of a pseudo-label's class."
    kept: bool
    "Whether it teaches; False: a filter took its pseudo-label out."
    truth: str | None
    "Its class, where that is known; of an image of none of the classes, None."
    outside: bool
    "Whether it is known to be of none of the classes."
    original: Picture


@dataclass(frozen=True, kw_only=True)
class ViewPictures:
    """One view of the rows of its stream, in their order."""

    name: str
    size: int
    "Pixels on a side, as the model sees it."
    models: list[str]
    "Who looks at it: student, teacher, average."
    noises: list[str]
    "Names of the plugins that act on its images, in their order; mixing is none of them."
    images: list[Picture]
    "As the loader and every noise on batches left it, before mixing."
    alone: dict[str, list[Picture]]
    "Noise -> the same rows with this noise alone, by the same draws. Empty where that could not be made."
    mixed: list[Picture] | None
    "After mixing; None where no plugin mixes this view."


@dataclass(frozen=True, kw_only=True)
class StreamPictures:
    """The first rows of a stream in the first step of a generation."""

    name: str
    rows: list[Row]
    views: list[ViewPictures]


@dataclass(frozen=True, kw_only=True)
class LabeledPicture:
    """An image with its pseudo-label."""

    id: str
    label: str
    confidence: float
    "The teacher's own probability of it."
    kept: bool
    truth: str | None
    "Its class, where that is known; of an image of none of the classes, None."
    outside: bool
    image: Picture
    before: str | None = None
    "Of `changed`: the label in the generation before, its confidence, and whether it taught."
    confidence_before: float | None = None
    kept_before: bool | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationPictures:
    """The pictures of one generation."""

    generation: int
    streams: dict[str, StreamPictures] = field(default_factory=dict)
    changed: list[LabeledPicture] = field(default_factory=list)
    wrong: list[LabeledPicture] = field(default_factory=list)
    unsure: list[LabeledPicture] = field(default_factory=list)
    problem: str | None = None
    "Why there are none to show, a sentence for a person; None: all is well."


def load_pictures(folder: Path) -> list[GenerationPictures]:
    """The pictures of a run folder, by generation; none where it keeps none. Nothing is raised: see `problem`."""
    places = [(re.fullmatch(r"generation-(\d+)", path.name), path) for path in (folder / FOLDER).glob("generation-*")]
    return [_loaded(number, path) for number, path in sorted((int(found[1]), path) for found, path in places if found)]


def _loaded(number: int, path: Path) -> GenerationPictures:
    try:
        if problem := damage(path):
            raise ValueError(problem)
        said = json.loads((path / INDEX).read_text())
        if said["format"] != FORMAT:
            return GenerationPictures(
                generation=number, problem=f"{path} is of a later version of sslkit: format {said['format']}"
            )
        tensors = load_file(path / IMAGES)
        ends, blob = tensors["ends"].tolist(), tensors["bytes"].numpy().tobytes()
        pictures = [Picture(blob[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
        return _made(number, _with_pictures(said["pictures"], pictures))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        what = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return GenerationPictures(generation=number, problem=f"{path} is damaged: {what}")


def _made(number: int, said: dict[str, Any]) -> GenerationPictures:
    streams = {
        name: StreamPictures(
            name=name,
            rows=[Row(**row) for row in stream["rows"]],
            views=[ViewPictures(**view) for view in stream["views"]],
        )
        for name, stream in said["streams"].items()
    }
    lists: dict[str, Any] = {kind: [LabeledPicture(**one) for one in said[kind]] for kind in LISTS}
    return GenerationPictures(generation=number, streams=streams, **lists)


def save_pictures(target: Path, pictures: GenerationPictures, most: int) -> None:
    """Write one generation's pictures, as many of them as take `most` bytes. Raises `RunError`, `DiskFull`."""
    kept: dict[bytes, int] = {}
    tree = _without_pictures(pictures, kept)
    while sum(map(len, kept)) > most and (fewer := halved(pictures)) != pictures:
        pictures, kept = fewer, {}
        tree = _without_pictures(pictures, kept)
    ends = torch.tensor(list(accumulate(map(len, kept))), dtype=torch.int64)
    blob = torch.frombuffer(bytearray(b"".join(kept)) or bytearray(1), dtype=torch.uint8)
    with committed(target) as aside:
        write_tensors(aside / IMAGES, {"ends": ends, "bytes": blob})
        (aside / INDEX).write_text(json.dumps({"format": FORMAT, "pictures": tree}, indent=1))


def halved(pictures: GenerationPictures) -> GenerationPictures:
    """The first half of every list of images."""

    def half(items: list[Any]) -> list[Any]:
        return items[: (len(items) + 1) // 2]

    def of_view(view: ViewPictures) -> ViewPictures:
        alone = {name: half(images) for name, images in view.alone.items()}
        return replace(view, images=half(view.images), alone=alone, mixed=view.mixed and half(view.mixed))

    streams = {
        name: replace(stream, rows=half(stream.rows), views=[of_view(view) for view in stream.views])
        for name, stream in pictures.streams.items()
    }
    lists: dict[str, Any] = {kind: half(getattr(pictures, kind)) for kind in LISTS}
    return replace(pictures, streams=streams, **lists)


def _without_pictures(value: Any, kept: dict[bytes, int]) -> Any:
    """A JSON value: each picture as its number among those that are kept."""
    if isinstance(value, Picture):
        return {"picture": kept.setdefault(value.data, len(kept))}
    if is_dataclass(value):
        return {part.name: _without_pictures(getattr(value, part.name), kept) for part in fields(value)}
    if isinstance(value, dict):
        return {key: _without_pictures(item, kept) for key, item in value.items()}
    return [_without_pictures(item, kept) for item in value] if isinstance(value, list) else value


def _with_pictures(value: Any, pictures: list[Picture]) -> Any:
    if isinstance(value, list):
        return [_with_pictures(item, pictures) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"picture"} and isinstance(value["picture"], int):
            return pictures[value["picture"]]
        return {key: _with_pictures(item, pictures) for key, item in value.items()}
    return value


def encode(image: Image) -> Picture:
    """An image (H, W, C) of any size as it is kept."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        made = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        image = np.asarray(made, np.uint8).reshape(*size[::-1], -1)
    pixels = image[..., 2::-1] if image.shape[2] >= 3 else image[..., :1]
    exact = max(height, width) <= EXACT
    how = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 3]) if exact else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    _, encoded = cv2.imencode(how[0], np.ascontiguousarray(pixels), how[1])
    return Picture(encoded.tobytes())
