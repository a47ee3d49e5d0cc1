"""Intervals of all categories of one multinomial that hold together, for counts that are the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.statistics import Bounds, clopper_pearson_bounds, require_level


def goodman_bounds(counts: ArrayLike, *, level: float = 0.95) -> Bounds:
    """Simultaneous intervals of multinomial shares, for one prompt whose readings are the truth.

    Args:
        counts: whole numbers (..., k), k >= 3 categories; a row without counts gives [0, 1].
        level: probability that all k intervals hold together. Asymptotic: where a category is empty the
            exact Clopper-Pearson interval at 1 - (1 - level) / k replaces it.

    Returns:
        Bounds, float64 (..., k).

    Source: Goodman 1965, Technometrics 7(2).
    """
    from scipy.special import chdtri

    require_level(level)
    x = np.asarray(counts, dtype=np.float64)
    k, n = x.shape[-1], x.sum(axis=-1, keepdims=True)
    exact = clopper_pearson_bounds(x, n, level=1 - (1 - level) / k)
    limit = float(chdtri(1, (1 - level) / k))
    size = np.maximum(n, 1.0)
    root = np.sqrt(limit * (limit + 4 * x * (size - x) / size))
    low = (limit + 2 * x - root) / (2 * (size + limit))
    high = (limit + 2 * x + root) / (2 * (size + limit))
    edge = (x == 0) | (x == n)
    return Bounds(low=np.where(edge, exact.low, low), high=np.where(edge, exact.high, high))
