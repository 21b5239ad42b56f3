"""Plugins of others have what built-ins have: a package's by name, a file's by path."""

import importlib.metadata
import json
import shutil
import subprocess
import sys

import harness
import pytest
from harness import in_child

import sslkit
from sslkit import registry
from sslkit.errors import RecipeError
from sslkit.folder import Run
from sslkit.recipe import load

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "sslkit-weather"
version = "1.2.3"
dependencies = ["sslkit"]

[project.entry-points."sslkit.noise"]
fog = "sslkit_weather.fog:Fog"

[project.entry-points."sslkit.labeler"]
doubt = "sslkit_weather.doubt:Doubt"

[tool.setuptools]
packages = ["sslkit_weather"]
"""
FOG = '''
"""Fog: images fade towards white, each by its own draw."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from sslkit import Image, Keys, ViewSpec, hookimpl
from sslkit.randomness import uniform


@dataclass(eq=False, kw_only=True)
class Fog:
    """Blend each image with white."""

    density: Annotated[float, Interval(ge=0, le=1)] = 0.5
    "Share of white at most."

    @hookimpl
    def image_transforms(self, view: ViewSpec) -> list:
        return [self.fade]

    def fade(self, images: Image, keys: Keys) -> Image:
        share = self.density * uniform(keys, 1)[:, :, None, None]
        return np.rint(images * (1 - share) + 255 * share).astype(np.uint8)
'''
DOUBT = '''
"""Doubt: the surest pseudo-labels are left out, and how many is remembered."""

from dataclasses import dataclass, replace
from typing import Any

from sslkit import Targets, hookimpl


@dataclass(eq=False, kw_only=True)
class Doubt:
    """Leave out what is surer than `above`."""

    above: float = 0.9

    @hookimpl
    def begin(self) -> None:
        self.dropped_ = 0

    @hookimpl
    def refine(self, targets: Targets) -> Targets:
        kept = targets.confidence <= self.above
        self.dropped_ += int((~kept).sum())
        return replace(targets, weight=targets.weight * kept)

    def state_dict(self) -> dict[str, Any]:
        return {"dropped_": self.dropped_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.dropped_ = state["dropped_"]
'''
TABLES = """
[[noise]]
use = "fog"
density = 0.4
on = "unlabeled"
[[labeler]]
use = "doubt"
above = 0.4
"""


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """The package, built and installed by pip into a folder of its own."""
    source, site = tmp_path_factory.mktemp("weather"), tmp_path_factory.mktemp("site")
    package = source / "sslkit_weather"
    package.mkdir()
    for path, text in {source / "pyproject.toml": PYPROJECT, package / "__init__.py": "", package / "fog.py": FOG,
                       package / "doubt.py": DOUBT}.items():  # fmt: skip
        path.write_text(text)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.fixture
def installed(weather, monkeypatch):
    monkeypatch.syspath_prepend(str(weather))
    return weather


def test_a_package_is_found_by_its_entry_points(installed):
    found = {(one.section, one.name): one for one in registry.available()}
    fog = found["noise", "fog"]
    assert (fog.package, fog.version, fog.target) == ("sslkit-weather", "1.2.3", "sslkit_weather.fog:Fog")
    assert ("labeler", "doubt") in found and "fog" in registry.names("noise")
    assert importlib.metadata.version("sslkit-weather") == "1.2.3"


def test_a_packages_noise_and_labeler_run_from_a_recipe(installed, recipe, out):
    path = recipe(TABLES)
    done = sslkit.run(path, out=out, device="cpu")
    assert done.summary["status"] == "finished"
    stored = done.labels(1)
    sure = stored.confidence > 0.4
    assert 0 < sure.sum() < len(sure) and (stored.kept == ~sure).all()
    tree = harness.artifacts.load_tree(harness.newest_checkpoint(out), "state")
    assert tree["state"]["plugins"]["doubt"] == {"dropped_": int(sure.sum())}
    thin = sslkit.run(path, overrides={"noise.fog.enabled": False}, out=out.with_name("thin"), device="cpu")
    names = [f"models/generation-{g}/model.safetensors" for g in range(2)]
    fog, clear = ([(run.folder / name).read_bytes() for name in names] for run in (done, thin))
    assert fog[0] == clear[0] and fog[1] != clear[1], "fog is on unlabeled images, which only students see"


def test_a_packages_plugins_resume_and_work_in_data_workers(installed, recipe, tmp_path):
    job = harness.Job(recipe(TABLES), (("workers", 1),))
    run = harness.Trial(job, tmp_path / "reference", tmp_path / "run")
    assert run.kill_at("step", 6) == "killed"
    run.finish()


def test_a_packages_plugin_has_a_built_ins_messages(installed, recipe):
    with pytest.raises(RecipeError) as caught:
        load(recipe('[[noise]]\nuse = "fog"\ndensty = 0.4\n[[labeler]]\nuse = "fog"\n'))
    said = str(caught.value)
    assert "[[noise]] fog: unknown key `densty`" in said and "did you mean `density`?" in said
    assert "`fog` is a noise plugin: put it under [[noise]]" in said


def test_without_the_package_its_names_are_unknown(recipe):
    with pytest.raises(RecipeError, match="no noise plugin is called `fog`"):
        load(recipe(TABLES))


def test_two_packages_of_one_name_are_named(installed, tmp_path, monkeypatch, recipe):
    info = tmp_path / "other" / "other-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[sslkit.noise]\nfog = other:Fog\n")
    monkeypatch.syspath_prepend(str(info.parent))
    with pytest.raises(RecipeError, match="`fog` is provided by several packages") as caught:
        load(recipe(TABLES))
    assert "other 0.1" in str(caught.value) and "sslkit-weather 1.2.3" in str(caught.value)


# A file -----------------------------------------------------------------------------------------------------------

FILE = '[[noise]]\nuse = "./fog.py:Fog"\ndensity = 0.4\non = "unlabeled"\n'


@pytest.fixture
def fog(tmp_path):
    (tmp_path / "fog.py").write_text(FOG)
    return tmp_path / "fog.py"


def test_a_plugin_in_a_file_beside_the_recipe(fog, recipe, out, monkeypatch, tmp_path):
    """From the recipe's folder, wherever the command is given."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = sslkit.run(recipe(FILE), out=out, device="cpu")
    assert done.summary["status"] == "finished"
    (noise,) = [one for one in done.recipe().table["noise"] if one["name"] == "fog"]
    assert noise["use"] == f"{fog}:Fog" and noise["density"] == 0.4
    assert done.recipe().table["files"].keys() >= {str(fog)}


def test_a_file_and_a_package_make_the_same_run(installed, fog, recipe, tmp_path):
    """Both are called `fog`, so both draw from the same keys."""
    file = sslkit.run(recipe(FILE), out=tmp_path / "file", device="cpu")
    package = sslkit.run(recipe(FILE.replace("./fog.py:Fog", "fog")), out=tmp_path / "package", device="cpu")
    for g in range(2):
        name = f"models/generation-{g}/model.safetensors"
        assert (file.folder / name).read_bytes() == (package.folder / name).read_bytes()


def test_the_resolved_recipe_finds_the_file_again(fog, recipe, out, tmp_path):
    done = sslkit.run(recipe(FILE), out=out, device="cpu")
    again = sslkit.run(out / "recipe.toml", out=tmp_path / "again", device="cpu")
    name = "models/generation-1/model.safetensors"
    assert (again.folder / name).read_bytes() == (done.folder / name).read_bytes()
    assert again.summary["recipe_hash"] == done.summary["recipe_hash"]


def test_a_file_that_was_edited_before_the_first_checkpoint_is_not_mixed_in(fog, recipe, out):
    """Where the baseline is done and the run itself has saved nothing yet, as well as within the baseline."""
    job = harness.Job(recipe(FILE), (("baseline", True),))
    log = out.with_name("log")
    for count in (3, 9):  # of the baseline's eight steps, then of the run's own
        shutil.rmtree(out, ignore_errors=True)
        assert harness.dies_at(lambda: job.begin(out), "step", count, log=log) == "killed"
        fog.write_text(FOG + "# edited\n")
        assert in_child(lambda: job.go_on(out), log) == "refused"
        told = log.read_text()
        assert "was begun with other contents of these files" in told and f"files.{fog}" in told
        fog.write_text(FOG)
    assert in_child(lambda: job.go_on(out), log) == "finished", log.read_text()


def test_a_file_that_is_gone_when_a_run_goes_on(fog, recipe, out):
    job = harness.Job(recipe(FILE))
    log = out.with_name("log")
    assert harness.dies_at(lambda: job.begin(out), "step", 6, log=log) == "killed"
    fog.unlink()
    assert in_child(lambda: job.go_on(out), log) == "refused"
    assert f"`{fog}` cannot be read" in log.read_text() and "Traceback" not in log.read_text()
    fog.write_text(FOG)
    assert in_child(lambda: job.go_on(out), log) == "finished", log.read_text()
    assert json.loads((out / "summary.json").read_text())["status"] == Run(out).summary["status"] == "finished"
