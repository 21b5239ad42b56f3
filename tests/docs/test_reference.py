"""Documentation and code say the same, and nothing is left out of either or of the tests."""

import importlib.util
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import torch
from rich.console import Console

from sslkit.check.examine import examine
from sslkit.check.tree import draw
from sslkit.cli import COMMANDS
from sslkit.hookspecs import SECTIONS, AnyHooks
from sslkit.recipe import load, shipped
from sslkit.recipe.documented import field_docs
from sslkit.testing import check_plugin

ROOT = Path(__file__).parents[2]
KINDS = ("Slot", "Fold", "Collect", "Notify")


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()
HOOKS = {
    name: getattr(cls, name)
    for cls in (AnyHooks, *SECTIONS.values())
    for name, function in vars(cls).items()
    if inspect.isfunction(function)
}
BUILT_INS = {name: cls for found in GENERATE.built_ins().values() for name, cls in found.items()}
TESTS = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__))


@pytest.mark.parametrize("name", GENERATE.pages())
def test_reference_pages_are_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text() == GENERATE.pages()[name], "run `python docs/generate.py`"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_tested(hook):
    documented = inspect.getdoc(HOOKS[hook]) or ""
    assert documented.startswith(KINDS), "the docstring begins with the hook's kind"
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert f"### `{GENERATE.signature(HOOKS[hook])}`" in page
    assert re.search(rf"\b{hook}\b", (ROOT / "tests" / "engine" / "test_call_order.py").read_text())


@pytest.mark.parametrize("name", BUILT_INS)
def test_every_built_in_is_documented_and_tested(name):
    cls = BUILT_INS[name]
    assert len(inspect.getdoc(cls) or "") > 40
    assert all(field_docs(cls).get(field) for field in cls.__dataclass_fields__), "every field has a line of help"
    assert f"### {name}\n" in (ROOT / "docs" / "plugins.md").read_text()
    imported = rf"from sslkit_plugins[\w.]* import (\([^)]*|[^\n]*)\b{cls.__name__}\b"
    assert re.search(imported, TESTS), f"no test imports {cls.__name__}"


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_in_a_test(name):
    assert name.rpartition("/")[2] in TESTS


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_readme_shows_the_default_recipe_as_it_is():
    assert (ROOT / "recipes" / "noisy_student.toml").read_text() in blocks("toml")


def test_readme_plugin_keeps_its_promises_and_its_recipe_loads(tmp_path):
    fog = next(block for block in blocks("python") if "class Fog" in block)
    (tmp_path / "fog.py").write_text(fog)
    table = next(block for block in blocks("toml") if "fog.py" in block)
    (tmp_path / "foggy.toml").write_text(f'extends = "noisy_student"\n{table}')
    entries = load(tmp_path / "foggy.toml").generations[0].entries()
    plugin = next(entry.plugin for entry in entries if entry.name == "fog")
    assert plugin.density == 0.3
    check_plugin(type(plugin))


@pytest.mark.parametrize(
    ("start", "brings"), [('extends = "noisy_student"', "hard_labels"), ('extends = ["', "balanced_head")]
)
def test_readme_recipes_of_your_own_load(tmp_path, start, brings):
    own = next(block for block in blocks("toml") if start in block and brings in block)
    (tmp_path / "mine.toml").write_text(own)
    assert brings in [entry.name for entry in load(tmp_path / "mine.toml").generations[-1].entries()]


def test_readme_overrides_are_accepted():
    commands = [line for block in blocks("sh") for line in block.splitlines() if "--set" in line]
    assert commands
    for line in commands:
        (recipe,) = re.findall(r"^sslkit run (\S+)", line)  # loaded as it is: only a run looks for its data
        found = re.findall(r"--set (\S+?)=(\S+)", line)
        assert len(found) == line.count("--set")
        load(
            recipe,
            {
                path: tomllib.loads(f"v = {value}")["v"] if value[0].isdigit() or value in ("true", "false") else value
                for path, value in found
            },
        )


def test_changelog_names_every_command():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for command in COMMANDS:
        assert f"`sslkit {command}" in changelog


def test_readme_lists_every_command_as_the_code_does():
    text = (ROOT / "README.md").read_text()
    assert GENERATE.inserted(text, "commands", GENERATE.commands_table()) == text, "run `python docs/generate.py`"


def measured_out(text):
    """A tree's lines without what a machine measures: times, losses' values and gradients."""
    text = re.sub(r"(about (\d+ (h|min|s) ?)+|under 1 s)", "#", text)
    number = r"-?[\d.]+(e-?\d+)?"
    return re.sub(rf"(value|gradient) {number}( to {number})?", r"\1 #", text).replace("·", " ").split()


def test_readme_shows_the_tree_of_the_default_recipe_as_check_draws_it(capsys):
    shown = next(block for block in blocks("text") if "generation 0" in block)
    Console(width=104, highlight=False).print(draw(examine(load("noisy_student"), torch.device("cpu"))))
    drawn = capsys.readouterr().out
    bare = [re.sub(r"[│├└─]", " ", text) for text in (shown, drawn)]
    assert measured_out(bare[0]) == measured_out(bare[1]), "run `python docs/picture.py runs/noisy_student`"


@pytest.mark.parametrize("picture", ["check.svg", "live.svg", "run.svg"])
def test_readme_shows_every_picture(picture):
    assert f"(docs/{picture})" in (ROOT / "README.md").read_text()
    text = (ROOT / "docs" / picture).read_text()
    assert "<svg" in text and "noisy_student" in text


def test_readme_recipe_of_own_images_loads():
    recipe = load("finetune_noisy_student", {"data.root": "photos"})
    assert [e.use for e in recipe.generations[0].entries() if e.section == "data"] == ["image_folder"]
    commands = re.findall(r"`sslkit ([^`]+)`", (ROOT / "README.md").read_text())
    assert "run finetune_noisy_student --set data.root=photos" in commands
