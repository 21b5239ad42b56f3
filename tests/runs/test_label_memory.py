"""Labeling holds memory flat: it grows by no more than the labels that are stored."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from harness import fork, wait

from sslkit.dataset import Data
from sslkit.folder import Run
from sslkit.labels import label_pool
from sslkit.network import Network, build_network
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.session import Session
from sslkit.state import State, facts_of, fresh_state, plugins_of
from sslkit.store import load_labels, save_labels

RECIPE = """
label_batch = 256
label_top = {top}
[data]
use = "./plugins.py:Endless"
images = {images}
classes = {classes}
[model]
use = "./plugins.py:Flat"
name = "flat"
size = 8
"""

PLUGINS = '''
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from sslkit import Data, Images, hookimpl


class Ids(Sequence):
    """Made when asked for, as those of a large data set should be."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        if not row < self.count:
            raise IndexError(row)
        return f"image {row}"


def read(rows):
    """8 pixels on a side, by position."""
    return list(((rows[:, None, None, None] * 7919 + np.arange(192).reshape(8, 8, 3)) % 256).astype(np.uint8))


@dataclass(eq=False, kw_only=True)
class Endless:
    images: int
    classes: int

    @hookimpl
    def open_data(self):
        split = lambda count: Images(Ids(count), read, np.zeros(count, dtype=np.int64))
        return Data(tuple(map(str, range(self.classes))), split(8), split(self.images), split(8), split(8))


class Linear(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(192, classes)

    def get_classifier(self):
        return self.fc

    def forward(self, images):
        return self.fc(images.flatten(1))


@dataclass(eq=False, kw_only=True)
class Flat:
    @hookimpl
    def build_model(self, facts):
        return Linear(len(facts.classes))
'''


def peak() -> int:
    """Most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def prepared(path: Path) -> tuple[State, Session, Data]:
    """A second generation at its beginning, its untrained teacher before it."""
    recipe = load(path)
    data, cfg = open_data(recipe), recipe.generations[1]
    session = Session(recipe, data, Run(path.parent / "run"), torch.device("cpu"))
    facts = facts_of(cfg, data, session.device)
    teacher: Network = build_network(cfg, plugins_of(cfg), facts).requires_grad_(False)
    return fresh_state(cfg, cfg.entries(), facts, 0, teacher, None), session, data


def labels_within_bounds(path: Path) -> None:
    """In a child: a chunk first, which imports what there is to import; then all."""
    state, session, data = prepared(path)
    whole, classes = data.unlabeled, data.classes
    for number, images in enumerate((replace(whole, ids=range(512)), whole)):
        data.unlabeled, before = images, peak()
        stored = label_pool(state, session)
        save_labels(path.parent / f"labels-{number}", stored, classes, {}, {})
        grown = peak() - before
    size = (path.parent / "labels-1/labels.safetensors").stat().st_size
    assert len(load_labels(path.parent / "labels-1")[0].index) == len(whole)
    assert grown <= size, f"{grown:,} bytes for labels of {size:,}"
    print(f"grown by {grown:,} bytes for labels of {size:,}")


def check(recipe, tmp_path, images, classes, top=32):
    path = recipe(RECIPE.format(images=images, classes=classes, top=top), PLUGINS)
    log = tmp_path / "log"
    assert wait(fork(lambda: labels_within_bounds(path), log), 900.0) == "finished", log.read_text()
    print(log.read_text())


def test_a_pool_of_400_classes_that_keeps_them_all(recipe, tmp_path):
    check(recipe, tmp_path, 20_000, 400, top=0)


@pytest.mark.torture
def test_a_million_images(recipe, tmp_path):
    check(recipe, tmp_path, 1_000_000, 10)


@pytest.mark.torture
def test_a_hundred_thousand_images_of_a_thousand_classes(recipe, tmp_path):
    check(recipe, tmp_path, 100_000, 1000)
