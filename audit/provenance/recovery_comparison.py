"""How alike are the picture at hand and the published one? The measured answer behind every recovered manifest.

A watermark can be transplanted and fingerprints of different pictures can be near, so a manifest that was found
belongs to the file only if the pictures show the same. One picture may be a crop of the other (a cut-out, or a
screenshot with its surroundings), so it is searched for in the other at many scales.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from generator.errors import CannotCheckError
from generator.marking.fingerprint import cut_border
from generator.marking.watermark.interface import Geometry

Pixels = NDArray[np.uint8]

ALIKE = 0.85
"""Least correlation at which two pictures count as the same. Measured: see `benchmarks.recovery`."""

_COARSE_SIDE, _SIDE = 64, 128  # px, longer side of the larger picture when searching and when comparing
_LEAST_SIDE = 16  # px of the smaller one; less shows too little to tell pictures apart
_LEAST_PART = 0.45  # share of the larger picture's side that the smaller one may cover
_STEPS = 21  # scales tried, geometric; 4 % apart
_LARGEST_PART = 1.001  # rounding only
_FINE = np.array([0.97, 0.98, 0.99, 1.0, 1.01, 1.02])  # around the best one
_GAP = 12  # px between the two pictures of `render_comparison`
_SAME_SHAPE = 1.05  # ratio of two aspect ratios that rounding and resizing leave
_TURNED = 3.0  # degrees; less is left to the correlation's tolerance


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two pictures beside each other.

    Attributes:
        similarity: highest correlation of colour values over the placements tried, -1 to 1.
        part: share of the published picture's area that the picture at hand shows, 0 to 1.
        alike: whether the similarity reaches `ALIKE`.
    """

    similarity: float
    part: float

    @property
    def alike(self) -> bool:
        """Whether the pictures show the same."""
        return self.similarity >= ALIKE


def decode_preview(data: bytes) -> Pixels:
    """The ledger's preview as uint8 (H, W, 3).

    Raises:
        CannotCheckError: the bytes are no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CannotCheckError(
            f"the preview in the ledger is damaged ({error}); publish the image again"
        ) from error


def compare_pictures(pixels: Pixels, published: Pixels, *, geometry: Geometry | None = None) -> Comparison:
    """Search one picture in the other: small and grey at every scale, then larger and in colour around the best one.

    Args:
        pixels: uint8 (H, W, 3), at hand.
        published: uint8 (H, W, 3), the ledger's copy or preview.
        geometry: what the watermark says happened to the picture; a turn or a mirroring is undone first.
    """
    hand, reference = _undo(_reduce(pixels, _SIDE), geometry), _reduce(published, _SIDE)
    scales = np.geomspace(_LEAST_PART, 1.0, _STEPS)
    grey_hand, grey_reference = (_grey(_reduce(each, _COARSE_SIDE)) for each in (hand, reference))
    inside = max(_correlations(grey_hand, grey_reference, scales), default=_NOTHING)
    around = max(_correlations(grey_reference, grey_hand, scales), default=_NOTHING)
    if inside >= around:
        found = max(_correlations(hand, reference, inside.part * _FINE), default=_NOTHING)
        return Comparison(found.correlation, found.area)
    found = max(_correlations(reference, hand, around.part * _FINE), default=_NOTHING)
    return Comparison(found.correlation, 1.0)


def compare_whole(pixels: Pixels, published: Pixels) -> Comparison:
    """Lay one picture on the other, without searching: what a fingerprint found is no crop.

    Args:
        pixels: uint8 (H, W, 3), at hand; also tried without its plain border, which the fingerprint leaves out too.
        published: uint8 (H, W, 3).
    """
    reference = _reduce(published, _SIDE)
    inner = np.asarray(cut_border(Image.fromarray(pixels)), np.uint8)
    placements = [
        placement
        for hand in (pixels, inner)
        if _is_same_shape(hand, published)
        for placement in _correlations(
            _resize(hand, reference.shape[1], reference.shape[0]), reference, np.ones(1, np.float64)
        )
    ]
    best = max(placements, default=_NOTHING)
    return Comparison(best.correlation, best.area)


def _is_same_shape(first: Pixels, second: Pixels) -> bool:
    ratios = [each.shape[1] / each.shape[0] for each in (first, second)]
    return bool(max(ratios) <= _SAME_SHAPE * min(ratios))


def render_comparison(pixels: Pixels, published: Pixels) -> bytes:
    """Both pictures side by side as PNG: left the file at hand, right the published picture."""
    pictures = [Image.fromarray(_reduce(each, 2 * _SIDE)) for each in (pixels, published)]
    height = max(picture.height for picture in pictures)
    canvas = Image.new("RGB", (sum(p.width for p in pictures) + 3 * _GAP, height + 2 * _GAP), "white")
    left = _GAP
    for picture in pictures:
        canvas.paste(picture, (left, _GAP))
        left += picture.width + _GAP
    middle = pictures[0].width + _GAP + _GAP // 2
    ImageDraw.Draw(canvas).line((middle, _GAP, middle, height + _GAP), fill="grey")
    target = io.BytesIO()
    canvas.save(target, "PNG")
    return target.getvalue()


def _reduce(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    return _resize(pixels, max(1, round(width * factor)), max(1, round(height * factor)))


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    method = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)


def _undo(pixels: Pixels, geometry: Geometry | None) -> Pixels:
    if geometry is None:
        return pixels
    if abs(geometry.rotation) > _TURNED:
        pixels = _turn(pixels, -geometry.rotation)
    return np.ascontiguousarray(pixels[:, ::-1]) if geometry.flipped else pixels


def _turn(pixels: Pixels, degrees: float) -> Pixels:
    """Turned about its centre, and the largest upright rectangle of its own shape that holds only picture."""
    height, width = pixels.shape[:2]
    quarter = round(degrees / 90)
    if abs(degrees - 90 * quarter) < 1:
        return np.ascontiguousarray(np.rot90(pixels, quarter))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    angle = np.deg2rad(abs(degrees))
    shape = np.array([width, height], np.float64)
    swept = np.array(
        [
            width * abs(np.cos(angle)) + height * abs(np.sin(angle)),
            width * abs(np.sin(angle)) + height * abs(np.cos(angle)),
        ]
    )
    factor = float((shape / swept).min())
    cut_w, cut_h = max(1, int(width * factor)), max(1, int(height * factor))
    left, top = (width - cut_w) // 2, (height - cut_h) // 2
    return np.ascontiguousarray(turned[top : top + cut_h, left : left + cut_w])


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


class _Placement(NamedTuple):
    """Where one picture fits best into the other; ordered by how well.

    `part` is the share of the larger one's side that the smaller one spans, `area` that of its area.
    """

    correlation: float
    part: float
    area: float


_NOTHING = _Placement(-1.0, 1.0, 0.0)


def _correlations(small: Pixels, large: Pixels, parts: NDArray[np.float64]) -> Iterator[_Placement]:
    """The best place at each scale that leaves enough to see."""
    height, width = large.shape[:2]
    fit = min(width / small.shape[1], height / small.shape[0])
    for part in parts[parts < _LARGEST_PART]:
        template = _resize(
            small,
            min(width, round(small.shape[1] * fit * part)),
            min(height, round(small.shape[0] * fit * part)),
        )
        if (
            min(template.shape[:2]) < _LEAST_SIDE or template.std() < 1.0
        ):  # a plain area fits every plain area
            continue
        found = float(cv2.matchTemplate(large, template, cv2.TM_CCOEFF_NORMED).max())
        if np.isfinite(found):
            area = template.shape[0] * template.shape[1] / (width * height)
            yield _Placement(min(found, 1.0), float(part), area)
