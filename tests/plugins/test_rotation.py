"""Rotation prediction: images turn as they should, the head is asked by how much they were, MixUp does not meddle."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sslkit import Batch, Progress, Step, Targets, View
from sslkit.errors import RecipeError
from sslkit.testing import check_plugin
from sslkit.testing.world import World
from sslkit_plugins.loss.rotation import HEAD, Rotation, draw_turns, turned
from sslkit_plugins.noise.mixup import MixUp

PROGRESS = Progress(seed=2, step=5, steps=10, plugin="rotation")


def some_step(rows=12, size=4):
    generator = torch.Generator().manual_seed(0)
    index, names = torch.arange(rows), ("weak", "rotated", "again")
    views = {name: View(name, torch.rand(rows, 3, size, size, generator=generator)) for name in names}
    labeled = {"labeled": View("labeled", torch.rand(rows, 3, size, size, generator=generator))}
    targets = Targets.of(index, torch.rand(rows, 4, generator=generator).softmax(1))
    return Step(
        Batch("labeled", index, index, labeled, truth=index % 4, classes=4),
        Batch("unlabeled", index, index, views, targets=targets, classes=4),
        PROGRESS,
    )


def test_keeps_its_promises():
    check_plugin(Rotation)


def test_turns_by_hand():
    """A quarter is counter-clockwise: the right column becomes the upper row."""
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(4, 1, 2, 2)
    answer = turned(image, torch.arange(4))[:, 0].tolist()
    assert answer == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 99))
def test_rows_turn_each_by_itself_and_back(rows, size, seed):
    generator = torch.Generator().manual_seed(seed)
    images, turns = torch.rand(rows, 2, size, size, generator=generator), draw_turns(rows, generator)
    answer = turned(images, turns)
    assert torch.equal(turned(answer, (4 - turns) % 4), images)
    order = torch.randperm(rows, generator=generator)
    assert torch.equal(turned(images[order], turns[order]), answer[order])


def test_turns_are_even():
    counts = torch.bincount(draw_turns(8000, torch.Generator().manual_seed(1)), minlength=4)
    assert len(counts) == 4 and ((counts - 2000).abs() < 200).all()


class Head:
    """Answers the logits of the turn that an image really has, found by comparing it with the unturned ones."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def __call__(self, view):
        images, own = (step.batch_of(view).views[view].images for step in (self.after, self.before))
        turns = [torch.full((len(own),), quarters) for quarters in range(4)]
        same = torch.stack([(turned(own, each) == images).flatten(1).all(1) for each in turns], 1)
        return type("Outputs", (), {"heads": {HEAD: same.float() * 30}})()


def test_the_loss_is_of_the_turns_that_were_made():
    before = some_step()
    plugin, on = Rotation(weight=0.5), ("rotated", "again")
    after = plugin.mix(before, on, PROGRESS)
    first, second = (plugin._turns(after.unlabeled.views[name], PROGRESS) for name in on)
    assert len(first.unique()) > 1 and not torch.equal(first, second)  # each view has draws of its own
    term = plugin.loss(after, Head(before, after), on, PROGRESS)
    assert term.value < 1e-6 and term.weight == 0.5
    other = plugin.loss(after, Head(before, after), on, Progress(seed=3, step=5, steps=10, plugin="rotation"))
    assert other.value > 5


def test_cross_entropy_by_hand():
    """The mean over all rows of - log softmax(logits) at the turn."""
    step, plugin = some_step(rows=6), Rotation()
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    term = plugin.loss(step, lambda _: type("Outputs", (), {"heads": {HEAD: logits}})(), ("rotated",), PROGRESS)
    turns = plugin._turns(step.unlabeled.views["rotated"], PROGRESS).tolist()
    odds = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = -sum(odds[row, turn].log() for row, turn in enumerate(turns)) / 6
    torch.testing.assert_close(term.value, expected, atol=1e-12, rtol=0)


def test_other_views_and_the_step_before_stay_as_they_are():
    step = some_step()
    images = step.unlabeled.views["rotated"].images.clone()
    after = Rotation().mix(step, ("rotated",), PROGRESS)
    assert torch.equal(step.unlabeled.views["rotated"].images, images)
    assert after.unlabeled.views["weak"] is step.unlabeled.views["weak"]
    assert after.labeled.views["labeled"] is step.labeled.views["labeled"]
    assert not torch.equal(after.unlabeled.views["rotated"].images, images)
    assert Rotation().mix(step, (), PROGRESS).views.keys() == step.views.keys()  # a stream that is off


def test_mixing_other_views_first_changes_nothing_of_it():
    step = some_step()
    mixed = MixUp().mix(step, ("labeled", "weak"), Progress(seed=2, step=5, steps=10, plugin="mixup"))
    both, alone = (Rotation().mix(one, ("rotated",), PROGRESS) for one in (mixed, step))
    assert torch.equal(both.views["rotated"].images, alone.views["rotated"].images)
    assert both.views["weak"] is mixed.views["weak"] and both.views["rotated"].targets is None


def test_targets_go_with_their_rows():
    step = some_step()
    own = Targets.of(torch.arange(12), torch.full((12, 4), 0.25))
    step = step.with_views(View("rotated", step.views["rotated"].images, own))
    assert Rotation().mix(step, ("rotated",), PROGRESS).views["rotated"].targets is own


def test_a_model_without_a_known_width_is_refused():
    with pytest.raises(RecipeError, match="neither `get_classifier\\(\\)` nor `num_features`"):
        Rotation().extend_model(torch.nn.Linear(3, 3))
    assert Rotation().extend_model(World().student)[HEAD].weight.shape == (4, 5)
