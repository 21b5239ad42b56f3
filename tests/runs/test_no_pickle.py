"""No pickle is ever written or read: loading one would run whatever code it holds."""

import ast
import json
import os
import pickle
import signal
import struct
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import watched

from sslkit import run
from sslkit.errors import Interrupted
from sslkit.folder import Run

ROOT = Path(__file__).parents[2]
SUFFIXES = {".toml", ".json", ".jsonl", ".safetensors"}
PICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.fixture
def forbidden(monkeypatch):
    """Whoever pickles, or asks torch to, fails; the list holds who asked."""
    asked = []

    def refuse(name):
        def call(*args, **kwargs):
            asked.append(name)
            raise AssertionError(f"{name} was called")

        return call

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse(f"pickle.{name}"))
    for name in ("load", "save"):
        monkeypatch.setattr(torch, name, refuse(f"torch.{name}"))
        monkeypatch.setattr(torch.serialization, name, refuse(f"torch.serialization.{name}"))
        monkeypatch.setattr(np, name, refuse(f"numpy.{name}"))
    return asked


def check_files(folder):
    """Every file is what its name says, and nothing else."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        assert path.suffix in SUFFIXES, path
        assert not data.startswith((b"\x80", b"PK")), path
        if path.suffix == ".toml":
            tomllib.loads(data.decode())
        elif path.suffix == ".safetensors":
            (length,) = struct.unpack("<Q", data[:8])
            header = json.loads(data[8 : 8 + length])
            assert len(data) == 8 + length + max(
                t["data_offsets"][1] for t in [*header.values(), EMPTY] if "dtype" in t
            )
        else:
            for text in data.decode().splitlines() if path.suffix == ".jsonl" else [data.decode()]:
                json.loads(text)


EMPTY = {"dtype": "F32", "data_offsets": [0, 0]}


def test_running_and_resuming_pickle_nothing(recipe, out, forbidden):
    """A run with every kind of file: checkpoints, models, pseudo-labels, a baseline, a selected model."""
    path = recipe('baseline = true\n[[labeler]]\nuse = "moving_average"\n')
    with watched("step", 14, action=lambda: os.kill(os.getpid(), signal.SIGTERM)), pytest.raises(Interrupted):
        run(path, out=out, device="cpu")
    check_files(out)
    done = run(resume=out, device="cpu")
    assert done.summary["status"] == "finished"
    assert done.model(-1) is not None and len(done.labels(1).index) == 40
    assert Run(out).summary == done.summary
    assert forbidden == []
    check_files(out)


def test_the_guard_sees_what_it_guards_against(forbidden, tmp_path):
    with pytest.raises(AssertionError, match=r"torch\.save was called"):
        torch.save({}, tmp_path / "x.pt")
    with pytest.raises(AssertionError, match=r"pickle\.dumps was called"):
        pickle.dumps({})
    assert forbidden == ["torch.save", "pickle.dumps"]


@pytest.mark.parametrize("path", sorted([*(ROOT / "sslkit").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]),
                         ids=lambda path: str(path.relative_to(ROOT)))  # fmt: skip
def test_no_source_asks_for_a_pickle(path):
    assert pickles(path.read_text()) == []


def pickles(source):
    """What in a module may read or write a pickle. NumPy's own format is none where pickling is off."""
    found, plain = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            found += sorted({name.partition(".")[0] for name in names} & PICKLING)
        if isinstance(node, ast.Call) and any(map(switched_off, node.keywords)):
            plain.add(node.func)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node not in plain:
            found += [f"{node.value.id}.{node.attr}"] * (
                node.value.id in ("torch", "np") and node.attr in ("load", "save")
            )
    return found


def switched_off(keyword):
    return keyword.arg == "allow_pickle" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False


def test_sources_that_would_be_found():
    assert pickles("from joblib import load") == ["joblib"]
    assert pickles("np.load(f); torch.save(x, f); np.load(f, allow_pickle=True)") == [
        "np.load",
        "torch.save",
        "np.load",
    ]
    assert pickles("np.load(f, allow_pickle=False)") == []
