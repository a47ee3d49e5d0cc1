"""Kernel distance: unbiased, its interval covers, its test keeps its level and sees a difference."""

import numpy as np
import pytest

from generator.errors import InputError
from generator.two_sample import compute_kernel_distance


def cloud(rng, count, *, shift=0.0):
    rows = rng.normal(0, 1, (count, 16))
    rows[:, 0] += 2 + shift
    return rows


def test_same_distribution_gives_zero_on_average_and_keeps_the_level():
    rng = np.random.default_rng(1)
    found = [
        compute_kernel_distance(cloud(rng, 40), cloud(rng, 60), rng=rng, permutations=99) for _ in range(200)
    ]
    values = np.array([distance.value for distance in found])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert np.mean([distance.p_value <= 0.05 for distance in found]) < 0.095  # 3 simulation errors above 5 %


def test_interval_covers_the_distance_of_two_populations():
    rng = np.random.default_rng(2)
    truth = compute_kernel_distance(
        cloud(rng, 2500), cloud(rng, 2500, shift=0.8), rng=rng, permutations=1
    ).value
    found = [
        compute_kernel_distance(cloud(rng, 100), cloud(rng, 100, shift=0.8), rng=rng, permutations=1)
        for _ in range(300)
    ]
    covered = np.mean([distance.low <= truth <= distance.high for distance in found])
    assert 0.91 <= covered <= 0.985


def test_a_difference_is_seen():
    rng = np.random.default_rng(3)
    distance = compute_kernel_distance(cloud(rng, 200), cloud(rng, 200, shift=1.0), rng=rng, permutations=199)
    assert distance.p_value == 1 / 200
    assert 0 < distance.low < distance.value < distance.high


def test_too_few_rows_are_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(InputError, match="20 rows or more"):
        compute_kernel_distance(cloud(rng, 5), cloud(rng, 50), rng=rng)
