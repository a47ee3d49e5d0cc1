"""The visible label: a line of text in a corner of the picture that a person can read.

White on black in a box of its own, whatever lies beneath: a contrast of 21:1, where WCAG 2.2 asks for 7:1 at its
strictest level. It can be cropped away; it is there for people, the other layers are there for machines.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generator.errors import InputError
from generator.marking.watermark.interface import Pixels

DEFAULT_TEXT = "AI-generated"
_SHARE = 0.045  # of the shorter side: the height of the letters; 4.5 % is 11.5 px at 256 px
_LEAST = 10  # px of letter height; smaller than that nobody reads it
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw_label(pixels: Pixels, text: str = DEFAULT_TEXT) -> Pixels:
    """A copy of the picture with the text in its lower left corner.

    Args:
        pixels: uint8 (height, width, 3).
        text: one line.

    Raises:
        InputError: the text is empty, has line breaks, or is wider than the picture.
    """
    if not text.strip() or len(text.splitlines()) > 1:
        raise InputError(f"visible label {text!r}: give one line of text")
    picture = Image.fromarray(pixels)
    size = max(_LEAST, round(_SHARE * min(picture.size)))
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    margin = size // 2
    width, height = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    if width > picture.width or height > picture.height:
        raise InputError(
            f"visible label {text!r}: needs {width}x{height} px, the picture has "
            f"{picture.width}x{picture.height}; shorten it"
        )
    draw = ImageDraw.Draw(picture)
    corner = picture.height - height
    draw.rectangle((0, corner, width - 1, picture.height - 1), fill=_BLACK)
    draw.text((margin - left, corner + margin - top), text, fill=_WHITE, font=font)
    return np.asarray(picture)
