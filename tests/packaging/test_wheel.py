"""What is installed is what lies in the tree: no package forgotten, nothing resurrected, every name resolved."""

import ast
import configparser
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from sslkit.hookspecs import SECTIONS, hooks_of

ROOT = Path(__file__).parents[2]
PACKAGES = {"sslkit": "sslkit", "plugins": "sslkit_plugins", "recipes": "sslkit_recipes"}
"Folder in the tree -> package in the wheel."
KINDS = {"sslkit": (".py", "py.typed"), "plugins": (".py",), "recipes": (".py", ".toml", ".json")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A wheel of a copy of the tree, as an open archive."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(path) as archive:
        yield archive


def tree():
    """Every file that belongs into the wheel, by its name there, with its content."""
    files = {}
    for folder, package in PACKAGES.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.name.endswith(KINDS[folder]):
                files[f"{package}/{path.relative_to(ROOT / folder).as_posix()}"] = path.read_bytes()
    return files


def named_entry_points():
    return [
        (group.removeprefix("sslkit."), name, target)
        for group, points in PROJECT["entry-points"].items()
        for name, target in points.items()
    ]


def test_the_wheel_holds_the_tree_and_nothing_else(wheel):
    packed = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    expected = tree()
    assert sorted(packed) == sorted(expected)
    assert packed == expected
    assert {name.split("/")[0] for name in packed} == set(PACKAGES.values())


def test_the_tree_was_found():
    names = tree()
    assert {"sslkit/cli.py", "sslkit/py.typed", "sslkit_plugins/tracker/jsonl.py", "sslkit_recipes/__init__.py"} <= set(
        names
    )
    assert any(name.startswith("sslkit_recipes/") and name.endswith(".toml") for name in names)


def test_metadata_of_the_wheel(wheel):
    info = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    points = configparser.ConfigParser()
    points.optionxform = str
    points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    packed = {group: dict(points[group]) for group in points.sections()}
    assert packed.pop("console_scripts") == {"sslkit": "sslkit.cli:main"}
    assert packed == PROJECT["entry-points"]
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


@pytest.mark.parametrize(("section", "name", "target"), named_entry_points())
def test_entry_points_name_classes_that_are_in_the_wheel(section, name, target, wheel):
    module, _, cls = target.partition(":")
    source = wheel.read(module.replace(".", "/") + ".py")
    assert cls in {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    assert module == f"sslkit_plugins.{section}.{name}"  # file, recipe and class names agree
    assert cls.lower() == name.replace("_", "")


@pytest.mark.parametrize(("section", "name", "target"), named_entry_points())
def test_entry_points_load_a_plugin_of_their_section(section, name, target):
    assert section in SECTIONS
    (point,) = entry_points(group=f"sslkit.{section}", name=name)
    assert point.value == target
    assert hooks_of(point.load())


def test_every_file_with_a_plugin_has_an_entry_point():
    files = {
        f"sslkit_plugins.{path.parent.name}.{path.stem}"
        for path in (ROOT / "plugins").glob("*/*.py")
        if "@hookimpl" in path.read_text()
    }
    assert files == {target.partition(":")[0] for _, _, target in named_entry_points()}


def test_recipes_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = {path.name for path in resources.files("sslkit_recipes").iterdir()}
    assert {path.name for path in (ROOT / "recipes").glob("*.toml")} <= shipped
