"""How long a report of many runs takes, and how large it is.

    python bench/report.py [RUNS] [POINTS]

Run folders are made up in a temporary folder: recipes with several seeds each, four generations, as many logged points a
run as asked for, an evaluation for every twenty, numbers with all their digits. Then `sslkit report` is timed in a
process of its own, and once more, since the first reads files that were just written.
"""

from __future__ import annotations

import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sslkit.recipe import dump, load, with_overrides

RECIPES, GENERATIONS, STEP, EVERY = 4, 4, 10, 20
"Recipes; generations of a run; steps between points; points between evaluations."
EPSILONS = (0, 2, 4, 8, 16)
ENVIRONMENT = {"torch": "2.6.0", "device": "cpu", "threads": 1, "images": {"test": 400}, "test_data": "same"}


def main() -> None:
    """Prints one line for each try."""
    runs, points = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 20), (2, 10_000)))
    with tempfile.TemporaryDirectory() as place:
        folders = [make(Path(place), number, points) for number in range(runs)]
        out = Path(place) / "report.html"
        for _ in range(2):
            began, busy = time.perf_counter(), cpu()
            subprocess.run(["sslkit", "report", *map(str, folders), "--out", str(out)],
                           check=True, stdout=subprocess.DEVNULL)  # fmt: skip
            seconds = time.perf_counter() - began
            size = f"{out.stat().st_size / 1e6:.1f} MB"
            print(
                f"{runs} runs of {points:,} points: {seconds:.1f} s ({cpu() - busy:.1f} s of CPU), {size}", flush=True
            )


def cpu() -> float:
    """Seconds that processes of ours had of a CPU, whatever else the machine was at."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make(place: Path, number: int, points: int) -> Path:
    """A run folder: recipe `number % RECIPES`, the next seed of it."""
    kind, seed = number % RECIPES, number // RECIPES
    chance = random.Random(number)
    recipe = with_overrides(load("noisy_student"), {"seed": seed, "noise.dropout.rate": (1 + kind) / 10})
    folder = place / f"recipe{kind}-seed{seed}"
    folder.mkdir()
    (folder / "recipe.toml").write_text(dump(recipe.table))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    steps = STEP * points // GENERATIONS
    entries = [entry(index, steps, kind, chance) for index in range(GENERATIONS)]
    summary = {"status": "finished", "seed": seed, "recipe": "noisy_student", "wall_seconds": 70 + 9 * chance.random(),
               "generations": entries, "baseline": entries[0]}  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    with (folder / "metrics.jsonl").open("w") as file:
        for event in events(entries, steps, kind, chance):
            file.write(json.dumps({**event, "time": 1.7e9 + chance.random()}) + "\n")
    return folder


def entry(index: int, steps: int, kind: int, chance: random.Random) -> dict[str, Any]:
    """A generation's results."""
    test = 0.8 + 0.04 * index - 0.01 * kind + chance.gauss(0, 0.008)
    labels = {"pseudo_label_accuracy": test + 0.02, "kept_share": 0.9 + chance.random() / 20} if index else {}
    attacked = {str(one): {"accuracy": test * math.exp(-one / (9 - kind))} for one in EPSILONS}
    numbers = {"test_accuracy": test, "validation_accuracy": test - 0.01, **labels}
    timing = {"seconds": 16.0, "waited": 0.06, "worked": 15.4, "images_per_second": 2900.0}
    return {"index": index, "model": "test_resnet", "steps": steps, "pseudo_label_accuracy": None, "kept_share": None,
            **numbers, "metrics": {**numbers, "test_fgsm": attacked}, "timing": timing}  # fmt: skip


def events(entries: list[dict[str, Any]], steps: int, kind: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """A run's log."""
    yield {"kind": "start", "generation": 0, "step": 0, "generations": len(entries), "steps": [steps] * len(entries),
           "classes": 10, "sizes": {"labeled": 40, "unlabeled": 1197, "test": 400}, "notes": []}  # fmt: skip
    for own in entries:
        place = {"generation": own["index"]}
        for step in range(STEP, steps + 1, STEP):
            share = step / steps
            losses = {name: 2 * math.exp(-4 * share) + chance.random() / 4 for name in ("supervised", "distillation")}
            timing = {
                "images_per_second": 2900 + 99 * chance.random(),
                "waited_share": chance.random() / 50,
                "seconds_left": 9.9,
            }
            yield {"kind": "step", **place, "step": step, "losses": losses, "lr": 0.1 * math.cos(1.5 * share),
                   "kept_share": own["kept_share"], "timing": timing}  # fmt: skip
            if step % (STEP * EVERY) == 0:
                test = own["test_accuracy"] * (1 - math.exp(-5 * share)) + chance.gauss(0, 0.01)
                yield {
                    "kind": "evaluation",
                    **place,
                    "step": step,
                    "metrics": {"test_accuracy": test, "validation_accuracy": test},
                }
        yield {"kind": "generation", **place, "step": steps, **own}


if __name__ == "__main__":
    main()
