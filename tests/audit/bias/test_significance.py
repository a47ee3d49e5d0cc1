"""Tests: published values, level kept by simulation, multiplicity, and prompts as the unit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from audit.bias.intervals import estimate_shares
from audit.bias.readings import ErrorMatrix, Readings
from audit.bias.significance import (
    BENJAMINI_HOCHBERG,
    HOLM,
    adjust,
    adjust_benjamini_hochberg,
    adjust_holm,
    bootstrap_p,
    multinomial_p,
    permute_prompts,
    prompt_p_values,
    sign_flip_p,
)
from benchmarks.bias_audits import Setting
from benchmarks.bias_coverage import rejects_any_prompt, rejects_overall, rejects_spread
from generator.errors import InputError

TWO = ("woman", "man")
PARITY = np.array([0.5, 0.5])


def readings(counts, groups=TWO):
    table = np.asarray(counts)
    return Readings(table, groups, tuple(f"p{index}" for index in range(len(table))))


def test_holm_by_hand():
    assert adjust_holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_as_scipy():
    p_values = np.random.default_rng(0).uniform(size=40) ** 3
    assert adjust_benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))


@pytest.mark.parametrize("method", [HOLM, BENJAMINI_HOCHBERG])
def test_adjusting_keeps_order_and_accepts_nothing(method):
    p_values = np.array([0.2, 0.001, 0.9, 0.03])
    adjusted = adjust(p_values, method=method)
    assert np.array_equal(np.argsort(adjusted), np.argsort(p_values))
    assert np.all(adjusted >= p_values)
    assert adjust(np.zeros(0), method=method).shape == (0,)


def test_unknown_corrections_and_impossible_p_values_are_refused():
    with pytest.raises(InputError, match="Bonferroni"):
        adjust(np.array([0.1]), method="Bonferroni")
    with pytest.raises(InputError, match="\\[0, 1\\]"):
        adjust_holm(np.array([0.1, 1.2]))


@pytest.mark.parametrize(("k", "n", "p"), [(0, 8, 0.5), (3, 11, 0.3), (33, 100, 0.5)])
def test_exact_multinomial_of_two_groups_is_the_binomial_test(k, n, p):
    mine = multinomial_p(np.array([k, n - k]), np.array([p, 1 - p]), rng=np.random.default_rng(0))
    assert mine == pytest.approx(binomtest(k, n, p).pvalue)


def test_exact_multinomial_by_enumeration_and_by_simulation_agree(monkeypatch):
    counts, reference = np.array([9, 2, 1]), np.array([1 / 3] * 3)
    exact = multinomial_p(counts, reference, rng=np.random.default_rng(0))
    monkeypatch.setattr("audit.bias.significance.MAX_OUTCOMES", 1)
    simulated = multinomial_p(counts, reference, rng=np.random.default_rng(0))
    assert simulated == pytest.approx(exact, abs=0.004)
    assert multinomial_p(np.array([0, 0, 0]), reference, rng=np.random.default_rng(0)) == 1.0
    with pytest.raises(InputError, match="sum to 1"):
        multinomial_p(counts, np.array([0.5, 0.5, 0.5]), rng=np.random.default_rng(0))


def test_prompt_p_values_without_reader_errors_are_exact_binomial():
    found = prompt_p_values(
        readings([[0, 8, 0], [6, 2, 5], [0, 0, 3]]), None, PARITY, rng=np.random.default_rng(0)
    )
    assert found == pytest.approx([binomtest(0, 8).pvalue, binomtest(6, 8).pvalue, 1.0])


def test_a_reader_that_misses_women_does_not_make_a_finding():
    matrix = ErrorMatrix(np.array([[167, 83, 0], [3, 247, 0]]), TWO)
    counts = [[17, 33, 0]]  # what a balanced prompt looks like to it
    rng = np.random.default_rng(0)
    assert prompt_p_values(readings(counts), None, PARITY, rng=rng)[0] < 0.05
    assert prompt_p_values(readings(counts), matrix, PARITY, rng=rng)[0] > 0.5


def test_a_blind_reader_makes_no_finding_of_anything():
    blind = ErrorMatrix(np.array([[250, 0, 0], [250, 0, 0]]), TWO)
    assert prompt_p_values(readings([[50, 0, 0]]), blind, PARITY, rng=np.random.default_rng(0))[0] > 0.5


def test_bootstrap_sees_a_lean_shared_by_prompts_and_not_one_that_cancels():
    rng = np.random.default_rng(0)
    lean = [[3, 13, 0], [5, 11, 0]] * 12
    assert bootstrap_p(readings(lean), None, PARITY, rng=rng) < 0.01
    assert bootstrap_p(readings([[0, 16, 0], [16, 0, 0]] * 12), None, PARITY, rng=rng) > 0.5
    assert bootstrap_p(readings([[0, 16, 0]] * 4), None, PARITY, rng=rng) == 1.0


def test_a_group_never_seen_does_not_refute_that_it_is_rare():
    rare, never = np.array([0.02, 0.98]), readings([[0, 16, 0]] * 24)
    rng = np.random.default_rng(0)
    assert bootstrap_p(never, None, rare, rng=rng) == 1.0
    assert bootstrap_p(never, None, PARITY, rng=rng) < 0.01


def test_bootstrap_agrees_with_the_interval():
    rng = np.random.default_rng(5)
    for counts in rng.multinomial(12, [0.42, 0.53, 0.05], size=(20, 24)):
        table = readings(counts)
        p_value = bootstrap_p(table, None, PARITY, rng=np.random.default_rng(0))
        estimate = estimate_shares(table, None, rng=np.random.default_rng(0))
        if abs(p_value - 0.05) > 0.02:  # closer, two sets of resamples may differ
            assert (p_value < 0.05) == (not estimate.low[0] <= 0.5 <= estimate.high[0])


def test_sign_flip_of_three_groups_keeps_its_level_and_finds_a_tilt():
    rng = np.random.default_rng(0)
    reference, tilt = np.full(3, 1 / 3), np.array([0.5, 0.3, 0.2])
    fair = [
        sign_flip_p(rng.multinomial(15, reference, size=30) / 15, reference, draws=300, rng=rng) <= 0.05
        for _ in range(200)
    ]
    assert np.mean(fair) <= 0.1
    assert sign_flip_p(rng.multinomial(15, tilt, size=30) / 15, reference, rng=rng) < 0.01
    with pytest.raises(InputError, match="sign flip"):
        sign_flip_p(np.zeros((0, 3)), reference, rng=rng)


def test_tests_keep_their_level():
    clustered, alike = Setting(20, 8), Setting(20, 8, icc=0.0)
    for hits in (
        rejects_overall(clustered, audits=200, draws=400),
        rejects_any_prompt(alike, audits=30),
        rejects_spread(alike, audits=300, draws=200),
    ):
        assert np.mean(hits) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(hits))


def test_permuting_prompts_finds_a_trend_and_only_a_trend():
    rng = np.random.default_rng(0)
    wage = rng.normal(size=60)
    noise = rng.uniform(size=60)
    trend = permute_prompts(0.3 * wage + noise, wage, draws=2000, rng=rng)
    assert trend.p_value < 0.01
    assert trend.slope == pytest.approx(0.3, abs=0.1)
    assert np.mean([permute_prompts(rng.permutation(noise), wage, draws=400, rng=rng).p_value <= 0.05
                    for _ in range(200)]) < 0.1  # fmt: skip
    with pytest.raises(InputError, match="differ"):
        permute_prompts(noise, np.ones(60), rng=rng)


def test_fair_diffusion_findings_after_correction(shared_data):
    text = (shared_data / "bias" / "fair_diffusion" / "results_fairface_generated_1-5.txt").read_text()
    numbers = np.array([int(n) for n in re.findall(r"(?:woman|man): (\d+)", text)]).reshape(-1, 2)
    counts = np.column_stack([numbers[:, 1], numbers[:, 0], 0 * numbers[:, 0]])
    p_values = prompt_p_values(readings(counts), None, PARITY, rng=np.random.default_rng(0))
    share = np.mean(adjust_benjamini_hochberg(p_values) <= 0.05)
    assert round(100 * share, 1) == 92.2
