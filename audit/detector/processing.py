"""What happens to images on their way to a reader: resizing and re-encoding, the same chain for both classes.

A detector trained on PNGs of one class and JPEGs of the other detects JPEG. Every image that trains, calibrates or
measures the detector therefore passes through a chain drawn from one distribution, whatever its class.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SCALES = (0.45, 1.4)
"""Range of the resize factor; a little wider than the 0.5 to 1.3 that is claimed."""

QUALITIES = (50, 98)
"""Range of JPEG and WebP quality."""

_INTERPOLATIONS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


@dataclass(frozen=True, slots=True)
class Chain:
    """One fixed processing chain.

    Attributes:
        scale: resize factor; 1 leaves the grid alone.
        codec: "png" (lossless, pixels unchanged), "jpeg" or "webp".
        quality: 1 to 100, of the lossy codecs.
        interpolation: OpenCV's number of the resampling filter.
    """

    scale: float = 1.0
    codec: str = "png"
    quality: int = 95
    interpolation: int = cv2.INTER_AREA

    def __call__(self, pixels: Pixels) -> Pixels:
        """Process one image.

        Args:
            pixels: uint8 (height, width, 3), RGB.

        Returns:
            uint8 (height * scale, width * scale, 3), RGB.
        """
        return recode(
            resize(pixels, self.scale, interpolation=self.interpolation),
            codec=self.codec,
            quality=self.quality,
        )


def draw_chain(rng: np.random.Generator) -> Chain:
    """A random chain: a quarter keeps its size, an eighth is halved; PNG, JPEG and WebP in equal parts."""
    kind = rng.random()
    scale = 1.0 if kind < 0.25 else 0.5 if kind < 0.375 else float(rng.uniform(*SCALES))
    codec = str(rng.choice(["png", "jpeg", "webp"]))
    quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    return Chain(scale, codec, quality, int(rng.choice(_INTERPOLATIONS)))


def resize(pixels: Pixels, scale: float, *, interpolation: int = cv2.INTER_AREA) -> Pixels:
    """Resize both sides by one factor; at least one pixel remains.

    Args:
        pixels: uint8 (height, width, 3).
        scale: factor > 0; exactly 1 returns the input.
        interpolation: OpenCV's number of the resampling filter.
    """
    if scale == 1.0:
        return pixels
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), dtype=np.uint8)


def recode(pixels: Pixels, *, codec: str, quality: int) -> Pixels:
    """Encode and decode again.

    Args:
        pixels: uint8 (height, width, 3), RGB.
        codec: "png" returns the input (lossless); "jpeg" and "webp" really encode.
        quality: 1 to 100.

    Raises:
        ValueError: the codec is none of the three.
    """
    if codec == "png":
        return pixels
    flags = {"jpeg": cv2.IMWRITE_JPEG_QUALITY, "webp": cv2.IMWRITE_WEBP_QUALITY}
    if codec not in flags:
        raise ValueError(f"codec {codec!r}: expected png, jpeg or webp")
    _, data = cv2.imencode(f".{codec}", pixels[..., ::-1], [flags[codec], quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


MEASURED_CHAINS: dict[str, Chain] = {
    "png": Chain(),
    "jpeg75": Chain(codec="jpeg", quality=75),
    "webp80": Chain(codec="webp", quality=80),
    "resize0.5": Chain(scale=0.5),
    "resize1.3": Chain(scale=1.3, interpolation=cv2.INTER_CUBIC),
}
"""Fixed chains under which the card reports error rates."""
