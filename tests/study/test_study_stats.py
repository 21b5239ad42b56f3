"""Paired differences against scipy, numbers done by hand, and what seeds look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind, ttest_rel

from sslkit.study.seeds import format_seeds, parse_seeds
from sslkit.study.stats import difference, level_of, paired_difference, spread, unpaired_difference


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_paired_difference_is_scipys(n):
    random = np.random.default_rng(n)
    a, b = random.normal(0.9, 0.05, n), random.normal(0.85, 0.05, n)
    found, scipys = paired_difference(list(a), list(b)), ttest_rel(a, b)
    interval = scipys.confidence_interval(0.95)
    assert found.mean == pytest.approx((a - b).mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(scipys.pvalue)
    assert found.pairs == n


def test_paired_difference_by_hand():
    found = paired_difference([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])  # 1, 2, 3: deviation 1, t(2) = 4.3027
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert found.reversed().mean == -2.0
    assert found.reversed().high == -found.low


def test_other_levels():
    narrow, wide = (paired_difference([1.0, 2.0, 4.0], [0.0, 0.0, 0.0], level) for level in (0.5, 0.99))
    assert narrow.half_width < wide.half_width


def test_one_pair_has_no_interval():
    found = paired_difference([0.9], [0.8])
    assert found.mean == pytest.approx(0.1)
    assert (found.half_width, found.low, found.high, found.p) == (None, None, None, None)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.5, 0.0)])
def test_differences_without_deviation(shift, p):
    found = paired_difference([1.0 + shift, 2.0 + shift], [1.0, 2.0])
    assert (found.mean, found.half_width, found.p) == (shift, 0.0, p)


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_cannot_be_paired(a, b):
    with pytest.raises(ValueError, match=r"pair|shorter|longer"):
        paired_difference(a, b)


def test_spread():
    assert spread({}).mean is None
    assert (spread({3: 0.5}).mean, spread({3: 0.5}).deviation) == (0.5, None)
    both = spread({0: 1.0, 1: 3.0})
    assert (both.mean, both.deviation) == (2.0, pytest.approx(2**0.5))


def test_only_seeds_of_both_are_paired():
    found = difference(spread({0: 1.0, 1: 2.0, 2: 9.0}), spread({1: 1.0, 0: 0.5, 5: 7.0}))
    assert (found.mean, found.pairs) == (0.75, 2)
    assert difference(spread({0: 1.0}), spread({1: 1.0})) is None


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-9", tuple(range(10))), ("0,3,5-7", (0, 3, 5, 6, 7)), (" 4 , 2 - 3 ", (4, 2, 3)), ("7", (7,)), ("3-3", (3,))],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "neither"), ("a", "'a' is neither"), ("1,,2", "neither"), ("-1", "neither"), ("1-2-3", "neither"),
     ("5-3", "backwards"), ("1,1", "seed 1 is named twice"), ("0-5,4", "seed 4 is named twice"), ("1.5", "neither"),
     ("0-99999999999", "more than 10,000"), ("0-9999,10000", "more than")],
)  # fmt: skip
def test_what_are_no_seeds(text, message):
    with pytest.raises(ValueError, match=message):
        parse_seeds(text)


@given(st.lists(st.integers(0, 60), unique=True, min_size=1))
def test_seeds_are_written_as_they_are_read(seeds):
    assert parse_seeds(format_seeds(seeds)) == tuple(seeds)


def test_seeds_are_written_shortly():
    assert format_seeds([0, 3, 5, 6, 7]) == "0, 3, 5-7"


# Without pairs ----------------------------------------------------------------------------------------------------


def test_an_unpaired_difference_by_hand():
    """Welch: (1, 3) and (2, 4, 6, 8). Variances 2 and 20/3; their means' 1 and 5/3, together 8/3."""
    found = unpaired_difference([1.0, 3.0], [2.0, 4.0, 6.0, 8.0])
    assert found.mean == -3 and found.pairs == 0
    freedom = (8 / 3) ** 2 / (1**2 / 1 + (5 / 3) ** 2 / 3)
    assert found.half_width == pytest.approx(t.ppf(0.975, freedom) * (8 / 3) ** 0.5)
    assert found.p == pytest.approx(ttest_ind([1, 3], [2, 4, 6, 8], equal_var=False).pvalue)


def test_an_unpaired_difference_of_hardly_anything():
    assert unpaired_difference([0.9], [0.8, 0.7]).half_width is None
    assert unpaired_difference([0.5, 0.5], [0.25, 0.25]) == unpaired_difference([0.5, 0.5], [0.25, 0.25, 0.25])
    same = unpaired_difference([0.5, 0.5], [0.5, 0.5])
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="both sides"):
        unpaired_difference([], [0.5])


@pytest.mark.parametrize(("comparisons", "level"), [(0, 0.95), (1, 0.95), (5, 0.99), (25, 0.998)])
def test_intervals_that_hold_together(comparisons, level):
    """Bonferroni: so many intervals of 1 - 0.05 / n miss something with 5% at most."""
    assert level_of(comparisons) == pytest.approx(level)


def test_a_corrected_interval_is_wider_and_says_its_level():
    a, b = [0.9, 0.95, 0.97], [0.85, 0.93, 0.91]
    plain, corrected = paired_difference(a, b), paired_difference(a, b, level_of(5))
    assert plain.level == 0.95 and corrected.level == pytest.approx(0.99) == corrected.reversed().level
    # t(0.975, 2) = 4.3027, t(0.995, 2) = 9.9248
    assert corrected.half_width / plain.half_width == pytest.approx(9.9248 / 4.3027, rel=1e-4)
    assert plain.mean == corrected.mean and plain.p == corrected.p


def test_equal_differences_have_no_width_however_they_are_rounded():
    found = paired_difference([0.93, 0.94, 0.92], [0.90, 0.91, 0.89])
    assert (found.half_width, found.p) == (0.0, 0.0) and found.mean == pytest.approx(0.03)
