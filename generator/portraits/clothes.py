"""Garments and headwear.

A garment is drawn by a pen whose origin is the middle of the lower edge; the neckline is at y = -64. Headwear is
drawn by a pen whose origin is the middle of the head (its top is at y = -62) and stays above y = -44, so that the
hairline, the temples and the forehead remain visible.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from generator.portraits.pen import Pen
from generator.portraits.traits import Colour, Outfit, colour, mix

_WHITE = colour("ffffff")
_BLACK = colour("000000")
_RED = colour("d01f2e")
_GOLD = colour("e3b93c")


def _dark(value: Colour) -> Colour:
    return mix(value, _BLACK, share=0.22)


def torso(pen: Pen, shoulder: float, fill: Colour) -> None:
    """Shoulders and chest; `shoulder` is the half width in units."""
    pen.polygon(
        [
            (-shoulder, 4), (-shoulder + 5, -32), (-shoulder + 22, -48), (-20, -66),
            (20, -66), (shoulder - 22, -48), (shoulder - 5, -32), (shoulder, 4),
        ],
        fill,
    )  # fmt: skip


def _opening(pen: Pen, outfit: Outfit) -> None:
    pen.polygon([(-21, -67), (21, -67), (0, -6)], outfit.second)


def _lapels(pen: Pen, fill: Colour) -> None:
    for side in (-1, 1):
        pen.polygon([(side * 21, -68), (side * 33, -46), (side * 4, 2), (side * 1, -4)], fill)


def _coat(pen: Pen, outfit: Outfit, _: float) -> None:
    pen.polygon([(-24, -67), (24, -67), (10, 4), (-10, 4)], outfit.second)
    for side in (-1, 1):
        pen.polygon(
            [(side * 22, -68), (side * 38, -44), (side * 14, -14)], mix(outfit.main, _BLACK, share=0.16)
        )
    if outfit.headwear == "none":
        pen.arc(0, -60, 29, 46, start=8, end=172, width=6, fill=outfit.accent)
        pen.ellipse(0, -13, 10, 10, outfit.accent)
        pen.ellipse(0, -13, 5, 5, colour("c9d0da"))


def _scrubs(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    pen.polygon([(-24, -67), (24, -67), (0, -30)], outfit.accent)
    pen.box(-shoulder + 30, -26, -shoulder + 54, -6, outfit.second)


def _suit(pen: Pen, outfit: Outfit, _: float) -> None:
    _opening(pen, outfit)
    pen.polygon([(-6, -58), (6, -58), (9, -14), (0, -4), (-9, -14)], outfit.accent)
    pen.polygon([(-8, -66), (8, -66), (5, -54), (-5, -54)], outfit.accent)
    _lapels(pen, mix(outfit.main, _WHITE, share=0.14))


def _robe(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for side in (-1, 1):
        pen.polygon([(side * (shoulder - 30), -50), (side * (shoulder - 16), -44), (side * 26, 4), (side * 14, 4)],
                    outfit.accent)  # fmt: skip
    pen.polygon([(-20, -66), (20, -66), (20, -56), (-20, -56)], outfit.second)
    pen.polygon([(-5, -58), (5, -58), (17, -12), (-17, -12)], outfit.second)


def _vest(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for side in (-1, 1):
        pen.polygon(
            [(side * 20, -66), (side * (shoulder - 22), -50), (side * (shoulder - 14), 4), (side * 8, 4)],
            outfit.second,
        )
        pen.line([(side * (shoulder - 40), -56), (side * (shoulder - 40), 2)], 9, outfit.accent)
    pen.line([(-shoulder + 16, -14), (-8, -14)], 9, outfit.accent)
    pen.line([(8, -14), (shoulder - 16, -14)], 9, outfit.accent)


def _overalls(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for offset in (-0.8, -0.55, 0.0, 0.55, 0.8):
        x = offset * (shoulder - 8)
        pen.line([(x, -52 if x else -64), (x, 2)], 4, _dark(outfit.main))
    pen.line([(-shoulder + 8, -18), (shoulder - 8, -18)], 4, _dark(outfit.main))
    for side in (-1, 1):
        pen.line([(side * 38, -58), (side * 30, -20)], 13, outfit.second)
    pen.box(-38, -30, 38, 4, outfit.second)
    pen.ellipse(-30, -24, 5, 5, outfit.accent)
    pen.ellipse(30, -24, 5, 5, outfit.accent)


def _apron(pen: Pen, outfit: Outfit, _: float) -> None:
    for side in (-1, 1):
        pen.line([(side * 24, -66), (side * 32, -34)], 8, outfit.accent)
    pen.box(-38, -36, 38, 4, outfit.second)
    pen.box(-24, -16, 24, 4, mix(outfit.second, outfit.accent, share=0.4))


def _double(pen: Pen, outfit: Outfit, _: float) -> None:
    pen.polygon([(-24, -67), (24, -67), (10, -52), (-10, -52)], outfit.second)
    pen.line([(-14, -52), (24, -6), (24, 2)], 3, outfit.second)
    for y in (-38, -20, -2):
        pen.ellipse(-16, y, 5, 5, outfit.accent)
        pen.ellipse(12, y, 5, 5, outfit.accent)


def _singlet(pen: Pen, outfit: Outfit, _: float) -> None:
    pen.polygon(
        [(-40, -57), (-26, -62), (-15, -40), (15, -40), (26, -62), (40, -57), (48, 4), (-48, 4)], outfit.main
    )
    pen.line([(-27, -62), (-16, -41), (16, -41), (27, -62)], 5, outfit.second)
    pen.box(-3, -28, 5, 4, outfit.second)
    pen.polygon([(-3, -28), (5, -28), (-10, -14), (-10, -20)], outfit.second)


def _stripes(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for y in (-40, -24, -8):
        pen.line([(-shoulder + 8, y), (shoulder - 8, y)], 7, outfit.second)
    pen.polygon([(-34, -68), (34, -68), (46, -44), (0, -14), (-46, -44)], outfit.second)
    pen.polygon([(-18, -67), (18, -67), (0, -38)], outfit.main)
    pen.polygon([(-9, -34), (9, -34), (5, -8), (-5, -8)], outfit.accent)


def _camouflage(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for x, y, patch in (
        (-52, -30, 1),
        (-26, -46, 0),
        (-18, -10, 1),
        (14, -30, 0),
        (36, -8, 1),
        (50, -34, 0),
        (30, -50, 1),
    ):
        pen.ellipse(x * shoulder / 82, y, 14, 8, outfit.second if patch else outfit.accent)
    pen.polygon([(-20, -68), (-34, -58), (0, -40)], _dark(outfit.main))
    pen.polygon([(20, -68), (34, -58), (0, -40)], _dark(outfit.main))


def _sweater(pen: Pen, outfit: Outfit, _: float) -> None:
    pen.polygon([(-22, -68), (22, -68), (0, -34)], outfit.second)
    for y in (-22, -4):
        for x in (-44, -22, 0, 22, 44):
            pen.polygon([(x - 9, y), (x, y - 8), (x + 9, y), (x, y + 8)], outfit.accent)


def _uniform(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    for side in (-1, 1):
        pen.polygon([(side * (shoulder - 22), -52), (side * (shoulder - 4), -36), (side * (shoulder - 14), -28),
                     (side * (shoulder - 34), -44)], outfit.second)  # fmt: skip
        pen.polygon(
            [(side * 22, -68), (side * 3, -54), (side * 26, -44)], mix(outfit.main, _BLACK, share=0.12)
        )
    pen.polygon([(-7, -56), (7, -56), (10, -14), (0, -2), (-10, -14)], outfit.second)
    pen.box(24, -30, 44, -18, outfit.accent)


def _smock(pen: Pen, outfit: Outfit, _: float) -> None:
    pen.polygon([(-30, -66), (0, -52), (30, -66), (24, -42), (0, -50), (-24, -42)], outfit.second)
    for x, y, paint in (
        (-40, -22, outfit.second),
        (-14, -8, outfit.accent),
        (20, -22, _GOLD),
        (44, -10, outfit.second),
    ):
        pen.ellipse(x, y, 8, 7, paint)


def _fireproof(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    pen.polygon([(-26, -68), (26, -68), (22, -54), (-22, -54)], _dark(outfit.main))
    pen.line([(-shoulder + 10, -32), (shoulder - 10, -32)], 13, outfit.accent)
    pen.line([(-shoulder + 10, -32), (shoulder - 10, -32)], 6, outfit.second)
    pen.line([(-shoulder + 6, -6), (shoulder - 6, -6)], 13, outfit.second)
    pen.line([(0, -54), (0, 2)], 4, _dark(outfit.main))


def _jacket(pen: Pen, outfit: Outfit, shoulder: float) -> None:
    pen.polygon([(-22, -68), (22, -68), (0, -40)], outfit.second)
    pen.line([(0, -42), (0, 2)], 6, outfit.accent)
    for side in (-1, 1):
        pen.polygon([(side * 21, -68), (side * 36, -54), (side * 6, -34)], outfit.second)
    pen.box(-shoulder + 28, -22, -shoulder + 54, -4, outfit.second)
    pen.box(shoulder - 54, -22, shoulder - 28, -4, outfit.second)


_GARMENTS: Final = MappingProxyType(
    {
        "scrubs": _scrubs, "coat": _coat, "suit": _suit, "robe": _robe, "vest": _vest, "overalls": _overalls,
        "apron": _apron, "double": _double, "singlet": _singlet, "stripes": _stripes,
        "camouflage": _camouflage, "sweater": _sweater, "uniform": _uniform, "smock": _smock,
        "fireproof": _fireproof, "jacket": _jacket,
    }
)  # fmt: skip


def garment(pen: Pen, outfit: Outfit, *, shoulder: float, skin: Colour) -> None:
    """Draw the clothes of an occupation over the shoulders.

    Args:
        pen: origin in the middle of the lower edge.
        outfit: shape and colours.
        shoulder: half width of the shoulders in units.
        skin: colour of bare shoulders (athletes).
    """
    torso(pen, shoulder, skin if outfit.shape == "singlet" else outfit.main)
    _GARMENTS[outfit.shape](pen, outfit, shoulder)
