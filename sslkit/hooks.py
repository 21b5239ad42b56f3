"""One typed method per hook: calls plugins in the recipe's order, checks what they answer, names the one at fault.

Nothing else sees pluggy, but for its manager in `sslkit.manager`. It registers, validates names and signatures and knows
who implements what; the calls are made here, because each plugin gets randomness of its own and an error must name its
plugin.
"""

# mypy: disable-error-code="no-any-return"
# What a hook answers was checked when it came.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pluggy
from torch import Tensor, nn

from .answers import Call, check_alike, check_targets, checked, measured
from .dataset import Data, Labeled
from .errors import MostProbableOnly, RecipeError, SslkitError, told
from .manager import Manager
from .recipe.model import Entry
from .types import (  # fmt: skip
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

Where = Callable[[Entry], bool]
Model = TypeVar("Model", bound=nn.Module)


def at(timing: str) -> Where:
    """Plugins that work at a label timing."""
    return lambda entry: entry.when in (None, timing)


class Hooks:
    """The plugins of one generation."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self._base: dict[tuple[str, str], float] = {}
        manager = Manager()
        by_name = {entry.name: entry for entry in self.entries}
        try:
            for entry in self.entries:
                manager.register(entry.plugin, name=entry.name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise RecipeError(str(error)) from error
        self._calls = {
            hook: [Call(by_name[i.plugin_name], i.function, i.argnames) for i in caller.get_hookimpls()]
            for hook, caller in vars(manager.hook).items()
            if isinstance(caller, pluggy.HookCaller)
        }

    # The four kinds -----------------------------------------------------------------------------------------------

    def _answer(self, call: Call, hook: str, arguments: dict[str, Any]) -> Any:
        """What one plugin answers, with its own key, and those of its views that are there."""
        given = {name: arguments.get(name) for name in call.arguments}
        if "progress" in given:
            given["progress"] = replace(arguments["progress"], plugin=call.entry.name)
        if "on" in given:
            shown = arguments.get("step") or (arguments.get("batch") if hook == "label" else None)
            given["on"] = tuple(view for view in call.entry.on if shown is None or view in shown.views)
        try:
            return call.function(**given)
        except MostProbableOnly as error:
            raise call.fail(hook, f"cannot work with this pool's labels: {error}") from error
        except SslkitError:
            raise
        except Exception as error:
            raise call.fail(hook, f"raised {told(error)}") from error

    def _collect(
        self, hook: str, expected: type | tuple[type, ...], where: Where | None = None, **arguments: Any
    ) -> Iterator[tuple[Call, Any]]:
        """Every answer, and whose it is."""
        for call in self._calls[hook]:
            if where is None or where(call.entry):
                answer = self._answer(call, hook, arguments)
                yield call, checked(call, hook, answer, expected)

    def _slot(
        self, hook: str, expected: type | tuple[type, ...], default: Any = None, where: Where | None = None, **more: Any
    ) -> Any:
        """The one answer; that there is at most one implementer was checked with the recipe."""
        for _, answer in self._collect(hook, expected, where, **more):
            return answer
        return default

    def _fold(self, hook: str, name: str, value: Any, where: Where | None = None, **more: Any) -> Any:
        """Each plugin gets the last one's answer, and answers the same kind and shape of thing."""
        for call in self._calls[hook]:
            if where is None or where(call.entry):
                answer = checked(call, hook, self._answer(call, hook, {**more, name: value}), type(value))
                check_alike(call, hook, answer, value)
                value = answer
        return value

    def implements(self, hook: str) -> bool:
        """Whether any plugin answers a hook."""
        return bool(self._calls[hook])

    # One method per hook, in the order of the loop ----------------------------------------------------------------

    def begin(self, facts: Facts, progress: Progress) -> None:
        """Every plugin makes or resets its state."""
        for _ in self._collect("begin", type(None), facts=facts, progress=progress):
            pass

    def open_data(self, progress: Progress) -> Data:
        """The recipe's data."""
        return self._slot("open_data", Data, progress=progress)

    def build_model(self, facts: Facts, kwargs: dict[str, Any]) -> nn.Module | None:
        """A model plugin's module, if there is one."""
        return self._slot("build_model", nn.Module, facts=facts, kwargs=kwargs)

    def model_kwargs(self, generation: int) -> dict[str, Any]:
        """What noise plugins ask of the model's builder."""
        return self._merge("model_kwargs", generation=generation)

    def asks_for(self, name: str, generation: int = 0) -> str | None:
        """The plugin that sets an argument of the model's builder."""
        answers = self._collect("model_kwargs", dict, generation=generation)
        return next((call.entry.name for call, answer in answers if name in answer), None)

    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """Heads by name."""
        return self._merge("extend_model", student=student)

    def _merge(self, hook: str, **arguments: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        owner: dict[str, str] = {}
        for call, answer in self._collect(hook, dict, **arguments):
            for name in answer:
                if name in merged:
                    what = f"answers `{name}`, which `{owner[name]}` answers already"
                    raise call.fail(hook, f"{what}\n    leave one of them out, or set its `enabled = false`")
                owner[name] = call.entry.name
            merged.update(answer)
        return merged

    def image_transforms(self, view: ViewSpec) -> list[tuple[str, Transform]]:
        """The transforms of a view, each with a name that keys its randomness."""
        return [
            (f"{call.entry.name}.{i}", transform)
            for call, answer in self._collect("image_transforms", list, lambda e: view.name in e.on, view=view)
            for i, transform in enumerate(answer)
        ]

    def perturb_batch(self, images: Tensor, view: ViewSpec, progress: Progress) -> Tensor:
        """Images of one view after every plugin on it."""
        progress = replace(progress, scope=f"{progress.scope}/{view.stream}/{view.name}")
        return self._fold("perturb_batch", "images", images, lambda e: view.name in e.on, view=view, progress=progress)

    def mix(self, step: Step) -> Step:
        """The step after mixing."""
        return self._fold("mix", "step", step, progress=step.progress)

    def average(self, student: Model) -> Model | None:
        """The student's moving average, if one is kept: a copy of the student."""
        return self._slot("average", (type(student), type(None)), student=student)

    def make_teacher(self, timing: str, student: Model, average: Model | None, previous: Model | None) -> Model | None:
        """Who labels at this timing, a network as the student is; None in a first generation without a predecessor."""
        models = {"student": student, "average": average, "previous": previous}
        return self._slot("make_teacher", (type(student), type(None)), where=at(timing), **models)

    def label(self, timing: str, batch: Batch, forward: Forward, progress: Progress) -> Targets:
        """Fresh targets of a batch."""
        answers = self._collect("label", Targets, at(timing), batch=batch, forward=forward, progress=progress)
        for call, targets in answers:
            check_targets(call, "label", targets, len(batch.index), batch.classes)
            return targets
        raise RecipeError(f"labels are made by {timing}, but no labeler implements `label`")

    def refine(
        self, timing: str, targets: Targets, batch: Batch | None, forward: Forward | None, progress: Progress
    ) -> Targets:
        """Targets after every filter and refinement of this timing."""
        return self._fold("refine", "targets", targets, at(timing), batch=batch, forward=forward, progress=progress)

    def revise_labeled(self, labeled: Labeled, stored: Targets | None, progress: Progress) -> Labeled:
        """The labeled stream's rows."""
        return self._fold("revise_labeled", "labeled", labeled, stored=stored, progress=progress)

    def loss(self, step: Step, forward: Forward) -> list[LossTerm]:
        """Every term, named. A loss waits for its views: those of a stream that is off are not called."""
        ready: Where = lambda entry: step.views.keys() >= set(entry.on)  # noqa: E731
        terms: list[LossTerm] = []
        answers = self._collect("loss", (LossTerm, list), ready, step=step, forward=forward, progress=step.progress)
        for call, answer in answers:
            for term in answer if isinstance(answer, list) else [answer]:
                name = f"{call.entry.name}.{term.name}" if term.name else call.entry.name
                terms.append(LossTerm(term.value, term.weight, name))
        return terms

    def decide(self, outputs: Outputs, purpose: Purpose) -> Tensor:
        """The logits that evaluation and labeling use."""
        return self._fold("decide", "logits", outputs.logits, outputs=outputs, purpose=purpose)

    def schedule(self, progress: Progress) -> float:
        """Set every scheduled field to its value now; answer the learning rate's factor."""
        rate = 1.0
        plugins = {entry.name: entry.plugin for entry in self.entries}
        for call, factor in self._collect("scheduled", (float, int), progress=progress):
            for target in call.entry.on:
                if target == "lr":
                    rate = float(factor)
                    continue
                name, field = target.split(".")
                base = self._base.setdefault((name, field), getattr(plugins[name], field))
                setattr(plugins[name], field, base * factor)
        return rate

    def trainables(self, student: nn.Module, facts: Facts) -> dict[str, nn.Module]:
        """Further models of a step of another shape."""
        return self._slot("trainables", dict, {}, student=student, facts=facts)

    def train_step(self, step: Step, forward: Forward, state: Any) -> list[LossTerm] | None:
        """A step of another shape, if the recipe has one."""
        return self._slot("train_step", list, step=step, forward=forward, state=state, progress=step.progress)

    def after_step(
        self, step: Step, forward: Forward, student: nn.Module, average: nn.Module | None, teacher: nn.Module | None
    ) -> None:
        """The student has moved."""
        models = {"student": student, "average": average, "teacher": teacher}
        for call in self._calls["after_step"]:
            arguments = {"step": step, "forward": forward, "progress": step.progress, **models}
            checked(call, "after_step", self._answer(call, "after_step", arguments), type(None))

    def measure(
        self, model: Classifier, data: Data, stored: Targets | None, baseline: Classifier | None, progress: Progress
    ) -> dict[str, Any]:
        """Every metric's numbers."""
        known = {"model": model, "data": data, "stored": stored, "baseline": baseline, "progress": progress}
        return measured(self._merge("measure", **known))

    def report(self, kind: str, progress: Progress, **values: Any) -> None:
        """Tell every tracker."""
        for _ in self._collect("report", type(None), event=Event(kind, progress, values)):
            pass

    # State --------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, dict[str, Any]]:
        """The state of every plugin that has any, by its name in the recipe."""
        return {e.name: e.plugin.state_dict() for e in self.entries if hasattr(e.plugin, "state_dict")}

    def load_state(self, state: dict[str, dict[str, Any]], trackers: bool = False) -> None:
        """Give state back to the plugins of these names; others keep what `begin` made.

        Trackers see a whole run: only a checkpoint, where all of the run goes back, takes them back too.
        """
        for entry in self.entries:
            if entry.name in state and (trackers or entry.section != "tracker"):
                entry.plugin.load_state_dict(state[entry.name])
