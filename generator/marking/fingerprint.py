"""The fingerprint of a picture, computed from its pixels alone: the ISCC Image-Code of ISO 24138, 256 bits.

C2PA lists it as soft binding `io.iscc.v0`. It survives re-encoding and resizing, not cropping, and pictures that look
alike have near codes: it finds candidates, it proves nothing. Whoever takes a candidate must compare the pictures.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from generator.errors import InputError
from generator.marking.watermark.interface import Pixels, check_pixels

ALGORITHM = "io.iscc.v0"
"""Name on C2PA's list of soft bindings."""

CODE_BYTES = 32
PREVIEW_SIDE = 256  # px, longer side
_SIDE = 32  # px, of the picture that is transformed
_BLOCK = 8  # coefficients
_HEADER = bytes((0x21, 0x07))  # main type Content (2), subtype Image (1); version 0, length 256 bits
_PREVIEW_QUALITY = 80


def compute_image_code(pixels: Pixels, *, cut: bool = True) -> bytes:
    """The 256-bit body of the Image-Code.

    Args:
        pixels: uint8 (H, W, 3), RGB, upright, transparency laid on white.
        cut: leave a plain border out, as the standard says. It counts only pixels of exactly one colour as border, so
            that re-encoding can make or unmake one: who searches should also try without.

    Returns:
        32 bytes; near codes (in Hamming distance) mean pictures that look alike at 32 x 32 px.

    Raises:
        InputError: not such an array.

    Source: ISO 24138:2024, Content-Code Image: uniform border cut, grey, 32 x 32, two-dimensional DCT, four blocks of
    8 x 8 low frequencies each compared with its median.
    """
    picture = Image.fromarray(check_pixels(pixels))
    grey = (cut_border(picture) if cut else picture).convert("L")
    return hash_grey(np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)))


def hash_grey(grey: NDArray[np.uint8]) -> bytes:
    """The code of an already normalised picture.

    Args:
        grey: uint8 (32, 32).
    """
    coefficients = _cosine(_cosine(grey.astype(np.float64)).T).T
    corners = ((0, 0), (0, _BLOCK), (_BLOCK, 0), (_BLOCK, _BLOCK))
    blocks = [coefficients[row : row + _BLOCK, column : column + _BLOCK].ravel() for row, column in corners]
    return np.packbits(np.concatenate([block > np.median(block) for block in blocks])).tobytes()


def cut_border(picture: Image.Image) -> Image.Image:
    """Without the border that has exactly the colour of the upper left pixel; as it is when all of it has."""
    plain = Image.new(picture.mode, picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, plain).getbbox()
    return picture if box is None else picture.crop(box)


def encode_unit(code: bytes) -> bytes:
    """The code with its ISCC header, 34 bytes: the value of the soft binding.

    Raises:
        InputError: not 32 bytes.
    """
    if len(code) != CODE_BYTES:
        raise InputError(f"image code: got {len(code)} bytes, expected {CODE_BYTES}")
    return _HEADER + code


def find_code(sequence: bytes) -> bytes | None:
    """The 256-bit Image-Code in a sequence of 256-bit ISCC units; None when there is none.

    Raises:
        InputError: the bytes are no such sequence.
    """
    size = len(_HEADER) + CODE_BYTES
    if not sequence or len(sequence) % size:
        raise InputError(
            f"{ALGORITHM} value: got {len(sequence)} bytes, expected ISCC units of {size} bytes each"
        )
    units = [sequence[start : start + size] for start in range(0, len(sequence), size)]
    return next((unit[len(_HEADER) :] for unit in units if unit.startswith(_HEADER)), None)


def distances(code: bytes, others: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bits that differ.

    Args:
        code: 32 bytes.
        others: uint8 (n, 32).

    Returns:
        int64 (n,), 0 to 256.
    """
    own = np.frombuffer(code, np.uint8)
    return np.asarray(np.bitwise_count(others ^ own).sum(axis=1), np.int64)


def make_preview(pixels: Pixels) -> bytes:
    """A small JPEG of a picture, longer side at most 256 px, to look at when only the ledger still knows it.

    Raises:
        InputError: not uint8 (H, W, 3).
    """
    picture = Image.fromarray(check_pixels(pixels))
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BICUBIC)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=_PREVIEW_QUALITY)
    return target.getvalue()


def _cosine(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unscaled DCT-II of each row, by Lee's recursion: equal neighbours cancel exactly, so flat pictures hash alike.

    Args:
        rows: float64 (n, width), width a power of two.

    Source: B. G. Lee, "A new algorithm to compute the discrete cosine transform", IEEE TASSP 32 (1984).
    """
    width = rows.shape[1]
    if width == 1:
        return rows
    half = width // 2
    first, last = rows[:, :half], rows[:, : half - 1 : -1]
    angles = np.array([math.cos((i + 0.5) * math.pi / width) * 2.0 for i in range(half)])
    even, odd = _cosine(first + last), _cosine((first - last) / angles)
    result = np.empty_like(rows)
    result[:, 0::2] = even
    result[:, 1::2] = odd
    result[:, 1:-1:2] += odd[:, 1:]
    return result
