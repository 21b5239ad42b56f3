"""Images and classes of the names that break things, and pseudo-labels that follow from a row's number."""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from sslkit.store import save_labels
from sslkit.types import Targets

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
from small import BASE

CLASSES = ("<img src=x onerror=hacked=1>", "=1+1", 'o\'wl, "quoted" & co')
SOURCE = ("generation", "teacher", "recipe", "recipe_name", "seed", "sslkit")
POOL = "=pool"
"The unlabeled folder: ids begin as formulas do."
HOSTILE = (
    "</script><script>window.hacked=1</script>.png",
    '"><svg onload=hacked=1>.png',
    "new\nline, \"quote\" and 'comma'.png",
    os.fsdecode(b"caf\xe9 \xff.png"),
    "{{ 7 * 7 }}{% raw %}.png",
    "grüße 猫.png",
    "__proto__",
)
DATA = f"""
[data]
use = "image_folder"
root = "photos"
labeled = "labeled"
unlabeled = "{POOL}"
outside = ["strange"]
include_labeled = false
"""


def picture(number):
    """(10, 12, 3): its class's colour, and noise."""
    image = np.random.default_rng(number).integers(0, 110, (10, 12, 3))
    image[:, :, number % 3] += 140
    return image.astype(np.uint8)


def put(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture(number))[1].tobytes())


def fill(root):
    for number, name in enumerate(CLASSES):
        for i in range(4):
            put(root / "labeled" / name / f"{i}.png", number + 3 * i)
        for i in range(6):
            put(root / POOL / name / f"{i}.png", number + 3 * (i + 9))
    for number, name in enumerate(HOSTILE):
        put(root / POOL / (name if name.endswith(".png") else f"{name}.png"), number)
    for i in range(3):
        put(root / POOL / "strange" / f"{i}.png", 100 + i)


def recipe_text():
    base = re.sub(r"\[data\].*?\n\n", "", BASE, flags=re.DOTALL).replace("[[generation]]\n[[generation]]", "")
    three = '[[labeler]]\nuse = "confidence"\nthreshold = 0.4\n[[generation]]\n[[generation]]\n[[generation]]\n'
    return base.replace("steps = 4", "steps = 6").replace("save_every = 2", "save_every = 0") + DATA + three


def made(rows, generation):
    """Labels that can be told by a row's number: class row % 3; of generation 1 every fourth is the next class.

    Confidence rises with the row, from 0.4 to less than 1. Generation 1 drops every fifth row, generation 2 every seventh.
    """
    number = torch.arange(rows)
    label = number % 3 if generation == 2 else (number + (number % 4 == 0)) % 3
    sure = 0.4 + 0.55 * number / rows
    probs = ((1 - sure) / 2)[:, None].repeat(1, 3).scatter(1, label[:, None], sure[:, None])
    kept = (number % (5 if generation == 1 else 7) != 0).float()
    return replace(Targets.of(number, probs), weight=kept)


def settle(run):
    """Put such labels in the place of those that a teacher of a few steps happened to make."""
    for generation in (1, 2):
        source = {key: run.manifest(generation)[key] for key in SOURCE}
        targets = made(len(run.samples()), generation)
        save_labels(run.folder / "labels" / f"generation-{generation}", targets, CLASSES, source, {})
