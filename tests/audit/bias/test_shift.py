"""The shift check: finds the published shifts, keeps its level, and says when it had nothing to test with."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.labelled import LabelledReadings
from audit.bias.readings import ErrorMatrix
from audit.bias.shift import check_labelled_shift, error_design_effect
from benchmarks.bias_audits import Setting, simulate
from benchmarks.bias_coverage import flags_no_shift
from generator.errors import InputError

TWO = ("woman", "man")


def test_published_shift_is_flagged_in_nine_of_ten_audits():
    flagged = [
        check_labelled_shift(audit.matrix, audit.labelled, rng=rng).p_value <= 0.05
        for audit, rng in simulate(Setting(20, 8, shifted=True), audits=60)
    ]
    assert np.mean(flagged) >= 0.9


def test_no_shift_is_flagged_at_the_level_only():
    assert np.mean(flags_no_shift(Setting(20, 30), audits=150)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_errors_that_hang_together_count_less():
    together = np.zeros((40, 3, 3))
    together[:20, 1, 0] = together[20:, 0, 0] = 5  # all images of a prompt are missed, or none
    apart = np.zeros((40, 3, 3))
    rng = np.random.default_rng(0)
    wrong = rng.binomial(5, 0.5, size=40)
    apart[:, 1, 0], apart[:, 0, 0] = wrong, 5 - wrong
    assert error_design_effect(LabelledReadings(together, TWO)) > 3
    assert error_design_effect(LabelledReadings(apart, TWO)) == pytest.approx(1, abs=0.3)


def test_too_few_labels_are_said_to_be_too_few():
    matrix = ErrorMatrix(np.array([[90, 10, 0], [5, 95, 0]]), TWO)
    labelled = LabelledReadings(np.ones((1, 3, 3)), TWO)
    found = check_labelled_shift(matrix, labelled, rng=np.random.default_rng(0))
    assert not found.tested
    assert found.p_value == 1.0
    assert "cannot be tested" in found.reason


def test_more_labels_detect_smaller_shifts():
    matrix = ErrorMatrix(np.array([[900, 100, 0], [50, 950, 0]]), TWO)
    detectable = [
        check_labelled_shift(
            matrix, LabelledReadings(np.array([[[9, 0, 0], [1, 10, 0], [0, 0, 0]]]) * size, TWO),
            rng=np.random.default_rng(0),
        ).detectable
        for size in (2.0, 20.0)
    ]  # fmt: skip
    assert detectable[0] > 2 * detectable[1]


def test_groups_that_differ_are_refused():
    matrix = ErrorMatrix(np.array([[90, 10, 0], [5, 95, 0]]), ("man", "woman"))
    with pytest.raises(InputError, match="groups"):
        check_labelled_shift(matrix, LabelledReadings(np.ones((1, 3, 3)), TWO), rng=np.random.default_rng(0))
