"""Exercises of hooks that say who teaches what."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..dataset import Labeled
from ..types import Batch, Step, Targets
from .call import Call, bits
from .world import CLASSES, VIEWS, World


def check_targets(call: Call, targets: Any, source: Targets | Batch) -> None:
    """Targets of the rows of `source`: probabilities, weights and copies in their bounds, constants."""
    call.expect_type(targets, Targets)
    rows = len(source.index)
    for name in Targets.columns:
        column = getattr(targets, name)
        shape = (rows, len(CLASSES)) if name in ("raw", "probs") else (rows,)
        call.expect(
            tuple(column.shape) == shape, f"answered `{name}` of shape {tuple(column.shape)}; {shape} was expected"
        )
        call.expect(not column.requires_grad, f"answered `{name}` with a gradient; targets are constants: detach it")
        call.expect(bool((column.isfinite() & (column >= 0)).all()), f"answered `{name}` below zero or not finite")
    for name in ("raw", "probs"):
        sums = getattr(targets, name).sum(1)
        call.expect(bool(((sums - 1).abs() < 1e-4).all()), f"answered `{name}` whose rows do not sum to 1")
    call.expect(torch.equal(targets.index, source.index), "changed `index`, which says whose rows these are")
    if isinstance(source, Targets):
        call.expect(
            torch.equal(targets.raw, source.raw), "changed `raw`, the teacher's own probabilities; change `probs`"
        )


def average(call: Call, world: World) -> Any:
    """A module of its own, without gradients; it is the average from here on."""
    module = call(student=world.student)
    call.expect_type(module, nn.Module, None)
    if module is not None:
        own = {id(parameter) for parameter in world.student.parameters()}
        shared = any(id(parameter) in own for parameter in module.parameters())
        call.expect(not shared, "answered a module that shares parameters with the student: copy it")
        call.expect(not any(p.requires_grad for p in module.parameters()), "answered a module that asks for gradients")
        world.average = module
    return module


def make_teacher(call: Call, world: World) -> Any:
    """A module or nothing; in a first generation a refusal will do."""
    first = {"student": world.student, "average": None, "previous": None}
    later = {"student": world.student, "average": world.average, "previous": world.previous}
    answers = [answer for _, answer in call.attempts([later, first])]
    for answer in answers:
        call.expect_type(answer, nn.Module, None)
    return answers


def label(call: Call, world: World) -> Any:
    """Targets of a chunk of a pool and of a step."""
    on = call.on or ("clean",)
    batch, forward = world.chunk(on)
    step = Step(world.batch("labeled", VIEWS["labeled"]), world.batch("unlabeled", VIEWS["unlabeled"]), world.progress)
    at_step = {"batch": step.unlabeled, "forward": world.forward(step, labeling=True), "on": call.on or ("weak",)}
    cases: list[dict[str, Any]] = [{"batch": batch, "forward": forward, "on": on}, at_step]
    answers = list(call.attempts(case | {"progress": world.progress} for case in cases))
    for case, targets in answers:
        check_targets(call, targets, case["batch"])
    return [targets for _, targets in answers]


def refine(call: Call, world: World) -> Any:
    """Targets of the same rows, for a whole pool and for a step."""
    pool = {"targets": world.targets(12), "batch": None, "forward": None, "on": call.on, "progress": world.progress}
    step = world.training_step()
    assert step.unlabeled is not None and step.unlabeled.targets is not None
    forward = world.forward(step, labeling=True)
    at_step = {
        "targets": step.unlabeled.targets,
        "batch": step.unlabeled,
        "forward": forward,
        "on": call.on,
        "progress": world.progress,
    }
    answers = list(call.attempts([pool, at_step]))
    for case, targets in answers:
        check_targets(call, targets, case["targets"])
    return [targets for _, targets in answers]


def revise_labeled(call: Call, world: World) -> Any:
    """Rows that exist, with and without stored labels."""
    sizes = torch.tensor([len(world.data.labeled), len(world.data.unlabeled or ())])
    answers = []
    for stored in (world.targets(12), None):
        rows = call(labeled=world.labeled_rows(), stored=stored, progress=world.progress)
        call.expect_type(rows, Labeled)
        call.expect(len(rows.origin) == len(rows.index) == len(rows.truth), "answered columns of different lengths")
        inside = (rows.origin >= 0).all() and (rows.origin <= 1).all() and (rows.index < sizes[rows.origin]).all()
        call.expect(bool(inside), "answered rows that no split has")
        call.expect(bool(((rows.truth >= 0) & (rows.truth < len(CLASSES))).all()), "answered classes that do not exist")
        answers.append(rows)
    return answers


def after_step(call: Call, world: World) -> Any:
    """Nothing; the average may move, the student may not."""
    step = world.training_step()
    before = bits(list(world.student.parameters()))
    answer = call(
        step=step, forward=world.forward(step), student=world.student, average=world.average, teacher=world.previous,
        on=call.on, progress=world.progress,
    )  # fmt: skip
    call.expect_type(answer, None)
    call.expect(bits(list(world.student.parameters())) == before, "moved the student's weights")
    return world.average
