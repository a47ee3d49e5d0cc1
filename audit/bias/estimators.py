"""Group shares from readings: naive, corrected for the reader's errors, and bounded whatever the unread are.

A reader says of every image one of k groups or "undetermined". Its errors are known only from a labelled
sample, the error matrix, so the matrix is uncertain and its uncertainty travels into every interval. An
undetermined reading is a reading: it is a column of the matrix and is never dropped.

The correction solves `rates[:, :k].T @ x = readings[:k]` and scales x to sum to one, which for two groups is
Rogan and Gladen's estimator reweighted by how often each group can be read at all. Scaling makes it
independent of a reader that gives up more often on the audited images than on the labelled ones, as long as
it does so for all groups alike.

What this refuses to do: correct with a matrix that holds no information (a reader that always answers the
same), or pretend that a matrix measured on other images transports to these. Human labels on the audited
images (prediction-powered inference) are the cure for that; such an estimator needs the same `Readings`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.bias.readings import Counts, ErrorMatrix, Floats
from generator.errors import CannotCheckError

# Below this lower bound on (recall - largest false reading rate) the correction divides by next to nothing.
MIN_CONTRAST = 0.05


def project_to_simplex(points: Floats) -> Floats:
    """Nearest points (Euclidean) whose coordinates are >= 0 and sum to 1.

    Args:
        points: float64 (..., k).

    Returns:
        float64 (..., k).

    Source: Held, Wolfe and Crowder 1974, Mathematical Programming 6.
    """
    k = points.shape[-1]
    if k == 2:
        first = np.clip((1.0 + points[..., 0] - points[..., 1]) / 2, 0.0, 1.0)
        return np.stack([first, 1.0 - first], axis=-1)
    descending = -np.sort(-points, axis=-1)
    excess = (np.cumsum(descending, axis=-1) - 1.0) / np.arange(1, k + 1)
    kept = np.sum(descending > excess, axis=-1, keepdims=True)
    shift = np.take_along_axis(excess, kept - 1, axis=-1)
    return np.maximum(points - shift, 0.0)


def unmix(readings: Floats, rates: Floats) -> Floats:
    """Undo the reader's errors, before any constraint.

    Args:
        readings: float64 (..., k + 1), share of each reading.
        rates: float64 (..., k, k + 1), P(reading | true group); broadcasts with readings.

    Returns:
        float64 (..., k): unbiased for the shares (apart from the uncertainty of rates); may leave [0, 1].

    Raises:
        CannotCheckError: the matrix is singular: the reader's answer does not depend on the group.
    """
    confusion = np.swapaxes(rates[..., :-1], -1, -2)
    try:
        if confusion.ndim == 2:  # one matrix for many readings
            return np.asarray(readings[..., :-1] @ np.linalg.inv(confusion).T, dtype=np.float64)
        solved = np.linalg.solve(confusion, readings[..., :-1, None])
    except np.linalg.LinAlgError as error:
        raise CannotCheckError(
            "error matrix is singular: the reader's answer does not depend on the true group; use another reader"
        ) from error
    return np.asarray(solved[..., 0], dtype=np.float64)


def correct(readings: Floats, rates: Floats) -> Floats:
    """Shares of the true groups, on the simplex.

    Args:
        readings: float64 (..., k + 1), share (or count) of each reading.
        rates: float64 (..., k, k + 1), P(reading | true group).

    Returns:
        float64 (..., k), >= 0, sums to 1. Where nothing was determined the row is uniform: the caller must
        not report it.

    Raises:
        CannotCheckError: the matrix is singular.
    """
    mass = unmix(readings, rates)
    total = mass.sum(axis=-1, keepdims=True)
    uniform = 1.0 / mass.shape[-1]
    scaled = np.where(total > 0, mass / np.where(total > 0, total, 1.0), uniform)
    return project_to_simplex(scaled)


def point_rates(matrix: ErrorMatrix | None, k: int) -> Floats:
    """float64 (k, k + 1): the rates to correct with; without a matrix the readings are taken as the truth."""
    return matrix.rates if matrix is not None else np.eye(k, k + 1)


def draw_rates(matrix: ErrorMatrix | None, k: int, *, draws: int, rng: np.random.Generator) -> Floats:
    """Error matrices that the labelled sample allows.

    Rows are Dirichlet posteriors with prior mass 1 spread over the k + 1 readings (Perks), which stays weak
    for many groups. Without a matrix every draw is the identity.

    Returns:
        float64 (draws, k, k + 1), rows sum to 1.
    """
    if matrix is None:
        return np.broadcast_to(np.eye(k, k + 1), (draws, k, k + 1))
    shape = matrix.counts + 1.0 / (k + 1)
    gammas = rng.standard_gamma(shape, size=(draws, *shape.shape))
    return np.asarray(gammas / gammas.sum(axis=-1, keepdims=True), dtype=np.float64)


def naive_shares(counts: Counts) -> Floats:
    """What the reader said, undetermined left out: the figure other tools publish, kept for comparison.

    Args:
        counts: int64 (P, k + 1).

    Returns:
        float64 (P, k); a row where nothing was determined is 0.
    """
    named = counts[:, :-1]
    return np.asarray(named / np.maximum(named.sum(axis=1, keepdims=True), 1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Shares if every undetermined image were against (low) or of (high) the group; float64 (P, k) each."""

    low: Floats
    high: Floats


def worst_case_bounds(counts: Counts, rates: Floats) -> WorstCase:
    """Bounds on the shares among the images at hand that assume nothing about the undetermined ones.

    The determined images are corrected with the error rates given that a group is read; the undetermined
    ones are then all given to the other groups, or all to this one. Sampling error is not in these bounds.

    Args:
        counts: int64 (P, k + 1), each row with at least one image.
        rates: float64 (k, k + 1).

    Source: Manski 1989, Journal of Human Resources 24(3).
    """
    named = rates[:, :-1].sum(axis=1, keepdims=True)
    among_named = np.concatenate([rates[:, :-1] / np.maximum(named, 1e-300), np.zeros_like(named)], axis=1)
    determined = counts[:, :-1].sum(axis=1, keepdims=True)
    unread = counts[:, -1:] / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    certain = correct(counts / np.maximum(determined, 1), among_named) * (1.0 - unread)
    return WorstCase(low=certain, high=np.minimum(certain + unread, 1.0))


@dataclass(frozen=True, slots=True)
class Contrast:
    """Whether an error matrix can correct anything.

    Attributes:
        usable: the readings depend on every true group, beyond the doubt of the labelled sample.
        low: lower bound of the smallest (recall - largest false reading rate) over groups, in [-1, 1].
        reason: complete sentence.
    """

    usable: bool
    low: float
    reason: str


def assess_contrast(
    matrix: ErrorMatrix, *, level: float = 0.95, draws: int = 2000, rng: np.random.Generator
) -> Contrast:
    """Ask whether the reader's answers depend on the truth at all.

    For each group: recall among determined readings minus the largest rate at which another group is read
    as this one. A reader that always answers the same has 0 for one group.

    Args:
        matrix: of the reader.
        level: two-sided confidence of the lower bound.
        draws: posterior draws.
        rng: the run's generator.
    """
    k = len(matrix.groups)
    labels = matrix.counts.sum(axis=1)
    read = matrix.counts[:, :-1].sum(axis=1)
    for index, group in enumerate(matrix.groups):
        if labels[index] == 0 or read[index] == 0:
            what = "no labelled image" if labels[index] == 0 else "no determined reading"
            return Contrast(False, -1.0, f"The error matrix has {what} of group {group!r}.")
    rates = draw_rates(matrix, k, draws=draws, rng=rng)[..., :-1]
    rates = rates / rates.sum(axis=-1, keepdims=True)
    recall = np.diagonal(rates, axis1=1, axis2=2)
    false_rate = np.where(np.eye(k, dtype=bool), -1.0, rates).max(axis=1)
    low = np.quantile(recall - false_rate, (1 - level) / 2, axis=0)
    weakest = int(np.argmin(low))
    name, value = matrix.groups[weakest], float(low[weakest])
    if value < MIN_CONTRAST:
        return Contrast(
            False, value, f"The reader's answer hardly depends on whether an image shows {name!r}."
        )
    return Contrast(True, value, f"The reader tells every group from the others (weakest: {name!r}).")
