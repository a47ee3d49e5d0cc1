"""Intervals of a proportion: published values, exact coverage by enumeration, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from audit.statistics import clopper_pearson, clopper_pearson_bounds, wilson, wilson_bounds
from generator.errors import InputError


@pytest.mark.parametrize(("k", "n", "upper"), [(0, 9, 0.3363), (0, 250, 0.0146)])
def test_zero_of_n_has_an_upper_bound_above_zero(k, n, upper):
    interval = clopper_pearson(k, n)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(upper, abs=5e-4)
    assert (interval.level, interval.method) == (0.95, "clopper-pearson")


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 7), (33, 100), (301, 449)])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_agrees_with_scipy(k, n, level):
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        theirs = binomtest(k, n).proportion_ci(level, method=method)
        mine = ours(k, n, level=level)
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 8, 40])
def test_exact_interval_never_covers_less_than_its_level(n):
    k = np.arange(n + 1)
    bounds = clopper_pearson_bounds(k, n)
    for p in np.linspace(0.0, 1.0, 201):
        covered = (bounds.low <= p) & (p <= bounds.high)
        assert binom.pmf(k, n, p)[covered].sum() >= 0.95 - 1e-9


def test_wilson_covers_its_level_on_average():
    k = np.arange(41)
    bounds = wilson_bounds(k, 40)
    shares = np.linspace(0.02, 0.98, 301)
    cover = [binom.pmf(k, 40, p)[(bounds.low <= p) & (p <= bounds.high)].sum() for p in shares]
    assert 0.945 <= np.mean(cover) <= 0.96


def test_arrays_broadcast_and_equal_the_scalars():
    bounds = clopper_pearson_bounds(np.array([[0], [2]]), np.array([4, 9]))
    assert bounds.low.shape == (2, 2)
    assert bounds.high[1, 1] == clopper_pearson(2, 9).high


@pytest.mark.parametrize("function", [clopper_pearson, wilson])
def test_no_trials_say_nothing(function):
    interval = function(0, 0)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize("function", [clopper_pearson, wilson])
@pytest.mark.parametrize(
    ("k", "n", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (0.5, 2, 0.95), (1, 2, 1.0), (1, 2, 95)]
)
def test_impossible_counts_and_levels_are_refused(function, k, n, level):
    with pytest.raises(InputError, match="expected"):
        function(k, n, level=level)
