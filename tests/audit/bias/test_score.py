"""Score intervals with skewness: Wilson's as a special case, ends the test just accepts, misses on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.score import score_bounds, third_moment, variance_at
from audit.statistics import wilson

QUANTILE = np.array([1.959964])


@pytest.mark.parametrize(("women", "n"), [(3, 40), (20, 40), (0, 12), (119, 120)])
def test_a_plain_share_gets_wilsons_interval(women, n):
    share, size = np.array([women / n]), np.array([float(n)])
    found = score_bounds(share, size, drift=(1 - 2 * share) / size, quantile=QUANTILE)
    exact = wilson(women, n)
    assert [found.low[0], found.high[0]] == pytest.approx([exact.low, exact.high], abs=1e-6)


@pytest.mark.parametrize("drift", [-0.01, 0.0, 0.02])
def test_the_ends_are_just_accepted(drift):
    share, size = np.array([0.4]), np.array([70.0])
    found = score_bounds(share, size, drift=np.array([drift]), quantile=QUANTILE)
    for end in (found.low, found.high):
        variance = variance_at(end, share, n=size, drift=np.array([drift]))
        assert (end - share) ** 2 == pytest.approx(QUANTILE**2 * variance)


def test_third_moments_are_those_of_a_skewed_share():
    values, chances = np.array([[[0.0, 1.0]]]), np.array([[0.9, 0.1]])
    assert third_moment(values, chances) == pytest.approx([0.1 * 0.9 * 0.8])


def test_skewed_estimates_miss_equally_often_on_both_sides():
    """Few labels carry the error: a label against the reading in 7 % of the cases, as of a reader with low recall."""
    rng, m, chance = np.random.default_rng(3), 90, 0.07
    drawn = rng.random((20_000, m)) < chance
    wrong = drawn.mean(axis=1)
    share, truth = 0.3 + wrong, 0.3 + chance
    variance = np.maximum(wrong * (1 - wrong) / m, 1e-9)
    size = share * (1 - share) / variance
    drift = (1 - 2 * wrong) / m  # third moment over variance of this mean

    def misses(slope):
        found = score_bounds(share, size, drift=slope, quantile=QUANTILE)
        return np.mean(found.low > truth), np.mean(found.high < truth)

    too_high, too_low = misses(drift)
    assert max(too_high, too_low) < 0.04
    _, lopsided = misses(np.zeros_like(drift))
    assert lopsided > 0.045 > 0.04 > too_low
