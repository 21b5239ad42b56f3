"""Run folders that were made up, and the pages of them; one run of the default recipe, tiny, that really trained."""

import os
import shutil

import pytest
import torch
from invoking import fails, succeeds
from made_up import write_run

import sslkit
from sslkit.reporting.folder import RunFolder


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with the runs `photos`, and `old`, as early versions left them. Nobody changes it."""
    home = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        write_run(home / "runs" / "photos")
        write_run(home / "runs" / "old", full=False)
    return home


@pytest.fixture(scope="session")
def photos(made):
    """The run that has everything."""
    return RunFolder.of(made / "runs" / "photos")


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of the runs below the working folder."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The default recipe's run, a few steps of it; its page lies in it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    few = {
        "steps": 4,
        "generation": [{"steps": 4}, {}],
        "evaluate_every": 2,
        "save_every": 0,
        "log_every": 1,
        "workers": 0,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        torch.set_num_threads(1)
        sslkit.run("noisy_student", overrides=few, device="cpu", out=folder)
    sslkit.report(folder)
    return folder


@pytest.fixture
def report():
    """`report("photos")`: what `sslkit report` prints, where it succeeds."""
    return succeeds("report")


@pytest.fixture
def refused():
    """What it says when it fails, without a traceback."""
    return fails("report")
