"""How good a detector is: ranking, error rates at the operating point, and their intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from audit.evidence import Interval
from audit.statistics import clopper_pearson, clopper_pearson_bounds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A proportion and its exact interval.

    Attributes:
        value: hits / n, in [0, 1]; 0 when n is 0.
        hits: count.
        n: count.
        interval: 95 %, method named inside.
    """

    value: float
    hits: int
    n: int
    interval: Interval


def compute_share(hits: int, n: int) -> Share:
    """Share of independent trials."""
    return Share(hits / n if n else 0.0, hits, n, clopper_pearson(hits, n))


def compute_clustered_share(hits: Sequence[bool], clusters: Sequence[Hashable]) -> Share:
    """Share of images when images of one prompt resemble each other.

    Args:
        hits: one truth value per image.
        clusters: prompt of each image; images that belong to no prompt each have a cluster of their own.

    Returns:
        The share with an exact interval at the effective number of images: n divided by the design effect, never
        more than n and never fewer than the number of prompts; with all images alike, where no design effect can be
        estimated, the number of prompts.

    Source: Korn and Graubard 1998, Survey Methodology 24(2).
    """
    values = np.asarray(hits, dtype=np.float64)
    n = len(values)
    names = {name: index for index, name in enumerate(dict.fromkeys(clusters))}
    groups = len(names)
    if groups == n or n == 0:
        return compute_share(int(values.sum()), n)
    mean = float(values.mean())
    effective = float(groups)
    if 0.0 < mean < 1.0 and groups > 1:
        index = np.array([names[name] for name in clusters])
        residuals = np.bincount(index, weights=values - mean, minlength=groups)
        variance = groups / (groups - 1) * float(np.sum(residuals**2)) / n**2
        effective = float(np.clip(mean * (1 - mean) / max(variance, 1e-12), groups, n))
    trials = max(1, int(effective))
    # both roundings widen the interval
    low = float(clopper_pearson_bounds(int(np.floor(mean * trials + 1e-9)), trials).low)
    high = float(clopper_pearson_bounds(int(np.ceil(mean * trials - 1e-9)), trials).high)
    method = f"Clopper-Pearson at effective n {trials} ({groups} prompts)"
    return Share(mean, int(values.sum()), n, Interval(low, high, 0.95, method))


def compute_auc(real: Floats, synthetic: Floats) -> float:
    """Probability that a synthetic image scores above a real one, ties count half.

    Args:
        real: float64 (n,), scores of real images, n >= 1.
        synthetic: float64 (m,), scores of synthetic images, m >= 1.
    """
    ranks = rankdata(np.concatenate([real, synthetic]))[len(real) :]
    n, m = len(real), len(synthetic)
    return float((ranks.sum() - m * (m + 1) / 2) / (n * m))


def bootstrap_auc(
    real: Floats, synthetic: Floats, *, rng: np.random.Generator, repeats: int = 500
) -> Interval:
    """Percentile bootstrap interval of the AUC, 95 %, images drawn within each class."""
    values = [
        compute_auc(rng.choice(real, len(real)), rng.choice(synthetic, len(synthetic)))
        for _ in range(repeats)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high), 0.95, f"bootstrap over images, {repeats} repeats")


def compute_tpr_at_fpr(real: Floats, synthetic: Floats, *, fpr: float = 0.01) -> float:
    """Share of synthetic images above the threshold that at most a share `fpr` of these real images exceeds."""
    allowed = int(np.floor(fpr * len(real)))
    threshold = np.sort(real)[::-1][allowed]
    return float(np.mean(synthetic > threshold))


def compute_calibration_error(probabilities: Floats, labels: NDArray[np.int64], *, bins: int = 15) -> float:
    """Expected calibration error with equally wide bins, in [0, 1].

    Source: Guo et al. 2017 (arXiv:1706.04599).
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    counts = np.bincount(index, minlength=bins)
    confidence = np.bincount(index, weights=probabilities, minlength=bins)
    truth = np.bincount(index, weights=labels.astype(np.float64), minlength=bins)
    return float(np.sum(np.abs(confidence - truth)) / max(1, counts.sum()))
