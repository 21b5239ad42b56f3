"""MixMatch and ReMixMatch: what is mixed, with what share, towards which targets, and that labels see none of it."""

from dataclasses import replace

import pytest
import torch
from driving import Bench, LossSpy, added, entry, equal_states
from torch.nn.functional import log_softmax, one_hot, softmax

from sslkit.engine import make_targets, train_step
from sslkit.recipe import load

SMALL = {
    "workers": 0, "tracker": [], "metric": [], "model.size": 16, "steps": 6, "batch.labeled": 6, "batch.unlabeled": 6,
    "baseline": False,
}  # fmt: skip
MIXED = {"mixmatch": ["labeled", "first", "second"], "remixmatch": ["labeled", "first", "second", "weak"]}
NAMES = list(MIXED)


def watched(name, **overrides):
    """A bench, and the list of what losses see at each step."""
    seen = []
    recipe = load(name, {**SMALL, **overrides})
    return Bench(added(recipe, entry("loss", LossSpy(lambda step, forward: seen.append((step, forward)))))), seen


def unmixed(step):
    return {name: view.images.clone() for name, view in step.views.items()}


def drawn(plugin, progress, rows):
    """The shares and partners of a step, drawn again from the plugin's key."""
    generator = progress.numpy()
    shares = generator.beta(plugin.alpha, plugin.alpha, rows)
    return torch.tensor([max(share, 1 - share) for share in shares]).float(), torch.tensor(generator.permutation(rows))


@pytest.mark.parametrize("name", NAMES)
def test_mixed_rows_and_their_targets_by_hand(name):
    """Berthelot et al. 2019, eq. 8-15: lambda' = max(lambda, 1 - lambda) of a row and of its target, over all views."""
    bench, seen = watched(name)
    for step in bench.steps(3):
        before = unmixed(step)
        train_step(bench.state, step)
        mixed, _ = seen[-1]
        views = MIXED[name]
        share, partner = drawn(bench.plugin("mixup"), replace(step.progress, plugin="mixup"), 6 * len(views))
        assert (share >= 0.5).all() and share.unique().numel() > 6
        truth = one_hot(step.labeled.truth, 10).float()
        probs = torch.cat([truth] + [step.unlabeled.targets.probs] * (len(views) - 1))
        images = torch.cat([before[view] for view in views])
        for row in range(6 * len(views)):
            view, place = mixed.views[views[row // 6]], row % 6
            for got, values in ((view.images, images), (view.targets.probs, probs)):
                expected = share[row] * values[row] + (1 - share[row]) * values[partner[row]]
                torch.testing.assert_close(got[place], expected)
        for view in set(before) - set(views) - {"rotated"}:
            assert torch.equal(mixed.views[view].images, before[view])


@pytest.mark.parametrize("name", NAMES)
def test_labels_see_unmixed_images_in_a_pass_that_leaves_no_trace(name):
    """The guess is of the images as the loader made them, by batch statistics, of which none are written."""
    bench, _ = watched(name)
    student, fed = bench.state.student, []
    student.register_forward_pre_hook(lambda _, arguments: fed.append(arguments[0].clone()))
    labels = {"mixmatch": ["first", "second"], "remixmatch": ["weak"]}[name]
    for step in bench.steps(2):
        before, written = unmixed(step), student.model.bn1.running_mean.clone()
        fed.clear()
        make_targets(bench.state, step, bench.state.forward(step))
        assert torch.equal(student.model.bn1.running_mean, written)
        assert len(fed) == 1 and torch.equal(fed[0], torch.cat([before[view] for view in labels]))
        targets = step.unlabeled.targets
        with torch.no_grad():
            raw = softmax(student(fed[0]).logits, 1).view(len(labels), 6, 10).mean(0)
        torch.testing.assert_close(targets.raw, raw, atol=1e-5, rtol=1e-4)
        train_step(bench.state, step)
        assert not torch.equal(student.model.bn1.running_mean, written)


def test_mixmatchs_guess_is_the_sharpened_mean():
    bench, _ = watched("mixmatch")
    for step in bench.steps(2):
        train_step(bench.state, step)
        guess = step.unlabeled.targets
        square = guess.raw.double() ** 2  # T = 0.5
        torch.testing.assert_close(guess.probs.double(), square / square.sum(1, keepdim=True), atol=1e-6, rtol=0)
        assert (guess.weight == 1).all()  # nothing is filtered


def test_mixmatchs_objective():
    """Eq. 2-5: cross-entropy of mixed labeled rows; the squared error of mixed unlabeled ones, over rows and classes."""
    bench, seen = watched("mixmatch")
    weights = []
    for step in bench.steps(4):
        supervised, consistency = train_step(bench.state, step)
        mixed, forward = seen[-1]
        own = mixed.views["labeled"].targets.probs
        torch.testing.assert_close(
            supervised.value, -(own * log_softmax(forward("labeled").logits, 1)).sum(1).mean(), atol=1e-6, rtol=0
        )
        rows = [
            (softmax(forward(view).logits, 1) - mixed.views[view].targets.probs).square()
            for view in ("first", "second")
        ]
        torch.testing.assert_close(consistency.value, torch.cat(rows).mean(), atol=1e-7, rtol=0)
        weights.append(consistency.weight)
    assert weights == pytest.approx([75 * min(1, step / 6 / 0.4) for step in range(4)])


# ReMixMatch -----------------------------------------------------------------------------------------------------------


def test_remixmatchs_objective():
    """Berthelot et al. 2020, sec. 3.4: CE_x + 1.5 r CE_u' + 0.5 r H(q, p(unmixed strong)) + 0.5 rotation."""
    bench, seen = watched("remixmatch")
    for number, step in enumerate(bench.steps(3)):
        terms = {term.name: term for term in train_step(bench.state, step)}
        mixed, forward = seen[-1]
        ramp = min(1, number / 6 * 64)
        assert {name: term.weight for name, term in terms.items()} == pytest.approx(
            {"supervised": 1, "consistency": 1.5 * ramp, "anchored": 0.5 * ramp, "rotation": 0.5}
        )

        def entropy(view, probs=None, mixed=mixed, forward=forward):
            probs = mixed.views[view].targets.probs if probs is None else probs
            return -(probs * log_softmax(forward(view).logits, 1)).sum(1)

        together = torch.cat([entropy(view) for view in ("first", "second", "weak")]).mean()
        torch.testing.assert_close(terms["consistency"].value, together, atol=1e-6, rtol=0)
        anchored = entropy("unmixed", step.unlabeled.targets.probs).mean()
        torch.testing.assert_close(terms["anchored"].value, anchored, atol=1e-6, rtol=0)
        turned = [own for own, other in zip(mixed.views["rotated"].images, step.views["rotated"].images, strict=True)
                  if not torch.equal(own, other)]  # fmt: skip
        assert turned and forward("rotated").heads["rotation"].shape == (6, 4)


def test_remixmatchs_guess_is_aligned_with_the_labels_and_sharpened():
    """q = sharpen(normalised p * p_data / mean p), the mean over the batches so far; ten classes of equal size."""
    bench, _ = watched("remixmatch")
    means = []
    for step in bench.steps(3):
        train_step(bench.state, step)
        guess = step.unlabeled.targets
        means.append(guess.raw.double().mean(0))
        scaled = guess.raw.double() * 0.1 / torch.stack(means).mean(0)
        square = (scaled / scaled.sum(1, keepdim=True)) ** 2
        torch.testing.assert_close(guess.probs.double(), square / square.sum(1, keepdim=True), atol=1e-5, rtol=0)


def test_the_probe_is_asked_of_the_average_and_moves_the_rates():
    bench, _ = watched("remixmatch", steps=40)
    state, asked = bench.state, []
    state.average.register_forward_pre_hook(lambda _, arguments: asked.append(arguments[0].clone()))
    for step in bench.steps(3):
        images = step.views["probe"].images
        asked.clear()
        train_step(state, step)
        assert len(asked) == 1 and torch.equal(asked[0], images) and not state.average.training
        assert not equal_states(state.average, state.student)
    rates = bench.plugin("ctaugment").rates_
    assert (rates < 1).sum() > 10 and (rates >= 0.8).all()  # three steps of a decay of 0.99 go so far


def test_no_head_of_one_method_turns_what_another_mixes():
    """Rotation comes after MixUp, on a view of its own."""
    bench, _ = watched("remixmatch")
    names = [plugin.name for plugin in bench.state.hooks.entries if hasattr(type(plugin.plugin), "mix")]
    assert names == ["mixup", "rotation"]
    on = {plugin.name: set(plugin.on) for plugin in bench.state.hooks.entries if plugin.name in names}
    assert on["mixup"].isdisjoint(on["rotation"])
