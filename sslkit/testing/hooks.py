"""Calls each hook of a plugin in a tiny world, and checks the shapes, types and bounds of what it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any

from . import images, learning, teaching
from .call import Call
from .world import TinyClassifier, World


def _begin(call: Call, world: World) -> Any:
    call.expect_type(call(facts=world.facts, progress=replace(world.progress, step=0)), None)


def _scheduled(call: Call, world: World) -> Any:
    factors = [call(progress=replace(world.progress, step=step)) for step in range(world.progress.steps + 1)]
    for factor in factors:
        call.expect_type(factor, float, int)
        call.expect(math.isfinite(factor), "answered a factor that is not finite")
    return factors


def _measure(call: Call, world: World) -> Any:
    model, baseline = TinyClassifier(world.average), TinyClassifier(world.previous)
    end = replace(world.progress, step=world.progress.steps)
    answers = []
    for stored, other in ((world.targets(12), baseline), (None, None)):
        numbers = call(model=model, data=world.data, stored=stored, baseline=other, progress=end)
        call.expect_type(numbers, dict)
        try:
            json.dumps(numbers, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise call.fault(f"answered what JSON cannot hold: {error}") from error
        answers.append(numbers)
    return answers


def _report(call: Call, world: World) -> Any:
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        for event in world.events(folder):
            call.expect_type(call(event=event), None)


EXERCISES: dict[str, Callable[[Call, World], Any]] = {
    "open_data": images.open_data,
    "model_kwargs": images.model_kwargs,
    "build_model": learning.build_model,
    "extend_model": learning.extend_model,
    "average": teaching.average,
    "make_teacher": teaching.make_teacher,
    "trainables": learning.trainables,
    "begin": _begin,
    "label": teaching.label,
    "refine": teaching.refine,
    "revise_labeled": teaching.revise_labeled,
    "image_transforms": images.image_transforms,
    "scheduled": _scheduled,
    "perturb_batch": images.perturb_batch,
    "mix": images.mix,
    "loss": learning.loss,
    "train_step": learning.train_step,
    "after_step": teaching.after_step,
    "decide": learning.decide,
    "measure": _measure,
    "report": _report,
}
"How each hook is called, in the order of the loop."
