"""Intersectional cells (presentation x age x tone ...): many shares, few images each, shrunk with honest intervals.

Each cell's share is corrected for the readers' errors attribute by attribute and averaged over prompts; its standard
error is that of prompts. Cells are then drawn towards what the attributes would give if they were independent, by as
much as their noise says (empirical Bayes). Shrinking makes intervals too short unless the interval knows of the bias
it brings in: the robust critical value used here keeps the average coverage over cells at the level whatever the
distribution of the true departures.

Assumes that the readers' errors of different attributes are independent given the truth; `benchmarks.bias` plants
cells and counts coverage.

Sources: Armstrong, Kolesar and Plagborg-Moller 2022, Econometrica 90(6) (robust empirical Bayes intervals); Efron and
Morris 1975, JASA 70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from audit.bias.estimators import draw_rates, point_rates, unmix
from audit.bias.intervals import MIN_CLUSTERS
from audit.bias.readings import Counts, ErrorMatrix, Floats
from audit.statistics import require_level
from generator.errors import InputError

_MATRIX_DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Shares of intersectional cells over new prompts of this kind.

    Attributes:
        names: C tuples, one group of each attribute.
        raw: float64 (C,), corrected shares without shrinkage; may leave [0, 1] by their noise.
        error: float64 (C,), standard errors, prompts as the unit.
        prior: float64 (C,), shares if the attributes were independent.
        shares: float64 (C,), shrunk, in [0, 1].
        low: float64 (C,), lower ends.
        high: float64 (C,), upper ends.
        weight: float64 (C,), of the cell's own data, in [0, 1].
        level: average coverage over cells.
        n_prompts: prompts with images.
    """

    names: tuple[tuple[str, ...], ...]
    raw: Floats
    error: Floats
    prior: Floats
    shares: Floats
    low: Floats
    high: Floats
    weight: Floats
    level: float
    n_prompts: int


def _miss(bias: Floats, critical: Floats) -> Floats:
    """P(|Z + bias| > critical) of a standard normal Z."""
    from scipy.special import ndtr

    return np.asarray(ndtr(-critical - bias) + ndtr(-critical + bias), dtype=np.float64)


def robust_critical(square: Floats, *, level: float = 0.95) -> Floats:
    """Critical values that keep the level if the normalised bias has this mean square, whatever its distribution.

    Args:
        square: float64 (C,), mean squared bias over variance, >= 0; 0 gives the normal quantile.
        level: in (0, 1).

    Returns:
        float64 (C,). The worst distribution puts some mass on zero and the rest on one point, so the largest
        miss probability is the concave hull of the miss probability over the squared bias.
    """
    target = np.asarray(square, dtype=np.float64)
    low, high = np.zeros_like(target), np.full_like(target, 60.0) + 2 * np.sqrt(target)
    factors = np.geomspace(1.0, 1e5, 500)
    points = np.maximum(target, 1e-9)[:, None] * factors  # where the rest may sit; its mass is 1 / factor
    for _ in range(40):
        critical = (low + high) / 2
        missed = _miss(np.sqrt(points), critical[:, None])
        at_zero = _miss(np.zeros_like(target), critical)[:, None]
        worst = (at_zero + (missed - at_zero) / factors).max(axis=1)
        low, high = np.where(worst > 1 - level, critical, low), np.where(worst > 1 - level, high, critical)
    return np.asarray(high, dtype=np.float64)


def _unmix_axes(rates: Floats, confusions: Sequence[Floats]) -> Floats:
    """Undo the errors of every attribute: (..., k1 + 1, k2 + 1, ...) -> (..., k1 * k2 * ...)."""
    table = rates
    axes = len(confusions)
    for axis, confusion in enumerate(confusions):
        moved = np.moveaxis(table, axis - axes, -1)
        table = np.moveaxis(unmix(moved, confusion), -1, axis - axes)
    return table.reshape(*table.shape[: table.ndim - axes], -1)


def _mean_shares(rates: Floats, confusions: Sequence[Floats]) -> Floats:
    mass = _unmix_axes(rates, confusions)
    return np.asarray(mass / mass.sum(axis=-1, keepdims=True), dtype=np.float64)


def estimate_cells(
    counts: Counts,
    groups: Sequence[Sequence[str]],
    *,
    matrices: Sequence[ErrorMatrix | None],
    level: float = 0.95,
    rng: np.random.Generator,
) -> Cells:
    """Shares of all cells with shrinkage and honest intervals.

    Args:
        counts: int64 (P, k1 + 1, k2 + 1, ...), images per prompt and combination of readings; undetermined last on
            every axis. Prompts without images are left out.
        groups: names of the groups of each attribute.
        matrices: error matrix of each attribute; None: its readings are the truth.
        level: average coverage over the cells.
        rng: the run's generator.

    Raises:
        InputError: axes that do not fit, fewer than two attributes, or fewer than 5 prompts with images.
        CannotCheckError: an error matrix is singular.
    """
    require_level(level)
    shape = tuple(len(names) + 1 for names in groups)
    if len(groups) < 2 or counts.shape[1:] != shape or len(matrices) != len(groups):
        raise InputError(
            f"cells: got counts {counts.shape} and {len(matrices)} matrices, expected (prompts, {shape}) for "
            f"{len(groups)} attributes, at least two"
        )
    kept = counts[counts.reshape(len(counts), -1).sum(axis=1) > 0].astype(np.float64)
    if len(kept) < MIN_CLUSTERS:
        raise InputError(f"cells: got {len(kept)} prompts with images, expected at least {MIN_CLUSTERS}")
    rates = kept / kept.reshape(len(kept), -1).sum(axis=1).reshape(-1, *[1] * len(shape))
    confusions = [point_rates(matrix, size - 1) for matrix, size in zip(matrices, shape, strict=True)]
    mean = rates.mean(axis=0)
    raw = _mean_shares(mean, confusions)
    mass = _unmix_axes(rates, confusions)
    influence = (mass - mass.sum(axis=1, keepdims=True) * raw) / mass.mean(axis=0).sum()
    drawn = [
        draw_rates(matrix, size - 1, draws=_MATRIX_DRAWS, rng=rng)
        for matrix, size in zip(matrices, shape, strict=True)
    ]
    by_matrix = _mean_shares(np.broadcast_to(mean, (_MATRIX_DRAWS, *mean.shape)), _lift(drawn, len(shape)))
    covariance = influence.T @ influence / (len(kept) - 1) / len(kept) + np.cov(by_matrix, rowvar=False)
    prior, gradient = _independent(raw, shape)
    names = tuple(product(*(tuple(group) for group in groups)))
    return _shrink(
        names, raw, covariance, prior=prior, gradient=gradient, level=level, n_prompts=len(kept),
        n_images=float(kept.sum()),
    )  # fmt: skip


def _lift(drawn: Sequence[Floats], axes: int) -> list[Floats]:
    """Matrices (D, k, k + 1) with singleton axes so that they broadcast over the other attributes."""
    return [rates.reshape(len(rates), *[1] * (axes - 1), *rates.shape[1:]) for rates in drawn]


def _independent(shares: Floats, shape: Sequence[int]) -> tuple[Floats, Floats]:
    """Shares (C,) if the attributes were independent, and their gradient (C, C) by the shares."""
    sizes = [size - 1 for size in shape]
    table = np.clip(shares, 0.0, None).reshape(sizes)
    table = table / table.sum()
    cells = np.indices(sizes).reshape(len(sizes), -1)
    margins = [
        table.sum(axis=tuple(other for other in range(table.ndim) if other != axis))[cells[axis]]
        for axis in range(table.ndim)
    ]
    prior = np.prod(margins, axis=0)
    gradient = np.zeros((len(prior), len(prior)))
    for axis in range(table.ndim):
        rest = np.prod([margin for other, margin in enumerate(margins) if other != axis], axis=0)
        gradient += (cells[axis][:, None] == cells[axis]) * rest[:, None]
    return np.asarray(prior, dtype=np.float64), gradient


def _variance(covariance: Floats, transform: Floats) -> Floats:
    return np.asarray(np.einsum("ci,ij,cj->c", transform, covariance, transform), dtype=np.float64)


def _shrink(
    names: tuple[tuple[str, ...], ...],
    raw: Floats,
    covariance: Floats,
    *,
    prior: Floats,
    gradient: Floats,
    level: float,
    n_prompts: int,
    n_images: float,
) -> Cells:
    from scipy.special import ndtri, stdtrit

    # A cell never seen has no spread to learn from: one image's worth of Poisson noise is the least.
    least = np.maximum(prior, 1.0 / n_images) / n_images
    one = np.eye(len(raw))
    error = np.sqrt(np.maximum(np.diag(covariance), least))
    noise = np.maximum(_variance(covariance, one - gradient), least / 10)
    # Departures from independence in proportion to sqrt(prior): a scale on which cells are alike.
    scale = np.maximum(prior, 1e-4)
    precision = (scale / noise) ** 2
    tau = float((precision * ((raw - prior) ** 2 - noise) / scale).sum() / precision.sum())
    tau = max(tau, 1.0 / float(np.sqrt(precision).sum()))  # never certain that there are no departures
    spread = tau * scale
    weight = spread / (spread + noise)
    centre = prior + weight * (raw - prior)
    # The prior is estimated from the same prompts: its noise belongs to the estimate.
    own = np.maximum(_variance(covariance, (1 - weight)[:, None] * gradient + weight[:, None] * one), least)
    bias = (1 - weight) ** 2 * spread / own
    students = float(stdtrit(n_prompts - 1, 0.5 + level / 2) / ndtri(0.5 + level / 2))
    half = students * robust_critical(bias, level=level) * np.sqrt(own)
    low, high = np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
    return Cells(names, raw, error, prior, np.clip(centre, 0.0, 1.0), low, high, weight, level, n_prompts)
