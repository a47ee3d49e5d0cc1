"""Two runs side by side: coverage of the difference, pairing, the same reader, and runs that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.comparison import compare_runs
from audit.bias.readings import ErrorMatrix, Readings
from benchmarks.bias_audits import DEEPFACE
from generator.errors import InputError

TWO = ("woman", "man")


def readings(counts, names=None):
    table = np.asarray(counts)
    return Readings(table, TWO, tuple(names or (f"p{row}" for row in range(len(table)))))


def runs(rng, *, before, after, images=20, rates=DEEPFACE):
    """Counts of two runs whose prompts have these shares of women."""
    return tuple(
        readings(rng.multinomial(images, np.stack([shares, 1 - shares], axis=1) @ rates))
        for shares in (before, after)
    )


def test_interval_of_the_difference_covers_and_the_reader_cancels():
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        before = rng.beta(0.6, 0.9, size=30)
        after = np.clip(0.5 + (before - 0.5) * 0.5, 0, 1)  # steered half of the way to parity
        matrix = ErrorMatrix(np.array([rng.multinomial(250, row) for row in DEEPFACE]), TWO)
        found = compare_runs(
            *runs(rng, before=before, after=after, images=8), matrices=(matrix, matrix), draws=300, rng=rng
        )
        held.append(found.bounds.low[0] <= 0.05 <= found.bounds.high[0])  # mean .40 before, .45 after
    assert np.mean(held) >= 0.85  # three standard errors of 40 below .95


def test_pairing_makes_the_interval_narrower_than_the_spread_of_prompts():
    rng = np.random.default_rng(0)
    shares = rng.beta(0.6, 0.6, size=60)
    before, after = runs(rng, before=shares, after=shares, images=200, rates=np.eye(2, 3))
    found = compare_runs(before, after, matrices=(None, None), rng=rng)
    assert found.bounds.high[0] - found.bounds.low[0] < 0.04  # unpaired: 4 * .33 / sqrt(60) * sqrt(2) = .25
    assert found.p_value > 0.05
    assert found.prompt_p.min() > 0.01


def test_a_steered_run_is_nearer_and_its_prompts_are_named():
    rng = np.random.default_rng(0)
    before, after = runs(rng, before=np.repeat([0.0, 1.0], 20), after=np.full(40, 0.5), rates=np.eye(2, 3))
    found = compare_runs(before, after, matrices=(None, None), rng=rng)
    assert found.distance_change < -0.3
    assert found.distance_bounds.high < -0.3
    assert abs(found.difference[0]) < 0.1  # opposite stereotypes cancel in the mean, not in the distance
    assert np.all(found.prompt_p <= 0.05)
    assert np.all(found.prompt_bounds.low[:20, 0] > 0)


def test_prompts_of_one_run_only_are_named_and_left_out():
    one = readings([[5, 5, 0]] * 6, names="abcdef")
    other = readings([[5, 5, 0]] * 5 + [[0, 0, 9]], names="abcdxf")
    found = compare_runs(one, other, matrices=(None, None), rng=np.random.default_rng(0))
    assert found.prompt_ids == ("a", "b", "c", "d")  # f was not read in the second run
    assert (found.only_before, found.only_after) == (("e",), ("x",))
    assert (found.bounds.low[0], found.bounds.high[0]) == (-1.0, 1.0)  # fewer than five prompts prove nothing


@pytest.mark.parametrize(("other", "words"), [
    (Readings(np.ones((6, 3), dtype=int), ("man", "woman"), tuple("abcdef")), "only runs read with one schema"),
    (readings([[5, 5, 0]] * 6, names="uvwxyz"), "no prompt was read in both"),
])  # fmt: skip
def test_runs_that_do_not_fit_are_refused(other, words):
    with pytest.raises(InputError, match=words):
        compare_runs(readings([[5, 5, 0]] * 6, names="abcdef"), other, matrices=(None, None),
                     rng=np.random.default_rng(0))  # fmt: skip
