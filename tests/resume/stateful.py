"""Plugins that remember: one of each section, so that a resumed run must give every memory back."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sslkit import Data, Images, Labeled, LossTerm, Targets, View, global_mean, hookimpl

SIZE = 8


@dataclass(eq=False, kw_only=True)
class Blobs:
    """Three classes of blurred squares, every split tiny."""

    labeled: int = 9
    unlabeled: int = 40
    classes: int = 3

    @hookimpl
    def open_data(self, progress) -> Data:
        split = {"labeled": self.labeled, "unlabeled": self.unlabeled, "validation": 12, "test": 12}
        parts = {name: self._images(name, count, progress.numpy(name)) for name, count in split.items()}
        return Data(tuple("abcdefgh"[: self.classes]), **parts)

    def _images(self, name, count, generator) -> Images:
        truth = np.arange(count) % self.classes
        pixels = generator.integers(0, 120, (count, SIZE, SIZE, 3))
        for row, k in enumerate(truth):
            pixels[row, 2 * k : 2 * k + 3] += 90
        pixels = pixels.astype(np.uint8)
        return Images([f"{name}/{i}" for i in range(count)], lambda rows: list(pixels[rows]), truth)


class Net(nn.Module):
    """Convolution, batch-norm, dropout, classifier."""

    def __init__(self, classes: int, channels: int, drop: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(drop),
        )  # fmt: skip
        self.fc = nn.Linear(24, classes)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def forward(self, images):
        return self.fc(self.body(images))


@dataclass(eq=False, kw_only=True)
class Tiny:
    """Builds `Net`."""

    drop: float = 0.3

    @hookimpl
    def build_model(self, facts, kwargs) -> nn.Module:
        return Net(kwargs["num_classes"], kwargs["in_chans"], self.drop)


class Remembers:
    """State of every field that ends in `_`."""

    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state.keys() == self.state_dict().keys()
        vars(self).update(state)


@dataclass(eq=False, kw_only=True)
class Drift(Remembers):
    """Noise whose shift follows the images it has seen."""

    @hookimpl
    def begin(self, facts) -> None:
        self.shift_, self.calls_ = torch.zeros(facts.channels, 1, 1), 0

    @hookimpl
    def perturb_batch(self, images, progress):
        self.calls_ += 1
        self.shift_ = 0.9 * self.shift_ + 0.1 * images.mean((0, 2, 3)).view(-1, 1, 1)
        noise = torch.rand(images.shape, generator=progress.torch(str(self.calls_)))
        return (images + 0.2 * self.shift_ + 0.05 * noise).clamp(0, 1)


@dataclass(eq=False, kw_only=True)
class Carry(Remembers):
    """Mixes each step's labeled images with those of the step before."""

    @hookimpl
    def begin(self, facts) -> None:
        self.last_ = None

    @hookimpl
    def mix(self, step, on):
        views = []
        for name in on:
            images = step.batch_of(name).views[name].images
            if self.last_ is not None:
                images = 0.8 * images + 0.2 * self.last_
            self.last_ = images.mean(0)
            views.append(View(name, images))
        return step.with_views(*views)


@dataclass(eq=False, kw_only=True)
class Prior(Remembers):
    """Weights rows by how rare their class has been so far; in the pool and at steps."""

    @hookimpl
    def begin(self, facts) -> None:
        self.prior_ = torch.full((len(facts.classes),), 1 / len(facts.classes))

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        self.prior_ = 0.9 * self.prior_ + 0.1 * targets.raw.mean(0).cpu()
        return replace(targets, weight=targets.weight * (1.2 - self.prior_[targets.label]))


@dataclass(eq=False, kw_only=True)
class Promote(Remembers):
    """Adds the surest pseudo-labels to the labeled rows; one more each time it is asked."""

    @hookimpl
    def begin(self, facts) -> None:
        self.rounds_ = 3

    @hookimpl
    def revise_labeled(self, labeled: Labeled, stored: Targets | None) -> Labeled:
        if stored is None:
            return labeled
        self.rounds_ += 1
        best = stored.confidence.argsort(descending=True, stable=True)[: self.rounds_]
        added = (torch.ones_like(best), stored.index[best], stored.label[best])
        return labeled.with_rows(*added)


@dataclass(eq=False, kw_only=True)
class OwnTeacher:
    """A teacher of its own: a copy of the student that follows it by leaps."""

    @hookimpl
    def make_teacher(self, student: nn.Module) -> nn.Module:
        return deepcopy(student).requires_grad_(False)

    @hookimpl
    def after_step(self, student: nn.Module, teacher: nn.Module, progress) -> None:
        if progress.step % 3 == 0:
            with torch.no_grad():
                for old, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
                    old.copy_((0.5 * old + 0.5 * new) if old.is_floating_point() else new)


@dataclass(eq=False, kw_only=True)
class Adaptive(Remembers):
    """Cross-entropy on a head of its own and the classifier, divided by how large it has been."""

    weight: float = 1.0
    heads: bool = False

    @hookimpl
    def begin(self, facts) -> None:
        self.scale_, self.steps_ = 1.0, 0

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        return {"extra": nn.Linear(24, student.model.fc.out_features)} if self.heads else {}

    @hookimpl
    def loss(self, step, forward, on) -> LossTerm:
        values = []
        for view in on:
            targets, outputs = step.batch_of(view).targets_of(view), forward(view)
            for logits in [outputs.logits, *outputs.heads.values()]:
                rows = -(targets.probs * logits.log_softmax(1)).sum(1) * targets.weight
                values.append(global_mean(rows))
        value = sum(values) / self.scale_
        self.steps_ += 1
        self.scale_ = 0.9 * self.scale_ + 0.1 * float(value.detach())
        return LossTerm(value, self.weight)


@dataclass(eq=False, kw_only=True)
class Fading(Remembers):
    """A schedule that counts its own calls."""

    @hookimpl
    def begin(self, facts) -> None:
        self.calls_ = 0

    @hookimpl
    def scheduled(self, progress) -> float:
        self.calls_ += 1
        return 1 / (1 + 0.1 * self.calls_)


@dataclass(eq=False, kw_only=True)
class Counting(Remembers):
    """A metric that knows how often it was asked, over all generations."""

    @hookimpl
    def begin(self, facts) -> None:
        self.times_ = 0

    @hookimpl
    def measure(self, model, data) -> dict[str, float]:
        self.times_ += 1
        return {"times_measured": self.times_, "mean_probability": float(model(data.test).amax(1).mean())}


@dataclass(eq=False, kw_only=True)
class Ledger(Remembers):
    """A tracker that counts what it was told, and writes the count down at the end."""

    def __post_init__(self) -> None:
        self.told_: dict[str, int] = {}

    @hookimpl
    def report(self, event) -> None:
        if event.kind == "start":
            self.folder = Path(event.values["folder"])
        if event.kind in ("step", "evaluation", "generation", "end"):
            self.told_ = {**self.told_, event.kind: self.told_.get(event.kind, 0) + 1}
        if event.kind == "end":
            (self.folder / "ledger.json").write_text(json.dumps(self.told_))


@dataclass(eq=False, kw_only=True)
class Twin(Remembers):
    """A step of another shape: a second model, with an optimizer of its own, that learns from the student."""

    @hookimpl
    def begin(self, facts) -> None:
        self.agreement_ = torch.zeros(())

    @hookimpl
    def trainables(self, student, facts) -> dict[str, nn.Module]:
        return {"twin": deepcopy(student)}

    @hookimpl
    def train_step(self, step, forward, state) -> list[LossTerm]:
        terms = state.losses(step, forward)
        state.optimize(terms)
        twin, optimizer = state.trainables["twin"], state.optimizers["twin"]
        view = next(iter(step.labeled.views.values()))
        twin.set_mode(noise=False, batch_norm="batch", write_stats=True)
        target = forward(view).logits.detach().softmax(1)
        value = nn.functional.cross_entropy(twin(view.images).logits, target) * (1 + self.agreement_)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        self.agreement_ = 0.9 * self.agreement_ + 0.1 * value.detach()
        return [*terms, LossTerm(value, name="twin")]
