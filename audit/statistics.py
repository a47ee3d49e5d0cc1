"""Intervals of one proportion: the ground every room of the audit stands on.

Scalar functions return an `Interval` ready for a check; the `*_bounds` functions do the same for whole
arrays. Everything here treats the trials as independent. Images of one prompt are not independent of each
other: pooled over prompts, use `audit.bias.intervals` instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.evidence import Interval
from generator.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Two arrays of one shape: lower and upper ends of intervals, float64 in [0, 1]."""

    low: Floats
    high: Floats


def require_level(level: float) -> None:
    """Refuse a confidence level outside the open interval (0, 1).

    Raises:
        InputError: the level is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"confidence level: got {level}, expected a number strictly between 0 and 1")


def _counts(k: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    successes, trials = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    whole = np.all(successes == np.floor(successes)) and np.all(trials == np.floor(trials))
    if not whole or np.any(successes < 0) or np.any(successes > trials):
        raise InputError(f"counts: got {k!r} of {n!r}, expected whole numbers with 0 <= k <= n")
    return successes, trials


def clopper_pearson_bounds(k: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Bounds:
    """Exact two-sided intervals of binomial proportions.

    Args:
        k: successes, whole numbers, any shape that broadcasts with n.
        n: trials, whole numbers >= k; 0 trials give [0, 1], the interval that says nothing.
        level: two-sided confidence, in (0, 1).

    Returns:
        Lower and upper bounds in [0, 1], of the broadcast shape.

    Raises:
        InputError: counts that are not whole, k outside [0, n], or a level outside (0, 1).

    Source: Clopper and Pearson 1934, Biometrika 26(4).
    """
    from scipy.special import betaincinv

    require_level(level)
    successes, trials = _counts(k, n)
    tail = (1.0 - level) / 2.0
    failures = trials - successes
    # betaincinv needs positive shapes; the ends where a shape would be 0 are known exactly.
    low = np.where(successes == 0, 0.0, betaincinv(np.maximum(successes, 1), failures + 1, tail))
    high = np.where(failures == 0, 1.0, betaincinv(successes + 1, np.maximum(failures, 1), 1 - tail))
    return Bounds(low=low, high=high)


def wilson_bounds(k: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Bounds:
    """Score intervals of binomial proportions: near nominal on average, not a guarantee.

    Args:
        k: successes, whole numbers, any shape that broadcasts with n.
        n: trials, whole numbers >= k; 0 trials give [0, 1].
        level: two-sided confidence, in (0, 1).

    Returns:
        Lower and upper bounds in [0, 1], of the broadcast shape.

    Raises:
        InputError: counts that are not whole, k outside [0, n], or a level outside (0, 1).

    Source: Wilson 1927, JASA 22(158).
    """
    from scipy.special import ndtri

    require_level(level)
    successes, trials = _counts(k, n)
    z = float(ndtri(0.5 + level / 2.0))
    size = np.maximum(trials, 1)
    share = successes / size
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    low = np.where(successes == 0, 0.0, np.clip(centre - half, 0.0, 1.0))
    high = np.where(successes == trials, 1.0, np.clip(centre + half, 0.0, 1.0))
    return Bounds(low=low, high=high)


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval of one binomial proportion; never covers less than `level`.

    Args:
        k: successes, 0 <= k <= n.
        n: trials; 0 trials give [0, 1], the interval that says nothing.
        level: two-sided confidence, in (0, 1).

    Returns:
        Bounds in [0, 1], method "clopper-pearson".

    Raises:
        InputError: k or n is not a whole number, k outside [0, n], or a level outside (0, 1).

    Source: Clopper and Pearson 1934, Biometrika 26(4).
    """
    bounds = clopper_pearson_bounds(k, n, level=level)
    return Interval(float(bounds.low), float(bounds.high), level, "clopper-pearson")


def wilson(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval of one binomial proportion; narrower than the exact one, covers `level` on average.

    Args:
        k: successes, 0 <= k <= n.
        n: trials; 0 trials give [0, 1].
        level: two-sided confidence, in (0, 1).

    Returns:
        Bounds in [0, 1], method "wilson".

    Raises:
        InputError: k or n is not a whole number, k outside [0, n], or a level outside (0, 1).

    Source: Wilson 1927, JASA 22(158).
    """
    bounds = wilson_bounds(k, n, level=level)
    return Interval(float(bounds.low), float(bounds.high), level, "wilson")
