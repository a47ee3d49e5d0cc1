"""The out-of-scope gate: is this image of the kind the detector was measured on?

A detector that has only ever seen drawings of one world must not judge a photograph. Two things give strangers away:
a thumbnail that the principal components of in-scope thumbnails cannot rebuild, and plain statistics of the pixels
(flatness, noise, colour). Their joint Mahalanobis distance to the nearer class is compared with a limit that a known
small share of in-scope images exceeds. The network's own features are no part of it: they tell the two classes apart
and little else (measured: they let half of all photographs pass).

Source: Lee et al. 2018 (arXiv:1807.03888) for the distance to class-conditional Gaussians with a shared covariance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from audit.detector.calibration import conformal_upper
from generator.errors import InputError

Floats = NDArray[np.float64]

THUMBNAIL = 24  # px
COMPONENTS = 96  # principal components of thumbnails; what they cannot rebuild is strange
STATISTICS = 10  # numbers of `image_statistics`
DESCRIPTION = STATISTICS + 3 * THUMBNAIL**2
"""Length of `describe_image`."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What in-scope images look like.

    Attributes:
        typical: float64 (1728,), mean thumbnail.
        basis: float64 (k, 1728), orthonormal components of in-scope thumbnails.
        centre: float64 (11,), mean of in-scope features: ten statistics and the log rebuilding error.
        scale: float64 (11,), their standard deviation; features are standardised before anything else.
        means: float64 (classes, 11), standardised centre of each class.
        whitening: float64 (11, 11); distance = |whitening @ (standardised - mean)|.
        threshold: an image farther than this from every centre is out of scope.
        rejection: share of in-scope images that the threshold may refuse, in (0, 1).
    """

    typical: Floats
    basis: Floats
    centre: Floats
    scale: Floats
    means: Floats
    whitening: Floats
    threshold: float
    rejection: float

    def distance(self, descriptions: Floats) -> Floats:
        """Distance to the nearest class, float64 (n,), of float64 (n, 1738) descriptions."""
        features = _to_features(descriptions, self.typical, self.basis)
        standard = (features - self.centre) / self.scale
        offsets = standard[:, None, :] - self.means[None]  # (n, classes, d)
        return np.asarray(np.linalg.norm(offsets @ self.whitening.T, axis=2).min(axis=1))

    def rejects(self, descriptions: Floats) -> NDArray[np.bool_]:
        """True where an image is out of scope; also where a number is not finite."""
        return np.asarray(~(self.distance(descriptions) <= self.threshold))


def _to_features(descriptions: Floats, typical: Floats, basis: Floats) -> Floats:
    """Statistics and log rebuilding error, float64 (n, 11)."""
    thumbnails = descriptions[:, STATISTICS:] - typical
    rest = thumbnails - (thumbnails @ basis.T) @ basis
    error = np.log(1e-3 + np.sqrt(np.mean(rest**2, axis=1)))
    return np.concatenate([descriptions[:, :STATISTICS], error[:, None]], axis=1)


def fit_gate(
    descriptions: Floats,
    labels: NDArray[np.int64],
    held_out: Floats,
    *,
    rejection: float = 0.01,
    shrinkage: float = 0.05,
) -> Gate:
    """Fit components, centres and covariance on some images, the threshold on others.

    Args:
        descriptions: float64 (n, 1738), in-scope images, see `describe_image`.
        labels: int64 (n,), class of each.
        held_out: float64 (m, 1738), other in-scope images; m >= 1 / rejection.
        rejection: share of in-scope images that may be refused.
        shrinkage: weight of the identity in the covariance, in (0, 1); keeps it invertible.

    Raises:
        InputError: fewer held-out images than the rejection rate needs.
    """
    thumbnails = descriptions[:, STATISTICS:]
    typical = _storable(thumbnails.mean(axis=0))
    # many more images than components: otherwise they rebuild the fitted images and no others
    kept = min(COMPONENTS, len(thumbnails) // 8)
    basis = _storable(np.linalg.svd(thumbnails - typical, full_matrices=False)[2][:kept])
    features = _to_features(descriptions, typical, basis)
    centre = _storable(features.mean(axis=0))
    scale = _storable(np.maximum(features.std(axis=0), 1e-3))
    standard = (features - centre) / scale
    classes, index = np.unique(labels, return_inverse=True)
    means = _storable(np.stack([standard[index == i].mean(axis=0) for i in range(len(classes))]))
    centred = standard - means[index]
    covariance = (1 - shrinkage) * (centred.T @ centred) / len(centred) + shrinkage * np.eye(len(centre))
    values, vectors = np.linalg.eigh(covariance)
    gate = Gate(
        typical, basis, centre, scale, means, _storable((vectors / np.sqrt(values)).T), np.inf, rejection
    )
    threshold = conformal_upper(gate.distance(held_out), alpha=rejection)
    if not np.isfinite(threshold):
        raise InputError(
            f"gate: got {len(held_out)} held-out images, expected at least {round(1 / rejection)} for a rejection "
            f"rate of {rejection}; add images"
        )
    return replace(gate, threshold=threshold)


def _storable(values: Floats) -> Floats:
    """Rounded as the weights file will store it, so that the threshold fits what is later loaded."""
    return values.astype(np.float16).astype(np.float64)


def image_statistics(pixels: NDArray[np.uint8]) -> Floats:
    """Ten plain numbers that tell flat drawings from photographs and noise.

    Args:
        pixels: uint8 (height, width, 3), RGB, any size.

    Returns:
        float64 (10,): log gradient quantiles (.25, .5, .75, .9, .99), log noise floor, brightness and its spread,
        colourfulness and its spread.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    quantiles = np.quantile(across + down, [0.25, 0.5, 0.75, 0.9, 0.99])
    floor = np.median(np.abs(grey - cv2.medianBlur(grey, 3)))
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    chroma = np.hypot(lab[..., 1] - 128.0, lab[..., 2] - 128.0)
    levels = [grey.mean() / 64, grey.std() / 64, chroma.mean() / 32, chroma.std() / 32]
    return np.concatenate([np.log1p(quantiles), [np.log1p(floor)], levels]).astype(np.float64)


def describe_image(pixels: NDArray[np.uint8], crops: NDArray[np.uint8]) -> Floats:
    """What the gate looks at.

    Args:
        pixels: uint8 (height, width, 3), the whole image.
        crops: uint8 (n, size, size, 3), native crops of it; statistics of a huge image then cost no more.

    Returns:
        float64 (1738,): ten statistics of the crops, and the thumbnail in 0..1.
    """
    small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    mosaic = crops.reshape(-1, crops.shape[2], 3)
    return np.concatenate([image_statistics(mosaic), np.asarray(small, dtype=np.float64).ravel() / 255.0])
