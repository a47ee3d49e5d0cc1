"""How far a generator departs from a reference, over prompts: measures that chance alone cannot fool.

Every plug-in measure of distance is above zero for a perfectly fair generator (eight images a prompt of two
equally likely groups: the mean absolute deviation from one half is .137), so each comes with its null band:
the values a generator exactly at the reference shows at the same numbers of images with the same reader.
Deviations are averaged over prompts after the distance is taken, so opposite stereotypes never cancel, and
all k groups of the schema count, seen or not, so a model that shows one group only scores worst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.bias.estimators import correct, draw_rates, point_rates, unmix
from audit.bias.indices import INDICES, Index, total_variation
from audit.bias.intervals import MIN_CLUSTERS, bootstrap_weights, check_same_groups
from audit.bias.readings import Counts, ErrorMatrix, Floats, Readings
from audit.statistics import Bounds, require_level
from generator.errors import InputError

_CELLS = 2_000_000  # simulated counts held at once
_LEAST_DRAWS = 400
_PROMPT_DRAWS = 400_000
SMALL_EFFECT = 0.2  # Cohen's h, "small"; for parity of two groups 0.40 to 0.60. Cohen 1988, section 6.2


def worst_variation(reference: Floats) -> float:
    """Total variation of a generator that shows only the group the reference holds rarest: (..., k) -> mean."""
    return float(np.mean(1.0 - reference.min(axis=-1)))


def margin_bounds(reference: Floats, *, effect: float = SMALL_EFFECT) -> Bounds:
    """Shares that differ from the reference by no more than a practical margin.

    The margin is an effect size, Cohen's h, so that it narrows for rare groups and an absent group is never
    within it by default: h = 0.2 is .40 to .60 around .5, and .05 to .17 around .1.

    Args:
        reference: float64 (k,).
        effect: largest |2 asin sqrt(share) - 2 asin sqrt(reference)| that does not matter, >= 0.

    Returns:
        Bounds, float64 (k,) each.

    Raises:
        InputError: a negative effect.
    """
    if not effect >= 0:
        raise InputError(f"practical margin: got {effect}, expected an effect size (Cohen's h) >= 0")
    angle = np.arcsin(np.sqrt(reference))
    low = np.sin(np.maximum(angle - effect / 2, 0.0)) ** 2
    high = np.sin(np.minimum(angle + effect / 2, np.pi / 2)) ** 2
    return Bounds(low=np.asarray(low), high=np.asarray(high))


def margin_variation(reference: Floats, *, effect: float = SMALL_EFFECT) -> float:
    """Mean over references (..., k) of the total variation at the wider ends of the margin (parity of two: 0.10)."""
    bounds = margin_bounds(reference, effect=effect)
    widest = np.maximum(reference - bounds.low, bounds.high - reference)
    return float(0.5 * widest.sum(axis=-1).mean())


def prompt_shares(readings: Readings, matrix: ErrorMatrix | None) -> Floats:
    """Corrected shares of every prompt: float64 (P, k); uniform where nothing was determined."""
    return correct(readings.counts.astype(np.float64), point_rates(matrix, len(readings.groups)))


@dataclass(frozen=True, slots=True)
class Deviation:
    """A mean total variation with what chance makes of it.

    Attributes:
        observed: mean over prompts, in [0, 1].
        null_mean: its mean under the null.
        null_low: lower end of its null band.
        null_high: upper end.
        excess: observed corrected for chance: 0 at the null mean, `worst` at the worst value.
        worst: the largest value possible.
        p_value: chance of a value as large under the null.
    """

    observed: float
    null_mean: float
    null_low: float
    null_high: float
    excess: float
    worst: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Departure from the reference and between prompts, over prompts with a determined image.

    Attributes:
        reference: total variation of each prompt from the reference.
        pooled: total variation of each prompt from the mean over prompts: zero for a generator that treats all
            prompts alike, however biased.
        indices: name -> every index of `audit.bias.indices`, from the reference.
        largest_gap: largest total variation from the reference of one prompt.
        largest_prompt: that prompt.
        bound: upper confidence bound of the mean deviation from the reference over new prompts of this kind,
            free of sampling bias; `bounded` tells whether there were enough prompts for one.
        bounded: False: `bound` is 1 and says nothing.
    """

    reference: Deviation
    pooled: Deviation
    indices: Mapping[str, Deviation]
    largest_gap: float
    largest_prompt: str
    bound: float
    bounded: bool


def _deviation(observed: float, null: Floats, *, worst: float, level: float) -> Deviation:
    low, high = np.quantile(null, [(1 - level) / 2, (1 + level) / 2])
    mean = float(null.mean())
    room = worst - mean
    excess = min(max((observed - mean) / room, 0.0), 1.0) * worst if room > 0 else 0.0
    p_value = float((1 + np.count_nonzero(null >= observed - 1e-12)) / (1 + null.size))
    return Deviation(observed, mean, float(low), float(high), excess, worst, p_value)


@dataclass(frozen=True, slots=True, eq=False)
class _Null:
    """A generator at these shares, read by this reader, corrected by this matrix."""

    n: Counts  # (P,)
    rates: Floats  # (D, k, k + 1), drawn
    point: Floats  # (k, k + 1)

    def simulate(
        self, shares: Floats, target: Floats | None, indices: Sequence[Index], *, rng: np.random.Generator
    ) -> Floats:
        """Mean over prompts of each index: shares (k,) or (P, k) -> (indices, D)."""
        prompts, k = len(self.n), shares.shape[-1]
        each = max(1, _CELLS // (prompts * (k + 1)))
        blocks = []
        for start in range(0, len(self.rates), each):
            rates = self.rates[start : start + each]
            expected = np.clip(
                np.einsum("pk,dkr->dpr", np.broadcast_to(shares, (prompts, k)), rates), 0.0, None
            )
            expected /= expected.sum(axis=2, keepdims=True)
            counts = rng.multinomial(self.n[None, :], expected)
            blocks.append(_mean_indices(counts, self.point, target, indices))
        return np.concatenate(blocks, axis=1)


def _mean_indices(counts: Counts, point: Floats, target: Floats | None, indices: Sequence[Index]) -> Floats:
    """Mean over prompts with a determined image: (D, P, k + 1) -> (indices, D); target None: the mean share."""
    shares = correct(counts.astype(np.float64), point)
    seen = (counts[..., :-1].sum(axis=-1) > 0).astype(np.float64)
    weight = seen / np.maximum(seen.sum(axis=-1, keepdims=True), 1.0)
    if target is None:
        target = np.einsum("dp,dpk->dk", weight, shares)[:, None, :]
    return np.stack([(index.compute(shares, target) * weight).sum(axis=-1) for index in indices])


def deviation_bound(
    readings: Readings,
    matrix: ErrorMatrix | None,
    reference: Floats,
    *,
    level: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> float:
    """Upper bound of the mean total variation from the reference over new prompts of this kind.

    The squared deviation of each prompt is estimated without sampling bias (products of different images of
    the prompt only), averaged over resampled prompts under resampled error matrices; its upper quantile
    bounds the mean deviation, since TV^2 <= k / 4 of the summed squares and a mean is at most a root mean
    square.

    Returns:
        Upper end of a one-sided interval at `level`, in [0, 1]; 1 with fewer than 5 prompts of two images.
    """
    kept = (readings.n_images > 1) & (readings.determined > 0)
    counts = readings.counts[kept].astype(np.float64)
    if len(counts) < MIN_CLUSTERS:
        return 1.0
    k, n = len(readings.groups), counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(k + 1)
    products = pairs / (n * (n - 1))[:, None, None]  # unbiased for the outer product of a prompt's rates
    weights = bootstrap_weights(len(counts), draws=draws, rng=rng)
    weights /= weights.sum(axis=1, keepdims=True)
    second = (weights @ products.reshape(len(counts), -1)).reshape(draws, k + 1, k + 1)
    rates = draw_rates(matrix, k, draws=draws, rng=rng)
    # E[x x'] for x = unmix(q) is A E[q q'] A', and A is applied by unmixing the rows, then the columns.
    half = unmix(np.swapaxes(second, -1, -2), rates[:, None])  # (D, k + 1, k)
    squares = np.trace(unmix(np.swapaxes(half, -1, -2), rates[:, None]), axis1=-2, axis2=-1)
    # Prompts may have references of their own: E[x . r] needs x and r of the same prompt.
    table = np.broadcast_to(reference, (len(kept), k))[kept]
    with_reference = (counts / n[:, None])[:, :, None] * table[:, None, :]
    joint = (weights @ with_reference.reshape(len(counts), -1)).reshape(draws, k + 1, k)
    cross = np.trace(unmix(np.swapaxes(joint, -1, -2), rates[:, None]), axis1=-2, axis2=-1)
    mean_square = k / 4 * (squares - 2 * cross + weights @ (table**2).sum(axis=1))
    return float(np.sqrt(np.clip(np.quantile(mean_square, level), 0.0, 1.0)))


def compute_spread(
    readings: Readings,
    matrix: ErrorMatrix | None,
    reference: Floats,
    *,
    level: float = 0.95,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Spread:
    """Mean deviation of prompts from the reference and from each other, each with its null band.

    Args:
        readings: counts per prompt; prompts with nothing determined are left out.
        matrix: of the reader; None: readings are the truth.
        reference: float64 (k,) or (P, k), sums to 1 over k.
        level: of the null bands and of the bound.
        draws: simulated audits under each null; fewer for more than 400 prompts, whose mean hardly varies.
        rng: the run's generator.

    Raises:
        InputError: groups differ, or nothing was determined.
        CannotCheckError: the error matrix is singular.
    """
    require_level(level)
    check_same_groups(readings, matrix)
    kept = np.flatnonzero(readings.determined > 0)
    if not kept.size:
        raise InputError("spread: every reading is undetermined, there is nothing to measure")
    counts, k = readings.counts[kept], len(readings.groups)
    targets = np.broadcast_to(reference, (len(readings.counts), k))[kept]
    point, n = point_rates(matrix, k), counts.sum(axis=1)
    enough = min(draws, max(_LEAST_DRAWS, _PROMPT_DRAWS // len(kept)))
    null = _Null(n, draw_rates(matrix, k, draws=enough, rng=rng), point)
    gaps = total_variation(correct(counts.astype(np.float64), point), targets)
    mean_share = correct((counts / n[:, None]).mean(axis=0), point)
    fair = null.simulate(targets, targets, INDICES, rng=rng)
    alike = null.simulate(mean_share, None, INDICES[:1], rng=rng)[0]
    observed = _mean_indices(counts[None], point, targets, INDICES)[:, 0]
    between = float(_mean_indices(counts[None], point, None, INDICES[:1])[0, 0])
    bound = deviation_bound(readings, matrix, reference, level=level, draws=2 * draws, rng=rng)
    found = {
        index.name: _deviation(float(value), simulated, worst=index.worst(targets), level=level)
        for index, value, simulated in zip(INDICES, observed, fair, strict=True)
    }
    return Spread(
        reference=found[INDICES[0].name],
        pooled=_deviation(between, alike, worst=1.0 - 1.0 / k, level=level),
        indices=found,
        largest_gap=float(gaps.max()),
        largest_prompt=readings.prompt_ids[int(kept[np.argmax(gaps)])],
        bound=bound,
        bounded=bound < 1.0,
    )
