"""Tests against a reference: per prompt (exact), over prompts (prompts are the unit), and multiplicity.

A test that counts images of one prompt as independent evidence about *prompts* is not here on purpose:
published audits lose half of their findings once prompts are the unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from audit.bias.estimators import correct, draw_rates
from audit.bias.intervals import MIN_CLUSTERS, NEW_PROMPTS, bootstrap_rates, check_same_groups, find_edges
from audit.bias.melding import MeldedReader
from audit.bias.readings import Counts, ErrorMatrix, Floats, Readings
from audit.bias.reference import reference_noise
from generator.errors import InputError

HOLM = "Holm"
BENJAMINI_HOCHBERG = "Benjamini-Hochberg"
MAX_OUTCOMES = 20_000  # multinomial outcomes enumerated exactly; beyond, Monte Carlo
MONTE_CARLO = 20_000


def _check_p(p_values: Floats) -> Floats:
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise InputError("p-values: expected one row of numbers in [0, 1]")
    return values


def adjust_holm(p_values: Floats) -> Floats:
    """Adjusted p-values that keep the chance of any false finding at the level, under any dependence.

    Args:
        p_values: float64 (m,) in [0, 1]; empty gives empty.

    Raises:
        InputError: not one row of numbers in [0, 1].

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    values = _check_p(p_values)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def adjust_benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted p-values that keep the expected share of false findings among all findings at the level.

    Args:
        p_values: float64 (m,) in [0, 1]; empty gives empty.

    Raises:
        InputError: not one row of numbers in [0, 1].

    Source: Benjamini and Hochberg 1995, JRSS B 57(1); valid under positive dependence.
    """
    values = _check_p(p_values)
    order = np.argsort(values, kind="stable")[::-1]
    stepped = np.minimum.accumulate(values[order] * len(values) / (len(values) - np.arange(len(values))))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def adjust(p_values: Floats, *, method: str) -> Floats:
    """Adjusted p-values by the named method.

    Raises:
        InputError: a method other than HOLM or BENJAMINI_HOCHBERG.
    """
    methods = {HOLM: adjust_holm, BENJAMINI_HOCHBERG: adjust_benjamini_hochberg}
    if method not in methods:
        raise InputError(f"multiplicity correction: got {method!r}, expected one of {sorted(methods)}")
    return methods[method](p_values)


def _outcomes(n: int, k: int) -> Counts:
    """Every way to distribute n images over k groups: int64 (outcomes, k)."""
    if k == 1:
        return np.full((1, 1), n, dtype=np.int64)
    parts = []
    for first in range(n + 1):
        rest = _outcomes(n - first, k - 1)
        parts.append(np.column_stack([np.full(len(rest), first, dtype=np.int64), rest]))
    return np.concatenate(parts)


def _log_probability(outcomes: Counts, reference: Floats) -> Floats:
    from scipy.special import gammaln, xlogy

    n = outcomes.sum(axis=-1)
    terms = xlogy(outcomes, reference) - gammaln(outcomes + 1)
    return np.asarray(gammaln(n + 1) + terms.sum(axis=-1), dtype=np.float64)


def multinomial_p(counts: Counts, reference: Floats, *, rng: np.random.Generator) -> float:
    """Exact p-value of one prompt's counts when the readings are the truth.

    The chance, at the reference, of an outcome no more likely than the one seen: by enumeration up to
    20,000 outcomes, else from 20,000 simulated ones (then at least 1 / 20,001). Two groups: the exact
    two-sided binomial test.

    Args:
        counts: int64 (k,).
        reference: float64 (k,), sums to 1.
        rng: the run's generator.

    Returns:
        In (0, 1]; 1 for no images.

    Raises:
        InputError: lengths differ or the reference does not sum to 1.
    """
    if counts.shape != reference.shape or abs(float(reference.sum()) - 1) > 1e-6:
        raise InputError(f"exact test: {counts.shape} counts against {reference.shape} shares that sum to 1")
    n, k = int(counts.sum()), len(counts)
    seen = float(_log_probability(counts, reference))
    if can_enumerate(n, k):
        log_p = _log_probability(_outcomes(n, k), reference)
        return float(min(np.exp(log_p[log_p <= seen + 1e-9]).sum(), 1.0))
    log_p = _log_probability(rng.multinomial(n, reference, size=MONTE_CARLO), reference)
    return float((1 + np.count_nonzero(log_p <= seen + 1e-9)) / (1 + MONTE_CARLO))


def can_enumerate(n: int, k: int) -> bool:
    """Whether n images of k groups have few enough outcomes to list."""
    return comb(n + k - 1, k - 1) <= MAX_OUTCOMES


def multinomial_p_values(counts: Counts, reference: Floats, *, rng: np.random.Generator) -> Floats:
    """`multinomial_p` of every prompt, readings being the truth.

    Args:
        counts: int64 (P, k), determined images.
        reference: float64 (k,) or (P, k), sums to 1 over k.
        rng: the run's generator.
    """
    table = np.concatenate([counts, np.broadcast_to(reference, counts.shape)], axis=1)
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    k = counts.shape[1]
    found = [multinomial_p(row[:k].astype(np.int64), row[k:], rng=rng) for row in unique]
    return np.array(found, dtype=np.float64)[inverse.ravel()]


def prompt_p_values(
    readings: Readings, matrix: ErrorMatrix | None, reference: Floats, *, rng: np.random.Generator
) -> Floats:
    """P-value of "this prompt's shares are the reference" for every prompt, reader errors included.

    Args:
        readings: counts per prompt.
        matrix: of the reader; None: readings are the truth.
        reference: float64 (k,) or (P, k), sums to 1 over k.
        rng: the run's generator.

    Returns:
        float64 (P,); 1 where nothing was determined.

    Raises:
        InputError: groups of readings and matrix differ.
    """
    check_same_groups(readings, matrix)
    tails = MeldedReader.build(matrix, len(readings.groups), rng=rng)
    return tails.p_values(readings.counts, reference)


def bootstrap_p(
    readings: Readings,
    matrix: ErrorMatrix | None,
    reference: Floats,
    *,
    trials: Floats | None = None,
    draws: int = 4000,
    rng: np.random.Generator,
) -> float:
    """P-value of "over new prompts of this kind the mean shares are the reference", reader errors included.

    Twice the smaller share of resamples on one side of the reference: the test that belongs to the interval
    of `estimate_shares`. Where a group was hardly ever read, the exact test with prompts as trials takes
    over if it is less certain. Three or more groups: smallest times k.

    Args:
        readings: counts per prompt.
        matrix: of the reader; None: readings are the truth.
        reference: float64 (k,), or (P, k) for prompts with references of their own, which are then resampled with
            them; sums to 1 over k.
        trials: float64 (P,), effective sample size behind each prompt's reference; None: it is exact.
        draws: resamples; the smallest p-value is 2 / (draws + 1).
        rng: the run's generator.

    Returns:
        In (0, 1]; 1 with fewer than 5 prompts that were read, which prove nothing about new ones.

    Raises:
        InputError: groups differ.
    """
    check_same_groups(readings, matrix)
    k = len(readings.groups)
    if np.count_nonzero(readings.determined) < MIN_CLUSTERS:
        return 1.0
    table = np.broadcast_to(reference, (len(readings.counts), k))
    drawn = bootstrap_rates(readings, draws=draws, beside=table, rng=rng)
    shares = correct(drawn[:, : k + 1], draw_rates(matrix, k, draws=draws, rng=rng))
    targets = drawn[:, k + 1 :]
    mean = table[readings.n_images > 0].mean(axis=0)
    noise = reference_noise(reference, trials, present=readings.n_images > 0, k=k)
    if noise.any():
        targets = targets + np.sqrt(noise) * rng.standard_normal(targets.shape)
    above = 1 + np.count_nonzero(shares >= targets - 1e-12, axis=0)
    below = 1 + np.count_nonzero(shares <= targets + 1e-12, axis=0)
    p_values = 2 * np.minimum(above, below) / (draws + 1)
    found = find_edges(readings, claim=NEW_PROMPTS)
    if found.edge.any():
        tails = MeldedReader.build(matrix, k, rng=rng)
        for group in map(int, np.flatnonzero(found.edge)):
            x, n = found.seen[group : group + 1], np.array([found.seen.sum()])
            share = mean[group : group + 1]
            tail = min(
                tails.tail_above(share, group, x=x, n=n)[0], tails.tail_below(share, group, x=x, n=n)[0]
            )
            p_values[group] = max(p_values[group], 2 * tail)
    return float(min(1.0, (1 if k == 2 else k) * p_values.min()))


def sign_flip_p(shares: Floats, reference: Floats, *, draws: int = 4000, rng: np.random.Generator) -> float:
    """P-value of "over prompts the mean shares are the reference", for shares that are the truth.

    Each prompt's deviation changes sign at random; prompts are the unit, so images that hang together count
    once. Exact if deviations are symmetric around zero. Shares corrected for a reader that finds one group
    less well than the other are not symmetric (at 20 prompts x 8 images this test rejected in 7 % of fair
    audits instead of 5 %): use `bootstrap_p` for them.

    Args:
        shares: float64 (P, k), one row per prompt.
        reference: float64 (k,), sums to 1.
        draws: sign patterns; the smallest p-value is 1 / (draws + 1).
        rng: the run's generator.

    Raises:
        InputError: no prompts, or another number of groups than the reference has.
    """
    if shares.ndim != 2 or not len(shares) or shares.shape[1:] != reference.shape:
        raise InputError(f"sign flip: got shares {shares.shape} against {reference.shape} reference shares")
    deviations = shares - reference
    signs = rng.choice(np.array([-1.0, 1.0]), size=(draws, len(shares)))
    flipped = np.abs(signs @ deviations).max(axis=1)  # the largest group: one test for all groups together
    seen = np.abs(deviations.sum(axis=0)).max()
    return float((1 + np.count_nonzero(flipped >= seen - 1e-12)) / (draws + 1))


@dataclass(frozen=True, slots=True)
class Association:
    """How a property of prompts (a wage, a sentiment) goes with the share of a group.

    Attributes:
        slope: change of the share per unit of the property (least squares).
        p_value: two-sided, prompts permuted.
        n_prompts: prompts used.
    """

    slope: float
    p_value: float
    n_prompts: int


def permute_prompts(
    shares: Floats, covariate: Floats, *, draws: int = 10_000, rng: np.random.Generator
) -> Association:
    """Test whether a group's share goes with a property of the prompts, by permuting whole prompts.

    Args:
        shares: float64 (P,), one group's share per prompt.
        covariate: float64 (P,), the property.
        draws: permutations.
        rng: the run's generator.

    Raises:
        InputError: lengths differ, fewer than 3 prompts, or a property that is the same for all.
    """
    if shares.shape != covariate.shape or shares.ndim != 1 or len(shares) < 3 or np.ptp(covariate) == 0:
        raise InputError(
            f"prompt permutation: {shares.shape} shares and {covariate.shape} values; expected as many of "
            "both, at least 3, and values that differ"
        )
    centred = covariate - covariate.mean()
    permuted = rng.permuted(np.broadcast_to(shares, (draws, len(shares))), axis=1) @ centred
    seen = float(shares @ centred)
    extreme = np.count_nonzero(np.abs(permuted) >= abs(seen) - 1e-12)
    return Association(seen / float(centred @ centred), (1 + extreme) / (1 + draws), len(shares))
