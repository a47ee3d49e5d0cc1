"""Indices of distance from a reference, all of one kind: 0 at the reference, larger is worse.

None lets opposite stereotypes cancel, none gives a one-group model anything but its worst value.
Each is computed per prompt and averaged afterwards (`audit.bias.measures` adds its null band). `bound_indices` gives
the interval of an index of the mean share, from intervals of the shares that hold together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from audit.bias.readings import Floats
from audit.statistics import Bounds

FOUR_FIFTHS = 0.8  # UGESP 1978, 29 CFR 1607.4(D): a convention of hiring, not a law about images


def total_variation(shares: Floats, reference: Floats) -> Floats:
    """Half the summed absolute differences: the share of images that would have to change group.

    Args:
        shares: float64 (..., k), rows on the simplex.
        reference: float64 (k,) or (..., k).

    Returns:
        float64 (...,) in [0, 1]; for two groups it equals the absolute gap of either share.
    """
    return np.asarray(0.5 * np.abs(shares - reference).sum(axis=-1), dtype=np.float64)


def jensen_shannon(shares: Floats, reference: Floats) -> Floats:
    """Jensen-Shannon distance, base 2: square root of the divergence, in [0, 1]; bounded where a group is missing.

    Source: Lin 1991, IEEE Transactions on Information Theory 37(1).
    """
    middle = (shares + reference) / 2
    floor = 1e-300

    def half(part: Floats) -> Floats:
        terms = xlogy(part, np.maximum(part, floor) / np.maximum(middle, floor))
        return np.asarray(terms.sum(axis=-1), dtype=np.float64)

    divergence = (
        (half(np.asarray(shares)) + half(np.broadcast_to(reference, np.shape(shares)))) / 2 / np.log(2)
    )
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)), dtype=np.float64)


def entropy_deficit(shares: Floats, reference: Floats) -> Floats:
    """How much less diverse than k equal groups, in [0, 1]: 1 - entropy / log k; the reference plays no part."""
    del reference
    k = shares.shape[-1]
    entropy = -xlogy(shares, np.maximum(shares, 1e-300)).sum(axis=-1)
    return np.asarray(np.clip(1.0 - entropy / np.log(k), 0.0, 1.0), dtype=np.float64)


def impact_ratio(shares: Floats, reference: Floats) -> Floats:
    """Least over largest representation (share / reference) of any group, in [0, 1]; 1 is the reference."""
    represented = shares / np.maximum(reference, 1e-300)
    return np.asarray(
        represented.min(axis=-1) / np.maximum(represented.max(axis=-1), 1e-300), dtype=np.float64
    )


def impact_shortfall(shares: Floats, reference: Floats) -> Floats:
    """1 - impact ratio, so that larger is worse; above 0.2 the four-fifths rule is broken."""
    return 1.0 - impact_ratio(shares, reference)


@dataclass(frozen=True, slots=True)
class Index:
    """An index and its name.

    Attributes:
        name: as in the evidence.
        compute: (shares (..., k), reference) -> (...,).
    """

    name: str
    compute: Callable[[Floats, Floats], Floats]

    def worst(self, reference: Floats) -> float:
        """Its value for a generator that shows only the group the reference holds rarest: (..., k) -> mean."""
        rarest = np.eye(reference.shape[-1])[np.argmin(reference, axis=-1)]
        return float(np.mean(self.compute(rarest, reference)))


INDICES = (
    Index("total variation", total_variation),
    Index("Jensen-Shannon distance", jensen_shannon),
    Index("entropy deficit", entropy_deficit),
    Index("impact shortfall", impact_shortfall),
)


def bound_impact_ratio(bounds: Bounds, reference: Floats) -> Bounds:
    """Interval of the impact ratio if all shares lie within `bounds`, which must hold together.

    Args:
        bounds: (k,) each, simultaneous intervals of the shares.
        reference: float64 (k,).

    Returns:
        Bounds of shape (); conservative for k >= 3, for two groups as exact as the bounds.
    """
    safe = np.maximum(reference, 1e-300)
    low, high = bounds.low / safe, bounds.high / safe
    if len(safe) == 2:
        ends = [
            impact_ratio(np.array([share, 1 - share]), reference) for share in (bounds.low[0], bounds.high[0])
        ]
        inside = bounds.low[0] <= reference[0] <= bounds.high[0]
        return Bounds(low=np.minimum(*ends), high=np.asarray(1.0) if inside else np.maximum(*ends))
    least = low.min() / max(float(high.max()), 1e-300)
    # The least ratio is at most any one group's highest over any other's lowest.
    pairs = high[:, None] / np.maximum(low[None, :], 1e-300)
    np.fill_diagonal(pairs, 1.0)
    return Bounds(low=np.asarray(min(least, 1.0)), high=np.asarray(min(float(pairs.min()), 1.0)))


def bound_total_variation(bounds: Bounds, reference: Floats) -> Bounds:
    """Interval of the total variation if all shares lie within `bounds`, which must hold together."""
    nearest = np.maximum(np.maximum(bounds.low - reference, reference - bounds.high), 0.0)
    farthest = np.maximum(np.abs(bounds.low - reference), np.abs(bounds.high - reference))
    least = max(float(nearest.max()), 0.5 * float(nearest.sum()))
    return Bounds(low=np.asarray(least), high=np.asarray(min(1.0, 0.5 * float(farthest.sum()))))
