import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sslkit import registry
from sslkit.errors import RecipeError
from sslkit.recipe import baseline_of, diff, dump, load, parse_set, with_overrides
from sslkit.recipe.model import hash_of


def names(recipe, generation=0):
    return [entry.name for entry in recipe.generations[generation].entries()]


def entry(recipe, name, generation=0):
    return next(entry for entry in recipe.generations[generation].entries() if entry.name == name)


def test_a_sound_recipe(kitchen):
    recipe = load(kitchen.base)
    assert recipe.name == "base" and recipe.path == kitchen.base and recipe.warnings == []
    assert len(recipe.generations) == 1 and recipe.settings.steps == 100
    generation = recipe.generations[0]
    assert generation.model.name == "test_resnet" and generation.optimizer.rate == 0.1
    assert {name: view.stream for name, view in generation.views.items()} == {"labeled": "labeled", "weak": "unlabeled"}
    order = ["data", "jitter", "drop", "teacher", "label", "sure", "supervised", "distillation", "ramp"]
    assert names(recipe) == order
    assert entry(recipe, "sure").plugin.threshold == 0.95


def test_plugins_are_fresh_each_time(kitchen):
    generation = load(kitchen.base).generations[0]
    first, second = generation.entries(), generation.entries()
    assert not {id(e.plugin) for e in first} & {id(e.plugin) for e in second}


def test_defaults_of_on(kitchen):
    recipe = load(kitchen.base)
    assert entry(recipe, "jitter").on == ("labeled", "weak")
    assert entry(recipe, "drop").on == ()
    assert entry(recipe, "label").on == ("clean",)
    assert entry(recipe, "sure").on == ()
    assert entry(recipe, "ramp").on == ("lr",)


def test_a_stream_stands_for_its_views_and_a_view_wins(kitchen):
    path = kitchen.more(
        '[views.strong]\nstream = "unlabeled"\n[views.labeled_too]\nstream = "labeled"\n'
        '[[noise]]\nname = "both"\nuse = "./parts.py:Blend"\non = ["unlabeled", "labeled"]\n'
    )
    assert entry(load(path), "both").on == ("weak", "strong", "labeled")


def test_whole_numbers_are_numbers(kitchen):
    recipe = load(kitchen.spoiled("rate = 0.1", "rate = 1"))
    assert recipe.generations[0].optimizer.rate == 1.0
    assert recipe.table["optimizer"]["rate"] == 1.0


def test_defaults_are_filled_in(kitchen):
    table = load(kitchen.base).table
    assert table["seed"] == 0 and table["optimizer"]["momentum"] == 0.9
    assert table["noise"][0]["magnitude"] == 9.0 and table["noise"][0]["enabled"] is True
    assert "root" not in table["data"]  # TOML has no null


def test_sections_left_out_get_their_defaults(kitchen):
    table = load(kitchen.spoiled("metric = []\ntracker = []\n", "")).table
    assert [item["use"] for item in table["metric"]] == ["accuracy"]
    assert [item["use"] for item in table["tracker"]] == ["console", "jsonl"]


def test_round_trip_from_another_folder(kitchen, tmp_path_factory):
    path = kitchen.more('[[generation]]\n[[generation]]\nnoise.jitter.enabled = false\nmodel.name = "resnet18"\n')
    first = load(path)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "recipe.toml"
    elsewhere.write_text(dump(first.table))
    second = load(elsewhere)
    assert second.table == first.table and second.hash == first.hash
    assert diff(first.table, second.table) == []
    assert names(second, 1) == names(first, 1) and "jitter" not in names(second, 1)


def test_relative_paths_become_absolute(kitchen):
    (kitchen.folder / "start.safetensors").write_bytes(b"weights")
    (kitchen.folder / "images").mkdir(exist_ok=True)
    path = kitchen.spoiled('name = "test_resnet"', 'name = "test_resnet"\nweights = "start.safetensors"')
    path.write_text(path.read_text().replace(':Data"', ':Data"\nroot = "images"'))
    recipe = load(path)
    assert recipe.table["model"]["weights"] == str(kitchen.folder / "start.safetensors")
    assert recipe.table["data"]["root"] == str(kitchen.folder / "images")
    assert entry(recipe, "data").plugin.root == kitchen.folder / "images"
    assert recipe.table["loss"][0]["use"] == f"{kitchen.folder}/parts.py:Entropy"


def test_hash_knows_contents_not_folders(kitchen, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for name in ("parts.py", "base.toml"):
        (other / name).write_text((kitchen.folder / name).read_text())
    here, there = load(kitchen.base), load(other / "base.toml")
    assert here.hash == there.hash and here.table != there.table
    (other / "parts.py").write_text((other / "parts.py").read_text() + "\n# another content\n")
    changed = load(other / "base.toml")
    assert changed.hash != here.hash
    assert any("files" in line for line in diff(there.table, changed.table))


def test_hash_knows_what_decides(kitchen):
    recipe = load(kitchen.base)
    assert load(kitchen.base, seed=1).hash != recipe.hash
    assert load(kitchen.base, {"noise.jitter.ops": 3}).hash != recipe.hash
    same = {
        "workers": 0,
        "log_every": 3,
        "baseline": False,
        "tracker": [{"use": str(kitchen.folder / "parts.py:Told")}],
    }
    assert load(kitchen.base, same).hash == recipe.hash


def test_a_changed_file_is_executed_anew(kitchen):
    load(kitchen.base)
    parts = kitchen.folder / "parts.py"
    parts.write_text(parts.read_text().replace("= 0.95", "= 0.5"))
    assert entry(load(kitchen.base), "sure").plugin.threshold == 0.5


def test_disabled_plugins_do_not_take_part(kitchen):
    recipe = load(kitchen.spoiled('use = "./parts.py:Drop"', 'use = "./parts.py:Drop"\nenabled = false'))
    assert "drop" not in names(recipe)
    assert recipe.table["noise"][1]["enabled"] is False


def test_a_disabled_plugin_need_not_be_importable(kitchen):
    kitchen.write("absent.py", "import a_package_that_is_not_there\n")
    text = '[[tracker]]\nuse = "./absent.py:Board"\nenabled = false\nurl = "x"\n'
    path = kitchen.spoiled("tracker = []\n", "")
    path.write_text(path.read_text() + text)
    assert load(path).table["tracker"][0]["url"] == "x"
    noise = '[[noise]]\nuse = "./absent.py:Fog"\nenabled = false\n'
    recipe = load(kitchen.more(noise))
    assert "fog" not in [entry.name for entry in baseline_of(recipe).generations[0].entries()]


def test_a_model_plugin(kitchen):
    recipe = load(kitchen.spoiled('name = "test_resnet"', 'use = "./parts.py:Net"\ndepth = 5\nsize = 24'))
    generation = recipe.generations[0]
    assert generation.model is None and generation.model_size == 24
    assert entry(recipe, "net").plugin.depth == 5
    assert recipe.table["model"]["size"] == 24


def test_a_step_plugin(kitchen):
    recipe = load(kitchen.more('[step]\nuse = "./parts.py:Other"\nspeed = 2\n'))
    assert entry(recipe, "other").plugin.speed == 2.0


def test_passes(kitchen):
    text = '[[pass]]\nviews = ["labeled", "unlabeled"]\n[[pass]]\nmodel = "teacher"\nviews = ["clean"]\nnoise = true\n'
    recipe = load(kitchen.more(text))
    first, second = recipe.generations[0].passes
    assert first.views == ["labeled", "weak"] and first.model == "student" and first.noise is None
    assert second.model == "teacher" and second.noise is True
    assert recipe.table["pass"][1] == {"model": "teacher", "views": ["clean"], "noise": True}


# Generations ----------------------------------------------------------------------------------------------------------


def test_generations_override(kitchen):
    text = (
        "[[generation]]\nsteps = 10\n[[generation]]\n[[generation]]\n"
        'model.name = "resnet18"\nnoise.jitter.magnitude = 3\nnoise.drop.enabled = false\noptimizer.rate = 0.5\n'
        'batch.unlabeled = 64\nviews.strong.stream = "unlabeled"\nloss.distillation.on = "strong"\n'
    )
    recipe = load(kitchen.more(text))
    assert [g.settings.steps for g in recipe.generations] == [10, 100, 100]
    assert [g.model.name for g in recipe.generations] == ["test_resnet", "test_resnet", "resnet18"]
    last = recipe.generations[2]
    assert last.optimizer.rate == 0.5 and last.settings.batch.unlabeled == 64 and last.settings.batch.labeled == 8
    assert entry(recipe, "jitter", 2).plugin.magnitude == 3.0 and entry(recipe, "jitter", 1).plugin.magnitude == 9.0
    assert entry(recipe, "distillation", 2).on == ("strong",)
    assert "drop" not in names(recipe, 2) and "drop" in names(recipe, 1)


def test_a_generation_may_bring_a_plugin(kitchen):
    text = '[[generation]]\n[[generation]]\n[[generation.noise]]\nuse = "./parts.py:Blend"\nafter = "jitter"\n'
    recipe = load(kitchen.more(text))
    assert "blend" not in names(recipe, 0)
    assert names(recipe, 1)[1:4] == ["jitter", "blend", "drop"]
    assert load(kitchen.write("again.toml", dump(recipe.table))).table == recipe.table


def test_a_generation_may_empty_a_section(kitchen):
    recipe = load(kitchen.more("[[generation]]\n[[generation]]\nnoise = []\n"))
    assert not {"jitter", "drop"} & set(names(recipe, 1)) and "jitter" in names(recipe, 0)


def test_a_path_of_a_generation_becomes_absolute(kitchen):
    kitchen.write(
        "pool.py",
        (kitchen.folder / "parts.py").read_text().replace("strength: float = 1.0", "table: Path | None = None"),
    )
    kitchen.write("rows.csv", "1")
    text = '[[noise]]\nuse = "./pool.py:Blend"\n[[generation]]\nnoise.blend.table = "rows.csv"\n'
    recipe = load(kitchen.more(text))
    assert entry(recipe, "blend").plugin.table == kitchen.folder / "rows.csv"
    assert recipe.table["generation"][0]["noise"]["blend"]["table"] == str(kitchen.folder / "rows.csv")
    assert str(kitchen.folder / "rows.csv") in recipe.table["files"]


# Extends --------------------------------------------------------------------------------------------------------------


def test_extends_merges_by_name(kitchen):
    recipe = load(
        kitchen.child(
            "steps = 7\nbatch = { labeled = 2 }\n[data]\nper_class = 9\n"
            '[[noise]]\nname = "jitter"\nmagnitude = 1\n'
            '[[loss]]\nname = "distillation"\nweight = 2\n'
        )
    )
    assert recipe.settings.steps == 7 and recipe.settings.batch.labeled == 2 and recipe.settings.batch.unlabeled == 16
    assert entry(recipe, "data").plugin.per_class == 9
    assert entry(recipe, "jitter").plugin.magnitude == 1.0
    assert entry(recipe, "distillation").plugin.weight == 2.0 and entry(recipe, "distillation").on == ("weak",)
    assert names(recipe) == names(load(kitchen.base))


def test_extends_another_use_replaces_in_place(kitchen):
    recipe = load(kitchen.child('[[noise]]\nname = "jitter"\nuse = "./parts.py:Blend"\nstrength = 3\n'))
    assert names(recipe)[1:3] == ["jitter", "drop"]
    assert type(entry(recipe, "jitter").plugin).__name__ == "Blend"


def test_extends_a_new_plugin_appends_or_goes_after(kitchen):
    text = '[[noise]]\nuse = "./parts.py:Blend"\n'
    assert names(load(kitchen.child(text)))[1:4] == ["jitter", "drop", "blend"]
    assert names(load(kitchen.child(text + 'after = "jitter"\n')))[1:4] == ["jitter", "blend", "drop"]


def test_extends_an_entry_can_be_moved(kitchen):
    recipe = load(kitchen.child('[[labeler]]\nname = "teacher"\nafter = "sure"\n'))
    assert names(recipe)[3:6] == ["label", "sure", "teacher"]


def test_extends_an_empty_list_empties(kitchen):
    assert names(load(kitchen.child("noise = []\n")))[1] == "teacher"


def test_extends_generation_and_pass_lists_are_replaced(kitchen):
    kitchen.write("middle.toml", kitchen.base.read_text() + "[[generation]]\nsteps = 1\n[[generation]]\nsteps = 2\n")
    path = kitchen.write("top.toml", 'extends = "middle.toml"\n[[generation]]\nsteps = 3\n')
    assert [g.settings.steps for g in load(path).generations] == [3]


def test_extends_another_data_plugin_replaces_the_table(kitchen):
    kitchen.write("more_parts.py", "from parts_ import *")
    parts = kitchen.folder / "parts.py"
    kitchen.write("images.py", parts.read_text().replace("per_class", "rows"))
    path = kitchen.child('[data]\nuse = "./images.py:Data"\nrows = 3\n')
    assert load(path).table["data"]["rows"] == 3 and "per_class" not in load(path).table["data"]


def test_extends_a_timm_model_over_a_model_plugin(kitchen):
    kitchen.spoiled('name = "test_resnet"', 'use = "./parts.py:Net"\ndepth = 5')
    path = kitchen.write("timm.toml", 'extends = "spoiled.toml"\n[model]\nname = "resnet18"\n')
    assert load(path).generations[0].model.name == "resnet18"


def test_extends_from_another_folder_keeps_paths(kitchen):
    folder = kitchen.folder / "deep"
    folder.mkdir(exist_ok=True)
    (folder / "child.toml").write_text('extends = "../base.toml"\n[[loss]]\nuse = "../parts.py:Entropy"\non = "weak"\n')
    assert names(load(folder / "child.toml"))[-2] == "entropy"


def test_extends_a_chain(kitchen):
    kitchen.child("steps = 5\n")
    path = kitchen.write("grandchild.toml", 'extends = "child.toml"\nseed = 3\n')
    recipe = load(path)
    assert recipe.settings.steps == 5 and recipe.settings.seed == 3 and "extends" not in recipe.table


def test_extends_a_list_in_order(kitchen):
    """Each is laid on those before it, the recipe itself on all of them."""
    kitchen.write("one.toml", 'steps = 1\nseed = 1\n[[noise]]\nname = "jitter"\nmagnitude = 1\n')
    kitchen.write("two.toml", 'steps = 2\n[[noise]]\nuse = "./parts.py:Blend"\nafter = "jitter"\n')
    recipe = load(kitchen.write("child.toml", 'extends = ["base.toml", "one.toml", "two.toml"]\nlog_every = 7\n'))
    assert (recipe.settings.steps, recipe.settings.seed, recipe.settings.log_every) == (2, 1, 7)
    assert names(recipe)[1:4] == ["jitter", "blend", "drop"] and entry(recipe, "jitter").plugin.magnitude == 1
    assert load(kitchen.write("turned.toml", 'extends = ["base.toml", "two.toml", "one.toml"]')).settings.steps == 1
    single = kitchen.write("single.toml", 'extends = ["base.toml"]')
    assert load(single).hash == load(kitchen.base).hash


def test_extends_one_recipe_twice_by_different_ways(kitchen):
    """No cycle: what both extend is laid again, and what was said in between is gone where it says otherwise."""
    kitchen.write("one.toml", 'extends = "base.toml"\nsteps = 5\nseed = 1\n')
    kitchen.write("two.toml", 'extends = "base.toml"\n[[loss]]\nname = "distillation"\nweight = 2\n')
    recipe = load(kitchen.write("child.toml", 'extends = ["one.toml", "two.toml"]'))
    assert (recipe.settings.steps, recipe.settings.seed) == (100, 1)
    assert entry(recipe, "distillation").plugin.weight == 2


# Overrides ------------------------------------------------------------------------------------------------------------


def test_overrides(kitchen):
    recipe = load(
        kitchen.base,
        {"labeler.sure.threshold": 0.5, "noise.drop.enabled": False, "steps": 3, "model.name": "x", "batch.labeled": 1},
        seed=9,
    )
    assert entry(recipe, "sure").plugin.threshold == 0.5 and "drop" not in names(recipe)
    assert recipe.settings.steps == 3 and recipe.settings.seed == 9 and recipe.settings.batch.labeled == 1
    assert recipe.generations[0].model.name == "x"


def test_overrides_have_the_last_word(kitchen):
    path = kitchen.more("[[generation]]\nsteps = 10\nnoise.jitter.ops = 5\n[[generation]]\nsteps = 20\n")
    recipe = load(path, {"steps": 3, "noise.jitter.ops": 1})
    assert [g.settings.steps for g in recipe.generations] == [3, 3]
    assert entry(recipe, "jitter", 0).plugin.ops == 1


def test_overrides_of_one_generation(kitchen):
    path = kitchen.more("[[generation]]\n[[generation]]\nnoise.jitter.ops = 5\n")
    recipe = load(path, {"generation.1.steps": 4, "steps": 2, "generation.1.noise.jitter.magnitude": 2})
    assert [g.settings.steps for g in recipe.generations] == [2, 4]
    assert entry(recipe, "jitter", 1).plugin.magnitude == 2.0 and entry(recipe, "jitter", 1).plugin.ops == 5
    assert load(kitchen.base, {"generation.0.steps": 4}).generations[0].settings.steps == 4


def test_overrides_may_bring_a_plugin_from_the_current_folder(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    recipe = load("base.toml", {"noise.fog.use": "./parts.py:Blend", "noise.fog.after": "jitter"})
    assert names(recipe)[1:4] == ["jitter", "fog", "drop"]


def test_overrides_from_a_generation_on(kitchen):
    recipe = load(kitchen.more("[[generation]]\n[[generation]]\nnoise.jitter.ops = 5\n[[generation]]\n"))
    changed = with_overrides(recipe, {"noise.jitter.enabled": False, "steps": 2}, from_generation=1)
    assert [g.settings.steps for g in changed.generations] == [100, 2, 2]
    assert ["jitter" in names(changed, i) for i in range(3)] == [True, False, False]
    whole = with_overrides(recipe, {"data.per_class": 7, "steps": 2})
    assert [g.settings.steps for g in whole.generations] == [2, 2, 2] and whole.table["data"]["per_class"] == 7
    assert recipe.generations[1].settings.steps == 100


def test_overrides_from_a_generation_that_is_not_there(kitchen):
    with pytest.raises(RecipeError, match="from generation 1 on: the recipe has 1"):
        with_overrides(load(kitchen.base), {"steps": 2}, from_generation=1)


def test_a_run_from_before_a_key_was_there_is_of_the_same_recipe(kitchen):
    table = load(kitchen.base).table
    older = {**table, "model": {k: v for k, v in table["model"].items() if k != "fit"},
             "optimizer": {k: v for k, v in table["optimizer"].items() if k not in ("layer_decay", "backbone")}}  # fmt: skip
    assert older != table and hash_of(older) == hash_of(table)
    for key, value in {"model.fit": "pad", "optimizer.backbone": 0.1, "optimizer.layer_decay": 0.5}.items():
        assert load(kitchen.base, {key: value}).hash != hash_of(table)


def test_equal_overrides_hash_equally(kitchen):
    recipe = load(kitchen.base)
    assert with_overrides(recipe, {"steps": 100}).hash == recipe.hash
    assert with_overrides(recipe, {"steps": 99}).hash == load(kitchen.base, {"steps": 99}).hash


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=0.5", 0.5), ("a.b = 3", 3), ("a.b=true", True), ("a.b=word", "word"), ("a.b=two words", "two words"),
        ('a.b="text"', "text"), ("a.b=[1, 2]", [1, 2]), ("a.b={ c = 1 }", {"c": 1}), ("a.b=./fog.py:Fog", "./fog.py:Fog"),
        ("a.b=resnet18.a1_in1k", "resnet18.a1_in1k"), ("a.b=5 # five", 5), ("a.b=1e-3", 1e-3), ("a.b=-1", -1),
    ],
)  # fmt: skip
def test_parse_set(text, value):
    assert parse_set(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["a", "=1", "a=", "a=[1", "a='x", "a={", "a..b=1", "a=1\nb=2", "a={ b = 1, b = 2 }"])
def test_parse_set_refuses(text):
    with pytest.raises(RecipeError, match="expected"):
        parse_set(text)


# Baseline -------------------------------------------------------------------------------------------------------------


def test_baseline(kitchen):
    recipe = load(
        kitchen.more(
            '[[labeler]]\nuse = "./parts.py:Average"\n'
            '[[schedule]]\nname = "ramp2"\nuse = "./parts.py:Ramp"\non = "distillation.weight"\n'
            '[[schedule]]\nname = "ramp3"\nuse = "./parts.py:Ramp"\non = ["supervised.weight", "sure.threshold"]\n'
            '[[noise]]\nname = "weak_only"\nuse = "./parts.py:Blend"\non = "weak"\n'
            '[[pass]]\nviews = ["labeled", "weak"]\n[[pass]]\nmodel = "teacher"\nviews = ["weak"]\n'
            '[[generation]]\nsteps = 10\n[[generation]]\nmodel.name = "resnet18"\ninit = "scratch"\n'
        )
    )
    baseline = baseline_of(recipe)
    (generation,) = baseline.generations
    assert generation.settings.steps == 110 and generation.settings.labels == "none" and not baseline.settings.baseline
    assert generation.settings.batch.unlabeled == 0 and generation.settings.batch.labeled == 8
    assert list(generation.views) == ["labeled"] and generation.model.name == "test_resnet"
    assert names(baseline) == ["data", "jitter", "drop", "average", "supervised", "ramp", "ramp3"]
    assert entry(baseline, "ramp3").on == ("supervised.weight",) and entry(baseline, "jitter").on == ("labeled",)
    assert [one.views for one in generation.passes] == [["labeled"]]
    assert load(kitchen.write("b.toml", dump(baseline.table))).hash == baseline.hash


def test_baseline_of_a_loss_on_both_streams(kitchen):
    path = kitchen.spoiled('on = "labeled"', 'on = ["labeled", "weak"]')
    baseline = baseline_of(load(path))
    assert [entry.name for entry in baseline.generations[0].entries() if entry.section == "loss"] == ["supervised"]
    assert entry(baseline, "supervised").on == ("labeled",)


def test_no_baseline_without_a_labeled_loss(kitchen):
    path = kitchen.spoiled('on = "labeled"', 'on = "weak"')
    with pytest.raises(RecipeError, match="no supervised baseline"):
        load(path)
    assert load(path, {"baseline": False}).settings.steps == 100


# Finding recipes and plugins ------------------------------------------------------------------------------------------


def test_shipped_recipes_load_and_return(tmp_path):
    from sslkit.recipe import shipped

    assert {"noisy_student", "supervised", "fixmatch", "mean_teacher"} <= set(shipped())
    for name in shipped():
        recipe = load(name)
        saved = tmp_path / f"{name.replace('/', '-')}.toml"
        saved.write_text(dump(recipe.table))
        again = load(saved)
        assert again.table == recipe.table and again.hash == recipe.hash and recipe.warnings == []
        if recipe.settings.baseline:
            assert baseline_of(recipe).generations[0].settings.labels == "none"


def test_the_resolved_recipe_is_plain(kitchen):
    assert tomllib.loads(dump(load(kitchen.base).table)) == load(kitchen.base).table


def test_loading_the_recipe_package_imports_no_torch():
    code = "import sys, sslkit.recipe, sslkit.registry; from sslkit.recipe import load; print({'torch', 'timm'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert said.stdout.strip() == "set()", said.stderr


def test_registry_lists_without_importing():
    code = (
        "import sys; from sslkit import registry; print(len(registry.available()) > 5, 'sslkit_plugins' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False"], said.stderr


def test_registry_names_packages():
    found = {(one.section, one.name): one for one in registry.available()}
    assert found["labeler", "confidence"].package == "sslkit" and found["labeler", "confidence"].version
    assert registry.names("labeler") == sorted(registry.names("labeler")) and "confidence" in registry.names("labeler")


def test_registry_finds_a_file_once(kitchen):
    first = registry.find("labeler", "./parts.py:Sure", kitchen.folder)
    assert first is registry.find("labeler", "./parts.py:Sure", kitchen.folder)
    assert sys.modules[first.__module__].__file__ == str(kitchen.folder / "parts.py")
    assert not (kitchen.folder / "__pycache__").exists()


def test_two_packages_of_one_name(monkeypatch, kitchen):
    from importlib.metadata import EntryPoint

    points = [EntryPoint("twin", f"package{i}:Twin", "sslkit.noise") for i in (1, 2)]
    monkeypatch.setattr(registry, "_installed", lambda group, path: points if group == "sslkit.noise" else [])
    with pytest.raises(RecipeError, match="provided by several packages"):
        registry.find("noise", "twin", Path())


def test_an_installed_plugin(monkeypatch, kitchen):
    from importlib.metadata import EntryPoint

    monkeypatch.syspath_prepend(str(kitchen.folder))
    (kitchen.folder / "installed_parts.py").write_text((kitchen.folder / "parts.py").read_text())
    point = EntryPoint("fog", "installed_parts:Blend", "sslkit.noise")
    monkeypatch.setattr(registry, "_installed", lambda group, path: [point] if group == "sslkit.noise" else [])
    recipe = load(kitchen.more('[[noise]]\nuse = "fog"\nstrength = 2\n'))
    assert entry(recipe, "fog").plugin.strength == 2.0


def test_another_number_of_generations_differs_though_its_tables_are_empty():
    table = load("noisy_student").table
    two, three, none = ({**table, "generation": [{}] * n} for n in (2, 3, 0))
    assert diff(two, three) == ["generations: 2 -> 3"] and diff(none, two)[0] == "generations: 1 -> 2"
