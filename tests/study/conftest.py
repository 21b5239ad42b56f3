"""Studies whose runs are made up: a summary in a folder, without training."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from in_process import Here

from sslkit import runs
from sslkit.errors import Interrupted, RunError
from sslkit.recipe import dump
from sslkit.study import cores, crew

BASE = """
steps = 3
batch = { labeled = 8, unlabeled = 8 }
labels = "pool"

[data]
use = "digits"
[model]
name = "test_resnet"
size = 8
[optimizer]
rate = 0.05
[views.labeled]
stream = "labeled"
[views.unlabeled]
stream = "unlabeled"

[[noise]]
use = "dropout"
rate = 0.5

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
STUDY = """
base = "base.toml"
seeds = "0-2"
references = ["rival"]

[[variant]]
name = "no dropout"
set = { "noise.dropout.enabled" = false }
from_generation = 1
expect = "lower"
"""
VERSIONS = {"sslkit": "0.1.0", "torch": "2.6.0", "recipe": "base", "device": "cpu here", "threads": 2, "data": "1f"}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(text)`: a study beside `base.toml`, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.toml").write_text(BASE)

    def study(text: str = STUDY, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return Path(name)

    return study


def accuracy(recipe):
    """0.90 and a hundredth for each seed; 0.06 less without dropout on the last model, 0.1 less for a baseline.

    At a rate of 0.06 the model without dropout is further behind with every seed.
    """
    seed, last = recipe.settings.seed, recipe.generations[-1]
    dropout = any(entry.use == "dropout" for entry in last.entries())
    lag = 0.0 if dropout else 0.061 + 0.001 * seed if last.optimizer.rate == 0.06 else 0.06
    return 0.90 + 0.01 * seed - lag - (0.1 if len(recipe.generations) == 1 else 0.0)


def entry(index, recipe, test):
    metrics = {"test_accuracy": test, "rival": 0.85, "words": "no number"}
    selected = {"step": 2, "validation_accuracy": 0.5 + 0.1 * index, "test_accuracy": test - 0.01}
    return {"index": index, "steps": 3, "test_accuracy": test, "selected": selected, "metrics": metrics}


def summary_of(recipe, status="finished"):
    last = len(recipe.generations) - 1
    tests = [0.80 + 0.01 * recipe.settings.seed] * last + [accuracy(recipe)]
    return {
        "generations": [entry(i, recipe, test) for i, test in enumerate(tests)],
        "baseline": None,
        "seed": recipe.settings.seed,
        "status": status,
        "wall_seconds": 3.0,
        "recipe_hash": recipe.hash,
    }


class Factory:
    """A stand-in for `sslkit.runs.run`: remembers its calls, fails or is stopped where it is told to."""

    def __init__(self):
        self.calls, self.recipes, self.trouble = [], {}, {}

    def __call__(self, recipe=None, *, out=None, resume=None, device=None):
        folder = Path(out or resume)
        recipe = self.recipes.setdefault(folder, recipe)
        self.calls.append(("resume" if resume else "out", folder, device))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.toml").write_text(dump(recipe.table))
        (folder / "environment.json").write_text(json.dumps(VERSIONS))
        error = self.trouble.pop(len(self.calls), None)
        status = "finished" if error is None else "interrupted" if isinstance(error, Interrupted) else "failed"
        summary = summary_of(recipe, status)
        (folder / "summary.json").write_text(json.dumps(summary))
        if error is not None:
            raise error
        return SimpleNamespace(summary=summary)


@pytest.fixture
def factory(monkeypatch):
    found = Factory()
    monkeypatch.setattr(runs, "run", found)
    monkeypatch.setattr(crew, "context", Here)
    monkeypatch.setattr(cores, "cores", lambda: 1)
    return found


@pytest.fixture
def nan():
    return RunError("loss `supervised` became NaN at step 2\n  the last good checkpoint is that of step 1")
