"""A finished run on small photos, which other folders than its own are classified by."""

import os

import pytest
import torch
from classified import trained
from click.testing import CliRunner

from sslkit import cli
from sslkit.measuring.finished import finished_model


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with `photos` and the finished run `runs/photos`; nobody changes it."""
    home = tmp_path_factory.mktemp("predicting")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(os, "fsync", lambda descriptor: None)
        torch.set_num_threads(1)
        trained(home)
    return home


@pytest.fixture
def here(world, tmp_path, monkeypatch):
    """Another working folder, which has the run but not its data."""
    (tmp_path / "runs").symlink_to(world / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return tmp_path


@pytest.fixture(scope="session")
def model(world):
    """The finished model."""
    return finished_model(world / "runs" / "photos", device="cpu")


@pytest.fixture
def predict(here):
    """`predict("a.png", ..., given=b"...")`: what `sslkit predict photos` does."""

    def call(*args, given=None, code=0):
        command = ["predict", "photos", "--device", "cpu", *map(str, args)]
        done = CliRunner().invoke(cli.cli, command, input=given, prog_name="sslkit")
        assert done.exit_code == code, (done.output, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done

    return call
