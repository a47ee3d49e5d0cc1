"""One p-value from several: never smaller than it may be, under independence and under the worst dependence."""

import numpy as np
import pytest
from scipy import stats

from audit.combination import merge_any, merge_sequential
from generator.errors import InputError

DRAWS = 20_000
LEVELS = (0.3, 0.1, 0.01)


def share_below(merged, level):
    return np.mean([10**value <= level for value in merged])


def test_the_product_of_independent_p_values_is_exact():
    rng = np.random.default_rng(1)
    for count in (1, 2, 3):
        p = np.log10(rng.random((DRAWS, count)))
        merged = [merge_sequential(row) for row in p.tolist()]
        assert stats.kstest(10 ** np.array(merged), "uniform").pvalue > 0.001


def test_the_product_is_valid_when_the_second_reading_follows_from_the_first():
    """The second mark is read where the first one points: in its better place when the first is small."""
    rng = np.random.default_rng(2)
    first = rng.random(DRAWS)
    places = rng.random((DRAWS, 2))
    second = np.where(first < 0.5, places[:, 0], np.minimum(1, 2 * places.min(axis=1)))
    merged = [merge_sequential(pair) for pair in np.log10(np.column_stack([first, second])).tolist()]
    for level in LEVELS:
        share = share_below(merged, level)
        assert share <= level + 4 * np.sqrt(level / DRAWS)
        assert share >= level / 2


def test_merging_under_any_dependence_holds_where_the_product_does_not():
    rng = np.random.default_rng(3)
    u = rng.random(DRAWS)
    equal = np.column_stack([u, u, u])
    spread = np.column_stack([u, (u + 1 / 3) % 1, (u + 2 / 3) % 1])  # each small when the others are not
    for p in (equal, spread):
        merged = [merge_any(row) for row in np.log10(np.maximum(p, 1e-300)).tolist()]
        for level in LEVELS:
            assert share_below(merged, level) <= level + 4 * np.sqrt(level / DRAWS)
    worst = [merge_any(row) for row in np.log10(np.maximum(spread, 1e-300)).tolist()]
    assert share_below(worst, 0.1) == pytest.approx(0.1, abs=0.01)  # no smaller factor would do
    product = [merge_sequential(row) for row in np.log10(np.maximum(equal, 1e-300)).tolist()]
    assert share_below(product, 0.01) > 0.03


def test_far_tails_and_single_marks():
    assert merge_sequential([-200.0]) == -200.0
    assert merge_any([-200.0]) == -200.0
    assert merge_any([-30.0, -2.0]) == pytest.approx(-30 + np.log10(2))
    assert merge_sequential([-30.0, -2.0]) == pytest.approx(-32 + np.log10(1 + 32 * np.log(10)))
    assert merge_sequential([-200.0, -200.0]) == pytest.approx(-400 + np.log10(1 + 400 * np.log(10)))
    assert merge_sequential([0.0, 0.0]) == 0.0
    assert merge_any([0.0, -0.1]) == 0.0


@pytest.mark.parametrize("bad", [[], [0.1], [float("nan")], [-1.0, float("nan")]])
@pytest.mark.parametrize("merge", [merge_any, merge_sequential])
def test_what_is_no_p_value_is_refused(bad, merge):
    with pytest.raises(InputError, match="each at most 0"):
        merge(bad)
