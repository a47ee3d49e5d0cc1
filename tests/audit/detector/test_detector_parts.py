"""Calibration, gate, processing and figures: each against what is known by construction."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from audit.detector.calibration import Calibration, Verdict, conformal_upper, fit_calibration, fit_platt
from audit.detector.evaluation import (
    compute_auc,
    compute_calibration_error,
    compute_clustered_share,
    compute_share,
    compute_tpr_at_fpr,
)
from audit.detector.gate import STATISTICS, describe_image, fit_gate, image_statistics
from audit.detector.processing import MEASURED_CHAINS, draw_chain, recode
from audit.detector.scoring import grid_crops
from generator.errors import InputError
from generator.portraits.corpus import Corpus, Rates


def labelled(rng: np.random.Generator, n: int, *, gap: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1], n)
    return rng.normal(labels * gap, 1.0), labels


@pytest.mark.parametrize("gap", [1.0, 2.0, 12.0])
def test_verdicts_keep_both_promised_error_rates(gap: float) -> None:
    """Over many calibrations: P(called synthetic | real) <= alpha and P(called real | synthetic) <= alpha."""
    rng = np.random.default_rng(1)
    false_alarms, misses, repeats = 0, 0, 1500
    for _ in range(repeats):
        calibration = fit_calibration(*labelled(rng, 60, gap=gap), alpha=0.1)
        false_alarms += calibration.decide(rng.normal(0.0)) is Verdict.SYNTHETIC
        misses += calibration.decide(rng.normal(gap)) is Verdict.REAL
    spread = 4 * np.sqrt(0.1 * 0.9 / repeats)
    assert false_alarms / repeats <= 0.1 + spread
    assert misses / repeats <= 0.1 + spread


def test_overlapping_classes_abstain_and_separate_ones_answer() -> None:
    rng = np.random.default_rng(2)
    for gap, least, most in ((0.2, 0.6, 1.0), (12.0, 0.0, 0.12)):
        calibration = fit_calibration(*labelled(rng, 400, gap=gap), alpha=0.05)
        logits, _ = labelled(rng, 500, gap=gap)
        abstained = np.mean([calibration.decide(float(x)) is Verdict.ABSTAIN for x in logits])
        assert least <= abstained <= most


def test_between_separate_classes_is_no_verdict() -> None:
    calibration = Calibration(
        1.0, 0.0, real_upper=-2.0, synthetic_lower=2.0, alpha=0.05, n_real=1, n_synthetic=1
    )
    assert [calibration.decide(x) for x in (-3.0, 0.0, 3.0)] == [
        Verdict.REAL,
        Verdict.ABSTAIN,
        Verdict.SYNTHETIC,
    ]


def test_platt_recovers_a_known_curve_and_stays_finite_when_separated() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 60_000)
    labels = (rng.random(60_000) < 1 / (1 + np.exp(-(0.7 * logits)))).astype(np.int64)
    slope, offset = fit_platt(logits, labels)
    assert slope == pytest.approx(0.7, abs=0.03)
    assert offset == pytest.approx(0.0, abs=0.05)
    slope, offset = fit_platt(np.repeat([-30.0, 30.0], 50), np.repeat([0, 1], 50))
    assert np.isfinite([slope, offset]).all()
    assert slope > 0


def test_calibrated_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(4)
    calibration = fit_calibration(*labelled(rng, 4000, gap=1.5))
    logits, labels = labelled(rng, 4000, gap=1.5)
    p = np.array([calibration.probability(float(x)) for x in logits])
    assert compute_calibration_error(p, labels) < 0.03
    assert compute_calibration_error(np.clip(p * 0.2, 0, 1), labels) > 0.2


def test_conformal_upper_by_hand() -> None:
    scores = np.arange(1.0, 20.0)  # 19 scores: (19 + 1) * 0.95 = 19th smallest
    assert conformal_upper(scores, alpha=0.05) == 19.0
    assert conformal_upper(scores[:-1], alpha=0.05) == np.inf
    assert conformal_upper(scores, alpha=0.5) == 10.0


def test_useless_calibrations_are_refused() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(InputError, match="at least 19 of each"):
        fit_calibration(*labelled(rng, 18, gap=1.0))
    with pytest.raises(InputError, match="learnt nothing"):
        fit_calibration(*labelled(rng, 100, gap=-2.0))


def describe(pixels: np.ndarray) -> np.ndarray:
    return describe_image(pixels, grid_crops(pixels, 64))


def test_gate_rejects_the_promised_share_and_what_is_elsewhere() -> None:
    corpus = Corpus(61, Rates.default(), 1000)
    descriptions = np.stack([describe(corpus.drawing(i, 96)) for i in range(900)])
    labels = np.arange(300) % 2
    gate = fit_gate(descriptions[:300], labels, descriptions[300:500], rejection=0.05)
    assert np.mean(gate.rejects(descriptions[500:])) == pytest.approx(0.05, abs=0.05)
    rng = np.random.default_rng(6)
    strangers = [
        np.full((96, 96, 3), 128, np.uint8),
        rng.integers(0, 256, (96, 96, 3), dtype=np.uint8),
        cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), (0, 0), 8),
        np.rot90(corpus.drawing(3, 96), 2).copy(),
        np.tile(corpus.drawing(3, 48), (2, 2, 1)),
    ]
    assert gate.rejects(np.stack([describe(pixels) for pixels in strangers])).all()
    assert gate.rejects(np.full((1, descriptions.shape[1]), np.nan)).all()
    with pytest.raises(InputError, match="at least 20"):
        fit_gate(descriptions[:300], labels, descriptions[:10], rejection=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 90, 3), (300, 200, 3)])
def test_statistics_of_any_image_are_finite(shape: tuple[int, int, int]) -> None:
    for pixels in (
        np.full(shape, 255, np.uint8),
        np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8),
    ):
        statistics = image_statistics(pixels)
        assert statistics.shape == (STATISTICS,)
        assert np.isfinite(statistics).all()


def test_chains_do_what_they_say() -> None:
    pixels = np.random.default_rng(8).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(MEASURED_CHAINS["png"](pixels), pixels)
    assert MEASURED_CHAINS["resize0.5"](pixels).shape == (32, 40, 3)
    for codec in ("jpeg", "webp"):
        coded = recode(pixels, codec=codec, quality=75)
        assert coded.shape == pixels.shape
        assert 0 < np.abs(coded.astype(int) - pixels).mean() < 60
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert recode(red, codec="jpeg", quality=95)[..., 0].mean() > 190  # the order of channels survives
    with pytest.raises(ValueError, match="png, jpeg or webp"):
        recode(pixels, codec="gif", quality=75)


def test_random_chains_are_repeatable_and_use_every_codec() -> None:
    chains = [draw_chain(np.random.default_rng(seed)) for seed in range(60)]
    assert chains == [draw_chain(np.random.default_rng(seed)) for seed in range(60)]
    assert {chain.codec for chain in chains} == {"png", "jpeg", "webp"}
    assert all(0.45 <= chain.scale <= 1.4 for chain in chains)


def test_auc_equals_the_reference_implementation_ties_included() -> None:
    rng = np.random.default_rng(9)
    real, synthetic = rng.integers(0, 6, 80).astype(float), rng.integers(2, 9, 50).astype(float)
    labels = np.repeat([0, 1], [80, 50])
    assert compute_auc(real, synthetic) == pytest.approx(
        roc_auc_score(labels, np.concatenate([real, synthetic]))
    )


def test_tpr_at_fpr_never_exceeds_the_false_alarm_rate() -> None:
    real, synthetic = np.arange(100.0), np.array([50.0, 98.0, 98.5, 200.0])
    assert (
        compute_tpr_at_fpr(real, synthetic, fpr=0.01) == 0.5
    )  # threshold 98: one of 100 real images lies above
    assert compute_tpr_at_fpr(real[:50], synthetic, fpr=0.01) == 1.0


def test_clustered_share_widens_with_clustering_and_covers() -> None:
    independent = compute_clustered_share([True, False] * 50, [f"p{i}" for i in range(100)])
    assert independent.interval == compute_share(50, 100).interval
    clumped = compute_clustered_share([i < 50 for i in range(100)], [i // 10 for i in range(100)])
    assert clumped.interval.high - clumped.interval.low > 1.8 * (
        independent.interval.high - independent.interval.low
    )
    alike = compute_clustered_share([True] * 100, [i // 10 for i in range(100)])
    assert alike.interval.low == pytest.approx(
        compute_share(10, 10).interval.low
    )  # ten prompts, not 100 images
    assert compute_clustered_share([], []).interval.low == 0.0


def test_clustered_interval_covers_in_its_own_setting() -> None:
    rng = np.random.default_rng(10)
    covered, repeats = 0, 600
    clusters = np.repeat(np.arange(24), 8)
    for _ in range(repeats):
        rates = rng.beta(4.0, 1.5, 24)  # each prompt has its own rate; mean 4 / 5.5
        share = compute_clustered_share((rng.random(192) < rates[clusters]).tolist(), clusters.tolist())
        covered += share.interval.low <= 4.0 / 5.5 <= share.interval.high
    assert 0.93 <= covered / repeats <= 0.995
