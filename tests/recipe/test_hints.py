"""What a message suggests: the word, the line, the form that was meant."""

import re

import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.errors import DataError, RecipeError
from sslkit.recipe import load, parse_set
from sslkit.recipe.blame import blamed
from sslkit.recipe.compose import composed
from sslkit.recipe.message import Problems
from sslkit.recipe.metrics import parts_of


def refused(path, overrides=None):
    with pytest.raises(RecipeError) as caught:
        load(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("use", "first", "rest"),
    [
        ("os:system", "`os:system` is neither a plugin's name nor a file's class", "write `./file.py:Class`"),
        ("", "`use` is empty", "write `./file.py:Class`, or a plugin's name"),
        ("./nofile.py:Fog", "cannot be read", "write `./file.py:Class`. Python files there: parts.py"),
        ("./part.py:Fog", "cannot be read", "Did you mean `parts.py`?"),
    ],
)
def test_a_use_that_is_none_is_one_problem_and_says_what_a_path_looks_like(kitchen, use, first, rest):
    message = refused(kitchen.more(f'[[noise]]\nuse = "{use}"\n'))
    assert "1 problem\n" in message and first in message and rest in message, message


@pytest.mark.parametrize(
    ("said", "meant"),
    [("enabled=False", "Did you mean false?"), ("enabled='true'", "Did you mean true, without quotes?"), ("ops=None", "leave the key out")],
)  # fmt: skip
def test_words_of_python(kitchen, said, meant):
    assert meant in refused(kitchen.base, dict([parse_set(f"noise.jitter.{said}")]))


@pytest.mark.parametrize("value", ["{stream: labeled}", '{"stream": "labeled"}'])
def test_a_table_with_colons(value):
    with pytest.raises(RecipeError, match=re.escape("""--set 'views.labeled={stream = "labeled"}'""")):
        parse_set(f"views.labeled={value}")


def test_what_would_be_passed_over_in_silence(kitchen):
    message = refused(kitchen.more("", "generation = []\nfiles = 3"))
    assert (
        "line 1  `generation = []`" in message
        and "line 2  `files = 3`" in message
        and "written beside a run" in message
    )
    assert load(kitchen.child("generation = []")), "it empties what another recipe says"


def test_what_lies_too_deep_is_told_with_its_line(kitchen):
    text = 'a = "[[[["\nb = """\n[[\n"""  # [[[[[\nc = ' + "[" * 5000 + "]" * 5000 + "\n"
    assert "deep.toml: line 5: not valid TOML: tables or lists" in refused(kitchen.write("deep.toml", text))


def test_the_line_that_data_complains_of(kitchen, monkeypatch):
    monkeypatch.chdir(kitchen.folder)
    path = kitchen.spoiled('use = "./parts.py:Data"', 'use = "./parts.py:Data"\nper_class = 400')
    line = path.read_text().splitlines().index("per_class = 400") + 1
    table = composed("spoiled.toml", path, Problems())
    for said, note in [("`per_class = 400`: too many", f"`per_class` is said in spoiled.toml, line {line}"),
                       ("a file is broken", f"[data] is said in spoiled.toml, line {line - 2}")]:  # fmt: skip
        with pytest.raises(DataError) as caught, blamed("data", table):
            raise DataError(said)
        assert caught.value.__notes__ == [f"  {note}"]


def test_a_plugin_of_another_section_on_the_command_line():
    recipe = load("supervised")
    for given in ({"names": ["dropout"]}, {"data": "dropout"}):
        with pytest.raises(
            RecipeError, match=r"`dropout` is a noise plugin, and no .* called so\n.*installed: "
        ) as caught:
            parts_of(recipe, **given)
        assert "put it under" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "said", "never"),
    [
        ("nosuch", "Commands: init, run, check", "Did you mean"),
        ("recipes show noisy", "Did you mean `noisy_student` or `noisy_student_imagenet`", "`metrics"),
        ("check supervised --device foo", "no kind of device is called so); there is: cpu", "xla"),
        ("evaluate nothing --set metric.a=1 2", "needs quotes", "Traceback"),
    ],
)
def test_what_the_command_line_suggests(typed, said, never):
    done = CliRunner().invoke(cli.cli, typed.split())
    assert done.exit_code == 2 and said in done.output and never not in done.output, done.output


def test_a_single_generation_has_nobody_who_taught_it():
    from sslkit.check.seen import GenerationProbe
    from sslkit.check.verdict import troubles

    found = [GenerationProbe(0, "m", 1, 8, waiting=["distillation"], silent=["supervised"])]
    advice = troubles(found, load("noisy_student", {"generation": []}))[-1][1]
    assert "there is but one generation" in advice and "`previous_student` would teach" in advice
    assert "its line above says why" in troubles(found, load("supervised"))[-1][1]
