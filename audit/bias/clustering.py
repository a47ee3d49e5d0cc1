"""How much images of one prompt hang together: ICC, design effect, effective n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.bias.readings import Counts

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Clustering:
    """How much images of one prompt hang together.

    Attributes:
        identified: False when no prompt has two images or there is one prompt only: ICC is then 0 by
            convention and must not be reported.
        icc: intraclass correlation of the readings (ANOVA estimator), at most 1; below 0 when prompts are
            more alike than chance.
        design_effect: factor by which clustering inflates the variance of a mean over images, >= 1.
        effective_n: images divided by the design effect.
        n_prompts: prompts with images.
        n_images: images.
    """

    identified: bool
    icc: float
    design_effect: float
    effective_n: float
    n_prompts: int
    n_images: int


def compute_clustering(counts: Counts) -> Clustering:
    """ICC of the readings over prompts, all readings' indicators together, with design effect and n_eff.

    Args:
        counts: int64 (P, readings); prompts without images are left out.

    Source: Ridout, Demetrio and Firth 1999, Biometrics 55 (ANOVA estimator for proportions); Kish 1965
    (design effect, with the size-weighted mean cluster size).
    """
    kept = counts[counts.sum(axis=1) > 0]
    n = kept.sum(axis=1).astype(np.float64)
    prompts, images = len(n), float(n.sum())
    if prompts < 2 or images <= prompts:
        return Clustering(False, 0.0, 1.0, images, prompts, int(images))
    rates, pooled = kept / n[:, None], kept.sum(axis=0) / images
    between = float((n[:, None] * (rates - pooled) ** 2).sum()) / (prompts - 1)
    within = float((n[:, None] * rates * (1 - rates)).sum()) / (images - prompts)
    size = (images - float((n**2).sum()) / images) / (prompts - 1)
    spread = between + (size - 1) * within
    if spread < _TINY:
        return Clustering(False, 0.0, 1.0, images, prompts, int(images))
    icc = (between - within) / spread
    effect = max(1.0, 1.0 + (float((n**2).sum()) / images - 1.0) * icc)
    return Clustering(True, icc, effect, images / effect, prompts, int(images))
