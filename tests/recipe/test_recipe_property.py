"""Whatever a recipe says, it is accepted or refused with a message of its own; nothing else is ever raised."""

import copy
import random
import re
import tomllib

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kitchen import MORE, Kitchen

from sslkit.errors import RecipeError
from sslkit.recipe import dump, load

VALUES = [
    0, 1, -1, 2**40, 10**30, 0.5, -2.5, float("inf"), float("nan"), True, False, "", "x", "labeled", "weak", "unlabeled",
    "clean", "lr", "jitter", "./parts.py:Blend", "./parts.py:Entropy", "./parts.py", "base.toml", "both", "step", "none",
    "previous", "a b", "{x}", "{}", "é\u2028", "\x7f", [], [1], ["weak"], ["weak", 3], [[]], [{}], {}, {"use": "x"}, {"a": {"b": {}}},
    [{"use": "./parts.py:Jitter"}], {"jitter": {"ops": 3}},
]  # fmt: skip
KEYS = [
    "use", "name", "on", "enabled", "when", "after", "size", "steps", "labels", "extends", "noise", "labeler", "loss", "data",
    "model", "optimizer", "views", "pass", "generation", "files", "batch", "stream", "init", "weights", "x", "a.b", "",
]  # fmt: skip


def containers(value):
    """Every table and list within a value."""
    if isinstance(value, (dict, list)):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def mutate(table, chance):
    """One change: a key or entry dropped, renamed, doubled, replaced, added, moved."""
    place = chance.choice(list(containers(table)))
    value = copy.deepcopy(chance.choice(VALUES))
    if isinstance(place, dict):
        key = chance.choice(list(place)) if place else "x"
        what = chance.randrange(4)
        if what == 0:
            place.pop(key, None)
        elif what == 1:
            place[chance.choice([*KEYS, key[:-1], key + "s"])] = place.pop(key, value)
        elif what == 2:
            place[key] = value
        else:
            place[chance.choice(KEYS)] = value
    elif chance.random() < 0.3 and place:
        place.append(copy.deepcopy(chance.choice(place)))
    elif chance.random() < 0.5 and place:
        place.pop(chance.randrange(len(place)))
    else:
        place.insert(chance.randrange(len(place) + 1), value)


def told(error, text):
    """Whether a message names a line, or a key of the recipe."""
    message = str(error)
    quoted = re.findall(r"`([^`]*)`", message)
    return bool(re.search(r"line \d+", message) or quoted or "no loss" in message) and "Traceback" not in message


@pytest.mark.parametrize("part", range(5))
def test_mutated_recipes(kitchen, part):
    accepted = 0
    for seed in range(part * 100, part * 100 + 100):
        chance = random.Random(seed)
        table = tomllib.loads(MORE)
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            mutate(table, chance)
        text = tomli_w.dumps(table)
        path = kitchen.write("mutated.toml", text)
        try:
            recipe = load(path)
        except RecipeError as error:
            assert told(error, text), f"{error}\n\n{text}"
            continue
        accepted += 1
        kitchen.write("again.toml", dump(recipe.table))
        again = load(kitchen.folder / "again.toml")
        assert again.table == recipe.table and again.hash == recipe.hash, text
        for generation in recipe.generations:
            assert generation.entries()
    assert 3 < accepted < 80, "mutations must leave some recipes sound and spoil others"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return Kitchen(tmp_path_factory.mktemp("room"))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(start=st.integers(0, len(MORE)), length=st.integers(0, 30), text=st.text(max_size=12))
@example(start=0, length=0, text="[[[[")
@example(start=0, length=0, text="\ud7ff\U0010ffff")
def test_spliced_texts(room, start, length, text):
    path = room.folder / "spliced.toml"
    path.write_bytes((MORE[:start] + text + MORE[start + length :]).encode("utf-8", "replace"))
    try:
        load(path)
    except RecipeError as error:
        assert told(error, text), str(error)


paths = st.lists(
    st.sampled_from([*KEYS, "jitter", "distillation", "weak", "rate", "0", "1", "9", "weight"]), max_size=4
)
values = st.sampled_from(VALUES) | st.none() | st.text(max_size=5) | st.integers() | st.floats()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(overrides=st.dictionaries(paths.map(".".join), values, max_size=3))
def test_any_overrides(room, overrides):
    path = room.write("more.toml", MORE)
    try:
        recipe = load(path, overrides)
    except RecipeError as error:
        assert told(error, ""), str(error)
        return
    assert recipe.generations
