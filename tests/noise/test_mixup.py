from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sslkit import Batch, Progress, SslkitError, Step, Targets, View
from sslkit_plugins.noise.mixup import MixUp, draw_shares, interpolate, mixed_targets

PROGRESS = Progress(seed=1, step=3, steps=10, plugin="mixup")


def some_targets(rows, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(rows, classes, generator=generator).softmax(1)
    return replace(Targets.of(torch.arange(rows), probs), weight=torch.rand(rows, generator=generator))


def some_step(labeled=3, unlabeled=5, size=4, unlabeled_size=None):
    generator = torch.Generator().manual_seed(0)

    def view(name, rows, size):
        return View(name, torch.rand(rows, 3, size, size, generator=generator))

    rows, more = torch.arange(labeled), torch.arange(unlabeled)
    weak = {name: view(name, unlabeled, unlabeled_size or size) for name in ("weak", "weak2")}
    return Step(
        Batch("labeled", rows, rows, {"labeled": view("labeled", labeled, size)}, truth=rows % 4, classes=4),
        Batch("unlabeled", more, more, weak, targets=some_targets(unlabeled), classes=4),
        PROGRESS,
    )


ON = ("labeled", "weak", "weak2")


def views(step, on=ON):
    return [step.batch_of(name).views[name] for name in on]


def test_interpolation_by_hand():
    mixed = interpolate(
        torch.tensor([[1.0, 0.0], [2.0, 4.0]]), torch.tensor([[0.0, 1.0], [4.0, 0.0]]), torch.tensor([0.75, 0.5])
    )
    assert mixed.tolist() == [[0.75, 0.25], [3.0, 2.0]]


def test_targets_by_hand():
    index = torch.arange(1)
    own = replace(Targets.of(index, torch.tensor([[1.0, 0.0]])), weight=torch.tensor([1.0]))
    partner = replace(Targets.of(index + 9, torch.tensor([[0.5, 0.5]])), weight=torch.tensor([0.0]))
    mixed = mixed_targets(own, partner, torch.tensor([0.75]))
    assert mixed.probs.tolist() == [[0.875, 0.125]] and mixed.weight.tolist() == [0.75]
    assert mixed.raw.tolist() == [[1.0, 0.0]] and mixed.index.tolist() == [0] and mixed.copies.tolist() == [1.0]


@pytest.mark.parametrize("closest", [True, False])
@pytest.mark.parametrize("draw", ["sample", "batch"])
def test_the_whole_step_by_hand(closest, draw):
    """The same draws, done again row by row over [labeled, weak, weak2]."""
    step = some_step()
    mixed = MixUp(alpha=0.5, closest=closest, draw=draw).mix(step, ON, PROGRESS)
    generator = PROGRESS.numpy()
    shares = generator.beta(0.5, 0.5, 13 if draw == "sample" else 1).tolist() * (1 if draw == "sample" else 13)
    partners = generator.permutation(13)
    images = torch.cat([view.images for view in views(step)])
    truth = torch.nn.functional.one_hot(step.labeled.truth, 4).float()
    probs = torch.cat([truth, step.unlabeled.targets.probs, step.unlabeled.targets.probs])
    weight = torch.cat([torch.ones(3), step.unlabeled.targets.weight, step.unlabeled.targets.weight])
    got_images = torch.cat([view.images for view in views(mixed)])
    got_probs = torch.cat([view.targets.probs for view in views(mixed)])
    got_weight = torch.cat([view.targets.weight for view in views(mixed)])
    for row in range(13):
        share = max(shares[row], 1 - shares[row]) if closest else shares[row]
        for got, values in ((got_images, images), (got_probs, probs), (got_weight, weight)):
            expected = share * values[row] + (1 - share) * values[partners[row]]
            torch.testing.assert_close(got[row], expected)


def test_labeled_views_mix_the_truth_even_where_a_teacher_labels_them():
    step = some_step()
    step.labeled.targets = some_targets(3, seed=9)
    mixed = MixUp().mix(step, ("labeled",), PROGRESS)
    share = PROGRESS.numpy().beta(0.75, 0.75, 3)
    own = views(mixed, ("labeled",))[0].targets.probs.gather(1, step.labeled.truth[:, None])[:, 0]
    assert (own >= torch.tensor(np.maximum(share, 1 - share)).float() - 1e-6).all()


def test_targets_of_a_view_go_first():
    step = some_step()
    own = some_targets(5, seed=3)
    step = step.with_views(View("weak", step.unlabeled.views["weak"].images, own))
    mixed = MixUp(alpha=1e-3, across=False).mix(step, ("weak",), PROGRESS)
    torch.testing.assert_close(views(mixed, ("weak",))[0].targets.probs, own.probs, atol=0.05, rtol=0)


def test_within_each_view():
    step = some_step(unlabeled_size=8)
    mixed = MixUp(across=False).mix(step, ON, PROGRESS)
    assert [view.images.shape for view in views(mixed)] == [view.images.shape for view in views(step)]
    alone = MixUp(across=False).mix(step, ("weak2",), PROGRESS)
    assert torch.equal(views(alone, ("weak2",))[0].images, views(mixed, ("weak2",))[0].images)
    with pytest.raises(SslkitError, match=r"different sizes.*across = false"):
        MixUp().mix(step, ON, PROGRESS)


def test_nothing_is_changed_in_place():
    step = some_step()
    before = [view.images.clone() for view in views(step)]
    mixed = MixUp().mix(step, ON, PROGRESS)
    assert mixed is not step and all(torch.equal(a, b.images) for a, b in zip(before, views(step), strict=True))
    assert all(view.targets is None for view in views(step))
    assert list(mixed.unlabeled.views) == ["weak", "weak2"] and mixed.labeled.truth is step.labeled.truth


def test_a_stream_that_is_off_is_passed_over():
    step = replace(some_step(), unlabeled=None)
    mixed = MixUp().mix(step, ON, PROGRESS)
    assert mixed.unlabeled is None and views(mixed, ("labeled",))[0].targets is not None
    assert views(MixUp().mix(step, ("weak",), PROGRESS), ("labeled",))[0] is step.labeled.views["labeled"]


def test_a_stream_without_targets_is_refused():
    step = some_step()
    step.unlabeled.targets = None
    with pytest.raises(LookupError, match="nothing labels it"):
        MixUp().mix(step, ON, PROGRESS)


def test_draws_come_from_progress_alone():
    step = some_step()
    first, again = (views(MixUp().mix(step, ON, PROGRESS)) for _ in range(2))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, again, strict=True))
    other = views(MixUp().mix(step, ON, replace(PROGRESS, step=4)))
    assert not torch.equal(first[0].images, other[0].images)


def test_no_gradient_through_targets():
    step = some_step()
    step.unlabeled.targets.probs.requires_grad_()
    step.unlabeled.targets.weight.requires_grad_()
    step.unlabeled.targets.raw = step.unlabeled.targets.probs
    for view in views(MixUp().mix(step, ON, PROGRESS)):
        assert not any(getattr(view.targets, name).requires_grad for name in Targets.columns)


@given(st.floats(0.01, 10), st.booleans(), st.sampled_from(["sample", "batch"]), st.integers(0, 99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_probabilities_stay_probabilities(alpha, closest, draw, seed, across):
    mixed = MixUp(alpha=alpha, closest=closest, draw=draw, across=across).mix(
        some_step(), ON, replace(PROGRESS, seed=seed)
    )
    for view in views(mixed):
        assert (view.targets.probs >= 0).all()
        torch.testing.assert_close(view.targets.probs.sum(1), torch.ones(len(view.images)))
        assert ((view.targets.weight >= 0) & (view.targets.weight <= 1)).all()
        assert ((view.images >= 0) & (view.images <= 1)).all()


def test_shares():
    generator = np.random.default_rng(0)
    each = draw_shares(4000, 0.75, False, True, generator)
    assert (
        abs(each.mean() - 0.5) < 0.03 and abs(each.var() - 1 / (4 * 2.5)) < 0.01
    )  # variance of Beta(a, a): 1 / (4 (2a + 1))
    assert draw_shares(100, 0.75, True, True, generator).min() >= 0.5
    assert len(draw_shares(100, 0.75, True, False, generator).unique()) == 1
    assert each.dtype == torch.float32
