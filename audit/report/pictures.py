"""Small pictures as data URIs, so that the report needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audit.collection import load_pixels
from generator.errors import AssayError

QUALITY = 82  # WebP quality of thumbnails; about 3 kB at 112 px


def encode_thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A WebP data URI.

    Args:
        pixels: uint8 (H, W, 3), RGB.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def file_thumbnail(path: Path, *, side: int) -> str:
    """Data URI of an image file reduced to at most `side` px; "" when no pixels can be had."""
    try:
        return encode_thumbnail(load_pixels(path, max_side=side))
    except (AssayError, OSError):
        return ""


def candidate_thumbnail(candidate_id: str, *, side: int, folder: Path | None) -> str:
    """Data URI of the picture behind a tracing candidate; "" when it cannot be had.

    Args:
        candidate_id: from the similarity table.
        side: longer side in px.
        folder: of the reference set; None: the embedded generator's training drawings.
    """
    from audit.similarity.module import candidate_image

    try:
        return encode_thumbnail(candidate_image(candidate_id, side, reference_folder=folder))
    except (AssayError, OSError):
        return ""
