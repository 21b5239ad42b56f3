"""One generation's models, optimizer and plugins: built afresh, saved as a tree, laid over again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoint import load_optimizer_state, optimizer_state
from .dataset import Data, Labeled
from .decay import decaying
from .errors import RecipeError, RunError
from .forward import Forward, Models
from .hooks import Hooks
from .network import Network, build_network, image_size
from .passes import plan_passes
from .randomness import key, seed_torch
from .recipe.model import CLEAN, Entry, Generation, OptimizerTable, PassTable, Stream
from .recipe.traits import trait
from .types import Facts, LossTerm, Outputs, Progress, Purpose, Step, Targets, ViewSpec


@dataclass(eq=False)
class State:
    """Everything that a training step reads or moves. Plugins of the `train_step` hook see it."""

    cfg: Generation
    hooks: Hooks
    facts: Facts
    seed: int
    student: Network
    optimizer: torch.optim.Optimizer
    average: Network | None = None
    previous: Network | None = None
    "The finished generation's model."
    teachers: dict[str, Network | None] = field(default_factory=dict)
    trainables: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[str, torch.optim.Optimizer] = field(default_factory=dict)
    labeled: Labeled | None = None
    stored: Targets | None = None
    step: int = 0
    selected: dict[str, Any] | None = None
    "The best step so far: its number, its metrics, its weights."
    select_checked: bool = False
    "Whether it is known that some metric answers what steps are selected by."
    evaluating: float = 0.0
    "Seconds in this process that its metrics took."
    rate: float = math.nan
    "The learning rate's factor at this step; none is set yet in a fresh state, or in one that a checkpoint fills."

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.facts.device

    @property
    def progress(self) -> Progress:
        """Where this generation stands."""
        return Progress(self.seed, self.cfg.index, self.step, self.cfg.settings.steps)

    @property
    def evaluated(self) -> Network:
        """What is evaluated, exported, and teaches next: the average where one is kept."""
        return self.average or self.student

    @property
    def teaches(self) -> bool:
        """Whether targets will be there: no labels are asked for (a loss may do without), or someone makes them."""
        return self.cfg.settings.labels == "none" or any(self.teachers.values())

    @property
    def label_timing(self) -> str | None:
        """`"step"` where labels are made at each step."""
        return "step" if self.teachers.get("step") is not None else None

    def forward(self, step: Step, timing: str = "step") -> Forward:
        """The passes of one step, or of one chunk of a pool."""
        models = Models(self.student, self.average, self.teachers.get(timing), self.trainables)
        return Forward(models, self.plan, step, self.device, self.cfg.settings.precision, timing)

    @cached_property
    def plan(self) -> list[PassTable]:
        """The passes: the recipe's, and one for the student views that losses ask for beside them."""
        return plan_passes(self.cfg.passes, list(dict.fromkeys(self.asked_by("loss"))))

    def asked_by(self, section: str) -> list[str]:
        """Views that plugins of a section name; of labelers, those that work at each step."""
        return [view for e in self.hooks.entries if e.section == section and e.when != "pool" for view in e.on]

    def decide(self, purpose: Purpose) -> Callable[[Outputs], Tensor]:
        """The logits that are gone by."""
        return partial(self.hooks.decide, purpose=purpose)

    def losses(self, step: Step, forward: Forward) -> list[LossTerm]:
        """The recipe's terms."""
        return self.hooks.loss(step, forward)

    def views(self) -> list[ViewSpec]:
        """Views that somebody asks for at a step: a loss, a pass, or a labeler at that timing."""
        asked = self.asked_by("loss") + [view for table in self.passes_at_steps() for view in table.views]
        if self.label_timing:
            asked += self.asked_by("labeler")
        streams = self.cfg.settings.label_streams if self.label_timing else []
        shown = [(name, s) for name in dict.fromkeys(asked) for s in self._streams_of(name, streams)]
        return [self.view_spec(name, stream, self.consumer(name)) for name, stream in shown]

    def _streams_of(self, name: str, labeled: list[Stream]) -> list[Stream]:
        return labeled if name == CLEAN else [self.cfg.views[name].stream]

    def consumer(self, view: str) -> Network:
        """The model that a step's view is made for: the student, or a teacher where nobody else looks at it."""
        seen = [name for table in self.plan if table.model == "student" for name in table.views]
        return self.student if view in seen else self.teachers.get("step") or self.student

    def passes_at_steps(self) -> list[PassTable]:
        """The recipe's passes that training runs: a teacher's, only where it labels at each step, or learns."""
        teaches = self.label_timing or "teacher" in self.trainables
        answers = {"student": True, "teacher": teaches, "average": teaches or self.average is not None}
        return [table for table in self.cfg.passes if answers[table.model]]

    def view_spec(self, name: str, stream: str, model: Network) -> ViewSpec:
        """A view as a model takes it."""
        return model.view_spec(name, stream, self.facts.channels, self.cfg.views.get(name))

    def optimize(self, terms: list[LossTerm], name: str = "student") -> None:
        """Move the student, or a further model of that name, down the weighted sum of its losses."""
        model = self.student if name == "student" else self.trainables[name]
        optimizer = self.optimizer if name == "student" else self.optimizers[name]
        total: Tensor = sum(term.value * term.weight for term in terms)  # type: ignore[assignment]
        if not total.requires_grad:
            names = ", ".join(f"`{term.name}`" for term in terms)
            raise RunError(
                f"generation {self.cfg.index}, step {self.step}: {names}: no loss has a gradient for the {name}"
            )
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        if clip := self.cfg.optimizer.clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()

    def set_rate(self) -> None:
        """Schedules first: the learning rate and every scheduled field of this step."""
        factor = self.hooks.schedule(self.progress)
        if factor != self.rate:
            for optimizer in [self.optimizer, *self.optimizers.values()]:
                for group in optimizer.param_groups:
                    group["lr"] = self.cfg.optimizer.rate * group.get("lr_scale", 1.0) * factor
        self.rate = factor

    # Saving -------------------------------------------------------------------------------------------------------

    def tree(self) -> dict[str, Any]:
        """Everything that a checkpoint holds of this generation."""
        return {
            "student": self.student.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "teachers": {timing: teacher.state_dict() for timing, teacher in self.own_teachers()},
            "optimizer": optimizer_state(self.optimizer, self.student),
            "trainables": {name: model.state_dict() for name, model in self.trainables.items()},
            "optimizers": {name: optimizer_state(o, self.trainables[name]) for name, o in self.optimizers.items()},
            "plugins": self.hooks.state(),
            "labeled": None if self.labeled is None else vars(self.labeled),
            "selected": self.selected,
        }

    def own_teachers(self) -> list[tuple[str, Network]]:
        """Teachers with weights that nothing else holds, by label timing."""
        known = (self.student, self.average, self.previous)
        return [(timing, one) for timing, one in self.teachers.items() if one is not None and one not in known]

    def load_models(self, tree: dict[str, Any]) -> None:
        """The models that learn, and the average."""
        self.student.load_state_dict(tree["student"])
        if self.average is not None and tree["average"] is not None:
            self.average.load_state_dict(tree["average"])
        for name, model in self.trainables.items():
            model.load_state_dict(tree["trainables"][name])

    def load_optimizers(self, tree: dict[str, Any], table: OptimizerTable) -> None:
        """Their optimizers' state; `table`: what made them."""
        self._load_optimizer(self.optimizer, self.student, tree["optimizer"], table)
        for name, model in self.trainables.items():
            self._load_optimizer(self.optimizers[name], model, tree["optimizers"][name], table)

    def _load_optimizer(self, own: torch.optim.Optimizer, model: nn.Module, saved: Any, table: OptimizerTable) -> None:
        # What the recipe changes since (a decay, a momentum) is the new generation's; what training moves goes on.
        was = own.param_groups if table == self.cfg.optimizer else make_optimizer(table, model).param_groups
        load_optimizer_state(own, model, saved, [dict(group) for group in was])

    def load(self, tree: dict[str, Any]) -> None:
        """Everything of a tree."""
        self.load_models(tree)
        self.load_optimizers(tree, self.cfg.optimizer)
        for timing, teacher in self.own_teachers():
            teacher.load_state_dict(tree["teachers"][timing])
        self.hooks.load_state(tree["plugins"], trackers=True)
        self.labeled = None if tree["labeled"] is None else Labeled(**tree["labeled"])
        self.selected = tree["selected"]


def make_optimizer(table: OptimizerTable, model: nn.Module) -> torch.optim.Optimizer:
    """Timm's factory, its complaints said in the recipe's terms."""
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    options = {"momentum": table.momentum, **table.options}
    try:
        optimizer: torch.optim.Optimizer = create_optimizer_v2(
            decaying(table, model), opt=table.name, lr=table.rate, weight_decay=table.weight_decay,
            filter_bias_and_bn=table.decay == "kernels", **options,
        )  # fmt: skip
    except (AssertionError, ValueError, TypeError, RuntimeError) as error:
        raise RecipeError(f"[optimizer] {table.name}: timm refuses it ({error})") from error
    return optimizer


def facts_of(cfg: Generation, data: Data, device: torch.device) -> Facts:
    """What plugins may know."""
    counts = tuple(int((data.labeled.truth == k).sum()) for k in range(len(data.classes)))
    return Facts(
        classes=data.classes,
        class_counts=counts,
        sizes={name: len(images) for name, images in data.splits.items()},
        batch={"labeled": cfg.settings.batch.labeled, "unlabeled": cfg.settings.batch.unlabeled},
        image_size=image_size(cfg),
        channels=data.channels,
        device=device,
    )


def fresh_state(
    cfg: Generation, entries: list[Entry], facts: Facts, seed: int, previous: Network | None, last: State | None
) -> State:
    """A generation at its step 0. `previous`: the finished generation's model; `last`: all that it left."""
    hooks = Hooks(entries)
    seed_torch(key(seed, cfg.index, "model"), facts.device)
    student = build_network(cfg, hooks, facts)
    # Before averages and teachers are made: they may begin as copies of the student.
    if cfg.settings.init != "scratch" and previous is not None:
        fit_into(student, last.student if cfg.settings.init == "continue" and last else previous, cfg.settings.init)
    average = hooks.average(student)
    state = State(cfg, hooks, facts, seed, student, make_optimizer(cfg.optimizer, student), average, previous)
    state.trainables = {name: model.to(facts.device) for name, model in hooks.trainables(student, facts).items()}
    state.optimizers = {name: make_optimizer(cfg.optimizer, model) for name, model in state.trainables.items()}
    if cfg.settings.init == "continue" and last is not None:
        go_on(state, last)
    for timing in ("pool", "step"):
        if cfg.settings.labels in (timing, "both"):
            state.teachers[timing] = hooks.make_teacher(timing, student, average, previous)
    hooks.begin(facts, state.progress)
    if last is not None:  # what was learned about a student goes on only where the student does
        scratch = cfg.settings.init == "scratch"
        about = {entry.name for entry in entries if scratch and "student" in trait(entry.plugin.__class__, "about")}
        hooks.load_state({name: own for name, own in last.hooks.state().items() if name not in about})
    return state


def go_on(state: State, last: State) -> None:
    """`init = "continue"`: with the last generation's models and optimizers."""
    try:
        state.load_models(last.tree())
        state.load_optimizers(last.tree(), last.cfg.optimizer)
    except (RuntimeError, KeyError, ValueError) as error:
        raise RecipeError(
            f'generation {state.cfg.index}: `init = "continue"`, but what the generation before left does not fit '
            f"({type(error).__name__}: {error}). Keep the name and `decay` of [optimizer], and [step], as they were; or "
            'start from the weights alone: init = "previous"'
        ) from error


def fit_into(student: Network, previous: Network, init: str) -> None:
    """Start from the previous generation's weights."""
    try:
        student.load_state_dict(previous.state_dict())
    except RuntimeError as error:
        raise RecipeError(
            f'init = "{init}": the previous generation\'s model does not fit this one ({error}). '
            'Keep [model] as it was, or start from scratch: init = "scratch"'
        ) from error


def plugins_of(cfg: Generation) -> Hooks:
    """A generation's plugins for those who only ask: without the trackers, which would be told."""
    return Hooks([entry for entry in cfg.entries() if entry.section != "tracker"])
