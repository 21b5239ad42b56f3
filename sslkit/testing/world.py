"""A tiny world for checking plugins: every argument that a hook may ask for, small, and the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..dataset import Data, Image, Images, Labeled, Rows
from ..images.fitting import fitted
from ..network import Network
from ..types import Batch, Event, Facts, LossTerm, Outputs, Progress, Step, Targets, View, ViewSpec  # fmt: skip

CLASSES = ("ant", "bee", "cat")
SIZE = 16  # pixels on a side
ROWS = {"labeled": 4, "unlabeled": 8}
VIEWS = {"labeled": ("labeled",), "unlabeled": ("weak", "strong")}


class TinyModel(nn.Module):
    """A convolution, batch-norm and a classifier: everything that plugins look for in a model."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 5, 3, 2), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(5, len(CLASSES))

    def get_classifier(self) -> nn.Module:
        """As timm's models have it."""
        return self.head

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, K)."""
        answer: Tensor = self.head(self.body(images))
        return answer


def tiny_network(seed: int) -> Network:
    """A network with weights of its own; leaves torch's generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Network(TinyModel(), [0.5] * 3, [0.5] * 3, SIZE, len(CLASSES))


@dataclass(eq=False)
class TinyForward:
    """Answers views as the engine's passes do, cached by view and model; inside `label` the teacher's, detached."""

    step: Step
    models: Mapping[str, nn.Module]
    labeling: bool = False
    learning: frozenset[str] = frozenset({"student"})
    "Models whose answers carry a gradient."

    def __post_init__(self) -> None:
        self._answers: dict[tuple[View, str], Outputs] = {}

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        """One model's answer to one view."""
        role = model or ("teacher" if self.labeling else "student")
        if isinstance(view, str):
            view = self.step.batch_of(view).views[view]
        if (view, role) not in self._answers:
            with torch.set_grad_enabled(role in self.learning and not self.labeling):
                self._answers[view, role] = self.models[role](view.images)
        return self._answers[view, role]


class TinyClassifier:
    """A trained model as metrics see it."""

    device = torch.device("cpu")
    view = ViewSpec("clean", "evaluation", SIZE, 3)
    rows = 8
    "Images in a piece of a split."

    def __init__(self, network: Network) -> None:
        self.network = network.eval()

    def __call__(self, images: Images) -> Tensor:
        """(N, K) probabilities."""
        return torch.cat([self.answer(made) for _, made in self.batches(images)])

    def batches(self, images: Images, positions: Rows | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Positions (M,) and images (M, H, W, C) uint8."""
        wanted = np.arange(len(images)) if positions is None else positions
        for at in range(0, len(wanted), self.rows):
            position = wanted[at : at + self.rows]
            yield torch.from_numpy(position), torch.from_numpy(fitted(images.read(position), self.view))

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """(M, H, W, C) uint8 -> (M, K) probabilities."""
        return self.logits(images.permute(0, 3, 1, 2).float() / 255).softmax(1)

    def logits(self, images: Tensor) -> Tensor:
        """(M, C, H, W) floats in 0-1 -> (M, K)."""
        outputs: Outputs = self.network(images)
        return outputs.logits


@dataclass(eq=False, kw_only=True)
class World:
    """What the engine would hand to hooks at step `step` of ten; worlds of equal steps are equal, bit for bit."""

    name: str = "checked"
    step: int = 3

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.step)
        self.progress = Progress(seed=7, generation=1, step=self.step, steps=10, plugin=self.name)
        self.student, self.average, self.previous = (tiny_network(seed) for seed in (1, 2, 3))
        self.models = {"student": self.student, "average": self.average, "teacher": self.previous.eval()}
        self.facts = Facts(
            classes=CLASSES, class_counts=(2, 2, 2), sizes={n: len(s) for n, s in self.data.splits.items()},
            batch=ROWS, image_size=SIZE, channels=3, device=torch.device("cpu"),
        )  # fmt: skip

    def go_to(self, step: int) -> None:
        """Stand at another step of the same training."""
        self.step, self.progress = step, replace(self.progress, step=step)

    @cached_property
    def data(self) -> Data:
        """Every split, images of noise."""
        labeled = self.images("labeled", np.arange(6) % 3)
        names = ("unlabeled", "validation", "test")
        unlabeled, validation, test = (self.images(name, self.random.integers(0, 3, 12)) for name in names)
        return Data(CLASSES, labeled, unlabeled, validation, test)

    def images(self, name: str, truth: NDArray[np.int64]) -> Images:
        """A split of random images."""
        pixels = self.pixels(len(truth))
        return Images([f"{name}/{i}" for i in range(len(truth))], lambda rows: list(pixels[rows]), truth)

    def pixels(self, rows: int) -> Image:
        """(N, SIZE, SIZE, 3) uint8: smooth, so that no transform can pass for the identity by chance."""
        corners = self.random.integers(0, 256, (rows, 4, 4, 3))
        return np.kron(corners, np.ones((1, SIZE // 4, SIZE // 4, 1))).astype(np.uint8)

    def views_of(self, *names: str) -> list[ViewSpec]:
        """Declared views by name."""
        streams = {view: stream for stream, views in VIEWS.items() for view in views}
        return [ViewSpec(name, streams[name], SIZE, 3) for name in names]

    def targets(self, rows: int, gradient: bool = False) -> Targets:
        """Soft labels, the first row filtered out. With `gradient` they are leaves, to find out who would move them."""
        floats = torch.from_numpy(self.random.dirichlet(np.full(3, 0.3), rows)).float()
        weight = torch.ones(rows)
        weight[0] = 0
        columns = [floats, floats.clone(), weight]
        raw, probs, weight = (column.requires_grad_(gradient) for column in columns)
        return Targets(torch.arange(rows), raw, probs, weight, torch.ones(rows))

    def batch(self, stream: str, views: tuple[str, ...], targets: Targets | None = None) -> Batch:
        """One stream's rows with views of noise."""
        rows = ROWS[stream]
        position = torch.arange(rows) + self.step * rows
        images = {name: torch.from_numpy(self.random.random((rows, 3, SIZE, SIZE), np.float32)) for name in views}
        return Batch(
            stream=stream,
            index=position % (len(self.data.labeled) if stream == "labeled" else 12),
            position=position,
            views={name: View(name, pixels) for name, pixels in images.items()},
            truth=position % 3 if stream == "labeled" else None,
            targets=targets,
            classes=len(CLASSES),
        )

    def training_step(self, gradient: bool = False) -> Step:
        """Both streams, the unlabeled one labeled."""
        targets = self.targets(ROWS["unlabeled"], gradient)
        labeled = self.batch("labeled", VIEWS["labeled"])
        return Step(labeled, self.batch("unlabeled", VIEWS["unlabeled"], targets), self.progress)

    def forward(self, step: Step, labeling: bool = False) -> TinyForward:
        """Passes of a step."""
        return TinyForward(step, self.models, labeling)

    def training_forward(self, step: Step, trainables: dict[str, nn.Module]) -> TinyForward:
        """Passes of a step of another shape, whose further models learn too."""
        models = {**self.models, **trainables}
        return TinyForward(step, models, learning=frozenset({"student", *trainables}))

    def chunk(self, views: tuple[str, ...]) -> tuple[Batch, TinyForward]:
        """A chunk of a pool that is being labeled: the views that labelers ask for, and no targets."""
        batch = self.batch("unlabeled", views)
        return batch, self.forward(Step(batch, None, self.progress), labeling=True)

    def labeled_rows(self) -> Labeled:
        """The labeled stream's rows."""
        return Labeled.of(self.data.labeled)

    def step_state(self, trainables: dict[str, nn.Module]) -> StepState:
        """What `train_step` moves."""
        return StepState(self.student, trainables)

    def events(self, folder: str) -> list[Event]:
        """A short run as trackers hear of it."""
        timing = {"images_per_second": 10.0, "waited_share": 0.01, "seconds_left": 5.0}
        metrics = {"test_accuracy": 0.5, "validation_accuracy": 0.6, "pseudo_label_accuracy": 0.7, "kept_share": 0.8}
        entry = {"index": 0, "model": "tiny", "steps": 10, **metrics, "metrics": metrics,
                 "selected": {"step": 10, "validation_accuracy": 0.6, "test_accuracy": 0.5}}  # fmt: skip
        sizes = {name: len(images) for name, images in self.data.splits.items()}
        summary = {"generations": [entry], "baseline": {"test_accuracy": 0.4}, "seed": 7, "status": "finished",
                   "wall_seconds": 1.0}  # fmt: skip
        told: dict[str, dict[str, Any]] = {
            "start": {"recipe": "tiny", "folder": folder, "role": "run", "resumed": False, "generations": 1,
                      "steps": [10], "sizes": sizes, "classes": 3, "model": ["tiny"], "notes": ["a note"],
                      "warnings": ["a warning"], "device": "cpu"},
            "labels": {"done": 12, "total": 12, "kept_share": 0.8, "pseudo_label_accuracy": None,
                       "outside": 4, "outside_kept_share": 0.5,
                       "empty_classes": ["cat"]},
            "step": {"losses": {"supervised": 1.0}, "lr": 0.1, "kept_share": 0.8, "timing": timing},
            "evaluation": {"metrics": metrics},
            "generation": entry,
            "baseline": {"test_accuracy": 0.4},
            "end": {"summary": summary, "folder": folder},
            "failure": {"message": "stopped", "reason": "interrupted"},
        }  # fmt: skip
        return [Event(kind, replace(self.progress, plugin=""), values) for kind, values in told.items()]


@dataclass(eq=False)
class StepState:
    """What a step of another shape may move."""

    student: Network
    trainables: dict[str, nn.Module]

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.SGD(self.student.parameters(), 0.1)
        self.optimizers = {name: torch.optim.SGD(model.parameters(), 0.1) for name, model in self.trainables.items()}

    def losses(self, step: Step, forward: TinyForward) -> list[LossTerm]:
        """The recipe's terms: supervised cross-entropy."""
        assert step.labeled.truth is not None
        value = nn.functional.cross_entropy(forward(VIEWS["labeled"][0]).logits, step.labeled.truth)
        return [LossTerm(value, name="supervised")]

    def optimize(self, terms: list[LossTerm], name: str = "student") -> None:
        """Move a model down its terms."""
        optimizer = self.optimizer if name == "student" else self.optimizers[name]
        optimizer.zero_grad()
        sum(term.value * term.weight for term in terms).backward()  # type: ignore[union-attr]
        optimizer.step()
