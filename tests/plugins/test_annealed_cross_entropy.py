import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from sslkit import Batch, Outputs, Progress, Step, Targets, View
from sslkit_plugins.loss.annealed_cross_entropy import AnnealedCrossEntropy, annealed_threshold, waiting_rows

PROBS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.05, 0.05, 0.9]])
TRUTH = torch.tensor([0, 1, 1, 2])  # p(y) = 0.5, 0.8, 0.3, 0.9


def test_thresholds_by_hand() -> None:
    """Xie et al. 2019: all from 1/K to 1, log above linear above exp between."""
    assert annealed_threshold(0, "linear", 10) == pytest.approx(0.1)
    assert annealed_threshold(0.5, "linear", 10) == pytest.approx(0.55)
    assert annealed_threshold(1, "linear", 10) == 1
    assert annealed_threshold(0.5, "exp", 10) == pytest.approx(math.exp(-2.5) * 0.9 + 0.1)
    assert annealed_threshold(0.5, "log", 10) == pytest.approx((1 - math.exp(-2.5)) * 0.9 + 0.1)
    assert annealed_threshold(0, "log", 10) == pytest.approx(0.1) and annealed_threshold(1, "exp", 10) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["linear", "exp", "log"]), st.integers(2, 1000))
def test_thresholds_rise_from_an_even_guess_to_certainty(one: float, other: float, growth: str, classes: int) -> None:
    low, high = (annealed_threshold(f, growth, classes) for f in sorted((one, other)))  # type: ignore[arg-type]
    assert 1 / classes <= low <= high <= 1 + 1e-12


def test_rows_wait_by_the_probability_of_the_truth_and_not_of_the_top_class() -> None:
    """A toolkit in use tests the top probability: row 2, wrong with 0.4, would be dropped at 0.35."""
    kept = waiting_rows(PROBS.log(), torch.eye(3)[TRUTH], 0.35)
    assert kept.tolist() == [0, 0, 1, 0]
    assert waiting_rows(PROBS.log(), torch.eye(3)[TRUTH], 0.8001).tolist() == [1, 1, 1, 0]


def made(
    step: int, truth: Tensor = TRUTH, on: tuple[str, ...] = ("labeled",), **fields: object
) -> tuple[Tensor, Tensor]:
    """The loss at a step of ten, and its gradient."""
    logits = PROBS.log().requires_grad_()
    index = torch.arange(4)
    view = View("labeled", torch.zeros(4, 3, 2, 2))
    given_ = Step(
        Batch("labeled", index, index, {"labeled": view}, truth, classes=3), None, Progress(0, step=step, steps=10)
    )
    plugin = AnnealedCrossEntropy(**fields)  # type: ignore[arg-type]
    value = plugin.loss(given_, lambda view, model=None: Outputs(logits), on, given_.progress).value
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


def test_the_mean_is_over_the_rows_that_count() -> None:
    value, gradient = made(5)  # the threshold is 2/3: rows 0 and 2
    rows = cross_entropy(PROBS.log(), TRUTH, reduction="none")
    torch.testing.assert_close(value, (rows[0] + rows[2]) / 2)
    assert gradient.any(1).tolist() == [True, False, True, False]
    everything, _ = made(5, average="all")
    torch.testing.assert_close(everything, (rows[0] + rows[2]) / 4)
    torch.testing.assert_close(made(10)[0], rows.mean())


def test_where_no_row_counts_it_is_zero() -> None:
    value, gradient = made(0, torch.tensor([0, 1, 2, 2]))
    assert value == 0 and not gradient.any()


def test_a_views_own_targets_count_by_what_is_expected_of_them() -> None:
    """MixUp's: half of one class, half of another; and filtered rows neither count nor are counted."""
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    own = replace(Targets.of(torch.arange(4), soft), weight=torch.tensor([1.0, 1.0, 0.0, 0.5]))
    index, view = torch.arange(4), View("labeled", torch.zeros(4, 3, 2, 2), own)
    given_ = Step(
        Batch("labeled", index, index, {"labeled": view}, TRUTH, classes=3), None, Progress(0, step=5, steps=10)
    )
    value = (
        AnnealedCrossEntropy()
        .loss(given_, lambda view, model=None: Outputs(PROBS.log()), ("labeled",), given_.progress)
        .value
    )
    rows = -(soft * PROBS.log()).sum(1)  # expected p(y): 0.4, 0.8 (waits), filtered, 0.05
    torch.testing.assert_close(value, (rows[0] + 0.5 * rows[3]) / 2)
