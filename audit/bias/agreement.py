"""How far annotators agree beyond chance: Cohen's kappa of two, Krippendorff's alpha of any number.

Both take "undetermined" as an answer like any other. Intervals resample images, since one image's answers hang
together. Agreement says how well the question can be answered, not that the answer is true.

Sources: Cohen 1960, Educational and Psychological Measurement 20; Krippendorff 2019, Content Analysis, chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.bias.readings import Floats
from audit.evidence import Interval
from audit.statistics import require_level

DRAWS = 2000
MIN_SHARED = 10  # images that two annotators labelled; below, an interval would say nothing
METHOD = "percentile bootstrap over images"

_Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on one attribute.

    Attributes:
        attribute: its name.
        annotators: who labelled it.
        shared: images that two or more of them labelled.
        alike: share of answer pairs of one image that are equal, 0 to 1; 0 when nothing is shared.
        alpha: Krippendorff's alpha, at most 1; None when it is not defined (too little shared, or one answer only).
        alpha_interval: of alpha; None with it.
        kappa: Cohen's kappa; None unless exactly two annotators share enough.
        kappa_interval: of kappa; None with it.
        reason: why alpha is not there; "" when it is.
    """

    attribute: str
    annotators: tuple[str, ...]
    shared: int
    alike: float
    alpha: float | None
    alpha_interval: Interval | None
    kappa: float | None
    kappa_interval: Interval | None
    reason: str = ""

    def describe(self) -> str:
        """The agreement in one line."""
        who = f"{self.attribute}: {len(self.annotators)} annotator{'s' * (len(self.annotators) != 1)}"
        if self.alpha is None or self.alpha_interval is None:
            return f"{who}. {self.reason}"
        said = (
            f"{who}, {self.shared} images labelled twice, {100 * self.alike:.0f} % of answers alike, alpha "
        )
        said += f"{self.alpha:.2f} [{self.alpha_interval.low:.2f}, {self.alpha_interval.high:.2f}]"
        if self.kappa is not None and self.kappa_interval is not None:
            said += (
                f", kappa {self.kappa:.2f} [{self.kappa_interval.low:.2f}, {self.kappa_interval.high:.2f}]"
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return {**asdict(self), "annotators": list(self.annotators)}


def measure_agreement(
    labels: pd.DataFrame, *, attribute: str, level: float = 0.95, seed: int = 0
) -> Agreement:
    """Agreement of all who labelled an attribute.

    Args:
        labels: columns image_id, attribute, value, annotator; one row an image, attribute and annotator.
        attribute: which.
        level: two-sided confidence, in (0, 1).
        seed: of the bootstrap.
    """
    require_level(level)
    mine = labels[labels["attribute"] == attribute]
    annotators = tuple(sorted(mine["annotator"].unique()))
    wide = mine.pivot_table(index="image_id", columns="annotator", values="value", aggfunc="first")
    shared = wide[wide.notna().sum(axis=1) >= 2]
    values = sorted(set(mine["value"]))
    counts = np.stack(
        [(shared == value).sum(axis=1).to_numpy(np.float64) for value in values] or [np.zeros(0)], axis=1
    )
    alike = _alike(counts)
    if len(shared) < MIN_SHARED:
        reason = f"{len(shared)} images have two labels; {MIN_SHARED} are needed to speak of agreement."
        return Agreement(attribute, annotators, len(shared), alike, None, None, None, None, reason)
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        reason = "Only one answer was ever given, so agreement beyond chance is not defined."
        return Agreement(attribute, annotators, len(shared), alike, None, None, None, None, reason)
    rows = np.random.default_rng(seed).integers(0, len(counts), (DRAWS, len(counts)))
    alpha, alpha_interval = _with_interval(counts, rows, level=level, statistic=_alpha)
    kappa = kappa_interval = None
    if len(annotators) == 2:
        pairs = _pairs(shared, values)
        kappa, kappa_interval = _with_interval(pairs, rows, level=level, statistic=_kappa)
    return Agreement(attribute, annotators, len(shared), alike, alpha, alpha_interval, kappa, kappa_interval)


def _pairs(shared: pd.DataFrame, values: Sequence[str]) -> Floats:
    """Answers of two annotators as indicators: float64 (images, k * k), cell first * k + second."""
    place = {value: index for index, value in enumerate(values)}
    first, second = (shared[name].map(place).to_numpy(np.int64) for name in shared.columns)
    return np.asarray(np.eye(len(values) ** 2)[first * len(values) + second], dtype=np.float64)


def _with_interval(
    units: Floats, rows: NDArray[np.int64], *, level: float, statistic: _Statistic
) -> tuple[float, Interval]:
    """The statistic of the units, and its percentile interval over resampled units."""
    value = float(statistic(units[None])[0])
    drawn = statistic(units[rows])
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn[np.isfinite(drawn)], [tail, 100 - tail])
    return value, Interval(min(float(low), value), max(float(high), value), level, METHOD)


def _alpha(counts: Floats) -> Floats:
    """Krippendorff's nominal alpha of (draws, images, answers) -> (draws,); 1 where one answer only was drawn."""
    answers = counts.sum(axis=2, keepdims=True)  # two or more each
    observed = (counts * (answers - counts) / (answers - 1)).sum(axis=(1, 2))
    totals = counts.sum(axis=1)  # (draws, answers)
    n = totals.sum(axis=1)
    expected = (totals * (n[:, None] - totals)).sum(axis=1) / (n - 1)
    return np.where(expected > 0, 1.0 - observed / np.maximum(expected, 1e-300), 1.0)


def _kappa(pairs: Floats) -> Floats:
    """Cohen's kappa of (draws, images, k * k) -> (draws,); 1 where both gave one answer only."""
    k = round(pairs.shape[2] ** 0.5)
    table = pairs.mean(axis=1).reshape(-1, k, k)  # (draws, k * k) -> (draws, first, second)
    agreed = np.trace(table, axis1=1, axis2=2)
    chance = (table.sum(axis=2) * table.sum(axis=1)).sum(axis=1)
    return np.where(chance < 1, (agreed - chance) / np.maximum(1 - chance, 1e-300), 1.0)


def _alike(counts: Floats) -> float:
    """Share of equal pairs among all pairs of answers to one image."""
    answers = counts.sum(axis=1)
    pairs = float((answers * (answers - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else 0.0
