"""Bytes of a picture that another system made -> pixels; and which file type they are."""

from __future__ import annotations

import io
import warnings
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from generator.errors import CannotCheckError

MAX_PIXELS: Final = 100_000_000  # an image of 300 MB decoded; services make 4 million
SUFFIXES: Final = MappingProxyType({"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp"})
"""Formats that can be published again as what they are."""

_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, MemoryError)


def decode_picture(data: bytes, *, where: str) -> NDArray[np.uint8]:
    """Pixels of a picture: first frame, upright, transparency on white.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        CannotCheckError: no picture, damaged, or larger than `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise CannotCheckError(
                        f"{where}: {picture.width} x {picture.height} pixels, at most {MAX_PIXELS:,} are read"
                    )
                upright = ImageOps.exif_transpose(picture)
                if upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info:
                    rgba = upright.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
                return np.asarray(upright.convert("RGB"))
    except UnidentifiedImageError as error:
        raise CannotCheckError(f"{where}: no picture ({len(data)} bytes of another kind)") from error
    except _DAMAGE as error:
        raise CannotCheckError(f"{where}: damaged picture ({error})") from error


def picture_suffix(data: bytes) -> str:
    """File name suffix for the bytes of a picture by their first bytes; ".bin" for what is unknown."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if data.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return ".bin"
