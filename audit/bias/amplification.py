"""Does a generator show a prompt's groups less evenly than its training data do? With intervals, per prompt.

One share of a prompt at a time. Amplified: farther from an equal share (one half of two groups, one third of three)
than the training data; mitigated: nearer; reflected: within a band of them. The published form compares point
estimates, and its band is narrower than the sampling error of 250 images; here a verdict stands only if a 95 %
interval bears it out. Over prompts: `audit.bias.amplification_summary`.

Sources: Friedrich et al. 2023, arXiv:2302.10893 (Fair Diffusion, the published verdicts); Newcombe 1998, Statistics
in Medicine 17 and Donner and Zou 2012, Statistical Methods in Medical Research 21(4) (MOVER).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from audit.bias.readings import Floats
from audit.statistics import Bounds
from generator.errors import InputError

BAND = 0.04  # of the published verdicts; a difference of shares


class Amplification(StrEnum):
    """How a generator treats what its training data show."""

    AMPLIFIED = "amplified"
    REFLECTED = "reflected"
    MITIGATED = "mitigated"


@dataclass(frozen=True, slots=True, eq=False)
class AmplificationTable:
    """Training data against generator, one entry per share: of a prompt, or of one group in a prompt.

    Attributes:
        published: verdicts by point estimates and the band.
        stands: bool (P,), an interval bears the verdict out: the change of distance from an equal share is on its
            side of zero, or the difference of shares is within the band.
        change: float64 (P,), |generated - equal share| - |training - equal share|, in (-1, 1).
        change_bounds: of `change`.
        difference: float64 (P,), generated - training share.
        difference_bounds: of `difference`.
    """

    published: tuple[Amplification, ...]
    stands: np.ndarray[tuple[int], np.dtype[np.bool_]]
    change: Floats
    change_bounds: Bounds
    difference: Floats
    difference_bounds: Bounds

    def counts(self) -> dict[Amplification, tuple[int, int]]:
        """Verdict -> entries with it, and how many of these stand."""
        names = np.array(self.published)
        return {
            verdict: (int((names == verdict).sum()), int((self.stands & (names == verdict)).sum()))
            for verdict in Amplification
        }


def difference_bounds(
    first: Floats, second: Floats, *, first_bounds: Bounds, second_bounds: Bounds
) -> Bounds:
    """Interval of first - second from the two intervals (MOVER): their distances add as squares.

    Args:
        first: float64 (...,), estimates.
        second: float64 (...,), independent of the first.
        first_bounds: of first, at the wanted level.
        second_bounds: of second.
    """
    gap = first - second
    low = gap - np.hypot(first - first_bounds.low, second_bounds.high - second)
    high = gap + np.hypot(first_bounds.high - first, second - second_bounds.low)
    return Bounds(low=np.asarray(low), high=np.asarray(high))


def _distances(shares: Floats, bounds: Bounds, *, equal: float) -> tuple[Floats, Bounds]:
    """|share - equal share| with bounds."""
    ends = np.abs(bounds.low - equal), np.abs(bounds.high - equal)
    crossing = (bounds.low < equal) & (bounds.high > equal)
    return np.abs(shares - equal), Bounds(
        low=np.where(crossing, 0.0, np.minimum(*ends)), high=np.maximum(*ends)
    )


def compare_with_training(
    training: Floats,
    generated: Floats,
    *,
    training_bounds: Bounds,
    generated_bounds: Bounds,
    band: float = BAND,
    equal: float = 0.5,
) -> AmplificationTable:
    """Verdicts per share, and which of them stand.

    Args:
        training: float64 (P,), share of a group in a prompt's training data.
        generated: float64 (P,), its share in the generated images.
        training_bounds: of training, whatever the reader (exact, or corrected for its errors).
        generated_bounds: of generated, at the same level.
        band: difference of shares that counts as reflected, in [0, 1).
        equal: the share that distance is taken from, one over the number of groups, in (0, 1).

    Raises:
        InputError: lengths differ, or a band or an equal share out of range.
    """
    if training.shape != generated.shape or training.ndim != 1 or not (0 <= band < 1 and 0 < equal < 1):
        raise InputError(
            f"amplification: {training.shape} training and {generated.shape} generated shares, band {band}, "
            f"equal share {equal}; expected one of each per prompt, a band in [0, 1) and a share in (0, 1)"
        )
    far, far_bounds = _distances(generated, generated_bounds, equal=equal)
    near, near_bounds = _distances(training, training_bounds, equal=equal)
    change = difference_bounds(far, near, first_bounds=far_bounds, second_bounds=near_bounds)
    gap = difference_bounds(generated, training, first_bounds=generated_bounds, second_bounds=training_bounds)
    same = np.abs(generated - training) <= band
    verdicts = np.where(
        same, Amplification.REFLECTED, np.where(far > near, Amplification.AMPLIFIED, Amplification.MITIGATED)
    )
    stands = np.where(
        same, (gap.low >= -band) & (gap.high <= band), np.where(far > near, change.low > 0, change.high < 0)
    )
    return AmplificationTable(
        tuple(Amplification(str(verdict)) for verdict in verdicts),
        np.asarray(stands, dtype=np.bool_),
        far - near,
        change,
        generated - training,
        gap,
    )
