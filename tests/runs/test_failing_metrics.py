"""A metric that fails or takes long at a generation's end costs none of its steps."""

import signal

import pytest

import sslkit
from sslkit.errors import Interrupted, SslkitError

METRIC = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from sslkit import SslkitError, hookimpl

HERE = Path(__file__).parent

@dataclass(eq=False, kw_only=True)
class Moody:
    "Fails at a generation's end while a file lies there; measures in many pieces otherwise."

    @hookimpl
    def measure(self, model, data, progress):
        if progress.step < progress.steps:
            return {}
        if (HERE / "broken").exists():
            raise SslkitError("the photographs are damaged")
        pieces = [made for _, made in model.batches(data.test)]
        for number in range(50):
            if number == 2 and (HERE / "tired").exists():
                os.kill(os.getpid(), signal.SIGTERM)
            (HERE / "asked").write_text(str(number))
            model.answer(pieces[0])
        return {"mood": 1.0}
"""
TABLES = 'save_every = 0\nevaluate_every = 0\n[[metric]]\nuse = "accuracy"\n[[metric]]\nuse = "./plugins.py:Moody"\n'


def results(run):
    return [entry["metrics"] for entry in run.summary["generations"]]


@pytest.fixture
def plain(recipe, tmp_path):
    """What a run is that nothing disturbs."""
    return results(sslkit.run(recipe(TABLES, METRIC), out=tmp_path / "plain", device="cpu"))


def test_a_metric_that_fails_costs_no_steps(recipe, tmp_path, out, plain):
    (tmp_path / "broken").touch()
    with pytest.raises(SslkitError, match="the photographs are damaged"):
        sslkit.run(recipe(TABLES, METRIC), out=out, device="cpu")
    log = (out / "metrics.jsonl").read_text()
    (tmp_path / "broken").unlink()
    assert results(sslkit.run(resume=out, device="cpu")) == plain
    resumed = (out / "metrics.jsonl").read_text()
    assert resumed.startswith(log[: log.rindex('{"kind": "failure"')] if '"failure"' in log else log)
    assert sum('"kind": "step", "generation": 0' in line for line in resumed.splitlines()) == 4, (
        "no step was made twice"
    )


def test_measuring_heeds_who_asks_to_stop(recipe, tmp_path, out, plain):
    (tmp_path / "tired").touch()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="everything is saved"):
        sslkit.run(recipe(TABLES, METRIC), out=out, device="cpu")
    assert (tmp_path / "asked").read_text() == "2", "it stopped at the next piece"
    assert signal.getsignal(signal.SIGTERM) == before
    (tmp_path / "tired").unlink()
    assert results(sslkit.run(resume=out, device="cpu")) == plain
