"""Files with 16 bits per channel: Pillow would reduce them to 8, OpenCV reads and writes them as they are."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Deep = NDArray[np.uint16]

FORMATS = {"PNG": ".png", "TIFF": ".tiff"}
"""Those that can hold 16 bits, and OpenCV's name of each."""


def decode_deep(data: bytes, orientation: int) -> Deep | None:
    """A 16-bit picture, turned upright, channels in RGB order; None when it has 8 bits.

    Args:
        data: PNG or TIFF.
        orientation: of its EXIF entry, 1 to 8; anything else counts as 1.
    """
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        return None
    return _upright(_swap(cast(Deep, decoded)), orientation)


def encode_deep(pixels: Deep, form: str, icc_profile: bytes | None) -> bytes:
    """The picture as a file; OpenCV keeps the colour profile in PNG only.

    Args:
        pixels: uint16 (H, W) or (H, W, C), RGB order.
        form: of FORMATS.
        icc_profile: colour profile, or None.
    """
    swapped = _swap(pixels)
    if icc_profile and form == "PNG":
        profile = np.frombuffer(icc_profile, np.uint8)
        _, encoded = cv2.imencodeWithMetadata(FORMATS[form], swapped, [cv2.IMAGE_METADATA_ICCP], [profile])
    else:
        _, encoded = cv2.imencode(FORMATS[form], swapped)
    return bytes(encoded)


def _upright(pixels: Deep, orientation: int) -> Deep:
    """Undo an EXIF orientation (CIPA DC-008, tag 274)."""
    if orientation in (2, 7):
        pixels = pixels[:, ::-1]
    elif orientation in (4, 5):
        pixels = pixels[::-1]
    quarters = {3: 2, 5: -1, 6: -1, 7: -1, 8: 1}.get(orientation, 0)  # counter-clockwise
    return np.ascontiguousarray(np.rot90(pixels, quarters))


def _swap(pixels: Deep) -> Deep:
    """RGB to BGR or back; alpha stays last."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return pixels
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order])
