"""What is done to planted copies of reference images, to measure how many of them a trace finds again."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from audit.similarity.descriptors import Pixels

Edit = Callable[[Pixels], Pixels]


def _jpeg(pixels: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpeg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1], dtype=np.uint8)


def _half(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    size = (max(1, width // 2), max(1, height // 2))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _crop(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = round(height * 0.05), round(width * 0.05)
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])


def _blur(pixels: Pixels) -> Pixels:
    deviation = min(pixels.shape[:2]) / 100
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(0.3, deviation)), dtype=np.uint8)


def _mirror(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


EDITS: dict[str, Edit] = {
    "jpeg50": _jpeg,
    "half_size": _half,
    "crop90": _crop,
    "blur": _blur,
    "mirror": _mirror,
}
"""JPEG of quality 50; half the side; the middle 90 % of each side; a Gaussian blur of 1 % of the side; mirrored."""
