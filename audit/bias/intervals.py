"""Intervals over prompts, for two claims that must not be confused.

- `NEW_PROMPTS`: "new prompts of this kind". Prompts are the sampling unit, images of one prompt hang
  together: a bootstrap over prompts, calibrated to Student's t for the number of prompts.
- `THESE_PROMPTS`: "more images of exactly these prompts". Only the draw of images within each prompt varies.

Both weigh prompts equally and both carry the uncertainty of the reader's error matrix. The first interval is
wider unless all prompts behave alike; `Clustering` says by how much (ICC, design effect, effective n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.bias.clustering import compute_clustering
from audit.bias.estimators import correct, draw_rates, point_rates
from audit.bias.melding import MeldedReader
from audit.bias.readings import ErrorMatrix, Floats, Readings
from audit.statistics import Bounds, require_level
from generator.errors import InputError

NEW_PROMPTS = "new prompts of this kind"
THESE_PROMPTS = "these prompts"
MIN_CLUSTERS = 5  # below this no calibrated bootstrap over prompts exists
_FEW_PROMPTS = 1.0  # prompt's worth of images of a group; with less its spread over prompts is unknown
_FEW_IMAGES = 5.0
_UNSEEN_PROMPTS = 0.25  # prompts' worth; keeps coverage for shares near 0 or 1 (benchmarks.bias)


@dataclass(frozen=True, slots=True, eq=False)
class ShareEstimate:
    """Shares of the groups over prompts, with intervals.

    Attributes:
        groups: k names.
        estimates: float64 (k,), corrected, sums to 1.
        low: float64 (k,), lower ends, each group at `level`.
        high: float64 (k,), upper ends.
        level: two-sided confidence of each interval.
        method: how the interval was computed.
        claim: NEW_PROMPTS or THESE_PROMPTS.
        n_prompts: prompts with images.
        n_images: images, undetermined ones included.
    """

    groups: tuple[str, ...]
    estimates: Floats
    low: Floats
    high: Floats
    level: float
    method: str
    claim: str
    n_prompts: int
    n_images: int


def bootstrap_weights(n_prompts: int, *, draws: int, rng: np.random.Generator) -> Floats:
    """Random weights over prompts whose weighted mean varies as Student's t says it should.

    Gamma weights, to be divided by their sum, with a concentration such that the variance of a weighted mean
    is (t / z)^2 S^2 / P at the two-sided 95 % point. Unlike with t, the mean stays within the range of the
    data and keeps its skewness.

    Args:
        n_prompts: P >= 5.
        draws: number of weight vectors.
        rng: the run's generator.

    Returns:
        float64 (draws, P), positive; rows do not sum to 1 yet.

    Raises:
        InputError: fewer than 5 prompts.

    Source: Rubin 1981, Annals of Statistics 9(1) (Bayesian bootstrap); the calibration is ours and is
    tested by simulation (benchmarks.bias).
    """
    from scipy.special import ndtri, stdtrit

    if n_prompts < MIN_CLUSTERS:
        raise InputError(f"bootstrap over prompts: got {n_prompts} prompts, expected at least {MIN_CLUSTERS}")
    inflation = float(stdtrit(n_prompts - 1, 0.975) / ndtri(0.975)) ** 2
    concentration = ((n_prompts - 1) / inflation - 1.0) / n_prompts
    return rng.standard_gamma(concentration, size=(draws, n_prompts)) + 1e-300


def bootstrap_rates(
    readings: Readings, *, draws: int, beside: Floats | None = None, rng: np.random.Generator
) -> Floats:
    """Mean reading rates over resampled prompts.

    A quarter of a prompt is added whose images are all of one group, any group alike, weighed by the ICC: where
    images of a prompt hang together, prompts of a kind not yet seen are to be expected.

    Args:
        readings: counts per prompt.
        draws: resamples.
        beside: float64 (P, c), something else known of every prompt, averaged over the same resamples; the prompt
            that is added has its mean.
        rng: the run's generator.

    Returns:
        float64 (draws, k + 1), rows sum to 1; with `beside` (draws, k + 1 + c).

    Raises:
        InputError: fewer than 5 prompts with images.
    """
    rates = readings.rates
    k = rates.shape[1] - 1
    other = np.zeros((len(rates), 0)) if beside is None else beside[readings.n_images > 0]
    weights = bootstrap_weights(len(rates), draws=draws, rng=rng)
    unseen = _UNSEEN_PROMPTS * np.clip(compute_clustering(readings.counts).icc, 0.0, 1.0) / k
    extra = rng.standard_gamma(unseen, size=(draws, k))
    added = extra.sum(axis=1, keepdims=True)
    more = np.concatenate([extra, np.zeros((draws, 1)), added * other.mean(axis=0)], axis=1)
    total = weights.sum(axis=1, keepdims=True) + added
    return np.asarray((weights @ np.concatenate([rates, other], axis=1) + more) / total, dtype=np.float64)


def _within_draws(readings: Readings, *, draws: int, rng: np.random.Generator) -> Floats:
    """Mean reading rates if these prompts were asked again, normal: (draws, k + 1)."""
    counts = readings.counts[readings.n_images > 0]
    n = counts.sum(axis=1)
    rates = readings.rates
    outer = rates[:, :, None] * rates[:, None, :]
    spread = rates[:, :, None] * np.eye(rates.shape[1]) - outer  # (P, k + 1, k + 1)
    # One image alone says nothing of the spread within its prompt; the largest a prompt can have is used.
    pooled = rates.mean(axis=0)
    most = np.diag(pooled) - np.outer(pooled, pooled)
    covariance = np.where((n > 1)[:, None, None], spread / np.maximum(n - 1, 1)[:, None, None], most)
    mean_covariance = covariance.sum(axis=0) / len(n) ** 2
    return rng.multivariate_normal(pooled, mean_covariance, size=draws, method="eigh", check_valid="ignore")


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Groups whose spread cannot be learnt: effective trials read as each group, and which are at an edge."""

    seen: Floats
    edge: NDArray[np.bool_]


def find_edges(readings: Readings, *, claim: str) -> Edges:
    """Which groups were hardly ever or nearly always read.

    Args:
        readings: counts per prompt.
        claim: NEW_PROMPTS counts each prompt as one trial, THESE_PROMPTS each image.

    Returns:
        float64 (k,) and bool (k,).
    """
    named = readings.counts[readings.determined > 0, :-1].astype(np.float64)
    few = _FEW_IMAGES
    if claim == NEW_PROMPTS:
        named, few = named / named.sum(axis=1, keepdims=True), _FEW_PROMPTS
    seen = named.sum(axis=0)
    return Edges(seen, (seen < few) | (seen.sum() - seen < few))


def _widen_at_edges(
    bounds: Bounds,
    readings: Readings,
    matrix: ErrorMatrix | None,
    *,
    level: float,
    claim: str,
    rng: np.random.Generator,
) -> Bounds:
    """Where a group was hardly ever or nearly always read, resampling cannot see the spread: exact bounds.

    For new prompts each prompt counts as one trial, the worst case (a mean share m leaves P prompts without
    the group with probability at most (1 - m)^P, whatever the prompts' spread). For these prompts each
    image is a trial, which bounds a stratified sample (Hoeffding 1956).
    """
    found = find_edges(readings, claim=claim)
    seen, edge = found.seen, found.edge
    if not edge.any():
        return bounds
    tails = MeldedReader.build(matrix, len(seen), rng=rng)
    exact = tails.bounds(np.append(seen, 0.0)[None, :], level=level)
    low, high = bounds.low.copy(), bounds.high.copy()
    low[edge] = np.minimum(low, exact.low[0])[edge]
    high[edge] = np.maximum(high, exact.high[0])[edge]
    return Bounds(low=low, high=high)


def estimate_shares(
    readings: Readings,
    matrix: ErrorMatrix | None,
    *,
    claim: str = NEW_PROMPTS,
    level: float = 0.95,
    draws: int = 4000,
    rng: np.random.Generator,
) -> ShareEstimate:
    """Mean share of every group over prompts, corrected for reader errors, with an interval.

    Args:
        readings: counts per prompt; prompts without images are left out (and counted by the caller).
        matrix: the reader's errors; None: the readings are taken as the truth.
        claim: NEW_PROMPTS or THESE_PROMPTS.
        level: two-sided confidence of each group's interval.
        draws: resamples of prompts (or images) and, jointly, of the error matrix.
        rng: the run's generator.

    Returns:
        Shares in [0, 1]; the estimate always lies within its interval.

    Raises:
        InputError: groups of readings and matrix differ, nothing was determined, an unknown claim, or fewer
            than 5 prompts for NEW_PROMPTS.
        CannotCheckError: the error matrix is singular.
    """
    require_level(level)
    check_same_groups(readings, matrix)
    if claim not in (NEW_PROMPTS, THESE_PROMPTS):
        raise InputError(f"claim: got {claim!r}, expected {NEW_PROMPTS!r} or {THESE_PROMPTS!r}")
    if not readings.determined.any():
        raise InputError("estimate: every reading is undetermined, there is nothing to estimate from")
    k, rates = len(readings.groups), readings.rates
    if claim == NEW_PROMPTS:
        drawn = bootstrap_rates(readings, draws=draws, rng=rng)
        method = "cluster bootstrap over prompts, calibrated to t; error matrix drawn"
    else:
        drawn = _within_draws(readings, draws=draws, rng=rng)
        method = "normal within prompts (stratified); error matrix drawn"
    shares = correct(drawn, draw_rates(matrix, k, draws=draws, rng=rng))
    point = correct(rates.mean(axis=0), point_rates(matrix, k))
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0)
    bounds = Bounds(low=np.minimum(low, point), high=np.maximum(high, point))
    bounds = _widen_at_edges(bounds, readings, matrix, level=level, claim=claim, rng=rng)
    n_images = int(readings.n_images.sum())
    return ShareEstimate(
        readings.groups, point, bounds.low, bounds.high, level, method, claim, len(rates), n_images
    )


def check_same_groups(readings: Readings, matrix: ErrorMatrix | None) -> None:
    """Refuse an error matrix whose groups are not the readings' groups, in the same order.

    Raises:
        InputError: they differ; both lists are named.
    """
    if matrix is not None and matrix.groups != readings.groups:
        raise InputError(
            f"error matrix: groups {list(matrix.groups)}, expected {list(readings.groups)} as in the readings"
        )
