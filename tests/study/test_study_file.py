"""What a study file means, and what is said of one that means nothing."""

import pytest

from sslkit.errors import RecipeError
from sslkit.recipe import baseline_of, load, shipped
from sslkit.study.file import load_study, shipped_studies

VARIANT = '[[variant]]\nname = "a"\n'
LONG = "set = { steps = 4 }\n"


def message(path):
    with pytest.raises(RecipeError) as caught:
        load_study(path)
    return str(caught.value)


def test_a_study(write):
    study = load_study(write())
    assert study.name == "mine"
    assert study.seeds == (0, 1, 2)
    assert study.references == ("rival",)
    assert [(variant.name, variant.expect) for variant in study.variants] == [
        ("base", {}),
        ("no dropout", {"test_accuracy": "lower"}),
        ("supervised baseline", {}),
    ]
    base, other, baseline = (variant.recipe for variant in study.variants)
    assert baseline.hash == baseline_of(base).hash
    assert base.hash == load("base.toml").hash
    uses = [
        [entry.use for entry in generation.entries() if entry.section == "noise"] for generation in other.generations
    ]
    assert uses == [["dropout"], []]  # from generation 1 on


def test_seeds_of_the_command_line_replace_the_files(write):
    assert load_study(write(), (7, 8)).seeds == (7, 8)


def test_set_is_for_the_base_and_every_variant(write):
    (write().parent / "other.toml").write_text('extends = "base.toml"\noptimizer.rate = 0.5\n')
    text = 'base = "base.toml"\nset = { steps = 7 }\n' + VARIANT + 'recipe = "other.toml"\nset = { seed = 4 }\n'
    base, other, _ = (variant.recipe for variant in load_study(write(text)).variants)
    assert (base.settings.steps, base.settings.seed, base.generations[0].optimizer.rate) == (7, 0, 0.05)
    assert (other.settings.steps, other.settings.seed, other.generations[0].optimizer.rate) == (7, 4, 0.5)


def test_a_recipe_given_as_a_study_is_told_as_one(write):
    path = write().parent / "base.toml"
    assert message(path) == f"{path}: is a recipe, not a study: `sslkit run {path}`"


def test_a_base_of_no_name(write):
    assert "it takes text that is not empty" in message(write('base = ""\n'))


def test_a_shipped_recipe_from_anywhere(write):
    assert load_study(write('base = "supervised"\n')).base.recipe.hash == load("supervised").hash


ROWS = """
base = "base.toml"
name = "students"
generation = 0
measures = ["test_accuracy", "test_ece"]
[[variant]]
name = "last"
generation = 1
expect = { test_accuracy = "higher", test_ece = "lower" }
paper = 0.9
[[variant]]
name = "labels alone"
baseline = true
against = "last"
expect = "lower"
"""


def test_rows_at_generations_against_each_other(write):
    study = load_study(write(ROWS))
    base, last, labels = study.variants
    assert (base.name, base.kind, base.generation, base.against) == ("students", "base", 0, None)
    assert (last.generation, last.against, last.paper) == (1, "students", {"test_accuracy": 0.9})
    assert last.expect == {"test_accuracy": "higher", "test_ece": "lower"} and last.recipe.hash == base.recipe.hash
    assert labels.recipe.hash == baseline_of(base.recipe).hash and labels.against == "last"


def test_another_base(write, tmp_path):
    (tmp_path / "own.toml").write_text('extends = "base.toml"\nsteps = 5\n')
    study = load_study(write(), base="own.toml")
    assert [variant.recipe.settings.steps for variant in study.variants[:2]] == [5, 5]
    assert study.base.name == "own" and study.name == "mine-own"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('against = "last"', 'against = "lst"', ["[[variant]] labels alone", "no other row is called so", 'Did you mean "last"?']),
        ('against = "last"', 'against = "labels alone"', ["no other row is called so"]),
        ("generation = 1\n", "generation = 2\n", ["line 8", "the recipe has 2 generations", "it takes 0 to 1"]),
        ("generation = 0\n", "generation = 9\n", ["study: `generation = 9`"]),
        ("test_ece = ", "test_ecce = ", ["`expect` names", 'Did you mean "test_ece"?']),
        ("paper = 0.9", "paper = { ece = 1.0 }", ["`paper` names", "by which nothing is compared"]),
        ('measures = ["test_accuracy", "test_ece"]', "measures = []", ["`measures = []`"]),
        ("generation = 0\n", 'metrics = "standrd"\n', ['study: `metrics = "standrd"`', 'Did you mean']),
    ],
)  # fmt: skip
def test_rows_that_cannot_be(write, old, new, words):
    text = message(write(ROWS.replace(old, new, 1)))
    assert all(word in text for word in words), text


def test_every_shipped_study_is_sound():
    assert shipped_studies()
    for name in shipped_studies():
        assert load_study(name).variants


def test_shipped_noise_study_takes_all_noise_from_students_and_none_from_the_teacher():
    study = load_study("noisy_student")
    base, bare, _ = (variant.recipe for variant in study.variants)
    noise = [[entry.name for entry in cfg.entries() if entry.section == "noise"] for cfg in bare.generations]
    full = [entry.name for entry in base.generations[0].entries() if entry.section == "noise"]
    assert full
    assert noise == [full] + [[]] * (len(bare.generations) - 1)
    assert study.seeds == tuple(range(10))
    assert base.settings.baseline
    metrics = [entry.use for entry in base.generations[-1].entries() if entry.section == "metric"]
    assert {"accuracy", *study.references} <= set(metrics)


IMBALANCED = {"abc", "darp", "crest", "crest_plus", "distribution_alignment"}
SCALES = {"finetune_noisy_student", "noisy_student_imagenet", "noisy_student_svhn", "noisy_student_small_to_large"}


def test_shipped_methods_study_has_every_method_alike():
    """The same student and data, 600 steps in all, beside labels alone; nothing is called better before it is."""
    study = load_study("methods")
    recipes = {variant.recipe.name: variant.recipe for variant in study.variants}
    methods = {name for name in shipped() if "/" not in name} - SCALES - IMBALANCED
    assert set(recipes) == methods and len(study.variants) == len(methods) and study.seeds == (0, 1, 2)
    assert study.base.recipe.name == "supervised" and study.references == ("label_spreading",)
    assert all(variant.expect == {"test_accuracy": "higher"} for variant in study.variants[1:])
    for recipe in recipes.values():
        assert sum(cfg.settings.steps for cfg in recipe.generations) == 600 and not recipe.settings.baseline
        same = [recipe.table[section] for section in ("data", "model")]
        assert same == [study.base.recipe.table[section] for section in ("data", "model")]


def test_shipped_imbalance_study_has_one_long_tailed_split():
    """Its labels are the same for all; CReST's pool alone is without them."""
    study = load_study("imbalance")
    recipes = {variant.recipe.name: variant.recipe for variant in study.variants}
    assert set(recipes) == {"fixmatch", *IMBALANCED} and study.base.recipe.settings.baseline
    for name, recipe in recipes.items():
        expected = {**study.base.recipe.table["data"], "include_labeled": not name.startswith("crest")}
        assert recipe.table["data"] == expected
        assert sum(cfg.settings.steps for cfg in recipe.generations) == 600
    assert study.base.recipe.table["data"]["gamma_l"] == study.base.recipe.table["data"]["gamma_u"] == 10


def test_files_lie_beside_the_study(write, tmp_path, monkeypatch):
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "fog.py").write_text(
        "from dataclasses import dataclass\nfrom sslkit import hookimpl\n\n\n"
        "@dataclass(eq=False, kw_only=True)\nclass Fog:\n"
        "    @hookimpl\n    def perturb_batch(self, images):\n        return images\n"
    )
    path = write('base = "../base.toml"\n' + VARIANT + 'set = { "noise.fog.use" = "./fog.py:Fog" }\n', "there/s.toml")
    names = [entry.name for entry in load_study(path).variants[1].recipe.generations[0].entries()]
    assert "fog" in names


def test_everything_wrong_is_said_at_once_with_its_line(write):
    text = (
        'base = "base.toml"\nsedes = "0-2"\nseeds = "3-1"\n\n[[variant]]\nname = "a"\nset = { "noise.dropuot.rate" = 0.1 }\n'
        '[[variant]]\nname = "b"\nform_generation = 1\nset = { steps = 0 }\n[[variant]]\nset = { steps = 4 }\n'
    )
    said = message(write(text))
    assert said.startswith("mine.toml: ")
    for words in (
        "line 2  study: unknown key `sedes`", "did you mean `seeds`?",
        "line 7  [[variant]] a: the overrides do not fit the recipe", "Did you mean `dropout`?",
        "line 10  [[variant]] b: unknown key `form_generation`", "did you mean `from_generation`?",
        "line 12  [[variant]] 3: `name` is missing",
    ):  # fmt: skip
        assert words in said
    text = text.replace('sedes = "0-2"\n', "").replace("form_generation = 1\n", "")
    assert "line 2  study: `seeds = \"3-1\"`: '3-1' runs backwards" in message(write(text))
    assert "it takes a whole number of at least 1" in message(write(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["study: `base` is missing"]),
        ("base = 3", ["`base = 3`", "it takes text"]),
        ('base = "bsae.toml"', ['line 1  study: `base` = "bsae.toml"', "no such recipe", "Did you mean `base.toml`?"]),
        ('base = "mine.toml"', ["this is the study itself"]),
        ('base = "base.toml"\nseeds = 3', ["line 2  study: `seeds = 3`", "it takes text"]),
        ('base = "base.toml"\nset = { stpes = 3 }', ["line 2  study: `set`", "did you mean `steps`?"]),
        ('base = "base.toml"\nvariant = 3', ["line 2  `variant` is a list of tables", "[[variant]]"]),
        ('base = "base.toml"\n[variant]\nname = "a"', ["line 2  `variant` is a list of tables"]),
        ('base = "base.toml"\n' + VARIANT, ["line 2  [[variant]] a: is the base itself"]),
        ('base = "base.toml"\n[[variant]]\nname = ""\n' + LONG, ["line 3  [[variant]] 1: `name"]),
        ('base = "base.toml"\n' + VARIANT + LONG + VARIANT + LONG, ["line 6", "taken by another variant"]),
        ('base = "base.toml"\n[[variant]]\nname = "base"\n' + LONG, ["line 3", "taken by the base"]),
        ('base = "base.toml"\n[[variant]]\nname = "supervised baseline"\n' + LONG, ["line 3", "baseline of the base"]),
        ('base = "base.toml"\nreferences = ["a"]\n' + VARIANT + LONG, ["line 4", "taken by a reference"]),
        ('base = "base.toml"\nreferences = ["x", "x"]', ["line 2", 'names "x" twice']),
        ('base = "base.toml"\n' + VARIANT + 'recipe = "base.toml"\nfrom_generation = 1', ["line 5", "there is no `set`"]),
        ('base = "base.toml"\n' + VARIANT + "from_generation = 2\n" + LONG, ["line 5", "the recipe has 2"]),
        ('base = "base.toml"\n' + VARIANT + "from_generation = -1\n" + LONG, ["line 4", "of at least 0"]),
        ('base = "base.toml"\n' + VARIANT + 'expect = "lowre"\n' + LONG, ["line 4", 'Did you mean "lower"?']),
        ('base = "base.toml"\n' + VARIANT + 'recipe = "no.toml"', ["line 4  [[variant]] a: `recipe`", "no such recipe"]),
        ('base = "base.toml"\n' + VARIANT + "set = { steps = inf }", ["line 4", "numbers must be finite"]),
        ('base = "base.toml"\nseeds "0"', ["not valid TOML", "line 2"]),
    ],
)  # fmt: skip
def test_what_is_wrong(write, text, words):
    said = message(write(text))
    for word in words:
        assert word in said


def test_a_broken_base_says_where_it_is_broken(write):
    path = write()
    (path.absolute().parent / "base.toml").write_text("stpes = 3\n")
    said = message(path)
    assert "line 2  study: `base`" in said
    assert "did you mean `steps`?" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [("mien.toml", "Did you mean `mine.toml`?"), ("noisy_studnet", "Did you mean `noisy_student`?"),
     (".", "is a folder; a study is a TOML file"), ("x" * 5000, "cannot be read")],
)  # fmt: skip
def test_no_such_study(write, name, words):
    write()
    assert words in message(name)
