"""How far two sets of pictures are apart: the kernel distance of their embeddings, with an interval and a test.

    k(x, y) = (x . y / d + 1)^3        MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)

The unbiased estimate is 0 on average for two samples of one distribution, and may be negative.
Sources: MMD and its variance, Gretton et al., JMLR 13 (2012); this kernel on embeddings (KID), arXiv:1801.01401.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError

_NORMAL_975 = 1.959964
LEAST = 20  # rows of each set


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """Unbiased MMD^2 with a 95 % interval.

    Attributes:
        value: times 1000, as kernel distances are usually stated.
        low: of the interval, from the variance of the estimate's projections.
        high: of the interval.
        p_value: of a permutation test that both sets are draws of one distribution.
    """

    value: float
    low: float
    high: float
    p_value: float


def compute_kernel_distance(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
) -> KernelDistance:
    """Kernel distance of two sets of embeddings.

    Args:
        first: (n, d), n at least `LEAST`; rows are scaled to length sqrt(d) first.
        second: (m, d).
        rng: of the permutations.
        permutations: of the test; its p-value is at least 1 / (permutations + 1).

    Raises:
        InputError: too few rows, or different widths.
    """
    if min(len(first), len(second)) < LEAST or first.shape[1:] != second.shape[1:]:
        raise InputError(
            f"sets of {first.shape} and {second.shape}: expected {LEAST} rows or more of one width"
        )
    n = len(first)
    rows = np.concatenate([first, second]).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kernel = (rows @ rows.T + 1) ** 3
    np.fill_diagonal(kernel, 0)  # a row is never compared with itself
    signs = np.ones(len(rows))
    signs[n:] = -1
    value = _distance(kernel, signs[:, None])[0]
    half = _NORMAL_975 * _standard_error(kernel, n)
    shuffled = np.stack([rng.permutation(signs) for _ in range(permutations)], axis=1)
    beaten = np.count_nonzero(_distance(kernel, shuffled) >= value)
    return KernelDistance(
        value=1000 * value,
        low=1000 * (value - half),
        high=1000 * (value + half),
        p_value=(beaten + 1) / (permutations + 1),
    )


def _distance(kernel: NDArray[np.float64], signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbiased MMD^2 of every split: signs (rows, splits), +1 in the first set and -1 in the second."""
    inside = (signs > 0).astype(np.float64)
    outside = 1 - inside
    n, m = inside[:, 0].sum(), outside[:, 0].sum()
    to_inside, to_outside = kernel @ inside, kernel @ outside
    within = (inside * to_inside).sum(0) / (n * (n - 1)) + (outside * to_outside).sum(0) / (m * (m - 1))
    return np.asarray(within - 2 * (inside * to_outside).sum(0) / (n * m))


def _standard_error(kernel: NDArray[np.float64], n: int) -> float:
    """Of the estimate, from how far each row on its own pulls it."""
    m = len(kernel) - n
    pulls_first = kernel[:n, :n].sum(1) / (n - 1) - kernel[:n, n:].mean(1)
    pulls_second = kernel[n:, n:].sum(1) / (m - 1) - kernel[n:, :n].mean(1)
    return float(2 * np.sqrt(pulls_first.var(ddof=1) / n + pulls_second.var(ddof=1) / m))
