"""How the shipped detector is trained, calibrated and measured, from labelled images to weights with a card.

The images of each class are split once, by drawing: training, calibration (every other one for the gate's centres,
the rest for its threshold, all of them for the probability and the verdict's thresholds) and test, which nothing is
fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audit.detector.calibration import Calibration, fit_calibration
from audit.detector.evaluation import compute_auc
from audit.detector.gate import Gate, fit_gate
from audit.detector.measuring import Classes, describe_part, measure_detector, measure_part
from audit.detector.processing import MEASURED_CHAINS, draw_chain
from audit.detector.scoring import (
    FAMILY,
    Detector,
    Measured,
    detector_config,
    detector_tensors,
    to_tensor,
)
from audit.detector.vit import DetectorConfig, DetectorViT
from audit.detector.world import ImageSet
from generator.errors import InputError
from generator.training import Recipe, seeded, train
from generator.weights import Card, Weights, save_weights

DETECTOR_RECIPE = Recipe(
    name="detector",
    steps=1200,
    learning_rate=1e-3,
    warmup=60,
    weight_decay=0.05,
    ema=0.99,
    eval_every=200,
    checkpoint_every=100,
)
IMAGES_PER_CLASS = 32  # of a batch
ALPHA = 0.05  # bounded false-alarm rate of real images, and miss rate of synthetic ones

Log = Callable[[str], None]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Split:
    """Where training ends and calibration ends; the rest is for testing.

    Attributes:
        training: images per class that train.
        calibration: images per class that calibrate.
    """

    training: int
    calibration: int

    def parts(self, images: ImageSet) -> tuple[range, range, range]:
        """Indices of training, calibration and test images.

        Raises:
            InputError: nothing would be left to test on.
        """
        middle = self.training + self.calibration
        if middle >= len(images):
            raise InputError(
                f"split: {middle} images are used up, the set has {len(images)}; make more images"
            )
        return range(self.training), range(self.training, middle), range(middle, len(images))


def train_detector(
    folder: Path,
    classes: Classes,
    *,
    split: Split,
    data: str,
    config: DetectorConfig | None = None,
    recipe: Recipe = DETECTOR_RECIPE,
    alpha: float = ALPHA,
    rejection: float = 0.01,
    images_per_class: int = IMAGES_PER_CLASS,
    name: str = "detector",
    device: str = "cpu",
    log: Log = lambda _: None,
) -> Weights:
    """Train, calibrate and measure a detector; writes `NAME.safetensors` and `NAME.json` to `folder`.

    Args:
        folder: also gets the checkpoints, in `NAME-training`; a killed training goes on from there.
        classes: the labelled images.
        split: by drawing.
        data: what the images are, for the card.
        config: shape of the network.
        recipe: of the training.
        alpha: bounded error rate of each class's verdict.
        rejection: share of in-scope images that the gate may refuse.
        images_per_class: of a batch.
        name: file stem.
        device: torch device of the training.
        log: gets progress in words.

    Raises:
        InputError: too few images, or the detector learnt nothing.
        TrainingError: the training diverged.
    """
    with seeded(recipe.seed):
        network = DetectorViT(config)
    parts = split.parts(classes.real), split.parts(classes.synthetic)
    training = parts[0][0], parts[1][0]

    def batches(step: int) -> tuple[Tensor, Tensor]:
        return draw_batch(
            classes,
            training,
            rng=np.random.default_rng([recipe.seed, 11, step]),
            size=size,
            count=images_per_class,
        )

    def evaluate() -> dict[str, float]:
        quick = [
            measure_part(network, images, part[1][:50], seed=5)
            for images, part in zip(classes, parts, strict=True)
        ]
        auc = compute_auc(quick[0].logits, quick[1].logits)
        log(f"{name}: AUC {auc:.4f} on 50 + 50 calibration images")
        return {"auc": auc}

    size = network.config.crop
    result = train(
        network, batches, recipe, folder=folder / f"{name}-training", loss=lambda b: compute_loss(network, b),
        evaluate=evaluate, device=device,
    )  # fmt: skip
    network = _rounded(network.cpu().eval())
    log(f"{name}: calibrating")
    calibrated = [
        measure_part(network, images, part[1], seed=21) for images, part in zip(classes, parts, strict=True)
    ]
    described = [
        _describe_for_gate(measured, images, part[1], size=size)
        for measured, images, part in zip(calibrated, classes, parts, strict=True)
    ]
    calibration, gate = calibrate(calibrated, described, alpha=alpha, rejection=rejection)
    card = Card(
        family=FAMILY,
        data=data,
        recipe={**asdict(recipe), "betas": list(recipe.betas), "images_per_batch": 2 * images_per_class,
                "split": asdict(split), "cpu_seconds": round(result.cpu_seconds)},
        seed=recipe.seed,
        figures={},
        limits=LIMITS,
        config=detector_config(network, calibration, gate),
    )  # fmt: skip
    detector = Detector(network, calibration, gate, card)
    log(f"{name}: measuring")
    figures = measure_detector(detector, classes, (parts[0][2], parts[1][2]))
    card = replace(card, figures=figures, limits=state_limits(figures, alpha=alpha))
    return save_weights(name, detector_tensors(network, gate), card, folder)


LIMITS = (
    "Knows drawings of the embedded world and pictures of the embedded generator only. Its gate refuses most other "
    "images; its error rates say nothing about photographs or other generators.",
    "The bound on false alarms holds on average over images processed like the calibration images (resized by 0.45 "
    "to 1.4, stored once as PNG, JPEG or WebP of quality 50 to 98), not for every kind of processing.",
    "Trained without an adversary: whoever wants to fool it can.",
)


def draw_batch(
    classes: Classes, training: tuple[range, range], *, rng: np.random.Generator, size: int, count: int
) -> tuple[Tensor, Tensor]:
    """One batch: equally many images of both classes, each through a random chain, one random crop each.

    Returns:
        uint8 (B, 3, size, size) and float labels (B,).
    """
    crops = []
    for images, indices in zip(classes, training, strict=True):
        for index in rng.choice(indices, count, replace=len(indices) < count):
            processed = draw_chain(rng)(np.asarray(images.pixels[index]))
            crops.append(_random_crop(processed, size, rng))
    labels = np.repeat([0.0, 1.0], len(crops) // 2).astype(np.float32)
    return to_tensor(np.stack(crops)), torch.from_numpy(labels)


def _random_crop(pixels: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    top = int(rng.integers(pixels.shape[0] - size + 1))
    left = int(rng.integers(pixels.shape[1] - size + 1))
    crop = pixels[top : top + size, left : left + size]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def compute_loss(network: DetectorViT, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Binary cross-entropy of the crops."""
    crops, labels = batch
    return functional.binary_cross_entropy_with_logits(network(crops), labels)


def calibrate(
    measured: Sequence[Measured], descriptions: Sequence[Floats], *, alpha: float, rejection: float
) -> tuple[Calibration, Gate]:
    """Probability, thresholds and gate from calibration images.

    Args:
        measured: of both classes, in label order.
        descriptions: for the gate, of both classes, in label order; every other one fits, the rest set the limit.
        alpha: bounded error rate of each class's verdict.
        rejection: share of in-scope images that the gate may refuse.
    """
    logits = np.concatenate([part.logits for part in measured])
    labels = np.repeat([0, 1], [len(part.logits) for part in measured])
    fitting = [part[0::2] for part in descriptions]
    gate = fit_gate(
        np.concatenate(fitting),
        np.repeat([0, 1], [len(part) for part in fitting]),
        np.concatenate([part[1::2] for part in descriptions]),
        rejection=rejection,
    )
    return fit_calibration(logits, labels, alpha=alpha), gate


def _describe_for_gate(measured: Measured, images: ImageSet, part: range, *, size: int) -> Floats:
    """Random chains and, since they are common, the untouched and the halved image."""
    chains = (MEASURED_CHAINS["png"], MEASURED_CHAINS["resize0.5"])
    return np.concatenate(
        [measured.descriptions, *(describe_part(images, part, chain, size=size) for chain in chains)]
    )


def state_limits(figures: Mapping[str, float], *, alpha: float) -> tuple[str, ...]:
    """The fixed limits, and one sentence for every kind of processing whose error rates exceed `alpha`."""
    words = {"fpr": "real drawings are called synthetic", "fnr": "generated pictures are called real"}
    return LIMITS + tuple(
        f"After {chain} {figures[f'{chain}_{rate}']:.1%} of {text} "
        f"(95 % interval {figures[f'{chain}_{rate}_low']:.1%} to {figures[f'{chain}_{rate}_high']:.1%})."
        for chain in MEASURED_CHAINS
        for rate, text in words.items()
        if figures[f"{chain}_{rate}_low"] > alpha
    )


def _rounded(network: DetectorViT) -> DetectorViT:
    """The network as its float16 file will return it: what is calibrated is what ships."""
    state = network.state_dict()
    network.load_state_dict(
        {key: value.half().float() if value.is_floating_point() else value for key, value in state.items()}
    )
    return network
