"""`sslkit plugins`: what is installed is listed whole, and a plugin's page says what its class says."""

import dataclasses
import inspect
import json
import subprocess
import sys
import tomllib

import pytest
from click.testing import CliRunner

from sslkit import registry
from sslkit.catalog.card import cards
from sslkit.catalog.recipes import users
from sslkit.catalog.writing import document
from sslkit.cli import cli
from sslkit.commands.plugin_screens import TRAITS_SAID, trait_lines
from sslkit.hookspecs import SECTIONS, hooks_of
from sslkit.recipe import load, shipped
from sslkit.recipe.documented import field_docs
from sslkit.recipe.traits import TRAITS
from sslkit.recipe.validate import made

MODULE = '''
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Unit
from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class Fog:
    """Blend each image with white.

    Args of old:
        keep their lines
        as they are.

    | a | b |
    |---|---|
    | 1 \\\\| 2 | [bold]x[/bold] |
    """

    density: float = 0.5
    "Share of white at most."
    reach: Annotated[int, Ge(1), Unit("pixels")]
    shades: list[int] = field(default_factory=lambda: [1, 2])
    file: Path | None = None

    @hookimpl
    def image_transforms(self):
        return []

    @hookimpl
    def measure(self):
        return {}


@dataclass(eq=False, kw_only=True)
class Bare:
    @hookimpl
    def measure(self):
        return {}


class Plain:
    """No dataclass."""

    @hookimpl
    def refin(self):
        return None


@dataclass(eq=False, kw_only=True)
class Idle:
    """No hook at all."""
'''
POINTS = """
[sslkit.noise]
fog = weather_catalog:Fog
idle = weather_catalog:Idle
plain = weather_catalog:Plain
gone = weather_catalog_gone:Gone
lost = weather_catalog:Lost
angry = weather_catalog_angry:Angry
cutout = weather_catalog:Fog

[sslkit.metric]
fog = weather_catalog:Fog
bare = weather_catalog:Bare

[sslkit.nosie]
mist = weather_catalog:Fog
"""
FAULTS = {
    "idle": "implements no hook of [[noise]]",
    "plain": "is not a dataclass; decorate it",
    "gone": "cannot be imported: ModuleNotFoundError: No module named 'weather_catalog_gone'",
    "lost": "cannot be imported: AttributeError",
    "angry": "cannot be imported: SystemExit: 7",
    "cutout": "is provided by several packages; sslkit 0.1.0, sslkit-weather 1.2.3: uninstall all but one",
}
"Plugins of the noise section that cannot be used, and what is said of them."


def run(*args, width=None):
    done = CliRunner(env={"COLUMNS": str(width or 100)}).invoke(cli, ["plugins", *args], prog_name="sslkit")
    assert "Traceback" not in done.output
    return done


def page(*args, code=0):
    done = run(*args, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture
def weather(tmp_path, monkeypatch):
    """A package with a plugin in two sections, and one for each way to be broken."""
    info = tmp_path / "sslkit_weather-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sslkit-weather\nVersion: 1.2.3\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "weather_catalog.py").write_text(MODULE)
    (tmp_path / "weather_catalog_angry.py").write_text("raise SystemExit(7)")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("weather_catalog", None)


# The list --------------------------------------------------------------------------------------------------------


def test_every_plugin_is_listed_by_section():
    found = page("list")
    assert [(one["section"], one["name"]) for one in found] == [(s, n) for s in SECTIONS for n in registry.names(s)]
    for one in found:
        assert one["help"] and not one["wrong"] and one["package"] == "sslkit"
        assert one["source"].startswith(f"sslkit_plugins.{one['section']}.{one['name']}:")
    assert page("list", "--section", "schedule") == [one for one in found if one["section"] == "schedule"]


def test_help_that_is_read_without_importing_is_that_of_the_class():
    for one in page("list", "--section", "labeler"):
        cls = registry.find("labeler", one["name"], None)
        assert one["help"] == " ".join(cls.__doc__.split("\n\n")[0].split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_list_fits_the_terminal(width, weather):
    bare, said = run(width=width), run("list", width=width)
    assert bare.exit_code == 0 and bare.stdout == said.stdout
    lines = said.stdout.splitlines()
    assert max(map(len, lines)) <= width and not any(line.endswith(" ") for line in lines)
    for section in SECTIONS:
        for name in registry.names(section):
            assert any(line.startswith(f"  {name}  ") for line in lines)


def test_others_plugins_stand_beside_the_built_ins_and_broken_ones_harm_none(weather):
    found = {(one["section"], one["name"], one["package"]): one for one in page("list")}
    fog = found["noise", "fog", "sslkit-weather"]
    assert (fog["help"], fog["version"], fog["source"], fog["wrong"]) == (
        "Blend each image with white.", "1.2.3", "weather_catalog:Fog", ""
    )  # fmt: skip
    assert found["metric", "fog", "sslkit-weather"]["wrong"] == ""
    assert (
        found["metric", "bare", "sslkit-weather"] | {"help": "", "wrong": ""}
        == found["metric", "bare", "sslkit-weather"]
    )
    for name, said in FAULTS.items():
        assert said in found["noise", name, "sslkit-weather"]["wrong"]
    sound = [one for one in found.values() if one["package"] == "sslkit" and one["name"] != "cutout"]
    assert len(sound) > 25 and not any(one["wrong"] for one in sound)


def test_a_misspelt_group_of_entry_points_is_told(weather):
    said = run("list").stdout
    assert (
        "sslkit-weather: `sslkit.nosie` is no section, so its plugins are not found. Did you mean `noise`?"
        in " ".join(said.split())
    )
    assert "cannot be used: `plain`" not in said and "cannot be used: `Plain` is not a dataclass" in said


def test_an_unknown_section_gets_a_suggestion():
    done = run("list", "--section", "nois")
    assert done.exit_code == 2
    assert "there is no section `nois`" in done.stderr and "Did you mean `noise`?" in done.stderr


# One plugin ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", [section for section in SECTIONS if registry.names(section)])
def test_a_page_says_what_the_class_says(section):
    for name in registry.names(section):
        (card,) = [one for one in cards(f"{section}.{name}", None) if one.section == section]
        cls = registry.find(section, name, None)
        assert card.doc == inspect.getdoc(cls)
        assert card.source == f"{cls.__module__}:{cls.__name__}" and card.file.endswith(f"{section}/{name}.py")
        assert card.wrong == ""
        fields = [field for field in dataclasses.fields(cls) if field.init]
        assert [one.name for one in card.settings] == [field.name for field in fields]
        docs = field_docs(cls)
        assert [one.help for one in card.settings] == [" ".join(docs[field.name].split()) for field in fields]
        assert {hook.name for hook in card.hooks} == set(hooks_of(cls))
        assert {hook.kind for hook in card.hooks} <= {"Slot", "Fold", "Collect", "Notify"}


@pytest.mark.parametrize("width", [60, 120])
def test_a_page_fits_the_terminal(width):
    for name in ("randaugment", "class_balance", "cosine", "image_folder", "cross_entropy"):
        done = run("show", name, width=width)
        assert done.exit_code == 0
        prose = done.stdout.partition("\nin a recipe, ")[0].splitlines()
        long = [line for line in prose if len(line) > width and ".py" not in line and "/" not in line]
        assert long == []
        assert not any(line.endswith(" ") for line in done.stdout.splitlines())


def test_a_page_in_words():
    said = run("show", "class_balance", width=120).stdout
    for line in [
        "class_balance  [[labeler]]  sslkit 0.1.0",
        "sslkit_plugins.labeler.class_balance:ClassBalance",
        "  per_class   0    a whole number of at least 0 draws",
        "  refine  Fold. The whole pool once (`batch` and `forward` are None), or a step's batch.",
        "  needs targets that still tell their confidence",
        '  works where labels are made for the pool alone (labels = "pool")',
    ]:
        assert f"\n{line}" in f"\n{said}"
    assert "used by\n  finetune_noisy_student, noisy_student" in said
    assert said.endswith('in a recipe, as in noisy_student\n\n[[labeler]]\nuse = "class_balance"\nper_class = 200\n')
    assert "its targets no longer tell their confidence" in run("show", "hard_labels").stdout
    assert "needs a plugin that implements `average`" in run("show", "averaged_student").stdout


def test_every_trait_has_its_sentence():
    assert set(TRAITS_SAID) == set(TRAITS)
    assert list(trait_lines({name: ["confidence"] for name in TRAITS})) == [
        "needs targets that still tell their confidence",
        "its targets no longer tell their confidence: what goes by it stands before this",
        "the teacher is the confidence itself, which answers labelers from its own passes",
        "remembers the student's confidence to its views, whose rows may not be mixed before",
        'works where labels are made for the confidence alone (labels = "confidence")',
        "what it learned is of one confidence: another one in the next generation begins anew",
        "`confidence` does something to one-hot targets only",
    ]


def test_who_uses_a_plugin_is_what_the_loaded_recipes_say():
    used = {name: {(entry.section, entry.use) for generation in load(name).generations for entry in generation.entries()}
            for name in shipped()}  # fmt: skip
    for section in SECTIONS:
        for use in registry.names(section):
            assert list(users(section, use)) == [name for name in used if (section, use) in used[name]]
    assert "mean_teacher" not in users("noise", "randaugment"), "it is there, by `extends`, but not enabled"


def test_studies_count_as_users():
    (card,) = page("show", "label_spreading")
    assert "studies/noisy_student" in card["studies"] and "noisy_student" not in card["recipes"]


def test_every_snippet_is_a_table_that_its_plugin_takes():
    for section in SECTIONS:
        for name in registry.names(section):
            (card,) = [one for one in page("show", f"{section}.{name}") if one["section"] == section]
            table = tomllib.loads(card["snippet"])[section]
            (table,) = table if isinstance(table, list) else [table]
            assert table["use"] == name
            own = {key: value for key, value in table.items() if key in {one["name"] for one in card["settings"]}}
            missing = [one["name"] for one in card["settings"] if one["required"] and one["name"] not in own]
            if missing:
                assert all(f"# {name} =  # required: " in card["snippet"] for name in missing)
            else:
                made(registry.find(section, name, None), own)


def test_a_name_of_two_sections_is_shown_for_both(weather):
    assert [card["section"] for card in page("show", "fog")] == ["noise", "metric"]
    assert [card["section"] for card in page("show", "metric.fog")] == ["metric"]
    said = run("show", "fog", width=80).stdout
    assert "fog  [[noise]]  sslkit-weather 1.2.3" in said and "fog  [[metric]]  sslkit-weather 1.2.3" in said
    assert "Args of old:\n    keep their lines\n    as they are." in said
    assert "1 | 2  [bold]x[/bold]" in said
    assert "none of the recipes that come with sslkit" in said
    assert 'in a recipe, with its defaults\n\n[[noise]]\nuse = "fog"\ndensity = 0.5\nshades = [1, 2]\n' in said
    assert "# reach =  # required: a whole number of at least 1 pixel\n" in said


def test_a_page_of_a_class_in_a_file(weather, monkeypatch):
    monkeypatch.chdir(weather)
    found = page("show", "./weather_catalog.py:Fog")
    assert [card["section"] for card in found] == ["noise", "metric"]
    assert found[0]["file"] == str(weather / "weather_catalog.py") and found[0]["package"] == ""
    assert 'use = "./weather_catalog.py:Fog"' in found[0]["snippet"]
    reach = next(one for one in found[0]["settings"] if one["name"] == "reach")
    assert reach == {"name": "reach", "takes": "a whole number of at least 1 pixel", "unit": "pixels", "required": True,
                     "default": None, "help": ""}  # fmt: skip
    (bare,) = page("show", "./weather_catalog.py:Bare")
    assert bare["doc"] == "" and bare["settings"] == []


def test_a_page_of_a_class_that_cannot_be_used_says_why(weather, monkeypatch):
    monkeypatch.chdir(weather)
    (idle,) = page("show", "./weather_catalog.py:Idle", code=2)
    assert "implements no hook" in idle["wrong"]
    (plain,) = page("show", "./weather_catalog.py:Plain", code=2)
    assert "is not a dataclass" in plain["wrong"] and plain["section"] == "labeler"
    done = run("show", "./weather_catalog.py:Plain")
    assert done.exit_code == 2 and done.stdout.startswith("./weather_catalog.py:Plain  [[labeler]]  a file\n")
    assert "cannot be used: `Plain` is not a dataclass" in done.stdout and "in a recipe" not in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("randaugmnt", "no plugin is called `randaugmnt`\n  Did you mean `randaugment`?"),
        ("noise.cutuot", "Did you mean `cutout`?"),
        ("loss.cutout", "Did you mean `cutout`?"),
        ("zzzz", "no plugin is called `zzzz`\n  `sslkit plugins list` shows those that are installed"),
        ("./gone.py:Fog", "gone.py` cannot be read"),
        ("noise", "`noise` is a section, not a plugin\n  `sslkit plugins list --section noise` lists its plugins"),
        ("./gone.py", "write `./gone.py:ClassName`"),
        ("gone", "`gone` cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_shown_is_told(name, said, weather):
    done = run("show", name)
    assert done.exit_code == 2 and done.stdout == ""
    assert said in done.stderr


def test_a_word_that_is_no_command_gets_a_suggestion():
    assert "Did you mean `show`?" in run("shwo", "cutout").stderr
    done = run("cutout")
    assert done.exit_code == 2 and "Did you mean `sslkit plugins show cutout`?" in done.stderr


def test_a_resolved_recipe_is_written_as_it_is():
    for name in shipped():
        table = load(name).table
        assert tomllib.loads(document(table)) == table


def test_a_name_of_two_packages_shows_both_and_that_none_can_be_used(weather):
    both = page("show", "noise.cutout", code=2)
    assert [one["package"] for one in both] == ["sslkit", "sslkit-weather"]
    assert all("is provided by several packages" in one["wrong"] for one in both)
    assert [one["source"] for one in both][1] == "weather_catalog:Fog"


def test_a_bare_word_lists_as_json_too():
    assert json.loads(run("--json").stdout) == json.loads(run("list", "--json").stdout)
    assert run("--json", "show", "cutout").exit_code == 2
    bare = CliRunner().invoke(cli, ["recipes", "--json"], prog_name="sslkit")
    assert {"recipes", "studies", "metrics"} == json.loads(bare.stdout).keys()


def test_sslkits_own_package_is_said_once(weather):
    said = run("list").stdout
    own = next(one for one in json.loads(run("--json").stdout) if one["package"] == "sslkit")
    assert said.count(f"sslkit {own['version']}") <= 3, "once, and where a name is in two packages"
    assert f"\nsslkit {own['version']}, but where another package is named\n" in said
    assert "sslkit-weather 1.2.3 · weather_catalog:Bare" in said


# What it costs ---------------------------------------------------------------------------------------------------

PROGRAM = """
import sys
from sslkit.cli import cli
from sslkit.commands.plugin_screens import TRAITS_SAID, trait_lines
for args in (["plugins"], ["plugins", "list", "--json"], ["recipes"], ["recipes", "list", "--json"],
             ["recipes", "show", "fixmatch"], ["recipes", "copy", "fixmatch", sys.argv[1]]):
    cli.main(args, prog_name="sslkit", standalone_mode=False)
heavy = [name for name in ("torch", "timm", "numpy", "albumentations", "cv2", "sklearn") if name in sys.modules]
print("heavy:", heavy)
"""


def test_lists_import_nothing_heavy(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "mine.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")
