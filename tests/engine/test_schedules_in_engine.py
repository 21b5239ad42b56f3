"""Schedules drive what the engine reads: the learning rate of every group, a loss's weight, any plugin's field."""

import math

import pytest
import torch
from driving import Bench, Ears, StepSpy, added, entry, run

from sslkit import hookimpl


def rates(bench, steps):
    """Learning rates of each step, one for each parameter group."""
    found = []
    for _ in bench.steps(steps):
        found.append([group["lr"] for group in bench.state.optimizer.param_groups])
    return found


def test_without_a_schedule_the_rate_is_the_recipes(tiny):
    assert {rate for step in rates(Bench(tiny()), 3) for rate in step} == {0.05}


@pytest.mark.parametrize("cycles", [0.5, 0.4375])
def test_cosine_falls_to_its_end(tiny, cycles):
    text = f'steps = 40\n[[schedule]]\nuse = "cosine"\ncycles = {cycles}'
    found = [step[0] for step in rates(Bench(tiny(text)), 40)]
    assert found == pytest.approx([0.05 * math.cos(math.pi * cycles * step / 40) for step in range(40)])
    assert found[0] == 0.05 and found == sorted(found, reverse=True)
    assert found[-1] < 0.0021 if cycles == 0.5 else found[-1] > 0.05 * 0.195


def test_each_generation_begins_its_schedule_anew(tiny, tmp_path):
    text = 'log_every = 1\n[[schedule]]\nuse = "cosine"\n[[generation]]\nsteps = 4\n[[generation]]\nsteps = 2\noptimizer.rate = 0.1'
    ears = Ears([])
    run(added(tiny(text), entry("tracker", ears)), tmp_path)
    expected = [0.05 * math.cos(math.pi / 2 * step / 4) for step in range(4)] + [0.1, 0.1 * math.cos(math.pi / 4)]
    assert [values["lr"] for values in ears.of("step")] == pytest.approx(expected)


def test_layers_keep_their_share_of_the_rate(tiny):
    text = '[optimizer]\nlayer_decay = 0.5\n[[schedule]]\nuse = "cosine"'
    bench = Bench(tiny(text))
    scales = [group["lr_scale"] for group in bench.state.optimizer.param_groups]
    assert len(set(scales)) > 3 and max(scales) == 1
    scale = {id(p): g["lr_scale"] for g in bench.state.optimizer.param_groups for p in g["params"]}
    model = bench.state.student.model
    assert scale[id(model.conv1[0].weight)] < scale[id(model.layer4[0].conv1.weight)] < scale[id(model.fc.weight)] == 1
    for number, found in enumerate(rates(bench, 3)):
        factor = math.cos(math.pi / 2 * number / 3)
        assert found == pytest.approx([0.05 * factor * scale for scale in scales])


def test_a_rate_of_zero_moves_nothing(tiny):
    bench = Bench(tiny('[[schedule]]\nuse = "linear_ramp"\n'))
    before = [p.clone() for p in bench.state.student.parameters()]
    bench.train(1)
    assert all(torch.equal(a, b) for a, b in zip(before, bench.state.student.parameters(), strict=True))
    bench.state.step = 2
    bench.state.set_rate()
    assert bench.state.optimizer.param_groups[0]["lr"] == 0.05


def test_a_restored_state_takes_the_rate_of_its_step(tiny):
    """The rate must be set at the first step after loading, even where the schedule's factor is 1 there."""
    recipe = tiny('steps = 6\n[[schedule]]\nuse = "step_decay"\nevery = 100\nwarmup_steps = 4')
    bench, fresh = Bench(recipe), Bench(recipe)
    bench.train(3)
    assert bench.state.optimizer.param_groups[0]["lr"] == pytest.approx(0.05 * 3 / 4)
    fresh.state.load(bench.state.tree())
    fresh.state.step = 3
    fresh.state.set_rate()
    assert fresh.state.optimizer.param_groups[0]["lr"] == 0.05


def test_a_losss_weight_is_driven(tiny):
    text = """
steps = 5
[[loss]]
name = "other"
use = "mean_squared"
on = "labeled"
weight = 8.0
[[schedule]]
use = "linear_ramp"
fraction = 0.8
on = "other.weight"
"""
    bench = Bench(tiny(text))
    found = [[term.weight for term in step] for step in bench.train(5)]
    assert found == [[1.0, pytest.approx(8 * min(1, step / 5 / 0.8))] for step in range(5)]


class Read:
    """A plugin with a field that it reads at each step."""

    def __init__(self):
        self.strength, self.seen = 3.0, []

    @hookimpl
    def perturb_batch(self, images):
        self.seen.append(self.strength)
        return images


def test_any_plugins_field_is_driven_before_it_is_read(tiny):
    read = Read()
    text = 'steps = 4\n[[schedule]]\nuse = "cosine"\non = "read.strength"'
    recipe = tiny(text.replace('"read.strength"', '"supervised.weight"'))
    made = recipe.generations[0].entries

    def entries():
        found = [
            entry("schedule", e.plugin, e.name, ("lr", "read.strength")) if e.section == "schedule" else e
            for e in made()
        ]
        return [*found, entry("noise", read, "read", on=("labeled",))]

    recipe.generations[0].entries = entries
    bench = Bench(recipe)
    found = rates(bench, 4)
    factors = [math.cos(math.pi / 2 * step / 4) for step in range(4)]
    assert read.seen == pytest.approx([3 * factor for factor in factors])
    assert [step[0] for step in found] == pytest.approx(
        [0.05 * factor for factor in factors]
    )  # one schedule, two numbers


def test_a_threshold_grows(shipped):
    overrides = {"batch.unlabeled": 8, "steps": 4, "labeler.confidence.threshold": 1.0}
    schedule = [{"use": "linear_ramp", "on": ["confidence.threshold"], "fraction": 1.0}]
    bench = Bench(shipped("fixmatch", {**overrides, "schedule": schedule}))
    seen = []
    added_steps = [(step, bench.plugin("confidence").threshold) for step, _ in bench.labeled_steps(4)]
    for step, threshold in added_steps:
        targets = step.unlabeled.targets
        assert torch.equal(targets.weight, (targets.raw.max(1).values >= threshold).float())
        seen.append(threshold)
    assert seen == [0, 0.25, 0.5, 0.75]


def test_the_log_says_the_rate_that_was_used(tiny, tmp_path):
    used, ears = [], Ears([])
    recipe = tiny('log_every = 1\n[[schedule]]\nuse = "cosine"')

    class Peek:
        @hookimpl
        def train_step(self, step, forward, state):
            used.append(state.optimizer.param_groups[0]["lr"])
            terms = state.losses(step, forward)
            state.optimize(terms)
            return terms

    run(
        added(recipe, entry("step", Peek()), entry("tracker", ears), entry("labeler", StepSpy(lambda *_: None))),
        tmp_path,
    )
    assert [values["lr"] for values in ears.of("step")] == pytest.approx(used) and len(used) == 3
