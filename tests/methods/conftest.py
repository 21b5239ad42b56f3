"""Every method is held against the same promises, with the engine's, the killers' and the documentation's own tools."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/engine", "tests/resume", "docs")]

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def references(tmp_path_factory):
    """Where uninterrupted runs lie."""
    return tmp_path_factory.mktemp("references")


@pytest.fixture(autouse=True)
def one_thread():
    """A fork must not meet half an OpenMP pool, and one and two threads give different bits."""
    import torch

    torch.set_num_threads(1)
