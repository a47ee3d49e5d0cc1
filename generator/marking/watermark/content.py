"""Does a mark belong to the picture it was found in? The answer to a mark copied onto another picture.

Whoever has one marked picture can lift its mark off and add it to another: no key is needed, and no p-value can tell.
Therefore the ledger keeps a small preview of what was marked (`fingerprint.make_preview`), outside the picture, where
a forger cannot reach it: the payload stays 64 bits, and crops can still be compared, which a digest inside the
payload could not. The received picture is turned upright by the mark's own geometry and looked for in the preview.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from generator.errors import InputError
from generator.marking.watermark.interface import Geometry, Pixels, check_pixels
from generator.marking.watermark.spectrum import Image

MISMATCH = "watermark.content.mismatch"
"""Code of the finding."""

SAME_FROM = 0.70
"""Agreement from which a picture is taken for the one that was marked, or a part of it."""

OTHER_BELOW = 0.50
"""Agreement below which it is taken for another picture. Measured on 40 pictures: their own previews agree to 0.79
and more after JPEG 30, turns, mirroring and crops to half the sides (0.46 and more: crops to a quarter), other
pictures' to 0.54 at most, drawings of similar shapes to 0.65: what lies between is unclear and must be called so."""

Verdict = Literal["same", "unclear", "other"]

_PREVIEW_SIDE = 96  # px, longer side, of the comparison
_LEAST_SHARE = 0.25  # of the preview's sides that a crop may have kept
_SCALES = np.geomspace(1.0, _LEAST_SHARE, 50)  # of the received picture within the preview
_SMOOTH = 3.0  # px at _PREVIEW_SIDE; only finer structure is compared, else any two skies agree
_LEAST_TEMPLATE = 20  # px; smaller parts agree with something everywhere
_LEAST_STRUCTURE = 0.5  # grey levels; flat parts agree with everything
_STRETCH_TOLERANCE = 1.0  # degrees; nearer to a quarter turn than this, nothing needs to be cut away


@dataclass(frozen=True, slots=True)
class ContentMatch:
    """How a picture and the preview of what was marked agree.

    Attributes:
        agreement: best normalised correlation over places and sizes, -1 to 1.
        verdict: "same": it is that picture or a part of it; "other": a mismatch; "unclear": neither can be said.
    """

    agreement: float
    verdict: Verdict


def match_content(pixels: Pixels, preview: bytes, *, geometry: Geometry) -> ContentMatch:
    """Compare a picture in which a mark was found with the preview of the picture that was given that mark.

    Args:
        pixels: uint8 (H, W, 3), as received.
        preview: JPEG from the ledger's entry of the identifier that was read.
        geometry: of the detection; turns and mirrorings are undone before comparing.

    Raises:
        InputError: not such an array, or the preview cannot be decoded.
    """
    stored = cv2.imdecode(np.frombuffer(preview, np.uint8), cv2.IMREAD_GRAYSCALE) if preview else None
    if stored is None:
        raise InputError(
            f"preview: {len(preview)} bytes that are no picture, expected the JPEG kept in the ledger's entry"
        )
    whole = _reduce(stored.astype(np.float32), _PREVIEW_SIDE)
    part = _upright(cv2.cvtColor(check_pixels(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32), geometry)
    sheet = _reduce(part, _PREVIEW_SIDE)
    rows, columns = (side // 4 for side in part.shape)
    middle = part[rows : part.shape[0] - rows, columns : part.shape[1] - columns]  # bends least
    pairs = (
        (whole, part),
        (whole, middle),
        (sheet, whole),
    )  # a part of it, a bent one, or it within a collage
    best = max(_agreement(*pair, share=float(share)) for pair in pairs for share in _SCALES)
    verdict: Verdict = "same" if best >= SAME_FROM else "other" if best < OTHER_BELOW else "unclear"
    return ContentMatch(agreement=best, verdict=verdict)


def _reduce(image: Image, longer: int) -> Image:
    factor = longer / max(image.shape)
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    reduced: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced


def _upright(luma: Image, geometry: Geometry) -> Image:
    """The picture before it was mirrored, turned and stretched; corners that a turn left empty are cut away."""
    reduced = _reduce(luma, 2 * _PREVIEW_SIDE)
    quarter, rest = divmod(geometry.rotation + 45, 90)
    rest -= 45
    turned = np.ascontiguousarray(np.rot90(reduced, -int(quarter)))
    if abs(rest) > _STRETCH_TOLERANCE:
        height, width = turned.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -rest, 1.0)
        turned = cv2.warpAffine(turned, matrix, (width, height), flags=cv2.INTER_LINEAR)
        radians = math.radians(abs(rest))
        keep = 1 / (math.cos(radians) + math.sin(radians))
        rows, columns = round(height * keep), round(width * keep)
        top, left = (height - rows) // 2, (width - columns) // 2
        turned = turned[top : top + rows, left : left + columns]
    if geometry.flipped:
        turned = turned[:, ::-1]
    size = max(1, round(turned.shape[1] / geometry.aspect)), turned.shape[0]
    upright: Image = cv2.resize(np.ascontiguousarray(turned), size, interpolation=cv2.INTER_AREA)
    return upright


def _agreement(whole: Image, part: Image, *, share: float) -> float:
    """Best correlation of `part` inside `whole` when its longer relative side is `share` of it; -1: does not fit."""
    fit = share * min(whole.shape[0] / part.shape[0], whole.shape[1] / part.shape[1])
    size = round(part.shape[1] * fit), round(part.shape[0] * fit)
    if min(size) < _LEAST_TEMPLATE:
        return -1.0
    template = _fine(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    if template.std() < _LEAST_STRUCTURE:
        return -1.0
    return float(cv2.matchTemplate(_fine(whole), template, cv2.TM_CCOEFF_NORMED).max())


def _fine(image: Image) -> Image:
    """Structure finer than _SMOOTH."""
    fine: Image = image - cv2.GaussianBlur(image, (0, 0), _SMOOTH)
    return fine
