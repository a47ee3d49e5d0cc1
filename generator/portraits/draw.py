"""From traits and a pose to pixels: a flat vector portrait at any size, drawn larger and averaged down.

Layers, from the back: background, hair behind, neck, clothes, head, beard, hair in front, features, headwear, tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from generator.errors import InputError
from generator.portraits import face
from generator.portraits.clothes import garment
from generator.portraits.headwear import HEADWEAR
from generator.portraits.pen import Pen
from generator.portraits.tools import TOOLS
from generator.portraits.traits import BACKGROUNDS, OUTFITS, Colour, Traits, colour, mix

DRAWING_VERSION: Final = 3
"""Raised whenever a pixel of any drawing changes; part of every corpus digest."""

SMALLEST, LARGEST = (
    16,
    2048,
)  # px; below, nothing can be told apart; above, memory of the enlarged canvas (GB)
_UNITS = 256  # side of the drawing in local units
_CANVAS = 256  # px; smallest canvas that is averaged down (4x at 64 px)
_WHITE = colour("ffffff")


@dataclass(frozen=True, slots=True)
class Pose:
    """Small variation that says nothing about the traits.

    Attributes:
        dx: head and body to the right, units of 1/256 of the side, -8 to 8.
        dy: head down, same units, -5 to 5.
        scale: size of the head, 0.94 to 1.05.
        side: 1 draws the tool on the right, -1 on the left.
        lift: tool up, units, -6 to 6.
        gaze: where the eyes look, -1 (left) to 1 (right).
        light: brightness of the background, -1 to 1.
    """

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    side: int = 1
    lift: float = 0.0
    gaze: float = 0.0
    light: float = 0.0


def draw(traits: Traits, pose: Pose, *, size: int) -> NDArray[np.uint8]:
    """Draw one portrait.

    Args:
        traits: who is drawn.
        pose: how.
        size: side in pixels, 16 to 2048.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        InputError: the size is out of range.
    """
    check_size(size)
    factor = max(2, -(-_CANVAS // size))
    image = Image.new("RGB", (size * factor, size * factor), _background(traits, pose))
    pen = Pen(ImageDraw.Draw(image), size * factor / _UNITS)
    _person(pen, traits, pose)
    return np.asarray(image.reduce(factor), dtype=np.uint8)


def check_size(size: int) -> None:
    """Refuse a side that cannot be drawn.

    Raises:
        InputError: not 16 to 2048 px.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"drawing size: got {size} px, expected {SMALLEST} to {LARGEST} px")


def bare_skin(pose: Pose, *, size: int) -> tuple[int, int]:
    """Pixel (row, column) between the brows: exactly the skin tone whatever the other traits are, from 64 px on."""
    x, y = _head_centre(pose)
    unit = size / _UNITS
    return int((y - 14.0 * pose.scale) * unit), int(x * unit)


def _background(traits: Traits, pose: Pose) -> Colour:
    base = BACKGROUNDS[traits.background]
    return mix(base, _WHITE if pose.light > 0 else (60, 60, 70), share=abs(pose.light) * 0.14)


def _head_centre(pose: Pose) -> tuple[float, float]:
    return 128.0 - 8.0 * pose.side + pose.dx, 118.0 + pose.dy


def _person(pen: Pen, traits: Traits, pose: Pose) -> None:
    x, y = _head_centre(pose)
    man = traits.presentation == "man"
    outfit = OUTFITS[traits.occupation]
    colours = face.look(traits.tone, traits.hair_colour)
    centre = pen.at(x, y, scale=pose.scale)
    body = pen.at(x, _UNITS)
    face.hair_behind(centre, traits, colours, bun_side=-pose.side)
    neck = 22 if man else 15
    body.box(-neck, -100, neck, -50, colours.shadow)
    garment(body, outfit, shoulder=94 if man else 74, skin=colours.skin)
    face.head(centre, traits, colours)
    if traits.beard:
        face.beard(centre, traits, colours)
    face.hair_in_front(centre, traits, colours)
    face.features(centre, traits, colours, gaze=pose.gaze)
    HEADWEAR[outfit.headwear](centre.at(0, 0, mirror=pose.side), outfit.headwear_colour)
    TOOLS[outfit.tool](pen.at(128 + 90 * pose.side, 208 - pose.lift, mirror=pose.side))
