"""Recipes as long as they may be, of the worst shapes: the work grows with the length, not with its square."""

import sys
from itertools import count

import pytest
from guard import untouched
from kitchen import BASE

from sslkit.errors import RecipeError
from sslkit.recipe import load, places
from sslkit.recipe.read import LARGEST

NOISE = '[[noise]]\nuse = "./parts.py:{}"\nname = "j{}"\n'


def some(unit, size):
    """As many units as fit into so many characters."""
    lines = []
    for i in count():
        lines.append(unit.replace("#", str(i)))
        size -= len(lines[-1])
        if size < 0:
            return "".join(lines)


def listed(head, unit, size):
    return f"{head} = [\n{some(unit, size)}]\n"


SHAPES = {
    "unknown keys": lambda n: some("key# = 1\n", n) + BASE,
    "unknown sections": lambda n: BASE + some("[t#]\n", n),
    "keys in keys": lambda n: some("a.b.c.d.e.k# = 1\n", n) + BASE,
    "long dotted keys": lambda n: some("k#." + ".".join("a" * 38) + " = 1\n", n) + BASE,
    "tables in lists": lambda n: BASE + "[[a]]\n" + some("[[a.b]]\n[[a.b.c]]\n", n),
    "inline tables": lambda n: some("k# = { a = { b = { c = 1 } } }\n", n) + BASE,
    "lists over lines": lambda n: some("key# = [\n1,\n2\n]\n", n) + BASE,
    "one long list": lambda n: listed("x", "1,\n", n) + BASE,
    "one long text": lambda n: 'x = """\n' + some("aaaa\n", n) + '"""\n' + BASE,
    "comments": lambda n: some("# nothing\n", n) + BASE.replace("rate = 0.1", "rate = 0"),
    "dates": lambda n: listed("x", "1979-05-27,\n", n) + BASE,
    "numbers that are not finite": lambda n: BASE + "[model.options]\n" + some("o# = nan\n", n),
    "settings of a plugin": lambda n: BASE.replace("[[noise]]\n", "[[noise]]\n" + some("o# = 1\n", n), 1),
    "views that are not there": lambda n: BASE + NOISE.format("Blend", "") + listed("on", '"w#",\n', n),
    "targets that are not there": lambda n: BASE + '[[schedule]]\nname = "s"\nuse = "./parts.py:Ramp"\n' + listed("on", '"w#",\n', n),
    "views of a pass": lambda n: BASE + "[[pass]]\n" + listed("views", '"w#",\n', n),
    "a generation's keys": lambda n: BASE + "[[generation]]\n" + some("o# = 1\n", n),
    "unclosed lists": lambda n: some("x = [\n", n),
    "unclosed texts": lambda n: some('"""\n', n),
}  # fmt: skip


def crowded(tables, plugins, generations=0):
    """Sections as full as they may be, each table naming what is in another."""
    views = "".join(f'[views.view_number_{i}]\nstream = "labeled"\n' for i in range(tables))
    noise = "".join(NOISE.format("Blend", i) + f'on = "view_numbre_{i}"\n' for i in range(plugins))
    return BASE + views + noise + "[[generation]]\n" * generations


@pytest.fixture
def calls():
    """Counts the calls of Python functions and of C's that an action makes."""

    def counted(action):
        made = 0

        def note(frame, event, argument):
            nonlocal made
            made += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            action()
        finally:
            sys.setprofile(None)
        return made

    return counted


def refused(path):
    with pytest.raises(RecipeError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize("shape", SHAPES)
def test_work_grows_with_the_length(kitchen, calls, shape, monkeypatch):
    monkeypatch.setattr(places, "LINE_BUDGET", 0)  # what looking for lines may take has a bound of its own
    spent = []
    for size in (2_000, 8_000):
        path = kitchen.write("shape.toml", SHAPES[shape](size))
        spent.append(calls(lambda path=path: refused(path)))
    base = calls(lambda: load(kitchen.base))
    assert spent[1] < 4.8 * spent[0] + 2 * base, spent


def test_generations_of_a_long_recipe_are_refused_at_once(kitchen, calls):
    path = kitchen.write(
        "shape.toml", BASE + "".join(NOISE.format("Jitter", i) for i in range(400)) + "[[generation]]\n" * 900
    )
    made = calls(lambda: refused(path))
    message = refused(path)
    assert "[[generation]]: 900 generations of a recipe of 1,2" in message and "at most 500,000" in message
    assert f"line {path.read_text()[: path.read_text().index('[[generation]]')].count(chr(10)) + 1}  " in message
    assert made < 300_000
    assert len(load(kitchen.write("many.toml", BASE + "[[generation]]\n" * 300)).generations) == 300


def test_suggestions_are_looked_for_only_where_they_are_shown(kitchen, calls, monkeypatch):
    from sslkit.recipe import checks

    asked = []
    real = checks.did_you_mean
    monkeypatch.setattr(checks, "did_you_mean", lambda *words: asked.append(words) or real(*words))
    message = refused(kitchen.write("crowd.toml", crowded(200, 200)))
    assert "200 problems" in message and "... and 150 more" in message
    assert len(asked) == 50 and "Did you mean `view_number_0`?" in message


@pytest.mark.torture
@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte(kitchen, shape):
    text = SHAPES[shape](LARGEST - 3000)
    path = kitchen.write("shape.toml", text)
    assert LARGEST - 4000 < path.stat().st_size <= LARGEST
    with untouched():
        message = refused(path)
    assert len(message) < 120_000


@pytest.mark.torture
@pytest.mark.parametrize(
    ("tables", "plugins", "generations"), [(990, 990, 0), (100, 100, 900), (900, 5, 150), (0, 990, 50)]
)
def test_full_sections(kitchen, tables, plugins, generations):
    path = kitchen.write("crowd.toml", crowded(tables, plugins, generations))
    with untouched():
        assert "problem" in refused(path)
