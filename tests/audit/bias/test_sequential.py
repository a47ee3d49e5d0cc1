"""Sequential audits: level under peeking, e-BH by hand, equivalence, budgets, and the reader's errors."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.readings import ErrorMatrix
from audit.bias.sequential import (
    SequentialAudit,
    Verdict,
    confidence_sequence,
    log_e_process,
    reading_range,
    reject_e_bh,
)
from audit.statistics import Bounds
from benchmarks.bias_coverage import peeks
from benchmarks.bias_published import FairDiffusion
from generator.errors import InputError

PARITY = np.array([0.5, 0.5])
TWO = ("woman", "man")
MATRIX = ErrorMatrix(np.array([[167, 83, 0], [3, 247, 0]]), TWO)


def at(share):
    return Bounds(low=np.asarray(share), high=np.asarray(share))


def test_e_process_by_hand():
    # After one success the Beta(1/2, 1/2) mixture has given it 1/2: no evidence; after two, 3/8 against 1/4.
    assert np.exp(log_e_process(1, 1, at(0.5))) == pytest.approx(1.0)
    assert np.exp(log_e_process(2, 2, at(0.5))) == pytest.approx(1.5)
    assert np.exp(log_e_process(0, 0, at(0.5))) == pytest.approx(1.0)
    assert log_e_process(1, 1, at(0.0)) == np.inf


def test_e_process_is_a_martingale_under_its_null_and_never_above_it_within_a_range():
    for n in (3, 12):
        x = np.arange(n + 1)
        from scipy.stats import binom

        assert np.exp(log_e_process(x, n, at(0.3))) @ binom.pmf(x, n, 0.3) == pytest.approx(1.0)
        wide = Bounds(low=np.asarray(0.2), high=np.asarray(0.6))
        assert np.exp(log_e_process(x, n, wide)) @ binom.pmf(x, n, 0.3) < 1.0


def test_peeking_after_every_image_keeps_the_level():
    assert np.mean(peeks(audits=120, images=60)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)
    assert np.mean(peeks(audits=40, with_reader=True, batch=10)) <= 0.1


def test_e_bh_by_hand():
    log_e = np.log([45.0, 20.0, 1.0, 0.2])  # thresholds 80, 40, 26.7, 20
    assert reject_e_bh(log_e).tolist() == [False] * 4
    log_e = np.log([45.0, 41.0, 1.0, 0.2])
    assert reject_e_bh(log_e).tolist() == [True, True, False, False]


def test_confidence_sequence_is_wider_than_one_look_and_holds_at_all_times():
    one = confidence_sequence(30, 100)
    assert one.low < 0.30 < one.high
    assert one.high - one.low > 0.19  # Clopper-Pearson: .188
    assert (confidence_sequence(0, 0).low, confidence_sequence(0, 0).high) == (0, 1)
    assert confidence_sequence(0, 20).low == 0
    rng, missed = np.random.default_rng(0), 0
    for _ in range(100):
        hits = np.cumsum(rng.random(200) < 0.3)
        found = confidence_sequence(hits, np.arange(1, 201))
        missed += bool(np.any((found.low > 0.3) | (found.high < 0.3)))
    assert missed <= 11


def test_a_stereotype_stops_early_and_its_images_are_spent_no_more():
    engine = SequentialAudit(("a", "b"), PARITY, margin=None, per_prompt=200)
    state = engine.progress()
    while not state.finished:
        state = engine.update(
            np.array([[0, 5, 0], [3, 2, 0]]) if engine.counts[1, 0] % 2 else np.array([[0, 5, 0], [2, 3, 0]])
        )
    assert state.verdicts == (Verdict.OUTSIDE, Verdict.OPEN)
    assert engine.counts[0].sum() < 30
    assert engine.counts[1].sum() == 200
    assert "1 of 2" in state.reason


def test_equality_within_the_margin_is_a_verdict_too():
    engine = SequentialAudit(("a",), PARITY, per_prompt=3000)
    state = engine.progress()
    while not state.finished:
        state = engine.update(np.array([[25, 25, 0]]))
    assert state.verdicts == (Verdict.WITHIN,)
    assert state.images < 1500


def test_the_budget_ends_it():
    engine = SequentialAudit(("a", "b"), PARITY, budget=40)
    state = engine.update(np.array([[10, 10, 0], [10, 10, 0]]))
    assert state.finished
    assert not state.active.any()
    assert state.verdicts == (Verdict.OPEN, Verdict.OPEN)
    assert "spent" in state.reason


def test_a_reader_that_misses_women_makes_no_finding_of_a_fair_prompt():
    counts = np.array([[170, 330, 0]])  # what a fair prompt looks like to it
    taken = SequentialAudit(("a",), PARITY, margin=None, per_prompt=500)
    known = SequentialAudit(("a",), PARITY, matrix=MATRIX, margin=None, per_prompt=500)
    assert taken.update(counts).verdicts == (Verdict.OUTSIDE,)
    assert known.update(counts).verdicts == (Verdict.OPEN,)
    assert known.update(np.array([[0, 0, 0]])).images == 500


def test_reading_range_holds_the_expected_reading_rate_and_grows_with_doubt():
    few = ErrorMatrix(MATRIX.counts // 5, TWO)
    shares = Bounds(low=PARITY, high=PARITY)
    known, unsure = reading_range(shares, MATRIX, alpha=0.01), reading_range(shares, few, alpha=0.01)
    expected = (PARITY @ MATRIX.rates)[0]
    assert unsure.low[0] < known.low[0] < expected < known.high[0] < unsure.high[0]


def test_batches_go_to_active_prompts_within_their_limits_and_the_budget():
    engine = SequentialAudit(("a", "b", "c"), PARITY, margin=None, per_prompt=40, budget=90)
    assert engine.next_batch(7).tolist() == [3, 2, 2]
    engine.update(np.array([[0, 30, 0], [18, 17, 0], [5, 5, 0]]))  # a is decided
    assert engine.next_batch(20).tolist() == [0, 5, 10]  # 75 of 90 are spent, b has five left
    engine.update(np.array([[0, 9, 0], [2, 3, 0], [5, 5, 0]]))  # images of a come too late to count
    assert engine.counts[0].sum() == 30
    assert engine.next_batch(20).tolist() == [0, 0, 0]


@pytest.mark.parametrize("options", [
    {"reference": np.array([0.5, 0.6])}, {"per_prompt": 0}, {"prompt_ids": ()}, {"alpha": 0.0},
])  # fmt: skip
def test_impossible_audits_are_refused(options):
    with pytest.raises(InputError):
        SequentialAudit(**({"prompt_ids": ("a",), "reference": PARITY} | options))


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="counts"):
        SequentialAudit(("a",), PARITY).update(np.zeros((2, 3), dtype=int))


def test_real_counts_are_decided_with_a_third_of_the_images(shared_data):
    data = FairDiffusion.load(shared_data / "bias" / "fair_diffusion")
    images, found = data.run_sequentially(seed=5)
    assert images <= 0.4 * data.generated.sum()
    assert found >= 0.85 * data.rejected()
