"""What is said before a run begins: the room that it takes, the room that there is, and what looks unintended."""

import sys
from collections import namedtuple
from pathlib import Path

import pytest

import sslkit
from sslkit.check import forewarn
from sslkit.check.forewarn import free_at
from sslkit.recipe import load

TELLING = """
from dataclasses import dataclass
from sslkit import hookimpl

TOLD = []

@dataclass(eq=False, kw_only=True)
class Telling:
    @hookimpl
    def report(self, event):
        TOLD.append(event)
"""
TAUGHT = """
labels = "pool"
baseline = true
batch = { labeled = 6, unlabeled = 12 }
[views.unlabeled]
stream = "unlabeled"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"
[[tracker]]
use = "./plugins.py:Telling"
[[generation]]
[[generation]]
"""
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def told(write_recipe, tmp_path):
    """`told(text)`: the events of a run, of its baseline's trackers and its own."""

    def run(text=TAUGHT, **overrides):
        recipe = load(write_recipe(text, TELLING), {"tracker.telling.enabled": True, **overrides})
        plugin = next(entry.plugin for entry in recipe.generations[0].entries() if entry.section == "tracker")
        events = sys.modules[type(plugin).__module__].TOLD
        events.clear()
        folder = tmp_path / "run"
        sslkit.run(recipe, **({"resume": folder} if folder.exists() else {"out": folder}), device="cpu")
        return list(events), recipe

    return run


def test_it_is_the_first_thing_and_said_once(told):
    events, recipe = told()
    kinds = [event.kind for event in events]
    assert kinds[:2] == ["rehearsal", "start"] and kinds.count("rehearsal") == 1  # though the baseline comes first
    values = events[0].values
    assert values["recipe"] == recipe.name and 0 < values["memory"] < values["disk"] < values["free"]
    noiseless, unseen, many = values["warnings"]
    assert unseen.startswith("generation 1: 3 steps of 12 unlabeled images draw 36")
    assert noiseless.startswith("generation 1: no noise is on what the student learns")
    assert many.startswith("40 labels are for validation and 10 for training")


def test_too_little_room_is_a_warning(told, monkeypatch):
    monkeypatch.setattr(forewarn.shutil, "disk_usage", lambda path: Usage(10, 0, 1_000_000))
    events, _ = told()
    assert "MB of disk, but 1.0 MB are free at" in events[0].values["warnings"][-1]
    assert events[-1].kind == "end"  # there may be more by then: the run is not refused


def test_nothing_is_said_again_of_a_run_that_was_begun(told, tmp_path):
    told()
    (tmp_path / "run" / "summary.json").unlink()
    events, _ = told()
    assert "rehearsal" not in [event.kind for event in events] and events[0].kind == "start"


def test_free_room_is_that_of_the_folder_that_will_hold_the_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(forewarn.shutil, "disk_usage", lambda path: asked.append(path) or Usage(3, 1, 2))
    assert free_at(tmp_path / "not" / "yet" / "there") == 2 and asked == [tmp_path]
    monkeypatch.chdir(tmp_path)
    assert free_at(Path("runs/mine")) == 2 and asked[-1] == tmp_path
