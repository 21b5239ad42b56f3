"""Tiny whole runs: 3 classes, 8 pixels, a few steps; recipes written beside plugins made for one test."""

import os
import sys
from pathlib import Path

import cv2
import pytest
import torch
from click.testing import CliRunner
from small import BASE

from sslkit import cli

sys.path.insert(0, str(Path(__file__).parents[1] / "resume"))  # its harness forks, kills and compares


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power cut is tested here; shared disks take seconds


@pytest.fixture
def recipe(tmp_path):
    """`recipe(text, plugins)`: a recipe file that says `text` on top of BASE, with `plugins.py` beside it."""

    def write(text: str = "", plugins: str = "", name: str = "tiny") -> Path:
        (tmp_path / "base.toml").write_text(BASE)
        (tmp_path / "plugins.py").write_text(plugins)
        path = tmp_path / f"{name}.toml"
        path.write_text(f'extends = "base.toml"\n{text}')
        return path

    return write


@pytest.fixture
def out(tmp_path):
    """A run folder that is not there yet."""
    return tmp_path / "out"


@pytest.fixture
def sslkit_cli():
    """`sslkit_cli("run", ...)`: the command line, in this process."""
    return lambda *args: CliRunner().invoke(cli.cli, [*map(str, args)], prog_name="sslkit")


@pytest.fixture
def refused(sslkit_cli):
    """`refused("run", ...)`: what a command says that ends with exit code 2 and without a traceback."""

    def call(*args) -> str:
        done = sslkit_cli(*args)
        assert done.exit_code == 2, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert "Traceback" not in done.output and "error: " in done.output
        return done.output

    return call
