"""Everything that a recipe can get wrong: the message names the place, what was received, what is accepted."""

import pytest

from sslkit import registry
from sslkit.errors import RecipeError
from sslkit.recipe import load, with_overrides


def problems(path, overrides=None):
    with pytest.raises(RecipeError) as caught:
        load(path, overrides)
    return str(caught.value)


def line_of(path, text):
    """The number of the first line that holds a text."""
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def assert_told(message, *parts):
    for part in parts:
        assert part in message, f"{part!r} is missing in:\n{message}"


# The message ----------------------------------------------------------------------------------------------------------


def test_the_message_of_the_design(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled('use = "./parts.py:Sure"', 'use = "./parts.py:Sure"\ntreshold = 0.3')
    path.write_text(path.read_text().replace('on = "weak"', 'on = "waek"'))
    one, two = line_of(path, "treshold"), line_of(path, "waek")
    assert problems("spoiled.toml") == (
        "spoiled.toml: 2 problems\n\n"
        f"  line {one}  [[labeler]] sure: unknown key `treshold`\n"
        "           did you mean `threshold`? It takes a number from 0 to 1 (default 0.95).\n"
        f'  line {two}  [[loss]] distillation: `on = "waek"` names no view\n'
        "           views of this recipe: labeled, weak. Did you mean `weak`?"
    )


def test_all_problems_at_once(kitchen):
    path = kitchen.more('[[nois]]\nuse = "x"\n[[noise]]\nuse = "unheard_of"\n', first='stepz = 3\nworkers = "x"')
    path.write_text(path.read_text().replace("rate = 0.1", "rat = 0.1").replace('on = "weak"', "").replace("8", "0"))
    message = problems(path, {"seed": -1})
    assert_told(message, "`nois`", "`unheard_of`", "`stepz`", "`workers = ", "`rate` is missing", "unknown key `rat`",
                "`on` is missing", "`batch.labeled = 0`", "`seed = -1`")  # fmt: skip
    assert "--set: 1 problem" in message and "more.toml: 8 problems" in message


def test_problems_of_a_base_are_told_of_its_file(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled("rate = 0.1", "rate = -1")
    kitchen.write("top.toml", 'extends = "spoiled.toml"\nsteps = "many"\n')
    message = problems("top.toml")
    assert_told(message, "spoiled.toml: 1 problem", f"line {line_of(path, 'rate')}  [optimizer]: `rate = -1`")
    assert_told(message, "top.toml: 1 problem", "line 2  `steps = ")


def test_a_problem_of_one_generation_says_so(kitchen):
    path = kitchen.more("[[generation]]\n[[generation]]\n[[generation]]\noptimizer.rate = 0\n")
    message = problems(path)
    assert_told(message, f"line {line_of(path, 'optimizer.rate')}", "`rate = 0` (generation 2)", "a number above 0")
    assert message.count("\n  line") == 1


def test_a_problem_of_all_generations_is_told_once(kitchen):
    path = kitchen.more("[[generation]]\n[[generation]]\n", first="seed = -1")
    assert problems(path).count("seed") == 1


def test_many_problems_are_cut(kitchen):
    path = kitchen.more("", first="\n".join(f"key{i} = 1" for i in range(500)))
    message = problems(path)
    assert "500 problems" in message and "... and 450 more" in message


def test_line_of_values_that_span_lines(kitchen):
    path = kitchen.more("", first='[views.strong]\nstream = "unlabeled"\n')
    path.write_text('# comment\nlabel_streams = [\n  "unlabeled",\n  "labled",\n]\n' + kitchen.base.read_text())
    message = problems(path)
    assert_told(message, "line 2  `label_streams = ", 'Did you mean "labeled"?')


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("steps = \n", ["line 1, column 9", "Invalid value", "expected a value"]),
        ("[a\n", ["line 1", "not valid TOML"]),
        ("a = 1\na = 2\n", ["line 2", "set once"]),
        ("a 1\n", ["line 1", "key = value"]),
        ("a = [1,\n", ["at the end"]),
        ("steps = ten\n", ["line 1", "steps = ten", "text needs quotes"]),
        ("[" * 5000, ["not valid TOML"]),
        ("a = " + "[" * 500 + "]" * 500, ["too deep"]),
        ("a = " + "{ b = " * 40 + "1" + " }" * 40, ["32 deep"]),
        (".".join("a" * 100) + " = 1", ["32 deep"]),
        (".".join("a" * 40_000) + " = 1", ["characters; at most"]),
        ("a = " + "9" * 5000, ["not valid TOML"]),
        ("a = \0\n", ["not valid TOML"]),
        ("x = 1\n" * 300_000, ["bytes; a recipe has at most"]),
    ],
)
def test_texts_that_are_no_recipe(kitchen, text, parts):
    path = kitchen.write("broken.toml", text)
    assert_told(problems(path), "broken.toml", *parts)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ("steps = 1".encode("utf-16"), "UTF-16"),
        (b"# caf\xe9\nsteps = 1", "line 1 holds the byte 0xe9"),
        (b"\x00\x01\x02", "not valid TOML"),
        (b"", "`[data]` is missing"),
    ],
)
def test_files_that_are_no_text(kitchen, data, part):
    path = kitchen.folder / "bytes.toml"
    path.write_bytes(data)
    assert_told(problems(path), "bytes.toml", part)


def test_a_byte_order_mark_and_windows_lines_are_fine(kitchen):
    path = kitchen.folder / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + kitchen.base.read_text().replace("\n", "\r\n").encode())
    assert load(path).settings.steps == 100
    path.write_bytes(path.read_bytes().replace(b"rate = 0.1", b"rate = -1"))
    assert f"line {line_of(kitchen.base, 'rate')}" in problems(path)


def test_places_that_hold_no_recipe(kitchen):
    assert_told(problems(kitchen.folder), "is a folder")
    assert_told(problems(kitchen.folder / "bse.toml"), "no such recipe", "Did you mean `base.toml`?")
    assert "shipped recipes" not in problems(kitchen.folder / "bse.toml")
    assert_told(problems("noisy_studnt"), "no such recipe", "shipped recipes: ", "Did you mean `noisy_student`?")
    assert_told(problems("a\0b"), "a\\u0000b")
    assert_told(problems("x" * 5000), "cannot be read")


def test_a_file_that_may_not_be_read(kitchen, monkeypatch):
    from sslkit.recipe import read

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(read, "content", refuse)
    assert_told(problems(kitchen.base), "base.toml: cannot be read: permission denied")


def test_ten_megabytes_are_refused_at_once(kitchen):
    assert_told(problems(kitchen.write("big.toml", "a = 1\n" * 2_000_000)), "bytes; a recipe has at most 1,048,576")


def test_a_large_file_of_problems_is_told_in_linear_work(kitchen, monkeypatch):
    from sslkit.recipe import places

    spent = []
    real = places.tomllib.loads
    monkeypatch.setattr(places.tomllib, "loads", lambda text: spent.append(len(text)) or real(text))
    text = "".join(f"key{i} = [\n 1,\n 2 ]\n" for i in range(2000))
    problems(kitchen.write("large.toml", text + kitchen.base.read_text()))
    assert sum(spent) < 10 * len(text)
    spent.clear()
    text = "x = [\n" + "1,\n" * 50_000 + "]\n"
    problems(kitchen.write("long.toml", text + kitchen.base.read_text()))
    assert sum(spent) < places.LINE_BUDGET + 10 * len(text)


def test_too_many_tables(kitchen):
    assert_told(problems(kitchen.more('[[noise]]\nuse = "x"\n' * 1001)), "[[noise]]: 1,003 tables", "at most 1,000")
    assert_told(problems(kitchen.more("[[generation]]\n" * 1001)), "[[generation]]: 1,001 tables")


# Extends --------------------------------------------------------------------------------------------------------------


def test_extends_a_cycle(kitchen):
    kitchen.write("a.toml", 'extends = "b.toml"\n')
    kitchen.write("b.toml", 'extends = "c.toml"\n')
    path = kitchen.write("c.toml", 'steps = 1\nextends = "a.toml"\n')
    assert_told(problems(path), "extends itself: c.toml -> a.toml -> b.toml -> c.toml", "b.toml: 1 problem", "line 1")
    assert_told(problems(kitchen.write("self.toml", 'extends = "self.toml"\n')), "self.toml -> self.toml")


def test_extends_a_list_with_a_cycle(kitchen):
    kitchen.write("a.toml", 'extends = ["base.toml", "b.toml"]\n')
    path = kitchen.write("b.toml", 'steps = 1\nextends = [\n  "base.toml",\n  "a.toml",\n]\n')
    assert_told(problems(path), "extends itself: b.toml -> a.toml -> b.toml", "a.toml: 1 problem", "line 1")


def test_extends_a_list_of_what_is_none(kitchen):
    path = kitchen.write("child.toml", 'extends = ["base.toml", "bas.toml"]\n')
    assert_told(problems(path), "line 1", '`extends = "bas.toml"`', "no such recipe", "Did you mean `base.toml`?")
    for said in ("[]", '["base.toml", 3]', '["base.toml", ""]', "[[]]", "{}"):
        told = problems(kitchen.write("child.toml", f"steps = 1\nextends = {said}\n"))
        assert_told(told, "line 2", "`extends = ", "it takes the path or the name of a recipe", "or a list of them")


def test_extends_a_list_keeps_places(kitchen):
    """What is wrong is told where it was said, be it in the first file or in the last."""
    kitchen.write("one.toml", "# First.\nseed = -1\n")
    kitchen.write("two.toml", "log_every = 0\n")
    told = problems(kitchen.write("child.toml", 'extends = ["base.toml", "one.toml", "two.toml"]\nsteps = 0\n'))
    assert_told(told, "child.toml: 1 problem", "one.toml: 1 problem", "two.toml: 1 problem", "line 2")


def test_extends_by_two_ways_without_end(kitchen):
    """Two at every level would be two to the fortieth."""
    for i in range(40):
        kitchen.write(f"r{i}.toml", f'extends = ["r{i + 1}.toml", "r{i + 1}.toml"]\n')
    kitchen.write("r10.toml", "steps = 1\n")
    assert_told(problems(kitchen.folder / "r0.toml"), "more than 32 recipes")


def test_extends_a_chain_without_end(kitchen):
    for i in range(40):
        kitchen.write(f"r{i}.toml", f'extends = "r{i + 1}.toml"\n')
    assert_told(problems(kitchen.folder / "r0.toml"), "more than 32 recipes")


def test_extends_nothing(kitchen):
    path = kitchen.write("child.toml", 'extends = "bas.toml"\n')
    assert_told(problems(path), "line 1", '`extends = "bas.toml"`', "no such recipe", "Did you mean `base.toml`?")
    assert_told(
        problems(kitchen.write("child.toml", "extends = 3\n")), "`extends = 3`", "it takes the path or the name"
    )
    kitchen.write("bad.toml", "x = \n")
    assert_told(problems(kitchen.write("child.toml", 'extends = "bad.toml"\n')), "bad.toml", "line 1, column 5")


def test_extends_names_no_entry(kitchen):
    path = kitchen.child('[[noise]]\nname = "jiter"\nmagnitude = 1\n')
    assert_told(problems(path), "line 2", "[[noise]] jiter", "no plugin of this name", "Did you mean `jitter`?")
    path = kitchen.child('[[noise]]\nuse = "./parts.py:Blend"\nafter = "jiter"\n')
    assert_told(problems(path), "line 4", '`after = "jiter"`', "there are: jitter, drop", "Did you mean `jitter`?")


# Keys and values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("steps = 100", "stepps = 100", ["unknown key or section `stepps`", "did you mean `steps`?", "`steps` is missing"]),
        ("steps = 100", 'steps = "100"', ['`steps = "100"`', "a whole number of at least 1"]),
        ("steps = 100", "steps = 0", ["`steps = 0`", "a whole number of at least 1"]),
        ("steps = 100", "steps = 1e2", ["`steps = 100.0`", "a whole number"]),
        ("steps = 100", "steps = true", ["`steps = true`", "a whole number"]),
        ("steps = 100", "steps = 99999999999999999999", ["more than 64 bits"]),
        ("steps = 100", "steps = 1979-05-27", ["is a date or time (1979-05-27)"]),
        ("steps = 100", "steps = 1\nextra = 07:32:00", ["is a date or time"]),
        ('labels = "pool"', 'labels = "pol"', ['"pool", "step", "both", "none"', 'Did you mean "pool"?']),
        ("unlabeled = 16", "unlabelled = 16", ["unknown key `batch.unlabelled`", "did you mean `unlabeled`?"]),
        ("{ labeled = 8, unlabeled = 16 }", "8", ["`batch = 8`", "a table with `labeled`, `unlabeled`"]),
        ("rate = 0.1", "rate = 0", ["[optimizer]: `rate = 0`", "a number above 0"]),
        ("rate = 0.1", "rate = inf", ["[optimizer]: `rate` is inf", "finite"]),
        ("rate = 0.1", "rate = nan", ["[optimizer]: `rate` is nan", "finite"]),
        ("rate = 0.1", "rate = true", ["`rate = true`", "a number above 0"]),
        ("rate = 0.1", 'rate = "0.1"', ['`rate = "0.1"`', "a number above 0"]),
        ("rate = 0.1", "rate = 0.1\ndecay = 'al'", ['one of "kernels", "all_but_norm", "all"', 'Did you mean "all"?']),
        ("rate = 0.1", "momentum = 0.1", ["[optimizer]: `rate` is missing"]),
        ("[optimizer]\nrate = 0.1", "", ["`[optimizer]` is missing"]),
        ("[optimizer]\nrate = 0.1", "[[optimizer]]\nrate = 0.1", ["`optimizer` is one table", "write `[optimizer]`"]),
        ("[optimizer]\nrate = 0.1", "[optimiser]\nrate = 0.1", ["`optimiser`", "did you mean `[optimizer]`?"]),
        ('name = "test_resnet"', 'nam = "test_resnet"', ["[model]: `name` is missing", "unknown key `nam`"]),
        ('name = "test_resnet"', 'name = "x"\nmean = [0.5, "a"]', ["[model]: `mean = ", "a list (a number)"]),
        ('name = "test_resnet"', 'name = "x"\nsize = 0', ["[model]: `size = 0`", "a whole number of at least 1"]),
        ('name = "test_resnet"', 'name = "x"\nweights = "no.safetensors"', ["there is no file"]),
        ('name = "test_resnet"', 'use = "./parts.py:Net"\nsize = 0', ["[model]: `size = 0`"]),
        ('name = "test_resnet"', 'use = "./parts.py:Net"\nenabled = false', ["`enabled = false`", "a run needs its model"]),
        ("[data]", "[[data]]", ["`data` is one table", "write `[data]`"]),
        ("[data]", "[dat]", ["`[data]` is missing", "did you mean `[data]`?"]),
        ('[[noise]]\nuse = "./parts.py:Jitter"\n[[noise]]', "[noise]", ["`noise` is a list of tables", "write `[[noise]]`"]),
        ("metric = []", "metric = [3]", ["`metric` is a list of tables"]),
        ('stream = "unlabeled"', 'stream = "unlabled"', ["[views.weak]: `stream = ", 'Did you mean "unlabeled"?']),
        ("[views.weak]", "[views.clean]", ["a view cannot be called", "built-in view"]),
        ("[views.weak]", '[views."a b"]', ['a view cannot be called "a b"']),
        ('[views.weak]\nstream = "unlabeled"', "[views]\nweak = 3", ["`views.weak` is a table"]),
        ("threshold", "threshold", []),
    ][:-1],
)  # fmt: skip
def test_fixed_tables(kitchen, old, new, parts):
    assert_told(problems(kitchen.spoiled(old, new)), "line " if "missing" not in parts[0] else "", *parts)


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        (
            "magnitud = 3",
            ["unknown key `magnitud`", "did you mean `magnitude`?", "a number from 0 to 10 (default 9.0)"],
        ),
        ("magnitude = 11", ["`magnitude = 11`", "a number from 0 to 10 (default 9.0)"]),
        ('magnitude = "x"', ['`magnitude = "x"`', "a number from 0 to 10"]),
        ("magnitude = true", ["`magnitude = true`", "a number"]),
        ("magnitude = -inf", ["is -inf", "finite"]),
        ("ops = 2.5", ["`ops = 2.5`", "a whole number (default 2)"]),
        ('pool = "smal"', ['`pool = "smal"`', 'one of "small", "large" (default "small")', 'Did you mean "small"?']),
        ("colour = 1", ["unknown key `colour`", "there are: magnitude, ops, pool"]),
        ("enabled = 1", ["`enabled = 1`", "true or false"]),
        ("on = 3", ["`on = 3`", "text or a list (text)"]),
        ("on = []", ["`on` is empty"]),
        ('on = "clean"', ['`on = "clean"`', "labeling and evaluation only"]),
        ('when = "pool"', ["unknown key `when`", "only a [[labeler]]"]),
        ('name = "a b"', ['a plugin cannot be called "a b"']),
        ('name = "{x}"\non = "waek"', ['a plugin cannot be called "{x}"', '`on = "waek"` names no view']),
        ('name = "a.b"', ['a plugin cannot be called "a.b"']),
        ("name = 3", ["`name = 3`", "text"]),
        ("x = { y = inf }", ["[[noise]] jitter: `x.y` is inf"]),
        ("magnitude = nan", ["[[noise]] jitter: `magnitude` is nan", "numbers must be finite"]),
    ],
)
def test_plugin_tables(kitchen, keys, parts):
    path = kitchen.spoiled('use = "./parts.py:Jitter"', f'use = "./parts.py:Jitter"\n{keys}')
    assert_told(problems(path), f"line {line_of(path, keys.splitlines()[0])}", *parts)


def test_a_misspelt_key_with_a_number_that_is_not_finite(kitchen):
    """Both are told, the plugin named: mending the one must not bring up the other."""
    path = kitchen.spoiled('use = "./parts.py:Sure"', 'use = "./parts.py:Sure"\ntreshold = nan')
    message = problems(path)
    head = f"  line {line_of(path, 'treshold')}  [[labeler]] sure: "
    assert_told(message, f"{head}`treshold` is nan\n", f"{head}unknown key `treshold`\n", "did you mean `threshold`?")
    assert "2 problems" in message
    message = problems(kitchen.base, {"labeler.sure.treshold": float("nan")})
    assert_told(message, "  [[labeler]] sure: `treshold` is nan\n", "did you mean `threshold`?")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[[generation]]\nnoise.jitter.ops = nan", "generation 0, [[noise]] jitter: `ops`"),
        ("[[generation]]\n[[generation.noise]]\nname = 'jitter'\nops = nan", "generation 0, [[noise]] jitter: `ops`"),
        ("[[generation]]\n[[generation]]\nsteps = nan", "generation 1, `steps`"),
        ("[[generation]]\noptimizer.options.x = [1, nan]", "generation 0, [optimizer]: `options.x.1`"),
        ("[[noise]]\nops = nan", "[[noise]] 2: `ops`"),
        ("[views.third]\nstream = nan", "[views.third]: `stream`"),
        ("[[pass]]\n[[pass]]\nviews = nan", "[[pass]] 1: `views`"),
        ("[step]\nuse = './parts.py:Other'\nspeed = nan", "[step] other: `speed`"),
    ],
)
def test_what_is_not_finite_is_called_as_in_other_messages(kitchen, text, name):
    path = kitchen.more(f"{text}\n")
    assert_told(problems(path), f"line {line_of(path, 'nan')}  {name} is nan")


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("std = [0.5, 0]", ["[model]: `std = [0.5, 0]`", "it takes a list (a number above 0) of at least 1 entry"]),
        ("std = [0.2, -0.2, 0.2]", ["[model]: `std = [0.2, -0.2, 0.2]`", "a number above 0"]),
        ("std = []", ["[model]: `std = []`", "at least 1 entry"]),
        ("std = [nan]", ["[model]: `std.0` is nan", "finite"]),
        ("mean = []", ["[model]: `mean = []`", "it takes a list (a number) of at least 1 entry"]),
        ("mean = [0.5, inf, 0.5]", ["[model]: `mean.1` is inf", "numbers must be finite"]),
        ('mean = ["a"]', ['[model]: `mean = ["a"]`', "it takes a list (a number)"]),
    ],
)
def test_normalisation(kitchen, key, parts):
    path = kitchen.spoiled('name = "test_resnet"', f'name = "test_resnet"\n{key}')
    message = problems(path)
    assert_told(message, f"line {line_of(path, key)}  ", *parts)
    assert "1 problem\n" in message


def test_a_metric_that_nobody_measures_selects_nothing(kitchen):
    recipe = load(kitchen.base, {"select": "agreement"})
    assert recipe.warnings == ['`select = "agreement"` selects nothing: no plugin implements `measure`']
    path = kitchen.spoiled("metric = []\n", 'select = "agreement"\n')
    assert load(path).warnings == []


def test_names_are_unique(kitchen):
    path = kitchen.more('[[labeler]]\nname = "jitter"\nuse = "./parts.py:Average"\n')
    first = line_of(path, "Jitter") - 1
    assert_told(problems(path), f"the name `jitter` is taken by [[noise]] jitter (line {first})")
    path = kitchen.more('[[loss]]\nname = "supervised"\nuse = "./parts.py:Entropy"\non = "weak"\n')
    assert_told(problems(path), "the name `supervised` is taken by [[loss]] supervised")


def test_a_name_that_is_taken_in_another_file_is_told_with_that_file(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    second = '[[noise]]\nname = "drop"\nuse = "./parts.py:Drop"\n'
    base = line_of(kitchen.base, "parts.py:Drop") - 1
    message = problems(kitchen.child(second + second + second))
    assert_told(message, f"line 5  [[noise]] drop: the name `drop` is taken by [[noise]] drop (base.toml, line {base})")
    assert_told(message, "line 8  [[noise]] drop: the name `drop` is taken by [[noise]] drop (line 5)")
    message = problems(kitchen.child('[[labeler]]\nname = "second"\nuse = "./parts.py:Label"\n'))
    assert_told(message, f"as [[labeler]] label (base.toml, line {line_of(kitchen.base, 'parts.py:Label') - 1}) does")


# Plugins --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "parts"),
    [
        ("randaugmnt", ["no noise plugin is called `randaugmnt`", "Did you mean `randaugment`?"]),
        ("confidence", ["`confidence` is a labeler plugin: put it under [[labeler]]"]),
        ("confidnce", ["Did you mean `confidence` of [[labeler]]?"]),
        ("./prts.py:Jitter", ["cannot be read", "Did you mean `parts.py`?"]),
        ("./parts.py:Jiter", ["defines no class `Jiter`", "Did you mean `Jitter`?"]),
        ("./parts.py:hookimpl", ["defines no class"]),
        ("./parts.py", ["names no class", "write `./parts.py:ClassName`"]),
        (
            "./parts.py:Sure",
            ["`Sure` implements no hook of [[noise]]", "it is a labeler plugin: put it under [[labeler]]"],
        ),
        ("", ["`use` is empty"]),
    ],
)
def test_use(kitchen, use, parts):
    path = kitchen.spoiled('use = "./parts.py:Jitter"', f'use = "{use}"')
    assert_told(problems(path), f"line {line_of(path, 'use = ' + chr(34) + use + chr(34))}", *parts)


def test_use_is_missing(kitchen):
    path = kitchen.more("[[noise]]\nmagnitude = 3\n")
    assert_told(problems(path), "[[noise]]: `use` is missing", "installed: ", "randaugment")


HEAD = (
    "from dataclasses import dataclass\nfrom sslkit import hookimpl\n@dataclass(eq=False, kw_only=True)\nclass Fog:\n"
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("import nothing_of_this_name\n", ["cannot be imported: ModuleNotFoundError", "(line 1)"]),
        ("x = 1\nraise SystemExit(3)\n", ["cannot be imported: SystemExit: 3 (line 2)"]),
        ("class Fog\n", ["cannot be imported: SyntaxError", "(line 1)"]),
        ("class Fog: ...\n", ["`Fog` is not a dataclass", "@dataclass(eq=False, kw_only=True)"]),
        (HEAD.replace("eq=False, ", "") + "    x: int = 1\n", ["compares by value", "eq=False"]),
        (HEAD + "    x: int = 1\n", ["`Fog` implements no hook of [[noise]]", "image_transforms"]),
        (HEAD + "    def mix(self, step): ...\n", ["`mix` lacks the decorator `@hookimpl`"]),
        (HEAD + "    @hookimpl\n    def mux(self, step): ...\n", ["`mux`, which is no hook", "Did you mean `mix`?"]),
        (HEAD + "    @hookimpl\n    def mix(self, stepp): ...\n", ["`stepp`, which it is never given", "Did you mean `step`?"]),
        (HEAD + "    @hookimpl\n    def mix(self, step=None): ...\n", ["gives `step` a default"]),
        (HEAD + "    @hookimpl\n    def mix(self, *args): ...\n", ["takes `*args`", "name the arguments"]),
        (HEAD + "    @hookimpl\n    def mix(self, **kw): ...\n", ["takes `**kw`"]),
        (HEAD + "    on: str = 'x'\n    @hookimpl\n    def mix(self): ...\n", ["field `on`, a key that recipes reserve"]),
        (HEAD + "    x: object = 1\n    y: 'Absent' = 1\n    @hookimpl\n    def mix(self): ...\n", ["a field that no table can set"]),
        (HEAD + "    def __post_init__(self): raise ValueError('too foggy')\n    @hookimpl\n    def mix(self): ...\n", ["too foggy"]),
        (HEAD + "    def __post_init__(self): raise KeyError('oops')\n    @hookimpl\n    def mix(self): ...\n", ["raised KeyError"]),
        (HEAD + "    @hookimpl\n    def scheduled(self): ...\n    @hookimpl\n    def mix(self): ...\n", ["put it under [[schedule]]"]),
    ],
)  # fmt: skip
def test_plugin_files(kitchen, text, parts):
    kitchen.write("fog.py", text)
    path = kitchen.more('[[noise]]\nuse = "./fog.py:Fog"\n')
    assert_told(problems(path), "[[noise]] fog: ", *parts)


def test_a_plugin_that_cannot_be_imported(kitchen, monkeypatch):
    from importlib.metadata import EntryPoint

    points = [
        EntryPoint("fog", "a_package_that_is_not_there:Fog", "sslkit.noise"),
        EntryPoint("sin", "math:sin", "sslkit.noise"),
    ]
    monkeypatch.setattr(registry, "_installed", lambda group, path: points if group == "sslkit.noise" else [])
    message = problems(kitchen.more('[[noise]]\nuse = "fog"\n[[noise]]\nuse = "sin"\n'))
    assert_told(message, "`fog` cannot be imported: ModuleNotFoundError", "`sin` is not a class")


# Views ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", ["noise", "labeler", "loss"])
def test_on_names_no_view(kitchen, section):
    use = {"noise": "Blend", "labeler": "Average", "loss": "Entropy"}[section]
    path = kitchen.more(f'[[{section}]]\nname = "new"\nuse = "./parts.py:{use}"\non = ["weak", "stong"]\n')
    assert_told(problems(path), f'[[{section}]] new: `on = "stong"` names no view', "labeled, weak")


def test_on_names_a_stream_without_views(kitchen):
    path = kitchen.spoiled('[views.weak]\nstream = "unlabeled"', '[views.weak]\nstream = "labeled"')
    path.write_text(path.read_text().replace('on = "weak"', 'on = "unlabeled"'))
    assert_told(problems(path), '`on = "unlabeled"` names a stream that no view shows')


def test_a_wrong_view_is_told_once(kitchen):
    assert problems(kitchen.spoiled('stream = "unlabeled"', 'stream = "x"')).count("\n  line") == 1


def test_losses_say_their_views(kitchen):
    path = kitchen.spoiled('on = "weak"\n', "")
    assert_told(problems(path), "[[loss]] distillation: `on` is missing", "views of this recipe: labeled, weak")
    path = kitchen.spoiled('on = "weak"\n', 'on = "clean"\n')
    assert_told(problems(path), "labeling and evaluation only")


def test_model_noise_takes_no_views(kitchen):
    path = kitchen.spoiled('use = "./parts.py:Drop"', 'use = "./parts.py:Drop"\non = "weak"')
    assert_told(problems(path), "[[noise]] drop: `on = ", "it takes no views", "[[pass]] with `noise = false`")


def test_data_takes_no_views(kitchen):
    path = kitchen.spoiled(':Data"', ':Data"\non = "weak"')
    assert_told(problems(path), "[data] data: `on = ", "it takes no views", "it looks at no view")


def test_a_view_of_a_stream_without_images(kitchen):
    path = kitchen.spoiled("unlabeled = 16", "unlabeled = 0")
    path.write_text(path.read_text().replace('labels = "pool"', ""))
    assert_told(problems(path), "[views.weak]: shows the unlabeled stream, but `batch.unlabeled = 0`")


def test_a_view_that_nobody_asks_for(kitchen):
    recipe = load(kitchen.more('[views.strong]\nstream = "unlabeled"\n'))
    assert recipe.warnings == ["nobody asks for the view `strong`, so it is not made"]
    assert load(kitchen.more('[views.strong]\nstream = "unlabeled"\n[step]\nuse = "./parts.py:Other"\n')).warnings == []


def test_a_stream_that_nobody_shows(kitchen):
    path = kitchen.spoiled('[views.weak]\nstream = "unlabeled"', "")
    path.write_text(path.read_text().replace('on = "weak"', 'on = "labeled"'))
    assert load(path).warnings == ["batch.unlabeled = 16, but no view shows the unlabeled stream"]


# Slots ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (
            "average",
            '[[labeler]]\nuse = "./parts.py:Average"\n[[labeler]]\nname = "second"\nuse = "./parts.py:Average"\n',
        ),
        ("label", '[[labeler]]\nname = "second"\nuse = "./parts.py:Label"\n'),
        ("make_teacher", '[[labeler]]\nname = "second"\nuse = "./parts.py:Teacher"\n'),
    ],
)
def test_two_plugins_for_one_slot(kitchen, hook, text):
    path = kitchen.more(text)
    assert_told(problems(path), "[[labeler]] second: implements", f"`{hook}`, as [[labeler]] ", "enabled = false")
    load(kitchen.more(text + "enabled = false\n"))


def test_two_plugins_for_other_slots(kitchen):
    methods = "".join(
        f"    @hookimpl\n    def {hook}(self): ...\n" for hook in ("open_data", "decide", "build_model", "trainables")
    )
    kitchen.write("many.py", HEAD.replace("Fog", "Many") + methods + "    @hookimpl\n    def mix(self, step): ...\n")
    path = kitchen.more(
        '[[noise]]\nname = "a"\nuse = "./many.py:Many"\n[[noise]]\nname = "b"\nuse = "./many.py:Many"\n'
    )
    message = problems(path)
    assert_told(message, "implements `open_data`, as [data] data", "`decide`", "`build_model`", "`trainables`")


def test_a_slot_for_each_label_timing(kitchen):
    text = '[[labeler]]\nname = "second"\nuse = "./parts.py:Teacher"\n'
    path = kitchen.more(text)
    path.write_text(path.read_text().replace('"pool"', '"both"'))
    message = problems(path)
    assert_told(message, "[[labeler]] second", "`make_teacher`", 'when = "pool"', 'when = "step"')
    path.write_text(path.read_text().replace(text, text + 'when = "step"\n'))
    assert_told(problems(path), "[[labeler]] second")
    path.write_text(path.read_text().replace('./parts.py:Teacher"', './parts.py:Teacher"\nwhen = "pool"', 1))
    assert [e.when for e in load(path).generations[0].entries() if e.section == "labeler"] == [
        "pool",
        None,
        None,
        "step",
    ]


def test_a_labeler_of_a_timing_that_is_not_used(kitchen):
    path = kitchen.spoiled('use = "./parts.py:Sure"', 'use = "./parts.py:Sure"\nwhen = "step"')
    assert load(path).warnings == ['[[labeler]] sure is idle: its `when = "step"`, but `labels = "pool"`']


@pytest.mark.parametrize(("cls", "role"), [("Label", "makes labels"), ("Teacher", "teaches")])
def test_labels_need_someone_who_makes_them(kitchen, cls, role):
    path = kitchen.spoiled(f'[[labeler]]\nuse = "./parts.py:{cls}"\n', "")
    assert_told(problems(path), "line 1", '`labels = "pool"`', role, "timing `pool`", "add a [[labeler]]")


def test_a_broken_labeler_is_not_missed_as_well(kitchen):
    message = problems(kitchen.spoiled("./parts.py:Label", "./parts.py:Labl"))
    assert message.count("\n  line") == 1 and "makes labels" not in message


def test_a_labeler_sees_what_it_labels(kitchen):
    path = kitchen.spoiled('use = "./parts.py:Label"', 'use = "./parts.py:Label"\non = "labeled"')
    assert_told(problems(path), '[[labeler]] label: `on = "labeled"` has no view of the unlabeled stream')
    path.write_text(path.read_text().replace('"pool"', '"step"\nlabel_streams = ["labeled"]'))
    assert load(path).generations[0].settings.label_streams == ["labeled"]


def test_labels_need_images(kitchen):
    path = kitchen.spoiled("unlabeled = 16", "unlabeled = 0")
    path.write_text(
        path.read_text().replace('[views.weak]\nstream = "unlabeled"', "").replace('on = "weak"', 'on = "labeled"')
    )
    assert_told(problems(path), '`labels = "pool"`, but no step has unlabeled images: `batch.unlabeled = 0`')
    path.write_text(path.read_text() + '[[labeler]]\nuse = "./parts.py:Promote"\n')
    assert load(path).settings.batch.unlabeled == 0
    path.write_text(path.read_text().replace('"pool"', '"step"'))
    assert_told(problems(path), '`labels = "step"`, but no step has unlabeled images')


def test_label_streams_without_labels_by_step_have_no_effect(kitchen):
    path = kitchen.spoiled('labels = "pool"', 'labels = "pool"\nlabel_streams = ["labeled"]')
    (warning,) = load(path).warnings
    assert '`label_streams = ["labeled"]` has no effect' in warning


def test_a_misspelt_setting_is_not_taken_for_the_rare_section(kitchen):
    path = kitchen.spoiled('labels = "pool"', 'labels = "pool"\nstepz = 5')
    assert_told(
        problems(path), "line 2  unknown key or section `stepz`", "did you mean `steps`? It takes a whole number"
    )


def test_a_study_given_as_a_recipe_is_told_as_one(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('base = "noisy_student"\nseeds = "0-1"\n')
    with pytest.raises(RecipeError, match=r"is a study, not a recipe: `sslkit study .*study.toml`"):
        load(path)


def test_a_recipe_with_a_key_of_studies_stays_a_recipe(kitchen):
    assert_told(
        problems(kitchen.child("base = true\n")), "line 2  unknown key or section `base`", "did you mean `baseline`?"
    )


def test_label_streams_are_not_empty(kitchen):
    path = kitchen.spoiled('labels = "pool"', 'labels = "step"\nlabel_streams = []')
    assert_told(problems(path), "line 2  `label_streams` is empty")


def test_something_is_learned(kitchen):
    text = kitchen.base.read_text()
    path = kitchen.write("none.toml", text[: text.index("[[loss]]")] + text[text.index("[[schedule]]") :])
    assert_told(problems(path), "no plugin implements `loss`", "add a [[loss]]")


# Schedules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "parts"),
    [
        (
            '"lrr"',
            ['`on = "lrr"` names no plugin\'s field', 'it takes "lr" or "<plugin>.<field>"', "Did you mean `lr`?"],
        ),
        ('"distilation.weight"', ["names no plugin's field", "Did you mean `distillation.weight`?"]),
        ('"distillation.wieght"', ["has no field `wieght`", "can be driven: weight", "Did you mean `weight`?"]),
        ('"distillation"', ["names no plugin's field", "Did you mean `distillation.weight`?"]),
        ('"jitter.magnitude"', ["its fields are used in data workers"]),
        ('"drop.rate"', ["its fields are read once"]),
        ('"blend.times"', ["`times` takes a whole number", "can be driven: strength"]),
        ('"blend.wanted"', ["`wanted` takes a number; a schedule drives", "can be driven: strength"]),
        ('"blend.strength.x"', ["has no field `strength.x`"]),
        ("[]", ["`on` is empty"]),
    ],
)
def test_what_schedules_drive(kitchen, on, parts):
    text = f'[[noise]]\nuse = "./parts.py:Blend"\n[[schedule]]\nname = "new"\nuse = "./parts.py:Ramp"\non = {on}\n'
    path = kitchen.more(text)
    assert_told(problems(path), f"line {line_of(path, 'on = ' + on)}  [[schedule]] new: ", *parts)


def test_a_target_is_driven_once(kitchen):
    path = kitchen.more('[[schedule]]\nname = "second"\nuse = "./parts.py:Ramp"\n')
    assert_told(problems(path), "[[schedule]] second: drives `lr`, as [[schedule]] ramp does")
    path = kitchen.more('[[schedule]]\nname = "second"\nuse = "./parts.py:Ramp"\non = "supervised.weight"\n')
    assert load(path).generations[0].entries()[-1].on == ("supervised.weight",)


def test_a_schedule_of_a_disabled_plugin_is_idle(kitchen):
    text = '[[noise]]\nuse = "./parts.py:Blend"\nenabled = false\n[[schedule]]\nname = "s"\nuse = "./parts.py:Ramp"\non = "blend.strength"\n'
    recipe = load(kitchen.more(text))
    assert recipe.warnings == ["[[schedule]] s drives nothing at `blend.strength`: [[noise]] blend is not enabled"]
    assert "s" not in [entry.name for entry in recipe.generations[0].entries()]


# Passes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('views = ["stong"]', ['[[pass]] 0: `views`: "stong" names no view', "labeled, weak"]),
        ("views = []", ["[[pass]] 0: `views` is empty"]),
        ('view = ["weak"]', ["[[pass]] 0: `views` is missing", "did you mean `views`?"]),
        ('views = ["weak"]\nmodel = "studnt"', ['"student", "teacher", "average"', 'Did you mean "student"?']),
        (
            'views = ["weak"]\n[[pass]]\nviews = ["labeled", "weak"]',
            ["`weak` goes through the student in [[pass]] 0 already"],
        ),
        (
            'views = ["weak"]\nbatch_norm = "running"\nwrite_stats = true',
            ["`write_stats = true` with the running statistics"],
        ),
        (
            'model = "teacher"\nviews = ["weak"]\nwrite_stats = true',
            ["`write_stats = true` with the running statistics"],
        ),
        ('model = "average"\nviews = ["weak"]', ['`model = "average"`, but no plugin keeps one']),
    ],
)
def test_passes(kitchen, text, parts):
    assert_told(problems(kitchen.more(f"[[pass]]\n{text}\n")), *parts)


def test_passes_are_tables(kitchen):
    assert_told(problems(kitchen.more("", first="pass = 3")), "`pass` is a list of tables", "write `[[pass]]`")


# Generations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("seed = 1", ["overrides `seed`, which belongs to the whole run", "a generation may override: labels"]),
        ("data.per_class = 1", ["overrides `data`, which belongs to the whole run"]),
        ("tracker = []", ["overrides `tracker`"]),
        ('extends = "base.toml"', ["overrides `extends`"]),
        ("stps = 1", ["overrides `stps`, which is no key or section", "Did you mean `steps`?"]),
        ("steps = 0", ["`steps = 0`", "(generation 1)"]),
        ("model.nme = 'x'", ["[model]: unknown key `nme` (generation 1)", "did you mean `name`?"]),
        ("noise.jiter.enabled = false", ["[[noise]] jiter: no plugin of this name", "Did you mean `jitter`?"]),
        ("noise.jitter.magnitde = 1", ["[[noise]] jitter: unknown key `magnitde`", "did you mean `magnitude`?"]),
        ("noise.jitter = 3", ["`noise` is a list of tables"]),
        ('noise.jitter.name = "x"', ["a plugin's name cannot be changed here"]),
        ('loss.distillation.on = "stong"', ['`on = "stong"` names no view (generation 1)']),
        ('init = "continue"\nmodel.name = "resnet18"', ['`init = "continue"`', "`resnet18` is not the previous one, `test_resnet`"]),
        ('init = "continue"\noptimizer.name = "lion"', ['`init = "continue"`', "`lion` is not the previous one, `sgd`"]),
        ('labeler.label.enabled = false', ["makes labels", "(generation 1)"]),
        ('noise = [{ use = "./parts.py:Blend" }, { use = "./parts.py:Blend" }]', ["blend: overridden twice"]),
        ("noise = [{ ops = 3 }]", ["neither `name` nor `use` says which"]),
    ],
)  # fmt: skip
def test_generations(kitchen, text, parts):
    path = kitchen.more(f"[[generation]]\n[[generation]]\n{text}\n")
    assert_told(problems(path), *parts)


def test_generations_are_tables(kitchen):
    assert_told(problems(kitchen.more("[generation]\nsteps = 3\n")), "`generation` is a list of tables")
    assert_told(problems(kitchen.more("", first="generation = [1]")), "`generation` is a list of tables")


# Overrides ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("labeler.sur.threshold", 1, ["[[labeler]] sur: no plugin of this name", "Did you mean `sure`?"]),
        ("labeler.sure.treshold", 1, ["unknown key `treshold`", "did you mean `threshold`?"]),
        ("labeler.sure.threshold", 2, ["`threshold = 2`", "from 0 to 1"]),
        ("labler.sure.threshold", 1, ["unknown key or section `labler`", "did you mean `[[labeler]]`?"]),
        ("model.nam", "x", ["unknown key `nam`"]),
        ("steps", "many", ['`steps = "many"`']),
        ("steps", None, ["`steps` is NoneType"]),
        ("steps", float("nan"), ["is nan"]),
        ("steps", object(), ["`steps` is object"]),
        ("noise", 3, ["`noise` is a list of tables"]),
        ("noise.jitter", 3, ["`noise` is a list of tables"]),
        ("generation.5.steps", 3, ["`generation.5` is no table of this recipe", "it has 1, counted from 0"]),
        ("generation.x.steps", 3, ["`generation` is a list of tables"]),
        ("extends", "base.toml", ["`extends` cannot be overridden"]),
        ("batch", 3, ["`batch = 3`"]),
        ("", 3, ["unknown key or section ``"]),
    ],
)
def test_overrides(kitchen, path, value, parts):
    assert_told(problems(kitchen.base, {path: value}), "--set: ", *parts)


def test_overrides_that_exclude_one_another(kitchen):
    assert_told(problems(kitchen.base, {"batch": {"labeled": 1}, "batch.labeled": 2}), "`batch.labeled` is set twice")
    assert_told(problems(kitchen.base, {"batch.labeled": 2, "batch": 1}), "`batch` is set twice")


def test_overrides_of_a_resolved_recipe(kitchen):
    with pytest.raises(RecipeError, match="Did you mean `jitter`"):
        with_overrides(load(kitchen.base), {"noise.jiter.ops": 1})


def test_overrides_too_deep(kitchen):
    deep = {}
    deep["self"] = deep
    assert_told(problems(kitchen.base, {"model.options": deep}), "`model.options`: tables within one another")
    assert_told(problems(kitchen.base, {".".join("a" * 2000): 1}), "tables within one another 32 deep")
