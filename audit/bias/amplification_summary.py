"""Over prompts: which groups does a generator push farther from an equal share than its training data do?

Two answers. How much moved away from equal shares, and how much nearer, each added up over groups and prompts by
itself, so that opposite effects never cancel, and each beside what a generator exactly at its training data's shares
shows at these numbers of images ("these prompts"). And the mean change of every group's distance from an equal share,
with an interval over prompts ("new prompts of this kind") that holds for all groups together.

A share of few images lies farther from an equal share than the truth does. What chance adds under that null is taken
off every prompt; away from the null that is too much where a generator amplifies and too little where it mitigates,
so verdicts err towards none.

Sources: Zhao et al. 2017, arXiv:1707.09457 (amplification over prompts); the estimate and its null are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.bias.amplification import Amplification
from audit.bias.estimators import correct, draw_rates, point_rates
from audit.bias.intervals import MIN_CLUSTERS, bootstrap_weights, check_same_groups
from audit.bias.readings import Counts, ErrorMatrix, Floats, Readings
from audit.bias.significance import adjust_holm
from audit.statistics import Bounds, require_level
from generator.errors import InputError

_LEAST_DRAWS = 400
_PROMPT_DRAWS = 400_000


@dataclass(frozen=True, slots=True)
class Amount:
    """A mean amount of movement with what chance makes of it.

    Attributes:
        observed: mean over prompts of half the summed movements of the groups that moved this way, in [0, 1].
        null_mean: its mean for a generator at its training data's shares.
        null_low: lower end of its null band.
        null_high: upper end.
        p_value: chance of an amount as large under the null.
    """

    observed: float
    null_mean: float
    null_low: float
    null_high: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class AmplificationSummary:
    """Training data against generator over prompts.

    Attributes:
        groups: k names.
        amplified: away from equal shares.
        mitigated: towards them.
        changes: float64 (k,), mean change of |share - 1/k|, free of what chance adds.
        bounds: of `changes`, (k,) each, jointly at the level; [-1, 1] with fewer than 5 prompts.
        p_adjusted: float64 (k,), of "no change", by Holm over groups; 1 with fewer than 5 prompts.
        verdicts: amplified or mitigated where the interval and the test agree, else None.
        n_prompts: prompts compared.
    """

    groups: tuple[str, ...]
    amplified: Amount
    mitigated: Amount
    changes: Floats
    bounds: Bounds
    p_adjusted: Floats
    verdicts: tuple[Amplification | None, ...]
    n_prompts: int


def summarise_amplification(
    readings: Readings,
    training: Counts,
    matrix: ErrorMatrix | None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> AmplificationSummary:
    """Movement away from and towards equal shares, in all and per group.

    Args:
        readings: of the generated images, every prompt with a determined one.
        training: int64 (P, k), images of the training data by group, each prompt with one or more.
        matrix: of the reader of the generated images; None: readings are the truth.
        level: of null bands and of the groups' intervals together.
        draws: simulated audits under the null, and resamples; fewer for more than 400 prompts.
        rng: the run's generator.

    Raises:
        InputError: groups or prompts differ, or a prompt has no images on one side.
        CannotCheckError: the error matrix is singular.
    """
    require_level(level)
    check_same_groups(readings, matrix)
    prompts, k = len(readings.prompt_ids), len(readings.groups)
    if training.shape != (prompts, k) or not (training.sum(axis=1).all() and readings.determined.all()):
        raise InputError(
            f"amplification: training data {training.shape}, expected {(prompts, k)}, with images of every prompt on "
            "both sides; leave other prompts out"
        )
    draws = min(draws, max(_LEAST_DRAWS, _PROMPT_DRAWS // prompts))
    observed = _changes(readings.counts, training, point_rates(matrix, k))
    bias, means, amounts = _simulate_null(readings, training, matrix, draws=draws, rng=rng)
    away, nearer = (
        _amount(float(value), null, level=level)
        for value, null in zip(_moved(observed), amounts.T, strict=True)
    )
    changes = (observed - bias).mean(axis=0)
    bounds, adjusted = Bounds(low=np.full(k, -1.0), high=np.ones(k)), np.ones(k)
    if prompts >= MIN_CLUSTERS:
        told = 1 if k == 2 else k  # two groups are one share and its mirror image
        bounds = _interval(
            readings,
            training,
            matrix,
            bias=bias,
            point=changes,
            level=1 - (1 - level) / told,
            draws=draws,
            rng=rng,
        )
        adjusted = np.broadcast_to(adjust_holm(_p_values(observed.mean(axis=0), means)[:told]), (k,))
    return AmplificationSummary(
        readings.groups, away, nearer, changes, bounds, adjusted,
        tuple(
            _verdict(float(low), float(high), found=bool(p <= 1 - level))
            for low, high, p in zip(bounds.low, bounds.high, adjusted, strict=True)
        ),
        prompts,
    )  # fmt: skip


def _p_values(observed: Floats, null: Floats) -> Floats:
    """Two-sided, of mean changes (k,) among those under the null (D, k)."""
    above = np.count_nonzero(null >= observed - 1e-12, axis=0)
    below = np.count_nonzero(null <= observed + 1e-12, axis=0)
    return np.asarray(np.minimum(2 * (1 + np.minimum(above, below)) / (1 + len(null)), 1.0), dtype=np.float64)


def _verdict(low: float, high: float, *, found: bool) -> Amplification | None:
    if found and low > 0:
        return Amplification.AMPLIFIED
    return Amplification.MITIGATED if found and high < 0 else None


def _changes(counts: Counts, training: Counts, rates: Floats) -> Floats:
    """|generated - 1/k| - |training - 1/k| of every share: float64 (P, k)."""
    equal = 1.0 / training.shape[1]
    generated = correct(counts.astype(np.float64), rates)
    known = training / training.sum(axis=1, keepdims=True)
    return np.asarray(np.abs(generated - equal) - np.abs(known - equal), dtype=np.float64)


def _moved(changes: Floats) -> Floats:
    """Half the movements away from equal shares and half those towards them, mean over prompts: float64 (2,)."""
    return np.array([np.maximum(sign * changes, 0.0).sum(axis=1).mean() / 2 for sign in (1, -1)])


def _simulate_null(
    readings: Readings, training: Counts, matrix: ErrorMatrix | None, *, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Both sides drawn from their common shares: mean change (P, k), means (D, k) and amounts (D, 2) of each draw."""
    k, determined, known = len(readings.groups), readings.determined, training.sum(axis=1)
    point = point_rates(matrix, k)
    shares = correct(readings.counts.astype(np.float64), point)
    common = (training + shares * determined[:, None]) / (known + determined)[:, None]
    total, means, amounts = np.zeros(training.shape), np.empty((draws, k)), np.empty((draws, 2))
    for draw, rates in enumerate(draw_rates(matrix, k, draws=draws, rng=rng)):
        expected = (common @ rates)[:, :-1]
        counts = np.zeros_like(readings.counts)
        counts[:, :-1] = rng.multinomial(determined, expected / expected.sum(axis=1, keepdims=True))
        changes = _changes(counts, rng.multinomial(known, common / common.sum(axis=1, keepdims=True)), point)
        total += changes
        means[draw], amounts[draw] = changes.mean(axis=0), _moved(changes)
    return total / draws, means, amounts


def _amount(observed: float, null: Floats, *, level: float) -> Amount:
    low, high = np.quantile(null, [(1 - level) / 2, (1 + level) / 2])
    p_value = float((1 + np.count_nonzero(null >= observed - 1e-12)) / (1 + len(null)))
    return Amount(observed, float(null.mean()), float(low), float(high), p_value)


def _interval(
    readings: Readings,
    training: Counts,
    matrix: ErrorMatrix | None,
    *,
    bias: Floats,
    point: Floats,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> Bounds:
    """Bootstrap over prompts, the error matrix drawn anew each time: (k,) each."""
    weights = bootstrap_weights(len(training), draws=draws, rng=rng)
    weights /= weights.sum(axis=1, keepdims=True)
    drawn = draw_rates(matrix, len(readings.groups), draws=draws, rng=rng)
    means = [
        weight @ (_changes(readings.counts, training, rates) - bias)
        for weight, rates in zip(weights, drawn, strict=True)
    ]
    low, high = np.quantile(np.array(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bounds(low=np.minimum(low, point), high=np.maximum(high, point))
