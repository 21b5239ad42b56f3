"""What a resolved recipe is: plain values, validated, one `Generation` after another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, MinLen, Unit

from .places import Table

LabelTiming = Literal["pool", "step", "both", "none"]
Stream = Literal["labeled", "unlabeled"]
ModelRole = Literal["student", "teacher", "average"]
Fit = Literal["crop", "squash", "pad"]
CLEAN = "clean"
"The built-in view without noise, for labeling and evaluation."


@dataclass(kw_only=True)
class BatchTable:
    """Rows of each stream in a step."""

    labeled: Annotated[int, Ge(1), Unit("images")] = 64
    "Labeled images in a step."
    unlabeled: Annotated[int, Ge(0), Unit("images")] = 0
    "Unlabeled images in a step; their ratio to the labeled ones is the papers' mu."


@dataclass(kw_only=True)
class Settings:
    """The recipe's own keys. A `[[generation]]` may override those of `GENERATION_KEYS`."""

    labels: LabelTiming = "none"
    "When pseudo-labels are made: for the whole pool before a generation, at each step, both, or not at all."
    init: Literal["scratch", "previous", "continue"] = "scratch"
    "What a generation starts from: fresh weights, the previous model's, or those with optimizer and average too."
    steps: Annotated[int, Ge(1), Unit("steps")]
    "Training steps of a generation."
    batch: BatchTable = field(default_factory=BatchTable)
    label_streams: list[Stream] = field(default_factory=lambda: ["unlabeled"])
    "Streams that are labeled at each step."
    corrections: str | None = None
    """CSV file (columns `id`, `label`) of classes that a person gave to images: they are labels, whatever the data says.
    An empty label: of none of the classes."""
    seed: Annotated[int, Ge(0)] = 0
    "Key of every random draw, the data split included."
    baseline: bool = True
    "Train a supervised model with as many steps as all generations together, for comparison."
    select: str = "validation_accuracy"
    "Metric by which the best step is selected; the larger the better."
    evaluate_every: Annotated[int, Ge(0), Unit("steps")] = 0
    "Steps between evaluations; 0 evaluates at each generation's end only."
    save_every: Annotated[int, Ge(0), Unit("steps")] = 0
    "Steps between checkpoints; 0 saves at each generation's end only."
    log_every: Annotated[int, Ge(1), Unit("steps")] = 10
    "Steps between log lines."
    pictures: Annotated[int, Interval(ge=0, le=64), Unit("images")] = 8
    """Images of each stream that a generation keeps small copies of in the run folder, for reports: as they are, and as
    the student sees them. 0 keeps none of any image."""
    label_batch: Annotated[int, Ge(1), Unit("images")] = 256
    "Images in a chunk when a pool is labeled or a split evaluated."
    label_top: Annotated[int, Ge(0), Unit("classes")] = 32
    """Where there are more classes than twice this, a pool's labels keep so many, the most probable, and the remainder,
    which is spread over the others. 0 keeps all."""
    workers: Annotated[int, Ge(0), Unit("processes")] = 1
    "Processes that make views; results do not depend on their number. None is started where they cannot be forked."
    precision: Literal["float32", "bfloat16"] = "float32"
    "Arithmetic of forward passes; bfloat16 by autocast."
    deterministic: bool = True
    "Use deterministic algorithms only; without them a resumed run may differ in its last bits."


GENERATION_KEYS = ("labels", "init", "steps", "batch", "label_streams", "evaluate_every", "save_every", "log_every")


@dataclass(kw_only=True)
class ModelTable:
    """`[model]` without `use`: a model of timm's."""

    name: str
    "timm's name of the model."
    size: Annotated[int, Ge(1), Unit("pixels")] | None = None
    "Pixels on a side that it sees; by default what timm says of the model."
    fit: Fit = "crop"
    """How an image of another shape becomes a square where no noise crops it, in labeling and evaluation: its centre; all
    of it, squashed; or all of it with a border of the normalisation's mean. timm's `crop_mode`, which calls them center,
    squash and border."""
    crop: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Share of an image that it then sees: of its shorter side, of both sides where squashed, of its longer side where
    padded. timm's `crop_pct`."""
    pretrained: bool = False
    "Start from timm's published weights, fetched from its hub once and kept; `weights`, where said, takes their place."
    weights: str | None = None
    """Start from a safetensors file, or from a folder with a `model.safetensors`; a path beside the recipe. The classifier
    may be of other classes, and is then fresh; a first convolution of colours is adapted to 1 or 4 channels."""
    freeze: list[str] = field(default_factory=list)
    """Layers that stay as they are, by the start of their parameters' names. They run as in evaluation: no noise inside,
    batch-norm by its running statistics, which are not written."""
    mean: Annotated[list[float], MinLen(1)] | None = None
    "Normalisation, for each channel; by default the model's own."
    std: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] | None = None
    "Normalisation, for each channel; by default the model's own."
    options: dict[str, Any] = field(default_factory=dict)
    "Further arguments of timm's `create_model`."

    @property
    def fetched(self) -> bool:
        """Whether it starts from timm's published weights: those of a file take their place."""
        return self.pretrained and not self.weights


@dataclass(kw_only=True)
class OptimizerTable:
    """`[optimizer]`: timm's factory."""

    name: str = "sgd"
    "timm's name of the optimizer."
    rate: Annotated[float, Gt(0)]
    "Learning rate, which schedules multiply."
    momentum: Annotated[float, Ge(0)] = 0.9
    "Momentum, where the optimizer has one."
    weight_decay: Annotated[float, Ge(0)] = 0.0
    "Weight decay."
    decay: Literal["kernels", "all_but_norm", "all"] = "kernels"
    "What decays: weights of convolutions and linear layers; their biases too; normalisation too."
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Factor on the rate from each layer to the one below, from the classifier down: 0.75 lets the layers next to the
    input move least. 1: all layers learn alike."""
    backbone: Annotated[float, Interval(gt=0, le=1)] = 1.0
    "Factor on the rate of everything but the classifier and the heads beside it; 0.1 is usual for pretrained models."
    clip: Annotated[float, Ge(0)] = 0.0
    "Largest norm of the gradient; 0 leaves it as it is."
    options: dict[str, Any] = field(default_factory=dict)
    "Further arguments of timm's `create_optimizer_v2`."


@dataclass(kw_only=True)
class ViewTable:
    """`[views.NAME]`: a set of images that the loader makes."""

    stream: Stream
    "The stream whose images it shows."
    fit: Fit | None = None
    "How an image of another shape becomes a square, where no noise does it: as for [model], whose it is by default."
    crop: Annotated[float, Interval(gt=0, le=1)] | None = None
    "Share of an image that is shown, where no noise crops it: as for [model], whose it is by default."


@dataclass(kw_only=True)
class PassTable:
    """`[[pass]]`: views that go through a model together, and how. None: the model's usual way."""

    model: ModelRole = "student"
    "The model."
    views: list[str]
    "Views that form one batch, in this order."
    batch_norm: Literal["batch", "running"] | None = None
    "Normalise by the batch's statistics (a student's usual way) or by the running ones (a teacher's)."
    write_stats: bool | None = None
    'Update the running statistics; only students do by default, and only with `batch_norm = "batch"`.'
    noise: bool | None = None
    "Dropout and stochastic depth; only students have them by default."


@dataclass(frozen=True, eq=False)
class Entry:
    """One plugin table, resolved: a fresh plugin and its reserved keys."""

    section: str
    name: str
    use: str
    plugin: Any
    on: tuple[str, ...] = ()
    "View names (noise, labeler, loss), or what a schedule drives."
    when: Literal["pool", "step"] | None = None
    "The label timing a labeler belongs to; None: whichever the recipe uses."


@dataclass(eq=False, kw_only=True)
class Generation:
    """One generation with its overrides applied."""

    index: int
    settings: Settings
    model: ModelTable | None
    "None where a model plugin builds it."
    model_size: int | None
    "Pixels on a side, where the recipe says it."
    optimizer: OptimizerTable
    views: dict[str, ViewTable]
    passes: list[PassTable]
    entries: Callable[[], list[Entry]]
    "Makes fresh plugins, in the recipe's order, sections in the order of `hookspecs.SECTIONS`."
    table: Table
    "What the recipe says of it, each key with its place: for what can be found wrong only later."


@dataclass(eq=False, kw_only=True)
class Recipe:
    """A whole recipe, validated."""

    name: str
    path: Path | None
    table: dict[str, Any]
    "The resolved recipe, every default filled in: written beside a run, accepted as a recipe again."
    settings: Settings
    generations: list[Generation]
    warnings: list[str] = field(default_factory=list)
    "What looks unintended, though it can be run."

    @property
    def hash(self) -> str:
        """A digest of everything that decides the result. Trackers and the name do not; files count by their content."""
        return hash_of(self.table)


def hash_of(table: dict[str, Any]) -> str:
    """`Recipe.hash` of a resolved table."""
    deciding = _without(LATER, {key: value for key, value in table.items() if key not in UNDECIDING})
    text = json.dumps(_by_content(deciding, table.get("files", {})), sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


UNDECIDING = ("tracker", "baseline", "workers", "log_every", "pictures", "files")
LATER: dict[str, Any] = {
    "label_top": Settings.label_top, "model": {"fit": ModelTable.fit},
    "optimizer": {"layer_decay": OptimizerTable.layer_decay, "backbone": OptimizerTable.backbone},
}  # fmt: skip
"Keys that recipes once did not have, and their defaults: with these a recipe is the one that it was, and is resumed."


def _without(later: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """A table without keys that only say their defaults."""
    inner = {key: _without(own, table[key]) for key, own in later.items() if isinstance(table.get(key), dict)}
    return {
        key: value
        for key, value in {**table, **inner}.items()
        if key not in later or key in inner or later[key] != value
    }


def _by_content(value: Any, files: dict[str, str]) -> Any:
    """A table with its files named by digest instead of path: the same recipe in another folder is the same."""
    if isinstance(value, dict):
        return {key: _by_content(item, files) for key, item in value.items()}
    if isinstance(value, list):
        return [_by_content(item, files) for item in value]
    if isinstance(value, str) and value:
        path, colon, name = value.rpartition(":")
        return files.get(value, files[path] + colon + name if path in files else value)
    return value
