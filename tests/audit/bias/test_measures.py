"""Measures: known values, chance bands, no cancelling, one-group models, and a published audit reproduced."""

from __future__ import annotations

import re

import numpy as np
import pytest

from audit.bias.indices import total_variation
from audit.bias.measures import (
    compute_spread,
    deviation_bound,
    margin_bounds,
    margin_variation,
    prompt_shares,
    worst_variation,
)
from audit.bias.readings import ErrorMatrix, Readings
from generator.errors import InputError

TWO = ("woman", "man")
PARITY = np.array([0.5, 0.5])
MATRIX = ErrorMatrix(np.array([[167, 83, 0], [3, 247, 0]]), TWO)


def readings(counts, groups=TWO):
    table = np.asarray(counts)
    return Readings(table, groups, tuple(f"p{index}" for index in range(len(table))))


def spread(counts, matrix=None, *, seed=0, reference=PARITY, groups=TWO):
    return compute_spread(
        readings(counts, groups), matrix, reference, draws=400, rng=np.random.default_rng(seed)
    )


def test_total_variation_of_two_groups_is_the_gap():
    assert total_variation(np.array([[0.8, 0.2], [0.5, 0.5]]), PARITY) == pytest.approx([0.3, 0.0])
    assert worst_variation(np.array([0.2, 0.3, 0.5])) == pytest.approx(0.8)


def test_margin_is_ten_points_around_one_half_and_never_holds_an_absent_group():
    half = margin_bounds(PARITY)
    assert (half.low[0], half.high[0]) == pytest.approx((0.40, 0.60), abs=1e-3)
    assert margin_variation(PARITY) == pytest.approx(0.10, abs=1e-3)
    assert margin_bounds(np.full(10, 0.1)).low.min() > 0.04
    with pytest.raises(InputError, match="margin"):
        margin_bounds(PARITY, effect=-0.1)


def test_a_fair_generator_at_eight_images_shows_a_deviation_of_137_thousandths():
    found = spread(np.random.default_rng(0).multinomial(8, [0.5, 0.5, 0.0], size=200)).reference
    assert found.null_mean == pytest.approx(0.137, abs=0.002)
    assert found.null_low <= found.observed <= found.null_high
    assert found.excess < 0.02
    assert found.p_value > 0.05


def test_null_bands_of_a_fair_generator_at_250_images():
    found = spread(np.random.default_rng(0).multinomial(250, [0.5, 0.5, 0.0], size=100)).reference
    assert found.null_mean == pytest.approx(0.025, abs=0.001)


def test_opposite_stereotypes_do_not_cancel():
    found = spread([[16, 0, 0], [0, 16, 0]] * 12)
    assert prompt_shares(readings([[16, 0, 0], [0, 16, 0]] * 12), None).mean(axis=0).tolist() == [0.5, 0.5]
    assert found.reference.observed == found.reference.worst == 0.5
    assert found.reference.excess == 0.5
    assert found.pooled.observed == found.pooled.worst == 0.5
    assert found.reference.p_value < 0.01


@pytest.mark.parametrize("k", [2, 3, 7])
def test_a_model_that_shows_one_group_only_gets_the_worst_score(k):
    counts = np.zeros((24, k + 1), dtype=int)
    counts[:, 0] = 12
    groups = tuple("abcdefg"[:k])
    found = spread(counts, reference=np.full(k, 1 / k), groups=groups)
    assert found.reference.observed == pytest.approx(1 - 1 / k)
    assert found.reference.excess == pytest.approx(found.reference.worst)
    assert found.largest_gap == pytest.approx(1 - 1 / k)
    assert found.pooled.observed == pytest.approx(0.0, abs=1e-12)  # alike in every prompt, however biased


def test_reader_errors_make_no_spread_of_a_fair_generator():
    rng = np.random.default_rng(4)
    read = PARITY @ np.array([[0.67, 0.33, 0.0], [0.01, 0.99, 0.0]])
    counts = rng.multinomial(16, read, size=60)
    assert spread(counts, MATRIX).reference.p_value > 0.05
    assert spread(counts).reference.p_value < 0.01  # taken at face value, the same readings look biased


def test_largest_gap_names_its_prompt_and_skips_unread_ones():
    found = spread([[0, 0, 9], [5, 5, 0], [9, 1, 0], [6, 4, 0]])
    assert (found.largest_prompt, found.largest_gap) == ("p2", pytest.approx(0.4))


def test_upper_bound_of_the_deviation_covers_and_shrinks():
    rng = np.random.default_rng(0)
    covered, widths = 0, []
    for _ in range(100):
        shares = rng.beta(2, 2, size=40)
        counts = rng.multinomial(12, np.stack([shares, 1 - shares, 0 * shares], axis=1))
        bound = deviation_bound(readings(counts), None, PARITY, draws=300, rng=rng)
        covered += bound >= 0.1875  # E|p - 1/2| of Beta(2, 2)
        widths.append(bound)
    assert covered >= 93
    fair = rng.multinomial(64, [0.5, 0.5, 0.0], size=40)
    assert deviation_bound(readings(fair), None, PARITY, rng=rng) < 0.06 < np.mean(widths)


def test_no_bound_from_a_handful_of_prompts_or_single_images():
    for counts in ([[4, 4, 0]] * 4, [[1, 0, 0], [0, 1, 0]] * 10):
        found = spread(counts)
        assert not found.bounded


def test_nothing_determined_is_refused():
    with pytest.raises(InputError, match="undetermined"):
        spread([[0, 0, 5], [0, 0, 4]])


def _women(path):
    numbers = [int(n) for n in re.findall(r"(?:woman|man): (\d+)", path.read_text())]
    man, woman = np.array(numbers[::2]), np.array(numbers[1::2])
    return np.stack([woman, man, 0 * man], axis=1)


def test_fair_diffusion_is_reproduced_and_its_spread_is_not_hidden(shared_data):
    folder = shared_data / "bias" / "fair_diffusion"
    laion = _women(folder / "results_fairface_laion.txt")
    made = _women(folder / "results_fairface_generated_1-5.txt")
    before, after = (prompt_shares(readings(table), None)[:, 0] for table in (laion, made))
    seen = np.count_nonzero((before > 0.47) & (before < 0.53)) / len(before)
    assert round(100 * seen, 2) == 4.58
    found = spread(made)
    assert made[:, 0].sum() / made.sum() == pytest.approx(0.448, abs=1e-3)
    assert found.reference.observed == pytest.approx(0.311, abs=1e-3)
    assert found.reference.p_value < 0.01
    assert len(after) == 153
