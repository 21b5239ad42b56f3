"""The probe behind `sslkit check`: every loss by itself, before its schedule, with filters opened; and dead ones found."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
import torch
from driving import CPU, LossSpy, StepSpy, added, entry, network_of

from sslkit import LossTerm, View, hookimpl
from sslkit.check.composition import Composition
from sslkit.check.picture import of_losses
from sslkit.check.probe import MOST, STEPS, compose, probe
from sslkit.check.rows import loss_lines
from sslkit.check.trial import Trouble
from sslkit.check.verdict import unjudged
from sslkit.environment import fingerprint
from sslkit.errors import PluginError
from sslkit.opening import open_data
from sslkit.recipe import load

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
    assert first.teachers == {} and first.waiting == ["distillation"] and not first.shares
    assert (
        second.teachers == {"pool": "previous"} and second.waiting == [] and 0 <= second.shares["pool", "unlabeled"] < 1
    )
    assert first.views == {"labeled"} and second.views == {"labeled", "unlabeled"}
    (fixmatch,) = probed(load("fixmatch", {**SMALL, "batch.unlabeled": 12}))
    assert fixmatch.teachers == {"step": "student"}
    assert fixmatch.shares == {("step", "unlabeled"): 0}  # what the real threshold lets through
    assert fixmatch.terms["consistency"].value > 1


TIMINGS = """
labels = {labels}
batch = {{ labeled = 6, unlabeled = 6 }}
[views.weak]
stream = "unlabeled"
[[labeler]]
name = "before"
use = "previous_student"
enabled = {pool}
when = "pool"
[[labeler]]
name = "now"
use = "current_student"
enabled = {step}
when = "step"
[[labeler]]
name = "soft_before"
use = "soft_labels"
enabled = {pool}
when = "pool"
[[labeler]]
name = "soft_now"
use = "soft_labels"
on = ["clean", "weak"]
enabled = {step}
when = "step"
[[labeler]]
name = "strict"
use = "confidence"
enabled = {pool}
when = "pool"
threshold = 1.0
[[loss]]
name = "consistency"
use = "cross_entropy"
on = "weak"
enabled = {any}
[[generation]]
[[generation]]
"""


def timings(labels, pool=False, step=False):
    words = {"pool": pool, "step": step, "any": pool or step}
    return TIMINGS.format(labels=f'"{labels}"', **{name: str(on).lower() for name, on in words.items()})


@pytest.mark.parametrize(
    ("text", "teachers", "shares", "waiting"),
    [
        (timings("none"), ([], []), ({}, {}), ([], [])),
        (timings("pool", pool=True), ([], ["pool"]), ({}, {("pool", "unlabeled"): 0}), (["consistency"], [])),
        (timings("step", step=True), (["step"],) * 2, ({("step", "unlabeled"): 1},) * 2, ([], [])),
        (
            timings("both", pool=True, step=True),
            (["step"], ["pool", "step"]),
            ({("step", "unlabeled"): 1}, {("pool", "unlabeled"): 0, ("step", "unlabeled"): 1}),
            ([], []),
        ),
        (
            'label_streams = ["labeled", "unlabeled"]' + timings("step", step=True),
            (["step"],) * 2,
            ({("step", "labeled"): 1, ("step", "unlabeled"): 1},) * 2,
            ([], []),
        ),
    ],
    ids=["none", "pool", "step", "both", "two streams"],
)
def test_every_label_timing(text, teachers, shares, waiting, tiny):
    found = probed(tiny(text))
    assert tuple(list(one.teachers) for one in found) == teachers
    assert tuple(one.shares for one in found) == shares
    assert tuple(one.waiting for one in found) == waiting
    assert all(one.alive for one in found)


def test_shares_of_two_streams_are_counted_apart(tiny):
    @dataclass(eq=False)
    class OnlyLabeled:
        @hookimpl
        def refine(self, targets, batch):
            keep = batch.stream == "labeled"
            return replace(targets, copies=torch.full_like(targets.copies, keep), weight=torch.ones(len(targets.index)))

    text = 'label_streams = ["labeled", "unlabeled"]' + timings("step", step=True)
    found = probed(added(tiny(text), entry("labeler", OnlyLabeled())))
    assert found[0].shares == {("step", "labeled"): 1, ("step", "unlabeled"): 0} and found[0].alive


def test_the_labeled_rows_are_revised_by_what_the_real_filters_keep(tiny):
    kept = []

    class Look:
        @hookimpl
        def revise_labeled(self, labeled, stored):
            kept.append(stored and int(stored.kept.sum()))
            return labeled

    probed(added(tiny(timings("pool", pool=True)), entry("labeler", Look())))
    assert kept == [None, 0]


def test_plugins_meet_the_teacher_that_a_run_shows_them(tiny):
    teachers = []
    spy = StepSpy(lambda step, student, average, teacher: teachers.append(teacher is not None))
    probed(added(tiny(timings("pool", pool=True)), entry("labeler", spy)))
    assert set(teachers[:STEPS]) == {False} and set(teachers[STEPS:]) == {True}


@dataclass(eq=False)
class Dead:
    """A loss that teaches nothing, in one of several ways."""

    way: str
    weight: float = 1.0

    @hookimpl
    def loss(self, step, forward):
        logits = forward("labeled").logits
        ways = {
            "zero": lambda: (logits - logits).square().mean(),
            "detached": lambda: logits.detach().square().mean(),
            "constant": lambda: torch.ones(()),
            # It has a gradient, but none for any weight.
            "elsewhere": lambda: torch.ones_like(logits, requires_grad=True).square().mean(),
            "flat": lambda: 1 + (0 * logits).mean(),
            "infinite": lambda: -(logits - logits).sum().log(),
            "steep": lambda: 1 + (logits - logits).square().sum().sqrt(),
            "weightless": lambda: logits.square().mean(),
        }
        return LossTerm(ways[self.way](), 0.0 if self.way == "weightless" else self.weight)


@pytest.mark.parametrize(
    ("way", "trouble"),
    [
        ("zero", Trouble.ZERO),
        ("detached", Trouble.CONSTANT),
        ("constant", Trouble.CONSTANT),
        ("elsewhere", Trouble.CONSTANT),
        ("flat", Trouble.CONSTANT),
        ("infinite", Trouble.INFINITE),
        ("steep", Trouble.STEEP),
        ("weightless", Trouble.WEIGHTLESS),
    ],
)
def test_a_dead_loss_is_found(tiny, way, trouble):
    recipe = tiny("[optimizer]\nweight_decay = 0.1")  # which moves weights that no loss moves
    (found,) = probed(added(recipe, entry("loss", Dead(way), "dead", on=("labeled",))))
    assert found.terms["supervised"].alive and not found.terms["dead"].alive and not found.alive
    assert found.terms["dead"].trouble == trouble and not found.terms["dead"].moved
    assert list(found.troubles) == [f"loss `dead` {trouble}"]


def test_a_loss_too_faint_to_change_a_weight_is_found(tiny):
    class Faint:
        @hookimpl
        def extend_model(self, student):
            self.scales = [p for name, p in student.named_parameters() if name.endswith("bn1.weight")]  # ones
            return {}

        @hookimpl
        def loss(self, step):
            return LossTerm(1e-12 * torch.stack([scale.sum() for scale in self.scales]).sum())

    (found,) = probed(added(tiny(), entry("loss", Faint(), "faint")))
    assert found.terms["faint"].gradient > 0 and found.terms["faint"].trouble == Trouble.STILL


@pytest.mark.parametrize("schedule", ["", '[[schedule]]\nuse = "linear_ramp"\non = "supervised.weight"'])
def test_a_base_weight_of_0_is_no_schedule(tiny, schedule):
    alive, dead = (tiny(schedule, overrides={"loss.supervised.weight": weight}) for weight in (1.0, 0.0))
    assert probed(alive)[0].alive
    (found,) = probed(dead)
    assert found.terms["supervised"].trouble == Trouble.WEIGHTLESS and found.terms["supervised"].value > 0


def test_a_loss_that_begins_by_itself_is_alive(tiny):
    """A plugin that ramps its weight without a [[schedule]] is 0 at step 0 only."""

    class Ramp:
        @hookimpl
        def loss(self, forward, progress):
            return LossTerm(forward("labeled").logits.square().mean(), progress.fraction)

    (found,) = probed(added(tiny(), entry("loss", Ramp(), "ramp", on=("labeled",))))
    assert found.terms["ramp"].alive


def test_a_dead_term_does_not_hide_behind_one_of_the_same_name(tiny):
    class Two:
        @hookimpl
        def loss(self, forward):
            square = forward("labeled").logits.square().mean()
            return [LossTerm(square), LossTerm(square.detach()), LossTerm(square, name="third")]

    (found,) = probed(added(tiny(), entry("loss", Two(), "two", on=("labeled",))))
    assert list(found.terms) == ["supervised", "two", "two (2)", "two.third"]
    assert [term.alive for term in found.terms.values()] == [True, True, False, True]
    assert {term.owner for term in found.terms.values()} == {"supervised", "two"}


def test_a_loss_on_what_filters_reject_is_alive(tiny):
    """Filters are shut in one of the tried steps; a loss on what they keep is measured where they are open."""
    weights = []

    class Rejected:
        @hookimpl
        def loss(self, step, forward):
            weight = step.unlabeled.targets.weight
            weights.append(weight.mean().item())
            return LossTerm((forward("weak").logits.square().mean(1) * (1 - weight)).mean())

    recipe = tiny(timings("step", step=True).replace("[[generation]]\n", "", 1))
    (found,) = probed(added(recipe, entry("loss", Rejected())))
    assert weights == [1, 0, 1]
    assert found.terms["rejected"].alive and found.terms["consistency"].alive


def test_a_loss_that_answers_no_term_is_found(tiny):
    (found,) = probed(added(tiny(), entry("loss", LossSpy(lambda *_: None), "mute", on=("labeled",))))
    assert found.silent == ["mute"] and list(found.troubles) == ["loss `mute` answers no term"]


class Filling:
    """Answers no term before its memory is full. Its section may be any."""

    def __init__(self, steps):
        self.steps = steps

    @hookimpl
    def begin(self):
        self.filled_ = 0

    @hookimpl
    def loss(self, forward):
        full = self.filled_ >= self.steps
        return [LossTerm(forward("labeled").logits.square().mean())] if full else []

    @hookimpl
    def after_step(self):
        self.filled_ += 1

    def state_dict(self):
        return {"filled": self.filled_}

    def load_state_dict(self, state):
        self.filled_ = state["filled"]


@pytest.mark.parametrize("section", ["loss", "labeler"])
def test_a_loss_whose_memory_takes_longer_to_fill_is_not_judged(tiny, section):
    recipe = added(tiny(), entry(section, Filling(STEPS), "filling", on=("labeled",)))
    (found,) = probed(recipe)
    assert found.alive and found.filling == ["filling"] and not found.silent
    assert unjudged(recipe, [found]) == [
        "loss `filling`: it answers no term in the first steps, while its memory fills"
    ]


@pytest.mark.parametrize("section", ["loss", "labeler"])
@pytest.mark.parametrize(("steps", "filling"), [(3, STEPS - 1), (20, STEPS), (20, MOST - 1)])
def test_a_loss_whose_memory_fills_in_time_is_judged(tiny, section, steps, filling):
    """Before the tried steps end; or about when each labeled image was drawn once, for which it is waited."""
    more = {"steps": steps, "batch.labeled": 2, "data.labels_per_class": 3} if filling > STEPS else {"steps": steps}
    spied = []
    recipe = added(tiny("", "", more), entry(section, Filling(filling), "filling", on=("labeled",)))
    (found,) = probed(added(recipe, entry("loss", LossSpy(lambda step, _: spied.append(step)))))
    assert found.terms["filling"].alive and not found.filling and len(spied) == filling + 1


@pytest.mark.parametrize(("batch", "steps"), [(2, 7), (4, 5)])
def test_for_a_memory_that_never_fills_it_is_not_waited_long(tiny, batch, steps):
    recipe, spied = tiny("", "", {"steps": 50, "batch.labeled": batch}), []
    added(
        recipe,
        entry("loss", Filling(99), "filling", on=("labeled",)),
        entry("labeler", StepSpy(lambda *_: spied.append(1))),
    )
    (found,) = probed(recipe)
    assert found.filling == ["filling"] and found.alive and len(spied) == steps


def test_a_labelers_loss_that_answers_no_term_is_found(tiny):
    (found,) = probed(added(tiny(), entry("labeler", LossSpy(lambda *_: None), "mute", on=("labeled",))))
    assert list(found.troubles) == ["loss `mute` answers no term"]


def test_a_generation_in_which_no_loss_is_on_is_found(tiny):
    recipe = tiny(timings("pool", pool=True), overrides={"loss.supervised.enabled": False})
    first, second = probed(recipe)
    assert list(first.troubles) == ["no loss is on: each waits for a stream that is off"] and second.alive


def test_a_loss_whose_gradient_cannot_be_computed_is_named(tiny):
    class Backward:
        @hookimpl
        def loss(self, step, forward):
            value = forward(View("again", step.views["labeled"].images)).logits.square().mean()
            value.backward()
            return LossTerm(value)

    recipe = added(tiny(), entry("loss", Backward(), "eager"))
    with pytest.raises(PluginError, match="loss `eager`: its gradient cannot be computed"):
        probed(recipe)


def test_a_student_that_is_compared_with_its_own_average_is_alive_without_noise(tiny):
    """Until it moves the two are the same."""
    text = """
labels = "step"
batch = { labeled = 6, unlabeled = 6 }
[views.plain]
stream = "unlabeled"
[[pass]]
model = "teacher"
views = ["plain"]
batch_norm = "batch"
[[pass]]
views = ["plain"]
[[pass]]
views = ["labeled"]
[[labeler]]
use = "moving_average"
[[labeler]]
use = "averaged_student"
[[labeler]]
use = "soft_labels"
on = "plain"
[[loss]]
name = "consistency"
use = "mean_squared"
on = "plain"
"""
    (found,) = probed(tiny(text))
    assert found.terms["consistency"].value > 0 and found.alive
    (one_step,) = probed(tiny(text, overrides={"steps": 1}))
    assert one_step.terms["consistency"].trouble == Trouble.ZERO


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


@dataclass(eq=False)
class Shape:
    """A step of another shape: it does what it is told to, with a second model at hand."""

    what: Callable

    @hookimpl
    def trainables(self, student):
        return {"twin": deepcopy(student)}

    @hookimpl
    def train_step(self, step, forward, state):
        return self.what(step, forward, state)


def shaped(tiny, what, text=""):
    """What is found of a recipe with such a step."""
    (found,) = probed(added(tiny(text), entry("step", Shape(what), "shape")))
    return found


def ordinary(step, forward, state):
    """What the engine does; a constant is answered beside the losses."""
    terms = state.losses(step, forward)
    state.optimize(terms)
    return [*terms, LossTerm(torch.ones(()), name="constant")]


def test_a_step_of_another_shape_is_judged_as_far_as_it_can_be(tiny):
    found = shaped(tiny, ordinary)
    assert found.moved == {"student": True, "twin": False} and found.alive
    asked, constant = found.terms["supervised"], found.terms["constant"]
    assert asked.value > 0 and asked.gradient > 0 and asked.weight == 1 and asked.moved is None and not asked.unjudged
    assert (constant.value, constant.gradient, constant.moved) == (1, None, None)
    assert constant.unjudged.endswith("whether it teaches cannot be judged")


def test_a_step_is_seen_to_move_nothing(tiny):
    """Nor does weight decay pass for a loss."""
    idle = shaped(tiny, lambda step, forward, state: state.losses(step, forward), "[optimizer]\nweight_decay = 0.1")
    assert idle.moved == {"student": False, "twin": False}
    assert list(idle.troubles) == ["the step moves no weight"] and idle.terms["supervised"].gradient > 0

    def decay(step, forward, state):
        state.optimize([LossTerm(0 * forward("labeled").logits.sum())])
        return []

    assert not any(shaped(tiny, decay, "[optimizer]\nweight_decay = 0.1").moved.values())


def test_a_dead_loss_is_found_though_a_step_of_another_shape_moves_the_student(tiny):
    recipe = added(tiny(), entry("loss", Dead("detached"), "dead"), entry("step", Shape(ordinary), "shape"))
    (found,) = probed(recipe)
    assert found.moved["student"] and found.terms["dead"].trouble == Trouble.CONSTANT
    assert list(found.troubles) == [f"loss `dead` {Trouble.CONSTANT}"]


def test_terms_of_a_steps_own(tiny):
    def own(step, forward, state):
        view = step.labeled.views["labeled"]
        twin, optimizer = state.trainables["twin"], state.optimizers["twin"]
        value = twin(view.images).logits.square().mean()
        value.backward()
        optimizer.step()
        both = value + forward("labeled").logits.mean()
        return [LossTerm(value, 0.0, "twin"), LossTerm(both, name="both"), LossTerm(value * 0, name="nothing")]

    found = shaped(tiny, own)
    assert found.moved == {"student": False, "twin": True} and found.silent == ["supervised"]
    (cfg,) = added(tiny(), entry("step", Shape(own), "shape")).generations
    (said,) = (line for loss in of_losses(Composition(cfg, found), None)[:1] for line in loss_lines([loss]))
    assert said.pieces[0].startswith("? supervised") and said.pieces[1] == "not judged: `shape` does not ask for it"
    assert (
        "weights of twin;" in found.terms["twin"].unjudged and found.terms["twin"].alive
    )  # its weight may mean anything
    assert "weights of student and twin;" in found.terms["both"].unjudged
    assert list(found.troubles) == [f"loss `nothing` {Trouble.ZERO}"]


def test_a_loss_that_a_step_only_measures_is_not_called_dead(tiny):
    def measured(step, forward, state):
        with torch.no_grad():
            terms = state.losses(step, forward)
        state.optimize(
            [LossTerm(forward(View("labeled", step.labeled.views["labeled"].images)).logits.square().mean())]
        )
        return terms

    found = shaped(tiny, measured)
    assert found.alive and found.moved["student"] and found.terms["supervised"].unjudged


def test_a_step_finds_its_state_as_a_run_has_it(tiny):
    states = []

    def look(step, forward, state):
        states.append(state)
        return ordinary(step, forward, state)

    shaped(tiny, look)
    assert len(states) == STEPS and "losses" not in vars(states[0])


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
    sizes = [cfg.model_size for cfg in recipe.generations]
    assert [one.image_size for one in found] == sizes
    assert all(one.model == "test_resnet" and not one.terms for one in found)
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
