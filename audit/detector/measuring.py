"""Measuring a detector on labelled images that nothing was fitted on: the figures of its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.detector.calibration import Verdict
from audit.detector.evaluation import (
    bootstrap_auc,
    compute_auc,
    compute_calibration_error,
    compute_share,
    compute_tpr_at_fpr,
)
from audit.detector.gate import describe_image
from audit.detector.processing import MEASURED_CHAINS, Chain, draw_chain
from audit.detector.scoring import Detector, Measured, grid_crops, measure_images
from audit.detector.vit import DetectorViT
from audit.detector.world import ImageSet

Pixels = NDArray[np.uint8]

PER_CHAIN = 200  # test images per class and fixed chain


@dataclass(frozen=True, slots=True)
class Classes:
    """Both classes; real is label 0, synthetic label 1."""

    real: ImageSet
    synthetic: ImageSet

    def __iter__(self) -> Any:  # noqa: ANN401 - iterator over the two sets, in label order
        return iter((self.real, self.synthetic))


def measure_part(
    network: DetectorViT, images: ImageSet, indices: range, *, seed: int, chain: Chain | None = None
) -> Measured:
    """Measure some images of a class, each after a random chain of its own or after one fixed chain."""

    def processed(index: int) -> Pixels:
        rng = np.random.default_rng([seed, index])
        return (chain or draw_chain(rng))(np.asarray(images.pixels[index]))

    return measure_images(network, (processed(index) for index in indices))


def describe_part(images: ImageSet, indices: range, chain: Chain, *, size: int) -> NDArray[np.float64]:
    """What the gate looks at, of some images of a class after one fixed chain, float64 (n, 1738)."""
    processed = (chain(np.asarray(images.pixels[index])) for index in indices)
    return np.stack([describe_image(pixels, grid_crops(pixels, size)) for pixels in processed])


def measure_detector(detector: Detector, classes: Classes, test: tuple[range, range]) -> dict[str, float]:
    """Figures for the card, on test images: overall (random chains), per fixed chain and per kind of image."""
    real, synthetic = (
        measure_part(detector.network, images, part, seed=31)
        for images, part in zip(classes, test, strict=True)
    )
    figures = _rates(detector, real, synthetic, prefix="")
    interval = bootstrap_auc(real.logits, synthetic.logits, rng=np.random.default_rng(41))
    figures |= {"auc_low": interval.low, "auc_high": interval.high}
    for name, chain in MEASURED_CHAINS.items():
        pair = [
            measure_part(detector.network, images, part[:PER_CHAIN], seed=0, chain=chain)
            for images, part in zip(classes, test, strict=True)
        ]
        figures |= _rates(detector, pair[0], pair[1], prefix=f"{name}_")
    for images, part, measured in ((classes.real, test[0], real), (classes.synthetic, test[1], synthetic)):
        figures |= _by_kind(detector, images, part, measured)
    return figures


def verdicts(detector: Detector, measured: Measured) -> list[Verdict]:
    """Verdicts of measured images, gate included."""
    rejected = detector.gate.rejects(measured.descriptions)
    return [
        Verdict.ABSTAIN if out else detector.calibration.decide(float(logit))
        for out, logit in zip(rejected, measured.logits, strict=True)
    ]


def _rates(detector: Detector, real: Measured, synthetic: Measured, *, prefix: str) -> dict[str, float]:
    answers = verdicts(detector, real), verdicts(detector, synthetic)
    alarm = compute_share(answers[0].count(Verdict.SYNTHETIC), len(answers[0]))
    miss = compute_share(answers[1].count(Verdict.REAL), len(answers[1]))
    recall = compute_share(answers[1].count(Verdict.SYNTHETIC), len(answers[1]))
    abstained = answers[0].count(Verdict.ABSTAIN) + answers[1].count(Verdict.ABSTAIN)
    logits = np.concatenate([real.logits, synthetic.logits])
    labels = np.repeat([0, 1], [len(real.logits), len(synthetic.logits)])
    probabilities = np.array([detector.calibration.probability(float(logit)) for logit in logits])
    figures = {
        "auc": compute_auc(real.logits, synthetic.logits),
        "tpr_at_fpr_1_percent": compute_tpr_at_fpr(real.logits, synthetic.logits),
        "calibration_error": compute_calibration_error(probabilities, labels),
        "abstained": abstained / len(logits),
        "out_of_scope": float(
            np.mean(
                [*detector.gate.rejects(real.descriptions), *detector.gate.rejects(synthetic.descriptions)]
            )
        ),
    }
    for name, share in (("fpr", alarm), ("fnr", miss), ("recall", recall)):
        figures |= {name: share.value, f"{name}_low": share.interval.low, f"{name}_high": share.interval.high,
                    f"{name}_n": float(share.n)}  # fmt: skip
    return {f"{prefix}{key}": float(value) for key, value in figures.items()}


def _by_kind(detector: Detector, images: ImageSet, part: range, measured: Measured) -> dict[str, float]:
    """Share called synthetic per kind of image, and with and without a watermark."""
    called = np.array([verdict is Verdict.SYNTHETIC for verdict in verdicts(detector, measured)])
    kinds = np.array([images.kinds[index] for index in part])
    marked = images.marked[list(part)]
    figures: dict[str, float] = {}
    for kind in dict.fromkeys(images.kinds):
        for suffix, chosen in (("", kinds == kind), ("_watermarked", (kinds == kind) & marked)):
            share = compute_share(int(called[chosen].sum()), int(chosen.sum()))
            figures |= {
                f"called_synthetic_{kind}{suffix}": share.value,
                f"called_synthetic_{kind}{suffix}_n": float(share.n),
            }
    return figures
