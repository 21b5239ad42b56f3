"""Tries the losses of one step, before their schedules: each by itself where they are the recipe's own terms.

A step of another shape moves everything at once; of its terms only that is said which can be seen from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite, nan

import torch
from torch import Tensor, nn

from ..errors import PluginError
from ..forward import Forward
from ..state import State, make_optimizer
from ..types import LossTerm, Step

Gradients = list[Tensor | None]


class Trouble(StrEnum):
    """Why a loss teaches nothing."""

    WEIGHTLESS = "has weight 0"
    ZERO = "is zero"
    INFINITE = "is no finite number"
    CONSTANT = "gives the student no gradient"
    STEEP = "has a gradient that is no finite number"
    STILL = "moves no weight of the student"


@dataclass
class TermProbe:
    """What one loss did in the tried steps. Each number is of the first step in which it was finite and not zero."""

    name: str
    owner: str
    "The plugin that answers it."
    weight: float | None = nan
    "In the objective, before any schedule. None: a step of another shape answered it, and may mean anything by it."
    value: float = nan
    gradient: float | None = nan
    "Norm of the gradient that it gives the student, weight included. None: it was not measured."
    moved: bool | None = False
    "Whether the optimizer moves the student down it. None: a step of another shape moved the student by all at once."
    unjudged: str = ""
    "What could not be judged."

    @property
    def trouble(self) -> Trouble | None:
        """Why it teaches nothing, if it does not."""
        if self.weight == 0:
            return Trouble.WEIGHTLESS
        if not self.value or not isfinite(self.value):
            return Trouble.ZERO if self.value == 0 else Trouble.INFINITE
        if self.gradient == 0:
            return Trouble.CONSTANT
        if self.gradient is not None and not isfinite(self.gradient):
            return Trouble.STEEP
        return Trouble.STILL if self.moved is False else None

    @property
    def alive(self) -> bool:
        """Whether it teaches anything, as far as could be judged."""
        return self.trouble is None

    def see(self, term: LossTerm, gradient: float) -> None:
        """One more step's numbers."""
        self.weight = telling(self.weight, float(term.weight))
        self.value = telling(self.value, term.value.item())
        self.gradient = telling(self.gradient, gradient)


def telling(known: float | None, seen: float) -> float:
    """The first of two numbers that says that something is there."""
    return known if known and isfinite(known) else seen


def probes_of(terms: list[LossTerm], known: dict[str, TermProbe]) -> Iterator[TermProbe]:
    """What is known of each of a step's terms; those of one name are numbered, so that none hides another."""
    names: list[str] = []
    for term in terms:
        names.append(term.name)
        again = names.count(term.name)
        name = term.name if again == 1 else f"{term.name} ({again})"
        yield known.setdefault(name, TermProbe(name, term.name.partition(".")[0]))


# Losses, each by itself -----------------------------------------------------------------------------------------------


def try_terms(state: State, terms: list[LossTerm], known: dict[str, TermProbe]) -> None:
    """Look at each loss: value, gradient, whether the optimizer moves the student down it. Then go down all of them."""
    parameters = learning(state.student)
    gradients = [gradients_of(term, parameters) for term in terms]  # all of them before any weight moves
    for seen, term, own in zip(probes_of(terms, known), terms, gradients, strict=True):
        seen.see(term, norm(own))
        seen.moved = seen.moved or moves(state, own)
    total = [added(parts) for parts in zip(*gradients, strict=True)]
    if 0 < norm(total) < inf:
        descend(state.student, total, state.optimizer, state.cfg.optimizer.clip)


def learning(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def gradients_of(term: LossTerm, parameters: list[nn.Parameter]) -> Gradients:
    """The gradient of a term, weight included; None where it does not depend on a parameter. The graph stays."""
    if not term.value.requires_grad:
        return [None] * len(parameters)
    try:
        own = torch.autograd.grad(term.value, parameters, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        raise PluginError(f"loss `{term.name}`: its gradient cannot be computed ({error})") from error
    return [gradient if gradient is None else gradient * float(term.weight) for gradient in own]


def norm(gradients: Gradients) -> float:
    """The norm of all of them together."""
    known = [gradient for gradient in gradients if gradient is not None]
    return nn.utils.get_total_norm(known).item() if known else 0.0


def added(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    """A parameter's gradient from all terms."""
    known = [part for part in parts if part is not None]
    return torch.stack(known).sum(0) if known else None


def descend(student: nn.Module, gradients: Gradients, optimizer: torch.optim.Optimizer, clip: float = 0.0) -> None:
    """One step of the optimizer down given gradients."""
    for parameter, gradient in zip(learning(student), gradients, strict=True):
        parameter.grad = gradient
    if clip:
        nn.utils.clip_grad_norm_(student.parameters(), clip)
    optimizer.step()


def moves(state: State, gradients: Gradients) -> bool:
    """Whether a fresh optimizer (without another loss's momentum) moves the student; it is put back."""
    if not 0 < norm(gradients) < inf:
        return False
    before = weights(state.student)
    descend(state.student, gradients, make_optimizer(state.cfg.optimizer, state.student))
    with torch.no_grad():
        found = moved(state.student, before)
        for parameter, value in zip(state.student.parameters(), before, strict=True):
            parameter.copy_(value)
    return found


def weights(model: nn.Module) -> list[Tensor]:
    """A copy of them."""
    return [parameter.detach().clone() for parameter in model.parameters()]


def moved(model: nn.Module, before: list[Tensor]) -> bool:
    """Whether any weight is another than it was."""
    return any(not torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True))


# A step of another shape ----------------------------------------------------------------------------------------------


def try_step(state: State, step: Step, forward: Forward, known: dict[str, TermProbe], moving: dict[str, bool]) -> None:
    """Take a step of another shape as it is. What it moves is seen, but not which of its terms moves what."""
    models: dict[str, nn.Module] = {"student": state.student, **state.trainables}
    before = {name: weights(model) for name, model in models.items()}
    with watched(state, models, known):
        answered = state.hooks.train_step(step, forward, state) or []
    measured = {probe.name for probe in known.values() if probe.gradient is not None}
    others = [term for term in answered if term.name not in measured]
    for seen, term in zip(probes_of(others, known), others, strict=True):
        seen.value, seen.unjudged = telling(seen.value, term.value.item()), unjudged(term.value, models)
        seen.weight = seen.gradient = seen.moved = None
    for name, model in models.items():
        moving[name] = moving.get(name, False) or moved(model, before[name])


@contextmanager
def watched(state: State, models: dict[str, nn.Module], known: dict[str, TermProbe]) -> Iterator[None]:
    """Look at the recipe's losses whenever a step asks for them."""
    ask = state.losses
    parameters = [parameter for model in models.values() for parameter in learning(model)]

    def losses(step: Step, forward: Forward) -> list[LossTerm]:
        terms = ask(step, forward)
        if torch.is_grad_enabled():  # a step may also ask for what it only measures
            for seen, term in zip(probes_of(terms, known), terms, strict=True):
                seen.see(term, norm(gradients_of(term, parameters)))
                seen.moved, seen.unjudged = None, ""
        return terms

    vars(state)["losses"] = losses
    try:
        yield
    finally:
        del vars(state)["losses"]


def unjudged(value: Tensor, models: dict[str, nn.Module]) -> str:
    """What is not known of a term that a step answers when it has moved already."""
    names = reached(value, models)
    if names:
        return f"depends on the weights of {' and '.join(names)}; its gradient was not measured"
    return "without a gradient when it was answered, so whether it teaches cannot be judged"


def reached(value: Tensor, models: dict[str, nn.Module]) -> list[str]:
    """Models with weights that a value was computed from, by its graph, whose shape outlives the backward pass."""
    owner = {id(parameter): name for name, model in models.items() for parameter in learning(model)}
    todo, seen, found = [value.grad_fn], set(), set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found.add(owner.get(id(getattr(node, "variable", None))))
            todo += [below for below, _ in node.next_functions]
    return [name for name in models if name in found]
