"""Run folders that were made up, and the pages of them; one run of the default recipe, tiny, that really trained."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from made_up import write_run

import sslkit
from sslkit import cli
from sslkit.reporting.folder import RunFolder

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


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

    def call(*args):
        done = CliRunner().invoke(cli.cli, ["report", *map(str, args)], prog_name="sslkit")
        assert done.exit_code == 0, done.output
        return done.stdout

    return call


@pytest.fixture
def refused():
    """What it says when it fails, without a traceback."""

    def call(*args):
        done = CliRunner().invoke(cli.cli, ["report", *map(str, args)], prog_name="sslkit")
        assert done.exit_code == 2, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.output

    return call


@pytest.fixture(scope="session")
def chromium():
    """A browser; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
