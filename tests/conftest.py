"""Small worlds: recipes of a few steps on images of a few pixels, written into a test's own folder."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from sslkit.recipe import load

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests begin, too, whatever is set outside

TINY = """
steps = 3
batch = { labeled = 8 }
baseline = false
workers = 0
log_every = 1
tracker = []
metric = []

[data]
use = "digits"
labels_per_class = 1
validation = 40
test = 1600                          # leaves a pool of 157

[model]
name = "test_resnet"
size = 8

[optimizer]
rate = 0.05

[views.labeled]
stream = "labeled"

[[loss]]
name = "supervised"
use = "cross_entropy"
on = "labeled"
"""
"Supervised training on ten labels."

SHRUNK = {
    "steps": 2, "batch.labeled": 6, "workers": 0, "log_every": 1, "save_every": 0, "evaluate_every": 0,
    "baseline": False, "tracker": [], "metric": [], "model.size": 16,
    "data.labels_per_class": 1, "data.validation": 40, "data.test": 1600,
}  # fmt: skip
"Overrides that make a shipped recipe small."


@pytest.fixture(scope="session", autouse=True)
def hangups_count():
    """Under nohup they are ignored, and runs then go on without their terminal: tests are not of that."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="module")
def chromium():
    """A browser; the test is skipped where there is none."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tiny_text():
    """The recipe that `write_recipe` lays others on."""
    return TINY


@pytest.fixture
def write_recipe(tmp_path):
    """`write_recipe(text, plugins)`: a recipe file that says `text` on top of TINY, with `plugins.py` beside it."""

    def write(text: str = "", plugins: str = "", name: str = "recipe") -> Path:
        (tmp_path / "tiny.toml").write_text(TINY)
        (tmp_path / "plugins.py").write_text(plugins)
        path = tmp_path / f"{name}.toml"
        path.write_text(f'extends = "tiny.toml"\n{text}')
        return path

    return write


@pytest.fixture
def tiny(write_recipe):
    """`tiny(text, plugins, overrides)`: the loaded recipe of `write_recipe`."""

    def make(text: str = "", plugins: str = "", overrides=None):
        return load(write_recipe(text, plugins), overrides)

    return make


@pytest.fixture
def shipped():
    """`shipped(name, overrides)`: a shipped recipe, shrunk."""

    def make(name: str, overrides=None):
        return load(name, {**SHRUNK, **(overrides or {})})

    return make
