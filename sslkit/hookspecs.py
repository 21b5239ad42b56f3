"""The hooks: everything a plugin can do, in the order of the loop that calls them.

    data = open_data                                       # once
    rehearsal: build_model, average, make_teacher,         # of every generation, by plugins that are thrown away
        image_transforms, refine                           # (filters: what they do to labels of every confidence)
    for generation in recipe:
        student = build_model(model_kwargs), extend_model  # from scratch, or from the previous generation
        average(student), trainables(student), make_teacher(student, average, previous)
        begin                                              # every plugin; then a checkpoint's state is laid over it
        if labels are made for the whole pool:
            for chunk in the unlabeled split: label        # by the un-noised teacher, unless a pass says otherwise
            refine(the whole pool)                         # filters, balance, sharpening
        revise_labeled
        for step in generation:
            image_transforms(view)                         # in data workers: uint8 images, keyed by draw position
            scheduled                                      # "lr" and any plugin's field
            perturb_batch(images)                          # on the device, floats in 0-1
            if labels are made at each step: label, refine
            mix(step)                                      # rows with one another, after labels are made
            loss(step) ... backward, optimizer             # or train_step, for steps of another shape
            after_step                                     # the moving average moves
            measure, report                                # now and then, and at the generation's end

Four kinds of hook. *Slot*: one answer; a second implementer is a recipe error. *Fold*: each gets the last one's result.
*Collect*: every answer. *Notify*: none. Order is the recipe's. An implementation names only the arguments it needs; a
parameter with a default is refused (pluggy would never fill it).

Every hook that draws random numbers takes `progress` and draws from it alone. `on` holds the names of the views that the
plugin's table names (a stream there stands for all of its views).
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .dataset import Data, Labeled
    from .types import (
        Batch,
        Classifier,
        Event,
        Facts,
        Forward,
        LossTerm,
        Outputs,
        Progress,
        Purpose,
        Step,
        Targets,
        Transform,
        ViewSpec,
    )

hookspec = pluggy.HookspecMarker("sslkit")
hookimpl = pluggy.HookimplMarker("sslkit")


class AnyHooks:
    """Hooks of every section."""

    @hookspec
    def begin(self, facts: Facts, progress: Progress) -> None:
        """Notify. Before each generation, and before saved state is laid over it: make or reset state (`name_`).

        A plugin with state has `state_dict()` and `load_state_dict(state)`: a flat dict of tensors and JSON scalars. It
        goes on to the next generation's plugin of the same name. What was learned about the student, averages of its
        answers say, is to go only where the student goes on (`init`): the class says so, `about = ("student",)`.
        """


class DataHooks:
    """`[data]`: where images come from.

    A class may also have a static method `recognize(folder: Path) -> Recognized | None`, by which `sslkit init` finds the
    plugin that opens a folder, and its settings: `sslkit.Recognized` says how.
    """

    @hookspec
    def open_data(self, progress: Progress) -> Data:
        """Slot. Once per run. Splits depend on `progress.seed`; ids are stable; images are read when asked for.

        Raise `MissingData` (or let a `FileNotFoundError` rise) where the data is not there: `sslkit check` then composes
        without it. What the recipe asks of data that is there, and cannot have, is another `SslkitError`.
        """


class ModelHooks:
    """`[model]`: the network that learns."""

    @hookspec
    def build_model(self, facts: Facts, kwargs: dict[str, Any]) -> nn.Module:
        """Slot; timm's `create_model` where nobody implements it. (N, C, H, W) normalised floats -> (N, K) logits.

        `kwargs` are those of `model_kwargs`, with `num_classes` and `in_chans`. A module may say which layer is its
        classifier by timm's `get_classifier()`; heads read that layer's input. Its `pretrained_cfg`, where it has one, says
        `mean` and `std` of its images, as timm's does.
        """


class NoiseHooks:
    """`[[noise]]`: what perturbs images, the batch, or the model."""

    @hookspec
    def model_kwargs(self, generation: int) -> dict[str, Any]:
        """Collect, merged; two plugins must not set the same key. A student is built (`drop_rate`, ...)."""

    @hookspec
    def image_transforms(self, view: ViewSpec) -> list[Transform]:
        """Collect, concatenated. Once per view of `on` and generation; they run in data workers, on whole batches."""

    @hookspec
    def perturb_batch(self, images: Tensor, view: ViewSpec, progress: Progress) -> Tensor:
        """Fold. Each step, for each view of `on`, on the device. (N, C, H, W) floats in 0-1 -> the same shape."""

    @hookspec
    def mix(self, step: Step, on: tuple[str, ...], progress: Progress) -> Step:
        """Fold. Each step, after labels are made: replace or add views, and give them targets of their own."""


class LabelerHooks:
    """`[[labeler]]`: who teaches, what the targets are, and which of them count."""

    @hookspec
    def average(self, student: nn.Module) -> nn.Module | None:
        """Slot. A student is built: the moving average that accompanies it. It is then what is evaluated and teaches."""

    @hookspec
    def make_teacher(
        self, student: nn.Module, average: nn.Module | None, previous: nn.Module | None
    ) -> nn.Module | None:
        """Slot for each label timing. Generation start. `previous`: the finished generation's model, None in the first.

        A class whose teacher is the student itself says so, `teaches = "student"`: labelers then read the student's own
        passes, and no view of these may be mixed.
        """

    @hookspec
    def label(self, batch: Batch, forward: Forward, on: tuple[str, ...], progress: Progress) -> Targets:
        """Slot for each label timing. A chunk of the pool, or a batch of each stream that the recipe labels."""

    @hookspec
    def refine(
        self, targets: Targets, batch: Batch | None, forward: Forward | None, on: tuple[str, ...], progress: Progress
    ) -> Targets:
        """Fold. The whole pool once (`batch` and `forward` are None), or a step's batch. Answer new `Targets`.

        A pool of many classes keeps the most probable of each image only, unless the recipe says `label_top = 0`: change
        its rows by `targets.mapped(function)`; what needs all probabilities at once raises an error that says so.

        Its views may be of the other stream too: the teacher's answers to labeled images are a measure of its others.

        Class attributes (`ClassVar`) tell a recipe's checks more: what it goes by, `needs = ("confidence",)`; what its
        targets no longer tell, `loses = ("confidence",)`; the one label timing it works at, `timing = "pool"`. In any
        section, `needs = ("average",)` asks for a plugin that implements that hook.
        """

    @hookspec
    def revise_labeled(self, labeled: Labeled, stored: Targets | None, progress: Progress) -> Labeled:
        """Fold. Generation start: the rows of the labeled stream, e.g. with sure pseudo-labels promoted into it."""

    @hookspec
    def after_step(
        self, step: Step, forward: Forward, student: nn.Module, average: nn.Module | None, teacher: nn.Module | None,
        on: tuple[str, ...], progress: Progress,
    ) -> None:  # fmt: skip
        """Notify. After the optimizer has moved the student.

        A class that notes the student's answers to its views, image by image, says so, `remembers = ("answers",)`: no
        view of these may be mixed.
        """


class LossHooks:
    """`[[loss]]`: the terms of the objective."""

    @hookspec
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """Collect, merged. A student is built: heads on the classifier's input, (N, D) -> what the head answers."""

    @hookspec
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...], progress: Progress) -> LossTerm | list[LossTerm]:
        """Collect; the objective is the sum of `weight * value`. Each step, while every stream of `on` is there.

        Average with `sslkit.global_mean`: over all rows and all processes, filtered rows included. A class attribute
        `acts_on_hard = ("label_smoothing",)` names fields that do something to one-hot targets alone.
        """

    @hookspec
    def decide(self, outputs: Outputs, purpose: Purpose) -> Tensor:
        """Slot; the classifier's logits where nobody implements it: the (N, K) logits that are gone by.

        `purpose`: "evaluation", or the label timing, "pool" or "step". A head that is to be measured by its own answers
        need not teach the others: it answers `outputs.logits` where labels are made.
        """


class ScheduleHooks:
    """`[[schedule]]`: a number as a function of progress. `on` names what it drives: "lr" or "<plugin>.<field>"."""

    @hookspec
    def scheduled(self, progress: Progress) -> float:
        """Slot for each target. Before each step: the factor on the recipe's value."""


class StepHooks:
    """`[step]`: a training step of another shape, where losses on one student do not say it."""

    @hookspec
    def trainables(self, student: nn.Module, facts: Facts) -> dict[str, nn.Module]:
        """Slot. A student is built: further models to train. The engine places them, gives each an optimizer, saves them."""

    @hookspec
    def train_step(self, step: Step, forward: Forward, state: Any, progress: Progress) -> list[LossTerm]:
        """Slot. Replaces losses, backward and optimizer step; labels, mixing and `after_step` stay the engine's.

        `state.student`, `state.optimizer`, `state.trainables[name]` and `state.optimizers[name]` are there to be moved;
        `state.losses(step, forward)` are the recipe's terms; `state.optimize(terms, name)` moves a model down them, the
        student where no name is said. The answer is for the log.
        """


class MetricHooks:
    """`[[metric]]`: what is measured."""

    @hookspec
    def measure(
        self, model: Classifier, data: Data, stored: Targets | None, baseline: Classifier | None, progress: Progress
    ) -> dict[str, Any]:
        """Collect, merged. Generation end, and every so many steps. Numbers by name; `baseline` is the supervised model.

        A value may also be a text (a sentence is shown as a note), a table `{row: {column: value}}`, or a matrix
        `{"classes": [...], "matrix": [[...]]}` whose rows are the truth: `sslkit evaluate` shows these, lines of numbers
        leave them out. A name that begins with `test_` or `validation_` says the split.

        Tables of these shapes are drawn in reports, whatever they are called: a curve over an attack's strength
        `{epsilon: {"accuracy"}}`, errors `{corruption: {"1", ..., "5", "mean"}}`, flips `{perturbation: {"flips"}}`; and by
        name after the split: `reliability`, `{upper edge of a bin: {"images", "confidence", "accuracy"}}`, `per_class`,
        `{class: {"accuracy"}}`, and `confusion`, a matrix. `sslkit.tables.is_share` says which numbers are told in percent.
        """


class TrackerHooks:
    """`[[tracker]]`: who is told."""

    @hookspec
    def report(self, event: Event) -> None:
        """Notify. Start, labels, log interval, evaluation, generation end, warnings (a full disk), end, failure."""


SECTIONS: dict[str, type] = {
    "data": DataHooks,
    "model": ModelHooks,
    "noise": NoiseHooks,
    "labeler": LabelerHooks,
    "loss": LossHooks,
    "schedule": ScheduleHooks,
    "metric": MetricHooks,
    "tracker": TrackerHooks,
    "step": StepHooks,
}
"Recipe section -> its hooks. Where folds span sections they run in this order."

SINGLE = ("data", "model", "step")
"Sections that are one table; the others are lists."


def hooks_of(plugin: type | object) -> list[str]:
    """Names of the hooks that a plugin (or its class) implements."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return [name for name in dir(cls) if hasattr(getattr(cls, name, None), "sslkit_impl")]
