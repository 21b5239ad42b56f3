"""Data that was moved while a run was stopped: the run goes on, where it is told the place, to the same end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from small import BASE

import sslkit
from sslkit import runs
from sslkit.errors import Interrupted, MissingData, RunError

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from photos import fill

DATA = '[data]\nuse = "image_folder"\nroot = "photos"\nlabels_per_class = 3\nunlabeled = "extra"\ntest = "test"\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    fill(tmp_path / "photos", **{"train/cat": 6, "train/dog": 6, "extra": 8, "test/cat": 2, "test/dog": 2})
    before, _, after = BASE.partition("[data]")
    path = tmp_path / "it.toml"
    path.write_text(before + DATA + after[after.index("[model]") :])
    return path


@contextmanager
def stopping() -> Iterator[object]:
    """Asks a run to stop when it has asked a few times."""
    asked = iter(range(100))
    yield lambda: "SIGINT" if next(asked) > 4 else None


def test_a_run_whose_data_was_moved_goes_on(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sslkit.run(recipe, out=tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(runs, "stop_signals", stopping)
        sslkit.run(recipe, out=tmp_path / "run")
    (tmp_path / "photos").rename(tmp_path / "moved")
    with pytest.raises(MissingData, match=r"data\.root=PATH"):
        sslkit.run(resume=tmp_path / "run")
    there = {"data.root": str(tmp_path / "moved")}
    with pytest.raises(RunError, match=r"data\.labels_per_class"):
        sslkit.run(resume=tmp_path / "run", overrides={**there, "data.labels_per_class": 2})
    run = sslkit.run(resume=tmp_path / "run", overrides=there)
    assert run.finished and not run.warnings
    one, other = (torch.cat([p.flatten() for p in r.model().parameters()]) for r in (whole, run))
    assert torch.equal(one, other)


def test_other_data_in_another_place_is_refused(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(runs, "stop_signals", stopping)
        sslkit.run(recipe, out=tmp_path / "run")
    (tmp_path / "photos").rename(tmp_path / "moved")
    (tmp_path / "moved/extra/0.png").unlink()
    with pytest.raises(RunError, match="has changed"):
        sslkit.run(resume=tmp_path / "run", overrides={"data.root": str(tmp_path / "moved")})
