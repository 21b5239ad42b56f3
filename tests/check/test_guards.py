"""Guard rails: each warns of what it is for, and of nothing else."""

import numpy as np
import pytest
import torch

from sslkit import Data, Images
from sslkit.answers import overlap
from sslkit.check.guards import guards, held_out
from sslkit.check.probe import META, compose, facts_without
from sslkit.opening import open_data
from sslkit.recipe import load

CPU = torch.device("cpu")
TAUGHT = """
labels = "pool"
steps = 30
batch = { labeled = 6, unlabeled = 12 }
data.validation = 0
[views.unlabeled]
stream = "unlabeled"
[[noise]]
use = "cutout"
size = 2
[[noise]]
use = "dropout"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[labeler]]
use = "confidence"
threshold = 0.5
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "unlabeled"
[[generation]]
[[generation]]
"""
STEP = """
labels = "step"
steps = 30
batch = { labeled = 6, unlabeled = 12 }
data.validation = 0
[views.weak]
stream = "unlabeled"
[views.strong]
stream = "unlabeled"
[[noise]]
name = "shift"
use = "flip_crop"
pad = 1
[[noise]]
use = "cutout"
size = 2
on = "strong"
[[labeler]]
use = "current_student"
[[labeler]]
use = "soft_labels"
on = "weak"
[[labeler]]
use = "confidence"
[[loss]]
name = "consistency"
use = "cross_entropy"
on = "strong"
"""


def warned(recipe, data=None):
    """What is said of a recipe, with its data or without."""
    data = data or open_data(recipe)
    return guards(recipe, compose(recipe, data), facts_without(recipe.generations[0], META, 10), data)


@pytest.fixture
def said(tiny):
    """`said(text, **overrides)`: the warnings of a recipe of that text."""
    return lambda text, overrides=None: warned(tiny(text, "", overrides))


def only(found, *words):
    """Exactly one warning, which says all of that."""
    assert len(found) == 1 and all(word in found[0] for word in words), found


@pytest.mark.parametrize("text", [TAUGHT, STEP, ""], ids=["pool", "step", "supervised"])
def test_a_sound_recipe_is_not_warned_of(text, said):
    assert said(text, {"data.validation": 0}) == []


@pytest.mark.parametrize("name", ["supervised", "noisy_student", "fixmatch", "mean_teacher"])
def test_shipped_recipes_are_warned_of_their_many_validation_labels_alone(name):
    found = warned(load(name))
    if name != "supervised":
        only(found, "200 labels are for validation and 40 for training", "Oliver et al. 2018")
    else:
        assert found == []


def test_a_teacher_that_labels_with_noise(said):
    noised = '[[pass]]\nmodel = "teacher"\nviews = ["clean"]\nnoise = true\n'
    only(said(TAUGHT + noised), "generation 1: the teacher labels with dropout on", "83.9 to 83.7%")
    assert said(TAUGHT + noised, {"noise.dropout.enabled": False}) == []  # there is none to leave on


def test_a_pool_that_is_labeled_from_perturbed_images(said):
    text = TAUGHT.replace('use = "soft_labels"', 'use = "soft_labels"\non = "unlabeled"')
    only(said(text), "labeled from the view `unlabeled`, which cutout perturbs", "Leave `on` out")


def test_a_student_that_labels_while_it_is_noised(said):
    text = STEP + '[[noise]]\nuse = "dropout"\n[[pass]]\nviews = ["labeled", "weak", "strong"]\n'
    only(said(text), "the teacher labels with dropout on")
    apart = text.replace('"weak", ', "") + '[[pass]]\nmodel = "teacher"\nviews = ["weak"]\n'
    assert said(apart) == []


def test_labels_made_from_the_strongest_view_at_each_step(said):
    found = said(STEP.replace('on = "weak"', 'on = "strong"'))
    only(found, "labels are made from the view `strong`, which shift, cutout perturbs", "`weak` has less noise on it")


def test_noise_that_does_nothing_is_none(said):
    nothing = "generation 1: no noise is on what the student learns"
    only(said(TAUGHT, {"noise.cutout.enabled": False, "noise.dropout.rate": 0.0}), nothing)
    still = TAUGHT.replace('use = "cutout"\nsize = 2', 'use = "flip_crop"\nflip = 0.0\npad = 0')
    only(said(still, {"noise.dropout.enabled": False}), nothing)
    assert said(still, {"noise.dropout.enabled": False, "noise.flip_crop.pad": 1}) == []


def test_a_student_without_any_noise(said):
    off = {"noise.cutout.enabled": False, "noise.dropout.enabled": False}
    only(said(TAUGHT, off), "generation 1: no noise is on what the student learns", "(unlabeled)", "repeat its teacher")
    assert said(TAUGHT, {"noise.cutout.enabled": False}) == []  # dropout is left
    quiet = '[[pass]]\nviews = ["labeled"]\n[[pass]]\nviews = ["unlabeled"]\nnoise = false\n'
    only(said(TAUGHT + quiet, {"noise.cutout.enabled": False}), "no noise is on what the student learns")


def test_a_student_smaller_than_its_teacher(said):
    text = TAUGHT.replace('use = "dropout"', 'use = "dropout"\nenabled = true')
    smaller = {"generation.0.model.name": "resnet10t", "generation.1.model.name": "test_resnet"}
    found = said(text, smaller)
    only(found, "generation 1: the student (test_resnet, 373,658 parameters)", "smaller than its teacher (resnet10t")
    assert said(text, {"generation.0.model.name": "test_resnet", "generation.1.model.name": "resnet10t"}) == []


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.0, ["confidence keeps every label", "less sure than 10%, an even guess among 10 classes"]),
        (0.1, ["confidence keeps every label"]),
        (1.0, ["confidence keeps no label", "99.9%"]),
    ],
)
def test_a_threshold_that_decides_nothing(threshold, words, said):
    only(said(TAUGHT, {"labeler.confidence.threshold": threshold}), "generation 1: [[labeler]]", *words)
    only(said(STEP, {"labeler.confidence.threshold": threshold}), "[[labeler]]", *words)


@pytest.mark.parametrize("threshold", [0.11, 0.5, 0.998])
def test_a_threshold_that_decides_something(threshold, said):
    assert said(TAUGHT, {"labeler.confidence.threshold": threshold}) == []


def test_a_filter_after_another_is_judged_by_what_it_is_given(said):
    lower = '[[labeler]]\nname = "lower"\nuse = "confidence"\nthreshold = 0.3\n'
    only(
        said(TAUGHT + lower), "[[labeler]] lower keeps every label", "less sure than 5", "what labelers before it leave"
    )
    balance = '[[labeler]]\nuse = "class_balance"\n'
    assert said(TAUGHT + balance) == []
    only(said(TAUGHT + '[[labeler]]\nuse = "class_balance"\nthreshold = 1.0\n'), "class_balance keeps no label")


def test_a_filter_with_a_bar_that_moves_is_not_judged(tiny):
    plugins = """
from dataclasses import dataclass
from typing import ClassVar
from sslkit import hookimpl

@dataclass(eq=False, kw_only=True)
class Fixed:
    needs: ClassVar = ("confidence",)
    @hookimpl
    def refine(self, targets):
        return targets

class Adaptive(Fixed):
    def state_dict(self):
        return {}
    def load_state_dict(self, state): ...
"""
    fixed, adaptive = (f'[[labeler]]\nuse = "./plugins.py:{name}"\n' for name in ("Fixed", "Adaptive"))
    only(warned(tiny(STEP + fixed, plugins)), "[[labeler]] fixed keeps every label")
    assert warned(tiny(STEP + adaptive, plugins)) == []


def test_smoothing_of_soft_labels(said):
    smoothed = {"loss.distillation.label_smoothing": 0.1}
    only(said(TAUGHT, smoothed), "[[loss]] distillation: `label_smoothing = 0.1` does nothing on unlabeled", "soft")
    assert said(TAUGHT + '[[labeler]]\nuse = "hard_labels"\n', smoothed) == []
    assert said(TAUGHT, {"loss.supervised.label_smoothing": 0.1}) == []  # the truth is one-hot


def test_a_pool_that_is_never_seen_whole(said):
    only(
        said(TAUGHT, {"steps": 10}), "generation 1: 10 steps of 12 unlabeled images draw 120", "at least 77 of the 197"
    )
    assert said(TAUGHT, {"steps": 17}) == []


def test_data_without_unlabeled_images(tiny):
    recipe = tiny(TAUGHT)
    whole = open_data(recipe)
    data = Data(whole.classes, whole.labeled, None, test=whole.test)
    only(warned(recipe, data), "`batch.unlabeled = 12`, but the data has no unlabeled images")
    assert warned(tiny(), data) == []


def test_more_validation_labels_than_training_labels(said):
    only(said(TAUGHT, {"data.validation": 40}), "40 labels are for validation and 10 for training")
    assert said(TAUGHT, {"data.validation": 10}) == []
    assert said("", {"data.validation": 40}) == []  # nothing semi-supervised is claimed


def test_statistics_of_the_strongest_views_alone(said):
    apart = '[[pass]]\nviews = ["strong"]\n[[pass]]\nviews = ["labeled", "weak"]\nwrite_stats = false\n'
    only(said(STEP + apart), "statistics come from strong only", "let labeled, weak write theirs too")
    assert said(STEP + '[[pass]]\nviews = ["labeled", "weak", "strong"]\n') == []
    assert (
        said(
            STEP + apart.replace("[[pass]]\n", "[[pass]]\nwrite_stats = true\n", 1).replace("write_stats = false\n", "")
        )
        == []
    )


def images(*names, truth=0):
    return Images(names, lambda rows: [np.zeros((8, 8, 3), np.uint8) for _ in rows], np.full(len(names), truth))


@pytest.mark.parametrize(
    ("unlabeled", "text"),
    [
        ("abcd", "the unlabeled images include the 2 labeled images, without their labels"),
        ("acd", "the unlabeled images include 1 of 2 labeled ones, without their labels"),
        ("cd", "none of the labeled images is among the unlabeled ones"),
    ],
)
def test_labeled_images_among_the_unlabeled_ones_are_said_either_way(unlabeled, text):
    assert overlap(Data(("x",), images("a", "b"), images(*unlabeled))) == [text]


def test_nothing_is_said_of_what_is_not_there():
    assert overlap(Data(("x",), images("a", "b"))) == []
    assert held_out(Data(("x",), images("a", "b"))) == []
    assert held_out(Data(("x",), images("a"), validation=images("b", "c", truth=-1))) == []  # no labels: none are spent


def test_without_data_what_can_be_seen_is_seen(tiny):
    recipe = tiny(TAUGHT, "", {"labeler.confidence.threshold": 0.0, "steps": 1})
    found = guards(recipe, compose(recipe, None), facts_without(recipe.generations[0], META, 10), None)
    only(found, "keeps every label")


def test_what_several_generations_share_is_said_once(said):
    text = TAUGHT + "[[generation]]\n"
    only(said(text, {"labeler.confidence.threshold": 1.0}), "generations 1, 2: [[labeler]] confidence keeps no label")
