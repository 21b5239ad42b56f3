import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslkit import Progress
from sslkit_plugins.schedule.cosine import Cosine, cosine
from sslkit_plugins.schedule.linear_ramp import LinearRamp, linear_ramp
from sslkit_plugins.schedule.step_decay import StepDecay, step_decay


def at(step: int, steps: int = 100) -> Progress:
    return Progress(0, step=step, steps=steps)


def test_cosine_to_zero() -> None:
    schedule = Cosine()
    assert schedule.scheduled(at(0)) == 1
    assert schedule.scheduled(at(50)) == pytest.approx(math.sqrt(0.5))
    assert schedule.scheduled(at(100)) == pytest.approx(0, abs=1e-12)


def test_cosine_of_fixmatch() -> None:
    schedule = Cosine(cycles=7 / 16)
    assert schedule.scheduled(at(0)) == 1
    assert schedule.scheduled(at(50)) == pytest.approx(math.cos(7 * math.pi / 32))
    assert schedule.scheduled(at(100)) == pytest.approx(0.19509, abs=1e-5)


def test_cosine_annealing() -> None:
    for step in range(0, 101, 10):
        expected = (1 + math.cos(math.pi * step / 100)) / 2
        assert Cosine(power=2.0).scheduled(at(step)) == pytest.approx(expected, abs=1e-12)


def test_cosine_after_a_warm_up() -> None:
    schedule = Cosine(warmup_steps=4)
    assert [schedule.scheduled(at(step, 12)) for step in range(4)] == [0.25, 0.5, 0.75, 1]
    assert schedule.scheduled(at(4, 12)) == 1
    assert schedule.scheduled(at(8, 12)) == pytest.approx(math.sqrt(0.5))
    assert schedule.scheduled(at(12, 12)) == pytest.approx(0, abs=1e-12)
    assert cosine(5, 5, 0.5, 1, 10) == 0.6  # a warm-up longer than the generation


def test_stairs_of_noisy_student() -> None:
    schedule = StepDecay(every=2.5)
    assert [schedule.scheduled(at(step)) for step in range(6)] == pytest.approx([1, 1, 1, 0.97, 0.97, 0.97**2])
    assert schedule.scheduled(at(100)) == pytest.approx(0.97**40)


def test_stairs_are_counted_from_step_0_warm_up_included() -> None:
    made = [step_decay(step, 0.5, 3, 5) for step in range(8)]
    assert made == [0.2, 0.4, 0.6, 0.8, 1, 0.5, 0.25, 0.25]


def test_stairs_that_others_climbed_before() -> None:
    """The last steps of a schedule, by themselves: neither a warm-up nor the full rate again."""
    whole, rest = StepDecay(every=3, warmup_steps=5), StepDecay(every=3, warmup_steps=5, start=17)
    assert [rest.scheduled(at(step, 4)) for step in range(4)] == [whole.scheduled(at(17 + step)) for step in range(4)]
    assert rest.scheduled(at(0, 4)) == pytest.approx(0.97**5)


def test_linear_ramp() -> None:
    assert [linear_ramp(done, 0.4) for done in (0, 0.2, 0.4, 1)] == [0, 0.5, 1, 1]
    assert LinearRamp(fraction=1.0).scheduled(at(25)) == 0.25
    assert LinearRamp().scheduled(at(10)) == pytest.approx(0.25)


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.01, 0.5), st.floats(0.1, 4), st.integers(0, 50))
def test_factors_lie_between_0_and_1(step: int, steps: int, cycles: float, power: float, warmup: int) -> None:
    step = min(step, steps)
    assert 0 <= cosine(step, steps, cycles, power, warmup) <= 1
    assert 0 < step_decay(step, 0.97, power, warmup) <= 1
    assert 0 <= linear_ramp(step / steps, cycles) <= 1
