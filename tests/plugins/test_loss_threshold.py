import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sslkit import Batch, Facts, Outputs, Progress, Step, Targets, View
from sslkit_plugins.labeler.loss_threshold import LossThreshold, largest_loss
from sslkit_plugins.probabilities import sharpen

FACTS = Facts(("a", "b", "c"), (1, 1, 1), {"labeled": 4}, {}, 8, 3, torch.device("cpu"))
LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]])


def fresh(**fields: object) -> LossThreshold:
    plugin = LossThreshold(**{"every": 10, **fields})  # type: ignore[arg-type]
    plugin.begin(FACTS)
    return plugin


def forward(view: str | View, model: str | None = None) -> Outputs:
    assert view == "labeled"
    return Outputs(LOGITS.clone().requires_grad_())


def step(index: list[int], truth: list[int], labels: bool = False) -> Step:
    images = torch.zeros(3, 3, 4, 4)
    labeled = Batch("labeled", torch.tensor(index), torch.arange(3), {"labeled": View("labeled", images)},
                    torch.tensor(truth), classes=3)  # fmt: skip
    targets = Targets.of(torch.arange(3), torch.full((3, 3), 1 / 3)) if labels else None
    unlabeled = Batch("unlabeled", torch.arange(3), torch.arange(3), {"weak": View("weak", images)}, targets=targets)
    return Step(labeled, unlabeled, Progress(0))


def losses(truth: list[int]) -> Tensor:
    return torch.nn.functional.cross_entropy(LOGITS, torch.tensor(truth), reduction="none")


def test_rho_by_hand() -> None:
    assert largest_loss(0.5, 0, 1.0001, 1.27, 0.05) == pytest.approx(0.50005)
    assert largest_loss(0.5, 1, 1.0001, 1.27, 0.05) == pytest.approx(0.50005 / 1.27)
    assert largest_loss(0.5, 9, 1.0001, 1.27, 0.05) == pytest.approx(0.50005 / 1.27**9)
    assert largest_loss(0.5, 10, 1.0001, 1.27, 0.05) == 0.05


def test_rho_is_cut_every_so_many_steps() -> None:
    plugin = fresh(every=10, gamma=2.0, factor=1.0, floor=0.3)
    plugin.loss_.load(torch.tensor([1.0, 2.0, -1.0, -1.0]))  # two are known
    rho = [plugin.rho(Progress(0, step=at, steps=100)) for at in (0, 9, 10, 19, 20, 30)]
    assert rho == pytest.approx([1.5, 1.5, 0.75, 0.75, 0.375, 0.3])


def test_a_loss_is_a_confidence() -> None:
    plugin = fresh(factor=1.0)
    plugin.loss_.load(torch.full((4,), -math.log(0.6)))
    given_ = Targets.of(torch.arange(3), torch.tensor([[0.61, 0.39, 0.0], [0.59, 0.21, 0.2], [0.0, 0.0, 1.0]]))
    given_.weight = torch.tensor([1.0, 1.0, 0.5])
    made = plugin.refine(given_, Progress(0))
    assert made.weight.tolist() == [1, 0, 0.5]
    torch.testing.assert_close(made.probs, sharpen(given_.probs, 0.5))
    assert made.raw is given_.raw


def test_targets_are_hard_from_the_floor_on() -> None:
    plugin = fresh(every=1, gamma=10.0)
    given_ = Targets.of(torch.arange(2), torch.tensor([[0.96, 0.04, 0.0], [0.94, 0.0, 0.06]]))
    soft, hard = (plugin.refine(given_, Progress(0, step=at)) for at in (1, 2))  # ln 3 / 10 = 0.11, then 0.05
    torch.testing.assert_close(soft.probs, sharpen(given_.probs, 0.5))
    assert soft.weight.tolist() == [1, 1]
    assert hard.probs.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert hard.weight.tolist() == [1, 0]  # 0.05 is a confidence of 0.951


def test_the_labeled_images_last_losses_are_noted() -> None:
    plugin = fresh()
    plugin.after_step(step([0, 2, 1], [0, 1, 2]), forward)
    expected = losses([0, 1, 2])
    torch.testing.assert_close(plugin.loss_.values, torch.tensor([expected[0], expected[2], expected[1], -1.0]))
    assert plugin.initial == pytest.approx(expected.mean().item())
    plugin.after_step(step([3, 3, 0], [2, 2, 2]), forward)  # 3 twice: the last row counts
    later = losses([2, 2, 2])
    expected = torch.tensor([later[2], expected[2], expected[1], later[1]])
    torch.testing.assert_close(plugin.loss_.values, expected)
    assert plugin.initial == pytest.approx(expected.mean().item())
    assert not plugin.loss_.values.requires_grad


def test_nothing_is_measured_once_labels_are_made() -> None:
    plugin = fresh()
    plugin.after_step(step([0, 1, 2], [0, 1, 2], labels=True), forward)
    assert plugin.loss_.values.tolist() == [-1] * 4
    assert plugin.initial == pytest.approx(math.log(3))
    uniform = Targets.of(torch.arange(1), torch.full((1, 3), 1 / 3))
    assert plugin.refine(uniform, Progress(0)).weight.tolist() == [1]  # an untrained student's labels all pass


def test_rows_that_were_promoted_into_the_stream_are_no_labeled_images() -> None:
    plugin = fresh()
    plugin.after_step(step([0, 7, 1], [0, 1, 2]), forward)
    expected = losses([0, 1, 2])
    torch.testing.assert_close(plugin.loss_.values, torch.tensor([expected[0], expected[2], -1.0, -1.0]))


def test_a_labeled_views_own_targets_are_what_was_learned() -> None:
    plugin, given_ = fresh(), step([0, 1, 2], [0, 1, 2])
    mixed = Targets.of(torch.arange(3), torch.full((3, 3), 1 / 3))
    view = replace(given_.labeled.views["labeled"], targets=mixed)
    plugin.after_step(given_.with_views(view), forward)
    torch.testing.assert_close(plugin.loss_.values[:3], -LOGITS.log_softmax(1).mean(1))


def test_state_goes_on_where_it_was() -> None:
    one, other = fresh(), fresh()
    one.after_step(step([0, 2, 1], [0, 1, 2]), forward)
    other.load_state_dict(one.state_dict())
    assert other.initial == one.initial
    other.begin(FACTS)
    assert other.initial == pytest.approx(math.log(3))


def test_rho_is_computed_once_and_again_where_losses_change() -> None:
    plugin, uniform = fresh(), Targets.of(torch.arange(1), torch.full((1, 3), 1 / 3))
    plugin.after_step(step([0, 2, 1], [0, 1, 2]), forward)
    first = plugin.initial
    plugin.loss_.values.fill_(9)  # behind its back
    plugin.refine(uniform, Progress(0, step=1))
    assert plugin.initial == first
    plugin.load_state_dict(plugin.state_dict())
    assert plugin.initial == 9
    plugin.after_step(step([0, 2, 1], [0, 1, 2]), forward)
    assert plugin.initial < 9
