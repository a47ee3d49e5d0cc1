"""Amplification against training data: verdicts by hand, the published ones, and how many stand."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.amplification import Amplification, compare_with_training, difference_bounds
from audit.statistics import Bounds, wilson_bounds
from benchmarks.bias_published import measure_fair_diffusion
from generator.errors import InputError


def compare(training, generated, *, n=250):
    training, generated = np.array(training), np.array(generated)
    return compare_with_training(
        training / 5000, generated / n, training_bounds=wilson_bounds(training, 5000),
        generated_bounds=wilson_bounds(generated, n),
    )  # fmt: skip


def test_verdicts_and_what_stands_by_hand():
    # Training .30: .02 is farther, .45 nearer, .31 the same; .248 is farther by less than 250 images can show.
    found = compare([1500] * 4, [5, 112, 78, 62])
    assert found.published == (
        Amplification.AMPLIFIED, Amplification.MITIGATED, Amplification.REFLECTED, Amplification.AMPLIFIED,
    )  # fmt: skip
    assert found.stands.tolist() == [True, True, False, False]
    assert found.change[0] == pytest.approx(0.28)
    assert found.counts()[Amplification.AMPLIFIED] == (2, 1)


def test_a_flip_to_the_other_side_is_no_mitigation():
    found = compare([1500], [200])
    assert found.published == (Amplification.AMPLIFIED,)
    assert found.change[0] == pytest.approx(0.1)


def test_reflection_stands_only_with_enough_images():
    assert not compare([1500], [75]).stands[0]
    assert compare([1500], [1500], n=5000).stands[0]


def test_difference_bounds_cover():
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        a, b = rng.binomial(60, 0.3), rng.binomial(90, 0.55)
        bounds = [wilson_bounds(k, n) for k, n in ((a, 60), (b, 90))]
        found = difference_bounds(
            np.asarray(a / 60), np.asarray(b / 90), first_bounds=bounds[0], second_bounds=bounds[1]
        )
        held.append(found.low <= -0.25 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.985


def test_what_does_not_fit_is_refused():
    nothing = Bounds(low=np.zeros(2), high=np.ones(2))
    with pytest.raises(InputError, match="amplification"):
        compare_with_training(np.zeros(2), np.zeros(3), training_bounds=nothing, generated_bounds=nothing)


def test_published_figures_are_reproduced(shared_data):
    figures = {f.name: f for f in measure_fair_diffusion(shared_data / "bias" / "fair_diffusion", orders=1)}
    assert all(figure.met for figure in figures.values())
    assert figures["published.amplified"].value == 56.86
    assert figures["published.amplified"].note.startswith("77 of 87 stand")
