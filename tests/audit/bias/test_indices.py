"""Indices of distance: known values, the worst for one group, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.indices import (
    INDICES,
    bound_impact_ratio,
    bound_total_variation,
    entropy_deficit,
    impact_ratio,
    jensen_shannon,
    total_variation,
)
from audit.bias.measures import compute_spread
from audit.bias.readings import Readings
from audit.bias.simultaneous import goodman_bounds
from audit.statistics import Bounds, wilson_bounds

PARITY = np.array([0.5, 0.5])


def test_known_values():
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert jensen_shannon(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == pytest.approx(0.0)
    assert entropy_deficit(np.array([[0.25] * 4, [1, 0, 0, 0]]), PARITY) == pytest.approx([0.0, 1.0])
    assert impact_ratio(np.array([0.2, 0.8]), np.array([0.4, 0.6])) == pytest.approx(0.375)


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("index", INDICES, ids=lambda index: index.name)
def test_every_index_is_zero_at_parity_and_worst_for_one_group(index, k):
    parity = np.full(k, 1 / k)
    assert index.compute(parity[None], parity) == pytest.approx([0.0], abs=1e-7)
    one = np.eye(k)[0]
    assert index.compute(one, parity) == pytest.approx(index.worst(parity))
    others = np.random.default_rng(0).dirichlet(np.ones(k), size=200)
    assert index.compute(others, parity).max() <= index.worst(parity) + 1e-12


@pytest.mark.parametrize("index", INDICES, ids=lambda index: index.name)
def test_opposite_stereotypes_cancel_in_no_index(index):
    counts = np.array([[16, 0, 0], [0, 16, 0]] * 12)
    spread = compute_spread(
        Readings(counts, ("a", "b"), tuple(map(str, range(24)))),
        None,
        PARITY,
        draws=400,
        rng=np.random.default_rng(0),
    )
    found = spread.indices[index.name]
    assert found.observed == pytest.approx(found.worst)
    assert found.p_value < 0.01


def test_eight_images_of_a_fair_generator_stay_within_every_null_band():
    counts = np.random.default_rng(3).multinomial(8, [0.5, 0.5, 0.0], size=100)
    spread = compute_spread(
        Readings(counts, ("a", "b"), tuple(map(str, range(100)))), None, PARITY, draws=400,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    for found in spread.indices.values():
        assert found.null_low <= found.observed <= found.null_high
        assert found.null_mean > 0.05  # the bare number would look biased


@pytest.mark.parametrize("k", [2, 4])
def test_bounds_of_indices_cover(k):
    rng = np.random.default_rng(k)
    truth, reference = rng.dirichlet(np.full(k, 4.0)), np.full(k, 1 / k)
    held = []
    for counts in rng.multinomial(80, truth, size=300):
        found = wilson_bounds(counts, 80) if k == 2 else goodman_bounds(counts)
        ratio, variation = bound_impact_ratio(found, reference), bound_total_variation(found, reference)
        held.append(
            ratio.low - 1e-9 <= impact_ratio(truth, reference) <= ratio.high + 1e-9
            and variation.low - 1e-9 <= total_variation(truth, reference) <= variation.high + 1e-9
        )
    assert np.mean(held) >= 0.92


def test_bounds_around_the_reference_reach_it():
    around = Bounds(low=np.array([0.4, 0.4]), high=np.array([0.6, 0.6]))
    assert bound_impact_ratio(around, PARITY).high == 1.0
    assert bound_impact_ratio(around, PARITY).low == pytest.approx(4 / 6)
    assert bound_total_variation(around, PARITY).low == 0.0
    assert bound_total_variation(around, PARITY).high == pytest.approx(0.1)
