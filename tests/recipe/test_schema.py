"""The schema of recipes: it agrees with `load`, knows every installed plugin, and is the one that is shipped."""

import importlib.util
import json
import random
import tomllib
from pathlib import Path

import pytest
import tomli_w
from click.testing import CliRunner
from jsonschema import Draft7Validator
from kitchen import BASE
from test_recipe_property import KEYS, MORE, VALUES, containers, mutate

from sslkit import cli
from sslkit.errors import RecipeError
from sslkit.recipe import load, shipped
from sslkit.recipe.schema import recipe_schema
from sslkit.registry import available
from sslkit.study.file import load_study, shipped_studies
from sslkit.study.schema import study_schema

ROOT = Path(__file__).parents[2]
SCHEMA = recipe_schema().schema
DEFINITIONS = SCHEMA["definitions"]
JUDGE = Draft7Validator(SCHEMA)


def refusals(table, judge=JUDGE):
    """What the schema has against a table: path and message."""
    return [(list(error.path), error.message) for error in judge.iter_errors(table)]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is shipped ------------------------------------------------------------------------------------------------------


def test_shipped_schemas_are_what_the_code_says():
    for path, text in generator().schemas().items():
        same = path.read_text("utf-8") == text  # pytest would show the difference of a large file, not what to do
        assert same, f"{path.relative_to(ROOT)} is old: run `python docs/generate.py`"


def test_shipped_files_name_their_schema_in_the_first_line():
    for folder, schema in (("recipes", "recipe.schema.json"), ("recipes/studies", "study.schema.json")):
        assert (ROOT / folder / schema).is_file()
        for path in (ROOT / folder).glob("*.toml"):
            assert path.read_text("utf-8").splitlines()[0] == f"#:schema ./{schema}", path
    for path in (ROOT / "recipes" / "cifar10").glob("*.toml"):
        assert path.read_text("utf-8").splitlines()[0] == "#:schema ../recipe.schema.json", path


def test_the_shipped_schema_knows_the_built_ins_alone(weather):
    keys = recipe_schema(packages=["sslkit"]).schema["definitions"]
    assert "noise.fog" in DEFINITIONS | recipe_schema().schema["definitions"] and "noise.fog" not in keys
    assert {f"{one.section}.{one.name}" for one in available() if one.package == "sslkit"} <= set(keys)


def test_the_schemas_are_sound():
    for schema in (SCHEMA, study_schema()):
        Draft7Validator.check_schema(schema)
    pointers = set()
    for place in containers(SCHEMA):
        if isinstance(place, dict) and isinstance(place.get("$ref"), str):
            assert set(place) == {"$ref"}, "draft 7 ignores what stands beside a reference"
            pointers.add(place["$ref"])
    for pointer in pointers:
        found = SCHEMA
        for key in pointer.removeprefix("#/").split("/"):
            found = found[key]


# What it says of a plugin ---------------------------------------------------------------------------------------------


def test_a_plugins_table():
    found = DEFINITIONS["labeler.confidence"]
    assert found["additionalProperties"] is False and found["required"] == ["use"]
    assert found["title"] == "[[labeler]] confidence (sslkit)" and found["properties"]["use"]["const"] == "confidence"
    assert found["description"] == found["properties"]["use"]["description"] != ""
    assert list(found["properties"]) == ["use", "threshold", "below", "name", "on", "enabled", "when", "after"]
    threshold = found["properties"]["threshold"]
    assert (threshold["minimum"], threshold["maximum"], threshold["default"]) == (0, 1, 0.95)
    assert threshold["description"] == (
        "Smallest top probability that is kept.\n\nIt takes a number from 0 to 1 (default 0.95)."
    )


def test_reserved_keys_are_those_of_the_section():
    def keys(name):
        return set(DEFINITIONS[name]["properties"])

    assert {"when", "after"} <= keys("labeler.sharpen") and "when" not in keys("noise.dropout")
    assert "after" not in keys("data.digits") and "after" in keys("metric.accuracy")
    assert "takes none" in DEFINITIONS["noise.dropout"]["properties"]["on"]["description"]
    assert "Views" in DEFINITIONS["noise.cutout"]["properties"]["on"]["description"]
    assert '"lr"' in DEFINITIONS["schedule.cosine"]["properties"]["on"]["description"]


def test_every_key_has_help():
    tables = [value for key, value in DEFINITIONS.items() if "." in key and "properties" in value]
    assert len(tables) > 30
    for table in [*tables, SCHEMA, DEFINITIONS["timm"], DEFINITIONS["generation"]]:
        for key, value in table["properties"].items():
            value = DEFINITIONS[value["$ref"].split("/")[2]] if "$ref" in value else value
            assert value.get("description"), key


PARTS = """
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from annotated_types import Gt, MinLen
from sslkit import hookimpl

@dataclass
class Inner:
    a: int
    b: float = 1.5
    "The second."

@dataclass
class Tree:
    below: list["Tree"] = field(default_factory=list)

class Odd:
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        from pydantic_core import core_schema
        return core_schema.is_instance_schema(cls)

@dataclass(eq=False, kw_only=True)
class All:
    must: Annotated[float, Gt(0)]
    maybe: int | None = None
    either: int | list[int] | None = None
    pair: tuple[int, str] = (1, "x")
    bag: frozenset[str] = frozenset("dcba")
    where: Path = Path("here")
    large: float = float("inf")
    inner: Inner = field(default_factory=lambda: Inner(1))
    tree: Tree | None = None
    odd: Any = None
    odder: Odd | None = None
    free: dict[str, Any] = field(default_factory=dict)
    title: Literal["a", "b"] = "a"
    state_: int = field(default=0, init=False)
    @hookimpl
    def model_kwargs(self, generation): return {}
"""


def test_fields_of_every_kind(tmp_path):
    from sslkit.recipe.describe import table_schema
    from sslkit.registry import find

    (tmp_path / "parts.py").write_text(PARTS)
    found = table_schema(find("noise", "./parts.py:All", tmp_path))
    keys = found["properties"]
    assert found["required"] == ["must"] and "state_" not in keys and found["description"] == ""
    assert keys["must"]["exclusiveMinimum"] == 0 and keys["must"]["type"] == ["number", "integer"]
    assert keys["maybe"]["type"] == "integer" and "default" not in keys["maybe"]
    assert [one["type"] for one in keys["either"]["anyOf"]] == ["integer", "array"], "TOML has no null"
    assert [one["type"] for one in keys["pair"]["items"]] == ["integer", "string"]
    assert keys["pair"]["additionalItems"] is False and keys["pair"]["default"] == [1, "x"]
    assert keys["bag"]["default"] == ["a", "b", "c", "d"] and "uniqueItems" not in keys["bag"]
    assert keys["where"]["default"] == "here" and "default" not in keys["large"]
    assert keys["inner"]["additionalProperties"] is False and keys["inner"]["required"] == ["a"]
    assert keys["inner"]["properties"]["b"]["description"].startswith("The second.\n\nIt takes a number")
    assert keys["tree"]["properties"]["below"]["items"] == {"type": "object"}, "a table within itself takes any keys"
    assert keys["odder"].keys() == {"description"} and keys["odd"].keys() == {"description"}
    assert keys["free"]["additionalProperties"] is True and keys["title"]["enum"] == ["a", "b"]
    assert "$ref" not in json.dumps(found) and "$defs" not in json.dumps(found)


# Agreement with `load` ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_are_accepted_resolved_ones_too(name):
    assert refusals(tomllib.loads(shipped()[name].read_text("utf-8"))) == []
    assert refusals(load(name).table) == []


@pytest.mark.parametrize("path", [*(ROOT / "tests" / "resume" / "recipes").glob("*.toml")], ids=lambda path: path.stem)
def test_recipes_of_tests_are_accepted_resolved_ones_too(path):
    assert refusals(tomllib.loads(path.read_text())) == []
    assert refusals(load(path).table) == []


def test_studies_are_accepted():
    judge = Draft7Validator(study_schema())
    for name, path in shipped_studies().items():
        assert load_study(name) and refusals(tomllib.loads(path.read_text("utf-8")), judge) == []
    assert refusals({"base": "x", "variant": [{"name": "a", "expext": "lower"}]}, judge)
    assert refusals({"seeds": "0-3"}, judge) and refusals(
        {"base": "x", "variant": [{"expect": "more", "name": "a"}]}, judge
    )


ACCEPTED = {
    "tables by name": 'noise.fog.use = "./parts.py:Blend"\nnoise.fog.strength = 2',
    "generations by number": "generation.0.steps = 3",
    "a file's own keys": '[[noise]]\nuse = "./parts.py:Blend"\nstrength = 1\nafter = "drop"',
    "emptied": "[[generation]]\n[[generation]]\nnoise = []\n",
    "a plugin of a generation": '[[generation]]\n[[generation.noise]]\nuse = "cutout"\nsize = 2',
    "a file's plugin of a built-in's name": '[[noise]]\nname = "cutout"\nuse = "./parts.py:Blend"\n'
    "[[generation]]\nnoise.cutout.strength = 2.0",
    "an override of a file's plugin": "[[generation]]\nnoise.jitter.magnitude = 3",
    "another plugin of that name": '[[noise]]\nuse = "cutout"\n[[generation]]\nnoise.cutout.use = "./parts.py:Blend"\n'
    "noise.cutout.strength = 2",
    "another model": '[[generation]]\nmodel.use = "./parts.py:Net"\nmodel.depth = 3\n[[generation]]\nmodel.size = 9',
    "a disabled plugin with views": '[[noise]]\nuse = "dropout"\nenabled = false\non = "weak"',
    "a whole number": '[[noise]]\nuse = "stochastic_depth"\nsurvival = 1',
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_load_accepts(kitchen, text):
    base = BASE.replace('[[noise]]\nuse = "./parts.py:Jitter"\n[[noise]]\nuse = "./parts.py:Drop"\n', "") if "noise." in text.split("[")[0] else BASE  # fmt: skip
    first, bracket, rest = text.partition("[")
    path = kitchen.write("accepted.toml", f"{first}\n{base}\n{bracket}{rest}")
    table = load(path).table
    assert refusals(tomllib.loads(path.read_text())) == [] and refusals(table) == []


EXTENDING = {
    "nothing": "",
    "a plugin by its name": '[[noise]]\nname = "jitter"\nmagnitude = 3',
    "a table by its name": "noise.jitter.magnitude = 3",
    "keys of the data": "[data]\nper_class = 9",
    "a section without keys": "[data]\n[model]\n[views.labeled]",
    "keys of the model": "[model]\nsize = 9\n[optimizer]\nmomentum = 0.5",
    "a pass by its number": '[[pass]]\nviews = ["weak"]',
}


@pytest.mark.parametrize("text", EXTENDING.values(), ids=EXTENDING)
def test_what_load_accepts_of_a_recipe_that_extends(kitchen, text):
    path = kitchen.child(text)
    assert load(path) and refusals(tomllib.loads(path.read_text())) == []


def test_what_a_recipe_may_extend(kitchen):
    kitchen.write("more.toml", "steps = 3\n")
    path = kitchen.write("child.toml", 'extends = ["base.toml", "more.toml"]')
    assert load(path).settings.steps == 3 and refusals(tomllib.loads(path.read_text())) == []
    assert all(refusals({"extends": said}) for said in ([], "", [""], ["base.toml", 3], 3))


def told_apart(seeds, kitchen):
    """How many mutated recipes both refuse, and `load` alone; none is refused by the schema alone."""
    texts = [MORE, 'extends = "base.toml"\nnoise.jitter.magnitude = 2\n[optimizer]\nrate = 0.2\n[model]\nsize = 8\n',
             *(shipped()[name].read_text("utf-8") for name in ("noisy_student", "mean_teacher"))]  # fmt: skip
    kitchen.write("supervised.toml", shipped()["supervised"].read_text("utf-8"))
    both = alone = 0
    for seed in seeds:
        chance = random.Random(seed)
        table = tomllib.loads(chance.choice(texts))
        for _ in range(chance.choice([1, 1, 1, 2])):
            mutate(table, chance)
        text = tomli_w.dumps(table)
        found = refusals(tomllib.loads(text))
        try:
            load(kitchen.write("mutated.toml", text))
        except RecipeError:
            both, alone = both + bool(found), alone + (not found)
            continue
        assert found == [], f"seed {seed}: refused by the schema alone\n{text}"
    return both, alone


OWN_VALUES = [
    {"name": "randaugment", "magnitude": 3}, [{"use": "dropout", "rate": 0.3}], [{"use": "dropout", "rat": 1}], "digits",
    {"dropout": {"rate": 2}}, {"cutout": {"use": "./parts.py:Drop"}}, {"0": {"steps": 3}}, {"cutout": {}}, "randaugment",
]  # fmt: skip


def test_what_the_schema_refuses_load_refuses(kitchen, monkeypatch):
    monkeypatch.setattr("test_recipe_property.VALUES", [*VALUES, *OWN_VALUES])
    monkeypatch.setattr("test_recipe_property.KEYS", [*KEYS, "rate", "magnitude", "dropout", "after"])
    both, alone = told_apart(range(120), kitchen)
    assert both > 3 * alone, "most of what is wrong is seen while it is typed"


@pytest.mark.torture
def test_what_the_schema_refuses_load_refuses_of_thousands(kitchen):
    both, alone = told_apart(range(1000, 6000), kitchen)
    assert both > 3 * alone


# Plugins of others ----------------------------------------------------------------------------------------------------


def test_plugins_of_others_are_known(weather):
    found = recipe_schema()
    fog = found.schema["definitions"]["noise.fog"]
    assert fog["title"] == "[[noise]] fog (weather)" and fog["description"] == "Blend images with white."
    assert fog["properties"]["density"]["maximum"] == 1
    judge = Draft7Validator(found.schema)
    assert refusals({"extends": "x", "noise": [{"use": "fog", "density": 0.5}]}, judge) == []
    assert refusals({"extends": "x", "noise": [{"use": "fog", "densty": 0.5}]}, judge)
    assert found.plugins == recipe_schema(packages=["sslkit"]).plugins + 4


def test_plugins_that_cannot_be_used_take_any_key_and_are_told(weather):
    found = recipe_schema()
    tables = [{"use": "haze", "x": 1}, {"use": "mist", "y": 2}, {"use": "hail", "z": 3}]
    assert refusals({"extends": "x", "noise": tables}, Draft7Validator(found.schema)) == []
    told = "\n".join(found.troubles)
    assert len(found.troubles) == 3 and "[[noise]] hail: `Hail` raised OSError: no stones" in told
    assert "[[noise]] haze: `haze` cannot be imported: ModuleNotFoundError" in told
    assert "[[noise]] mist: `Mist` is not a dataclass" in told


# The command ----------------------------------------------------------------------------------------------------------


def command(*args):
    done = CliRunner().invoke(cli.cli, ["schema", *map(str, args)], prog_name="sslkit")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_the_command_prints_it(weather):
    done = command()
    assert done.exit_code == 0 and "noise.fog" in json.loads(done.stdout)["definitions"]
    assert "warning: [[noise]] haze: `haze` cannot be imported" in done.stderr and "any key is accepted" in done.stderr
    assert json.loads(command("--study").stdout) == study_schema()


def test_the_command_writes_it(tmp_path):
    path = tmp_path / "mine.json"
    done = command("--out", path)
    assert done.exit_code == 0 and done.stderr == "" and "#:schema ./mine.json" in done.stdout
    assert json.loads(path.read_text("utf-8")) == SCHEMA
    assert command("--study", "--out", path).exit_code == 0 and json.loads(path.read_text("utf-8")) == study_schema()


def test_the_command_says_what_cannot_be_written(tmp_path):
    done = command("--out", tmp_path / "nowhere" / "x.json")
    assert done.exit_code == 2 and "there is no folder" in done.stderr and done.stdout == ""
    assert "say the file too" in command("--out", tmp_path).stderr
    (tmp_path / "x.json").mkdir()
    assert command("--out", tmp_path / "x.json").exit_code == 2
