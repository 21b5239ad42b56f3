"""The loop as one list: every hook is implemented, and each call is where `hookspecs` says it is."""

import sys
from itertools import groupby

from driving import run

from sslkit.hookspecs import SECTIONS, AnyHooks, hooks_of
from sslkit.recipe import load

ALL = """
from copy import deepcopy
from dataclasses import dataclass
import numpy as np
import torch
from torch import nn
from sslkit import Data, Images, LossTerm, Targets, hookimpl

LOG = []

def log(name, progress=None):
    LOG.append(name if progress is None else f"{name} {progress.generation}.{progress.step}")

@dataclass(eq=False, kw_only=True)
class MyData:
    @hookimpl
    def open_data(self, progress):
        log("open_data")
        def split(name, count):
            pixels = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
            return Images([f"{name}/{i}" for i in range(count)], lambda rows: list(pixels[rows]), np.arange(count) % 2)
        return Data(("a", "b"), split("labeled", 4), split("unlabeled", 6), split("validation", 3), split("test", 5))

class Net(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.fc = nn.Linear(channels, classes)
    def get_classifier(self):
        return self.fc
    def forward(self, images):
        return self.fc(images.mean((2, 3)))

@dataclass(eq=False, kw_only=True)
class MyModel:
    @hookimpl
    def build_model(self, facts, kwargs):
        log(f"build_model {sorted(kwargs)}")
        return Net(kwargs["num_classes"], kwargs["in_chans"])

@dataclass(eq=False, kw_only=True)
class MyNoise:
    @hookimpl
    def begin(self, facts, progress):
        log("begin", progress)
    @hookimpl
    def model_kwargs(self, generation):
        log(f"model_kwargs {generation}")
        return {"drop_rate": 0.5}
    @hookimpl
    def image_transforms(self, view):
        log(f"image_transforms {view.name}")
        def transform(images, keys):
            log(f"transform {view.name}")
            return images
        return [transform]
    @hookimpl
    def perturb_batch(self, images, view, progress):
        log(f"perturb_batch {view.name}", progress)
        return images
    @hookimpl
    def mix(self, step, on, progress):
        log(f"mix {list(on)}", progress)
        return step

@dataclass(eq=False, kw_only=True)
class Keeper:
    @hookimpl
    def average(self, student):
        log("average")
        return deepcopy(student).requires_grad_(False)
    @hookimpl
    def after_step(self, progress):
        log("after_step", progress)

@dataclass(eq=False, kw_only=True)
class Teacher:
    timing: str
    @hookimpl
    def make_teacher(self, average, previous):
        log(f"make_teacher {self.timing}")
        return average if self.timing == "step" else previous
    @hookimpl
    def label(self, batch, forward, on, progress):
        log(f"label {self.timing} {batch.stream} {list(on)}", progress)
        return Targets.of(batch.index, forward(on[0]).logits.softmax(1))
    @hookimpl
    def refine(self, targets, batch, progress):
        log(f"refine {self.timing} {len(targets.index)} rows", progress)
        return targets
    @hookimpl
    def revise_labeled(self, labeled, stored, progress):
        log(f"revise_labeled {self.timing} {'with' if stored else 'without'} a pool", progress)
        return labeled

@dataclass(eq=False, kw_only=True)
class MyLoss:
    weight: float = 1.0
    @hookimpl
    def extend_model(self, student):
        log("extend_model")
        return {"second": nn.Linear(student.model.get_classifier().in_features, 2)}
    @hookimpl
    def loss(self, step, forward, on, progress):
        log(f"loss {list(on)}", progress)
        return LossTerm(forward(on[0]).heads["second"].square().mean(), self.weight)
    @hookimpl
    def decide(self, outputs):
        log("decide")
        return outputs.heads["second"]

@dataclass(eq=False, kw_only=True)
class MySchedule:
    @hookimpl
    def scheduled(self, progress):
        log("scheduled", progress)
        return 1.0

@dataclass(eq=False, kw_only=True)
class MyStep:
    @hookimpl
    def trainables(self, student, facts):
        log("trainables")
        return {"other": nn.Linear(2, 2)}
    @hookimpl
    def train_step(self, step, forward, state, progress):
        log("train_step", progress)
        terms = state.losses(step, forward)
        state.optimize(terms)
        return terms

@dataclass(eq=False, kw_only=True)
class MyMetric:
    @hookimpl
    def measure(self, model, data, progress):
        log("measure", progress)
        return {"mine": float(model(data.test).mean())}

@dataclass(eq=False, kw_only=True)
class MyTracker:
    @hookimpl
    def report(self, event):
        log(f"report {event.kind}")
"""

RECIPE = """
pictures = 0  # for which copies of noise are called again
labels = "both"
steps = 1
batch = { labeled = 2, unlabeled = 3 }
baseline = false
workers = 0
log_every = 1
label_batch = 4
tracker = [{ use = "./all.py:MyTracker" }]
[data]
use = "./all.py:MyData"
[model]
use = "./all.py:MyModel"
size = 8
[optimizer]
rate = 0.1
[views.seen]
stream = "labeled"
[views.hidden]
stream = "unlabeled"
[[noise]]
use = "./all.py:MyNoise"
[[labeler]]
use = "./all.py:Keeper"
[[labeler]]
name = "far"
use = "./all.py:Teacher"
when = "pool"
timing = "pool"
[[labeler]]
name = "near"
use = "./all.py:Teacher"
when = "step"
timing = "step"
on = "hidden"
[[loss]]
use = "./all.py:MyLoss"
on = ["seen", "hidden"]
[[schedule]]
use = "./all.py:MySchedule"
on = "my_loss.weight"
[step]
use = "./all.py:MyStep"
[[metric]]
use = "./all.py:MyMetric"
[[generation]]
[[generation]]
"""

BUILT = ["model_kwargs {g}", "build_model ['drop_rate', 'in_chans', 'num_classes']", "extend_model"]
COMPOSED = [*BUILT, "average", "make_teacher pool", "make_teacher step"]
REHEARSED = [*COMPOSED, "image_transforms seen", "image_transforms hidden"]
STARTED = [*BUILT, "average", "trainables", "make_teacher pool", "make_teacher step", "begin {g}.0"]
TRAINED = [
    "revise_labeled pool {with} a pool {g}.0", "revise_labeled step {with} a pool {g}.0",
    "image_transforms seen", "image_transforms hidden",
    "transform seen", "transform hidden", "scheduled {g}.0",
    "perturb_batch seen {g}.0", "perturb_batch hidden {g}.0",
    "label step unlabeled ['hidden'] {g}.0", "decide", "refine step 3 rows {g}.0",
    "mix ['seen', 'hidden'] {g}.0", "train_step {g}.0", "loss ['seen', 'hidden'] {g}.0", "after_step {g}.0",
    "report step", "measure {g}.1", "decide", "report evaluation", "report generation",
]  # fmt: skip
LABELED = [
    "label pool unlabeled ['clean'] 1.0", "decide", "report labels",
    "label pool unlabeled ['clean'] 1.1", "decide", "report labels", "refine pool 6 rows 1.0", "report labels",
]  # fmt: skip


def told(lines, generation):
    return [line.format(g=generation, **{"with": "with" if generation else "without"}) for line in lines]


def test_the_whole_call_order(tmp_path):
    (tmp_path / "all.py").write_text(ALL)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = load(tmp_path / "recipe.toml")
    made = recipe.generations[0].entries()
    calls = sys.modules[type(made[0].plugin).__module__].LOG
    every = {name for spec in (AnyHooks, *SECTIONS.values()) for name in vars(spec) if name[0] != "_"}
    assert {hook for e in made for hook in hooks_of(e.plugin)} == every
    calls.clear()
    run(recipe, tmp_path)
    assert [name for name, _ in groupby(calls)] == [
        "open_data",
        *told(REHEARSED, 0), *told(REHEARSED, 1), "model_kwargs 0", "model_kwargs 1", "report rehearsal",  # what a later generation cannot build is said before the first
        *told(STARTED, 0), "report start", *told(TRAINED, 0),
        *told(BUILT, 0),  # the finished model, read from its artifact: it teaches the next
        *told(STARTED, 1), *LABELED, *told(TRAINED, 1), "report end",
    ]  # fmt: skip
