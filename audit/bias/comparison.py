"""Two audits side by side, before and after or model A and model B: differences with intervals.

Prompts that both runs have are compared prompt by prompt; over prompts the difference is paired where the prompts
are the same, since a hard prompt is hard for both. Groups that differ are refused.

Sources: Newcombe 1998 and Donner and Zou 2012 (MOVER); the bootstrap over prompts is that of `audit.bias.intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.bias.amplification import difference_bounds
from audit.bias.estimators import correct, draw_rates, point_rates
from audit.bias.intervals import MIN_CLUSTERS, bootstrap_weights, check_same_groups
from audit.bias.measures import prompt_shares
from audit.bias.melding import MeldedReader
from audit.bias.readings import ErrorMatrix, Floats, Readings
from audit.bias.significance import adjust_benjamini_hochberg
from audit.statistics import Bounds, require_level
from generator.errors import InputError

_P_VALUES = (0.1, 0.05, 0.02, 0.01, 0.001, 1e-4, 1e-6)  # at which prompts' intervals are inverted


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """After minus before.

    Attributes:
        groups: k names.
        prompt_ids: the S prompts that both runs have and read.
        difference: float64 (k,), of the mean shares over those prompts.
        bounds: of it over new prompts of this kind, each group at `level`; [-1, 1] with fewer than 5 prompts.
        p_value: of "no difference in the mean"; smallest over groups, times k for three or more.
        by_prompt: float64 (S, k).
        prompt_bounds: (S, k), each at `level`.
        prompt_p: float64 (S,), upper bounds (one of seven values), adjusted by Benjamini-Hochberg.
        distance_change: change of the mean total variation from the reference; negative: nearer to it.
        distance_bounds: of it, () each, at `level`; both runs' chance deviations are alike only at equal n.
        only_before: prompts that only the first run has.
        only_after: prompts that only the second run has.
        level: two-sided confidence.
    """

    groups: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    difference: Floats
    bounds: Bounds
    p_value: float
    by_prompt: Floats
    prompt_bounds: Bounds
    prompt_p: Floats
    distance_change: float
    distance_bounds: Bounds
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    level: float


def compare_runs(
    before: Readings,
    after: Readings,
    *,
    matrices: tuple[ErrorMatrix | None, ErrorMatrix | None],
    reference: Floats | None = None,
    level: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> Comparison:
    """Differences between two runs over the prompts they share.

    Args:
        before: readings of the first run.
        after: readings of the second, same groups in the same order.
        matrices: error matrix of each run's reader; the same object for both is drawn once for both.
        reference: float64 (k,), for `distance_change`; default: parity.
        level: two-sided confidence.
        draws: resamples of prompts.
        rng: the run's generator.

    Raises:
        InputError: groups differ (named), or no prompt is shared and read in both.
        CannotCheckError: an error matrix is singular.
    """
    require_level(level)
    if before.groups != after.groups:
        raise InputError(
            f"comparison: the first run has groups {list(before.groups)}, the second {list(after.groups)}; only runs "
            "read with one schema can be compared"
        )
    for readings, matrix in zip((before, after), matrices, strict=True):
        check_same_groups(readings, matrix)
    first, second = _align(before, after)
    k, target = len(before.groups), np.full(len(before.groups), 1 / len(before.groups))
    target = target if reference is None else reference
    gap, shares = _difference(first, second, matrices, k)
    prompt_bounds, prompt_p = _prompt_differences(first, second, matrices, level=level, rng=rng)
    distances = [0.5 * np.abs(table - target).sum(axis=1) for table in shares]
    change = distances[1] - distances[0]
    bounds, p_value = Bounds(low=np.full(k, -1.0), high=np.ones(k)), 1.0
    distance_bounds = Bounds(low=np.asarray(-1.0), high=np.asarray(1.0))
    if len(first.prompt_ids) >= MIN_CLUSTERS:
        weights = bootstrap_weights(len(first.prompt_ids), draws=draws, rng=rng)
        weights /= weights.sum(axis=1, keepdims=True)
        drawn = _drawn_difference(first, second, matrices, weights, k, rng)
        bounds = _quantiles(drawn, gap, level)
        distance_bounds = _quantiles(weights @ change, change.mean(), level)
        sides = np.minimum((drawn >= 0).sum(axis=0), (drawn <= 0).sum(axis=0))
        p_value = float(min(1.0, (1 if k == 2 else k) * 2 * (1 + sides.min()) / (1 + draws)))
    return Comparison(
        before.groups, first.prompt_ids, gap, bounds, p_value, shares[1] - shares[0], prompt_bounds,
        adjust_benjamini_hochberg(prompt_p), float(change.mean()), distance_bounds,
        _missing(before, after), _missing(after, before), level,
    )  # fmt: skip


def _missing(one: Readings, other: Readings) -> tuple[str, ...]:
    known = set(other.prompt_ids)
    return tuple(prompt for prompt in one.prompt_ids if prompt not in known)


def _align(before: Readings, after: Readings) -> tuple[Readings, Readings]:
    rows = {prompt: row for row, prompt in enumerate(after.prompt_ids)}
    shared = [
        prompt
        for row, prompt in enumerate(before.prompt_ids)
        if prompt in rows and before.determined[row] and after.determined[rows[prompt]]
    ]
    if not shared:
        raise InputError(
            "comparison: no prompt was read in both runs; compare runs over the same prompts (prompt_id must agree)"
        )
    mine = {prompt: row for row, prompt in enumerate(before.prompt_ids)}
    return (
        Readings(before.counts[[mine[prompt] for prompt in shared]], before.groups, tuple(shared)),
        Readings(after.counts[[rows[prompt] for prompt in shared]], after.groups, tuple(shared)),
    )


def _difference(
    first: Readings, second: Readings, matrices: tuple[ErrorMatrix | None, ErrorMatrix | None], k: int
) -> tuple[Floats, tuple[Floats, Floats]]:
    means = [
        correct(readings.rates.mean(axis=0), point_rates(matrix, k))
        for readings, matrix in zip((first, second), matrices, strict=True)
    ]
    return means[1] - means[0], (prompt_shares(first, matrices[0]), prompt_shares(second, matrices[1]))


def _drawn_difference(
    first: Readings,
    second: Readings,
    matrices: tuple[ErrorMatrix | None, ErrorMatrix | None],
    weights: Floats,
    k: int,
    rng: np.random.Generator,
) -> Floats:
    drawn = draw_rates(matrices[0], k, draws=len(weights), rng=rng)
    other = drawn if matrices[1] is matrices[0] else draw_rates(matrices[1], k, draws=len(weights), rng=rng)
    return correct(weights @ second.rates, other) - correct(weights @ first.rates, drawn)


def _quantiles(drawn: Floats, point: Floats, level: float) -> Bounds:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bounds(low=np.minimum(low, point), high=np.maximum(high, point))


def _prompt_differences(
    first: Readings,
    second: Readings,
    matrices: tuple[ErrorMatrix | None, ErrorMatrix | None],
    *,
    level: float,
    rng: np.random.Generator,
) -> tuple[Bounds, Floats]:
    """MOVER intervals of every prompt's difference, and p-values by the level at which they first touch 0."""
    k = len(first.groups)
    readers = [MeldedReader.build(matrix, k, rng=rng) for matrix in matrices]
    tables = (first, second)
    shares = [prompt_shares(table, matrix) for table, matrix in zip(tables, matrices, strict=True)]

    def at(confidence: float) -> Bounds:
        each = [
            reader.bounds(table.counts, level=confidence)
            for reader, table in zip(readers, tables, strict=True)
        ]
        inside = [
            Bounds(low=np.minimum(bound.low, share), high=np.maximum(bound.high, share))
            for bound, share in zip(each, shares, strict=True)
        ]
        return difference_bounds(shares[1], shares[0], first_bounds=inside[1], second_bounds=inside[0])

    p_values = np.ones(len(shares[0]))
    for p in _P_VALUES:
        found = at(1 - p / (1 if k == 2 else k))
        p_values = np.where(((found.low > 0) | (found.high < 0)).any(axis=1), p, p_values)
    return at(level), p_values
