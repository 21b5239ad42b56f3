from pathlib import Path

import pytest
from kitchen import Kitchen


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kitchen")


@pytest.fixture
def kitchen(shared_folder: Path) -> Kitchen:
    """One folder for all tests: the classes of `parts.py` are made once, as they are for any one file."""
    for path in shared_folder.iterdir():
        if path.is_file() and path.name != "parts.py":
            path.unlink()
    return Kitchen(shared_folder)
