"""Who may know whom: the engine no plugin and no method, plugins neither each other nor the engine's insides."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = sorted((ROOT / "sslkit").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
TARGETS = {target.partition(":")[0] for points in POINTS.values() for target in points.values()}
METHODS = re.compile(
    r"(fix|mix|free|soft|flex|ada|co|sim|cr|sequence)match|noisy.?student|mean.?teacher|meta.?pseudo|temporal.?ensembl|"
    r"pi.model|simclr|mixup|\b(uda|vat|ict|crest|darp)\b",
    re.IGNORECASE,
)
"Names of methods, and of what only some of them do. (Dash is a word.)"
INSIDES = re.compile(
    r"sslkit\.(engine|runs|state|hooks|forward|loader|labels|network|checkpoint|recipe|commands|cli)\b"
)


def label(path):
    return str(path.relative_to(ROOT))


def imported(tree):
    """(line, module) of every import, relative ones with their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield node.lineno, base
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)


def docstrings(tree):
    """The nodes of all docstrings: prose, which no import hides in."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(
            node
        ):
            yield node.body[0].value


def of_a_plugin(path, module):
    """Whether an import is of another plugin; mathematics that several share lies in files without a plugin."""
    if module.startswith("."):
        folders = ["sslkit_plugins", *path.relative_to(ROOT / "plugins").parts[:-1]]
        up = len(module) - len(module.lstrip(".")) - 1
        module = ".".join([*folders[: len(folders) - up], module.lstrip(".")])
    return any(module == plugin or module.startswith(f"{plugin}.") for plugin in TARGETS)


def plugin_names(tree):
    """Lines that import `sslkit_plugins`, or hold its name as a string to import."""
    lines = [line for line, module in imported(tree) if module.split(".")[0] == "sslkit_plugins"]
    prose = set(map(id, docstrings(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            lines += [node.lineno] if "sslkit_plugins" in node.value else []
    return lines


@pytest.mark.parametrize("path", ENGINE, ids=label)
def test_the_engine_imports_no_plugin(path):
    assert plugin_names(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "code",
    ["import sslkit_plugins.noise.cutout", "from sslkit_plugins.noise import cutout", "import_module('sslkit_plugins.noise')",
     "def f():\n    from sslkit_plugins import noise", "f'sslkit_plugins.{section}'"],
)  # fmt: skip
def test_the_check_sees_every_way_to_import(code):
    assert plugin_names(ast.parse(code))


@pytest.mark.parametrize("path", ENGINE, ids=label)
def test_the_engine_names_no_method(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [(number, line) for number, line in lines if METHODS.search(line)] == []


@pytest.mark.parametrize("path", PLUGINS, ids=label)
def test_plugins_import_neither_each_other_nor_the_engine(path):
    modules = list(imported(ast.parse(path.read_text())))
    assert [(line, module) for line, module in modules if of_a_plugin(path, module)] == []
    assert [(line, module) for line, module in modules if INSIDES.match(module)] == []


def test_the_check_knows_plugins_from_what_they_share():
    path = ROOT / "plugins" / "noise" / "randaugment.py"
    assert of_a_plugin(path, ".cutout")
    assert of_a_plugin(path, ".cutout.Cutout")
    assert of_a_plugin(path, "..loss.cross_entropy")
    assert of_a_plugin(path, "sslkit_plugins.noise.cutout")
    assert of_a_plugin(ROOT / "plugins/data/formats/files.py", "..digits")
    assert not of_a_plugin(path, ".image_ops")
    assert not of_a_plugin(path, "sslkit.randomness")


def test_there_is_something_to_look_at():
    assert len(ENGINE) > 15
    assert len(PLUGINS) > 15
