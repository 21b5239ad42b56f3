"""One small run whose images and classes have the names that break things."""

import os
import re
import shutil

import pytest
import torch
from hostile import fill, recipe_text, settle
from invoking import fails, succeeds

import sslkit
from sslkit.folder import Run


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with `photos`, a recipe and the finished run `runs/photos`, whose labels are `made`; nobody changes it."""
    home = tmp_path_factory.mktemp("labels")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(os, "fsync", lambda descriptor: None)
        torch.set_num_threads(1)
        fill(home / "photos")
        (home / "photos.toml").write_text(recipe_text())
        settle(sslkit.run("photos.toml", device="cpu", out="runs/photos"))
    return home


@pytest.fixture
def here(world, tmp_path, monkeypatch):
    """A copy of it, which is the working folder."""
    heavy = shutil.ignore_patterns("models", "checkpoints")  # which labels do without
    shutil.copytree(world / "runs", tmp_path / "runs", ignore=heavy)
    (tmp_path / "photos").symlink_to(world / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return tmp_path


@pytest.fixture
def run(here):
    """The run in the copy."""
    return Run("runs/photos")


@pytest.fixture
def gone(here):
    """The same without its data."""
    for recipe in here.glob("runs/*/recipe.toml"):
        recipe.write_text(re.sub(r'root = ".*"', f'root = "{here / "nowhere"}"', recipe.read_text()))
    return here


@pytest.fixture
def labels():
    """`labels("show", "photos")`: what `sslkit labels` prints, where it succeeds."""
    return succeeds("labels")


@pytest.fixture
def refused():
    """`refused("show", "photos")`: what it says when it fails, without a traceback."""
    return fails("labels")
