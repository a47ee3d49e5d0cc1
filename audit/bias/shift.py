"""Does the reader err on the audited images as on those its error matrix was counted on?

With labels of audited images: are the readings of images with one label distributed as the matrix says (a
likelihood-ratio test, its null simulated)? Readings alone cannot tell: a reader that takes half of the women for men
looks like a generator that shows fewer women.

A test that finds nothing proves no transport, least of all from few labels: `detectable` says what would have been
seen.

Sources: Rao and Scott 1981, JASA 76 (design effect of clustered counts); Wilks 1938.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from audit.bias.labelled import LabelledReadings
from audit.bias.readings import Counts, ErrorMatrix, Floats
from generator.errors import InputError

MIN_LABELS = 5  # of a group; a group with fewer is not tested
_DRAWS = 1000
_EM_STEPS = 60


@dataclass(frozen=True, slots=True)
class Shift:
    """What a shift check found.

    Attributes:
        tested: False: there was nothing to test with; p_value is then 1.
        p_value: of "the error matrix transports".
        largest: largest difference of a rate, in [0, 1].
        detectable: difference of a recall that half of such checks would find, in [0, 1]; 1 when not tested.
        reason: complete sentence.
    """

    tested: bool
    p_value: float
    largest: float
    detectable: float
    reason: str


def _deviance(observed: Floats, rates: Floats) -> Floats:
    """2 * sum observed log(observed share / rate) over the last two axes."""
    totals = observed.sum(axis=-1, keepdims=True)
    shares = observed / np.maximum(totals, 1e-300)
    gain = xlogy(observed, np.maximum(shares, 1e-300)) - xlogy(observed, np.maximum(rates, 1e-300))
    return np.asarray(2.0 * gain.sum(axis=(-1, -2)), dtype=np.float64)


def _homogeneity(first: Floats, second: Floats) -> Floats:
    """Likelihood ratio of "both tables have the same rows' rates", over the last two axes."""
    both = first + second
    pooled = both / np.maximum(both.sum(axis=-1, keepdims=True), 1e-300)
    return _deviance(first, pooled) + _deviance(second, pooled)


def error_design_effect(labelled: LabelledReadings) -> float:
    """Factor by which errors that hang together within prompts inflate the variance of an error rate, >= 1.

    Observed variance of prompts' summed departures from the pooled rates, over what independent errors would show.
    """
    counts = np.swapaxes(labelled.counts, 1, 2)[:, :-1]  # (P, label, reading)
    pooled = counts.sum(axis=0)
    rates = pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1e-300)
    expected = counts.sum(axis=2, keepdims=True) * rates
    seen = float(((counts - expected) ** 2).sum())
    independent = float((expected * (1 - rates)).sum())
    prompts = max(int(np.count_nonzero(labelled.per_prompt)), 1)
    # Sums of independent errors scatter too: two standard errors are not taken for clustering.
    factor = seen / independent if independent > 1e-9 else 1.0
    return max(1.0, factor - 2.0 * float(np.sqrt(2.0 / prompts)))


def check_labelled_shift(
    matrix: ErrorMatrix, labelled: LabelledReadings, *, level: float = 0.95, rng: np.random.Generator
) -> Shift:
    """Compare the readings of labelled audited images with the error matrix.

    Args:
        matrix: as counted elsewhere.
        labelled: labels of audited images.
        level: of `detectable`.
        rng: the run's generator.

    Raises:
        InputError: groups differ.
    """
    if matrix.groups != labelled.groups:
        raise InputError(
            f"shift check: groups {list(labelled.groups)}, expected {list(matrix.groups)} as in the error matrix"
        )
    here = labelled.counts.sum(axis=0).T[:-1] / error_design_effect(labelled)
    there = matrix.counts.astype(np.float64)
    tested = (here.sum(axis=1) >= MIN_LABELS) & (there.sum(axis=1) >= MIN_LABELS)
    if not tested.any():
        words = (
            f"Fewer than {MIN_LABELS} labels of any group: whether the error matrix fits cannot be tested."
        )
        return Shift(False, 1.0, 0.0, 1.0, words)
    here, there = here[tested], there[tested]
    both = here + there
    # One more of each reading that occurs: a rare error seen thrice may well be twice as frequent.
    smooth = both + (both > 0)
    pooled = smooth / smooth.sum(axis=1, keepdims=True)
    n_here, n_there = np.maximum(np.round(here.sum(axis=1)), 1).astype(int), there.sum(axis=1).astype(int)
    null = _homogeneity(
        rng.multinomial(n_here, pooled, size=(_DRAWS, len(pooled))).astype(np.float64),
        rng.multinomial(n_there, pooled, size=(_DRAWS, len(pooled))).astype(np.float64),
    )
    seen = float(_homogeneity(here, there))
    p_value = float((1 + np.count_nonzero(null >= seen - 1e-9)) / (1 + _DRAWS))
    gaps = np.abs(here / here.sum(axis=1, keepdims=True) - there / there.sum(axis=1, keepdims=True))
    return Shift(
        True, p_value, float(gaps.max()), _detectable(pooled, n_here, n_there, level), _words(p_value, level)
    )


def _detectable(pooled: Floats, n_here: Counts, n_there: Counts, level: float) -> float:
    from scipy.special import ndtri

    spread = (pooled * (1 - pooled)).max(axis=1) * (1 / n_here + 1 / n_there)
    return float(min(1.0, ndtri(0.5 + level / 2) * np.sqrt(spread.max())))


def _words(p_value: float, level: float) -> str:
    if p_value <= 1 - level:
        return "The reader errs on the audited images otherwise than its error matrix says: it does not fit."
    return "The reader's errors on the audited images agree with its error matrix."
