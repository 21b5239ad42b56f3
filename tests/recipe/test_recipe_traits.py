"""Traits: what plugins' classes say of themselves beside their hooks, and what a recipe's checks make of it."""

import pytest

from sslkit.errors import RecipeError
from sslkit.recipe import fields, load
from sslkit.recipe.traits import TARGETS, trait
from sslkit.types import Targets

HEAD = """
from dataclasses import dataclass
from typing import ClassVar
from sslkit import hookimpl
"""
CLASS = "@dataclass(eq=False, kw_only=True)\nclass {}:\n    {}\n    @hookimpl\n    def {}: ...\n"
TEXT = HEAD + "".join(
    CLASS.format(*parts)
    for parts in [
        ("OneHot", 'loses: ClassVar = ("confidence",)', "refine(self, targets)"),
        ("Filter", 'needs: ClassVar = ("confidence",)', "refine(self, targets)"),
        ("Harsh", 'loses = "confidence"', "label(self, batch)"),
        ("PoolOnly", 'timing: ClassVar = "pool"', "refine(self, targets)"),
        ("Averaged", 'needs: ClassVar[tuple[str, ...]] = ("average",)', "make_teacher(self, average)"),
        ("Watcher", 'needs = ("average",)', "measure(self, model)"),
        ("Setting", 'timing: str = "always"\n    needs: float = 1.0', "refine(self, targets)"),
    ]
)


@pytest.fixture
def traits(kitchen):
    """The kitchen with plugins that have traits."""
    kitchen.write("traits.py", TEXT)
    return kitchen


def labeler(cls, more=""):
    return f'[[labeler]]\nuse = "./traits.py:{cls}"\n{more}\n'


def problems(path, overrides=None):
    with pytest.raises(RecipeError) as caught:
        load(path, overrides)
    return str(caught.value)


def line_of(path, text):
    return next(i for i, line in enumerate(path.read_text().splitlines(), 1) if text in line)


# Order ----------------------------------------------------------------------------------------------------------------

WARNING = (
    "[[labeler]] filter goes by the targets' confidence, of which [[labeler]] one_hot before it leaves nothing: "
    "put `filter` before `one_hot`"
)


def test_a_filter_after_what_it_goes_by_is_lost(traits):
    assert load(traits.more(labeler("OneHot") + labeler("Filter"))).warnings == [WARNING]
    assert load(traits.more(labeler("Filter") + labeler("OneHot"))).warnings == []


def test_every_filter_is_named(traits):
    text = labeler("OneHot") + labeler("Filter") + labeler("Filter", 'name = "second"')
    assert len(load(traits.more(text)).warnings) == 2


def test_a_labeler_may_lose_it_at_once(traits):
    path = traits.more(labeler("Filter"))
    path.write_text(path.read_text().replace("./parts.py:Label", "./traits.py:Harsh"))
    assert "of which [[labeler]] harsh before it leaves nothing" in load(path).warnings[0]


def test_order_counts_among_those_that_take_part(traits):
    text = labeler("OneHot", "enabled = false") + labeler("Filter")
    assert load(traits.more(text)).warnings == []
    text = labeler("OneHot", 'when = "step"') + labeler("Filter", 'when = "pool"')
    text += "".join(
        f'[[labeler]]\nname = "s{c}"\nuse = "./parts.py:{c}"\nwhen = "step"\n' for c in ("Teacher", "Label")
    )
    path = traits.more(text)
    pooled = path.read_text().replace('"pool"', '"both"', 1)
    for cls in ("Teacher", "Label"):
        pooled = pooled.replace(f'use = "./parts.py:{cls}"\n', f'use = "./parts.py:{cls}"\nwhen = "pool"\n', 1)
    path.write_text(pooled)
    assert load(path).warnings == []


def test_built_in_filters_after_hard_labels(kitchen):
    """The design's warning: one-hot targets pass every confidence filter."""
    text = 'extends = "noisy_student"\n[[labeler]]\nuse = "hard_labels"\n'
    assert load(kitchen.write("last.toml", text)).warnings == []
    first, second = load(kitchen.write("first.toml", text + 'after = "soft_labels"\n')).warnings
    assert "[[labeler]] confidence" in first and "[[labeler]] class_balance" in second
    assert "of which [[labeler]] hard_labels before it leaves nothing" in first and "before `hard_labels`" in second


# Timing ---------------------------------------------------------------------------------------------------------------


def test_a_pool_refinement_at_each_step_is_refused(traits):
    path = traits.more(labeler("PoolOnly"))
    assert load(path).warnings == []
    path.write_text(path.read_text().replace('labels = "pool"', 'labels = "step"'))
    line = line_of(path, "PoolOnly") - 1
    message = problems(path)
    assert (
        f'line {line}  [[labeler]] pool_only: works at the label timing `pool` alone, but `labels = "step"`' in message
    )
    assert 'set `labels = "pool"`, or leave it out' in message and message.count("\n  line") == 1
    assert load(path, {"labeler.pool_only.enabled": False}) and load(path, {"labels": "none"})


def test_a_pool_refinement_of_both_timings_says_when(traits):
    path = traits.more(labeler("PoolOnly", 'when = "step"'))
    assert "is idle" in load(path).warnings[0]
    message = problems(path, {"labels": "both"})
    assert 'but `labels = "both"` and `when = "step"`' in message and 'say `when = "pool"`' in message
    assert f"line {line_of(path, 'when')}" in message
    assert load(path, {"labels": "both", "labeler.pool_only.when": "pool"}).warnings == []


def test_a_timing_that_one_generation_changes(traits):
    path = traits.more(labeler("PoolOnly") + '[[generation]]\n[[generation]]\nlabels = "step"\n')
    assert 'but `labels = "step"` (generation 1)' in problems(path)


def test_class_balance_at_each_step_is_refused_before_the_run():
    message = problems(
        "fixmatch", {"labeler.class_balance.use": "class_balance", "labeler.class_balance.after": "confidence"}
    )
    assert '[[labeler]] class_balance: works at the label timing `pool` alone, but `labels = "step"`' in message


# Needs ----------------------------------------------------------------------------------------------------------------


def averaged(kitchen, more=""):
    path = kitchen.more(more)
    path.write_text(path.read_text().replace("./parts.py:Teacher", "./traits.py:Averaged"))
    return path


def test_a_teacher_without_the_average_it_needs_is_refused(traits):
    path = averaged(traits)
    message = problems(path)
    assert f"line {line_of(path, 'Averaged') - 1}  [[labeler]] averaged: needs `average`, but no plugin" in message
    assert "add a [[labeler]] that does; installed: " in message and "moving_average" in message
    load(averaged(traits, '[[labeler]]\nuse = "./parts.py:Average"\n'))


def test_who_could_but_is_not_enabled_is_named(traits):
    path = averaged(traits, '[[labeler]]\nuse = "./parts.py:Average"\nenabled = false\n')
    assert "[[labeler]] average does, but is not enabled" in problems(path)


def test_a_labeler_that_is_not_called_needs_nothing(traits):
    assert load(averaged(traits), {"labels": "none"})
    path = traits.more('[[metric]]\nuse = "./traits.py:Watcher"\n')
    path.write_text(path.read_text().replace("metric = []\n", ""))
    assert "[[metric]] watcher: needs `average`" in problems(path, {"labels": "none"})


def test_a_broken_plugin_may_be_the_one_that_is_missed(traits):
    path = averaged(traits, '[[labeler]]\nuse = "./parts.py:Averag"\n')
    assert "needs `average`" not in problems(path)


# The words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "parts"),
    [
        ('needs: ClassVar = ("avrage",)', ["`Fog` says `needs = \"avrage\"`", "Did you mean `average`?"]),
        ('loses = "average"', ["`Fog` says `loses = \"average\"`", "it takes raw, probs, label"]),
        ('timing = "pol"', ["`Fog` says `timing = \"pol\"`", "Did you mean `pool`?"]),
        ("timing = 3", ["`Fog.timing` is of type int", "call anything else by another name"]),
        ("def needs(self): ...", ["`Fog.needs` is of type function"]),
    ],
)  # fmt: skip
def test_traits_that_say_nothing_known(kitchen, says, parts):
    kitchen.write("fog.py", HEAD + CLASS.format("Fog", says, "refine(self, targets)"))
    message = problems(kitchen.more('[[labeler]]\nuse = "./fog.py:Fog"\n'))
    assert [part for part in parts if part not in message] == [], message


def test_a_setting_of_the_same_name_is_no_trait(traits):
    recipe = load(traits.more(labeler("Setting", 'timing = "never"')), {"labels": "pool"})
    plugin = recipe.generations[0].entries()[-4].plugin
    assert plugin.timing == "never" and trait(type(plugin), "timing") == () and "needs" in fields.hints(type(plugin))


def test_traits_are_no_settings(traits):
    message = problems(traits.more(labeler("Filter", 'needs = ["confidence"]')))
    assert "[[labeler]] filter: unknown key `needs`" in message


def test_targets_tell_what_traits_may_name():
    assert all(hasattr(Targets, word) or word in Targets.__dataclass_fields__ for word in TARGETS)
