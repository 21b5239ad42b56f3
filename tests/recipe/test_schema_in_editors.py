"""Recipes in an editor: a real language tool, with the shipped schema, says what is wrong where, and completes the rest."""

import shutil
from pathlib import Path

import pytest
from language_server import LanguageServer, lint

from sslkit.recipe import shipped
from sslkit.recipe.describe import written
from sslkit.recipe.schema import recipe_schema

RECIPES = Path(__file__).parents[2] / "recipes"
FIRST = "#:schema ./recipe.schema.json\n"
DEFAULT = shipped()["noisy_student"].read_text("utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    shutil.copy(RECIPES / "recipe.schema.json", folder)
    shutil.copy(RECIPES / "studies" / "study.schema.json", folder)
    server = LanguageServer(folder)
    yield server
    server.close()


def test_shipped_files_have_no_error_and_no_warning(tmp_path):
    done = lint(tmp_path, RECIPES)
    assert done.returncode == 0, done.stderr
    files = list(RECIPES.rglob("*.toml"))
    assert f"{len(files)} files linted successfully" in done.stderr


# What is wrong --------------------------------------------------------------------------------------------------------

WRONG = {
    # settings
    "a misspelt key": ("steps = 300", "stps = 300", "stps = 300", '"stps" is not allowed'),
    "out of range": ("steps = 300", "steps = 0", "0", "must be ≥ 1"),
    "a wrong choice": ('labels = "pool"', 'labels = "pol"', '"pol"', 'one of ["pool", "step", "both", "none"]'),
    "a wrong type": ("save_every = 50", 'save_every = "50"', '"50"', "Integer, but found String"),
    "a misspelt key within": ("unlabeled = 128", "unlabelled = 128", "unlabelled = 128", "not allowed"),
    "a misspelt section": ("[optimizer]", "[optimiser]", "[optimiser]", '"optimiser" is not allowed'),
    "a wrong stream": ('stream = "labeled"', 'stream = "labled"', '"labled"', "must be one of"),
    "a bad rate": ("rate = 0.1", "rate = -1", "-1", "must be > 0"),
    "a misspelt key of the model": ("size = 24", "sise = 24", "sise = 24", "not allowed"),
    # plugins
    "a misspelt key of a plugin": ("magnitude = 7", "magnitud = 7", "magnitud = 7", '"magnitud" is not allowed'),
    "a plugin's number": ("threshold = 0.3", "threshold = 30", "30", "must be ≤ 1"),
    "a plugin's choice": ('pool = "noisystudent"', 'pool = "noisy"', '"noisy"', '"noisystudent", "fixmatch"'),
    "a plugin's type": ("ops = 2", "ops = 2.5", "2.5", "Integer, but found Float"),
    "a reserved key's type": ('on = "labeled"', "on = 3", "3", "expected"),
    "an unknown plugin": ('use = "dropout"', 'use = "dropot"', '"dropot"', '"dropout"'),
    "a plugin of another section": ('use = "randaugment"', 'use = "confidence"', '"confidence"', '"randaugment"'),
    "a key of labelers alone": ("magnitude = 7", 'when = "pool"', 'when = "pool"', "not allowed"),
    "the data's key": ("labels_per_class = 4", "labels_per_clas = 4", "labels_per_clas = 4", "not allowed"),
    # generations
    "a key of a generation": ("steps = 200", "stps = 200", "stps = 200", "not allowed"),
    "a key of the whole run": ("steps = 200", "seed = 2", "seed = 2", "not allowed"),
    "a generation's model": ("steps = 200", 'model.nme = "test_resnet"', 'nme = "test_resnet"', "not allowed"),
    "a plugin by name": ("steps = 200", "noise.dropout.rat = 0.2", "rat = 0.2", "not allowed"),
    "a plugin's number by name": ("steps = 200", "noise.dropout.rate = 2", "2", "must be < 1"),
    "a plugin's choice by name": ("steps = 200", 'noise.randaugment.pool = "x"', '"x"', "must be one of"),
}


@pytest.mark.parametrize(("old", "new", "underlined", "said"), WRONG.values(), ids=WRONG)
def test_an_error_stands_at_its_key(server, old, new, underlined, said):
    text = DEFAULT.replace(old, new, 1)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if new in line)
    found = [error for error in server.errors(text) if error[0] == line]
    assert found, server.errors(text)
    assert {error[1] for error in found} == {underlined} and any(said in error[2] for error in found), found


@pytest.mark.parametrize(
    ("gone", "where", "said"),
    [("steps = 300\n", "labels", '"steps" is required'), ("rate = 0.1\n", "[optimizer]", '"rate" is required'),
     ('name = "test_resnet"\n', "[model]", '"name" is required'), ('use = "digits"\n', "[data]", '"use" is required'),
     ('use = "dropout"\n', "[[noise]]", '"use" is required'), ('stream = "labeled"\n', "[views.labeled]", '"stream" is required')],
)  # fmt: skip
def test_what_is_missing_is_told_at_its_table(server, gone, where, said):
    errors = server.errors(DEFAULT.replace(gone, "", 1))
    assert any(said in message and underlined.startswith((where, "#:schema")) for _, underlined, message in errors), (
        errors
    )


@pytest.mark.parametrize("old", ['use = "dropout"', 'use = "digits"', 'use = "confidence"'])
def test_an_unknown_plugin_is_one_error(server, old):
    found = server.errors(DEFAULT.replace(old, 'use = "nothing"', 1))
    assert [error[1] for error in found] == ['"nothing"'] and old.split()[-1] in found[0][2], found


def test_a_sound_recipe_has_no_error(server):
    assert server.errors(DEFAULT) == []
    own = 'extends = "noisy_student"\n[[noise]]\nname = "randaugment"\nmagnitude = 9\n[[noise]]\nuse = "./fog.py:Fog"\ndensity = 0.3\n'
    assert server.errors(FIRST + own + "[model]\nsize = 32\n[[generation]]\nnoise.fog.density = 1\n") == []


def test_a_study(server):
    text = '#:schema ./study.schema.json\nbase = "noisy_student"\n[[variant]]\nname = "a"\nexpct = "lower"\n'
    assert [error[:2] for error in server.errors(text)] == [(5, 'expct = "lower"')]
    assert set(server.complete(text.replace('expct = "lower"', 'expect = "|"'))) == {'"lower"', '"higher"'}


# What is offered ------------------------------------------------------------------------------------------------------


def offered(server, text):
    return server.complete(FIRST + text)


def test_keys_and_sections_with_their_help(server):
    keys = offered(server, "|")
    assert {"labels", "steps", "batch", "noise", "labeler", "optimizer", "generation", "extends"} <= set(keys)
    assert "It takes a whole number of at least 1" in keys["steps"]
    assert {"labeled", "unlabeled"} == set(offered(server, "batch = { | }"))
    assert "rate" in offered(server, "[optimizer]\n|") and "name" in offered(server, "[model]\n|")
    assert set(offered(server, '[views.weak]\nstream = "|"')) == {'"labeled"', '"unlabeled"'}


def test_installed_plugins_with_their_help(server):
    noise = offered(server, '[[noise]]\nuse = "|"')
    assert {'"cutout"', '"dropout"', '"randaugment"'} <= set(noise) and '"confidence"' not in noise
    assert "Distort images" in noise['"randaugment"']
    assert '"digits"' in offered(server, '[data]\nuse = "|"') and "use" in offered(server, "[data]\n|")
    assert '"cutout"' in offered(server, '[[generation]]\nnoise.square.use = "|"')


def test_the_keys_of_the_plugin_that_is_used(server):
    keys = offered(server, '[[labeler]]\nuse = "confidence"\n|')
    assert set(keys) == {"threshold", "below", "name", "on", "enabled", "when", "after"}
    assert "Smallest top probability" in keys["threshold"] and "0.95" in keys["threshold"]
    assert "magnitude" not in offered(server, '[[noise]]\nuse = "dropout"\n|')
    assert {"labels_per_class", "validation"} <= set(offered(server, '[data]\nuse = "digits"\n|'))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('[[noise]]\nuse = "randaugment"\npool = "|"', {'"noisystudent"', '"fixmatch"', '"usb"', '"timm"'}),
        ('labels = "|"', {'"pool"', '"step"', '"both"', '"none"'}),
        ('[[labeler]]\nuse = "sharpen"\nwhen = "|"', {'"pool"', '"step"'}),
        ('[[generation]]\ninit = "|"', {'"scratch"', '"previous"', '"continue"'}),
        ('[[generation]]\nnoise.randaugment.pool = "|"', {'"noisystudent"', '"fixmatch"', '"usb"', '"timm"'}),
    ],
)
def test_the_choices_of_a_key(server, text, values):
    assert set(offered(server, text)) == values


def test_what_a_generation_may_override(server):
    keys = offered(server, "[[generation]]\n|")
    assert {"steps", "labels", "noise", "model", "optimizer"} <= set(keys)
    assert not {"seed", "data", "tracker", "generation"} & set(keys)
    assert {"randaugment", "dropout"} <= set(offered(server, "[[generation]]\nnoise.|"))
    assert {"magnitude", "pool", "enabled"} <= set(offered(server, "[[generation]]\nnoise.randaugment.|"))


def test_hover_shows_help(server):
    def shown(text):
        return server.hover(FIRST + text)

    assert "Training steps of a generation." in shown("ste|ps = 3")
    help_ = shown('[[noise]]\nuse = "randaugment"\nmag|nitude = 7')
    assert "Strength M" in help_ and "It takes a number of at least 0" in help_ and "noise[0].magnitude" in help_
    assert "[[noise]] cutout (sslkit)" in shown('[[no|ise]]\nuse = "cutout"')
    assert "Fill a box" in shown('[[noise]]\nuse = "cut|out"')
    assert "Learning rate" in shown("[[generation]]\noptimizer.ra|te = 1")


def test_plugins_of_others_are_offered_and_judged(server, weather):
    (server.folder / "own.schema.json").write_text(written(recipe_schema().schema), "utf-8")
    first = '#:schema ./own.schema.json\nextends = "noisy_student"\n[[noise]]\n'
    noise = server.complete(first + 'use = "|"')
    assert "Blend images with white." in noise['"fog"'] and '"dropout"' in noise
    assert "Share of white." in server.complete(first + 'use = "fog"\n|')["density"]
    assert [error[:2] for error in server.errors(first + 'use = "fog"\ndensity = 2\n')] == [(5, "2")]
    assert server.errors(first + 'use = "haze"\nanything = 2\n') == []
