"""The second look: lay a query over a candidate and measure how well the pixels agree.

A descriptor finds who looks alike; drawings of one kind all do. Sliding the query over the candidate at several
scales tells copies, also cropped ones, from look-alikes far better (the room's self-test measures how well). Both
are band-passed first: sharpness, brightness and contrast then matter little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from audit.similarity.descriptors import WORKING_SIDE, Pixels, to_square

SCALES = (1.0, 0.95, 0.9)
"""Sides of the query relative to the candidate: a crop of 90 % fits at scale 0.9."""

_FINE, _COARSE = 1.2, 6.0  # standard deviations of the band-pass, px at the working side
_FLAT = 0.5  # grey levels; less contrast than this is no picture


@dataclass(frozen=True, slots=True)
class Template:
    """A query prepared for sliding.

    Attributes:
        sizes: band-passed float32 (k, k, 3) pictures of the query, one per scale that has any contrast.
    """

    sizes: tuple[NDArray[np.float32], ...]


def band_pass(square: Pixels) -> NDArray[np.float32]:
    """uint8 (k, k, 3) -> float32 (k, k, 3) around 0, coarse and fine detail removed."""
    values = square.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _FINE) - cv2.GaussianBlur(values, (0, 0), _COARSE))


def prepare_template(pixels: Pixels) -> Template:
    """Prepare a query.

    Args:
        pixels: uint8 (height, width, 3), any size.
    """
    square = to_square(pixels)
    sizes = []
    for scale in SCALES:
        side = round(WORKING_SIDE * scale)
        shrunk = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
        picture = band_pass(np.asarray(shrunk, dtype=np.uint8))
        if cv2.norm(picture) > _FLAT * picture.size**0.5:
            sizes.append(picture)
    return Template(tuple(sizes))


def compute_agreement(template: Template, candidate: NDArray[np.float32]) -> float:
    """Best normalised correlation over scales and places.

    Args:
        template: of the query.
        candidate: band-passed float32 (64, 64, 3).

    Returns:
        -1 to 1; 0 when either picture has no contrast.
    """
    if cv2.norm(candidate) <= _FLAT * candidate.size**0.5:  # a band-passed picture has mean 0
        return 0.0
    best = max((_correlate(picture, candidate) for picture in template.sizes), default=0.0)
    return float(np.clip(best, -1.0, 1.0))


def _correlate(picture: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Best normalised correlation over all places of one size."""
    if picture.shape == candidate.shape:  # one place only; the general way costs twenty times as much
        return float(np.vdot(picture, candidate)) / (cv2.norm(picture) * cv2.norm(candidate))
    values = cv2.matchTemplate(candidate, picture, cv2.TM_CCOEFF_NORMED)
    # a place without contrast has no correlation
    return float(np.max(values[np.isfinite(values) & (np.abs(values) <= 1.001)], initial=-1.0))
