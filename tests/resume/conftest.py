"""References are run once for the whole session: every kill of a recipe is compared with the same uninterrupted run."""

import harness
import pytest


@pytest.fixture(scope="session")
def references(tmp_path_factory):
    """Where uninterrupted runs lie."""
    return tmp_path_factory.mktemp("references")


@pytest.fixture
def trial(references, tmp_path):
    """`trial("fixmatch", steps=9)`: a run of a recipe, to be stopped and compared with one that never was."""

    def make(name, folder="run", **overrides):
        label = "-".join([name, *(f"{key}={value}" for key, value in sorted(overrides.items()))]).replace("/", "_")
        return harness.Trial(harness.Job.of(name, **overrides), references / label, tmp_path / folder)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """A fork must not meet half an OpenMP pool, and one and two threads give different bits."""
    harness.torch.set_num_threads(1)
