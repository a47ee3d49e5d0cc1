"""What is compared: one vector per image.

Two parts. A pixel part (layout: low frequencies of brightness and colour, and a grid of gradient directions)
finds copies; a CLIP part (content) finds images that mean the same. Each part is centred on the reference set and
brought to unit length before they are joined, so that what all images of the set share is no resemblance.

Source of centring on a background: the project's field notes, measured there on copies of photographs (gradient grid
.49 -> .58 recall at 1 % false positives).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]

WORKING_SIDE = 64  # pixels; every image is brought to this square first
_LUMA, _CHROMA = 16, 8  # lowest frequencies kept per axis
_CELLS, _DIRECTIONS = 8, 8


class Descriptor(Protocol):
    """Images in, vectors out."""

    @property
    def digest(self) -> str:
        """Changes whenever any vector may change."""
        ...

    @property
    def parts(self) -> tuple[int, ...]:
        """Lengths of the parts of a vector, in order; each part is normalised on its own."""
        ...

    def compute(self, images: Sequence[Pixels]) -> Vectors:
        """uint8 (height, width, 3) images of any size -> float32 (n, sum of parts)."""
        ...


class ImageEmbedder(Protocol):
    """What the CLIP part needs of a CLIP (see `generator.clip`)."""

    @property
    def digest(self) -> str:
        """Of its weights."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """uint8 (height, width, 3) images -> float32 (n, dim)."""
        ...


@dataclass(frozen=True, slots=True)
class PixelDescriptor:
    """Layout of an image: 16 x 16 brightness and 2 x 8 x 8 colour frequencies, and 8 x 8 x 8 gradient directions.

    Needs no weights. Grey, tiny and huge images are all brought to 64 x 64; one without any contrast gives zeros.
    """

    @property
    def digest(self) -> str:
        """Version of this code."""
        return "pixel-1"

    @property
    def parts(self) -> tuple[int, ...]:
        """Frequencies, then gradients."""
        return (_LUMA**2 - 1 + 2 * (_CHROMA**2 - 1), _CELLS**2 * _DIRECTIONS)

    def compute(self, images: Sequence[Pixels]) -> Vectors:
        """uint8 images of any size -> float32 (n, 893)."""
        if not images:
            return np.zeros((0, sum(self.parts)), dtype=np.float32)
        return np.stack([_describe(pixels) for pixels in images])


@dataclass(frozen=True, slots=True)
class JointDescriptor:
    """The pixel parts followed by a CLIP embedding.

    Attributes:
        clip: the embedding model.
        pixel: the pixel descriptor.
    """

    clip: ImageEmbedder
    pixel: PixelDescriptor = PixelDescriptor()

    @property
    def digest(self) -> str:
        """Of the code and the weights."""
        return f"{self.pixel.digest}+{self.clip.digest}"

    @property
    def parts(self) -> tuple[int, ...]:
        """Frequencies, gradients, embedding."""
        return (*self.pixel.parts, self.clip.dimensions)

    def compute(self, images: Sequence[Pixels]) -> Vectors:
        """uint8 images of any size -> float32 (n, 893 + dim)."""
        embedded = self.clip.embed_images(images) if images else np.zeros((0, self.clip.dimensions))
        return np.concatenate([self.pixel.compute(images), embedded], axis=1).astype(np.float32)


def _describe(pixels: Pixels) -> Vectors:
    square = to_square(pixels)
    lab = cv2.cvtColor(square.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return np.concatenate([_frequencies(lab), _gradients(lab[..., 0])])


def to_square(pixels: Pixels) -> Pixels:
    """Any uint8 (height, width, 3) image -> uint8 (64, 64, 3); the aspect ratio is not kept."""
    height, width = pixels.shape[:2]
    if (height, width) == (WORKING_SIDE, WORKING_SIDE):
        return pixels
    shrinking = min(height, width) >= WORKING_SIDE
    filter_ = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (WORKING_SIDE, WORKING_SIDE), interpolation=filter_), dtype=np.uint8)


def _frequencies(lab: Vectors) -> Vectors:
    """Lowest frequencies of the three channels without their means; higher ones weigh less."""
    blocks = []
    for channel, keep in zip(range(3), (_LUMA, _CHROMA, _CHROMA), strict=True):
        spectrum = cv2.dct(np.ascontiguousarray(lab[..., channel]))[:keep, :keep]
        order = np.add.outer(np.arange(keep), np.arange(keep))
        blocks.append((spectrum / np.sqrt(1.0 + order)).ravel()[1:])
    return np.concatenate(blocks).astype(np.float32)


def _gradients(luma: Vectors) -> Vectors:
    """Square roots of gradient magnitude, summed by cell and direction, softly shared between directions."""
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    magnitude, angle = cv2.cartToPolar(across, down)
    place = angle * (_DIRECTIONS / (2 * np.pi))
    lower = np.floor(place).astype(int)
    share = place - lower
    side = WORKING_SIDE // _CELLS
    cell = np.add.outer(np.arange(WORKING_SIDE) // side * _CELLS, np.arange(WORKING_SIDE) // side)
    size = _CELLS**2 * _DIRECTIONS
    index = cell * _DIRECTIONS
    total = np.bincount(
        (index + lower % _DIRECTIONS).ravel(), (magnitude * (1 - share)).ravel(), minlength=size
    ) + np.bincount((index + (lower + 1) % _DIRECTIONS).ravel(), (magnitude * share).ravel(), minlength=size)
    return np.asarray(np.sqrt(total), dtype=np.float32)


def normalise(vectors: Vectors, *, mean: Vectors, parts: tuple[int, ...]) -> Vectors:
    """Centre, bring every part to unit length and then the whole: the dot product is the mean cosine of the parts.

    Args:
        vectors: float32 (n, d).
        mean: float32 (d,), of the reference set.
        parts: lengths that sum to d.

    Returns:
        float32 (n, d) of unit length, apart from parts without any content, which stay zero.
    """
    centred = vectors - mean
    pieces = np.split(centred, np.cumsum(parts)[:-1], axis=1)
    units = [piece / np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-6) for piece in pieces]
    return np.asarray(np.concatenate(units, axis=1) / np.sqrt(len(parts)), dtype=np.float32)


def combined_digest(*parts: object) -> str:
    """SHA-256 over JSON of the parts, hex; names a cache file."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()
