"""Hooks that no built-in implements, in real runs: what they answer is what happens."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from driving import Bench, StepSpy, added, entry, equal_states, run
from torch import nn

from sslkit import Labeled, LossTerm, Outputs, Targets, View, global_mean, hookimpl
from sslkit.errors import RunError
from sslkit.labels import load_labels
from sslkit.streams import to_floats

POOL = """
labels = "pool"
batch = { labeled = 8, unlabeled = 8 }
[views.hidden]
stream = "unlabeled"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[loss]]
name = "distillation"
use = "cross_entropy"
on = "hidden"
[[generation]]
steps = 3
[[generation]]
steps = 2
"""


@dataclass(eq=False)
class Twins:
    """Two students, each with its own optimizer, learn from the truth."""

    seen: list

    @hookimpl
    def trainables(self, student, facts):
        twin = deepcopy(student)
        nn.init.zeros_(twin.model.get_classifier().weight)
        return {"twin": twin}

    @hookimpl
    def train_step(self, step, forward, state):
        terms = state.losses(step, forward)
        state.optimize(terms)
        twin, optimizer = state.trainables["twin"], state.optimizers["twin"]
        error = nn.functional.cross_entropy(twin(step.labeled.views["labeled"].images).logits, step.labeled.truth)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        self.seen.append((error.item(), optimizer.param_groups[0]["lr"], state.optimizer.param_groups[0]["lr"]))
        return [*terms, LossTerm(error, 1.0, "twin")]


def test_a_second_trainable_moves_and_is_saved(tiny, tmp_path):
    twins = Twins([])
    recipe = added(tiny('steps = 6\n[[schedule]]\nuse = "cosine"'), entry("step", twins))
    steps = []
    added(recipe, entry("labeler", StepSpy(lambda step, *_: steps.append(step.progress.step))))
    saved = run(recipe, tmp_path).checkpoints.newest()["state"]
    errors, rates, own = zip(*twins.seen, strict=True)
    assert errors[0] > errors[-1] and steps == [0, 1, 2, 3, 4, 5]
    assert rates == own and rates[0] > rates[-1]  # a schedule drives every optimizer
    classifier = saved["trainables"]["twin"]["model.fc.weight"]
    assert classifier.any() and not torch.equal(classifier, saved["student"]["model.fc.weight"])
    assert "model.fc.weight" in saved["optimizers"]["twin"]["state"]


def test_a_step_of_another_shape_gets_its_trainables_back(tiny):
    recipe = added(tiny(), entry("step", Twins([])))
    bench, fresh = Bench(recipe), Bench(recipe)
    bench.train(2)
    fresh.state.load(bench.state.tree())
    assert equal_states(bench.state.trainables["twin"], fresh.state.trainables["twin"])
    moments = [b.state.optimizers["twin"].state_dict()["state"] for b in (bench, fresh)]
    assert moments[0].keys() == moments[1].keys() and moments[0]
    assert all(torch.equal(moments[0][i]["momentum_buffer"], moments[1][i]["momentum_buffer"]) for i in moments[0])


def test_a_step_moves_a_further_model_by_its_name_as_it_moves_the_student(tiny):
    """Down the weighted sum, the gradient clipped as `[optimizer] clip` says; the other model stays."""
    bench = Bench(added(tiny("[optimizer]\nclip = 1e-3\nrate = 0.5"), entry("step", Twins([]))))
    state, (step,) = bench.state, bench.steps(1)
    twin = state.trainables["twin"]
    before = {name: {k: p.detach().clone() for k, p in m.named_parameters()} for name, m in
              (("twin", twin), ("student", state.student))}  # fmt: skip
    value = nn.functional.cross_entropy(twin(step.labeled.views["labeled"].images).logits, step.labeled.truth)
    state.optimize([LossTerm(value, 2.0, "error")], "twin")
    moves = [p.detach() - before["twin"][name] for name, p in twin.named_parameters()]
    assert torch.stack([move.norm() for move in moves]).norm().item() == pytest.approx(
        1.9 * 0.5e-3, rel=1e-3
    )  # Nesterov
    assert all(torch.equal(p, before["student"][name]) for name, p in state.student.named_parameters())
    with pytest.raises(RunError, match="`error`: no loss has a gradient for the twin"):
        state.optimize([LossTerm(value.detach(), 1.0, "error")], "twin")


@dataclass(eq=False, kw_only=True)
class SecondHead:
    """A head that learns the truth shifted by one class, and decides."""

    decides: bool = True

    @hookimpl
    def extend_model(self, student):
        return {"second": nn.Linear(student.model.get_classifier().in_features, 10)}

    @hookimpl
    def loss(self, step, forward):
        logits = forward("labeled").heads["second"]
        return LossTerm(nn.functional.cross_entropy(logits, (step.labeled.truth + 1) % 10))

    @hookimpl
    def decide(self, outputs):
        return outputs.heads["second"] if self.decides else outputs.logits


def test_the_deciding_head_is_evaluated_and_labels(tiny, tmp_path):
    answers = []

    @dataclass(eq=False)
    class Look:
        @hookimpl
        def measure(self, model, data):
            answers.append((model.network, model(data.validation), data))
            return {}

    recipe = added(tiny(POOL), entry("loss", SecondHead(), "second"), entry("metric", Look()))
    done = run(recipe, tmp_path)
    network, probs, data = answers[0]
    images = torch.from_numpy(np.stack(data.validation.read(np.arange(40))))
    with torch.no_grad():
        outputs = network(to_floats(images, torch.device("cpu")))
    assert torch.allclose(probs, outputs.heads["second"].softmax(1), atol=1e-6)
    assert not torch.allclose(probs, outputs.logits.softmax(1), atol=1e-2)
    everything = torch.from_numpy(np.stack(data.unlabeled.read(np.arange(len(data.unlabeled)))))
    with torch.no_grad():
        outputs = network(to_floats(everything, torch.device("cpu")))
    assert torch.allclose(done.labels(1).raw, outputs.heads["second"].softmax(1), atol=1e-6)


def test_heads_are_trained_averaged_and_kept(tiny):
    text = '[[labeler]]\nuse = "moving_average"\ndecay = 0.5\nwarmup = false'
    bench = Bench(added(tiny(text), entry("loss", SecondHead(), "second")))
    before = deepcopy(bench.state.student.heads)
    ((step, _),) = bench.labeled_steps(1)
    bench.train(1)
    assert not equal_states(before, bench.state.student.heads)
    ours, theirs = bench.state.student, bench.state.average
    expected = (before["second"].weight + ours.heads["second"].weight) / 2
    assert torch.allclose(theirs.heads["second"].weight, expected, atol=1e-7)
    # A copy's heads read what the copy's classifier reads, not what its original's does.
    ours.set_mode(noise=False, batch_norm="running", write_stats=False)
    answer = theirs(step.labeled.views["labeled"].images)
    assert torch.allclose(theirs.heads["second"](answer.features), answer.heads["second"])
    assert torch.allclose(theirs.model.get_classifier()(answer.features), answer.logits, atol=1e-6)
    assert not torch.allclose(answer.features, ours(step.labeled.views["labeled"].images).features)
    assert "heads.second.weight" in bench.state.tree()["student"]


@dataclass(eq=False)
class Promote:
    """The pool's three surest images become labeled ones."""

    count: int = 3

    @hookimpl
    def revise_labeled(self, labeled, stored):
        if stored is None:
            return labeled
        sure = stored.confidence.topk(self.count).indices
        return Labeled(
            torch.cat([labeled.origin, torch.ones_like(sure)]),
            torch.cat([labeled.index, stored.index[sure]]),
            torch.cat([labeled.truth, stored.label[sure]]),
        )


def test_promoted_pseudo_labels_arrive_in_labeled_batches(tiny):
    bench = Bench(added(tiny(POOL, overrides={"generation.1.steps": 4}), entry("labeler", Promote())), generation=1)
    stored, data = bench.state.stored, bench.data
    sure = stored.confidence.topk(3).indices
    seen = {}
    for step in bench.steps():
        labeled = step.labeled
        for row, truth, image in zip(
            labeled.index.tolist(), labeled.truth, labeled.views["labeled"].images, strict=True
        ):
            seen[row] = (truth, image)
    assert set(seen) == set(range(13))  # ten labels and three promoted, all drawn within 32 rows
    for row, (truth, image) in seen.items():
        source, position = (data.labeled, row) if row < 10 else (data.unlabeled, int(sure[row - 10]))
        (pixels,) = source.read(np.array([position]))
        assert torch.equal(image, to_floats(torch.from_numpy(pixels[None]), image.device)[0])
        assert truth == (data.labeled.truth[row] if row < 10 else stored.label[position])
    assert len(bench.state.tree()["labeled"]["truth"]) == 13


def test_both_timings_use_the_stored_pool_for_promotion_only(tiny):
    text = POOL.replace('"pool"\n', '"both"\n').replace(
        'use = "previous_student"\n[[labeler]]\nuse = "soft_labels"',
        'use = "previous_student"\nwhen = "pool"\n[[labeler]]\nuse = "soft_labels"\nwhen = "pool"\n'
        '[[labeler]]\nuse = "current_student"\nwhen = "step"\n'
        '[[labeler]]\nname = "near"\nuse = "soft_labels"\nwhen = "step"\non = "hidden"',
    )  # fmt: skip
    recipe = added(tiny(text), entry("labeler", Promote()))
    bench = Bench(recipe, generation=1)
    for step, forward in bench.labeled_steps(2):
        probs = forward("hidden").logits.softmax(1)
        assert torch.allclose(step.unlabeled.targets.probs, probs, atol=1e-6)
        assert not torch.allclose(
            step.unlabeled.targets.raw, bench.state.stored.rows(step.unlabeled.index).raw, atol=1e-3
        )
    assert len(bench.state.labeled.truth) == 13
    first = Bench(recipe, generation=0)  # no predecessor: no pool, but its own labels
    assert first.state.stored is None and len(first.state.labeled.truth) == 10
    assert all(step.unlabeled.targets is not None for step, _ in first.labeled_steps(1))


def test_a_model_plugin_builds_what_learns(tiny, tmp_path):
    plugins = """
from dataclasses import dataclass
from torch import nn
from sslkit import hookimpl
@dataclass(eq=False, kw_only=True)
class Net:
    width: int = 4
    @hookimpl
    def build_model(self, facts, kwargs):
        body = [nn.Conv2d(kwargs["in_chans"], self.width, 3), nn.BatchNorm2d(self.width), nn.AdaptiveAvgPool2d(1)]
        return nn.Sequential(*body, nn.Flatten(), nn.Dropout(kwargs["drop_rate"]), nn.Linear(self.width, kwargs["num_classes"]))
"""
    text = '[model]\nuse = "./plugins.py:Net"\nwidth = 6\nsize = 12\n[[noise]]\nuse = "dropout"\nrate = 0.25'
    recipe = tiny(text, plugins)
    done = run(recipe, tmp_path)
    model = done.model()
    assert [type(m).__name__ for m in model.model] == [
        "Conv2d", "BatchNorm2d", "AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear",
    ]  # fmt: skip
    assert model.model[0].out_channels == 6 and model.model[4].p == 0.25
    assert model.mean.unique().tolist() == [0.5] and model(torch.rand(2, 3, 12, 12)).logits.shape == (2, 10)
    assert not equal_states(model, Bench(recipe).state.student)
    (step, *_) = Bench(recipe).steps(1)
    assert step.labeled.views["labeled"].images.shape == (8, 3, 12, 12)
    assert done.summary["generations"][0]["model"] == "Sequential"


@dataclass(eq=False)
class Brighten:
    @hookimpl
    def perturb_batch(self, images, view, progress):
        assert images.dtype == torch.float32 and images.min() >= 0 and images.max() <= 1 and view.size == 8
        return images / 2 + 0.25 + progress.step / 100


def test_perturbed_batches_are_what_the_student_sees(tiny):
    text = '[views.plain]\nstream = "labeled"\n[[loss]]\nname = "other"\nuse = "mean_squared"\non = "plain"'
    fed = []
    bench = Bench(added(tiny(text), entry("noise", Brighten(), on=("labeled",))))
    bench.state.student.register_forward_pre_hook(lambda _, arguments: fed.append(arguments[0]))
    bench.train(2)
    for number, batch in enumerate(fed):
        changed, plain = batch.split(8)
        assert torch.allclose(changed, plain / 2 + 0.25 + number / 100)


COUNTER = """
from dataclasses import dataclass
import torch
from sslkit import hookimpl
@dataclass(eq=False, kw_only=True)
class Counter:
    @hookimpl
    def begin(self, facts, progress):
        self.count_ = torch.zeros(len(facts.classes))
        self.began_ = (progress.generation, progress.step, facts.sizes["labeled"], facts.batch["labeled"])
    @hookimpl
    def after_step(self):
        self.count_ += 1
    def state_dict(self):
        return {"count": self.count_}
    def load_state_dict(self, state):
        self.count_ = state["count"].clone()
@dataclass(eq=False, kw_only=True)
class Forgetful:
    @hookimpl
    def begin(self):
        self.count_ = 0
    @hookimpl
    def after_step(self):
        self.count_ += 1
    @hookimpl
    def measure(self):
        return {"steps_seen": self.count_}
"""


def test_begin_makes_state_and_generations_hand_it_on_by_name(tiny, tmp_path):
    text = POOL + '[[labeler]]\nuse = "./plugins.py:Counter"\n[[metric]]\nuse = "./plugins.py:Forgetful"'
    recipe = tiny(text, COUNTER)
    done = run(recipe, tmp_path)
    saved = done.checkpoints.newest()["state"]["plugins"]
    assert saved["counter"]["count"].tolist() == [5.0] * 10  # three steps, then two
    assert [g["metrics"]["steps_seen"] for g in done.summary["generations"]] == [3, 2]
    assert Bench(recipe).plugin("counter").began_ == (0, 0, 10, 8)
    assert Bench(recipe, generation=1).plugin("counter").count_.tolist() == [0.0] * 10


ABOUT = COUNTER.replace("class Counter:\n", "class Counter:\n    about = ('student',)\n", 1)


@pytest.mark.parametrize(("init", "seen"), [("scratch", 2), ("previous", 5), ("continue", 5)])
def test_what_is_learned_about_a_student_goes_where_the_student_goes(tiny, tmp_path, init, seen):
    text = POOL + '[[labeler]]\nuse = "./plugins.py:Counter"\n[[labeler]]\nuse = "fixed_selection"\n'
    text = text.replace("steps = 2", f'steps = 2\ninit = "{init}"')
    recipe = tiny(text, ABOUT)
    saved = run(recipe, tmp_path).checkpoints.newest()["state"]["plugins"]
    assert saved["counter"]["count"].tolist() == [seen] * 10
    # Within a generation a checkpoint brings all of it back, wherever the student began.
    bench, resumed = Bench(recipe, 1), Bench(recipe, 1)
    bench.train(2)
    resumed.state.load(bench.state.tree())
    assert resumed.plugin("counter").count_.tolist() == [2] * 10


@pytest.mark.parametrize("init", ["scratch", "previous"])
def test_a_selection_of_images_goes_on_to_any_student(tiny, tmp_path, init):
    third = f'[[generation]]\nsteps = 2\ninit = "{init}"\n'
    text = POOL + '[[labeler]]\nuse = "confidence"\nthreshold = 0.12\n[[labeler]]\nuse = "fixed_selection"\n' + third
    run(tiny(text), tmp_path)
    (first, *_), (second, *_) = (load_labels(tmp_path / "run" / "labels" / f"generation-{i}") for i in (1, 2))
    assert 0 < first.kept.sum() < len(first.kept) and torch.equal(first.copies * first.kept, second.copies)


@dataclass(eq=False)
class Wiggle:
    """A loss without labels, on images that it makes itself."""

    seen: list

    @hookimpl
    def loss(self, step, forward, on, progress):
        view = step.unlabeled.views[on[0]]
        noise = torch.randn(view.images.shape, generator=progress.torch())
        before, after = forward(on[0]).logits, forward(View(view.name, view.images + noise / 10)).logits
        self.seen.append((before, after, step.unlabeled.targets))
        return LossTerm(global_mean((before.detach() - after).square()), 0.1)


def test_labels_none_keeps_the_unlabeled_stream_for_losses_that_need_no_targets(tiny):
    wiggle = Wiggle([])
    text = 'labels = "none"\nbatch = { labeled = 4, unlabeled = 6 }\n[views.hidden]\nstream = "unlabeled"'
    bench = Bench(added(tiny(text), entry("loss", wiggle, on=("hidden",))))
    rows = []
    bench.state.student.register_forward_hook(lambda _, arguments, __: rows.append(len(arguments[0])))
    terms = bench.train(2)
    assert all(term.value > 0 for step in terms for term in step) and len(terms[0]) == 2
    assert all(before.shape == after.shape == (6, 10) and none is None for before, after, none in wiggle.seen)
    assert not any(torch.equal(before, after) for before, after, _ in wiggle.seen)
    assert rows == [10, 6] * 2  # the recipe's views as one batch, the wiggled one by itself


@dataclass(eq=False)
class AddView:
    """Answers a view that no recipe declares, with targets of its own."""

    @hookimpl
    def mix(self, step):
        old = step.unlabeled
        rows = torch.arange(6)
        targets = Targets.of(rows, torch.eye(10)[rows])
        extra = View("extra", 1 - old.views["hidden"].images, targets)
        return replace(step, unlabeled=replace(old, views={**old.views, "extra": extra}))


@dataclass(eq=False)
class OnExtra:
    seen: list

    @hookimpl
    def loss(self, step, forward):
        probs = step.batch_of("extra").targets_of("extra").probs
        outputs: Outputs = forward("extra")
        self.seen.append((probs, outputs.logits))
        return LossTerm(nn.functional.cross_entropy(outputs.logits, probs))


def test_mix_may_add_a_view_with_targets_of_its_own(tiny):
    loss = OnExtra([])
    text = (
        'labels = "none"\nbatch = { labeled = 4, unlabeled = 6 }\n[views.hidden]\nstream = "unlabeled"\n'
        '[[loss]]\nname = "idle"\nuse = "mean_squared"\non = "labeled"'
    )
    plugins = [entry("noise", AddView()), entry("loss", loss, on=("hidden",))]
    terms = Bench(added(tiny(text), *plugins)).train(1)[0]
    assert torch.equal(loss.seen[0][0], torch.eye(10)[:6]) and loss.seen[0][1].requires_grad
    assert [term.name for term in terms] == ["supervised", "idle", "onextra"]
