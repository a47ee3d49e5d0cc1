"""Calibration of the embedded reader: probabilities that mean what they say, and where its domain ends.

Fitted on drawings of their own corpus seed, disturbed as the training's were. What photographs score is checked
elsewhere and shipped in the card: no photograph takes part in the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from audit.bias.perception import (
    CALIBRATION,
    OCCUPATION,
    SCHEMA,
    TRUTH,
    Attribute,
    Calibration,
    Gate,
    embed_groups,
    softmax,
)
from audit.bias.readings import Floats
from generator.portraits.corpus import Corpus, Rates
from generator.portraits.traits import Traits

if TYPE_CHECKING:
    from generator.clip import Clip

FALSE_REJECTION: Final = 0.01  # share of drawings that the gate turns away
SHRINKAGE: Final = (
    1e-5  # of the covariance towards a multiple of the identity: what drawings never do counts most
)
LARGEST_BIAS: Final = 8.0

Redraw = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Embedded drawings and what is true of them.

    Attributes:
        embeddings: float32 (n, d).
        traits: n of them.
    """

    embeddings: NDArray[np.float32]
    traits: Sequence[Traits]


def calibrate_embedded(clip: Clip, *, redraw: Redraw | None = None, n: int = 4000) -> Calibration:
    """Fit the calibration of the embedded model on drawings that neither training nor any figure uses.

    Args:
        clip: the embedded model.
        redraw: also calibrate on drawings after this, uint8 (m, side, side, 3) to the same of any side; for
            instance the generator's tokenizer and back, so that generated pictures are inside the domain.
        n: drawings; each is used clean and disturbed. Half of them fit, half set the limit of the gate.
    """
    from generator.recipes_clip import CALIBRATION_SEED, disturb

    batch = Corpus(CALIBRATION_SEED, Rates.balanced(), n).batch(range(n), clip.size)
    rng = np.random.default_rng(CALIBRATION_SEED)
    variants = [list(batch.pixels), [disturb(drawing, rng, untouched=0.0) for drawing in batch.pixels]]
    if redraw is not None:
        variants.append(list(redraw(batch.pixels)))
    embedded = [clip.embed_images(pictures) for pictures in variants]
    half = n // 2
    sample = Sample(np.concatenate([rows[:half] for rows in embedded]), batch.traits[:half] * len(variants))
    return fit_calibration(clip, sample, held_out=np.concatenate([rows[half:] for rows in embedded]))


def fit_calibration(
    clip: Clip,
    sample: Sample,
    *,
    held_out: NDArray[np.float32],
    schema: Sequence[Attribute] = (*SCHEMA, OCCUPATION),
) -> Calibration:
    """Fit scales, biases and gate.

    Args:
        clip: the model to calibrate.
        sample: drawings to fit on.
        held_out: float32 (m, d), other drawings, for the limit of the gate.
        schema: attributes whose truth is drawn.
    """
    scales: dict[str, float] = {}
    biases: dict[str, dict[str, float]] = {}
    for attribute in schema:
        groups = list(attribute.groups)
        truth = np.array([groups.index(TRUTH[attribute.name](person)) for person in sample.traits])
        logits = clip.logit_scale * (sample.embeddings @ embed_groups(clip, attribute).T).astype(np.float64)
        scale, bias = _fit_logits(logits, truth)
        scales[attribute.name] = scale
        biases[attribute.name] = dict(zip(groups, map(float, bias), strict=True))
    return Calibration(clip.digest, scales, biases, fit_gate(sample.embeddings, held_out=held_out))


def fit_gate(embeddings: NDArray[np.float32], *, held_out: NDArray[np.float32]) -> Gate:
    """Mean and whitening of embeddings, float32 (n, d); limit from other ones, float32 (m, d)."""
    values = embeddings.astype(np.float64)
    mean = values.mean(axis=0)
    covariance = np.cov(values, rowvar=False)
    spread = float(np.trace(covariance)) / len(covariance)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance))
    lengths, directions = np.linalg.eigh(covariance)
    whitening = directions / np.sqrt(lengths)
    distances = Gate(mean, whitening, 0.0).compute_distances(held_out)
    return Gate(mean, whitening, float(np.quantile(distances, 1 - FALSE_REJECTION)))


def _fit_logits(logits: Floats, truth: NDArray[np.int64]) -> tuple[float, Floats]:
    """Factor and terms that minimise the cross entropy (Platt scaling for more than two groups)."""
    rows, groups = np.arange(len(truth)), logits.shape[1]

    def compute_loss(values: Floats) -> tuple[float, Floats]:
        probabilities = softmax(np.exp(values[0]) * logits + values[1:])
        error = probabilities.copy()
        error[rows, truth] -= 1.0
        slope = float((error * logits).sum() * np.exp(values[0]))
        gradient = np.concatenate([[slope], error.sum(axis=0)]) / len(truth)
        ridge = 1e-4 * values
        likelihood = np.maximum(probabilities[rows, truth], 1e-12)
        return float(-np.log(likelihood).mean() + 0.5 * values @ ridge), gradient + ridge

    limits = [(-3.0, 3.0), *[(-LARGEST_BIAS, LARGEST_BIAS)] * groups]
    found = minimize(compute_loss, np.zeros(groups + 1), jac=True, method="L-BFGS-B", bounds=limits)
    return float(np.exp(found.x[0])), np.asarray(found.x[1:])


def save_calibration(
    calibration: Calibration, folder: Path, *, figures: Mapping[str, float], limits: Sequence[str]
) -> None:
    """Write a calibration as `clip_reader.safetensors` with its card.

    Args:
        calibration: what to write.
        folder: where to.
        figures: what was measured with it, by name.
        limits: sentences on what it does not cover.
    """
    import torch

    from generator.recipes_clip import CALIBRATION_SEED
    from generator.weights import Card, save_weights

    gate = calibration.gate
    card = Card(
        family=CALIBRATION,
        data="portraits of the calibration seed of generator.recipes_clip, each as drawn, disturbed, and through "
        "the generator's tokenizer where the recipe gives one",
        recipe={"false_rejection": FALSE_REJECTION, "shrinkage": SHRINKAGE},
        seed=CALIBRATION_SEED,
        figures=dict(figures),
        limits=tuple(limits),
        config={
            "clip_digest": calibration.clip_digest,
            "scales": dict(calibration.scales),
            "biases": {name: dict(terms) for name, terms in calibration.biases.items()},
            "limit": gate.limit,
        },
    )
    tensors = {"mean": torch.from_numpy(gate.mean), "whitening": torch.from_numpy(gate.whitening)}
    save_weights(CALIBRATION, tensors, card, folder)
