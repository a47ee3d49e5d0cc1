"""Shares from readings: exact inversion, the simplex, worst cases, and matrices that hold no information."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.bias.estimators import (
    assess_contrast,
    correct,
    draw_rates,
    naive_shares,
    project_to_simplex,
    unmix,
    worst_case_bounds,
)
from audit.bias.readings import ErrorMatrix, Readings, check_reference, count_readings
from generator.errors import CannotCheckError, InputError

TWO = ("woman", "man")
RATES = np.array([[0.60, 0.30, 0.10], [0.02, 0.93, 0.05]])


def test_correction_undoes_known_errors_exactly():
    rates = np.array([[0.7, 0.1, 0.05, 0.15], [0.2, 0.6, 0.1, 0.1], [0.0, 0.1, 0.7, 0.2]])
    truth = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    assert np.allclose(correct(truth @ rates, rates), truth)


def test_balanced_generator_reads_as_34_percent_women_and_is_corrected_to_half():
    deepface = ErrorMatrix(np.array([[301, 148, 0], [5, 391, 0]]), TWO)
    read = np.array([0.5, 0.5]) @ deepface.rates
    assert read[0] == pytest.approx(0.342, abs=1e-3)
    assert correct(read, deepface.rates) == pytest.approx([0.5, 0.5])


def test_correction_does_not_mind_a_reader_that_gives_up_more_often_for_all_alike():
    read = np.array([0.3, 0.7]) @ RATES
    hesitant = np.append(read[:2] * 0.5, 1 - read[:2].sum() * 0.5)
    assert correct(hesitant, RATES) == pytest.approx([0.3, 0.7])


def test_correction_stays_on_the_simplex_where_the_readings_are_beyond_it():
    assert correct(np.array([0.0, 1.0, 0.0]), RATES) == pytest.approx([0.0, 1.0])
    assert correct(np.array([1.0, 0.0, 0.0]), RATES) == pytest.approx([1.0, 0.0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_projection_is_the_nearest_point_of_the_simplex(values):
    point = np.array(values)
    projected = project_to_simplex(point)
    assert projected.min() >= 0
    assert projected.sum() == pytest.approx(1)
    corners = np.eye(len(point))
    # A projection onto a convex set makes an obtuse angle with every direction into it.
    assert np.all((corners - projected) @ (point - projected) <= 1e-8)


def test_a_singular_matrix_is_refused():
    always = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    with pytest.raises(CannotCheckError, match="does not depend"):
        unmix(np.array([1.0, 0.0, 0.0]), always)


def test_drawn_matrices_centre_on_the_counts_and_spread_as_the_labels_allow():
    matrix = ErrorMatrix(np.array([[167, 83, 0], [3, 247, 0]]), TWO)
    drawn = draw_rates(matrix, 2, draws=4000, rng=np.random.default_rng(0))
    assert np.allclose(drawn.sum(axis=-1), 1)
    assert drawn.mean(axis=0) == pytest.approx(matrix.rates, abs=0.005)
    assert drawn[:, 0, 0].std() == pytest.approx(np.sqrt(0.668 * 0.332 / 250), rel=0.1)


def test_naive_shares_leave_out_the_undetermined():
    assert naive_shares(np.array([[3, 1, 4], [0, 0, 5]])).tolist() == [[0.75, 0.25], [0.0, 0.0]]


def test_worst_case_bounds_hold_every_way_to_fill_in_the_undetermined():
    exact = np.eye(2, 3)
    bounds = worst_case_bounds(np.array([[3, 1, 4], [0, 0, 5]]), exact)
    assert bounds.low.tolist() == [[3 / 8, 1 / 8], [0.0, 0.0]]
    assert bounds.high.tolist() == [[7 / 8, 5 / 8], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("counts", "usable", "words"),
    [
        ([[90, 10, 0], [5, 95, 0]], True, "tells every group"),
        ([[100, 0, 0], [100, 0, 0]], False, "hardly depends"),
        ([[55, 45, 0], [45, 55, 0]], False, "hardly depends"),
        ([[0, 0, 0], [5, 95, 0]], False, "no labelled image of group 'woman'"),
        ([[0, 0, 9], [5, 95, 0]], False, "no determined reading of group 'woman'"),
    ],
)
def test_contrast_says_whether_a_matrix_can_correct_anything(counts, usable, words):
    contrast = assess_contrast(ErrorMatrix(np.array(counts), TWO), rng=np.random.default_rng(0))
    assert contrast.usable is usable
    assert words in contrast.reason


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ([[1, 2], [3, 4]], TWO),
        ([[1, -2, 0], [3, 4, 0]], TWO),
        ([[1.5, 2, 0], [3, 4, 0]], TWO),
        ([[1, 2, 0], [3, 4, 0]], ("woman", "woman")),
        ([[1, 2, 0], [3, 4, 0]], ("woman", "undetermined")),
        ([[1, 2]], ("woman",)),
    ],
)
def test_impossible_matrices_are_refused(counts, groups):
    with pytest.raises(InputError, match="expected"):
        ErrorMatrix(np.array(counts), groups)


def test_counting_keeps_undetermined_readings_and_prompts_without_images():
    readings = count_readings(
        ["woman", "undetermined", "man"], ["a", "a", "b"], groups=TWO, prompt_ids=["a", "b", "c"]
    )
    assert readings.counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert readings.n_images.tolist() == [2, 1, 0]
    assert readings.determined.tolist() == [1, 1, 0]
    assert readings.rates.shape == (2, 3)
    assert readings.pooled().counts.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    ("values", "prompts", "words"),
    [
        (["child"], ["a"], "unknown reading \\['child'\\]"),
        (["man"], ["z"], "unknown prompt \\['z'\\]"),
        (["man"], ["a", "a"], "1 readings for 2 images"),
    ],
)
def test_unknown_readings_and_prompts_are_named(values, prompts, words):
    with pytest.raises(InputError, match=words):
        count_readings(values, prompts, groups=TWO, prompt_ids=["a"])


def test_repeated_prompts_are_refused():
    with pytest.raises(InputError, match="all different"):
        Readings(np.zeros((2, 3), dtype=np.int64), TWO, ("a", "a"))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"woman": 0.5}, "missing groups \\['man'\\]"),
        ({"woman": 0.5, "man": 0.4, "other": 0.1}, "unknown groups \\['other'\\]"),
        ({"woman": 0.5, "man": 0.4}, "sum to 1"),
        ({"woman": 1.5, "man": -0.5}, "sum to 1"),
    ],
)
def test_references_that_do_not_fit_are_refused(reference, words):
    with pytest.raises(InputError, match=words):
        check_reference(reference, TWO)


def test_parity_is_the_default_reference():
    assert check_reference(None, ("a", "b", "c", "d")).tolist() == [0.25] * 4
    assert check_reference({"man": 0.7, "woman": 0.3}, TWO).tolist() == [0.3, 0.7]
