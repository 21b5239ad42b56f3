"""The probe behind `sslkit check`: every loss by itself, before its schedule, with filters opened; and dead ones found."""

from dataclasses import dataclass

import pytest
import torch
from driving import CPU, added, entry, network_of

from sslkit import LossTerm, global_mean, hookimpl
from sslkit.environment import fingerprint
from sslkit.probe import compose, probe
from sslkit.recipe import load
from sslkit.state import open_data

SMALL = {"data.labels_per_class": 1, "data.validation": 0, "data.test": 1600, "model.size": 16, "batch.labeled": 6}
LOSSES = {
    "supervised": [["supervised"]],
    "noisy_student": [["supervised"]] + [["supervised", "distillation"]] * 3,
    "fixmatch": [["supervised", "consistency"]],
    "mean_teacher": [["supervised", "consistency"]],
}


def probed(recipe):
    return probe(recipe, open_data(recipe), CPU)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_every_shipped_recipe_is_alive(name):
    """Though Mean Teacher's ramp begins at zero, and no fresh teacher is as sure as FixMatch asks."""
    unlabeled = {} if name == "supervised" else {"batch.unlabeled": 12}
    found = probed(load(name, {**SMALL, **unlabeled}))
    assert [list(one.terms) for one in found] == LOSSES[name]
    assert all(one.alive and term.alive for one in found for term in one.terms.values())
    assert [one.index for one in found] == list(range(len(found))) and all(one.parameters > 1000 for one in found)


def test_what_is_said_beside_the_losses():
    first, second, *_ = probed(load("noisy_student", {**SMALL, "batch.unlabeled": 12}))
    assert first.teacher is None and first.waiting == ["distillation"] and first.used_share is None
    assert second.teacher == "pool" and second.waiting == [] and 0 <= second.used_share < 1
    (fixmatch,) = probed(load("fixmatch", {**SMALL, "batch.unlabeled": 12}))
    assert fixmatch.teacher == "step" and fixmatch.used_share == 0  # the share that the real threshold lets through


@dataclass(eq=False)
class Dead:
    """A loss that teaches nothing, in one of several ways."""

    way: str
    weight: float = 1.0

    @hookimpl
    def loss(self, step, forward):
        logits = forward("labeled").logits
        if self.way == "zero":
            value = (logits - logits).square().mean()
        elif self.way == "detached":
            value = logits.detach().square().mean()
        elif self.way == "constant":
            value = torch.ones(())
        else:  # it has a gradient, but none for any weight
            value = global_mean(torch.ones_like(logits, requires_grad=True).square())
        return LossTerm(value, self.weight)


@pytest.mark.parametrize("way", ["zero", "detached", "constant", "elsewhere"])
def test_a_dead_loss_is_found(tiny, way):
    (found,) = probed(added(tiny(), entry("loss", Dead(way), "dead", on=("labeled",))))
    assert found.terms["supervised"].alive and not found.terms["dead"].alive and not found.alive
    dead = found.terms["dead"]
    assert (dead.value == 0) == (way == "zero") and dead.gradient == 0 and not dead.moved


def test_a_consistency_loss_that_compares_the_student_with_itself_is_found(tiny):
    text = """
labels = "step"
batch = { labeled = 6, unlabeled = 6 }
[views.weak]
stream = "unlabeled"
[[labeler]]
use = "current_student"
[[labeler]]
use = "soft_labels"
on = "weak"
[[loss]]
name = "consistency"
use = "mean_squared"
on = "weak"
"""
    (found,) = probed(tiny(text))
    assert found.terms["consistency"].value == 0 and not found.alive


def test_a_loss_that_reaches_only_frozen_weights_is_found(tiny):
    @dataclass(eq=False)
    class OnFeatures:
        @hookimpl
        def loss(self, forward):
            return LossTerm(forward("labeled").features.square().mean())

    names = {name.partition(".")[0] for name, _ in network_of(tiny()).model.named_parameters()} - {"fc"}
    recipe = added(tiny(f"[model]\nfreeze = {sorted(names)}"), entry("loss", OnFeatures(), "norm", on=("labeled",)))
    (found,) = probed(recipe)
    assert found.terms["supervised"].alive and found.terms["norm"].value > 0 and not found.terms["norm"].alive


def test_trying_a_recipe_leaves_its_weights_and_data_alone(tiny):
    recipe = tiny()
    data = open_data(recipe)
    before = fingerprint(data)
    one, other = (probe(recipe, data, CPU)[0].terms["supervised"] for _ in range(2))
    assert one == other and fingerprint(data) == before


@pytest.mark.parametrize("name", LOSSES)
def test_a_composition_needs_no_data(name):
    recipe = load(name)
    found = compose(recipe, None)
    assert [one.index for one in found] == [cfg.index for cfg in recipe.generations]
    assert all(one.image_size == 24 and one.model == "test_resnet" and not one.terms for one in found)
    assert found[0].parameters == sum(p.numel() for p in network_of(recipe).parameters())


def test_a_composition_is_made_on_the_meta_device(tiny):
    devices = []

    class Look:
        @hookimpl
        def extend_model(self, student):
            devices.extend({p.device.type for p in student.parameters()})
            return {}

    compose(added(tiny(), entry("loss", Look())), None)
    assert devices == ["meta"]


def test_a_composition_waits_for_no_weight_file_or_download(tiny, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"never read")
    (one,) = compose(tiny('[model]\nweights = "w.safetensors"'), None)
    assert one.parameters > 0
    (one,) = compose(tiny("[model]\npretrained = true"), None)
    assert one.parameters > 0
