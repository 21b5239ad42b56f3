"""A run folder that no training made: every file that a report reads, with names that break things, and numbers that follow."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sslkit.artifacts import committed, write_tensors
from sslkit.pictures import GenerationPictures, LabeledPicture, Row, StreamPictures, ViewPictures, encode, save_pictures
from sslkit.store import save_labels

sys.path.insert(0, str(Path(__file__).parents[1] / "labels"))
from hostile import CLASSES, HOSTILE, made

ROWS, STEPS, TESTS = 60, 40, (0.7, 0.8, 0.9)
RECIPE = """
labels = "pool"
init = "scratch"
steps = 40
seed = 3
batch = { labeled = 8, unlabeled = 16 }
data = { use = "image_folder", name = "photos", enabled = true, root = "/nowhere/<b>photos</b>" }
model = { name = "test_resnet", size = 24, pretrained = false, options = {} }
optimizer = { name = "sgd", rate = 0.1, options = { nesterov = true } }
views = { labeled = { stream = "labeled" }, unlabeled = { stream = "unlabeled" } }
noise = [
    { use = "cutout", name = "cutout", enabled = true, on = ["unlabeled"], size = 8 },
    { use = "dropout", name = "dropout", enabled = true, rate = 0.5 },
    { use = "flip_crop", name = "flip_crop", enabled = false, on = ["labeled"] },
]
labeler = [{ use = "confidence", name = "confidence", enabled = true, threshold = 0.4 }]
loss = [{ use = "cross_entropy", name = "supervised", enabled = true, on = ["labeled"], weight = 1.0 }]
metric = [{ use = "accuracy", name = "accuracy", enabled = true }]
generation = [{ steps = 20 }, {}, {}]
"""
ENVIRONMENT = {
    "recipe": "photos", "sslkit": "0.1.0", "device": "cpu", "threads": 1,
    "images": {"labeled": 12, "unlabeled": ROWS, "validation": 50, "test": 100},
}  # fmt: skip
ROBUST = {
    "test_fgsm": {"0": {"accuracy": 0.9}, "2": {"accuracy": 0.5}, "16": {"accuracy": 0.1}},
    "test_corruptions": {
        "gaussian_noise": {"1": 0.1, "2": 0.2, "3": 0.3, "4": 0.4, "5": 0.5, "mean": 0.3, "ce": 0.9},
        "frost (drawn)": {"1": 0.2, "2": 0.2, "3": 0.2, "4": 0.2, "5": 0.2, "mean": 0.2, "ce": None},
    },
    "test_mce_without_frost": 0.9,
    "test_perturbations": {"tilt": {"flips": 0.05, "rate": 0.8}},
    "test_flip_probability": 0.05,
}
RELIABILITY = {
    "0.5": {"images": 30, "confidence": 0.45, "accuracy": 0.4}, "1.0": {"images": 70, "confidence": 0.9, "accuracy": 0.95},
}  # fmt: skip
CONFUSION = {"classes": list(CLASSES), "matrix": [[30, 3, 0], [1, 32, 1], [0, 5, 28]]}


def entry(index, test, taught):
    """A generation's result."""
    metrics = {"test_accuracy": test, "validation_accuracy": test - 0.02, "test_ece": 0.1 - 0.02 * index}
    shares = {"pseudo_label_accuracy": 0.6 + 0.1 * index, "kept_share": 0.8} if taught else {}
    timing = {"seconds": 10.0, "worked": 7.0, "waited": 1.0, "images_per_second": 100.0}
    chosen = {"step": 30, "validation_accuracy": test - 0.01, "test_accuracy": test}
    steps = 20 if index == 0 else STEPS
    return {"index": index, "model": "test_resnet", "steps": steps, **dict.fromkeys(("pseudo_label_accuracy", "kept_share")),
            **metrics, **shares, "metrics": {**metrics, **shares}, "selected": chosen, "timing": timing}  # fmt: skip


def events(entries, every=2):
    """The log of generations, second by second."""
    clock, lines = 1000.0, []

    def say(kind, generation, step, **values):
        lines.append({"kind": kind, "generation": generation, "step": step, **values, "time": clock})

    steps = [entry["steps"] for entry in entries]
    say(
        "start", 0, 0, recipe="photos", steps=steps, notes=["12 labels, 4 of each class"], warnings=["look <b>here</b>"]
    )
    for number, one in enumerate(entries):
        clock += 3.0
        if number:
            say("labels", number, 0, done=ROWS, total=ROWS, kept_share=0.8, pseudo_label_accuracy=0.6 + 0.1 * number)
        for step in range(every, one["steps"] + 1, every):
            clock += 0.5
            losses = {"supervised": 2.0 / step, **({"distillation": 3.0 / step} if number else {})}
            say(
                "step",
                number,
                step,
                losses=losses,
                lr=0.1 * (1 - step / one["steps"]),
                kept_share=0.8 if number else None,
            )
            if step % 20 == 0:
                clock += 0.25
                say(
                    "evaluation",
                    number,
                    step,
                    metrics={**one["metrics"], "test_accuracy": one["test_accuracy"] - 1 / step},
                )
        say("generation", number, one["steps"], **one)
    return lines


def write_log(folder, lines):
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_run(folder, tests=TESTS, status="finished", full=True, seed=3, every=2):
    """A run; without `full` one as early versions left them: no list of images, no pictures, nothing measured since."""
    folder.mkdir(parents=True)
    entries = [entry(index, test, index > 0) for index, test in enumerate(tests)]
    baseline = entry(0, 0.75, taught=False)
    summary = {"generations": entries, "baseline": baseline, "seed": seed, "status": status, "wall_seconds": 75.0,
               "recipe": "photos", "recipe_hash": "0" * 32}  # fmt: skip
    (folder / "recipe.toml").write_text(RECIPE.replace("seed = 3", f"seed = {seed}"))
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    write_log(folder, events(entries, every))
    for one in entries:
        write_card(folder / "models" / f"generation-{one['index']}", one)
    if full:
        fill(folder, len(tests))
    return folder


def write_card(folder, one):
    folder.mkdir(parents=True)
    facts = {"classes": list(CLASSES), "class_counts": [4, 4, 4], "sizes": ENVIRONMENT["images"]}
    (folder / "card.json").write_text(json.dumps({**one, "facts": facts, "seed": 3}))


def fill(folder, generations):
    """Pseudo-labels, what they are of, evaluations that were kept, pictures, a baseline's log."""
    with committed(folder / "samples") as aside:
        ids = [HOSTILE[row % len(HOSTILE)].encode("utf-8", "surrogateescape") for row in range(ROWS)]
        columns = {
            "truth": truth(),
            "ends": np.cumsum([len(one) for one in ids]),
            "ids": np.frombuffer(b"".join(ids), np.uint8),
        }
        write_tensors(aside / "samples.safetensors", {name: torch.tensor(own) for name, own in columns.items()})
    for number in range(1, generations):
        stored = labels(number)
        save_labels(folder / "labels" / f"generation-{number}", stored, CLASSES, {"generation": number}, {})
        save_pictures(folder / "pictures" / f"generation-{number}", pictures(number), 400_000)
    (folder / "evaluations").mkdir()
    for number in range(generations):
        kept = {"test_reliability": RELIABILITY, "test_confusion": CONFUSION, "test_brier": 0.2, **ROBUST}
        said = {"generation": number, "weights": "student", "metrics": kept, "warnings": []}
        (folder / "evaluations" / f"generation-{number}-abc.json").write_text(json.dumps(said))
    (folder / "baseline").mkdir()
    write_log(folder / "baseline", events([entry(0, 0.75, taught=False)]))
    left = [{"id": HOSTILE[0], "split": "unlabeled", "reason": "cannot be read: <i>broken</i>"}]
    (folder / "left_out.json").write_text(json.dumps(left))


def truth():
    """(N,) every fifth image is of none of the classes, every seventh of an unknown one."""
    rows = np.arange(ROWS)
    return np.where(rows % 5 == 4, -2, np.where(rows % 7 == 6, -1, rows % 3)).astype(np.int64)


def labels(generation):
    """Pseudo-labels whose copies differ by class."""
    stored = made(ROWS, 2 if generation > 1 else 1)
    return replace(stored, copies=1.0 + stored.label.float() / 2)


def pictures(generation):
    picture = encode(np.random.default_rng(generation).integers(0, 255, (8, 8, 3)).astype(np.uint8))
    row = Row(id=HOSTILE[1], split="unlabeled", label=CLASSES[0], confidence=0.8, kept=True, truth=CLASSES[1], outside=False,
              original=picture)  # fmt: skip
    view = ViewPictures(name="unlabeled", size=24, models=["student"], noises=["cutout", "flip"], images=[picture],
                        alone={"cutout": [picture], "flip": [picture]}, mixed=[picture])  # fmt: skip
    changed = [
        LabeledPicture(id=HOSTILE[number], label=name, confidence=0.9, kept=True, truth=CLASSES[1], outside=False,
                       image=picture, before=CLASSES[2], confidence_before=0.5, kept_before=True)
        for number, name in enumerate(CLASSES)
    ]  # fmt: skip
    streams = {"unlabeled": StreamPictures(name="unlabeled", rows=[row], views=[view])}
    return GenerationPictures(generation=generation, streams=streams, changed=changed)
