"""Shares from human labels of some audited images and readings of all: prediction-powered inference, clustered.

    share = power * (mean reading over all images) + mean over labelled images of (label - power * reading)

The labels make it right whatever the reader does, also where its error matrix does not transport; the readings
make it precise as far as they agree with the labels. `power` in [0, 1] is the one that leaves the least variance;
a useless reader gets 0 and the labels stand alone. Prompts weigh equally, images of one prompt hang together.

Two claims as in `audit.bias.intervals`. Intervals invert a score test with Student's t whose variance moves with the
share as the skewness of what was seen says (`audit.bias.score`). Degrees of freedom are those of the labelled
prompts, fewer where a few prompts carry the variance (kurtosis). Coverage is simulated in benchmarks.bias.

What this refuses to do: conclude from labels of a non-random subset (it cannot see that; whoever labels must draw
at random), or from fewer than `MIN_LABELS`.

Sources: Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453 (PPI++); Cochran 1977, chapter 12 (two-phase sampling);
Satterthwaite 1946.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.bias.clustering import compute_clustering
from audit.bias.intervals import MIN_CLUSTERS, NEW_PROMPTS, THESE_PROMPTS, ShareEstimate
from audit.bias.labelled import LabelledReadings
from audit.bias.melding import MeldedReader
from audit.bias.readings import Floats, Readings
from audit.bias.reference import reference_noise
from audit.bias.score import score_bounds, third_moment, variance_at
from audit.statistics import Bounds, require_level
from generator.errors import InputError

MIN_LABELS = 20  # below, neither the variance nor the power can be learnt
_UNSEEN_PROMPTS = 0.1  # prompts' worth of a kind not seen; keeps coverage for shares near 0 or 1
_FEW = (
    1.0  # labelled prompts' (or 5 times as many images') worth of a group, below which exact bounds are used
)
_MIN_FREEDOM = 3.0
_METHODS = {
    NEW_PROMPTS: "PPI++ with labels of audited images, clustered by prompt; score with skewness",
    THESE_PROMPTS: "PPI++ with labels of audited images, two-phase within prompts; score with skewness",
}


@dataclass(frozen=True, slots=True, eq=False)
class LabelledEstimate:
    """A share estimate with labels, and what belongs to it.

    Attributes:
        shares: estimates and intervals.
        power: weight of the readings, in [0, 1].
        n_labels: labelled images.
        effective_n: float64 (k,), independent labels the estimate is worth.
        freedom: float64 (k,), degrees of freedom of its t.
        p_value: of "the shares are the reference"; 1 when no reference was given.
    """

    shares: ShareEstimate
    power: float
    n_labels: int
    effective_n: Floats
    freedom: Floats
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Per prompt (with images): mean readings f, weighted label sums; labels' weights make prompts equal."""

    rates: Floats  # (P, r) mean reading
    labels: Floats  # (P, r) weighted sum of labels
    reads: Floats  # (P, r) weighted sum of readings of labelled images
    mass: Floats  # (P,) weight of labelled images
    n: Floats  # (P,) images
    m: Floats  # (P,) labelled images
    joint: Floats  # (r, r) weighted reading x label


def _sum(readings: Readings, labelled: LabelledReadings) -> _Sums:
    kept = readings.n_images > 0
    counts, n = labelled.counts[kept], readings.n_images[kept].astype(np.float64)
    weight = n.mean() / n
    m = counts.sum(axis=(1, 2))
    return _Sums(
        rates=readings.rates,
        labels=counts.sum(axis=1) * weight[:, None],
        reads=counts.sum(axis=2) * weight[:, None],
        mass=m * weight,
        n=n,
        m=m,
        joint=(counts * weight[:, None, None]).sum(axis=0),
    )


def _tune(joint: Floats) -> float:
    """Power that leaves the least variance of (label - power * reading), all groups together, in [0, 1]."""
    shares = joint / joint.sum()
    reads, labels = shares.sum(axis=1), shares.sum(axis=0)
    together = float(np.trace(shares) - reads @ labels)
    spread = 1.0 - float(reads @ reads)
    return min(max(together / spread, 0.0), 1.0) if spread > 1e-12 else 0.0


def _mean(sums: _Sums, power: float) -> Floats:
    """The estimate before any constraint, (r,)."""
    corrections = (sums.labels - power * sums.reads).sum(axis=0) / sums.mass.sum()
    return np.asarray(power * sums.rates.mean(axis=0) + corrections, dtype=np.float64)


def _between(sums: _Sums, power: float) -> Floats:
    """Influence of each prompt on the mean, (P, r), for the claim about new prompts."""
    count, mass = len(sums.n), sums.mass.sum()
    label = sums.labels.sum(axis=0) / mass
    read = sums.reads.sum(axis=0) / mass
    residual = sums.labels - power * sums.reads - sums.mass[:, None] * (label - power * read)
    return np.asarray(
        power * (sums.rates - sums.rates.mean(axis=0)) + count / mass * residual, dtype=np.float64
    )


def _within(sums: _Sums, power: float) -> Floats:
    """Covariance of the mean over these prompts, (r, r): images drawn anew, and labelled ones drawn from them."""
    shares = sums.joint / sums.joint.sum()
    labels, reads = shares.sum(axis=0), shares.sum(axis=1)
    spread_labels = np.diag(labels) - np.outer(labels, labels)
    spread_reads = np.diag(reads) - np.outer(reads, reads)
    together = shares - np.outer(reads, labels)
    residual = spread_labels + power**2 * spread_reads - power * (together + together.T)
    m, n = float(sums.m.sum()), float(sums.n.sum())
    per_image = float((1.0 / sums.n).sum()) / len(sums.n) ** 2
    unlabelled = max(1.0 / m - 1.0 / n, 0.0)
    first = _within_labels(sums, spread_labels) * per_image
    return np.asarray(first + unlabelled * residual * m / max(m - 2.0, 1.0), dtype=np.float64)


def _within_labels(sums: _Sums, total: Floats) -> Floats:
    """Covariance of labels within prompts, (r, r), from prompts with two labels; else the total covariance."""
    pairs = sums.m > 1
    freedom = float((sums.m[pairs] - 1).sum())
    if freedom < MIN_LABELS / 2:
        return total
    plain = sums.labels[pairs] / (sums.mass[pairs] / sums.m[pairs])[:, None]
    outer = np.einsum("pi,pj->ij", plain, plain / sums.m[pairs][:, None])
    return np.asarray((np.diag(plain.sum(axis=0)) - outer) / freedom, dtype=np.float64)


def _third_within(sums: _Sums, power: float, gradient: Floats) -> Floats:
    """Third central moment of the estimate over these prompts, (k,): images drawn anew, labelled ones from them."""
    shares = sums.joint / sums.joint.sum()
    m, n = float(sums.m.sum()), float(sums.n.sum())
    residual = gradient[:, None, :] - power * gradient[:, :, None]  # (k, reading, label)
    unlabelled = max(1 - m / n, 0.0) * max(1 - 2 * m / n, 0.0) / m**2
    first = third_moment(gradient[:, None, :], shares.sum(axis=0, keepdims=True)) / n**2
    return np.asarray(first + unlabelled * third_moment(residual, shares), dtype=np.float64)


def _freedom(influence: Floats, labelled_prompts: int) -> Floats:
    """Satterthwaite's degrees of freedom of each column's summed squares, from their kurtosis."""
    squares = influence**2
    total = np.maximum(squares.sum(axis=0), 1e-100)
    kurtosis = len(influence) * (squares**2).sum(axis=0) / total**2
    found = 2.0 * len(influence) / np.maximum(kurtosis - 1.0, 0.1)
    return np.asarray(
        np.clip(found, _MIN_FREEDOM, max(labelled_prompts - 2.0, _MIN_FREEDOM)), dtype=np.float64
    )


def _ratio_gradient(mean: Floats) -> Floats:
    """Gradient (k, k + 1) of shares among the determined: mean[g] / (1 - mean[undetermined])."""
    k, total = len(mean) - 1, max(float(mean[:-1].sum()), 1e-12)
    shares = mean[:-1] / total
    gradient = np.zeros((k, k + 1))
    gradient[:, :-1] = (np.eye(k) - shares[:, None]) / total
    return gradient


def _edge_bounds(sums: _Sums, *, claim: str, level: float) -> tuple[Bounds, NDArray[np.bool_]]:
    """Exact bounds from labels alone, each labelled prompt (or image) one trial; and which groups need them."""
    seen = sums.m > 0
    worth, few = sums.labels[seen, :-1] / sums.mass[seen, None], _FEW
    if claim == THESE_PROMPTS:
        worth, few = worth * sums.m[seen, None], 5 * _FEW
    trials = np.append(worth.sum(axis=0), 0.0)
    total = trials.sum()
    exact = MeldedReader.build(None, len(trials) - 1, rng=np.random.default_rng(0))
    bounds = exact.bounds(trials[None], level=level)
    edge = (trials[:-1] < few) | (total - trials[:-1] < few)
    return Bounds(low=bounds.low[0], high=bounds.high[0]), edge


def estimate_with_labels(
    readings: Readings,
    labelled: LabelledReadings,
    *,
    claim: str = NEW_PROMPTS,
    level: float = 0.95,
    reference: Floats | None = None,
    reference_trials: Floats | None = None,
) -> LabelledEstimate:
    """Shares over prompts from labels of some images and readings of all, with intervals.

    Args:
        readings: counts per prompt; prompts without images are left out.
        labelled: labels beside readings, a random draw of the images, same prompts and groups.
        claim: NEW_PROMPTS or THESE_PROMPTS.
        level: two-sided confidence of each group's interval.
        reference: float64 (k,) or (P, k) to test against, sums to 1 over k; None: no test.
        reference_trials: float64 (P,), effective sample size behind each prompt's reference; None: exact.

    Returns:
        Shares among images that a human could determine; every estimate lies within its interval.

    Raises:
        InputError: groups or prompts differ, fewer than `MIN_LABELS` labels, no determined label, an unknown
            claim, or fewer than 5 labelled prompts for NEW_PROMPTS.
    """
    from scipy.special import stdtrit

    require_level(level)
    _check(readings, labelled, claim)
    sums = _sum(readings, labelled)
    power = _tune(sums.joint)
    mean = _mean(sums, power)
    if not np.any(mean[:-1] > 0):  # a few labels against many readings: the labels alone cannot leave [0, 1]
        power, mean = 0.0, _mean(sums, 0.0)
    spread = _spread(readings, sums, power, mean, claim=claim)
    point = np.clip(mean[:-1], 0.0, None)
    point = point / point.sum()
    inner = np.clip(point, 0.5 / sums.m.sum(), 1 - 0.5 / sums.m.sum())
    effective = np.clip(inner * (1 - inner) / np.maximum(spread.variance, 1e-300), 1.0, float(sums.n.sum()))
    drift = spread.third / np.maximum(spread.variance, 1e-300)
    quantile = np.asarray(stdtrit(spread.freedom, 0.5 + level / 2))
    bounds = score_bounds(point, effective, drift=drift, quantile=quantile)
    exact, edge = _edge_bounds(sums, claim=claim, level=level)
    low = np.where(edge, np.minimum(bounds.low, exact.low), bounds.low)
    high = np.where(edge, np.maximum(bounds.high, exact.high), bounds.high)
    p_value = 1.0
    if reference is not None:
        table = np.broadcast_to(reference, (len(readings.counts), len(point)))[readings.n_images > 0]
        noise = reference_noise(reference, reference_trials, present=readings.n_images > 0, k=len(point))
        p_values = _p_values(point, effective, spread, table, drift=drift, noise=noise)
        target = table.mean(axis=0)
        p_values = np.where(edge & (target >= exact.low) & (target <= exact.high), 1.0, p_values)
        p_value = float(min(1.0, (1 if len(point) == 2 else len(point)) * p_values.min()))
    shares = ShareEstimate(
        readings.groups, point, np.minimum(low, point), np.maximum(high, point), level, _METHODS[claim], claim,
        len(sums.n), int(sums.n.sum()),
    )  # fmt: skip
    return LabelledEstimate(shares, power, round(float(sums.m.sum())), effective, spread.freedom, p_value)


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Variance (k,), third moment (k,), degrees of freedom (k,); each prompt's influence (P, k) or no rows."""

    variance: Floats
    third: Floats
    freedom: Floats
    influence: Floats
    scale: float


def _spread(readings: Readings, sums: _Sums, power: float, mean: Floats, *, claim: str) -> _Spread:
    gradient = _ratio_gradient(mean)
    prompts = int(np.count_nonzero(sums.m))
    if claim == THESE_PROMPTS:
        variance = np.einsum("ki,ij,kj->k", gradient, _within(sums, power), gradient)
        freedom = np.full(len(variance), max(float(sums.m.sum()) - 2.0, _MIN_FREEDOM))
        third = _third_within(sums, power, gradient)
        return _Spread(variance, third, freedom, np.zeros((0, len(variance))), 0.0)
    influence = _between(sums, power) @ gradient.T
    share = np.clip(mean[:-1] / mean[:-1].sum(), 0, 1)
    icc = float(np.clip(compute_clustering(readings.counts).icc, 0.0, 1.0))
    unseen = _UNSEEN_PROMPTS * icc * (share**2 + (1 - share) ** 2) / 2
    scale = prompts / (prompts - 2) / len(influence) ** 2
    variance = ((influence**2).sum(axis=0) + unseen) * scale
    third = (influence**3).sum(axis=0) / len(influence) ** 3
    return _Spread(variance, third, _freedom(influence, prompts), influence, scale)


def _p_values(
    point: Floats, effective: Floats, spread: _Spread, references: Floats, *, drift: Floats, noise: Floats
) -> Floats:
    """Two-sided score tests of each group, (k,): the interval holds the reference exactly when it is not rejected."""
    from scipy.special import stdtr

    target = references.mean(axis=0)
    variance = variance_at(target, point, n=effective, drift=drift)
    if np.ptp(references, axis=0).any() and len(spread.influence):
        # Prompts with references of their own: their differences vary, not their shares.
        variance = ((spread.influence - (references - target)) ** 2).sum(axis=0) * spread.scale
    statistic = np.abs(point - target) / np.sqrt(np.maximum(variance + noise, 1e-300))
    return np.asarray(2 * stdtr(spread.freedom, -statistic), dtype=np.float64)


def _check(readings: Readings, labelled: LabelledReadings, claim: str) -> None:
    if claim not in (NEW_PROMPTS, THESE_PROMPTS):
        raise InputError(f"claim: got {claim!r}, expected {NEW_PROMPTS!r} or {THESE_PROMPTS!r}")
    if labelled.groups != readings.groups or len(labelled.counts) != len(readings.counts):
        raise InputError(
            f"labels: groups {list(labelled.groups)} over {len(labelled.counts)} prompts, expected "
            f"{list(readings.groups)} over {len(readings.counts)} as in the readings"
        )
    if np.any(labelled.counts.sum(axis=2) > readings.counts + 1e-6):
        raise InputError(
            "labels: a prompt has more labelled images of a reading than readings; count them anew"
        )
    prompts = int(np.count_nonzero(labelled.per_prompt))
    if labelled.n_labels < MIN_LABELS or labelled.counts[..., :-1].sum() < 1:
        raise InputError(
            f"labels: got {labelled.n_labels} labelled images, expected at least {MIN_LABELS}, some "
            "of them determined"
        )
    if claim == NEW_PROMPTS and prompts < MIN_CLUSTERS:
        raise InputError(f"labels: got labels of {prompts} prompts, expected at least {MIN_CLUSTERS}")
