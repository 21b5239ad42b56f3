"""Free-form tables of arguments: how they merge, how they are emptied, and when they go with what they were for."""

import pytest

from sslkit.errors import RecipeError
from sslkit.recipe import dump, load, with_overrides


@pytest.fixture
def base(kitchen):
    """A recipe with arguments of every kind, in two generations."""
    text = kitchen.base.read_text().replace(
        "[optimizer]\n", "[optimizer]\noptions = { nesterov = true, foreach = false }\n"
    )
    text = text.replace('name = "test_resnet"\n', 'name = "test_resnet"\noptions = { act_layer = "relu" }\n')
    text += (
        '[[noise]]\nuse = "albumentations"\ntransform = "GaussianBlur"\narguments = { p = 1.0, blur = { low = 3 } }\n'
    )
    return kitchen.write("options.toml", text + "[[generation]]\n[[generation]]\n")


def arguments(recipe, generation=0):
    return next(e for e in recipe.generations[generation].entries() if e.name == "albumentations").plugin.arguments


def options(recipe, section="optimizer"):
    """Of each generation: what is named, and its options; a resolved recipe says the same."""
    return [(getattr(g, section).name, getattr(g, section).options) for g in recipe.generations]


def again(kitchen, recipe):
    """The recipe, after it was found to return as it was."""
    other = load(kitchen.write("again.toml", dump(recipe.table)))
    assert other.table == recipe.table and other.hash == recipe.hash
    assert options(other) == options(recipe) and options(other, "model") == options(recipe, "model")
    return recipe


SGD = ("sgd", {"nesterov": True, "foreach": False})


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"optimizer.name": "adamw"}, [("adamw", {})] * 2),
        ({"optimizer.name": "adamw", "optimizer.options": {}}, [("adamw", {})] * 2),
        ({"optimizer.name": "adamw", "optimizer.options.eps": 1e-3}, [("adamw", {"eps": 1e-3})] * 2),
        ({"optimizer.name": "sgd"}, [SGD] * 2),
        ({"optimizer.options": {}}, [("sgd", {})] * 2),
        ({"optimizer": {}}, [SGD] * 2),
        ({"optimizer.options.foreach": True}, [("sgd", {"nesterov": True, "foreach": True})] * 2),
        ({"generation.1.optimizer.name": "adamw"}, [SGD, ("adamw", {})]),
        ({"generation.1.optimizer.name": "sgd"}, [SGD, SGD]),
        ({"generation.1.optimizer.options": {}}, [SGD, ("sgd", {})]),
    ],
)
def test_options_go_with_their_optimizer(kitchen, base, overrides, expected):
    assert options(again(kitchen, load(base, overrides))) == expected
    assert options(again(kitchen, with_overrides(load(base), overrides))) == expected


def test_options_go_with_their_model(kitchen, base):
    recipe = again(kitchen, load(base, {"generation.1.model.name": "resnet10t"}))
    assert options(recipe, "model") == [("test_resnet", {"act_layer": "relu"}), ("resnet10t", {})]
    assert options(load(base, {"model.name": "resnet10t"}), "model") == [("resnet10t", {})] * 2
    assert options(load(base, {"model.options": {}}), "model") == [("test_resnet", {})] * 2


@pytest.mark.parametrize(
    ("own", "overrides", "expected"),
    [
        ({"name": "adamw", "options": {"eps": 1}}, {"optimizer.name": "adamw"}, ("adamw", {"eps": 1})),
        ({"name": "adamw", "options": {"eps": 1}}, {"optimizer.name": "lion"}, ("lion", {})),
        ({"name": "adamw", "options": {"eps": 1}}, {"optimizer.options": {}}, ("adamw", {})),
        ({"name": "adamw", "options": {"eps": 1}}, {"optimizer.options.x": 2}, ("adamw", {"eps": 1, "x": 2})),
        ({"name": "adamw"}, {"optimizer.options.x": 2}, ("adamw", {"x": 2})),
        ({"options": {"eps": 1}}, {"optimizer.name": "lion"}, ("lion", {})),
        ({"options": {"eps": 1}}, {"optimizer.options": {}}, ("sgd", {})),
        ({"options": {"eps": 1}}, {"optimizer.rate": 1}, ("sgd", {**SGD[1], "eps": 1})),
        ({"options": {"eps": 1}}, {"generation.1.optimizer.name": "lion"}, ("lion", {})),
        ({"options": {"eps": 1}}, {"generation.1.optimizer.name": "sgd"}, ("sgd", {**SGD[1], "eps": 1})),
        ({"options": {}}, {"optimizer.rate": 1}, ("sgd", {})),
    ],
)
def test_overrides_have_the_last_word_on_a_generation_with_options(kitchen, base, own, overrides, expected):
    recipe = again(kitchen, load(base, {"generation.1.optimizer": own}))
    assert options(again(kitchen, with_overrides(recipe, overrides)))[1] == expected


def test_overrides_from_a_generation_on(kitchen, base):
    recipe = again(kitchen, with_overrides(load(base), {"optimizer.name": "adamw"}, from_generation=1))
    assert options(recipe) == [SGD, ("adamw", {})]
    recipe = again(kitchen, with_overrides(load(base), {"optimizer.options": {}}, from_generation=1))
    assert options(recipe) == [SGD, ("sgd", {})]


def test_the_default_optimizer_has_a_name_too(kitchen, base):
    path = kitchen.write("child.toml", 'extends = "options.toml"\n[optimizer]\nname = "sgd"\n')
    assert options(load(path))[0] == SGD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("options = {}", ("sgd", {})),
        ('name = "adamw"', ("adamw", {})),
        ('name = "adamw"\noptions = { eps = 1 }', ("adamw", {"eps": 1})),
        ("", SGD),
        ("[batch]", SGD),
    ],
)
def test_extends(kitchen, base, text, expected):
    recipe = again(kitchen, load(kitchen.write("child.toml", f'extends = "options.toml"\n[optimizer]\n{text}\n')))
    assert options(recipe) == [expected] * 2
    assert recipe.settings.batch.labeled == 8, "a section without keys says nothing"


def test_generations(kitchen, base):
    text = "[[generation]]\n[[generation]]\noptimizer.options = {}\nnoise.albumentations.arguments = {}\n"
    recipe = again(kitchen, load(kitchen.write("child.toml", f'extends = "options.toml"\n{text}')))
    assert options(recipe) == [SGD, ("sgd", {})]
    assert arguments(recipe, 0) == {"p": 1.0, "blur": {"low": 3}} and arguments(recipe, 1) == {}


def test_arguments_of_a_plugin(kitchen, base):
    assert arguments(again(kitchen, load(base, {"noise.albumentations.arguments": {}}))) == {}
    assert arguments(load(base, {"noise.albumentations.arguments.blur": {}})) == {"p": 1.0, "blur": {}}
    assert arguments(load(base, {"noise.albumentations.arguments.blur.high": 5}))["blur"] == {"low": 3, "high": 5}
    assert arguments(load(base, {"noise.albumentations": {}}))["p"] == 1.0
    path = kitchen.write("child.toml", 'extends = "options.toml"\n[[noise]]\nname = "albumentations"\narguments = {}\n')
    assert arguments(load(path)) == {}


def test_views_and_plugins_without_keys_say_nothing(kitchen, base):
    path = kitchen.write("child.toml", 'extends = "options.toml"\n[views.weak]\n[data]\n[model]\n[views.labeled]\n')
    assert load(path).table["views"] == load(base).table["views"]
    own = {"generation.1.noise.jitter.ops": 3, "generation.1.views.weak.stream": "unlabeled"}
    recipe = load(base, own)
    for empty in ({"generation.1.noise.jitter": {}}, {"noise.jitter": {}}, {"generation.1.views.weak": {}}):
        assert with_overrides(recipe, empty).hash == recipe.hash


def test_empty_and_not_empty_at_once(kitchen, base):
    with pytest.raises(RecipeError, match=r"`optimizer.options.x` is set twice, once as a whole"):
        load(base, {"optimizer.options": {}, "optimizer.options.x": 1})
