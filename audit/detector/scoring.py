"""The detector as one object: pixels in, a reading with verdict, calibrated probability and reason out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audit.detector.calibration import Calibration, Verdict
from audit.detector.gate import DESCRIPTION, Gate, describe_image
from audit.detector.vit import DetectorConfig, DetectorViT
from generator.errors import WeightsError
from generator.weights import Card, Weights, load_weights

Floats = NDArray[np.float64]

FAMILY = "detector"
"""Family name in the weights card."""

GRID = 3
"""Crops per side; an image is judged by GRID x GRID crops."""

_TENSORS = ("typical", "basis", "centre", "scale", "means", "whitening")


@dataclass(frozen=True, slots=True)
class Measured:
    """Raw numbers of images, before calibration.

    Attributes:
        logits: float64 (n,), mean over the crops.
        descriptions: float64 (n, 1738), for the gate.
    """

    logits: Floats
    descriptions: Floats


@dataclass(frozen=True, slots=True)
class Reading:
    """What the detector says of one image.

    Attributes:
        verdict: synthetic, real or abstain.
        logit: raw; None when the image is too small to be looked at.
        p_synthetic: calibrated, in [0, 1]; None outside the detector's scope, where no calibration holds.
        reason: one sentence.
        distance: of the gate; None when not measured.
    """

    verdict: Verdict
    logit: float | None
    p_synthetic: float | None
    reason: str
    distance: float | None = None


def grid_crops(pixels: NDArray[np.uint8], size: int, *, grid: int = GRID) -> NDArray[np.uint8]:
    """Evenly spread crops at native resolution, corners included.

    Args:
        pixels: uint8 (height, width, 3), both sides at least `size`.
        size: side of a crop in pixels.
        grid: crops per side.

    Returns:
        uint8 (grid * grid, size, size, 3).
    """
    height, width = pixels.shape[:2]
    tops = np.linspace(0, height - size, grid).round().astype(int)
    lefts = np.linspace(0, width - size, grid).round().astype(int)
    return np.stack([pixels[top : top + size, left : left + size] for top in tops for left in lefts])


def to_tensor(crops: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (n, size, size, 3) -> uint8 tensor (n, 3, size, size)."""
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))


def measure_images(network: DetectorViT, images: Iterable[NDArray[np.uint8]]) -> Measured:
    """Run the network over images, one at a time.

    Args:
        network: in evaluation mode.
        images: uint8 (height, width, 3) each, both sides at least the crop size.
    """
    logits, descriptions = [], []
    device = network.head.weight.device
    with torch.inference_mode():
        for pixels in images:
            crops = grid_crops(pixels, network.config.crop)
            logits.append(float(network(to_tensor(crops).to(device)).mean()))
            descriptions.append(describe_image(pixels, crops))
    return Measured(np.array(logits), np.array(descriptions, dtype=np.float64).reshape(-1, DESCRIPTION))


@dataclass(frozen=True, slots=True)
class Detector:
    """A trained network with its calibration and gate.

    Attributes:
        network: in evaluation mode.
        calibration: thresholds and curve.
        gate: out-of-scope gate.
        card: what it was trained on and measured at.
    """

    network: DetectorViT
    calibration: Calibration
    gate: Gate
    card: Card

    def read(self, pixels: NDArray[np.uint8]) -> Reading:
        """Judge one image.

        Args:
            pixels: uint8 (height, width, 3), RGB, any size.
        """
        size = self.network.config.crop
        height, width = pixels.shape[:2]
        if min(height, width) < size:
            return Reading(
                Verdict.ABSTAIN,
                None,
                None,
                f"The image has {width} x {height} pixels; the detector needs at least {size} on each side.",
            )
        measured = measure_images(self.network, [pixels])
        logit = float(measured.logits[0])
        distance = float(self.gate.distance(measured.descriptions)[0])
        if not distance <= self.gate.threshold:
            reason = (
                "The image is out of scope: it does not resemble the images on which the detector was trained and "
                f"measured (distance {distance:.1f}, limit {self.gate.threshold:.1f})."
            )
            return Reading(Verdict.ABSTAIN, logit, None, reason, distance)
        verdict = self.calibration.decide(logit)
        probability = self.calibration.probability(logit)
        return Reading(verdict, logit, probability, _explain(verdict, probability), distance)

    def read_all(self, images: Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Judge several images, in order; each reading depends on its own image alone."""
        return [self.read(pixels) for pixels in images]


def _explain(verdict: Verdict, probability: float) -> str:
    if verdict is Verdict.ABSTAIN:
        return f"The score is compatible with both classes or with neither (p_synthetic {probability:.3f})."
    return f"The score lies in the region of {verdict} images (p_synthetic {probability:.3f})."


def detector_tensors(network: DetectorViT, gate: Gate) -> dict[str, torch.Tensor]:
    """Everything that goes into the weights file, by name."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    return tensors | {f"gate.{name}": torch.from_numpy(getattr(gate, name)) for name in _TENSORS}


def detector_config(network: DetectorViT, calibration: Calibration, gate: Gate) -> dict[str, object]:
    """Everything that goes into the card's `config`."""
    limits = {"threshold": gate.threshold, "rejection": gate.rejection}
    return {"network": asdict(network.config), "calibration": asdict(calibration), "gate": limits}


def load_detector(name: str | Path = "detector") -> Detector:
    """Load the shipped detector or another one.

    Args:
        name: stem of shipped weights, or a path to a `.safetensors` file with its card beside it.

    Raises:
        WeightsError: a file is missing or damaged, or holds another model.
    """
    return build_detector(load_weights(name, family=FAMILY))


def build_detector(weights: Weights) -> Detector:
    """The detector of verified weights.

    Raises:
        WeightsError: tensors or settings do not fit this version's network.
    """
    tensors, config = weights.tensors, weights.card.config
    try:
        network = DetectorViT(DetectorConfig(**config["network"]))
        prefix = "network."
        network.load_state_dict(
            {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        )
        calibration = Calibration(**config["calibration"])
        arrays: dict[str, Any] = {key: tensors[f"gate.{key}"].numpy().astype(np.float64) for key in _TENSORS}
        limits = config["gate"]
        gate = Gate(**arrays, threshold=limits["threshold"], rejection=limits["rejection"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"detector weights {weights.digest}: they do not fit this version's network ({error}); "
            "use the weights of this release or train the detector again"
        ) from error
    return Detector(network.eval(), calibration, gate, weights.card)
