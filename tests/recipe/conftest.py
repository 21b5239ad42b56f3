import sys
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


FOG = '''
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Interval
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Fog:
    """Blend images with white.

    More of it.
    """
    density: Annotated[float, Interval(ge=0, le=1)] = 0.5
    "Share of white."
    @hookimpl
    def image_transforms(self, view): return []
'''
POINTS = """
[sslkit.noise]
fog = weather_fog:Fog
haze = weather_haze:Haze
mist = weather_mist:Mist
hail = weather_hail:Hail
"""
HAIL = """
from dataclasses import dataclass, field
from sslkit import hookimpl

def stones():
    raise OSError("no stones")

@dataclass(eq=False, kw_only=True)
class Hail:
    size: int = field(default_factory=stones)
    @hookimpl
    def model_kwargs(self, generation): return {}
"""


@pytest.fixture
def weather(tmp_path, monkeypatch):
    """A package of one sound plugin and three that cannot be used, installed into a folder of its own."""
    for name in ("fog", "haze", "mist", "hail"):
        monkeypatch.delitem(sys.modules, f"weather_{name}", raising=False)
    info = tmp_path / "site" / "weather-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weather\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (info.parent / "weather_fog.py").write_text(FOG + 'print("fog is imported")')
    (info.parent / "weather_haze.py").write_text("import a_package_that_is_not_there\n")
    (info.parent / "weather_mist.py").write_text("class Mist:\n    pass\n")
    (info.parent / "weather_hail.py").write_text(HAIL)
    monkeypatch.syspath_prepend(str(info.parent))
    return info.parent
