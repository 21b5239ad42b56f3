from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from sslkit import Batch, Facts, Outputs, Progress, Step, View
from sslkit.errors import RecipeError
from sslkit_plugins.loss.balanced_head import BalancedHead, balancing_rates, drawn, relaxed

COUNTS = (10, 5, 1)
FACTS = Facts(tuple("abc"), COUNTS, {}, {"labeled": 4, "unlabeled": 6}, 8, 3, torch.device("cpu"))
ROWS = {"labeled": 4, "weak": 6, "strong": 6, "other": 6}
TRUTH = torch.tensor([0, 2, 1, 2])


def answers(scale: float = 6.0) -> dict[str, Outputs]:
    draw = torch.Generator().manual_seed(2)
    return {
        name: Outputs(torch.zeros(rows, 3), None, {"balanced": (scale * torch.randn(rows, 3, generator=draw)).requires_grad_()})
        for name, rows in ROWS.items()
    }  # fmt: skip


def step(done: float = 0.0) -> Step:
    view = lambda *names: {name: View(name, torch.zeros(ROWS[name], 3, 2, 2)) for name in names}  # noqa: E731
    labeled = Batch("labeled", torch.arange(4), torch.arange(4), view("labeled"), TRUTH, classes=3)
    unlabeled = Batch("unlabeled", torch.arange(6), torch.arange(6), view("weak", "strong", "other"), classes=3)
    return Step(labeled, unlabeled, Progress(0, step=int(100 * done), steps=100, plugin="balanced_head"))


def head(**fields: object) -> BalancedHead:
    plugin = BalancedHead(**fields)
    plugin.begin(FACTS)
    return plugin


# Rates --------------------------------------------------------------------------------------------------------------------


def test_rates_by_hand() -> None:
    assert balancing_rates(COUNTS).tolist() == pytest.approx([0.1, 0.2, 1.0])
    assert balancing_rates((4, 0, 2)).tolist() == [0.5, 1, 1]
    assert balancing_rates((0, 0)).tolist() == [1, 1]


def test_rates_relax_from_one_to_their_own() -> None:
    rates = torch.tensor([0.1, 1.0])
    assert relaxed(rates, 0.0).tolist() == [1, 1]
    assert relaxed(rates, 0.5).tolist() == pytest.approx([0.55, 1])
    assert relaxed(rates, 1.0).tolist() == pytest.approx([0.1, 1])


@given(st.lists(st.integers(0, 100), min_size=2, max_size=6), st.floats(0, 1))
def test_rates_are_probabilities(counts: list[int], fraction: float) -> None:
    rates = relaxed(balancing_rates(counts), fraction)
    assert bool((rates >= 0).all()) and bool((rates <= 1).all()) and float(rates.max()) == pytest.approx(1)


def test_draws_are_bernoulli() -> None:
    rates = torch.tensor([0.0, 0.1, 0.5, 1.0]).repeat_interleave(20_000)
    made = drawn(rates, torch.Generator().manual_seed(0)).view(4, -1)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    assert made.mean(1).tolist() == pytest.approx([0, 0.1, 0.5, 1], abs=0.01)


def test_balanced_draws_show_every_class_equally_often() -> None:
    truth = torch.repeat_interleave(torch.arange(3), 4000 * torch.tensor(COUNTS))
    made = drawn(balancing_rates(COUNTS)[truth], torch.Generator().manual_seed(1))
    shown = torch.stack([made[truth == k].sum() for k in range(3)])
    assert shown.tolist() == pytest.approx([4000] * 3, rel=0.05)


# The plugin ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [0.0, 0.7])
def test_the_term_by_hand(done: float) -> None:
    """Over all rows, filtered and undrawn ones too; two strong views are two terms of one mean."""
    plugin, outputs, now = head(weight=0.5, threshold=0.9), answers(), step(done)
    term = plugin.loss(now, outputs.__getitem__, ("labeled", "weak", "strong", "other"), now.progress)
    rates = torch.tensor([0.1, 0.2, 1.0])
    q = outputs["weak"].heads["balanced"].detach().softmax(1)
    sure = (q.amax(1) >= 0.9).float()
    assert 0 < sure.mean() < 1
    first = torch.rand(4, generator=now.progress.torch("labeled")) < rates[TRUTH]
    second = torch.rand(6, generator=now.progress.torch("unlabeled")) < 1 - done * (1 - rates[q.argmax(1)])
    labeled = (cross_entropy(outputs["labeled"].heads["balanced"], TRUTH, reduction="none") * first).sum() / 4
    rows = [-(q * outputs[n].heads["balanced"].log_softmax(1)).sum(1) * sure * second for n in ("strong", "other")]
    torch.testing.assert_close(term.value, labeled + torch.cat(rows).sum() / 12)
    assert term.weight == 0.5 and second.all() == (done == 0)


def test_targets_carry_no_gradient_and_the_base_classifier_none_either() -> None:
    plugin, outputs, now = head(threshold=0.0), answers(), step()
    plugin.loss(now, outputs.__getitem__, ("labeled", "weak", "strong"), now.progress).value.backward()
    assert outputs["weak"].heads["balanced"].grad is None
    assert outputs["strong"].heads["balanced"].grad.any() and outputs["labeled"].heads["balanced"].grad.any()


def test_without_the_unlabeled_stream_labels_are_left() -> None:
    plugin, outputs = head(), answers()
    alone = replace(step(), unlabeled=None)
    plugin.loss(alone, outputs.__getitem__, ("labeled",), alone.progress).value.backward()
    assert outputs["labeled"].heads["balanced"].grad.any()


def test_the_head_decides_what_is_measured_and_not_what_steps_are_labeled_by() -> None:
    outputs = answers()["weak"]
    assert BalancedHead().decide(outputs, "evaluation") is outputs.heads["balanced"]
    assert BalancedHead().decide(outputs, "pool") is outputs.heads["balanced"]
    assert BalancedHead().decide(outputs, "step") is outputs.logits


def test_the_head_fits_the_students_features() -> None:
    student = SimpleNamespace(model=SimpleNamespace(get_classifier=lambda: nn.Linear(7, 3)), classes=3)
    made = BalancedHead(head="second").extend_model(student)
    assert list(made) == ["second"] and made["second"].weight.shape == (3, 7)


def test_views_that_do_not_do_are_said() -> None:
    now = step()
    for on in (("weak", "strong"), ("labeled", "weak"), ("strong", "labeled", "weak")):
        with pytest.raises(RecipeError, match="it takes labeled views first, then two or more of the unlabeled stream"):
            head().loss(now, answers().__getitem__, on, now.progress)
