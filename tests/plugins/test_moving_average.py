from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from sslkit import Progress
from sslkit_plugins.labeler.moving_average import MovingAverage, frozen_copy, move_average, warmed_up


class Model(nn.Module):
    """Parameters and every kind of buffer."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.low = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
        self.register_buffer("mask", torch.tensor([True, False]))
        for tensor in [*self.parameters(), *self.buffers()]:
            if tensor.is_floating_point():
                tensor.data = torch.randn(tensor.shape, generator=generator).to(tensor.dtype)
        self.body[1].num_batches_tracked.fill_(seed)  # type: ignore[union-attr, operator]


def naive(average: nn.Module, student: nn.Module, decay: float) -> dict[str, Tensor]:
    """A loop over the state, one tensor at a time."""
    new = student.state_dict()
    return {
        name: decay * old + (1 - decay) * new[name] if old.is_floating_point() else new[name].clone()
        for name, old in average.state_dict().items()
    }


def test_the_warm_up_by_hand() -> None:
    assert warmed_up(0.999, 0) == 0.1
    assert warmed_up(0.999, 8) == 0.5
    assert warmed_up(0.999, 10_000_000) == 0.999
    assert warmed_up(0.05, 0) == 0.05


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.9, 1.0])
def test_against_a_naive_loop(decay: float) -> None:
    average, student = frozen_copy(Model(1)), Model(2)
    before = deepcopy(student.state_dict())
    expected = naive(average, student, decay)
    move_average(average, student, decay, "average")
    torch.testing.assert_close(average.state_dict(), expected)
    torch.testing.assert_close(student.state_dict(), before, rtol=0, atol=0)
    assert average.state_dict()["body.1.num_batches_tracked"] == 2


def test_buffers_are_averaged_or_copied() -> None:
    for buffers in ("average", "copy"):
        average, student = frozen_copy(Model(1)), Model(2)
        expected = naive(average, student, 0.75)["body.1.running_var"]
        move_average(average, student, 0.75, buffers)  # type: ignore[arg-type]
        copied = student.state_dict()["body.1.running_var"]
        torch.testing.assert_close(
            average.state_dict()["body.1.running_var"], expected if buffers == "average" else copied
        )
        torch.testing.assert_close(
            average.state_dict()["body.0.weight"], naive(frozen_copy(Model(1)), student, 0.75)["body.0.weight"]
        )


def test_the_average_starts_as_the_student_and_learns_nothing_itself() -> None:
    student = Model(1).train()
    average = MovingAverage().average(student)
    torch.testing.assert_close(average.state_dict(), student.state_dict())
    assert not any(module.training for module in average.modules())
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert student.training and all(parameter.requires_grad for parameter in student.parameters())


def test_after_step_moves_by_the_decay_of_the_step() -> None:
    for warmup, step, decay in ((True, 8, 0.5), (False, 8, 0.9), (True, 1000, 0.9)):
        average, student = frozen_copy(Model(1)), Model(2)
        expected = naive(average, student, decay)
        MovingAverage(decay=0.9, warmup=warmup).after_step(student, average, Progress(0, step=step, steps=2000))
        torch.testing.assert_close(average.state_dict(), expected)


def test_tensors_of_one_type_move_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    lerp = torch._foreach_lerp_
    monkeypatch.setattr(torch, "_foreach_lerp_", lambda old, new, w: (calls.append(len(old)), lerp(old, new, w)))
    move_average(frozen_copy(Model(1)), Model(2), 0.9, "average")
    assert sorted(calls) == [1, 6]
