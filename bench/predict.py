"""What predicting and labeling cost beside a bare loop of the same decoding and the same model, in the same run.

    OMP_NUM_THREADS=1 python bench/predict.py [IMAGES] [MODEL] [SIZE]

Each goes through the same JPEG files: the bare loop reads, decodes, cuts, resizes and classifies batch by batch, as one
would write it for these files alone; `sslkit predict` is its own loop, rows of CSV included; labeling is the engine's
`label_pool` over an `image_folder`. Rounds alternate and medians are taken, since machines are shared; a ratio is the
median of the rounds' own. CPU time is that of all threads.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

import sslkit
from sslkit.environment import determinism
from sslkit.folder import Run
from sslkit.labels import label_pool
from sslkit.measuring.finished import Finished, finished_model
from sslkit.opening import open_data
from sslkit.predicting.inputs import Inputs
from sslkit.predicting.predictor import Predictor
from sslkit.predicting.rows import Columns, Csv
from sslkit.recipe import load
from sslkit.session import Session
from sslkit.state import State, facts_of, fresh_state

RECIPE = """
labels = "pool"
steps = 1
batch = {{ labeled = 2, unlabeled = 2 }}
workers = 0
baseline = false
tracker = []
metric = []
label_batch = {batch}
[data]
use = "image_folder"
root = "photos"
labeled = "train"
unlabeled = "pool"
include_labeled = false
[model]
name = "{model}"
size = {size}
[optimizer]
rate = 0.01
[views.labeled]
stream = "labeled"
[views.unlabeled]
stream = "unlabeled"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[loss]]
name = "supervised"
use = "cross_entropy"
on = "labeled"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"
[[generation]]
[[generation]]
"""
ROUNDS, BATCH = 21, 64
SHAPE = (375, 500)
"Of the photos; their noise is smooth, so that they pack as photos do."


def fill(folder: Path, images: int) -> None:
    """Photos: two for each of ten classes, and a pool."""
    random = np.random.default_rng(0)
    names = [f"train/{label}/{i}.jpg" for label in range(10) for i in range(2)]
    for name in [*names, *(f"pool/{i:06}.jpg" for i in range(images))]:
        coarse = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC))


@dataclass(frozen=True)
class Bare:
    """What one would write for these files and this model alone."""

    paths: list[str]
    model: Finished

    @torch.no_grad()
    def __call__(self) -> None:
        """Probabilities of all files."""
        network, size = self.model.classifier.network.eval(), self.model.classifier.network.image_size
        for at in range(0, len(self.paths), BATCH):
            batch = np.stack([self.image(path, size) for path in self.paths[at : at + BATCH]])
            floats = torch.from_numpy(batch).permute(0, 3, 1, 2).float().div_(255)
            network.model((floats - network.mean) / network.std).softmax(1)

    @staticmethod
    def image(path: str, size: int) -> np.ndarray:
        """The centre square (size, size, 3)."""
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
        side, (height, width) = min(image.shape[:2]), image.shape[:2]
        top, left = (height - side) // 2, (width - side) // 2
        square = image[top : top + side, left : left + side]
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def predicting(folder: Path, model: Finished) -> Callable[[], None]:
    """The loop of `sslkit predict`."""
    predictor = Predictor.of(model)

    def loop() -> None:
        rows = Csv(Columns(model.classes))
        for answers in predictor.answers(Inputs.of([str(folder)]).items):
            rows.rows(answers)

    return loop


def labeling(recipe_file: Path, run: Run) -> Callable[[], None]:
    """The engine's labeling, by the same model."""
    recipe = load(recipe_file)
    cfg = recipe.generations[1]
    session = Session(recipe, open_data(recipe), run, torch.device("cpu"))
    teacher = run.network(0, recipe, session.device).requires_grad_(False)
    state: State = fresh_state(cfg, cfg.entries(), facts_of(cfg, session.data, session.device), 0, teacher, None)

    def loop() -> None:
        with torch.no_grad():
            label_pool(state, session)

    return loop


def compare(loops: dict[str, Callable[[], None]], images: int) -> None:
    """Milliseconds an image of each, and their ratio to the first."""
    clocks = {"time": time.perf_counter, "CPU time": time.process_time}
    taken: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in loops} for clock in clocks}
    for turn in range(ROUNDS + 1):
        for name in list(loops)[:: 1 if turn % 2 else -1]:
            began = {clock: now() for clock, now in clocks.items()}
            loops[name]()
            for clock, now in clocks.items():
                if turn:  # the first round warms up
                    taken[clock][name].append((now() - began[clock]) / images * 1e3)
    for clock, times in taken.items():
        bare = next(iter(times.values()))
        for name, own in times.items():
            ratio = statistics.median(a / b for a, b in zip(own, bare, strict=True))
            print(f"{clock:8} {name:14} {statistics.median(own):7.3f} ms an image; ratio {ratio:.3f}", flush=True)


def main(images: int, model: str, size: int) -> None:
    """All of it in a folder that goes away."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as name, determinism(True):
        folder = Path(name)
        fill(folder / "photos", images)
        recipe = folder / "bench.toml"
        recipe.write_text(RECIPE.format(batch=BATCH, model=model, size=size))
        run = sslkit.run(recipe, out=folder / "run", device="cpu")
        finished = finished_model(run, 0, device="cpu")
        pool = folder / "photos" / "pool"
        loops = {
            "bare loop": Bare([str(path) for path in sorted(pool.iterdir())], finished),
            "sslkit predict": predicting(pool, finished),
            "labeling": labeling(recipe, run),
        }
        compare(loops, images)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 128, *(given[1:2] or ["resnet18"]), int(given[2]) if given[2:] else 64)
