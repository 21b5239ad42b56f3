"""Methods are recipes: the shipped ones and a tiny MixMatch run, and their losses are the papers' formulas."""

import math

import pytest
import torch
from driving import CPU, Bench, LossSpy, StepSpy, added, entry, equal_states, run
from torch.nn.functional import cross_entropy, one_hot, softmax

from sslkit import hookimpl
from sslkit.engine import train_step
from sslkit.streams import make_streams

MIXMATCH = """
labels = "step"
steps = 4
batch = { labeled = 6, unlabeled = 6 }
[views.weak_a]
stream = "unlabeled"
[views.weak_b]
stream = "unlabeled"
[[pass]]
model = "teacher"
views = ["weak_a", "weak_b"]
batch_norm = "batch"
write_stats = false
[[noise]]
use = "flip_crop"
pad = 1
on = ["labeled", "weak_a", "weak_b"]
[[noise]]
use = "mixup"
alpha = 0.75
on = ["labeled", "weak_a", "weak_b"]
[[labeler]]
use = "current_student"
[[labeler]]
use = "soft_labels"
on = ["weak_a", "weak_b"]
[[labeler]]
use = "sharpen"
temperature = 0.5
[[loss]]
name = "consistency"
use = "mean_squared"
on = ["weak_a", "weak_b"]
weight = 75.0
[[schedule]]
use = "linear_ramp"
fraction = 1.0
on = "consistency.weight"
"""


def finite_and_alive(terms):
    names = [term.name for term in terms[0]]
    assert all([term.name for term in step] == names for step in terms)
    values = torch.tensor([[term.value.item() for term in step] for step in terms])
    assert values.isfinite().all() and (values > 0).all()
    return names


@pytest.mark.parametrize(
    "name, generation, names",
    [
        ("supervised", 0, ["supervised"]),
        ("noisy_student", 0, ["supervised"]),
        ("noisy_student", 1, ["supervised", "distillation"]),
        ("fixmatch", 0, ["supervised", "consistency"]),
        ("mean_teacher", 0, ["supervised", "consistency"]),
    ],
)
def test_shipped_recipes_have_losses_that_are_alive(shipped, name, generation, names):
    overrides = {} if name == "supervised" else {"batch.unlabeled": 12, "labeler.confidence.threshold": 0.0}
    if name == "mean_teacher":
        del overrides["labeler.confidence.threshold"]
    bench = Bench(shipped(name, {**overrides, "steps": 3}), generation)
    assert finite_and_alive(bench.train()) == names


@pytest.mark.parametrize("name", ["supervised", "noisy_student", "fixmatch", "mean_teacher"])
def test_shipped_recipes_run_to_their_end(shipped, tmp_path, name):
    unlabeled = {} if name == "supervised" else {"batch.unlabeled": 12}
    summary = run(shipped(name, {"metric": [{"use": "accuracy"}], "data.test": 1500, **unlabeled}), tmp_path).summary
    assert summary["status"] == "finished"
    assert len(summary["generations"]) == (4 if name == "noisy_student" else 1)
    assert all(0 <= entry["test_accuracy"] <= 1 and entry["steps"] == 2 for entry in summary["generations"])


# FixMatch -------------------------------------------------------------------------------------------------------------


def of_terms(terms, name):
    return next(term for term in terms if term.name == name)


def test_fixmatch_is_hard_cross_entropy_of_sure_rows_over_all_rows(shipped):
    """Sohn et al. 2020, eq. 3 and 4, from the student's own logits: 1 / (mu B) sum of 1(max q >= tau) H(argmax q, p)."""
    seen, threshold = [], 0.145
    overrides = {"batch.unlabeled": 40, "labeler.confidence.threshold": threshold, "optimizer.rate": 0.02, "steps": 4}
    bench = Bench(added(shipped("fixmatch", overrides), entry("loss", LossSpy(lambda *both: seen.append(both)))))
    shares = set()
    for terms, (step, forward) in zip(bench.train(4), seen, strict=True):
        weak, strong = forward("weak").logits.detach(), forward("strong").logits.detach()
        q = softmax(weak, 1)
        mask = (q.max(1).values >= threshold).float()
        expected = (mask * cross_entropy(strong, q.argmax(1), reduction="none")).sum() / 40
        consistency = of_terms(terms, "consistency")
        assert torch.allclose(consistency.value, expected, atol=1e-6) and consistency.weight == 1.0
        labels = cross_entropy(forward("labeled").logits, step.labeled.truth)
        assert torch.allclose(of_terms(terms, "supervised").value, labels, atol=1e-6)
        assert torch.equal(step.unlabeled.targets.weight, mask) and torch.equal(step.unlabeled.targets.raw, q)
        assert torch.equal(step.unlabeled.targets.probs, one_hot(q.argmax(1), 10).float())
        shares.add(mask.mean().item())
    assert any(0 < share < 1 for share in shares)  # or the mask was not tested


def test_fixmatchs_strong_view_is_its_weak_one_distorted(shipped):
    """Weak noise first, then RandAugment, then its cutout (Sohn et al. 2020, sec. 2.3)."""
    (loader,) = [s for s in streams(Bench(shipped("fixmatch", {"batch.unlabeled": 8}))) if s.name == "unlabeled"]
    transforms = {view.spec.name: [name for name, _ in view.transforms] for view in loader.views}
    assert transforms == {"weak": ["shift.0"], "strong": ["shift.0", "randaugment.0"]}


def test_fixmatchs_rate_ends_at_a_fifth(shipped):
    bench = Bench(shipped("fixmatch", {"batch.unlabeled": 8, "steps": 100}))
    bench.state.step = 100
    bench.state.set_rate()
    assert bench.state.rate == pytest.approx(math.cos(7 * math.pi / 16))


def test_mean_teachers_statistics_come_from_labeled_images_alone(shipped):
    bench = Bench(shipped("mean_teacher", {"batch.unlabeled": 8}))
    norm = next(m for m in bench.state.student.modules() if isinstance(m, torch.nn.BatchNorm2d))
    (step,) = bench.steps(1)
    forward = bench.state.forward(step)
    before = norm.running_mean.clone()
    forward("learned")
    assert torch.equal(norm.running_mean, before)
    forward("labeled")
    assert not torch.equal(norm.running_mean, before)


def streams(bench):
    return make_streams(bench.state, bench.data)


def test_fixmatch_weak_and_strong_views_differ_and_teach_no_gradient(shipped):
    bench = Bench(shipped("fixmatch", {"batch.unlabeled": 40, "labeler.confidence.threshold": 0.0}))
    ((step, forward),) = bench.labeled_steps(1)
    weak, strong = (step.unlabeled.views[name].images for name in ("weak", "strong"))
    assert (weak != strong).flatten(1).any(1).float().mean() > 0.9
    (term,) = [t for t in bench.state.losses(step, forward) if t.name == "consistency"]
    (gradient,) = torch.autograd.grad(term.value, forward("weak").logits, allow_unused=True, retain_graph=True)
    assert gradient is None or not gradient.any()
    assert not step.unlabeled.targets.probs.requires_grad


# Mean Teacher ---------------------------------------------------------------------------------------------------------


def test_mean_teacher_is_the_squared_error_to_the_average_in_batch_mode(shipped):
    """Tarvainen & Valpola 2017: the mean over rows and classes of (softmax(student) - softmax(average))^2."""
    seen = []
    recipe = added(shipped("mean_teacher", {"batch.unlabeled": 12, "steps": 4, "noise.dropout.enabled": False}),
                   entry("loss", LossSpy(lambda *both: seen.append(both))))  # fmt: skip
    bench = Bench(recipe)
    state = bench.state
    assert state.teachers["step"] is state.average is not state.student
    for number, step in enumerate(bench.steps(4)):
        average = {name: tensor.clone() for name, tensor in state.average.state_dict().items()}
        student = {name: tensor.clone() for name, tensor in state.student.state_dict().items()}
        terms = train_step(state, step)
        taught, learned = (step.unlabeled.views[name].images for name in ("taught", "learned"))
        other = Bench(recipe).state  # fresh networks, to be filled
        other.average.load_state_dict(average)
        other.student.load_state_dict(student)
        other.average.train()  # batch statistics; there is no dropout here
        other.student.train()
        with torch.no_grad():
            target = softmax(other.average(taught).logits, 1)
            answer = softmax(other.student(learned).logits, 1)
        expected = (answer - target).square().mean()
        consistency = of_terms(terms, "consistency")
        assert torch.allclose(consistency.value, expected, rtol=1e-3, atol=1e-9) and expected > 0
        assert consistency.weight == pytest.approx(50 * min(1.0, number / 4 / 0.4))
        assert torch.allclose(step.unlabeled.targets.probs, target, atol=1e-6)
    assert not equal_states(state.student, state.average)


def test_mean_teachers_teacher_writes_no_statistics_and_follows_the_student(shipped):
    stats, seen = [], []
    recipe = shipped("mean_teacher", {"batch.unlabeled": 12, "steps": 3})
    bench = Bench(recipe)
    bench.state.average.register_forward_hook(
        lambda network, *_: stats.append((network.training, network.model.bn1.running_mean.clone()))
    )
    for step in bench.steps(3):
        weights = [bench.state.average.model.conv1[0].weight.clone()]
        written = bench.state.average.model.bn1.running_mean.clone()
        train_step(bench.state, step)
        student = bench.state.student.model.conv1[0].weight
        decay = min(0.99, (1 + step.progress.step) / (10 + step.progress.step))
        expected = decay * weights[0] + (1 - decay) * student
        assert torch.allclose(bench.state.average.model.conv1[0].weight, expected, atol=1e-6)
        assert torch.equal(stats[-1][1], written) and stats[-1][0] is False
        seen.append(step)
    assert len(stats) == 3


# MixMatch -------------------------------------------------------------------------------------------------------------


def test_mixmatch_averages_sharpens_mixes_and_ramps(tiny):
    """Berthelot et al. 2019, eq. 6-15: one guess for two views, sharpened; MixUp across everything; CE + squared error."""
    seen, fed = [], []
    bench = Bench(added(tiny(MIXMATCH), entry("loss", LossSpy(lambda *both: seen.append(both)))))
    bench.state.student.register_forward_pre_hook(lambda _, arguments: fed.append(arguments[0].clone()))
    weights = []
    for step in bench.steps(4):
        unmixed = {name: view.images for batch in step.batches for name, view in batch.views.items()}
        fed.clear()
        terms = train_step(bench.state, step)
        mixed, forward = seen[-1]
        # The guess: the mean of both views' probabilities, sharpened; seen unmixed, in one pass.
        assert torch.equal(fed[0], torch.cat(list(unmixed.values())[1:])) and [len(rows) for rows in fed] == [12, 18]
        guess = step.unlabeled.targets
        sharp = guess.raw**2 / (guess.raw**2).sum(1, keepdim=True)
        assert torch.allclose(guess.probs, sharp, atol=1e-5) and not torch.allclose(guess.probs, guess.raw, atol=1e-4)
        # Every view is mixed, with targets of its own in the images' proportion.
        truth = one_hot(step.labeled.truth, 10).float()
        pool = torch.cat([truth, guess.probs, guess.probs])
        images = torch.cat(list(unmixed.values()))
        names = list(unmixed)
        for i, row in enumerate(torch.cat([mixed.batch_of(name).views[name].images for name in names])):
            own, target = images[i], mixed.batch_of(names[i // 6]).targets_of(names[i // 6]).probs[i % 6]
            assert mixture(own, images, row, pool[i], pool, target)
        # The objective.
        logits = torch.cat([forward(name).logits for name in names]).detach()
        probs = torch.cat([mixed.batch_of(name).targets_of(name).probs for name in names])
        supervised, consistency = terms
        assert torch.allclose(supervised.value, cross_entropy(logits[:6], probs[:6]), atol=1e-6)
        assert torch.allclose(consistency.value, (softmax(logits[6:], 1) - probs[6:]).square().mean(), atol=1e-7)
        assert supervised.value > 0 and consistency.value > 0
        weights.append(consistency.weight)
    assert weights == pytest.approx([0, 75 / 4, 75 / 2, 75 * 3 / 4])


def mixture(own, images, row, mine, targets, target):
    """Whether a row is a share of at least a half of its own image and the rest of some other, and its target likewise."""
    for other, answer in zip(images, targets, strict=True):
        span = (own - other).flatten()
        share = (row - other).flatten() @ span / (span @ span) if span.any() else torch.tensor(1.0)
        if not 0.5 - 1e-4 <= share <= 1 + 1e-4:
            continue
        images_fit = torch.allclose(share * own + (1 - share) * other, row, atol=1e-4)
        # Two equal images leave their share open; then any share between the targets will do.
        if images_fit and (not span.any() or torch.allclose(share * mine + (1 - share) * answer, target, atol=1e-3)):
            return True
    return False


def test_the_average_evaluates_where_one_is_kept(shipped, tmp_path):
    moved = []
    recipe = added(
        shipped("fixmatch", {"batch.unlabeled": 8}), entry("labeler", StepSpy(lambda *all_: moved.append(all_)))
    )
    evaluated = []

    class Look:
        @hookimpl
        def measure(self, model):
            evaluated.append(model.network)
            return {}

    done = run(added(recipe, entry("metric", Look())), tmp_path)
    _, student, average, teacher = moved[-1]
    assert evaluated == [average] and teacher is student
    assert equal_states(done.model(), average) and not equal_states(done.model(), student)
    assert next(done.model().parameters()).device == CPU


def test_a_view_that_only_the_average_looks_at_is_made(tiny):
    """Where nobody labels at each step too: whoever asks the average in `after_step` finds its view."""
    text = '[views.asked]\nstream = "labeled"\n[[pass]]\nmodel = "average"\nviews = ["asked"]\n[[labeler]]\nuse = "moving_average"\n'
    (step,) = Bench(tiny(text)).steps(1)
    assert set(step.views) == {"labeled", "asked"}
    bench = Bench(tiny(text.replace("average", "teacher", 1).replace('[[labeler]]\nuse = "moving_average"\n', "")))
    assert set(next(bench.steps(1)).views) == {"labeled"}
