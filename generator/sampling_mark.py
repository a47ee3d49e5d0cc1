"""The mark that sampling leaves: its randomness is keyed, so what a picture shows can be tested for key and seed.

A token family chooses level a of unit i because its keyed uniform u[i, a] won a race (`generator.noise`). Who holds
key and seed recomputes the uniforms of the levels that the picture shows:

    S = sum over units of w[i] * -log u[i, shown]

If the picture was not drawn with this key and seed, the u are independent uniforms whatever the picture shows, so S
is a sum of exponential variables with means w, whose lower tail is computed to machine precision: that is the
p-value. The weights depend on the picture only, never on the key, so they cost no exactness, and they decide the
power. A level that had probability q wins with u^(1/q) uniform; the likelihood ratio then weighs it by 1/q - 1, a
choice that was no choice by nothing (`weigh_choices`).

A diffusion model starts from signs that are keyed bits; of the n signs read (128 in our own family), the number
found again is Binomial(n, 1/2) under the same null.

Searching N issued seeds multiplies the smallest p by N (Bonferroni). The mark says which sampler and seed made a
picture. It proves no origin: whoever holds the key and the public weights can make such a picture.

Sources: keyed exponential races, S. Aaronson's scheme as in arXiv:2305.08883; tail probabilities on the saddle-point
contour, Daniels (1954); signs of the starting noise, Gaussian Shading arXiv:2404.04956.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import binom

from generator.errors import InputError
from generator.noise import PUBLIC_KEY, check_seeds, uniforms_at, words_at
from generator.tokenizer import LEVELS, TOKENS

LEAST_UNITS = 8  # with a weight; fewer leave nothing to decide
LARGEST_WEIGHT = 3.0
MISREAD = 0.05  # share of levels that are read wrong, about what publishing does
_OFFSETS = np.cumsum((0, *LEVELS[:-1]))
_NODES = np.arange(0, 60, 0.2)  # of the integral, in standard deviations at the saddle point
_CHUNK = 256  # seeds at a time: their blocks fit into the processor's cache


@dataclass(frozen=True, slots=True)
class Choices:
    """What a picture shows of the choices that made it.

    Attributes:
        shown: levels int64 (64, 4).
        weights: (64, 4), see `weigh_choices`.
    """

    shown: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MarkReading:
    """What the sampling mark of one picture says.

    Attributes:
        seed: the best of the seeds tried.
        log10_p: of that seed, corrected for the number tried; at most 0.
        tried: seeds times keys.
        key: which of the keys, from 0.
        statistic: its score, or the number of signs found again.
    """

    seed: int
    log10_p: float
    tried: int
    key: int
    statistic: float


def detect_choices(
    shown: NDArray[np.int64],
    seeds: Sequence[int] | NDArray[np.uint64],
    *,
    weights: NDArray[np.float64],
    keys: Sequence[bytes] = (PUBLIC_KEY,),
) -> MarkReading:
    """Which of the issued seeds drew a picture of a token family, with an exact p-value.

    Args:
        shown: levels (64, 4) that the picture shows, see `generator.families.interface.trace`.
        weights: (64, 4), of the choices, 0 or more, made without the key.
        seeds: issued seeds, at least one.
        keys: sampling keys of the deployment.

    Raises:
        InputError: no seed, no key, or `shown` of another shape or range.
    """
    used = weights.reshape(-1) > 0
    numbers, weight = _numbers_of(shown)[used], weights.reshape(-1)[used]
    if used.sum() < LEAST_UNITS:  # the picture left nothing to choose
        return MarkReading(
            seed=int(check_seeds(seeds)[0]), log10_p=0.0, tried=len(seeds), key=0, statistic=0.0
        )

    def score(seeds: NDArray[np.uint64], key: bytes) -> NDArray[np.float32]:
        short = words_at(seeds, numbers, key=key) >> np.uint64(40)  # 24 bits are enough to rank
        logs = np.log((short.astype(np.float32) + np.float32(0.5)) * np.float32(2**-24))
        return np.asarray(logs @ weight.astype(np.float32))

    def judge(seed: NDArray[np.uint64], key: bytes) -> tuple[float, float]:
        statistic = float(-np.log(uniforms_at(seed, numbers, key=key)[0]) @ weight)
        return statistic, compute_log_lower_tail(statistic, weight)

    return _search(seeds, keys, score, judge)


def weigh_choices(probabilities: NDArray[np.float64], certainty: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the choices for `detect_choices`.

    Args:
        probabilities: (64, 4), of each level shown as a model expects it without the key.
        certainty: (64, 4), how surely each level was read, 0 to 1.

    Returns:
        (64, 4): the likelihood ratio's 1/q - 1, held against misread levels, which look improbable also.
    """
    misread = MISREAD / np.array(LEVELS)
    weight = (1 - MISREAD) * (1 - probabilities) / ((1 - MISREAD) * probabilities + misread)
    return np.minimum(weight, LARGEST_WEIGHT) * certainty


def compute_log_lower_tail(statistic: float, weights: NDArray[np.float64]) -> float:
    """Natural log of P(sum of weights * independent Exp(1) <= statistic).

    The inverse Laplace integral along the vertical line through its saddle point, where it does not oscillate; the
    trapezoidal rule converges there faster than any power. Relative error below 1e-8 for `LEAST_UNITS` weights up.

    Args:
        statistic: above 0.
        weights: (n,), above 0.
    """

    def slope(t: float) -> float:
        return statistic - float((weights / (1 + t * weights)).sum()) - 1 / t

    t = float(np.exp(brentq(lambda x: slope(math.exp(x)), -60, 60)))
    peak = t * statistic - float(np.log1p(t * weights).sum()) - math.log(t)
    width = 1 / math.sqrt(float(((weights / (1 + t * weights)) ** 2).sum()) + 1 / t**2)
    line = t + 1j * width * _NODES
    exponent = line * statistic - np.log1p(line[:, None] * weights).sum(axis=1) - np.log(line)
    heights = np.exp(exponent - peak).real
    area = (heights.sum() - heights[0] / 2) * _NODES[1] * width
    return peak + math.log(area / math.pi)


def detect_signs(
    start: NDArray[np.floating],
    seeds: Sequence[int] | NDArray[np.uint64],
    *,
    keys: Sequence[bytes] = (PUBLIC_KEY,),
    seen: NDArray[np.floating] | None = None,
) -> MarkReading:
    """Which of the issued seeds started a picture of a diffusion model, with an exact p-value.

    Args:
        start: estimate of the starting noise, (64, 4) of the diffusion family or the latents of another model. The
            half of largest size is read, which the key has no part in choosing: there the signs are certain.
        seeds: issued seeds, at least one.
        keys: sampling keys of the deployment.
        seen: share of each value's place that the picture shows, of the shape of `start`, in 0..1, found without the
            key; less than half of it seen, and the value is not read. None: all of it is seen.

    Raises:
        InputError: no seed or no key.
    """
    flat = np.abs(start.reshape(-1))
    shares = np.ones(flat.shape) if seen is None else seen.reshape(-1)
    readable = min(len(flat) // 2, int(np.count_nonzero(shares >= 0.5)))
    chosen = np.sort(np.argsort(-np.where(shares >= 0.5, flat * shares, -1), kind="stable")[:readable])
    negative, numbers = start.reshape(-1)[chosen] < 0, chosen * 2  # [..., 0] of the pairs (sign, magnitude)

    def score(seeds: NDArray[np.uint64], key: bytes) -> NDArray[np.int64]:
        wanted = words_at(seeds, numbers, key=key) < np.uint64(2**63)  # u < 1/2
        return np.asarray(np.count_nonzero(wanted == negative, axis=1))

    def judge(seed: NDArray[np.uint64], key: bytes) -> tuple[float, float]:
        agreeing = int(score(seed, key)[0])
        tail = binom.logpmf(np.arange(agreeing, readable + 1), readable, 0.5)  # its own logsf underflows
        return float(agreeing), min(0.0, float(logsumexp(tail)))

    return _search(seeds, keys, score, judge)


def _numbers_of(shown: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position in the seed's noise of the uniform behind every level shown, (256,)."""
    if shown.shape != (TOKENS, len(LEVELS)) or (shown < 0).any() or (shown >= np.array(LEVELS)).any():
        raise InputError(f"levels of shape {shown.shape} are not those of a picture, (64, 4) within {LEVELS}")
    numbers: NDArray[np.int64] = np.arange(TOKENS)[:, None] * sum(LEVELS) + _OFFSETS + shown
    return numbers.reshape(-1)


def _search(
    seeds: Sequence[int] | NDArray[np.uint64],
    keys: Sequence[bytes],
    score: Callable[[NDArray[np.uint64], bytes], NDArray[Any]],
    judge: Callable[[NDArray[np.uint64], bytes], tuple[float, float]],
) -> MarkReading:
    """Rank all seeds by `score`, then let `judge` say statistic and natural log of the p-value of the best."""
    if not len(seeds) or not keys:
        raise InputError(
            "no seed or no key to test; give the seeds that were issued, such as a run directory"
        )
    numbers = check_seeds(seeds)
    chunks = [numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK)]
    best: list[tuple[float, float, int, int]] = []
    for which, key in enumerate(keys):
        if len(chunks) == 1:  # not worth a thread
            scores = score(chunks[0], key)
        else:
            with ThreadPoolExecutor() as pool:
                scores = np.concatenate(list(pool.map(lambda part, key=key: score(part, key), chunks)))
        winner = numbers[[int(scores.argmax())]]
        statistic, log_p = judge(winner, key)
        best.append((log_p, statistic, int(winner[0]), which))
    log_p, statistic, seed, which = min(best)
    tried = len(numbers) * len(keys)
    log10_p = min(0.0, (log_p + math.log(tried)) / math.log(10))
    return MarkReading(seed=seed, log10_p=log10_p, tried=tried, key=which, statistic=statistic)
