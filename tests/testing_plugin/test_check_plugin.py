"""`check_plugin` accepts good plugins of every hook, and catches a bad one for each promise it checks."""

import random
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from sslkit import (
    Batch,
    Data,
    Event,
    Facts,
    Forward,
    Images,
    Labeled,
    LossTerm,
    Outputs,
    Progress,
    Step,
    Targets,
    View,
    ViewSpec,
    hookimpl,
)  # fmt: skip
from sslkit.errors import PluginError, SslkitError
from sslkit.hookspecs import SECTIONS, AnyHooks, hooks_of
from sslkit.randomness import uniform
from sslkit.testing import SPECS, PluginFault, check_plugin
from sslkit.testing.call import generators
from sslkit.testing.hooks import EXERCISES


def plugin(cls: type) -> type:
    """A plugin's usual decorator; the class gets a docstring, as these say everything by their names."""
    cls.__doc__ = cls.__doc__ or "A plugin."
    return dataclass(eq=False, kw_only=True)(cls)


# Good ones --------------------------------------------------------------------------------------------------------


@plugin
class Noise:
    strength: Annotated[float, Ge(0), Le(1)] = 0.5
    "How much."

    @hookimpl
    def model_kwargs(self, generation: int) -> dict[str, Any]:
        return {"drop_rate": self.strength * generation}

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Any]:
        return [self._shift]

    def _shift(self, images: Any, keys: Any) -> Any:
        return images + (uniform(keys, 1) * 9).astype(np.uint8)[:, :, None, None]

    @hookimpl
    def perturb_batch(self, images: Tensor, progress: Progress) -> Tensor:
        return images + self.strength * torch.randn(images.shape, generator=progress.torch())

    @hookimpl
    def mix(self, step: Step) -> Step:
        view = step.labeled.views["labeled"]
        return step.with_views(
            View("labeled", view.images.flip(0), step.labeled.targets_of("labeled").rows(torch.arange(3, -1, -1)))
        )


@plugin
class Crop:
    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list[Any]:
        def crop(images: Any, keys: Any) -> Any:
            return np.stack([np.resize(image, (view.size, view.size, view.channels)) for image in images])

        crop.resizes = True  # type: ignore[attr-defined]
        return [crop]


@plugin
class Labeler:
    momentum: Annotated[float, Ge(0), Le(1)] = 0.9
    "How slowly the threshold moves."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        self.threshold_ = torch.full((len(facts.classes),), 0.2)
        self.steps_ = 0

    @hookimpl
    def average(self, student: nn.Module) -> nn.Module:
        return deepcopy(student).requires_grad_(False)

    @hookimpl
    def make_teacher(self, previous: nn.Module | None) -> nn.Module:
        if previous is None:
            raise SslkitError("nobody teaches")
        return previous

    @hookimpl
    def label(self, batch: Batch, forward: Forward, on: tuple[str, ...]) -> Targets:
        return Targets.of(batch.index, forward(on[0]).logits.softmax(1))

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        if batch is None:
            raise SslkitError("works on steps only")
        self.threshold_ = self.momentum * self.threshold_ + (1 - self.momentum) * targets.probs.mean(0)
        self.steps_ += 1
        return replace(targets, weight=(targets.confidence > self.threshold_[targets.label]).float())

    @hookimpl
    def revise_labeled(self, labeled: Labeled, stored: Targets | None) -> Labeled:
        if stored is None:
            return labeled
        columns = torch.ones_like(stored.index), stored.index, stored.label
        return labeled.with_rows(*columns)

    @hookimpl
    def after_step(self, student: nn.Module, average: nn.Module) -> None:
        for old, new in zip(average.parameters(), student.parameters(), strict=True):
            old.data.lerp_(new.data, 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {"threshold": self.threshold_, "steps": self.steps_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.threshold_, self.steps_ = state["threshold"], state["steps"]


@plugin
class Loss:
    weight: float = 1.0
    "Weight."

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        return {"aux": nn.Linear(5, 3)}

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> list[LossTerm]:
        outputs, targets = forward(on[0]), step.batch_of(on[0]).targets_of(on[0])
        rows = nn.functional.cross_entropy(outputs.heads["aux"], targets.probs.detach(), reduction="none")
        return [LossTerm((rows * targets.weight.detach()).mean(), self.weight, "aux")]

    @hookimpl
    def decide(self, outputs: Outputs) -> Tensor:
        return outputs.heads["aux"]


@plugin
class StepShape:
    @hookimpl
    def build_model(self, facts: Facts, kwargs: dict[str, Any]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(kwargs["num_classes"]), nn.Dropout(0.5))

    @hookimpl
    def trainables(self, student: nn.Module) -> dict[str, nn.Module]:
        return {"twin": nn.Linear(3, 3)}

    @hookimpl
    def train_step(self, step: Step, forward: Forward, state: Any) -> list[LossTerm]:
        terms: list[LossTerm] = state.losses(step, forward)
        terms[0].value.backward()
        state.optimizer.step()
        state.optimizers["twin"].zero_grad()
        return terms


@plugin
class Source:
    path: str
    "Where it lies."

    @hookimpl
    def open_data(self, progress: Progress) -> Data:
        pixels = progress.numpy().integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
        images = Images([f"{self.path}/{i}" for i in range(6)], lambda rows: list(pixels[rows]), np.arange(6) % 2)
        return Data(("a", "b"), images, images)


@plugin
class Measurer:
    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        return progress.fraction

    @hookimpl
    def measure(self, stored: Targets | None) -> dict[str, Any]:
        return {"kept": None if stored is None else int(stored.kept.sum())}


@plugin
class Teller:
    @hookimpl
    def report(self, event: Event) -> None:
        self.told_ = event
        print(event.kind)


GOOD: list[tuple[type, dict[str, Any]]] = [
    (Noise, {}), (Crop, {}), (Labeler, {"momentum": 0.5}), (Loss, {"weight": -1}), (StepShape, {}),
    (Source, {"path": "here"}), (Measurer, {}), (Teller, {}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(("cls", "fields"), GOOD, ids=[cls.__name__ for cls, _ in GOOD])
def test_good_plugins_pass(cls: type, fields: dict[str, Any]) -> None:
    check_plugin(cls, **fields)


@plugin
class Filling:
    @hookimpl
    def begin(self) -> None:
        self.filled_ = 0

    @hookimpl
    def loss(self, forward: Forward) -> list[LossTerm]:
        return [LossTerm(forward("strong").logits.square().mean())] if self.filled_ > 9 else []

    @hookimpl
    def after_step(self) -> None:
        self.filled_ += 1

    def state_dict(self) -> dict[str, Any]:
        return {"filled": self.filled_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.filled_ = state["filled"]


@plugin
class Slow(Filling):
    @hookimpl
    def loss(self, forward: Forward) -> list[LossTerm]:
        return [LossTerm(forward("strong").logits.square().mean())] if self.filled_ > 99 else []


@plugin
class FillingInVain(Filling):
    @hookimpl
    def loss(self, forward: Forward) -> list[LossTerm]:
        return [LossTerm(forward("strong").logits.detach().square().mean())] if self.filled_ > 9 else []


def test_a_loss_may_wait_for_its_memory_to_fill() -> None:
    check_plugin(Filling)
    check_plugin(Slow)


def test_a_loss_that_waited_is_checked_when_it_comes() -> None:
    with pytest.raises(PluginFault, match="gives the student no gradient"):
        check_plugin(FillingInVain)


@plugin
class HeadAtTheTeacher:
    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        return {"own": nn.Linear(5, 2)}

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None, forward: Forward | None) -> Targets:
        if batch is None or forward is None:
            return targets
        return replace(targets, weight=targets.weight * (forward("weak").heads["own"][:, 0] > 0).float())


def test_every_model_has_the_heads() -> None:
    check_plugin(HeadAtTheTeacher)


def test_every_hook_has_an_exercise_and_a_good_example() -> None:
    specified = [name for group in (AnyHooks, *SECTIONS.values()) for name in vars(group) if not name.startswith("_")]
    assert sorted(SPECS) == sorted(specified)
    assert set(EXERCISES) == set(specified)
    assert {hook for cls, _ in GOOD for hook in hooks_of(cls)} == set(specified)


def test_an_instance_is_checked_with_its_own_fields(capsys: pytest.CaptureFixture[str]) -> None:
    check_plugin(Source(path="here"))
    check_plugin(Noise(strength=0.25), strength=0.75)
    with pytest.raises(PluginFault, match="cannot be made"):
        check_plugin(Noise(strength=7.0))
    check_plugin(Teller)
    assert capsys.readouterr().out == ""


def test_checking_leaves_shared_generators_alone() -> None:
    before = generators()
    check_plugin(Loss)
    assert generators() == before


def test_the_fault_is_an_assertion_and_a_plugin_error() -> None:
    assert issubclass(PluginFault, AssertionError)
    assert issubclass(PluginFault, PluginError)


# Bad ones: fields -------------------------------------------------------------------------------------------------


class NoDataclass:
    """No dataclass."""

    @hookimpl
    def scheduled(self) -> float:
        return 1.0


@dataclass(kw_only=True)
class ComparesByValue:
    """Two of them collide."""

    @hookimpl
    def scheduled(self) -> float:
        return 1.0


@dataclass(eq=False)
class Positional:
    """Not keyword-only."""

    rate: float = 1.0
    "A rate."

    @hookimpl
    def scheduled(self) -> float:
        return self.rate


@dataclass(eq=False, kw_only=True)
class NoDocstring:
    @hookimpl
    def scheduled(self) -> float:
        return 1.0


@plugin
class UndocumentedField:
    first: float = 1.0
    "Said."
    second: float = 1.0

    @hookimpl
    def scheduled(self) -> float:
        return self.first


@plugin
class ReservedField:
    enabled: bool = True
    "The recipe's own key."

    @hookimpl
    def scheduled(self) -> float:
        return 1.0


@plugin
class StateAsField:
    rate_: float = 1.0
    "Learned."

    @hookimpl
    def scheduled(self) -> float:
        return self.rate_


@plugin
class DefaultOutOfRange:
    rate: Annotated[float, Le(1)] = 2.0
    "A rate."

    @hookimpl
    def scheduled(self) -> float:
        return self.rate


@plugin
class UnknownAnnotation:
    rate: Callable[[int], float] = field(default=float)
    "TOML cannot say this."

    @hookimpl
    def scheduled(self) -> float:
        return 1.0


# Bad ones: signatures ---------------------------------------------------------------------------------------------


@plugin
class NoHook:
    def help(self) -> None:
        """Nothing."""


@plugin
class ForgottenMark:
    @hookimpl
    def scheduled(self) -> float:
        return 1.0

    def measure(self) -> dict[str, float]:
        return {}


@plugin
class UnknownHook:
    @hookimpl
    def refien(self, targets: Targets) -> Targets:
        return targets


@plugin
class UnknownArgument:
    @hookimpl
    def refine(self, target: Targets) -> Targets:
        return target


@plugin
class ArgumentWithDefault:
    @hookimpl
    def scheduled(self, progress: Progress | None = None) -> float:
        return 1.0


@plugin
class GivesOrder:
    @hookimpl(tryfirst=True)
    def scheduled(self) -> float:
        return 1.0


# Bad ones: answers ------------------------------------------------------------------------------------------------


@plugin
class Raises:
    @hookimpl
    def scheduled(self) -> float:
        return 1 / 0


@plugin
class RefusesAlways:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        raise SslkitError("not today")


@plugin
class LabelsLogits:
    @hookimpl
    def label(self, batch: Batch, forward: Forward, on: tuple[str, ...]) -> Targets:
        return Targets.of(batch.index, forward(on[0]).logits.exp())


@plugin
class LabelsFewer:
    @hookimpl
    def label(self, batch: Batch, forward: Forward, on: tuple[str, ...]) -> Targets:
        return Targets.of(batch.index[1:], forward(on[0]).logits[1:].softmax(1))


@plugin
class TargetsWithGradient:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        return replace(targets, weight=targets.weight * nn.Parameter(torch.ones(1)))


@plugin
class ChangesRaw:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        return replace(targets, raw=targets.probs.flip(0))


@plugin
class ChangesIndex:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        return targets.rows(torch.arange(len(targets.index)).flip(0))


@plugin
class NegativeWeight:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        return replace(targets, weight=targets.weight - 1)


@plugin
class ChangesInput:
    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        targets.weight.zero_()
        return targets


@plugin
class PromotesNobody:
    @hookimpl
    def revise_labeled(self, labeled: Labeled) -> Labeled:
        return replace(labeled, index=labeled.index + 1000)


@plugin
class SharesWeights:
    @hookimpl
    def average(self, student: nn.Module) -> nn.Module:
        return student


@plugin
class AverageWithGradients:
    @hookimpl
    def average(self, student: nn.Module) -> nn.Module:
        return deepcopy(student)


@plugin
class MovesTheStudent:
    @hookimpl
    def after_step(self, student: nn.Module) -> None:
        for parameter in student.parameters():
            parameter.data.mul_(0.9)


@plugin
class LossByRow:
    @hookimpl
    def loss(self, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        return LossTerm(forward(on[0]).logits.sum(1))


@plugin
class LossWithoutTerms:
    @hookimpl
    def loss(self) -> list[LossTerm]:
        return []


@plugin
class LossOfNothing:
    @hookimpl
    def loss(self, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        return LossTerm(forward(on[0]).logits.detach().mean())


@plugin
class LossNotFinite:
    @hookimpl
    def loss(self, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        return LossTerm(forward(on[0]).logits.mean() / 0)


@plugin
class LossThroughTargets:
    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        probs = step.batch_of(on[0]).targets_of(on[0]).probs
        return LossTerm(nn.functional.cross_entropy(forward(on[0]).logits, probs))


@plugin
class LossThroughWeight:
    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        weight = step.batch_of(on[0]).targets_of(on[0]).weight
        return LossTerm((forward(on[0]).logits.sum(1) * weight).mean())


@plugin
class LossWritesGradients:
    @hookimpl
    def loss(self, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        value = forward(on[0]).logits.mean()
        value.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return LossTerm(value)


@plugin
class MixesViewsAway:
    @hookimpl
    def mix(self, step: Step) -> Step:
        return replace(step, labeled=replace(step.labeled, views={}))


@plugin
class MixesInPlace:
    @hookimpl
    def mix(self, step: Step) -> Step:
        step.labeled.views["labeled"].images.zero_()
        return step


@plugin
class OtherShape:
    @hookimpl
    def perturb_batch(self, images: Tensor) -> Tensor:
        return images[:, :, 1:]


@plugin
class FloatTransform:
    @hookimpl
    def image_transforms(self) -> list[Any]:
        return [lambda images, keys: images / 255]


@plugin
class RowsTogether:
    @hookimpl
    def image_transforms(self) -> list[Any]:
        return [lambda images, keys: images[::-1]]


@plugin
class NotANumber:
    @hookimpl
    def measure(self) -> dict[str, Any]:
        return {"accuracy": float("nan")}


@plugin
class InfiniteFactor:
    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        return float("inf")


@plugin
class DoubleIds:
    @hookimpl
    def open_data(self) -> Data:
        image = np.zeros((4, 4, 3), np.uint8)
        return Data(("a",), Images(["x", "x"], lambda rows: [image for _ in rows], np.zeros(2, np.int64)))


@plugin
class FloatImages:
    @hookimpl
    def open_data(self) -> Data:
        image = np.zeros((4, 4, 3))
        return Data(("a",), Images(["x", "y"], lambda rows: [image for _ in rows], np.zeros(2, np.int64)))


@plugin
class WrongOrder:
    @hookimpl
    def open_data(self) -> Data:
        images = np.stack([np.full((4, 4, 3), i, np.uint8) for i in range(2)])
        return Data(("a",), Images(["x", "y"], lambda rows: list(images[np.sort(rows)]), np.zeros(2, np.int64)))


@plugin
class Silent:
    @hookimpl
    def report(self, event: Event) -> str:
        return event.kind


# Bad ones: randomness ---------------------------------------------------------------------------------------------


@plugin
class PythonRandom:
    @hookimpl
    def scheduled(self) -> float:
        return random.random()


@plugin
class NumpyRandom:
    @hookimpl
    def perturb_batch(self, images: Tensor) -> Tensor:
        return images + float(np.random.rand())


@plugin
class TorchRandom:
    @hookimpl
    def perturb_batch(self, images: Tensor) -> Tensor:
        return images + torch.rand(1)


@plugin
class SeedsTorch:
    @hookimpl
    def perturb_batch(self, images: Tensor) -> Tensor:
        torch.manual_seed(0)
        return images


@plugin
class RandomTransform:
    @hookimpl
    def image_transforms(self) -> list[Any]:
        return [lambda images, keys: images + np.random.randint(0, 9, images.shape).astype(np.uint8)]


@plugin
class FreshEntropy:
    @hookimpl
    def perturb_batch(self, images: Tensor) -> Tensor:
        return images + float(np.random.default_rng().random())


@plugin
class Clock:
    @hookimpl
    def scheduled(self) -> float:
        return time.perf_counter()


# Bad ones: state --------------------------------------------------------------------------------------------------


@plugin
class ChangesField:
    rate: float = 1.0
    "A rate."

    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        self.rate = progress.fraction / 2
        return self.rate


@plugin
class StateWithoutUnderscore:
    @hookimpl
    def begin(self) -> None:
        self.count = 0


@plugin
class StateNotSaved:
    @hookimpl
    def begin(self) -> None:
        self.count_ = 0


class Counting:
    """State that is right, to be spoiled."""

    @hookimpl
    def begin(self) -> None:
        self.count_ = 0

    @hookimpl
    def scheduled(self) -> float:
        self.count_ += 1
        return float(self.count_)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count_ = state["count"]


@plugin
class SavesOnly:
    @hookimpl
    def begin(self) -> None:
        self.count_ = 0

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count_}


@plugin
class NestedState(Counting):
    def state_dict(self) -> dict[str, Any]:
        return {"count": {"deep": self.count_}}


@plugin
class LoadsNothing(Counting):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@plugin
class SavesHalf(Counting):
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@plugin
class NeverResets(Counting):
    @hookimpl
    def begin(self) -> None:
        self.count_ = getattr(self, "count_", 0)


BAD: list[tuple[type, str]] = [
    (NoDataclass, "is no dataclass"),
    (ComparesByValue, "eq=False"),
    (Positional, "`rate` is positional"),
    (NoDocstring, "has no docstring"),
    (UndocumentedField, "`second` has no documentation"),
    (ReservedField, "`enabled` has a name that recipes reserve"),
    (StateAsField, "`rate_` is named like state"),
    (DefaultOutOfRange, "cannot be made"),
    (UnknownAnnotation, "cannot be made"),
    (NoHook, "implements no hook"),
    (ForgottenMark, "`measure` named like a hook"),
    (UnknownHook, "`refien` does not exist"),
    (UnknownArgument, "asks for `target`"),
    (ArgumentWithDefault, "gives `progress` a default"),
    (GivesOrder, "tryfirst"),
    (Raises, "hook `scheduled` raised ZeroDivisionError"),
    (RefusesAlways, "hook `refine` refuses: not today"),
    (LabelsLogits, "`raw` whose rows do not sum to 1"),
    (LabelsFewer, r"`index` of shape \(7,\); \(8,\) was expected"),
    (TargetsWithGradient, "`weight` with a gradient"),
    (ChangesRaw, "changed `raw`"),
    (ChangesIndex, "changed `index`"),
    (NegativeWeight, "`weight` below zero"),
    (ChangesInput, "changed targets in place"),
    (PromotesNobody, "rows that no split has"),
    (SharesWeights, "shares parameters"),
    (AverageWithGradients, "asks for gradients"),
    (MovesTheStudent, "moved the student's weights"),
    (LossByRow, "a scalar was expected"),
    (LossOfNothing, "gives the student no gradient"),
    (LossWithoutTerms, "gives the student no gradient"),
    (LossNotFinite, "value that is not finite"),
    (LossThroughTargets, "a gradient through the targets' probs"),
    (LossThroughWeight, "a gradient through the targets' weight"),
    (LossWritesGradients, "wrote gradients of parameters"),
    (MixesViewsAway, "left views out"),
    (MixesInPlace, "changed step in place"),
    (OtherShape, "answered torch.float32"),
    (FloatTransform, "a transform that answers float64"),
    (RowsTogether, "depends on more than image i and"),
    (NotANumber, "what JSON cannot hold"),
    (InfiniteFactor, "factor that is not finite"),
    (DoubleIds, "two images of one id"),
    (FloatImages, "uint8"),
    (WrongOrder, "not in the order asked for"),
    (Silent, "answered str; nothing was expected"),
    (PythonRandom, "Python's random"),
    (NumpyRandom, "numpy.random"),
    (TorchRandom, "torch's default generator"),
    (SeedsTorch, "torch's default generator"),
    (RandomTransform, "numpy.random"),
    (FreshEntropy, "answers differently for equal keys"),
    (Clock, "answers differently for equal keys"),
    (ChangesField, "changes its own fields"),
    (StateWithoutUnderscore, "keeps `count`"),
    (StateNotSaved, "learns `count_`"),
    (SavesOnly, "one of `state_dict` and `load_state_dict`"),
    (NestedState, "a flat dict"),
    (LoadsNothing, "does not bring back"),
    (SavesHalf, "some state is not in `state_dict`"),
    (NeverResets, "`begin` does not reset"),
]


@pytest.mark.parametrize(("cls", "problem"), BAD, ids=[cls.__name__ for cls, _ in BAD])
def test_bad_plugins_are_caught(cls: type, problem: str) -> None:
    with pytest.raises(PluginFault, match=problem) as caught:
        check_plugin(cls)
    assert str(caught.value).startswith(f"{cls.__name__}: ")


def test_fields_are_strict() -> None:
    for fields in ({"strength": "0.5"}, {"strength": True}, {"strenght": 0.5}, {"strength": 2}, {"strength": {1}}):
        with pytest.raises(PluginFault, match="Noise: cannot be made"):
            check_plugin(Noise, **fields)
    with pytest.raises(PluginFault, match="Source: cannot be made"):
        check_plugin(Source)


def test_on_says_which_views_a_plugin_is_tried_with() -> None:
    seen = []

    @plugin
    class Watcher:
        @hookimpl
        def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
            seen.append(on)
            return LossTerm(sum((forward(view).logits.mean() for view in on), torch.zeros(())))

    check_plugin(Watcher, on=("weak", "strong"))
    assert set(seen) == {("weak", "strong")}
