"""Exercises of hooks that build, extend and train models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..hookspecs import hooks_of
from ..types import LossTerm, Step, Targets
from .call import Call, Refusal, bits
from .world import CLASSES, SIZE, World

MOST = 12
"Steps in which a loss with state may answer a first term."


def build_model(call: Call, world: World) -> Any:
    """A module that answers (N, K)."""
    module = call(facts=world.facts, kwargs={"num_classes": len(CLASSES), "in_chans": 3})
    call.expect_type(module, nn.Module)
    logits = module.eval()(torch.zeros(2, 3, SIZE, SIZE))
    call.expect(
        tuple(logits.shape) == (2, len(CLASSES)), f"built a model that answers {tuple(logits.shape)}, not (N, K)"
    )
    return module


def extend_model(call: Call, world: World) -> Any:
    """Heads; every model has them from here on, each its own, as networks of a recipe have."""
    heads = call(student=world.student)
    call.expect_type(heads, dict)
    for head in heads.values():
        call.expect_type(head, nn.Module)
    for model in (world.average, world.previous):
        model.add_heads(deepcopy(heads))
    world.student.add_heads(heads)
    return heads


def trainables(call: Call, world: World) -> Any:
    """Further models."""
    models = call(student=world.student, facts=world.facts)
    call.expect_type(models, dict)
    for model in models.values():
        call.expect_type(model, nn.Module)
    return models


def loss(call: Call, world: World) -> Any:
    """Finite scalars that move the student and never the targets; each stream is tried.

    A loss with state may answer no term until its memory is full: further steps are then taken, `MOST` of them.
    """
    weights = list(world.student.parameters())
    answers, before, reached = [], bits(weights), False
    begun = world.step
    for number in range(MOST if hasattr(call.plugin, "state_dict") else 1):
        world.go_to(begun + number)
        for case, answer in call.attempts(_cases(call, world, later=number > 0)):
            call.expect_type(answer, LossTerm, list)
            for term in answer if isinstance(answer, list) else [answer]:
                check_term(call, term)
                reached |= _gradient(call, term.value, case["step"], weights)
                answers.append(term)
        if answers:
            break
    world.go_to(begun)
    call.expect(bits(weights) == before, "moved the student's weights")
    call.expect(all(w.grad is None for w in weights), "wrote gradients of parameters; use `torch.autograd.grad`")
    waits = not answers and hasattr(call.plugin, "state_dict")  # for a memory that takes longer to fill
    call.expect(reached or waits, "gives the student no gradient")
    return answers


def _cases(call: Call, world: World, later: bool) -> Iterator[dict[str, Any]]:
    """What a loss is given: a step for its streams, or for each. In a later one labels are refined before, and it ends."""
    hooks = hooks_of(call.plugin) if later else []
    for on in [call.on] if call.on else [("labeled",), ("strong",)]:
        step = world.training_step(gradient=True)
        assert step.unlabeled is not None and step.unlabeled.targets is not None
        given = {"step": step, "forward": world.forward(step), "on": on, "progress": world.progress}
        if "refine" in hooks:
            labels, forward = constants(step.unlabeled.targets), world.forward(step, labeling=True)
            with suppress(Refusal):  # it works with whole pools alone
                Call(call.plugin, "refine")(**{**given, "targets": labels, "batch": step.unlabeled, "forward": forward})
        yield given
        if "after_step" in hooks:
            models = {"student": world.student, "average": world.average, "teacher": world.previous}
            Call(call.plugin, "after_step")(**given, **models)


def check_term(call: Call, term: Any) -> None:
    """A finite scalar and its weight."""
    call.expect_type(term, LossTerm)
    call.expect_type(term.value, Tensor)
    call.expect(term.value.ndim == 0, f"answered a value of shape {tuple(term.value.shape)}; a scalar was expected")
    call.expect(bool(term.value.isfinite()), "answered a value that is not finite")
    call.expect(math.isfinite(term.weight), "answered a weight that is not finite")


def constants(targets: Targets) -> Targets:
    """Targets as labelers know them: without a gradient."""
    return replace(targets, **{name: getattr(targets, name).detach() for name in Targets.columns})


def _gradient(call: Call, value: Tensor, step: Step, weights: list[nn.Parameter]) -> bool:
    """Whether the student gets a gradient; targets must get none."""
    if not value.requires_grad:
        return False
    assert step.unlabeled is not None and step.unlabeled.targets is not None
    targets = step.unlabeled.targets
    leaves = {name: getattr(targets, name) for name in ("raw", "probs", "weight")}
    found = torch.autograd.grad(value, [*leaves.values(), *weights], allow_unused=True, retain_graph=True)
    moved = [gradient is not None and bool(gradient.any()) for gradient in found]
    through = [name for name, leaf in zip(leaves, moved, strict=False) if leaf]
    call.expect(not through, f"lets a gradient through the targets' {' and '.join(through)}: detach them")
    return any(moved[len(leaves) :])


def train_step(call: Call, world: World) -> Any:
    """Terms for the log."""
    trainables = call.plugin.trainables if hasattr(call.plugin, "trainables") else None
    models = Call(call.plugin, "trainables")(student=world.student, facts=world.facts) if trainables else {}
    step = world.training_step()
    state = world.step_state(models)
    forward = world.training_forward(step, models)
    terms = call(step=step, forward=forward, state=state, progress=world.progress)
    call.expect_type(terms, list)
    for term in terms:
        check_term(call, term)
    return [terms, world.student, models]


def decide(call: Call, world: World) -> Any:
    """(N, K) logits."""
    outputs = world.student(torch.zeros(4, 3, SIZE, SIZE))
    logits = call(outputs=outputs, purpose="evaluation")
    call.expect_type(logits, Tensor)
    call.expect(
        tuple(logits.shape) == (4, len(CLASSES)), f"answered {tuple(logits.shape)}; (N, K) logits were expected"
    )
    return logits
