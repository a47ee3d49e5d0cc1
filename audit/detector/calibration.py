"""From a raw logit to a calibrated probability and a verdict with a bounded false-alarm rate.

Two things are fitted on images the network never trained on: Platt's two numbers, and one threshold per class by
split conformal prediction. The bounds hold for images exchangeable with the calibration images and for no others;
`audit.detector.gate` says which images are too far away to be judged at all.

Sources: Platt 1999 (with its smoothed targets); Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
for class-conditional (Mondrian) conformal prediction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError

Floats = NDArray[np.float64]


class Verdict(StrEnum):
    """The detector's answer for one image."""

    SYNTHETIC = "synthetic"
    REAL = "real"
    ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two lines drawn through the logit axis and the way to a probability.

    Attributes:
        slope: p_synthetic = sigmoid(slope * logit + offset); positive.
        offset: see slope; for equal numbers of real and synthetic images.
        real_upper: at most a share `alpha` of real images lies above.
        synthetic_lower: at most a share `alpha` of synthetic images lies below.
        alpha: the bounded error rate of each class, in (0, 1).
        n_real: calibration images labelled real.
        n_synthetic: calibration images labelled synthetic.
    """

    slope: float
    offset: float
    real_upper: float
    synthetic_lower: float
    alpha: float
    n_real: int
    n_synthetic: int

    def probability(self, logit: float) -> float:
        """Calibrated p_synthetic in [0, 1]."""
        return float(_sigmoid(np.asarray(self.slope * logit + self.offset)))

    def decide(self, logit: float) -> Verdict:
        """The verdict; abstains wherever the conformal set holds both classes or neither."""
        could_be_real = logit <= self.real_upper
        could_be_synthetic = logit >= self.synthetic_lower
        if could_be_synthetic and not could_be_real:
            return Verdict.SYNTHETIC
        if could_be_real and not could_be_synthetic:
            return Verdict.REAL
        return Verdict.ABSTAIN


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def conformal_upper(scores: Floats, *, alpha: float) -> float:
    """The line that a new exchangeable score exceeds with probability at most `alpha`.

    Args:
        scores: float64 (n,), of one class.
        alpha: in (0, 1).

    Returns:
        The ceil((n + 1)(1 - alpha))-th smallest score; infinity when n is too small for the promise.
    """
    rank = math.ceil((len(scores) + 1) * (1.0 - alpha))
    return float("inf") if rank > len(scores) else float(np.sort(scores)[rank - 1])


def fit_platt(logits: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Slope and offset of the logistic curve, both classes weighted equally.

    Args:
        logits: float64 (n,).
        labels: int64 (n,), 0 real and 1 synthetic.

    Returns:
        Slope and offset, fitted by Newton's method with Platt's smoothed targets, which keep both finite when the
        classes are perfectly separated.
    """
    counts = np.array([np.sum(labels == 0), np.sum(labels == 1)], dtype=np.float64)
    targets = np.where(labels == 1, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
    weights = 1.0 / counts[labels]
    scale = float(np.std(logits)) or 1.0
    design = np.stack([logits / scale, np.ones_like(logits)], axis=1)  # (n, 2)
    beta = np.zeros(2)
    for _ in range(100):
        p = _sigmoid(design @ beta)
        gradient = design.T @ (weights * (p - targets)) + 1e-6 * beta
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        step *= min(
            1.0, 2.0 / max(float(np.abs(step).max()), 1e-12)
        )  # damped: no overshoot on separated classes
        beta -= step
        if np.abs(step).max() < 1e-10:
            break
    return float(beta[0] / scale), float(beta[1])


def fit_calibration(logits: Floats, labels: NDArray[np.int64], *, alpha: float = 0.05) -> Calibration:
    """Fit the curve and both thresholds.

    Args:
        logits: float64 (n,), of images that trained nothing.
        labels: int64 (n,), 0 real and 1 synthetic.
        alpha: bounded error rate of each class.

    Raises:
        InputError: a class has too few images for `alpha`, or the logits do not rise from real to synthetic.
    """
    real, synthetic = logits[labels == 0], logits[labels == 1]
    needed = math.ceil(1.0 / alpha) - 1
    if min(len(real), len(synthetic)) < needed:
        raise InputError(
            f"calibration: got {len(real)} real and {len(synthetic)} synthetic images, expected at least {needed} of "
            f"each for an error rate of {alpha}; add images or raise alpha"
        )
    slope, offset = fit_platt(logits, labels)
    if slope <= 0:
        raise InputError(
            f"calibration: the fitted slope is {slope:.3g}, expected above 0; the detector has learnt nothing, "
            "train it longer"
        )
    return Calibration(
        slope=slope,
        offset=offset,
        real_upper=conformal_upper(real, alpha=alpha),
        synthetic_lower=-conformal_upper(-synthetic, alpha=alpha),
        alpha=alpha,
        n_real=len(real),
        n_synthetic=len(synthetic),
    )
