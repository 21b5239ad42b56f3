"""Small plugins, and a sound recipe of them to spoil."""

from pathlib import Path

PARTS = """
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from annotated_types import Ge, Interval
from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class Data:
    per_class: Annotated[int, Ge(1)] = 4
    root: Path | None = None
    @hookimpl
    def open_data(self, progress): ...


@dataclass(eq=False, kw_only=True)
class Net:
    depth: int = 2
    @hookimpl
    def build_model(self, facts, kwargs): ...


@dataclass(eq=False, kw_only=True)
class Jitter:
    magnitude: Annotated[float, Interval(ge=0, le=10)] = 9.0
    ops: int = 2
    pool: Literal["small", "large"] = "small"
    @hookimpl
    def image_transforms(self, view): ...


@dataclass(eq=False, kw_only=True)
class Blend:
    strength: float = 1.0
    times: int = 1
    wanted: float | None = None
    @hookimpl
    def perturb_batch(self, images, view, progress): ...


@dataclass(eq=False, kw_only=True)
class Drop:
    rate: float = 0.5
    @hookimpl
    def model_kwargs(self, generation): ...


@dataclass(eq=False, kw_only=True)
class Teacher:
    @hookimpl
    def make_teacher(self, previous): ...


@dataclass(eq=False, kw_only=True)
class Label:
    @hookimpl
    def label(self, batch, forward, on): ...


@dataclass(eq=False, kw_only=True)
class Sure:
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.95
    @hookimpl
    def refine(self, targets): ...


@dataclass(eq=False, kw_only=True)
class Average:
    decay: float = 0.99
    @hookimpl
    def average(self, student): ...
    @hookimpl
    def after_step(self, student, average): ...


@dataclass(eq=False, kw_only=True)
class Promote:
    @hookimpl
    def revise_labeled(self, labeled, stored): ...


@dataclass(eq=False, kw_only=True)
class Entropy:
    weight: float = 1.0
    @hookimpl
    def loss(self, step, forward, on): ...


@dataclass(eq=False, kw_only=True)
class Decide:
    @hookimpl
    def decide(self, outputs): ...


@dataclass(eq=False, kw_only=True)
class Ramp:
    power: float = 1.0
    @hookimpl
    def scheduled(self, progress): ...


@dataclass(eq=False, kw_only=True)
class Measure:
    @hookimpl
    def measure(self, model): ...


@dataclass(eq=False, kw_only=True)
class Told:
    @hookimpl
    def report(self, event): ...


@dataclass(eq=False, kw_only=True)
class Other:
    speed: float = 1.0
    @hookimpl
    def train_step(self, step, forward, state): ...
"""

BASE = """\
labels = "pool"
steps = 100
batch = { labeled = 8, unlabeled = 16 }
metric = []
tracker = []

[data]
use = "./parts.py:Data"

[model]
name = "test_resnet"

[optimizer]
rate = 0.1

[views.labeled]
stream = "labeled"
[views.weak]
stream = "unlabeled"

[[noise]]
use = "./parts.py:Jitter"
[[noise]]
use = "./parts.py:Drop"

[[labeler]]
use = "./parts.py:Teacher"
[[labeler]]
use = "./parts.py:Label"
[[labeler]]
use = "./parts.py:Sure"

[[loss]]
name = "supervised"
use = "./parts.py:Entropy"
on = "labeled"
[[loss]]
name = "distillation"
use = "./parts.py:Entropy"
on = "weak"

[[schedule]]
use = "./parts.py:Ramp"
"""

MORE = (
    BASE
    + """
[[pass]]
views = ["labeled", "weak"]
[[noise]]
use = "./parts.py:Blend"
on = "weak"
[[labeler]]
use = "./parts.py:Average"
[[schedule]]
name = "second"
use = "./parts.py:Ramp"
on = "distillation.weight"
[[generation]]
steps = 10
[[generation]]
noise.jitter.enabled = false
model.name = "resnet18"
"""
)
"The same with passes, a second schedule, generations."


class Kitchen:
    """A folder with small plugins and a sound recipe to spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "parts.py").write_text(PARTS)
        self.base = self.write("base.toml", BASE)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def spoiled(self, old: str, new: str) -> Path:
        """The sound recipe with one text replaced."""
        assert BASE.count(old) >= 1
        return self.write("spoiled.toml", BASE.replace(old, new, 1))

    def more(self, text: str, first: str = "") -> Path:
        """The sound recipe with keys in front and tables at the end."""
        return self.write("more.toml", first + "\n" + BASE + "\n" + text)

    def child(self, text: str) -> Path:
        """A recipe that extends the sound one."""
        return self.write("child.toml", 'extends = "base.toml"\n' + text)
